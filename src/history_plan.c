/* The queries that ask a migration tool's own table. */
#include "history.h"

#include "digest.h"
#include "sql.h"
#include "tool_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 128

/* Where the table is, as its parts; "" = not said. */
struct place {
    char schema[NAME_MAX_BYTES], table[NAME_MAX_BYTES];
};

/* A waiter's question must never queue behind a migration's lock on the table: what blocks holds a snapshot, for which
 * CREATE INDEX CONCURRENTLY would wait (research/tools.md section 0). */
static const char prelude[] = "SET LOCAL lock_timeout = 500; SET LOCAL statement_timeout = 10000; ";

/* Tools look into the first schema of the search path only; another app's table of the same name may be behind it. */
static const char first_schema[] =
    "SELECT set_config('search_path', coalesce(quote_ident(current_schema()), ''), true); ";

static void set_name(char name[NAME_MAX_BYTES], const char *value, size_t length)
{
    snprintf(name, NAME_MAX_BYTES, "%.*s", (int)length, value);
}

static void set_if_said(char name[NAME_MAX_BYTES], const char *value)
{
    if (value && *value)
        set_name(name, value, strlen(value));
}

/* A value "schema.table" of a tool's own variable says both. */
static void set_dotted(struct place *place, const char *value)
{
    const char *dot = strchr(value, '.');
    if (dot)
        set_name(place->schema, value, (size_t)(dot - value));
    set_name(place->table, dot ? dot + 1 : value, strlen(dot ? dot + 1 : value));
}

/* golang-migrate's quoted form: "schema"."table". */
static void set_quoted(struct place *place, const char *value)
{
    struct place read = {.schema = ""};
    if (sscanf(value, "\"%127[^\"]\".\"%127[^\"]\"", read.schema, read.table) == 2)
        *place = read;
    else if (sscanf(value, "\"%127[^\"]\"", read.table) == 1)
        set_name(place->table, read.table, strlen(read.table));
}

static void set_variable(tool_variable *variable, const char *name, char value[NAME_MAX_BYTES])
{
    const char *said = name ? variable(name) : NULL;
    if (said && *said)
        set_name(value, said, strcspn(said, ",")); /* FLYWAY_SCHEMAS is a list, whose first counts */
}

/* Later ones win: the preset, the project's configuration, the URL, the tool's own variables. */
static void find_table(struct place *place, const struct tool *tool, const struct migrations *image,
                       const struct history_words *words, const struct url *url)
{
    *place = (struct place){.schema = ""};
    if (tool->schema)
        set_name(place->schema, tool->schema, strlen(tool->schema));
    set_name(place->table, tool->table, strlen(tool->table));
    struct place configured;
    tool_configured_table(tool, words->variable, image->folder, configured.schema, sizeof configured.schema,
                          configured.table, sizeof configured.table);
    set_if_said(place->schema, configured.schema);
    set_if_said(place->table, configured.table);
    /* Said in full, as a pooler may refuse a search path. */
    if (tool->schema_of_url || (!place->schema[0] && (!tool->whole_path || url->schema_is_alone)))
        set_if_said(place->schema, url->schema);
    if (tool->table_of_url && url->migrations_table && url->migrations_table_quoted)
        set_quoted(place, url->migrations_table);
    else if (tool->table_of_url)
        set_if_said(place->table, url->migrations_table);
    for (int i = 0; i < TOOL_SCHEMA_VARIABLES; i++)
        set_variable(words->variable, tool->schema_variables[i], place->schema);
    const char *table = tool->table_variable ? words->variable(tool->table_variable) : NULL;
    if (table && *table)
        set_dotted(place, table);
}

static void write_table(FILE *out, const struct place *place, const char *suffix)
{
    char table[2 * NAME_MAX_BYTES];
    if (place->schema[0]) {
        sql_quote(out, place->schema, '"');
        fputc('.', out);
    }
    snprintf(table, sizeof table, "%s%s", place->table, suffix);
    sql_quote(out, table, '"');
}

/* Writes what a placeholder of tool.h, `length` bytes at `mark`, stands for. */
static void write_placeholder(FILE *out, const char *mark, size_t length, const struct place *place,
                              const struct migrations *image)
{
    static const char beside[] = "{beside:";
    if (strncmp(mark, "{table_lock}", length) == 0) {
        write_table(out, place, "_lock");
    } else if (strncmp(mark, "{project}", length) == 0) {
        sql_quote(out, image->project ? image->project : "", '\'');
    } else if (strncmp(mark, beside, sizeof beside - 1) == 0) {
        struct place other = *place;
        set_name(other.table, mark + sizeof beside - 1, length - sizeof beside);
        write_table(out, &other, "");
    } else if (strncmp(mark, "{table}", length) == 0) {
        write_table(out, place, "");
    } else { /* braces of SQL itself */
        fwrite(mark, 1, length, out);
    }
}

/* What a query is made of. */
struct sql_source {
    const struct tool *tool;
    const char *own; /* the user's own query; NULL = the preset's */
    const struct place *place;
    const struct migrations *image;
    const char *lock; /* the key of the tool's advisory lock */
    const char *role; /* that asks; NULL = unknown */
};

/* Writes `sql` without the semicolon at its end, in a preset's with the placeholders filled. */
static void write_sql(FILE *out, const char *sql, const struct sql_source *source)
{
    size_t length = strlen(sql);
    while (length && strchr("; \t\r\n", sql[length - 1]))
        length--;
    for (const char *c = sql, *end = sql + length; c < end;) {
        const char *close = *c == '{' && !source->own ? memchr(c, '}', (size_t)(end - c)) : NULL;
        if (close) {
            write_placeholder(out, c, (size_t)(close - c) + 1, source->place, source->image);
            c = close + 1;
        } else {
            fputc(*c++, out);
        }
    }
    fputc('\n', out); /* it may end in a comment */
}

static void write_applied_words(FILE *out, const struct sql_source *source)
{
    write_sql(out, source->own ? source->own : source->tool->applied, source);
}

static void write_prelude(FILE *out, const struct sql_source *source)
{
    fputs(prelude, out);
    if (!source->own && !source->tool->whole_path)
        fputs(first_schema, out);
}

/* The table's columns with commas between, or NULL: the user's own query is about no table that we know. */
static void write_columns(FILE *out, const struct sql_source *source)
{
    char name[3 * NAME_MAX_BYTES];
    FILE *plain = source->own ? NULL : fmemopen(name, sizeof name, "w");
    if (!plain) {
        fputs("NULL", out);
        return;
    }
    write_table(plain, source->place, "");
    fclose(plain);
    fputs("(SELECT string_agg(attname::text, ',') FROM pg_attribute WHERE attrelid = to_regclass(", out);
    sql_quote(out, name, '\'');
    fputs(") AND attnum > 0 AND NOT attisdropped)", out);
}

/* Rows of the table's columns and an id; one row with a NULL id if nothing is applied. */
static void write_applied(FILE *out, const struct sql_source *source)
{
    write_prelude(out, source);
    fputs("SELECT ", out);
    write_columns(out, source);
    fputs(", applied.id FROM (SELECT) one LEFT JOIN (", out);
    write_applied_words(out, source);
    fputs(") AS applied(id) ON true", out);
}

/* Rows of who holds the tool's own lock: process, application. */
static void write_running(FILE *out, const struct sql_source *source)
{
    fprintf(out,
            "SELECT pid::text, application_name FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE"
            " locktype = 'advisory' AND granted AND objsubid = 1 AND datname = current_database() AND"
            " ((classid::bigint << 32) | objid::bigint) = %s AND pg_locks.database = datid",
            source->lock);
}

static void write_grant(FILE *out, const struct sql_source *source)
{
    const char *role = source->role ? source->role : "ROLE";
    fputs("GRANT SELECT ON ", out);
    write_table(out, source->place, "");
    fputs(" TO ", out);
    sql_quote(out, role, '"');
    if (!source->place->schema[0])
        return;
    fputs("; GRANT USAGE ON SCHEMA ", out);
    sql_quote(out, source->place->schema, '"');
    fputs(" TO ", out);
    sql_quote(out, role, '"');
}

static void write_failed_words(FILE *out, const struct sql_source *source)
{
    write_sql(out, source->own ? source->own : source->tool->failed, source);
}

/* Rows of an id and words. */
static void write_failed(FILE *out, const struct sql_source *source)
{
    write_prelude(out, source);
    /* One column more than the query has, so that its words may be left out. */
    fputs("SELECT failed.id::text, failed.words::text FROM (SELECT said.*, NULL::text FROM (", out);
    write_failed_words(out, source);
    fputs(") AS said) AS failed(id, words)", out);
}

/* Writes the key of the tool's own advisory lock in `database`, which may be NULL; nothing if it is not known. */
static void find_lock(const struct tool *tool, const struct place *place, const char *database, char key[24])
{
    const char *schema = place->schema[0] ? place->schema : "public";
    uint32_t crc = 0;
    if (tool->lock)
        snprintf(key, 24, "%s", tool->lock);
    if (!tool->lock_factor || !database || (tool->lock_of_table && !place->table[0]))
        return;
    if (tool->lock_of_table) {
        crc = digest_crc32(crc, schema, strlen(schema) + 1);
        crc = digest_crc32(crc, place->table, strlen(place->table) + 1);
        crc = digest_crc32(crc, "/", 1);
    }
    crc = digest_crc32(crc, database, strlen(database));
    uint64_t product = (uint64_t)tool->lock_factor * crc;
    snprintf(key, 24, "%" PRIu64, tool->lock_of_table ? product & UINT32_MAX : product);
}

static char *written(void (*write)(FILE *out, const struct sql_source *source), const struct sql_source *source)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    write(out, source);
    fclose(out);
    return text;
}

int history_plan_make(struct history_plan *plan, const struct tool *tool, const struct migrations *image,
                      const struct history_words *words, const char *url, const char *what, bool is_shared,
                      struct err *err)
{
    struct place place = {.schema = ""};
    struct url parsed;
    char lock[24] = "";
    *plan = (struct history_plan){.tool = tool, .image = image, .database_url = url, .is_shared = is_shared};
    if (url_parse(&parsed, url, what, err) != 0)
        return -1;
    if (!words->applied_sql) {
        find_table(&place, tool, image, words, &parsed);
        snprintf(plan->table, sizeof plan->table, "%s%s%s", place.schema, place.schema[0] ? "." : "", place.table);
    }
    find_lock(tool, &place, url_get(&parsed, "dbname"), lock);
    struct sql_source applied = {tool, words->applied_sql, &place, image, lock, url_get(&parsed, "user")};
    struct sql_source failed = applied;
    failed.own = words->failed_sql;
    plan->grant = written(write_grant, &applied);
    plan->applied_sql = written(write_applied, &applied);
    plan->applied_words = written(write_applied_words, &applied);
    if (lock[0])
        plan->running_sql = written(write_running, &failed);
    if (tool->failed || words->failed_sql) {
        plan->failed_sql = written(write_failed, &failed);
        plan->failed_words = written(write_failed_words, &failed);
    }
    plan->failed_is_own = words->failed_sql;
    url_free(&parsed);
    return plan->applied_sql && plan->applied_words && plan->grant ? 0 : err_set(err, ERR_SYSTEM, "out of memory");
}

void history_plan_free(struct history_plan *plan)
{
    free(plan->applied_sql);
    free(plan->running_sql);
    free(plan->failed_sql);
    free(plan->applied_words);
    free(plan->failed_words);
    free(plan->grant);
    *plan = (struct history_plan){.tool = NULL};
}
