#include "gate.h"

#include <assert.h>
#include <signal.h>
#include <string.h>

/* An op that is not answered within this time is one that a dead server will never answer. */
#define CALL_MS            10000
#define RETRY_MIN_MS       100 /* a server that is just starting: look again soon ... */
#define RETRY_MAX_MS       2000
#define CROWDED_MIN_MS     500 /* ... a full one: leave its connections to the migration */
#define CROWDED_MAX_MS     15000
#define POLL_MS            2000
#define POLL_MAX_MS        15000
#define FENCE_MS           200 /* how often to look whether terminated sessions are gone */
#define PROGRESS_MS        10000
#define CERTAIN_GRACE_MS   2000 /* G when the lock is certainly lost: a successor may already be counting */
#define LEAVE_ON_SIGNAL_MS 80   /* DESIGN section 5: a signal ends lockstep within 100 ms */

enum channel { LOCK_CHANNEL, CLERK_CHANNEL };

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t after(int64_t now, int64_t delay)
{
    return delay ? now + delay : GATE_NEVER;
}

/* xorshift64*: jitter needs no better one, and the simulation needs to replay it. */
static int64_t random_below(struct gate *g, int64_t bound)
{
    g->random ^= g->random >> 12;
    g->random ^= g->random << 25;
    g->random ^= g->random >> 27;
    return (int64_t)((g->random * 0x2545F4914F6CDD1DULL) >> 33) % bound;
}

/* `delay` with 50 % of jitter to both sides, so that replicas that started together do not stay together. */
static int64_t jittered(struct gate *g, int64_t delay)
{
    return delay / 2 + random_below(g, delay + 1);
}

static struct gate_action *act(struct gate_actions *out, enum gate_action_kind kind)
{
    assert(out->count < GATE_ACTIONS_MAX);
    struct gate_action *action = &out->list[out->count++];
    *action = (struct gate_action){.kind = kind};
    return action;
}

static struct gate_action *say(struct gate *g, struct gate_actions *out, enum event event)
{
    struct gate_action *action = act(out, GATE_SAY);
    action->event = event;
    action->token = g->token;
    action->status = g->status;
    return action;
}

static enum channel channel_of(enum op op)
{
    return op == OP_LOCK || op == OP_BEAT || op == OP_END || op == OP_RELEASE ? LOCK_CHANNEL : CLERK_CHANNEL;
}

static struct gate_action *ask(struct gate *g, int64_t now, struct gate_actions *out, enum op op)
{
    enum channel channel = channel_of(op);
    g->asked[channel] = op;
    g->asked_at[channel] = now;
    struct gate_action *action = act(out, GATE_ASK);
    action->op = op;
    return action;
}

/* Forgets all connections; a lock among them is released by that. */
static void reset(struct gate *g, struct gate_actions *out)
{
    g->asked[LOCK_CHANNEL] = g->asked[CLERK_CHANNEL] = OP_NONE;
    g->holding = g->listening = false;
    act(out, GATE_RESET);
}

static void reset_clerk(struct gate *g, struct gate_actions *out)
{
    g->asked[CLERK_CHANNEL] = OP_NONE;
    act(out, GATE_RESET_CLERK);
}

static void rest(struct gate *g, enum gate_state state, int64_t due)
{
    g->state = state;
    g->due = due;
}

static int64_t call_ms(const struct gate *g)
{
    return min64(CALL_MS, max64(g->config.connect_timeout, 1));
}

/* ---- leaving ---------------------------------------------------------------------------------------------------- */

static void finish(struct gate *g, int64_t now, struct gate_actions *out, struct gate_action last)
{
    if (g->holding) { /* a Redis lease or a file outlives its connection: give it back first */
        g->leaving = last;
        g->state = AT_LEAVE;
        g->due = now + (last.kind == GATE_FAIL && last.reason == GATE_STOPPED ? LEAVE_ON_SIGNAL_MS : call_ms(g));
        if (g->asked[LOCK_CHANNEL] == OP_NONE)
            ask(g, now, out, OP_RELEASE);
        return;
    }
    g->state = AT_DONE;
    if (last.kind == GATE_PASS)
        say(g, out, EVENT_PASSING);
    if (out->count == 0 || out->list[out->count - 1].kind != GATE_RESET)
        reset(g, out);
    *act(out, last.kind) = last;
}

static void pass(struct gate *g, int64_t now, struct gate_actions *out)
{
    finish(g, now, out, (struct gate_action){.kind = GATE_PASS});
}

static void fail(struct gate *g, int64_t now, struct gate_actions *out, enum gate_reason reason, int status)
{
    finish(g, now, out, (struct gate_action){.kind = GATE_FAIL, .reason = reason, .status = status});
}

static void stop_by_signal(struct gate *g, int64_t now, struct gate_actions *out, int signal)
{
    fail(g, now, out, GATE_STOPPED, 128 + signal);
}

/* ---- looking and waiting ---------------------------------------------------------------------------------------- */

static void look(struct gate *g, int64_t now, struct gate_actions *out, enum gate_state state)
{
    g->state = state;
    g->woken = false;
    struct gate_action *action = ask(g, now, out, OP_LOOK);
    action->look.own = g->result == RUN_NONE ? 0 : g->token;
    action->look.watch_from = g->watch_from;
}

static void wait_for_holder(struct gate *g, int64_t now, struct gate_actions *out)
{
    int64_t poll = POLL_MS;
    if (!g->listening) {
        poll = g->poll_ms;
        g->poll_ms = min64(g->poll_ms * 3 / 2, POLL_MAX_MS);
        reset(g, out); /* connections are for those who use them */
    }
    rest(g, AT_WAIT, g->woken ? now : now + jittered(g, poll));
}

static void subscribe_or_wait(struct gate *g, int64_t now, struct gate_actions *out)
{
    if (g->listen_tried) {
        wait_for_holder(g, now, out);
        return;
    }
    g->listen_tried = true;
    g->state = AT_SUBSCRIBE;
    ask(g, now, out, OP_LISTEN);
}

static void back_off(struct gate *g, int64_t now, struct gate_actions *out, const struct look *found)
{
    struct gate_action *action = say(g, out, EVENT_BACKOFF);
    action->token = found->last.token;
    action->deadline = now + found->not_before_ms;
    /* Not longer than a poll: `retry` forgets failures, and nobody is woken who does not listen. */
    rest(g, AT_BACK_OFF, now + min64(found->not_before_ms + random_below(g, 250), POLL_MAX_MS));
}

/* The result of a run of ours is not recorded: has it arrived after all? True if that decided anything. */
static bool settle(struct gate *g, int64_t now, struct gate_actions *out, enum run_state recorded)
{
    if (g->result == RUN_NONE)
        return false;
    if (recorded == RUN_RUNNING) { /* no: write it under a new lock (DESIGN section 2, rule 7) */
        if (g->state == AT_LOOK) {
            g->state = AT_CONTEND;
            ask(g, now, out, OP_LOCK);
            return true;
        }
        return false;
    }
    enum run_state ours = g->result;
    g->result = RUN_NONE;
    if (recorded == RUN_SUCCEEDED) {
        pass(g, now, out);
        return true;
    }
    if (recorded == RUN_FAILED || ours == RUN_FAILED) {
        fail(g, now, out, GATE_RUN_FAILED, g->status);
        return true;
    }
    return false; /* somebody marked it lost: it is just another look */
}

/* What ends the gate in the same way with and without the lock. True if it did. */
static bool decided(struct gate *g, int64_t now, struct gate_actions *out, const struct look *found)
{
    if (settle(g, now, out, found->own_state))
        return true;
    if (found->applied && g->result == RUN_NONE) {
        say(g, out, EVENT_SATISFIED);
        if (found->ahead)
            say(g, out, EVENT_AHEAD);
        pass(g, now, out);
        return true;
    }
    if (g->result == RUN_NONE && found->failed.token) {
        fail(g, now, out, GATE_RUN_FAILED, found->failed.exit_status);
        return true;
    }
    return false;
}

static bool exhausted(const struct gate *g, int failures)
{
    return g->config.max_attempts > 0 && failures >= g->config.max_attempts;
}

static void on_looked(struct gate *g, int64_t now, struct gate_actions *out, const struct look *found)
{
    bool listened_now = g->listened_now;
    g->listened_now = false;
    if (g->watch_from == 0) /* a run that is going on when we come counts as watched, an older one does not */
        g->watch_from = found->last.state == RUN_RUNNING ? found->last.token : found->last.token + 1;
    if (decided(g, now, out, found))
        return;
    if (g->config.mode == GATE_MODE_CHECK) {
        fail(g, now, out, GATE_PENDING, 1);
    } else if (found->last.state != RUN_RUNNING && exhausted(g, found->failures)) {
        fail(g, now, out, GATE_EXHAUSTED, found->last_failure_status);
    } else if (g->config.mode == GATE_MODE_WAIT || listened_now) {
        subscribe_or_wait(g, now, out);
    } else if (found->not_before_ms > 0 && found->last.state != RUN_RUNNING) {
        back_off(g, now, out, found);
    } else {
        g->state = AT_CONTEND;
        ask(g, now, out, OP_LOCK);
    }
    if (g->state == AT_WAIT || g->state == AT_SUBSCRIBE || g->state == AT_CONTEND) {
        bool somebody = found->last.state == RUN_RUNNING && found->last.token != g->said_token;
        if (somebody && !found->last_is_mine) {
            g->said_token = found->last.token;
            say(g, out, EVENT_WAITING)->token = found->last.token;
        }
    }
}

static void unreachable(struct gate *g, int64_t now, struct gate_actions *out, enum op_result result)
{
    reset(g, out);
    g->listen_tried = result == OP_CROWDED; /* a full server has no connection to spare for listening */
    if (g->config.mode == GATE_MODE_CHECK) {
        fail(g, now, out, GATE_UNREACHABLE, 0);
        return;
    }
    if (result == OP_CROWDED) { /* it answered */
        g->unreachable_since = GATE_NEVER;
        g->retry_ms = min64(max64(g->retry_ms * 2, CROWDED_MIN_MS), CROWDED_MAX_MS);
        rest(g, AT_RECONNECT, now + jittered(g, g->retry_ms));
        return;
    }
    g->unreachable_since = min64(g->unreachable_since, now);
    int64_t until = g->unreachable_since + g->config.connect_timeout;
    if (now >= until) {
        if (g->result == RUN_FAILED)
            fail(g, now, out, GATE_RUN_FAILED, g->status);
        else
            fail(g, now, out, g->result == RUN_SUCCEEDED ? GATE_UNRECORDED : GATE_UNREACHABLE, 0);
        return;
    }
    g->retry_ms = min64(max64(g->retry_ms * 2, RETRY_MIN_MS), RETRY_MAX_MS);
    rest(g, AT_RECONNECT, min64(now + jittered(g, g->retry_ms), until));
}

static void refused(struct gate *g, int64_t now, struct gate_actions *out)
{
    if (g->result == RUN_FAILED) /* what the user must mend first is the migration */
        fail(g, now, out, GATE_RUN_FAILED, g->status);
    else
        fail(g, now, out, g->result == RUN_SUCCEEDED ? GATE_UNRECORDED : GATE_REFUSED, 0);
}

/* ---- holding the lock ------------------------------------------------------------------------------------------- */

static void beat(struct gate *g, int64_t now, struct gate_actions *out)
{
    ask(g, now, out, OP_BEAT);
}

static bool beating(const struct gate *g)
{
    return g->holding && g->state != AT_RECORD && g->state != AT_LEAVE && g->stop != GATE_STOP_LOST;
}

/* The times that the leash enforces by itself: SIGTERM when the lease must count as lost, SIGKILL after the grace. */
static void set_lease(const struct gate *g, struct gate_action *action)
{
    action->deadline = g->sent + g->config.times.deadline;
    action->kill_at = action->deadline + g->config.times.grace;
}

static void record(struct gate *g, int64_t now, struct gate_actions *out, enum run_state result, int status)
{
    g->result = result;
    g->status = status;
    if (!g->holding) {
        look(g, now, out, AT_LOOK);
        return;
    }
    g->state = AT_RECORD;
    if (g->asked[LOCK_CHANNEL] != OP_NONE)
        return; /* a heartbeat is under way; its reply sends this */
    struct gate_action *action = ask(g, now, out, OP_END);
    action->token = g->token;
    action->state = result;
    action->status = status;
}

static void mark(struct gate *g, int64_t now, struct gate_actions *out, uint64_t token, int attempt)
{
    g->state = AT_MARK;
    g->token = token;
    g->attempt = attempt;
    struct gate_action *action = ask(g, now, out, OP_MARK);
    action->token = token;
    action->attempt = attempt;
    action->repeat = g->tries > 0;
}

static void fence(struct gate *g, int64_t now, struct gate_actions *out)
{
    g->state = AT_FENCE;
    /* A repeated try must not meet what its own predecessor left running in the server. */
    ask(g, now, out, OP_FENCE)->token = g->tries ? g->token + 1 : g->token;
}

static void start(struct gate *g, int64_t now, struct gate_actions *out)
{
    g->state = AT_MIGRATE;
    g->stop = GATE_STOP_NONE;
    g->run_due = after(now, g->config.migrate_timeout);
    say(g, out, EVENT_MIGRATING);
    struct gate_action *action = act(out, GATE_START);
    set_lease(g, action);
    action->token = g->token;
    action->attempt = g->attempt;
    action->state = g->tries ? RUN_FAILED : g->previous;
    g->tries++;
}

static void stop(struct gate *g, struct gate_actions *out, enum gate_stop why, int signal, int64_t kill_at)
{
    g->stop = why;
    say(g, out, EVENT_STOPPING)->signal = signal;
    struct gate_action *action = act(out, GATE_STOP);
    action->signal = signal;
    action->deadline = kill_at;
}

static void on_lock_lost(struct gate *g, int64_t now, struct gate_actions *out, bool certain)
{
    int64_t lease_over = g->sent + g->config.times.deadline;
    g->holding = false;
    g->listen_tried = false;
    say(g, out, EVENT_LOST)->status = certain;
    if (g->state == AT_MIGRATE) {
        /* The connections stay until the command is gone: closing them could free the lock before that. */
        g->asked[LOCK_CHANNEL] = g->asked[CLERK_CHANNEL] = OP_NONE;
        int64_t kill_at = lease_over + g->config.times.grace;
        if (certain)
            kill_at = min64(kill_at, now + min64(g->config.times.grace, CERTAIN_GRACE_MS));
        if (g->stop == GATE_STOP_SIGNAL)
            act(out, GATE_STOP)->deadline = kill_at; /* told already; only the end comes sooner */
        else
            stop(g, out, GATE_STOP_LOST, SIGTERM, kill_at);
        return;
    }
    reset(g, out);
    if (g->exit_signal) {
        stop_by_signal(g, now, out, g->exit_signal);
        return;
    }
    if (g->state == AT_PAUSE) /* the tries until now count, if nobody marks a run before we can say so */
        g->result = RUN_FAILED;
    look(g, now, out, AT_LOOK);
}

static void on_locked(struct gate *g, int64_t now, struct gate_actions *out)
{
    g->holding = true;
    g->quarantined = false;
    g->sent = g->asked_at[LOCK_CHANNEL];
    say(g, out, EVENT_LOCKED);
    look(g, now, out, AT_HOLD_LOOK);
}

static void on_hold_looked(struct gate *g, int64_t now, struct gate_actions *out, const struct look *found)
{
    if (decided(g, now, out, found))
        return;
    const struct run *last = &found->last;
    bool own = found->last_is_mine && last->token == g->token;
    bool unended = last->state == RUN_RUNNING;
    if (g->result != RUN_NONE) {
        if (own && unended) {
            record(g, now, out, g->result, g->status);
            return;
        }
        g->result = RUN_NONE; /* somebody has marked a run since: it is just another look */
    }
    if (exhausted(g, found->failures + (unended && found->last_is_same_target && !own))) {
        fail(g, now, out, GATE_EXHAUSTED, found->last_failure_status);
        return;
    }
    if (found->not_before_ms > 0 && !unended) {
        finish(g, now, out, (struct gate_action){.kind = GATE_RESET}); /* another failed while we contended */
        return;
    }
    g->previous = unended ? RUN_LOST : last->state;
    g->tries = 0;
    /* Dirt is sticky: only an ended run is clean. What is left of our own run, or of this container's life before its
     * restart, is known to be dead. */
    bool dirty = (unended && !own && !found->last_is_restarted) || found->server_changed;
    if (dirty && !(g->quarantined && g->quarantined_token == last->token)) {
        g->quarantined = true;
        g->quarantined_token = last->token;
        struct gate_action *action = say(g, out, EVENT_QUARANTINE);
        action->token = last->token;
        action->deadline = now + g->config.times.quarantine;
        rest(g, AT_QUARANTINE, action->deadline);
        return;
    }
    if (unended && !own)
        say(g, out, EVENT_TAKEOVER)->token = last->token;
    mark(g, now, out, last->token + 1, found->attempts + 1);
}

/* The clerk could not do its part; the lock is kept meanwhile, but not for ever. */
static void on_clerk_failed(struct gate *g, int64_t now, struct gate_actions *out)
{
    reset_clerk(g, out);
    g->unreachable_since = min64(g->unreachable_since, now);
    if (now >= g->unreachable_since + g->config.connect_timeout) {
        fail(g, now, out, GATE_UNREACHABLE, 0);
        return;
    }
    g->retry_ms = min64(max64(g->retry_ms * 2, RETRY_MIN_MS), RETRY_MAX_MS);
    rest(g, AT_HOLD_AGAIN, now + jittered(g, g->retry_ms));
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static void on_command_ended(struct gate *g, int64_t now, struct gate_actions *out, int status)
{
    enum gate_stop why = g->stop;
    g->stop = GATE_STOP_NONE;
    g->jumped_at = 0;
    g->status = status;
    if (!g->holding) {
        reset(g, out);
        if (g->exit_signal)
            stop_by_signal(g, now, out, g->exit_signal);
        else
            look(g, now, out, AT_LOOK); /* a waiter like the others; what the command did is anybody's guess */
    } else if (why == GATE_STOP_SIGNAL) {
        say(g, out, EVENT_INTERRUPTED)->signal = g->exit_signal;
        record(g, now, out, RUN_INTERRUPTED, status);
    } else if (why == GATE_STOP_TIMEOUT) {
        record(g, now, out, RUN_FAILED, GATE_STATUS_TIMEOUT);
    } else if (status == 0) {
        record(g, now, out, RUN_SUCCEEDED, 0);
    } else if (g->tries <= g->config.retries) {
        say(g, out, EVENT_FAILED);
        rest(g, AT_PAUSE, now + g->config.retry_delay);
    } else {
        record(g, now, out, RUN_FAILED, status);
    }
}

static void on_recorded(struct gate *g, int64_t now, struct gate_actions *out)
{
    enum run_state result = g->result;
    g->result = RUN_NONE;
    g->holding = false; /* recorded and released are one fact */
    if (result == RUN_SUCCEEDED)
        say(g, out, EVENT_MIGRATED);
    if (g->exit_signal)
        stop_by_signal(g, now, out, g->exit_signal);
    else if (result == RUN_SUCCEEDED)
        pass(g, now, out);
    else
        fail(g, now, out, GATE_RUN_FAILED, g->status);
}

static void on_record_failed(struct gate *g, int64_t now, struct gate_actions *out, enum op_result result)
{
    reset(g, out);
    if (g->exit_signal)
        stop_by_signal(g, now, out, g->exit_signal);
    else if (result == OP_REFUSED)
        refused(g, now, out);
    else
        look(g, now, out, AT_LOOK); /* perhaps only the reply was lost */
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

static void on_beat_reply(struct gate *g, int64_t now, struct gate_actions *out, enum op_result result)
{
    if (!g->holding)
        return;
    if (result != OP_OK) {
        if (g->state == AT_LEAVE)
            g->due = now;
        else
            on_lock_lost(g, now, out, true);
        return;
    }
    g->sent = g->asked_at[LOCK_CHANNEL];
    if (g->state == AT_RECORD) {
        record(g, now, out, g->result, g->status);
    } else if (g->state == AT_LEAVE) {
        ask(g, now, out, OP_RELEASE);
    } else if (g->state == AT_MIGRATE && g->stop != GATE_STOP_LOST) {
        set_lease(g, act(out, GATE_EXTEND));
        if (g->jumped_at && g->sent < g->jumped_at) {
            beat(g, now, out); /* that one was sent before the jump: it proves nothing about the time since */
        } else if (g->jumped_at) {
            g->jumped_at = 0;
            act(out, GATE_THAW);
        }
    }
}

static void on_left(struct gate *g, int64_t now, struct gate_actions *out)
{
    g->holding = false;
    reset(g, out);
    if (g->leaving.kind == GATE_RESET)
        look(g, now, out, AT_LOOK);
    else
        finish(g, now, out, g->leaving);
}

static void on_reply(struct gate *g, int64_t now, struct gate_actions *out, const struct gate_event *event)
{
    enum op op = event->op;
    enum op_result result = event->result;
    if (op == OP_NONE || g->asked[channel_of(op)] != op)
        return;
    g->asked[channel_of(op)] = OP_NONE;
    if (result != OP_OK && result != OP_BUSY) {
        g->failed_op = op;
    } else if (op >= g->failed_op) {
        g->failed_op = OP_NONE;
        g->unreachable_since = GATE_NEVER;
        g->retry_ms = 0;
    }
    if (op == OP_BEAT) {
        on_beat_reply(g, now, out, result);
        return;
    }
    if (op == OP_RELEASE) {
        on_left(g, now, out);
        return;
    }
    if (op == OP_END) {
        if (result == OP_OK)
            on_recorded(g, now, out);
        else
            on_record_failed(g, now, out, result);
        return;
    }
    bool failed = result != OP_OK && result != OP_BUSY;
    if (g->state == AT_HOLD_LOOK || g->state == AT_MARK || g->state == AT_FENCE) {
        if (result == OP_REFUSED)
            fail(g, now, out, GATE_REFUSED, 0);
        else if (failed)
            on_clerk_failed(g, now, out);
        else if (op == OP_LOOK)
            on_hold_looked(g, now, out, event->look);
        else if (op == OP_MARK && result == OP_BUSY)
            look(g, now, out, AT_HOLD_LOOK);
        else if (op == OP_MARK)
            fence(g, now, out);
        else if (op == OP_FENCE && result == OP_BUSY)
            g->due = now + FENCE_MS;
        else if (op == OP_FENCE)
            start(g, now, out);
        return;
    }
    if (result == OP_REFUSED)
        refused(g, now, out);
    else if (failed)
        unreachable(g, now, out, result);
    else if (op == OP_LOOK && g->state == AT_LOOK)
        on_looked(g, now, out, event->look);
    else if (op == OP_LOCK && g->state == AT_CONTEND && result == OP_OK)
        on_locked(g, now, out);
    else if (op == OP_LOCK && g->state == AT_CONTEND)
        subscribe_or_wait(g, now, out);
    else if (op == OP_LISTEN && g->state == AT_SUBSCRIBE && result == OP_OK) {
        g->listening = g->listened_now = true;
        look(g, now, out, AT_LOOK); /* subscribe, read, wait: what was recorded in between wakes nobody */
    } else if (op == OP_LISTEN && g->state == AT_SUBSCRIBE) {
        wait_for_holder(g, now, out);
    }
}

static void on_signal(struct gate *g, int64_t now, struct gate_actions *out, int signal)
{
    bool ends = signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
    if (g->state == AT_MIGRATE) {
        if (ends && g->stop != GATE_STOP_SIGNAL) {
            g->exit_signal = signal;
            if (g->stop == GATE_STOP_LOST) {
                act(out, GATE_FORWARD)->signal = signal;
                return;
            }
            stop(g, out, GATE_STOP_SIGNAL, signal, now + g->config.stop_grace);
            g->jumped_at = 0;
            return;
        }
        act(out, GATE_FORWARD)->signal = signal;
        return;
    }
    if (!ends && signal != SIGHUP)
        return;
    if (g->state == AT_RECORD) {
        g->exit_signal = signal;
    } else if (g->state == AT_PAUSE || g->state == AT_FENCE) { /* marked, but nothing is alive: end it in order */
        g->exit_signal = signal;
        say(g, out, EVENT_INTERRUPTED)->signal = signal;
        record(g, now, out, RUN_INTERRUPTED, 128 + signal);
    } else if (g->state == AT_LEAVE) {
        g->leaving = (struct gate_action){.kind = GATE_FAIL, .reason = GATE_STOPPED, .status = 128 + signal};
        g->due = min64(g->due, now + LEAVE_ON_SIGNAL_MS);
    } else {
        stop_by_signal(g, now, out, signal);
    }
}

static void on_disconnected(struct gate *g, int64_t now, struct gate_actions *out)
{
    if (g->holding && g->state == AT_LEAVE) {
        on_left(g, now, out);
    } else if (g->holding) {
        on_lock_lost(g, now, out, true);
    } else if (g->listening) {
        reset(g, out);
        g->listen_tried = false;
        look(g, now, out, AT_LOOK);
    }
}

static void on_clock_jumped(struct gate *g, int64_t now, struct gate_actions *out)
{
    if (!g->holding || g->state != AT_MIGRATE || g->stop != GATE_STOP_NONE)
        return;
    if (g->jumped_at == 0)
        act(out, GATE_FREEZE);
    g->jumped_at = now;
    if (g->asked[LOCK_CHANNEL] == OP_NONE)
        beat(g, now, out);
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

/* When an outstanding op counts as never answered. A heartbeat has no time of its own: s + D judges it. */
static int64_t call_due(const struct gate *g, enum channel channel)
{
    enum op op = g->asked[channel];
    return op == OP_NONE || op == OP_BEAT ? GATE_NEVER : g->asked_at[channel] + call_ms(g);
}

static int64_t next_beat(const struct gate *g)
{
    if (!beating(g) || g->asked[LOCK_CHANNEL] != OP_NONE)
        return GATE_NEVER;
    return g->sent + g->config.times.heartbeat;
}

static int64_t lock_lost_at(const struct gate *g)
{
    if (!beating(g) && !(g->state == AT_RECORD && g->asked[LOCK_CHANNEL] == OP_BEAT))
        return GATE_NEVER;
    return g->holding ? g->sent + g->config.times.deadline : GATE_NEVER;
}

static bool resting(const struct gate *g)
{
    return g->state == AT_WAIT || g->state == AT_BACK_OFF || g->state == AT_RECONNECT || g->state == AT_HOLD_AGAIN ||
           g->state == AT_QUARANTINE || g->state == AT_PAUSE || g->state == AT_LEAVE ||
           (g->state == AT_FENCE && g->asked[CLERK_CHANNEL] == OP_NONE);
}

/* The states in which --wait-timeout counts and progress is told: nothing of ours is running or being recorded. */
static bool queueing(const struct gate *g)
{
    return g->state != AT_MARK && g->state != AT_MIGRATE && g->state != AT_PAUSE && g->state != AT_RECORD &&
           g->state != AT_LEAVE && g->state != AT_DONE;
}

static int64_t give_up_at(const struct gate *g)
{
    return queueing(g) ? after(g->began, g->config.wait_timeout) : GATE_NEVER;
}

int64_t gate_due(const struct gate *g)
{
    if (g->state == AT_DONE)
        return GATE_NEVER;
    int64_t due = min64(call_due(g, LOCK_CHANNEL), call_due(g, CLERK_CHANNEL));
    due = min64(due, min64(next_beat(g), lock_lost_at(g)));
    due = min64(due, give_up_at(g));
    if (resting(g))
        due = min64(due, g->due);
    if (queueing(g))
        due = min64(due, g->say_due);
    if (g->state == AT_MIGRATE && g->stop == GATE_STOP_NONE)
        due = min64(due, g->run_due);
    return due;
}

static void on_due(struct gate *g, int64_t now, struct gate_actions *out)
{
    switch (g->state) {
    case AT_WAIT:
    case AT_BACK_OFF:
    case AT_RECONNECT:
        look(g, now, out, AT_LOOK);
        break;
    case AT_HOLD_AGAIN:
    case AT_QUARANTINE:
        look(g, now, out, AT_HOLD_LOOK);
        break;
    case AT_PAUSE:
        mark(g, now, out, g->token, g->attempt + 1);
        break;
    case AT_FENCE:
        fence(g, now, out);
        break;
    case AT_LEAVE:
        on_left(g, now, out);
        break;
    default:
        break;
    }
}

static void on_tick(struct gate *g, int64_t now, struct gate_actions *out)
{
    for (int channel = LOCK_CHANNEL; channel <= CLERK_CHANNEL; channel++) {
        if (now >= call_due(g, (enum channel)channel)) {
            struct gate_event silence = {.kind = GATE_REPLY, .op = g->asked[channel], .result = OP_UNAVAILABLE};
            on_reply(g, now, out, &silence);
            return;
        }
    }
    if (now >= give_up_at(g)) {
        fail(g, now, out, GATE_TIMED_OUT, 0);
        return;
    }
    if (now >= next_beat(g))
        beat(g, now, out);
    if (g->state == AT_MIGRATE && g->stop == GATE_STOP_NONE && now >= g->run_due)
        stop(g, out, GATE_STOP_TIMEOUT, SIGTERM, now + g->config.stop_grace);
    if (queueing(g) && now >= g->say_due) {
        g->say_due = now + PROGRESS_MS;
        say(g, out, EVENT_PROGRESS);
    }
    if (resting(g) && now >= g->due)
        on_due(g, now, out);
}

void gate_begin(struct gate *g, const struct gate_config *config, int64_t now, struct gate_actions *out)
{
    *g = (struct gate){
        .config = *config,
        .random = config->seed,
        .began = now,
        .say_due = now + PROGRESS_MS,
        .unreachable_since = GATE_NEVER,
        .poll_ms = POLL_MS,
        .run_due = GATE_NEVER,
    };
    out->count = 0;
    look(g, now, out, AT_LOOK);
}

void gate_step(struct gate *g, int64_t now, const struct gate_event *event, struct gate_actions *out)
{
    out->count = 0;
    if (g->state == AT_DONE)
        return;
    /* Before anything else: after a pause the news that waited for us must not hide that the lease is over. */
    if (now >= lock_lost_at(g))
        on_lock_lost(g, now, out, false);
    switch (event->kind) {
    case GATE_TICK:
        on_tick(g, now, out);
        break;
    case GATE_REPLY:
        on_reply(g, now, out, event);
        break;
    case GATE_DISCONNECTED:
        on_disconnected(g, now, out);
        break;
    case GATE_WOKEN:
        g->woken = true;
        if (g->state == AT_WAIT || g->state == AT_BACK_OFF)
            look(g, now, out, AT_LOOK);
        break;
    case GATE_SIGNALLED:
        on_signal(g, now, out, event->signal);
        break;
    case GATE_COMMAND_ENDED:
        if (g->state == AT_MIGRATE)
            on_command_ended(g, now, out, event->status);
        break;
    case GATE_CLOCK_JUMPED:
        on_clock_jumped(g, now, out);
        break;
    }
}

bool gate_command_alive(const struct gate *g)
{
    return g->state == AT_MIGRATE;
}
