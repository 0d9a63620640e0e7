#include "gate_internal.h"

#include <signal.h>

/* When an outstanding op counts as never answered. A heartbeat has no time of its own: s + D judges it. */
static int64_t gate_call_due(const struct gate *g, enum channel channel)
{
    enum op op = g->asked[channel];
    if (op == OP_NONE || op == OP_BEAT || (op == OP_LOOK && g->app_asked_at))
        return GATE_NEVER;
    int64_t due = g->asked_at[channel] + (op == OP_END && g->exit_signal ? END_ON_SIGNAL_MS : gate_call_ms(g));
    /* The last try must not outlive --connect-timeout, but it gets its chance: the first byte may take a moment. */
    if (g->unreachable_since != GATE_NEVER && !g->holding)
        due = min64(due, max64(g->unreachable_since + g->config.connect_timeout, g->asked_at[channel] + RETRY_MAX_MS));
    return due;
}

static int64_t next_beat(const struct gate *g)
{
    if (!gate_beating(g) || g->asked[LOCK_CHANNEL] != OP_NONE)
        return GATE_NEVER;
    return g->sent + g->config.times.heartbeat;
}

int64_t gate_lock_lost_at(const struct gate *g)
{
    if (!gate_beating(g) && !(g->state == AT_RECORD && g->asked[LOCK_CHANNEL] == OP_BEAT))
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
    /* Our own quarantine ends by itself; were it cut short, each winner would begin it anew, and nobody ever migrate.
     */
    return queueing(g) && g->state != AT_QUARANTINE ? after(g->began, g->config.wait_timeout) : GATE_NEVER;
}

int64_t gate_due(const struct gate *g)
{
    if (g->state == AT_DONE)
        return GATE_NEVER;
    int64_t due = min64(gate_call_due(g, LOCK_CHANNEL), gate_call_due(g, CLERK_CHANNEL));
    due = min64(due, min64(next_beat(g), gate_lock_lost_at(g)));
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
        gate_look(g, now, out, AT_LOOK);
        break;
    case AT_QUARANTINE:
        g->began += g->config.times.quarantine;
        gate_look(g, now, out, AT_HOLD_LOOK);
        break;
    case AT_HOLD_AGAIN:
        gate_look(g, now, out, AT_HOLD_LOOK);
        break;
    case AT_PAUSE:
        g->repeating = true;
        gate_mark(g, now, out, g->token, g->attempt + 1);
        break;
    case AT_FENCE:
        gate_fence(g, now, out);
        break;
    case AT_LEAVE:
        gate_left(g, now, out);
        break;
    default:
        break;
    }
}

void gate_tick(struct gate *g, int64_t now, struct gate_actions *out)
{
    for (int channel = LOCK_CHANNEL; channel <= CLERK_CHANNEL; channel++) {
        if (now >= gate_call_due(g, (enum channel)channel)) {
            gate_say(g, out, EVENT_UNAVAILABLE);
            struct gate_event silence = {.kind = GATE_REPLY, .op = g->asked[channel], .result = OP_UNAVAILABLE};
            gate_reply(g, now, out, &silence);
            return;
        }
    }
    if (now >= give_up_at(g)) {
        gate_give_up(g, now, out, GATE_TIMED_OUT);
        return;
    }
    if (now >= next_beat(g))
        gate_beat(g, now, out);
    if (g->state == AT_MIGRATE && g->stop == GATE_STOP_NONE && now >= g->run_due)
        gate_end_command(g, out, GATE_STOP_TIMEOUT, SIGTERM, now + g->config.stop_grace);
    if (queueing(g) && now >= g->say_due) {
        g->say_due = now + PROGRESS_MS;
        gate_say(g, out, EVENT_PROGRESS);
    }
    if (resting(g) && now >= g->due)
        on_due(g, now, out);
}
