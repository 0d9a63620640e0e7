#include "gate_internal.h"

#include <signal.h>

#define LOSSES_MAX       5 /* a timeout somewhere that is shorter than our heartbeat would take the lock for ever */
#define LOSS_PAUSE_MS    250
#define CERTAIN_GRACE_MS 2000 /* G when the lock is certainly lost: a successor may already be counting */

void gate_beat(struct gate *g, int64_t now, struct gate_actions *out)
{
    gate_ask(g, now, out, OP_BEAT);
}

bool gate_beating(const struct gate *g)
{
    return g->holding && g->state != AT_RECORD && g->state != AT_LEAVE && g->stop != GATE_STOP_LOST;
}

/* The times that the leash enforces by itself: SIGTERM when the lease must count as lost, SIGKILL after the grace. */
static void set_lease(const struct gate *g, struct gate_action *action)
{
    action->deadline = g->sent + g->config.times.deadline;
    action->kill_at = action->deadline + g->config.times.grace;
}

void gate_record(struct gate *g, int64_t now, struct gate_actions *out, enum run_state result, int status)
{
    g->result = result;
    g->status = status;
    if (!g->holding) {
        gate_look(g, now, out, AT_LOOK);
        return;
    }
    g->state = AT_RECORD;
    if (g->asked[LOCK_CHANNEL] != OP_NONE)
        return; /* a heartbeat is under way; its reply sends this */
    struct gate_action *action = gate_ask(g, now, out, OP_END);
    action->token = g->token;
    action->state = result;
    action->status = status;
}

void gate_mark(struct gate *g, int64_t now, struct gate_actions *out, uint64_t token, int attempt)
{
    g->state = AT_MARK;
    g->token = token;
    g->attempt = attempt;
    struct gate_action *action = gate_ask(g, now, out, OP_MARK);
    action->token = token;
    action->attempt = attempt;
    action->repeat = g->tries > 0;
}

void gate_fence(struct gate *g, int64_t now, struct gate_actions *out)
{
    g->state = AT_FENCE;
    /* A repeated try must not meet what its own predecessor left running in the server. */
    gate_ask(g, now, out, OP_FENCE)->token = g->tries ? g->token + 1 : g->token;
}

void gate_start(struct gate *g, int64_t now, struct gate_actions *out)
{
    g->state = AT_MIGRATE;
    g->stop = GATE_STOP_NONE;
    g->run_due = after(now, g->config.migrate_timeout);
    g->started = now;
    gate_say(g, out, EVENT_MIGRATING);
    struct gate_action *action = gate_act(out, GATE_START);
    set_lease(g, action);
    action->token = g->token;
    action->attempt = g->attempt;
    action->state = g->tries ? RUN_FAILED : g->previous;
    g->tries++;
    g->repeating = false;
}

void gate_end_command(struct gate *g, struct gate_actions *out, enum gate_stop why, int signal, int64_t kill_at)
{
    g->stop = why;
    gate_say(g, out, EVENT_STOPPING)->signal = signal;
    struct gate_action *action = gate_act(out, GATE_STOP);
    action->signal = signal;
    action->deadline = kill_at;
}

void gate_lock_lost(struct gate *g, int64_t now, struct gate_actions *out, bool certain)
{
    int64_t lease_over = g->sent + g->config.times.deadline;
    g->holding = g->repeating = false;
    g->listen_tried = false;
    gate_say(g, out, EVENT_LOST)->status = certain;
    if (g->state == AT_MIGRATE) {
        /* The connections stay until the command is gone: closing them could free the lock before that. */
        g->asked[LOCK_CHANNEL] = g->asked[CLERK_CHANNEL] = OP_NONE;
        int64_t kill_at = lease_over + g->config.times.grace;
        if (certain)
            kill_at = min64(kill_at, now + min64(g->config.times.grace, CERTAIN_GRACE_MS));
        if (g->stop == GATE_STOP_SIGNAL)
            gate_act(out, GATE_STOP)->deadline = kill_at; /* told already; only the end comes sooner */
        else
            gate_end_command(g, out, GATE_STOP_LOST, SIGTERM, kill_at);
        return;
    }
    gate_reset(g, out);
    if (g->exit_signal) {
        gate_leave_by_signal(g, now, out, g->exit_signal);
        return;
    }
    if (g->state == AT_PAUSE) /* the tries until now count, if nobody marks a run before we can say so */
        g->result = RUN_FAILED;
    gate_look(g, now, out, AT_LOOK);
}

void gate_locked(struct gate *g, int64_t now, struct gate_actions *out)
{
    g->holding = true;
    g->quarantined = false;
    g->sent = g->asked_at[LOCK_CHANNEL];
    gate_say(g, out, EVENT_LOCKED);
    gate_look(g, now, out, AT_HOLD_LOOK);
}

/* A run of ours that is marked, and whose command is not alive, goes on if it may: true if it does. */
static bool go_on_with_own_run(struct gate *g, int64_t now, struct gate_actions *out)
{
    if (g->repeating)
        gate_mark(g, now, out, g->token, g->attempt);
    else if (g->tries == 0) /* only the reply to our mark was lost; nothing has run under it */
        gate_fence(g, now, out);
    else
        return false;
    return true;
}

/* Waits out what the holder of run `last`, or of one that the place has forgotten, may still do. */
static void quarantine(struct gate *g, int64_t now, struct gate_actions *out, const struct run *last)
{
    g->quarantined = true;
    g->quarantined_token = last->token;
    struct gate_action *action = gate_say(g, out, EVENT_QUARANTINE);
    action->token = last->token;
    action->state = last->state;
    action->deadline = now + g->config.times.quarantine;
    gate_rest(g, AT_QUARANTINE, action->deadline);
}

void gate_hold_looked(struct gate *g, int64_t now, struct gate_actions *out, const struct look *found)
{
    if (gate_decided(g, now, out, found))
        return;
    const struct run *last = &found->last;
    bool own = found->last_is_mine && last->token == g->token;
    bool unended = last->state == RUN_RUNNING;
    if (g->result != RUN_NONE) {
        if (own && unended) {
            gate_record(g, now, out, g->result, g->status);
            return;
        }
        g->result = RUN_NONE; /* somebody has marked a run since: it is just another look */
        if (gate_decided(g, now, out, found))
            return;
    }
    if (gate_exhausted(g, found->failures + (unended && found->last_is_same_target && (!own || g->tries > 0)))) {
        gate_fail(g, now, out, GATE_EXHAUSTED, found->last_failure_status);
        return;
    }
    if (found->not_before_ms > 0 && !unended) {
        gate_finish(g, now, out, (struct gate_action){.kind = GATE_RESET}); /* another failed while we contended */
        return;
    }
    /* A place that may have forgotten has perhaps forgotten who took over from us. */
    if (own && unended && !found->server_changed && go_on_with_own_run(g, now, out))
        return;
    g->previous = unended ? RUN_LOST : last->state;
    /* Dirt is sticky: only an ended run is clean. What is left of our own run, or of this container's life before its
     * restart, is known to be dead. */
    bool dirty = (unended && !own && !found->last_is_restarted) || found->server_changed;
    if (dirty && !(g->quarantined && g->quarantined_token == last->token)) {
        quarantine(g, now, out, last);
        return;
    }
    if (unended && !own)
        gate_say(g, out, EVENT_TAKEOVER)->token = last->token;
    g->tries = 0; /* not before: after a quarantine it still tells whether our own run's command has been alive */
    gate_mark(g, now, out, found->fence ? found->fence : last->token + 1, found->attempts + 1);
}

/* Somebody has marked a run, or the lock is not what we believe: ask for it at once, and look again a little later, as
 * the next heartbeat may be hours away. */
void gate_mark_refused(struct gate *g, int64_t now, struct gate_actions *out)
{
    gate_rest(g, AT_HOLD_AGAIN, now + gate_retry_delay(g, RETRY_MIN_MS, RETRY_MAX_MS));
    if (g->asked[LOCK_CHANNEL] == OP_NONE)
        gate_beat(g, now, out);
}

/* The clerk could not do its part; the lock is kept meanwhile, but not for ever. */
void gate_clerk_failed(struct gate *g, int64_t now, struct gate_actions *out, enum op_result result)
{
    bool crowded = result == OP_CROWDED; /* it answered */
    gate_reset_clerk(g, out);
    if (!crowded && now >= g->unreachable_since + g->config.connect_timeout) {
        gate_give_up(g, now, out, GATE_UNREACHABLE);
        return;
    }
    gate_rest(
        g, AT_HOLD_AGAIN,
        now + gate_retry_delay(g, crowded ? CROWDED_MIN_MS : RETRY_MIN_MS, crowded ? CROWDED_MAX_MS : RETRY_MAX_MS));
}

void gate_command_ended(struct gate *g, int64_t now, struct gate_actions *out, const struct gate_event *event)
{
    enum gate_stop why = g->stop;
    int status = event->status;
    g->stop = GATE_STOP_NONE;
    g->jumped_at = 0;
    g->status = status;
    g->began += now - g->started; /* our own migration is no waiting */
    if (!g->holding) {
        gate_reset(g, out);
        if (g->exit_signal)
            gate_leave_by_signal(g, now, out, g->exit_signal);
        else if (++g->losses >= LOSSES_MAX)
            gate_fail(g, now, out, GATE_LOST_AGAIN, 0);
        else /* a waiter like the others, a little late; what the command did is anybody's guess */
            gate_rest(g, AT_RECONNECT, now + ((int64_t)LOSS_PAUSE_MS << g->losses));
    } else if (event->migrated) {
        gate_record(g, now, out, RUN_SUCCEEDED, 0);
    } else if (why == GATE_STOP_SIGNAL) {
        gate_say(g, out, EVENT_INTERRUPTED)->signal = g->exit_signal;
        gate_record(g, now, out, RUN_INTERRUPTED, status);
    } else if (why == GATE_STOP_TIMEOUT) {
        gate_record(g, now, out, RUN_FAILED, GATE_STATUS_TIMEOUT);
    } else if (status == 0) {
        gate_record(g, now, out, RUN_SUCCEEDED, 0);
    } else if (!event->final && g->tries <= g->config.retries) {
        gate_say(g, out, EVENT_FAILED);
        gate_rest(g, AT_PAUSE, now + g->config.retry_delay);
    } else {
        gate_record(g, now, out, RUN_FAILED, status);
    }
}

void gate_recorded(struct gate *g, int64_t now, struct gate_actions *out)
{
    enum run_state result = g->result;
    g->result = RUN_NONE;
    g->holding = false; /* recorded and released are one fact */
    if (result == RUN_SUCCEEDED)
        gate_say(g, out, EVENT_MIGRATED);
    if (g->exit_signal)
        gate_leave_by_signal(g, now, out, g->exit_signal);
    else if (result == RUN_INTERRUPTED)
        gate_finish(g, now, out, g->leaving);
    else if (result == RUN_SUCCEEDED)
        gate_pass(g, now, out);
    else
        gate_run_failed(g, now, out, g->token, g->status);
}

void gate_record_failed(struct gate *g, int64_t now, struct gate_actions *out, enum op_result result)
{
    gate_reset(g, out);
    g->listen_tried = false;
    if (g->exit_signal)
        gate_leave_by_signal(g, now, out, g->exit_signal);
    else if (g->result == RUN_INTERRUPTED)
        gate_finish(g, now, out, g->leaving);
    else if (result == OP_REFUSED)
        gate_give_up(g, now, out, GATE_REFUSED);
    else
        gate_look(g, now, out, AT_LOOK); /* perhaps only the reply was lost */
}

void gate_beat_replied(struct gate *g, int64_t now, struct gate_actions *out, enum op_result result)
{
    if (!g->holding)
        return;
    if (result != OP_OK) {
        if (g->state == AT_LEAVE)
            g->due = now;
        else
            gate_lock_lost(g, now, out, true);
        return;
    }
    g->sent = g->asked_at[LOCK_CHANNEL];
    if (g->state == AT_RECORD) {
        gate_record(g, now, out, g->result, g->status);
    } else if (g->state == AT_LEAVE) {
        gate_ask(g, now, out, OP_RELEASE);
    } else if (g->state == AT_MIGRATE && g->stop != GATE_STOP_LOST) {
        set_lease(g, gate_act(out, GATE_EXTEND));
        if (g->jumped_at && g->sent < g->jumped_at) {
            gate_beat(g, now, out); /* that one was sent before the jump: it proves nothing about the time since */
        } else if (g->jumped_at) {
            g->jumped_at = 0;
            gate_act(out, GATE_THAW);
        }
    }
}
