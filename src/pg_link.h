/* One libpq connection on a libuv loop: connects when first used, runs one statement at a time, never blocks. */
#ifndef LOCKSTEP_PG_LINK_H
#define LOCKSTEP_PG_LINK_H

#include "err.h"
#include "url.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <uv.h>

#define PG_PARAMS_MAX 16

struct pg_link;

/* The end of a statement: its last result, or NULL and `err`. `result` is valid during the call. `err->code` says what
 * may be done about it; `sqlstate` is "" if the server did not speak. */
typedef void pg_done(void *user, PGresult *result, const struct err *err, const char *sqlstate);

struct pg_link_events {
    void (*closed)(void *user, struct pg_link *link, const struct err *err); /* while no statement was running */
    void (*notified)(void *user);
};

/* A text value with no type of its own, or `length` bytes of bytea if `binary`. */
struct pg_param {
    const char *value;
    int length;
    bool binary;
};

struct pg_link_config {
    uv_loop_t *loop;
    const struct url *url; /* lives longer than the link */
    const char *application_name;
    int64_t user_timeout; /* ms: tcp_user_timeout, so that a dead network is noticed with data in flight */
    struct pg_link_events events;
    void *user;
};

/* Makes a link that is not connected yet. NULL if memory is out. */
struct pg_link *pg_link_new(const struct pg_link_config *config);

/* Runs `sql`, connecting first if need be, and calls `done` from the loop, unless the link is closed before. With
 * `count` > 0, one statement with parameters; with 0, perhaps several, in one round trip. Nothing may be running.
 * `sql` is copied, parameters are not: they must live until `done` or close. */
void pg_link_run(struct pg_link *link, const char *sql, const struct pg_param *params, int count, pg_done *done);

/* The connection, for its parameters (PQserverVersion, PQbackendPID, …); NULL while there is none. */
PGconn *pg_link_conn(const struct pg_link *link);

/* Whether a statement is running or waits for the connection. */
bool pg_link_busy(const struct pg_link *link);

/* Drops the connection, and `done` with it; a transaction that was open ends. The link may be used again. */
void pg_link_drop(struct pg_link *link);

/* Drops the connection and frees the link. */
void pg_link_free(struct pg_link *link);

#endif
