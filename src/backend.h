/* A meeting place: where replicas find out what is applied, race for one lock and record their runs.
 * DESIGN section 4. One interface, one implementation for each kind of place; tests/e2e/test_conformance.py runs the
 * same cases against all of them.
 *
 * Every op is asked for at most once at a time and answered by exactly one handlers.reply, never from within the call
 * that asked, unless reset or close comes first. LOCK BEAT END RELEASE concern the connection that holds the lock;
 * LOOK LISTEN MARK FENCE may be asked beside one of those while the lock is held. */
#ifndef LOCKSTEP_BACKEND_H
#define LOCKSTEP_BACKEND_H

#include "ca_bundle.h"
#include "err.h"
#include "event.h"
#include "record.h"
#include "times.h"

#include <uv.h>

struct backend;
struct history_plan;
struct pg_result; /* libpq's PGresult */

/* The end of a query: its last result, or NULL and `err`; as pg_done of pg_link.h. */
typedef void backend_rows(void *user, struct pg_result *result, const struct err *err, const char *sqlstate);

/* Called from the loop. `user` is backend_config.user. Pointers are valid during the call only. */
struct backend_handlers {
    /* The answer to `op`. `look` is set for OP_LOOK with OP_OK; `err` is set unless the result is OP_OK or OP_BUSY. */
    void (*reply)(void *user, enum op op, enum op_result result, const struct look *look, const struct err *err);
    /* The connection that holds the lock or listens closed while nothing was asked on it. */
    void (*disconnected)(void *user, const struct err *err);
    void (*woken)(void *user);
    /* A connection stands. `pooled`: there is a pooler in between, so nobody can wake us. */
    void (*connected)(void *user, bool pooled);
    /* Things go on, but somebody should know this. */
    void (*warned)(void *user, enum event event, const char *text);
};

/* How much of a place is used: a split one (src/split.h) has the lock here and the records there. */
enum backend_part { BACKEND_WHOLE, BACKEND_LOCK, BACKEND_RECORDS };

/* The strings must live as long as the backend. */
struct backend_config {
    uv_loop_t *loop;
    const char *url;          /* validated by backend_check_url */
    const char *name;         /* which gate */
    const char *target;       /* the version that is looked for and recorded */
    const char *schema;       /* Postgres: where the record tables are */
    const char *database_url; /* what the command migrates; NULL = unknown */
    const char *command;      /* the migration command for the record, secrets masked */
    const char *version;      /* of lockstep */
    bool allow_eviction;      /* Redis: also one that may evict any key */
    bool makes_nothing;       /* file: a lock that is not there yet counts as taken if it could be made */
    enum backend_part part;
    const struct history_plan *history; /* the migration tool's own table says what is applied; NULL = the records do */
    const struct holder *holder;        /* complete from the first lock() on */
    struct times times;
    int64_t connect_timeout; /* ms */
    struct ca_variables ca;  /* for TLS where the URL names no CA */
    struct backend_handlers handlers;
    void *user;
};

struct mark {
    uint64_t token; /* look.fence, or one more than the last */
    int attempt;
    bool repeat; /* the token is that of our own running run, whose command is tried again */
};

struct ending {
    uint64_t token;
    enum run_state state; /* RUN_SUCCEEDED, RUN_FAILED, RUN_INTERRUPTED */
    int exit_status;
    const char *last_line;
    const char *output; /* the last TAIL_CAPACITY bytes at most */
    size_t output_length;
};

struct backend_ops {
    int64_t poll; /* ms between the looks of a waiter whom the place should wake */
    /* What is recorded? Asked while the lock is held, it is answered by another connection. */
    void (*look)(struct backend *b, const struct look_ask *ask);
    /* Runs `sql`, perhaps several statements, on the connection that looks, while no look is asked. NULL: this place is
     * no database. */
    void (*query)(struct backend *b, const char *sql, backend_rows *done, void *user);
    /* Tries the lock, never waits for it. BUSY: another holds it. */
    void (*lock)(struct backend *b);
    /* From OK on handlers.woken tells of every recorded begin and end. BUSY: not here; poll. */
    void (*listen)(struct backend *b);
    /* Records a run as running and every older running one as lost, if nobody has taken the token (else BUSY). The
     * record tables are made here if they are missing. */
    void (*mark)(struct backend *b, const struct mark *mark);
    /* Ends the database sessions of runs with a token below `below`. BUSY: some are still there; ask again. */
    void (*fence)(struct backend *b, uint64_t below);
    /* Proves to the server that we live, and to us that the lock is ours. LOST: it is not. */
    void (*beat)(struct backend *b);
    /* Tells waiters the run's latest line of output. No reply: the next one will do. */
    void (*progress)(struct backend *b, uint64_t token, const char *last_line);
    /* Records the end of the run, the version if it succeeded, releases the lock and wakes everybody, in one commit.
     * LOST: the run is not ours to end any more. */
    void (*end)(struct backend *b, const struct ending *ending);
    /* Gives the lock back without a record. */
    void (*release)(struct backend *b);
    /* Closes all connections, or all but the one with the lock; the ops asked on them are not answered. */
    void (*reset)(struct backend *b);
    void (*reset_clerk)(struct backend *b);
    /* The descriptor that must stay open as long as any process of a migration lives, -1 if the lock is not a file. */
    int (*lock_fd)(const struct backend *b);
    /* Frees the backend at once; its handles on the loop close in the next turn of the loop. */
    void (*close)(struct backend *b);
};

/* What every implementation begins with. */
struct backend {
    const struct backend_ops *ops;
    struct backend_config config;
};

/* Checks that `url` names a meeting place that is known and well formed, without touching it. `what` is what the user
 * called it (an option or variable), for the message. Writes a form for people to `shown` (of `capacity` bytes), never
 * with a password. Returns -1 with ERR_USAGE. */
int backend_check_url(const char *url, const char *what, char *shown, size_t capacity, struct err *err);

/* Whether the place `url` leaves the records to the database `database` (src/split.h). */
bool backend_is_split(const char *url, const char *database);

/* Opens the place that config->url names; nothing is connected before the first op. The only place in the source that
 * knows which kinds there are. Returns NULL with `err` set (ERR_REFUSED: not a directory we can use, …). */
struct backend *backend_open(const struct backend_config *config, struct err *err);

/* As backend_open; for places that stand before others. */
typedef struct backend *backend_opener(const struct backend_config *config, struct err *err);

/* The result of an op that `err` stands for. */
enum op_result backend_result(const struct err *err);

/* The DDL of the record tables in the Postgres schema `schema`, for a DBA to apply beforehand. The caller frees it.
 * NULL if memory is out. */
char *backend_ddl(const char *schema);

#endif
