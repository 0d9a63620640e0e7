/* Looking: what is recorded? */
#include "postgres_internal.h"

#include <string.h>

static struct pg_link *looker(struct postgres *p)
{
    return p->holding || p->base.config.part == BACKEND_RECORDS ? p->clerk : p->lock;
}

/* What both answers begin with: the backend's process id, and whether it is a standby. True if there is nothing more to
 * say than has been replied. */
static bool is_answered(struct postgres *p, const PGresult *result, const struct err *err)
{
    if (err) {
        postgres_reply_error(p, OP_LOOK, err);
        return true;
    }
    postgres_learn_pid(p, PQgetvalue(result, 0, 0));
    return postgres_refuse_standby(p, OP_LOOK, PQgetvalue(result, 0, 1)[0] == 't');
}

static void on_nothing(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    struct look look = {.tail = "", .last_failure_status = -1, .last = {.exit_status = -1}};
    (void)sqlstate;
    if (!is_answered(p, result, err))
        postgres_reply(p, OP_LOOK, OP_OK, &look, NULL);
}

static void on_look(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    struct look look;
    unsigned char *tail;
    const struct backend_config *config = &p->base.config;
    (void)sqlstate;
    if (is_answered(p, result, err))
        return;
    pg_records_read_look(result, config->holder, &p->asked_look, config->target, &look, &tail);
    look.applied = p->applied;
    look.ahead = p->ahead;
    postgres_reply(p, OP_LOOK, OP_OK, &look, NULL);
    PQfreemem(tail);
}

static void on_applied(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    if (err && postgres_is_missing_table(sqlstate)) { /* nothing is recorded */
        pg_link_run(looker(p), p->records.sql[PG_NOTHING], NULL, 0, on_nothing);
        return;
    }
    if (err) {
        struct err words = *err;
        postgres_explain_permission(p, looker(p), &words, sqlstate);
        postgres_reply_error(p, OP_LOOK, &words);
        return;
    }
    p->applied = PQntuples(result) > 0;
    p->ahead = p->applied && PQgetvalue(result, 0, 1)[0] == 't';
    if (p->applied && p->asked_look.own == 0 && !p->asked_look.whole) {
        postgres_learn_pid(p, PQgetvalue(result, 0, 0));
        struct look look = {.applied = true, .ahead = p->ahead, .tail = ""};
        postgres_reply(p, OP_LOOK, OP_OK, &look, NULL);
        return;
    }
    const struct pg_param params[] = {postgres_text(p->base.config.name), postgres_text(p->base.config.target),
                                      postgres_number(p->token_text, (long long)p->asked_look.own)};
    pg_link_run(looker(p), p->records.sql[PG_LOOK], params, sizeof params / sizeof params[0], on_look);
}

/* On the fast path this first statement is the only one, and touches a single table: a new backend spends most of its
 * time on reading its catalogs. */
void postgres_look(struct backend *b, const struct look_ask *ask)
{
    struct postgres *p = postgres_of(b);
    p->asked_look = *ask;
    const struct pg_param params[] = {postgres_text(b->config.name), postgres_text(b->config.target)};
    pg_link_run(looker(p), p->records.sql[PG_APPLIED], params, sizeof params / sizeof params[0], on_applied);
    struct err unused;
    (void)postgres_derive_key(p, &unused); /* libcrypto starts up while the server forks a backend for us */
}

static void on_rows(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    p->asked_rows(p->asked_rows_user, result, err, sqlstate);
}

void postgres_query(struct backend *b, const char *sql, backend_rows *done, void *user)
{
    struct postgres *p = postgres_of(b);
    p->asked_rows = done;
    p->asked_rows_user = user;
    if (p->telling) { /* told for convenience only */
        pg_link_drop(p->clerk);
        p->telling = false;
    }
    pg_link_run(looker(p), sql, NULL, 0, on_rows);
}
