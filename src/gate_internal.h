/* What the files of the gate share: gate.c (events), gate_queue.c (looking, waiting, leaving), gate_hold.c (the lock
 * and the command), gate_time.c (what is due when). The contract is in gate.h. */
#ifndef LOCKSTEP_GATE_INTERNAL_H
#define LOCKSTEP_GATE_INTERNAL_H

#include "gate.h"

/* An op that is not answered within this time is one that a dead server will never answer. */
#define CALL_MS            10000
#define CALL_MIN_MS        1000
#define RETRY_MIN_MS       100 /* a server that is just starting: look again soon ... */
#define RETRY_MAX_MS       2000
#define CROWDED_MIN_MS     500 /* ... a full one: leave its connections to the migration */
#define CROWDED_MAX_MS     15000
#define POLL_MS            2000
#define POLL_MAX_MS        15000
#define FENCE_MS           200 /* how often to look whether terminated sessions are gone */
#define PROGRESS_MS        10000
#define END_ON_SIGNAL_MS   1500 /* --stop-grace and this must fit into the 10 s of docker stop */
#define LEAVE_ON_SIGNAL_MS 80   /* DESIGN section 5: a signal ends lockstep within 100 ms */

enum channel { LOCK_CHANNEL, CLERK_CHANNEL };

static inline int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The time `delay` from now; 0 means never, as in the timeouts of the configuration. */
static inline int64_t after(int64_t now, int64_t delay)
{
    return delay ? now + delay : GATE_NEVER;
}

static inline enum channel channel_of(enum op op)
{
    return op == OP_LOCK || op == OP_BEAT || op == OP_END || op == OP_RELEASE ? LOCK_CHANNEL : CLERK_CHANNEL;
}

/* ---- gate.c ---- */

/* A number in [0, bound); the sequence follows from the seed. */
int64_t gate_random(struct gate *g, int64_t bound);
/* `delay` with 50 % of jitter to both sides, so that replicas that started together do not stay together. */
int64_t gate_jittered(struct gate *g, int64_t delay);
/* The next delay between tries at a server, from `least` to `most` and growing, with jitter. */
int64_t gate_retry_delay(struct gate *g, int64_t least, int64_t most);
/* Adds an action. */
struct gate_action *gate_act(struct gate_actions *out, enum gate_action_kind kind);
/* Adds a GATE_SAY about our own run. */
struct gate_action *gate_say(struct gate *g, struct gate_actions *out, enum event event);
/* Adds a GATE_ASK and remembers that it is outstanding. */
struct gate_action *gate_ask(struct gate *g, int64_t now, struct gate_actions *out, enum op op);
/* Forgets all connections; a lock among them is released by that. */
void gate_reset(struct gate *g, struct gate_actions *out);
/* Forgets all but the one with the lock. */
void gate_reset_clerk(struct gate *g, struct gate_actions *out);
/* Goes to a resting state until `due`. */
void gate_rest(struct gate *g, enum gate_state state, int64_t due);
/* How long an op may go unanswered. */
int64_t gate_call_ms(const struct gate *g);
/* Takes the answer to an op; also called for an op that was not answered in time. */
void gate_reply(struct gate *g, int64_t now, struct gate_actions *out, const struct gate_event *event);

/* ---- gate_queue.c ---- */

/* Gives the lock back if it is ours, then does `last` (GATE_PASS, GATE_FAIL, or GATE_RESET: look again). */
void gate_finish(struct gate *g, int64_t now, struct gate_actions *out, struct gate_action last);
void gate_pass(struct gate *g, int64_t now, struct gate_actions *out);
void gate_fail(struct gate *g, int64_t now, struct gate_actions *out, enum gate_reason reason, int status);
/* Fails because run `token`, ours or one that we watched, failed with `status`. */
void gate_run_failed(struct gate *g, int64_t now, struct gate_actions *out, uint64_t token, int status);
void gate_leave_by_signal(struct gate *g, int64_t now, struct gate_actions *out, int signal);
/* Asks what is recorded; `state` is AT_LOOK or AT_HOLD_LOOK. */
void gate_look(struct gate *g, int64_t now, struct gate_actions *out, enum gate_state state);
/* Waits for the holder: to be woken, or for the next poll. */
void gate_wait(struct gate *g, int64_t now, struct gate_actions *out);
/* Asks to be woken, once; then waits. */
void gate_subscribe(struct gate *g, int64_t now, struct gate_actions *out);
/* What ends the gate in the same way with and without the lock. True if it did. */
bool gate_decided(struct gate *g, int64_t now, struct gate_actions *out, const struct look *found);
bool gate_exhausted(const struct gate *g, int failures);
void gate_looked(struct gate *g, int64_t now, struct gate_actions *out, const struct look *found);
void gate_unreachable(struct gate *g, int64_t now, struct gate_actions *out, enum op_result result);
/* Fails for `reason`, unless there is an unrecorded result of our run to tell of. */
void gate_give_up(struct gate *g, int64_t now, struct gate_actions *out, enum gate_reason reason);

/* The lock is given back, or will not be in time: does what was to follow. */
void gate_left(struct gate *g, int64_t now, struct gate_actions *out);

/* ---- gate_hold.c ---- */

void gate_beat(struct gate *g, int64_t now, struct gate_actions *out);
/* A heartbeat was answered. */
void gate_beat_replied(struct gate *g, int64_t now, struct gate_actions *out, enum op_result result);
/* Whether heartbeats are due: the lock is ours and not about to be given back. */
bool gate_beating(const struct gate *g);
/* Records the end of our run under the lock, or looks for it if the lock is gone. */
void gate_record(struct gate *g, int64_t now, struct gate_actions *out, enum run_state result, int status);
void gate_mark(struct gate *g, int64_t now, struct gate_actions *out, uint64_t token, int attempt);
/* Asks to end what older runs left in the database. */
void gate_fence(struct gate *g, int64_t now, struct gate_actions *out);
void gate_start(struct gate *g, int64_t now, struct gate_actions *out);
/* Tells the command to end. */
void gate_end_command(struct gate *g, struct gate_actions *out, enum gate_stop why, int signal, int64_t kill_at);
/* The lock is not ours any more: certainly (the server said so), or by the time that passed. */
void gate_lock_lost(struct gate *g, int64_t now, struct gate_actions *out, bool certain);
void gate_locked(struct gate *g, int64_t now, struct gate_actions *out);
void gate_hold_looked(struct gate *g, int64_t now, struct gate_actions *out, const struct look *found);
/* The place did not mark our run. */
void gate_mark_refused(struct gate *g, int64_t now, struct gate_actions *out);
/* The clerk could not do its part; the lock is kept meanwhile, but not for ever. */
void gate_clerk_failed(struct gate *g, int64_t now, struct gate_actions *out, enum op_result result);
void gate_command_ended(struct gate *g, int64_t now, struct gate_actions *out, const struct gate_event *event);
void gate_recorded(struct gate *g, int64_t now, struct gate_actions *out);
void gate_record_failed(struct gate *g, int64_t now, struct gate_actions *out, enum op_result result);

/* ---- gate_time.c ---- */

/* When, without another acknowledged heartbeat, the lock counts as lost. */
int64_t gate_lock_lost_at(const struct gate *g);
/* Does what is due. */
void gate_tick(struct gate *g, int64_t now, struct gate_actions *out);

#endif
