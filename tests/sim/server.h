/* The model meeting place, with the semantics of the Postgres one: a lock that lives in a connection's transaction and
 * ends with it, a server-side idle timeout as the lease, records that change atomically. */
#ifndef LOCKSTEP_SIM_SERVER_H
#define LOCKSTEP_SIM_SERVER_H

#include "net.h"

#define RUNS_MAX 512

struct run_row {
    enum run_state state;
    int target;
    int attempt;
    int slot;
    uint32_t proc; /* the holder's nonce */
    int container;
    int exit_status;
    int64_t not_before;
    int64_t finished_at;
    bool seen_dirty; /* BROKEN_STICKY: a winner has met it running */
};

struct server {
    bool down;
    bool silent;       /* while down: nobody even says that nobody is there */
    int timeline;      /* a failover begins a new one */
    int gate_timeline; /* ... as recorded with the last mark */
    int holder;        /* the connection that has the lock, -1 = it is free */
    uint32_t lock_stamp;
    int64_t locked_at;
    int64_t lease;
    bool door_closed;    /* nobody answers new connections; those that stand go on */
    int crowded_percent; /* of new connections that find the server full */
    int wake_loss_percent;
    int listeners_max;
    bool refuses[REPLICAS_MAX]; /* somebody took this replica's permissions away */
    uint64_t token;
    struct run_row runs[RUNS_MAX + 1]; /* by token */
    uint64_t applied[TARGETS_MAX];     /* the token that applied it, 0 = not applied */
};

void server_begin(struct sim *sim);
void server_receive(struct sim *sim, int conn, const struct message *message);

/* The backend of a connection ends: terminated, timed out, or its client is known to be gone. */
void server_terminate(struct sim *sim, int conn, bool silent);
void server_forget(struct sim *sim, int conn);

/* Everything is closed, every lock is free; what was committed stays. */
void server_crash(struct sim *sim, bool silent, bool failover);
void server_restart(struct sim *sim);

/* Runs of `target` that count as failures: failed and lost ones, and with `unended` what still reads as running. */
int server_failures(const struct server *server, int target, bool unended);

#endif
