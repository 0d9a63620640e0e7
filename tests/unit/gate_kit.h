/* A gate on the bench: feeds it events and finds what it answered. */
#ifndef LOCKSTEP_GATE_KIT_H
#define LOCKSTEP_GATE_KIT_H

#include "gate.h"

#define BENCH_BEGAN INT64_C(1000000) /* when every gate begins */
#define BENCH_OTHER 7                /* the token of somebody else's run */

struct bench {
    struct gate_config config;
    struct gate gate;
    int64_t now;
    struct look look;        /* what the next answer to OP_LOOK says */
    struct gate_actions out; /* the latest step's */
};

/* A bench with DESIGN's defaults, a place where nothing is recorded, and no gate yet. */
struct bench bench_new(void);

/* Begins the gate and leads it to `state` without letting time pass. AT_PAUSE needs config.retries. */
void bench_begin(struct bench *b);
void bench_reach(struct bench *b, enum gate_state state);

/* One event each, at b->now. */
void bench_tick(struct bench *b);
void bench_reply(struct bench *b, enum op op, enum op_result result);
void bench_signal(struct bench *b, int signal);
void bench_ended(struct bench *b, int status);
void bench_migrated(struct bench *b);            /* the command ended, and the migration in it had succeeded */
void bench_refused(struct bench *b, int status); /* it was not started, as it would fail again and again */
void bench_event(struct bench *b, enum gate_event_kind kind);

/* Sleeps until the gate wants its tick, and gives it. */
void bench_wake(struct bench *b);

/* Lets `ms` pass; ticks come when the gate wants them, and every heartbeat is acknowledged at once. Stops early, with
 * its actions in b->out, at the first step that does more than beat, extend the lease, or tell progress. */
void bench_pass(struct bench *b, int64_t ms);

/* The latest step's action of `kind`, its question `op`, what it said of `event`; NULL if there was none. */
const struct gate_action *bench_find(const struct bench *b, enum gate_action_kind kind);
const struct gate_action *bench_asked(const struct bench *b, enum op op);
const struct gate_action *bench_said(const struct bench *b, enum event event);

/* Whether the latest step failed for `reason` with `status`. */
bool bench_failed(const struct bench *b, enum gate_reason reason, int status);

/* Makes the last recorded run one of somebody else's in `state`, for the same target. */
void bench_other_run(struct bench *b, enum run_state state);

/* Makes the last recorded run our own of `token` in `state`, as a backend tells it when asked for `own`. */
void bench_own_run(struct bench *b, uint64_t token, enum run_state state);

#endif
