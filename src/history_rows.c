#include "history_rows.h"

#include "tail.h"
#include "verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 300

/* ---- what stands in the way ------------------------------------------------------------------------------------- */

bool history_is_running(const struct history_plan *plan, const PGresult *rows, struct err *err)
{
    if (!rows || PQntuples(rows) == 0)
        return false;
    const char *application = PQgetvalue(rows, 0, 1);
    err_set(err, ERR_CROWDED, "%s is migrating without lockstep: process %s%s%s%s of the server holds its lock",
            plan->tool->title, PQgetvalue(rows, 0, 0), *application ? " (" : "", application, *application ? ")" : "");
    return true;
}

/* The tool's own words, on one line, as far as they say what happened. */
static void add_words(const char *words, char *text, size_t capacity)
{
    char line[WORDS_MAX], clean[WORDS_MAX];
    size_t n = 0, used = strlen(text);
    for (; *words && n + 1 < sizeof line; words++) {
        bool is_space = strchr(" \t\r\n", *words) != NULL;
        if (!is_space || (n > 0 && line[n - 1] != ' '))
            line[n++] = is_space ? ' ' : *words;
    }
    line[n] = '\0';
    utf8_clean(line, clean, sizeof clean);
    snprintf(text + used, capacity - used, *clean ? " (%s); " : "; ", clean);
}

/* The remedy with the id and the folder in their places, behind what is wrong. */
static void write_remedy(const struct history_plan *plan, const char *id, char *text, size_t capacity)
{
    const struct tool *tool = plan->tool;
    const char *remedy = tool->remedy ? tool->remedy : "mend the database, then start again", *mark;
    size_t used = strlen(text);
    if (tool->remedy && used < capacity)
        used += (size_t)snprintf(text + used, capacity - used, "first run: ");
    while ((mark = strchr(remedy, '{')) != NULL && used < capacity) {
        snprintf(text + used, capacity - used, "%.*s%s", (int)(mark - remedy), remedy,
                 strncmp(mark, "{id}", 4) == 0 ? id : plan->image->folder);
        used = strlen(text);
        remedy = strchr(mark, '}') + 1;
    }
    if (used < capacity)
        snprintf(text + used, capacity - used, "%s", remedy);
}

/* The ids of the rows that have one. */
static void list_ids(const PGresult *rows, char *ids, size_t capacity)
{
    int count = PQntuples(rows);
    for (int i = 0; i < count && i < 4; i++) {
        size_t used = strlen(ids);
        if (i == 3)
            snprintf(ids + used, capacity - used, " and %d more", count - 3);
        else if (!PQgetisnull(rows, i, 0))
            snprintf(ids + used, capacity - used, "%s%s", used ? ", " : "", PQgetvalue(rows, i, 0));
    }
}

bool history_is_blocked(const struct history_plan *plan, const PGresult *rows, char *text, size_t capacity)
{
    char ids[160] = "";
    int count = rows ? PQntuples(rows) : 0;
    if (count == 0)
        return false;
    const char *words = "";
    for (int i = 0; i < count && !*words; i++)
        words = PQgetvalue(rows, i, 1);
    list_ids(rows, ids, sizeof ids);
    snprintf(text, capacity, "%s would refuse to run%s%s%s", plan->tool->title, *ids ? ": " : "", ids,
             *ids ? " did not end well" : "");
    add_words(words, text, capacity);
    write_remedy(plan, PQgetvalue(rows, 0, 0), text, capacity);
    return true;
}

void history_unmoved(const struct history_plan *plan, const struct verdict *v, const char *no_table, char *text,
                     size_t capacity)
{
    if (no_table)
        snprintf(text, capacity,
                 "the migration succeeded, but where lockstep looks for what %s has applied is nothing (%s), so that "
                 "every start will migrate; does %s use another table or database? right would be --applied-sql "
                 "(LOCKSTEP_APPLIED_SQL) with that table",
                 plan->tool->title, no_table, plan->tool->title);
    else
        snprintf(
            text, capacity,
            "the migration succeeded, but %s has not applied %s; going on, as it does not mean to, but every start "
            "will migrate",
            plan->tool->title, v->missing_ids);
}

void history_diverged(const struct history_plan *plan, const struct verdict *v, char *text, size_t capacity)
{
    snprintf(
        text, capacity,
        "the database and this image have diverged: it has %zu migration%s that the image does not know (%s), while "
        "%zu of the image %s pending (%s); %s decides",
        v->unknown, v->unknown == 1 ? "" : "s", v->unknown_ids, v->missing, v->missing == 1 ? "is" : "are",
        v->missing_ids, plan->tool->title);
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

static bool is_one_of(const char *sqlstate, const char *const states[])
{
    for (; *states; states++)
        if (strcmp(*states, sqlstate) == 0)
            return true;
    return false;
}

/* With a connection of our own also no database: the tool will make it. */
bool history_is_nothing_yet(const struct history_answer *answer)
{
    static const char *const states[] = {"42P01", "3F000", NULL};
    return is_one_of(answer->sqlstate, states) || (answer->own_connection && strcmp(answer->sqlstate, "3D000") == 0);
}

/* The column's name is in the server's words. */
static void explain(const struct history_plan *plan, const struct err *err, const char *sqlstate, struct err *words)
{
    static const char *const locked[] = {"55P03", "57014", NULL};
    const char *title = plan->tool->title, *table = plan->table;
    *words = *err;
    if (!*table && err->code == ERR_REFUSED)
        err_set(words, ERR_REFUSED, "--applied-sql (LOCKSTEP_APPLIED_SQL): %s", err->text);
    else if (strcmp(sqlstate, "42703") == 0)
        err_set(
            words, ERR_REFUSED,
            "the table %s is not one of %s (%s); is it another tool's? right would be --tool (LOCKSTEP_TOOL) with that "
            "one, or --applied-sql (LOCKSTEP_APPLIED_SQL) for a table of your own",
            table, title, err->text);
    else if (strcmp(sqlstate, "42501") == 0)
        err_set(words, ERR_REFUSED, "%s: lockstep reads the history of %s; %s", err->text, title, plan->grant);
    else if (is_one_of(sqlstate, locked))
        err_set(words, ERR_CROWDED, "the table %s is locked by somebody (%s)", *table ? table : "of --applied-sql",
                err->text);
}

void history_explain_failed(const struct history_plan *plan, const struct err *refusal, struct err *err)
{
    *err = *refusal;
    if (plan->failed_is_own)
        err_set(err, refusal->code, "--failed-sql (LOCKSTEP_FAILED_SQL): %s", refusal->text);
}

/* Whether the table has a column that only another tool's has. */
static bool is_foreign(const struct history_plan *plan, const PGresult *rows, struct err *err)
{
    const char *foreign = plan->tool->foreign;
    if (!foreign || !*plan->table || PQntuples(rows) == 0)
        return false;
    char columns[1024];
    snprintf(columns, sizeof columns, ",%s,", PQgetvalue(rows, 0, 0));
    for (const char *name = foreign; *name;) {
        char column[72];
        size_t length = strcspn(name, ",");
        snprintf(column, sizeof column, ",%.*s,", (int)length, name);
        if (strstr(columns, column)) {
            err_set(err, ERR_REFUSED,
                    "the table %s is another tool's, not one of %s: it has a column %.*s; right would be --tool "
                    "(LOCKSTEP_TOOL) with that one",
                    plan->table, plan->tool->title, (int)length, name);
            return true;
        }
        name += length + (name[length] == ',');
    }
    return false;
}

static int read_rows(const struct history_plan *plan, const PGresult *rows, struct verdict *verdict)
{
    int count = rows ? PQntuples(rows) : 0, n = 0;
    const char **ids = calloc((size_t)count + 1, sizeof *ids);
    if (!ids)
        return -1;
    for (int i = 0; i < count; i++)
        if (!PQgetisnull(rows, i, 1))
            ids[n++] = PQgetvalue(rows, i, 1);
    int result = verdict_find(verdict, plan->image, ids, (size_t)n);
    free(ids);
    return result;
}

int history_read(const struct history_plan *plan, const struct history_answer *answer, struct verdict *verdict,
                 struct err *err)
{
    if (answer->err && !history_is_nothing_yet(answer)) {
        explain(plan, answer->err, answer->sqlstate, err);
        return -1;
    }
    if (answer->rows && is_foreign(plan, answer->rows, err))
        return -1;
    return read_rows(plan, answer->rows, verdict) == 0 ? 0 : err_set(err, ERR_SYSTEM, "out of memory");
}
