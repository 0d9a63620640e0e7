#include "gate_internal.h"

#include <assert.h>
#include <signal.h>

/* xorshift64*: jitter needs no better one, and the simulation needs to replay it. */
int64_t gate_random(struct gate *g, int64_t bound)
{
    g->random ^= g->random >> 12;
    g->random ^= g->random << 25;
    g->random ^= g->random >> 27;
    return (int64_t)((g->random * 0x2545F4914F6CDD1DULL) >> 33) % bound;
}

int64_t gate_jittered(struct gate *g, int64_t delay)
{
    return delay / 2 + gate_random(g, delay + 1);
}

int64_t gate_retry_delay(struct gate *g, int64_t least, int64_t most)
{
    g->retry_ms = min64(max64(g->retry_ms * 2, least), most);
    return gate_jittered(g, g->retry_ms);
}

struct gate_action *gate_act(struct gate_actions *out, enum gate_action_kind kind)
{
    assert(out->count < GATE_ACTIONS_MAX);
    struct gate_action *action = &out->list[out->count++];
    *action = (struct gate_action){.kind = kind};
    return action;
}

struct gate_action *gate_say(struct gate *g, struct gate_actions *out, enum event event)
{
    struct gate_action *action = gate_act(out, GATE_SAY);
    action->event = event;
    action->token = g->token;
    action->status = g->status;
    return action;
}

struct gate_action *gate_ask(struct gate *g, int64_t now, struct gate_actions *out, enum op op)
{
    enum channel channel = channel_of(op);
    g->asked[channel] = op;
    g->asked_at[channel] = now;
    if (op == OP_LOOK)
        g->app_asked_at = 0;
    struct gate_action *action = gate_act(out, GATE_ASK);
    action->op = op;
    return action;
}

void gate_reset(struct gate *g, struct gate_actions *out)
{
    g->asked[LOCK_CHANNEL] = g->asked[CLERK_CHANNEL] = OP_NONE;
    g->holding = g->listening = false;
    gate_act(out, GATE_RESET);
}

void gate_reset_clerk(struct gate *g, struct gate_actions *out)
{
    g->asked[CLERK_CHANNEL] = OP_NONE;
    gate_act(out, GATE_RESET_CLERK);
}

void gate_rest(struct gate *g, enum gate_state state, int64_t due)
{
    g->state = state;
    g->due = due;
}

int64_t gate_call_ms(const struct gate *g)
{
    /* A part of --connect-timeout, so that there is time to try another host. */
    int64_t part = max64(g->config.connect_timeout / 3, CALL_MIN_MS);
    return min64(CALL_MS, min64(part, max64(g->config.connect_timeout, 1)));
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

/* The clerk's answers, while the lock is ours. */
static void on_clerk_reply(struct gate *g, int64_t now, struct gate_actions *out, const struct gate_event *event)
{
    enum op op = event->op;
    bool busy = event->result == OP_BUSY;
    if (event->result == OP_REFUSED)
        gate_give_up(g, now, out, GATE_REFUSED);
    else if (event->result != OP_OK && !busy)
        gate_clerk_failed(g, now, out, event->result);
    else if (op == OP_LOOK)
        gate_hold_looked(g, now, out, event->look);
    else if (op == OP_MARK && busy)
        gate_mark_refused(g, now, out);
    else if (op == OP_MARK)
        gate_fence(g, now, out);
    else if (op == OP_FENCE && busy)
        g->due = now + FENCE_MS;
    else if (op == OP_FENCE)
        gate_start(g, now, out);
}

/* The answers on the way to the lock. */
static void on_queue_reply(struct gate *g, int64_t now, struct gate_actions *out, const struct gate_event *event)
{
    enum op op = event->op;
    bool ok = event->result == OP_OK;
    if (event->result == OP_REFUSED) {
        gate_give_up(g, now, out, GATE_REFUSED);
    } else if (!ok && event->result != OP_BUSY) {
        gate_unreachable(g, now, out, event->result);
    } else if (op == OP_LOOK) {
        gate_looked(g, now, out, event->look);
    } else if (op == OP_LOCK && ok) {
        gate_locked(g, now, out);
    } else if (op == OP_LOCK) {
        gate_subscribe(g, now, out);
    } else if (op == OP_LISTEN && ok) {
        g->listening = g->watching = true;
        gate_look(g, now, out, AT_LOOK); /* subscribe, read, wait: what was recorded in between wakes nobody */
    } else {
        gate_wait(g, now, out);
    }
}

/* Whether the place answered; only an answer to no less than what it failed at proves that it is well again. */
static void note_reachable(struct gate *g, enum op op, enum op_result result)
{
    if (result == OP_UNAVAILABLE || result == OP_CROWDED) {
        if (op < g->failed_op) /* it got further than that before: another trouble, with its own time */
            g->unreachable_since = GATE_NEVER;
        g->failed_op = op;
        g->unreachable_since =
            result == OP_CROWDED ? GATE_NEVER : min64(g->unreachable_since, g->asked_at[channel_of(op)]);
    } else if ((op >= g->failed_op && op != OP_BEAT) ||
               (op == OP_LOCK && result == OP_OK && g->failed_op == OP_LISTEN)) {
        /* A heartbeat says nothing about the clerk, and who has the lock listens no more. */
        g->failed_op = OP_NONE;
        g->unreachable_since = GATE_NEVER;
        g->retry_ms = 0;
    }
}

void gate_reply(struct gate *g, int64_t now, struct gate_actions *out, const struct gate_event *event)
{
    enum op op = event->op;
    if (op == OP_NONE || g->asked[channel_of(op)] != op)
        return;
    g->asked[channel_of(op)] = OP_NONE;
    if (op == OP_LOOK && g->app_asked_at && g->unreachable_since != GATE_NEVER)
        g->unreachable_since += now - g->app_asked_at; /* that was the app's time, not the place's silence */
    note_reachable(g, op, event->result);
    if (op == OP_BEAT)
        gate_beat_replied(g, now, out, event->result);
    else if (op == OP_RELEASE)
        gate_left(g, now, out);
    else if (op == OP_END && event->result == OP_OK)
        gate_recorded(g, now, out);
    else if (op == OP_END)
        gate_record_failed(g, now, out, event->result);
    else if (g->state == AT_HOLD_LOOK || g->state == AT_MARK || g->state == AT_FENCE)
        on_clerk_reply(g, now, out, event);
    else if (g->state == AT_LOOK || g->state == AT_CONTEND || g->state == AT_SUBSCRIBE)
        on_queue_reply(g, now, out, event);
}

static void on_signal(struct gate *g, int64_t now, struct gate_actions *out, int signal)
{
    bool ends = signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
    if (g->state == AT_MIGRATE) {
        if (ends && g->stop != GATE_STOP_SIGNAL) {
            g->exit_signal = signal;
            if (g->stop == GATE_STOP_LOST) {
                gate_act(out, GATE_FORWARD)->signal = signal;
                return;
            }
            gate_end_command(g, out, GATE_STOP_SIGNAL, signal, now + g->config.stop_grace);
            g->jumped_at = 0;
            return;
        }
        gate_act(out, GATE_FORWARD)->signal = signal;
        return;
    }
    if (!ends && signal != SIGHUP)
        return;
    if (g->state == AT_RECORD) {
        g->exit_signal = signal;
    } else if (g->state == AT_PAUSE || g->state == AT_FENCE || (g->state == AT_MARK && g->repeating)) {
        /* Marked, but nothing is alive: end it in order. */
        gate_reset_clerk(g, out);
        g->exit_signal = signal;
        gate_say(g, out, EVENT_INTERRUPTED)->signal = signal;
        gate_record(g, now, out, RUN_INTERRUPTED, 128 + signal);
    } else if (g->state == AT_LEAVE) {
        g->leaving = (struct gate_action){.kind = GATE_FAIL, .reason = GATE_STOPPED, .status = 128 + signal};
        g->due = min64(g->due, now + LEAVE_ON_SIGNAL_MS);
    } else {
        gate_leave_by_signal(g, now, out, signal);
    }
}

static void on_disconnected(struct gate *g, int64_t now, struct gate_actions *out)
{
    if (g->holding && g->state == AT_LEAVE) {
        gate_left(g, now, out);
    } else if (g->holding) {
        gate_lock_lost(g, now, out, true);
    } else if (g->listening && g->state != AT_MIGRATE) { /* while a command lives, nothing else is begun */
        gate_reset(g, out);
        g->listen_tried = false;
        gate_look(g, now, out, AT_LOOK);
    }
}

static void on_clock_jumped(struct gate *g, int64_t now, struct gate_actions *out)
{
    if (!g->holding || g->state != AT_MIGRATE || g->stop != GATE_STOP_NONE)
        return;
    if (g->jumped_at == 0)
        gate_act(out, GATE_FREEZE);
    g->jumped_at = now;
    if (g->asked[LOCK_CHANNEL] == OP_NONE)
        gate_beat(g, now, out);
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
    gate_look(g, now, out, AT_LOOK);
}

void gate_step(struct gate *g, int64_t now, const struct gate_event *event, struct gate_actions *out)
{
    out->count = 0;
    if (g->state == AT_DONE)
        return;
    /* Before anything else: after a pause the news that waited for us must not hide that the lease is over. */
    if (now >= gate_lock_lost_at(g)) {
        gate_lock_lost(g, now, out, false);
        /* An answer belongs to what was asked before; LOOK may be asked anew by now, and must not take it for its own.
         */
        if (g->state == AT_DONE || event->kind == GATE_REPLY)
            return;
    }
    switch (event->kind) {
    case GATE_TICK:
        gate_tick(g, now, out);
        break;
    case GATE_REPLY:
        gate_reply(g, now, out, event);
        break;
    case GATE_DISCONNECTED:
        on_disconnected(g, now, out);
        break;
    case GATE_APP_ASKED:
        if (g->asked[CLERK_CHANNEL] == OP_LOOK) {
            g->app_asked_at = now;
            note_reachable(g, OP_LOOK, OP_OK);
        }
        break;
    case GATE_WOKEN:
        g->woken = true;
        if (g->state == AT_WAIT || g->state == AT_BACK_OFF) {
            g->watching = true;
            gate_look(g, now, out, AT_LOOK);
        }
        break;
    case GATE_SIGNALLED:
        on_signal(g, now, out, event->signal);
        break;
    case GATE_COMMAND_ENDED:
        if (g->state == AT_MIGRATE)
            gate_command_ended(g, now, out, event);
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
