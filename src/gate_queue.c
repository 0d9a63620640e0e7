#include "gate_internal.h"

void gate_finish(struct gate *g, int64_t now, struct gate_actions *out, struct gate_action last)
{
    if (g->holding && g->state == AT_FENCE) { /* marked, but nothing runs: say so, or a successor waits it out */
        g->leaving = last;
        gate_record(g, now, out, g->tries ? RUN_FAILED : RUN_INTERRUPTED, g->tries ? g->status : 0);
        return;
    }
    if (g->holding) { /* a Redis lease or a file outlives its connection: give it back first */
        g->leaving = last;
        g->state = AT_LEAVE;
        g->due = now + (last.kind == GATE_FAIL && last.reason == GATE_STOPPED ? LEAVE_ON_SIGNAL_MS : gate_call_ms(g));
        if (g->asked[LOCK_CHANNEL] == OP_NONE)
            gate_ask(g, now, out, OP_RELEASE);
        return;
    }
    g->state = AT_DONE;
    if (last.kind == GATE_PASS)
        gate_say(g, out, EVENT_PASSING);
    if (out->count == 0 || out->list[out->count - 1].kind != GATE_RESET)
        gate_reset(g, out);
    *gate_act(out, last.kind) = last;
}

void gate_pass(struct gate *g, int64_t now, struct gate_actions *out)
{
    gate_finish(g, now, out, (struct gate_action){.kind = GATE_PASS});
}

void gate_fail(struct gate *g, int64_t now, struct gate_actions *out, enum gate_reason reason, int status)
{
    gate_finish(g, now, out, (struct gate_action){.kind = GATE_FAIL, .reason = reason, .status = status});
}

void gate_run_failed(struct gate *g, int64_t now, struct gate_actions *out, uint64_t token, int status)
{
    gate_finish(g, now, out,
                (struct gate_action){.kind = GATE_FAIL, .reason = GATE_RUN_FAILED, .token = token, .status = status});
}

void gate_leave_by_signal(struct gate *g, int64_t now, struct gate_actions *out, int signal)
{
    gate_fail(g, now, out, GATE_STOPPED, 128 + signal);
}

void gate_look(struct gate *g, int64_t now, struct gate_actions *out, enum gate_state state)
{
    g->state = state;
    g->woken = false;
    struct gate_action *action = gate_ask(g, now, out, OP_LOOK);
    action->look.own = g->result == RUN_NONE ? 0 : g->token;
    action->look.watch_from = g->watch_from;
}

void gate_wait(struct gate *g, int64_t now, struct gate_actions *out)
{
    int64_t poll = g->config.poll;
    if (!g->listening) {
        poll = g->poll_ms;
        g->poll_ms = min64(g->poll_ms * 3 / 2, POLL_MAX_MS);
        gate_reset(g, out); /* connections are for those who use them */
    }
    gate_rest(g, AT_WAIT, g->woken ? now : now + gate_jittered(g, poll));
}

void gate_subscribe(struct gate *g, int64_t now, struct gate_actions *out)
{
    if (g->listen_tried) {
        gate_wait(g, now, out);
        return;
    }
    g->listen_tried = true;
    g->state = AT_SUBSCRIBE;
    gate_ask(g, now, out, OP_LISTEN);
}

static void back_off(struct gate *g, int64_t now, struct gate_actions *out, const struct look *found)
{
    struct gate_action *action = gate_say(g, out, EVENT_BACKOFF);
    action->token = found->last.token;
    action->deadline = now + found->not_before_ms;
    if (!g->listening)
        gate_reset(g, out); /* connections are for those who use them */
    /* Not longer than a poll: `retry` forgets failures, and nobody is woken who does not listen. */
    gate_rest(g, AT_BACK_OFF, now + min64(found->not_before_ms + gate_random(g, 250), POLL_MAX_MS));
}

/* The result of a run of ours is not recorded: has it arrived after all? True if that decided anything. */
static bool settle(struct gate *g, int64_t now, struct gate_actions *out, enum run_state recorded)
{
    if (g->result == RUN_NONE)
        return false;
    if (recorded == RUN_RUNNING) { /* no: write it under a new lock (DESIGN section 2, rule 7) */
        if (g->state == AT_LOOK) {
            g->state = AT_CONTEND;
            gate_ask(g, now, out, OP_LOCK);
            return true;
        }
        return false;
    }
    enum run_state ours = g->result;
    g->result = RUN_NONE;
    if (recorded == RUN_SUCCEEDED) {
        gate_pass(g, now, out);
        return true;
    }
    if (recorded == RUN_FAILED || ours == RUN_FAILED) {
        gate_run_failed(g, now, out, g->token, g->status);
        return true;
    }
    return false; /* somebody marked it lost: it is just another look */
}

/* What ends the gate in the same way with and without the lock. True if it did. */
bool gate_decided(struct gate *g, int64_t now, struct gate_actions *out, const struct look *found)
{
    if (settle(g, now, out, found->own_state))
        return true;
    if (found->applied && g->result == RUN_NONE) {
        gate_say(g, out, EVENT_SATISFIED);
        if (found->ahead)
            gate_say(g, out, EVENT_AHEAD);
        gate_pass(g, now, out);
        return true;
    }
    if (g->result == RUN_NONE && found->failed.token) {
        gate_run_failed(g, now, out, found->failed.token, found->failed.exit_status);
        return true;
    }
    return false;
}

bool gate_exhausted(const struct gate *g, int failures)
{
    return g->config.max_attempts > 0 && failures >= g->config.max_attempts;
}

void gate_looked(struct gate *g, int64_t now, struct gate_actions *out, const struct look *found)
{
    bool watching = g->watching;
    g->watching = false;
    if (g->watch_from == 0) /* a run that is going on when we come counts as watched, an older one does not */
        g->watch_from = found->last.state == RUN_RUNNING ? found->last.token : found->last.token + 1;
    if (gate_decided(g, now, out, found))
        return;
    if (g->config.mode == GATE_MODE_CHECK) {
        gate_fail(g, now, out, GATE_PENDING, 1);
    } else if (found->last.state != RUN_RUNNING && gate_exhausted(g, found->failures)) {
        gate_fail(g, now, out, GATE_EXHAUSTED, found->last_failure_status);
    } else if (g->config.mode == GATE_MODE_WAIT || (watching && found->last.state == RUN_RUNNING)) {
        gate_subscribe(g, now, out);
    } else if (found->not_before_ms > 0 && found->last.state != RUN_RUNNING) {
        back_off(g, now, out, found);
    } else {
        g->state = AT_CONTEND;
        gate_ask(g, now, out, OP_LOCK);
    }
    if (g->state == AT_WAIT || g->state == AT_SUBSCRIBE || g->state == AT_CONTEND) {
        bool somebody = found->last.state == RUN_RUNNING && found->last.token != g->said_token;
        if (somebody && !found->last_is_mine) {
            g->said_token = found->last.token;
            gate_say(g, out, EVENT_WAITING)->token = found->last.token;
        }
    }
}

void gate_unreachable(struct gate *g, int64_t now, struct gate_actions *out, enum op_result result)
{
    gate_reset(g, out);
    g->listen_tried = result == OP_CROWDED; /* a full server has no connection to spare for listening */
    if (g->config.mode == GATE_MODE_CHECK) {
        gate_fail(g, now, out, GATE_UNREACHABLE, 0);
        return;
    }
    if (result == OP_CROWDED) { /* it answered */
        gate_rest(g, AT_RECONNECT, now + gate_retry_delay(g, CROWDED_MIN_MS, CROWDED_MAX_MS));
        return;
    }
    int64_t until = g->unreachable_since + g->config.connect_timeout;
    if (now >= until) {
        gate_give_up(g, now, out, GATE_UNREACHABLE);
        return;
    }
    gate_rest(g, AT_RECONNECT, min64(now + gate_retry_delay(g, RETRY_MIN_MS, RETRY_MAX_MS), until));
}

void gate_give_up(struct gate *g, int64_t now, struct gate_actions *out, enum gate_reason reason)
{
    if (g->result == RUN_FAILED) /* what the user must mend first is the migration */
        gate_run_failed(g, now, out, g->token, g->status);
    else
        gate_fail(g, now, out, g->result == RUN_SUCCEEDED ? GATE_UNRECORDED : reason, 0);
}

void gate_left(struct gate *g, int64_t now, struct gate_actions *out)
{
    g->holding = g->listen_tried = false;
    gate_reset(g, out);
    if (g->leaving.kind == GATE_RESET)
        gate_look(g, now, out, AT_LOOK);
    else
        gate_finish(g, now, out, g->leaving);
}
