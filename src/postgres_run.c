/* Recording: a run begins, goes on and ends. */
#include "postgres_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A migration that starts while fifty replicas are still connecting may find no connection left: wait a little until a
 * quarter is free (at most HEADROOM_TRIES times, then start anyway). */
#define HEADROOM_MS    100
#define HEADROOM_TRIES 50
#define HEADROOM_SQL                                                                                                   \
    "SELECT count(*) * 4 <= 3 * (current_setting('max_connections')::integer"                                          \
    " - current_setting('superuser_reserved_connections')::integer) AND (count(*) FILTER (WHERE usename = "            \
    "current_user)"                                                                                                    \
    " * 4 <= 3 * (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user)) IS NOT FALSE"           \
    " FROM pg_stat_activity WHERE backend_type = 'client backend'"

#define TABLES_TRIES 5 /* replicas of different gates may make the same schema at once; one of them gets an error */

static void run_mark(struct postgres *p);

/* ---- mark ------------------------------------------------------------------------------------------------------- */

static void fail_mark(struct postgres *p, const struct err *err, const char *sqlstate)
{
    struct err words = *err;
    postgres_explain_permission(p, p->clerk, &words, sqlstate);
    if (strcmp(sqlstate, "25006") == 0) /* no standby: the lock said so */
        err_set(&words, ERR_REFUSED, "%s; default_transaction_read_only must be off for this role and database",
                err->text);
    postgres_reply_error(p, OP_MARK, &words);
}

static bool made_by_another(const char *sqlstate)
{
    return strcmp(sqlstate, "23505") == 0 || strcmp(sqlstate, "42P06") == 0 || strcmp(sqlstate, "42P07") == 0;
}

static void on_tables(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    (void)result;
    bool schema_missing = err && strcmp(sqlstate, "3F000") == 0;
    if (err && !schema_missing && !made_by_another(sqlstate)) {
        fail_mark(p, err, sqlstate);
    } else if (schema_missing) {
        char *ddl = postgres_all_ddl(&p->records);
        if (!ddl)
            return; /* the gate's time for the call will run out */
        pg_link_run(p->clerk, ddl, NULL, 0, on_tables);
        free(ddl);
    } else {
        run_mark(p);
    }
}

static void on_marked(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    if (err && postgres_is_missing_table(sqlstate) && ++p->mark_tries <= TABLES_TRIES)
        /* Only now: who may write to tables that a DBA made need not be allowed to make any. */
        pg_link_run(p->clerk, p->records.sql[PG_TABLES], NULL, 0, on_tables);
    else if (err)
        fail_mark(p, err, sqlstate);
    else
        postgres_reply(p, OP_MARK, PQntuples(result) > 0 ? OP_OK : OP_BUSY, NULL, NULL);
}

static void run_mark(struct postgres *p)
{
    const struct backend_config *config = &p->base.config;
    const struct holder *me = config->holder;
    const struct pg_param params[] = {
        postgres_text(config->name),
        postgres_number(p->token_text, (long long)p->asked_mark.token),
        postgres_text(config->target),
        postgres_number(p->attempt_text, p->asked_mark.attempt),
        postgres_text(me->host),
        postgres_text(me->container),
        postgres_number(p->pid_text, me->pid),
        postgres_text(config->command),
        postgres_text(config->version),
        postgres_text(me->nonce),
        postgres_text(me->root),
        postgres_text(p->channel),
    };
    pg_link_run(p->clerk, p->records.sql[PG_MARK], params, sizeof params / sizeof params[0], on_marked);
}

static void check_headroom(void *user);

static void on_headroom(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    (void)sqlstate;
    bool crowded = !err && PQntuples(result) > 0 && PQgetvalue(result, 0, 0)[0] == 'f';
    if (err && !pg_link_conn(p->clerk))
        postgres_reply_error(p, OP_MARK, err);
    else if (crowded && ++p->mark_tries < HEADROOM_TRIES &&
             (int64_t)p->mark_tries * 6 * HEADROOM_MS < p->base.config.connect_timeout)
        p->later = later_call(p->base.config.loop, HEADROOM_MS, check_headroom, p);
    else {
        p->mark_tries = 0;
        run_mark(p);
    }
}

static void check_headroom(void *user)
{
    struct postgres *p = user;
    p->later = NULL;
    pg_link_run(p->clerk, HEADROOM_SQL, NULL, 0, on_headroom);
}

static void repeat_mark(struct postgres *p)
{
    const struct pg_param params[] = {
        postgres_text(p->base.config.name),
        postgres_number(p->token_text, (long long)p->asked_mark.token),
        postgres_number(p->attempt_text, p->asked_mark.attempt),
        postgres_text(p->base.config.holder->nonce),
    };
    pg_link_run(p->clerk, p->records.sql[PG_REPEAT], params, sizeof params / sizeof params[0], on_marked);
}

void postgres_mark(struct backend *b, const struct mark *mark)
{
    struct postgres *p = postgres_of(b);
    p->asked_mark = *mark;
    p->mark_tries = 0;
    p->mark_waits = p->telling;
    if (p->mark_waits)
        return;
    if (mark->repeat)
        repeat_mark(p);
    else
        check_headroom(p);
}

/* ---- fence ------------------------------------------------------------------------------------------------------ */

static void on_fenced(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct err words;
    if (err && strcmp(sqlstate, "42501") == 0) {
        err_set(&words, ERR_REFUSED,
                "%s; sessions of an older run belong to another role: GRANT pg_signal_backend to ours, or "
                "end them",
                err->text);
        postgres_reply_error(user, OP_FENCE, &words);
    } else if (err)
        postgres_reply_error(user, OP_FENCE, err);
    else
        postgres_reply(user, OP_FENCE, strcmp(PQgetvalue(result, 0, 0), "0") == 0 ? OP_OK : OP_BUSY, NULL, NULL);
}

/* Killing a command does not end the statement that its session runs: the server works on until it is done. */
void postgres_fence(struct backend *b, uint64_t below)
{
    static const char sql[] =
        "SELECT count(*), count(pg_terminate_backend(pid)) FROM (SELECT pid, substr(application_name, length($1) + 1)"
        " AS token FROM pg_stat_activity WHERE left(application_name, length($1)) = $1 AND pid <> pg_backend_pid()"
        " AND datname IN (current_database(), $3)) session"
        " WHERE CASE WHEN token ~ '^[0-9]{1,18}$' THEN token::bigint < $2::bigint END";
    struct postgres *p = postgres_of(b);
    snprintf(p->line, sizeof p->line, "%s:", p->application_name);
    const struct pg_param params[] = {
        postgres_text(p->line),
        postgres_number(p->token_text, (long long)below),
        postgres_text(p->database),
    };
    pg_link_run(p->clerk, sql, params, sizeof params / sizeof params[0], on_fenced);
}

/* ---- progress and end ------------------------------------------------------------------------------------------- */

/* The server converts from UTF-8; what its encoding cannot hold would fail the whole statement. */
static const char *storable(struct postgres *p, struct pg_link *link, const char *line)
{
    PGconn *conn = pg_link_conn(link);
    const char *encoding = conn ? PQparameterStatus(conn, "server_encoding") : NULL;
    bool all = encoding && strcmp(encoding, "UTF8") == 0;
    size_t n = 0;
    for (; *line && n + 1 < sizeof p->line; line++)
        p->line[n++] = all || (unsigned char)*line < 0x80 ? *line : '?';
    p->line[n] = '\0';
    return p->line;
}

static void on_progress(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    (void)result;
    (void)err; /* told for convenience; the run itself does not depend on it */
    (void)sqlstate;
    p->telling = false;
    if (p->mark_waits)
        postgres_mark(&p->base, &p->asked_mark);
}

void postgres_progress(struct backend *b, uint64_t token, const char *last_line)
{
    struct postgres *p = postgres_of(b);
    if (pg_link_busy(p->clerk) || p->later)
        return;
    const struct pg_param params[] = {
        postgres_text(b->config.name),
        postgres_number(p->token_text, (long long)token),
        postgres_text(storable(p, p->clerk, last_line)),
    };
    p->telling = true;
    pg_link_run(p->clerk, p->records.sql[PG_PROGRESS], params, sizeof params / sizeof params[0], on_progress);
}

static void on_committed(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    (void)sqlstate;
    struct err words;
    p->holding = false;
    if (err) {
        postgres_reply_error(p, OP_END, err);
    } else if (strcmp(PQcmdStatus(result), "COMMIT") == 0) {
        postgres_reply(p, OP_END, OP_OK, NULL, NULL);
    } else {
        err_set(&words, ERR_LOST, "the server rolled the record back");
        postgres_reply_error(p, OP_END, &words);
    }
}

static void on_ended(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    struct err words;
    if (err) {
        words = *err;
        postgres_explain_permission(p, p->lock, &words, sqlstate);
        /* The server is there and says no: asking again and again would be a loop. */
        if (sqlstate[0] && pg_link_conn(p->lock) && strncmp(sqlstate, "57", 2) != 0 && strncmp(sqlstate, "40", 2) != 0)
            words.code = ERR_REFUSED;
        postgres_reply_error(p, OP_END, &words);
    } else if (PQntuples(result) == 0) {
        err_set(&words, ERR_LOST, "another replica has taken the run over");
        postgres_reply_error(p, OP_END, &words);
    } else if (p->base.config.part == BACKEND_RECORDS) { /* committed by itself */
        postgres_reply(p, OP_END, OP_OK, NULL, NULL);
    } else {
        pg_link_run(p->lock, "COMMIT", NULL, 0, on_committed);
    }
}

/* On the connection of the lock: result, version, wake-up and release are one commit. */
void postgres_end(struct backend *b, const struct ending *ending)
{
    struct postgres *p = postgres_of(b);
    const struct pg_param params[] = {
        postgres_text(b->config.name),
        postgres_number(p->token_text, (long long)ending->token),
        postgres_text(run_state_name(ending->state)),
        postgres_number(p->status_text, ending->exit_status),
        postgres_text(storable(p, p->lock, ending->last_line)),
        {.value = ending->output, .length = (int)ending->output_length, .binary = true},
        postgres_text(p->channel),
    };
    pg_link_run(p->lock, p->records.sql[PG_END], params, sizeof params / sizeof params[0], on_ended);
}
