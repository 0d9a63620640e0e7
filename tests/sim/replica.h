/* A place where a container runs, and in it one lockstep process after the other, each with the gate under test. */
#ifndef LOCKSTEP_SIM_REPLICA_H
#define LOCKSTEP_SIM_REPLICA_H

#include "../../src/gate.h"
#include "net.h"
#include "scenario.h"

#define SIGNALS_MAX 8

/* The connections of a replica. With Postgres the clerk listens, too. */
enum line { LINE_LOCK, LINE_CLERK, LINE_EARS, LINES };

struct sim;

struct replica {
    const struct scenario_replica *made;
    int target;
    bool alive;    /* a lockstep process is there */
    bool coming;   /* ... or will be */
    uint32_t proc; /* the nonce of the present or latest process */
    int container;
    int restarts_left;
    bool stopped; /* SIGSTOP to lockstep alone */
    bool paused;  /* the whole container */
    int64_t halted_at;
    uint32_t halt_stamp;

    struct gate gate;
    int conn[LINES]; /* -1 = none */
    enum op asked[2];
    struct message request[2];
    enum line asked_on[2];
    uint32_t ask_stamp[2];
    bool locked, listening;
    uint64_t fence;    /* Redis: that came with the lock */
    struct view found; /* what a look has found while the other half of it is asked: of Redis, of the app */
    int64_t tick_at;
    uint32_t tick_stamp;

    bool ended; /* what came while it was halted */
    int ended_status;
    int signals[SIGNALS_MAX], signal_count;
    bool jumped;

    /* For the checker. */
    int64_t began_at, command_ms, command_since, stepped_at, halted_last;
    int steps_now, busy_count;
    int64_t busy_since;
    int quarantines;
    bool started_one; /* a command since the process began */
    bool success_seen;
    int own_status;
    int got_signal[SIGNALS_MAX], got_count;
    int64_t asked_last[OP_RELEASE + 1];
    int64_t unanswered_since[OP_RELEASE + 1]; /* by op: when it was asked in vain first; GATE_NEVER = not so */
};

/* Between the server's clock, which is the world's, and the replica's. */
int64_t replica_local(const struct replica *replica, int64_t global);
int64_t replica_global(const struct replica *replica, int64_t local);

/* Whether its process can run. */
bool replica_runs(const struct replica *replica);

void replicas_begin(struct sim *sim);
void replica_start(struct sim *sim, int slot);
void replica_step(struct sim *sim, int slot, const struct gate_event *event);
void replica_receive(struct sim *sim, int conn, const struct message *message);
void replica_command_ended(struct sim *sim, int slot, int status);

/* What befalls it. */
void replica_kill_container(struct sim *sim, int slot, bool silent);
void replica_crash(struct sim *sim, int slot);
void replica_halt(struct sim *sim, int slot, bool whole_container, int64_t duration);
void replica_go_on(struct sim *sim, int slot);
void replica_signal(struct sim *sim, int slot, int signal);
void replica_clock_jump(struct sim *sim, int slot);

/* A process that has ended may come back. */
void replica_come_back(struct sim *sim, int slot);

/* arms.c: performs what the gate wants. */
void arms_perform(struct sim *sim, int slot, const struct gate_action *action);

/* Closes all connections; or they vanish with the host. */
void arms_reset(struct sim *sim, int slot, bool abort);
void arms_vanish(struct sim *sim, int slot);

#endif
