#include "postgres.h"

#include "pg_trust.h"
#include "postgres_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two int4 keys are another space than our one int8 key: these are the slots of those who listen. */
#define LISTENER_CLASS 0x6c6f636b /* "lock" */

#define BEAT_TRIES     5

/* ---- lock ------------------------------------------------------------------------------------------------------- */

static void on_busy(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    (void)result;
    (void)sqlstate;
    if (err)
        postgres_reply_error(user, OP_LOCK, err);
    else
        postgres_reply(user, OP_LOCK, OP_BUSY, NULL, NULL);
}

static void on_savepoint(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    (void)result;
    (void)sqlstate;
    if (err) {
        postgres_reply_error(p, OP_LOCK, err);
        return;
    }
    p->holding = true;
    postgres_reply(p, OP_LOCK, OP_OK, NULL, NULL);
}

static void on_lock(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    if (err) {
        /* BEGIN … READ WRITE says 0A000 on a standby. */
        if (!postgres_refuse_standby(p, OP_LOCK, strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "25006") == 0))
            postgres_reply_error(p, OP_LOCK, err);
        return;
    }
    postgres_learn_pid(p, PQgetvalue(result, 0, 1));
    if (PQgetvalue(result, 0, 0)[0] != 't')
        pg_link_run(p->lock, "ROLLBACK", NULL, 0, on_busy);
    else if (!postgres_refuse_standby(p, OP_LOCK, PQgetvalue(result, 0, 2)[0] == 't'))
        pg_link_run(p->lock, "SAVEPOINT heartbeat", NULL, 0,
                    on_savepoint); /* an ERROR would free the lock without it */
}

static void postgres_lock(struct backend *b);

static void on_no_key(void *user)
{
    struct postgres *p = user;
    struct err err;
    p->later = NULL;
    if (postgres_derive_key(p, &err) != 0)
        postgres_reply_error(p, OP_LOCK, &err);
    else
        postgres_lock(&p->base);
}

/* One open transaction that is idle under READ COMMITTED holds the lock, but no snapshot (research/locks.md section 1);
 * it needs no state of the session, so it is right through a transaction pooler too. */
static void postgres_lock(struct backend *b)
{
    struct postgres *p = postgres_of(b);
    PGconn *conn = pg_link_conn(p->lock);
    struct err err;
    char sql[512];
    if (postgres_derive_key(p, &err) != 0) {
        p->later = later_call(b->config.loop, 0, on_no_key, p);
        return;
    }
    snprintf(sql, sizeof sql,
             "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
             "SET LOCAL idle_in_transaction_session_timeout = %lld;"
             "SET LOCAL statement_timeout = %lld; SET LOCAL lock_timeout = %lld; %s"
             "SELECT pg_try_advisory_xact_lock(%" PRId64 "), pg_backend_pid(), pg_is_in_recovery()",
             (long long)b->config.times.lease, (long long)b->config.times.deadline, (long long)b->config.times.deadline,
             conn && PQserverVersion(conn) >= 170000 ? "SET LOCAL transaction_timeout = 0;" : "", (int64_t)p->key);
    pg_link_run(p->lock, sql, NULL, 0, on_lock);
}

static void on_beat(void *user, PGresult *result, const struct err *err, const char *sqlstate);

/* Who returns to the savepoint is in the transaction that took the lock, and nothing but its end frees the lock: this
 * proves as much as a row of pg_locks does. It may not be a query. A query has a snapshot while it runs, and CREATE
 * INDEX CONCURRENTLY that begins to wait in this very moment waits for the end of the whole transaction, not of the
 * snapshot (PostgreSQL source, WaitForOlderSnapshots): for us, as we wait for it. */
static void run_beat(struct postgres *p)
{
    pg_link_run(p->lock, "ROLLBACK TO SAVEPOINT heartbeat", NULL, 0, on_beat);
}

static void on_beat(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    struct err lost;
    (void)result;
    if (!err) {
        postgres_reply(p, OP_BEAT, OP_OK, NULL, NULL);
        return;
    }
    bool is_gone = strcmp(sqlstate, "25P01") == 0 || strcmp(sqlstate, "3B001") == 0; /* no transaction, not ours */
    if (!is_gone && pg_link_conn(p->lock) && p->beat_tries++ < BEAT_TRIES) { /* cancelled, perhaps, and perhaps again */
        run_beat(p);
        return;
    }
    err_set(&lost, ERR_LOST, "%s", err->text);
    postgres_reply_error(p, OP_BEAT, &lost);
}

static void postgres_beat(struct backend *b)
{
    postgres_of(b)->beat_tries = 0;
    run_beat(postgres_of(b));
}

static void on_release(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    (void)result;
    (void)sqlstate;
    p->holding = false;
    if (err)
        postgres_reply_error(p, OP_RELEASE, err);
    else
        postgres_reply(p, OP_RELEASE, OP_OK, NULL, NULL);
}

static void postgres_release(struct backend *b)
{
    pg_link_run(postgres_of(b)->lock, "ROLLBACK", NULL, 0, on_release);
}

/* ---- listen ----------------------------------------------------------------------------------------------------- */

static void on_listening(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    (void)result;
    (void)sqlstate;
    if (err)
        postgres_reply_error(p, OP_LISTEN, err);
    else
        postgres_reply(p, OP_LISTEN, OP_OK, NULL, NULL);
}

static void on_slot(void *user, PGresult *result, const struct err *err, const char *sqlstate)
{
    struct postgres *p = user;
    (void)sqlstate;
    if (err) {
        postgres_reply_error(p, OP_LISTEN, err);
    } else if (PQntuples(result) == 0) {
        postgres_reply(p, OP_LISTEN, OP_BUSY, NULL, NULL);
    } else {
        char sql[64];
        snprintf(sql, sizeof sql, "LISTEN %s", p->channel);
        pg_link_run(p->lock, sql, NULL, 0, on_listening);
    }
}

static void on_pooled(void *user)
{
    struct postgres *p = user;
    p->later = NULL;
    postgres_reply(p, OP_LISTEN, OP_BUSY, NULL, NULL);
}

/* A quarter of the connections that we may have can idle in LISTEN; a session lock on one of as many slots is the
 * ticket. */
static void postgres_listen(struct backend *b)
{
    struct postgres *p = postgres_of(b);
    if (p->pooled) {
        p->later = later_call(b->config.loop, 0, on_pooled, p);
        return;
    }
    char sql[600];
    snprintf(
        sql, sizeof sql,
        "SELECT slot FROM (SELECT (%ld + n) %% slots AS slot FROM"
        " (SELECT least(current_setting('max_connections')::integer, nullif(rolconnlimit, -1),"
        " nullif(datconnlimit, -1)) / 4 AS slots FROM pg_roles, pg_database"
        " WHERE rolname = current_user AND datname = current_database()) size,"
        " LATERAL generate_series(0, slots - 1) AS n) permuted WHERE pg_try_advisory_lock(%d, slot::integer) LIMIT 1",
        strtol(b->config.holder->nonce + 28, NULL, 16), LISTENER_CLASS);
    pg_link_run(p->lock, sql, NULL, 0, on_slot);
}

/* ---- connections ------------------------------------------------------------------------------------------------ */

static void on_link_closed(void *user, struct pg_link *link, const struct err *err)
{
    struct postgres *p = user;
    if (link != p->lock)
        return; /* the clerk connects again when it is needed */
    p->holding = false;
    p->introduced = false;
    p->base.config.handlers.disconnected(p->base.config.user, err);
}

static void on_link_notified(void *user)
{
    struct postgres *p = user;
    p->base.config.handlers.woken(p->base.config.user);
}

static void postgres_reset_clerk(struct backend *b)
{
    struct postgres *p = postgres_of(b);
    later_cancel(p->later);
    p->later = NULL;
    p->telling = p->mark_waits = false;
    pg_link_drop(p->clerk);
}

static void postgres_reset(struct backend *b)
{
    struct postgres *p = postgres_of(b);
    postgres_reset_clerk(b);
    pg_link_drop(p->lock);
    p->holding = false;
}

static int postgres_lock_fd(const struct backend *b)
{
    (void)b;
    return -1;
}

static void postgres_close(struct backend *b)
{
    struct postgres *p = postgres_of(b);
    later_cancel(p->later);
    pg_link_free(p->lock);
    pg_link_free(p->clerk);
    pg_records_free(&p->records);
    url_free(&p->url);
    free(p);
}

static const struct backend_ops ops = {
    .poll = 2000,
    .look = postgres_look,
    .query = postgres_query,
    .lock = postgres_lock,
    .listen = postgres_listen,
    .mark = postgres_mark,
    .fence = postgres_fence,
    .beat = postgres_beat,
    .progress = postgres_progress,
    .end = postgres_end,
    .release = postgres_release,
    .reset = postgres_reset,
    .reset_clerk = postgres_reset_clerk,
    .lock_fd = postgres_lock_fd,
    .close = postgres_close,
};

/* Sessions of older runs are in the database that the command migrates, which need not be that of the lock. */
static void find_database(struct postgres *p)
{
    struct url url;
    struct err unused;
    const char *text = p->base.config.database_url;
    if (!text || url_parse(&url, text, "", &unused) != 0)
        return;
    const char *name = url_get(&url, "dbname");
    snprintf(p->database, sizeof p->database, "%s", name ? name : "");
    url_free(&url);
}

struct backend *postgres_open(const struct backend_config *config, struct err *err)
{
    struct postgres *p = calloc(1, sizeof *p);
    if (!p) {
        err_set(err, ERR_SYSTEM, "out of memory");
        return NULL;
    }
    p->base = (struct backend){.ops = &ops, .config = *config};
    /* Without a token behind the name: these are the sessions that a fence must not end. */
    snprintf(p->application_name, sizeof p->application_name, "lockstep:%s", config->name);
    struct pg_link_config link = {
        .loop = config->loop,
        .url = &p->url,
        .application_name = p->application_name,
        .user_timeout = config->times.deadline,
        .events = {.closed = on_link_closed, .notified = on_link_notified},
        .user = p,
    };
    if (url_parse(&p->url, config->url, "the lock URL", err) != 0 || pg_trust(&p->url, &config->ca, err) != 0) {
        postgres_close(&p->base);
        return NULL;
    }
    find_database(p);
    p->lock = pg_link_new(&link);
    p->clerk = pg_link_new(&link);
    if (!p->lock || !p->clerk || pg_records_init(&p->records, config->schema) != 0) {
        err_set(err, ERR_SYSTEM, "out of memory");
        postgres_close(&p->base);
        return NULL;
    }
    return &p->base;
}

char *postgres_ddl(const char *schema)
{
    struct pg_records records;
    char *ddl = pg_records_init(&records, schema) == 0 ? postgres_all_ddl(&records) : NULL;
    pg_records_free(&records);
    return ddl;
}
