/* The arms of a simulated replica: what passage.c is in production. */
#include "replica.h"

#include "sim.h"

static int channel_of(enum op op)
{
    return op == OP_LOCK || op == OP_BEAT || op == OP_END || op == OP_RELEASE ? 0 : 1;
}

static void answer(struct sim *sim, int slot, enum op op, enum op_result result, const struct view *view)
{
    struct look look = {.tail = ""};
    struct replica *replica = &sim->replicas[slot];
    if (view) {
        look.applied = view->applied;
        look.ahead = view->ahead;
        look.last_is_mine = view->last_is_mine;
        look.last_is_restarted = view->last_is_restarted;
        look.last_is_same_target = view->last_is_same_target;
        look.server_changed = view->server_changed;
        look.failures = view->failures;
        look.attempts = view->attempts;
        look.last_failure_status = view->last_failure_status;
        look.not_before_ms = view->not_before_ms;
        look.own_state = view->own_state;
        look.last.token = view->last_token;
        look.last.state = view->last_state;
        look.last.exit_status = view->last_status;
        look.failed.token = view->failed_token;
        look.failed.state = view->failed_token ? RUN_FAILED : RUN_NONE;
        look.failed.exit_status = view->failed_status;
    }
    replica->asked[channel_of(op)] = OP_NONE;
    if (result != OP_UNAVAILABLE)
        replica->unanswered_since[op] = GATE_NEVER;
    replica_step(sim, slot,
                 &(struct gate_event){.kind = GATE_REPLY, .op = op, .result = result, .look = view ? &look : NULL});
}

void arms_drop(struct sim *sim, int slot, int channel, bool abort)
{
    struct replica *replica = &sim->replicas[slot];
    int conn = replica->conn[channel];
    replica->conn[channel] = -1;
    replica->asked[channel] = OP_NONE;
    replica->ask_stamp[channel]++;
    if (channel == 0)
        replica->locked = false;
    else
        replica->listening = false;
    if (conn >= 0)
        net_close_client(sim, conn, abort);
}

/* The connection is closed by the other side. */
static void closed(struct sim *sim, int slot, int channel)
{
    struct replica *replica = &sim->replicas[slot];
    enum op op = replica->asked[channel];
    bool mattered = channel == 0 ? replica->locked : replica->listening;
    arms_drop(sim, slot, channel, false);
    TRACE(sim, "r%d/%u: connection of the %s is closed", slot, replica->proc, channel == 0 ? "lock" : "clerk");
    if (op == OP_BEAT)
        answer(sim, slot, op, world_chance(&sim->world, 50) ? OP_LOST : OP_UNAVAILABLE, NULL);
    else if (op != OP_NONE)
        answer(sim, slot, op, OP_UNAVAILABLE, NULL);
    else if (mattered)
        replica_step(sim, slot, &(struct gate_event){.kind = GATE_DISCONNECTED});
}

static void replied(struct sim *sim, int slot, int channel, const struct message *message)
{
    struct replica *replica = &sim->replicas[slot];
    if (message->result == OP_OK && message->op == OP_LOCK)
        replica->locked = true;
    if (message->result == OP_OK && message->op == OP_LISTEN)
        replica->listening = true;
    /* Losers keep one connection at most; one that was turned away is none. */
    bool loser = message->op == OP_LOCK && message->result == OP_BUSY;
    if (message->result == OP_CROWDED || (loser && world_chance(&sim->world, 80)))
        arms_drop(sim, slot, channel, false);
    if (message->op == OP_END || message->op == OP_RELEASE)
        replica->locked = false;
    answer(sim, slot, message->op, message->result, message->op == OP_LOOK ? &message->view : NULL);
}

void replica_receive(struct sim *sim, int conn, const struct message *message)
{
    int slot = sim->net.conns[conn].slot;
    struct replica *replica = &sim->replicas[slot];
    int channel = replica->conn[0] == conn ? 0 : 1;
    if (replica->conn[channel] != conn)
        return;
    if (message->kind == MSG_CLOSE)
        closed(sim, slot, channel);
    else if (message->kind == MSG_WAKE && replica->listening)
        replica_step(sim, slot, &(struct gate_event){.kind = GATE_WOKEN});
    else if (message->kind == MSG_REPLY && replica->asked[channel] == message->op)
        replied(sim, slot, channel, message);
}

/* An op that needs a connection which is gone. */
static void cannot_ask(struct sim *sim, const struct world_event *event)
{
    int slot = event->who / 2;
    int channel = event->who % 2;
    struct replica *replica = &sim->replicas[slot];
    if (replica->ask_stamp[channel] != event->stamp || !replica->alive)
        return;
    if (replica_runs(replica))
        closed(sim, slot, channel);
    else
        world_at(&sim->world, sim->world.now + 20, cannot_ask, event->who, event->stamp);
}

static void ask(struct sim *sim, int slot, const struct gate_action *action)
{
    struct replica *replica = &sim->replicas[slot];
    int channel = channel_of(action->op);
    if (replica->asked[channel] != OP_NONE)
        world_violated(&sim->world, "asked twice", "r%d asks %s while %s is not answered", slot,
                       sim_op_name(action->op), sim_op_name(replica->asked[channel]));
    replica->asked[channel] = action->op;
    replica->ask_stamp[channel]++;
    replica->asked_last[action->op] = sim->world.now;
    if (replica->unanswered_since[action->op] == GATE_NEVER)
        replica->unanswered_since[action->op] = sim->world.now;
    bool needs_lock = channel == 0 && action->op != OP_LOCK;
    if (needs_lock && replica->conn[0] < 0) {
        world_at(&sim->world, sim->world.now, cannot_ask, slot * 2 + channel, replica->ask_stamp[channel]);
        return;
    }
    if (replica->conn[channel] < 0)
        replica->conn[channel] = net_open(sim, slot);
    struct message message = {
        .kind = MSG_REQUEST,
        .op = action->op,
        .look = action->look,
        .token = action->token,
        .attempt = action->attempt,
        .repeat = action->repeat,
        .state = action->state,
        .status = action->status,
        .target = replica->target,
    };
    net_send(sim, replica->conn[channel], TO_SERVER, &message);
}

static void finish(struct sim *sim, int slot, const struct gate_action *action)
{
    struct replica *replica = &sim->replicas[slot];
    checker_finished(sim, slot, action);
    arms_drop(sim, slot, 0, false);
    arms_drop(sim, slot, 1, false);
    replica->alive = false;
    replica->tick_stamp++;
    if (action->kind == GATE_FAIL)
        replica_come_back(sim, slot);
}

static void command_action(struct sim *sim, int slot, const struct gate_action *action)
{
    struct command *command = command_of(sim, slot);
    if (!command)
        return; /* it has just ended, and the gate is about to hear of it */
    if (action->kind == GATE_EXTEND)
        command_extend(sim, command, action);
    else if (action->kind == GATE_STOP)
        command_stop(sim, command, action->signal, action->deadline);
    else if (action->kind == GATE_FORWARD)
        command_signal(sim, command, action->signal);
    else
        command_freeze(sim, command, action->kind == GATE_FREEZE);
}

void arms_perform(struct sim *sim, int slot, const struct gate_action *action)
{
    bool abort = world_chance(&sim->world, 15);
    TRACE(sim, "r%d/%u:   > %s", slot, sim->replicas[slot].proc, sim_action_text(action));
    switch (action->kind) {
    case GATE_ASK:
        ask(sim, slot, action);
        break;
    case GATE_RESET:
        arms_drop(sim, slot, 0, abort);
        arms_drop(sim, slot, 1, abort);
        break;
    case GATE_RESET_CLERK:
        arms_drop(sim, slot, 1, abort);
        break;
    case GATE_START:
        sim->replicas[slot].command_since = sim->world.now;
        sim->replicas[slot].started_one = true;
        command_start(sim, slot, action);
        break;
    case GATE_SAY:
        checker_said(sim, slot, action);
        break;
    case GATE_PASS:
    case GATE_FAIL:
        finish(sim, slot, action);
        break;
    default:
        command_action(sim, slot, action);
        break;
    }
}
