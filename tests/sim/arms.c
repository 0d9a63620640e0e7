/* The arms of a simulated replica: what passage.c is in production. */
#include "replica.h"

#include "sim.h"

#define BEAT_AGAIN_MS  100  /* src/redis.c: a heartbeat whose connection broke is sent again */
#define BEAT_SILENT_MS 1000 /* ... on a new one if nothing is heard */

static int channel_of(enum op op)
{
    return op == OP_LOCK || op == OP_BEAT || op == OP_END || op == OP_RELEASE ? 0 : 1;
}

static bool bound(const struct sim *sim)
{
    return sim->server.place->bound;
}

/* Redis: what is asked without the lock goes over its connection as well, and a subscription has one of its own. */
static enum line line_of(const struct sim *sim, const struct replica *replica, enum op op)
{
    if (bound(sim))
        return channel_of(op) == 0 ? LINE_LOCK : LINE_CLERK;
    if (op == OP_LISTEN)
        return LINE_EARS;
    return channel_of(op) == 0 || !replica->locked ? LINE_LOCK : LINE_CLERK;
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
        look.fence = view->fence;
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
    if (result != OP_UNAVAILABLE && result != OP_CROWDED)
        replica->unanswered_since[op] = GATE_NEVER;
    replica_step(sim, slot,
                 &(struct gate_event){.kind = GATE_REPLY, .op = op, .result = result, .look = view ? &look : NULL});
}

static void hang_up(struct sim *sim, int slot, enum line line, bool abort)
{
    struct replica *replica = &sim->replicas[slot];
    int conn = replica->conn[line];
    replica->conn[line] = -1;
    if (line == line_of(sim, replica, OP_LISTEN))
        replica->listening = false;
    if (conn >= 0)
        net_close_client(sim, conn, abort);
}

static void forget_asked(struct replica *replica, int channel)
{
    replica->asked[channel] = OP_NONE;
    replica->ask_stamp[channel]++;
}

void arms_reset(struct sim *sim, int slot, bool abort)
{
    struct replica *replica = &sim->replicas[slot];
    for (int line = 0; line < LINES; line++)
        hang_up(sim, slot, (enum line)line, abort);
    forget_asked(replica, 0);
    forget_asked(replica, 1);
    replica->locked = false;
}

void arms_vanish(struct sim *sim, int slot)
{
    for (int line = 0; line < LINES; line++) {
        int conn = sim->replicas[slot].conn[line];
        sim->replicas[slot].conn[line] = -1;
        if (conn >= 0)
            net_vanish(sim, conn);
    }
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static void beat_again(struct sim *sim, const struct world_event *event);
static void beat_is_silent(struct sim *sim, const struct world_event *event);

/* Sends the request of the channel, for the first time or again. */
static void request(struct sim *sim, int slot, int channel)
{
    struct replica *replica = &sim->replicas[slot];
    enum line line = replica->asked_on[channel] = line_of(sim, replica, replica->asked[channel]);
    replica->ask_stamp[channel]++;
    if (replica->conn[line] < 0)
        replica->conn[line] = net_open(sim, slot);
    if (replica->asked[channel] == OP_BEAT && !bound(sim)) {
        int64_t patience = 2 * sim->scenario.times.heartbeat;
        patience = patience > BEAT_SILENT_MS ? patience : BEAT_SILENT_MS;
        world_at(&sim->world, sim->world.now + patience, beat_is_silent, slot, replica->ask_stamp[channel]);
    }
    net_send(sim, replica->conn[line], TO_SERVER, &replica->request[channel]);
}

/* Whether it is still about this heartbeat, and the process can care. */
static bool beats(struct sim *sim, const struct world_event *event)
{
    struct replica *replica = &sim->replicas[event->who];
    if (!replica->alive || replica->asked[0] != OP_BEAT || replica->ask_stamp[0] != event->stamp)
        return false;
    if (replica_runs(replica))
        return true;
    world_at(&sim->world, sim->world.now + 20, event->fire, event->who, event->stamp);
    return false;
}

static void beat_again(struct sim *sim, const struct world_event *event)
{
    if (beats(sim, event))
        request(sim, event->who, 0);
}

static void beat_is_silent(struct sim *sim, const struct world_event *event)
{
    if (!beats(sim, event))
        return;
    TRACE(sim, "r%d/%u: no answer to a heartbeat", event->who, sim->replicas[event->who].proc);
    hang_up(sim, event->who, LINE_LOCK, false);
    request(sim, event->who, 0);
}

/* A lease does not end with a connection: until it is over (and the gate resets), another heartbeat may reach it. */
static void repeat_beat(struct sim *sim, int slot)
{
    struct replica *replica = &sim->replicas[slot];
    world_at(&sim->world, sim->world.now + BEAT_AGAIN_MS, beat_again, slot, ++replica->ask_stamp[0]);
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static void unanswered(struct sim *sim, int slot, enum op op)
{
    bool lost = op == OP_BEAT && world_chance(&sim->world, 50);
    answer(sim, slot, op, lost ? OP_LOST : OP_UNAVAILABLE, NULL);
}

/* The connection is closed by the other side. */
static void closed(struct sim *sim, int slot, enum line line)
{
    struct replica *replica = &sim->replicas[slot];
    bool asked = false;
    bool listens = line == line_of(sim, replica, OP_LISTEN) && replica->listening;
    bool mattered = bound(sim) ? (line == LINE_LOCK ? replica->locked : listens) : listens && !replica->locked;
    hang_up(sim, slot, line, false);
    if (line == LINE_LOCK && bound(sim))
        replica->locked = false;
    TRACE(sim, "r%d/%u: connection %d is closed", slot, replica->proc, (int)line);
    for (int channel = 0; channel < 2; channel++) {
        enum op op = replica->asked[channel];
        if (op == OP_NONE || replica->asked_on[channel] != line || asked)
            continue;
        asked = true;
        if (op == OP_BEAT && !bound(sim))
            repeat_beat(sim, slot);
        else
            unanswered(sim, slot, op);
    }
    if (!asked && mattered)
        replica_step(sim, slot, &(struct gate_event){.kind = GATE_DISCONNECTED});
}

static void app_answers(struct sim *sim, const struct world_event *event)
{
    struct replica *replica = &sim->replicas[event->who];
    if (replica->ask_stamp[1] != event->stamp || !replica->alive || replica->asked[1] != OP_LOOK)
        return;
    if (replica_runs(replica))
        answer(sim, event->who, OP_LOOK, OP_OK, &replica->found);
    else
        world_at(&sim->world, sim->world.now + 20, app_answers, event->who, event->stamp);
}

/* --applied-if: the place has answered, the app takes its time; that it agrees with the records is not the point. */
static void ask_app(struct sim *sim, int slot, const struct view *view)
{
    struct replica *replica = &sim->replicas[slot];
    replica->found = *view;
    replica->unanswered_since[OP_LOOK] = GATE_NEVER;
    replica->asked_on[1] = LINES; /* no connection matters to it any more */
    replica_step(sim, slot, &(struct gate_event){.kind = GATE_APP_ASKED});
    int64_t takes = world_below(&sim->world, world_chance(&sim->world, 80) ? 500 : 2 * sim->scenario.lease);
    world_at(&sim->world, sim->world.now + takes, app_answers, slot, replica->ask_stamp[1]);
}

static void looked(struct sim *sim, int slot, const struct message *message)
{
    struct replica *replica = &sim->replicas[slot];
    struct view view = message->view;
    if (message->result == OP_OK && view.unfinished) {
        replica->found = view;
        replica->request[1].step = 1;
        request(sim, slot, 1);
        return;
    }
    if (replica->request[1].step == 1) {
        view.applied = replica->found.applied;
        view.ahead = replica->found.ahead;
    }
    if (sim->scenario.asks_app && message->result == OP_OK)
        ask_app(sim, slot, &view);
    else
        answer(sim, slot, OP_LOOK, message->result, &view);
}

static void replied(struct sim *sim, int slot, const struct message *message)
{
    struct replica *replica = &sim->replicas[slot];
    enum op op = message->op;
    bool ok = message->result == OP_OK;
    int channel = channel_of(op);
    enum line line = replica->asked_on[channel];
    if (op == OP_LOCK && ok) {
        replica->locked = true;
        replica->fence = message->fence;
    }
    if (op == OP_LISTEN && ok)
        replica->listening = true;
    if (op == OP_END || op == OP_RELEASE)
        replica->locked = false;
    /* Losers keep one connection at most; one that was turned away is none. */
    checker_answered(sim, slot, op, message->result);
    bool loser = op == OP_LOCK && message->result == OP_BUSY && bound(sim) && world_chance(&sim->world, 80);
    if (message->result == OP_CROWDED || loser)
        hang_up(sim, slot, line, false);
    if (op == OP_BEAT && !bound(sim) && (message->result == OP_UNAVAILABLE || message->result == OP_CROWDED))
        repeat_beat(sim, slot);
    else if (op == OP_LOOK)
        looked(sim, slot, message);
    else
        answer(sim, slot, op, message->result, NULL);
}

void replica_receive(struct sim *sim, int conn, const struct message *message)
{
    int slot = sim->net.conns[conn].slot;
    struct replica *replica = &sim->replicas[slot];
    int channel = channel_of(message->op);
    enum line line = LINE_LOCK;
    while (line < LINES && replica->conn[line] != conn)
        line++;
    if (line == LINES)
        return;
    if (message->kind == MSG_CLOSE)
        closed(sim, slot, line);
    else if (message->kind == MSG_WAKE && replica->listening)
        replica_step(sim, slot, &(struct gate_event){.kind = GATE_WOKEN});
    else if (message->kind == MSG_REPLY && replica->asked[channel] == message->op && replica->asked_on[channel] == line)
        replied(sim, slot, message);
}

/* An op that needs no server, or a connection which is gone. */
static void answer_alone(struct sim *sim, const struct world_event *event)
{
    int slot = event->who / 2;
    int channel = event->who % 2;
    struct replica *replica = &sim->replicas[slot];
    if (replica->ask_stamp[channel] != event->stamp || !replica->alive)
        return;
    if (!replica_runs(replica))
        world_at(&sim->world, sim->world.now + 20, answer_alone, event->who, event->stamp);
    else if (replica->asked[channel] == OP_FENCE)
        answer(sim, slot, OP_FENCE, OP_OK, NULL);
    else
        unanswered(sim, slot, replica->asked[channel]);
}

static void ask(struct sim *sim, int slot, const struct gate_action *action)
{
    struct replica *replica = &sim->replicas[slot];
    int channel = channel_of(action->op);
    if (replica->asked[channel] != OP_NONE)
        world_violated(&sim->world, "asked twice", "r%d asks %s while %s is not answered", slot,
                       sim_op_name(action->op), sim_op_name(replica->asked[channel]));
    replica->asked[channel] = action->op;
    replica->asked_last[action->op] = sim->world.now;
    if (replica->unanswered_since[action->op] == GATE_NEVER)
        replica->unanswered_since[action->op] = sim->world.now;
    if (action->op == OP_RELEASE && !bound(sim))
        replica->locked = false;
    replica->request[channel] = (struct message){
        .kind = MSG_REQUEST,
        .op = action->op,
        .look = action->look,
        .fence = replica->fence,
        .token = action->token,
        .attempt = action->attempt,
        .repeat = action->repeat,
        .state = action->state,
        .status = action->status,
        .target = replica->target,
    };
    bool impossible = bound(sim) && channel == 0 && action->op != OP_LOCK && replica->conn[LINE_LOCK] < 0;
    bool needless = !bound(sim) && action->op == OP_FENCE; /* Redis knows nothing of sessions */
    replica->asked_on[channel] = LINES;                    /* none */
    if (impossible || needless)
        world_at(&sim->world, sim->world.now, answer_alone, slot * 2 + channel, ++replica->ask_stamp[channel]);
    else
        request(sim, slot, channel);
}

static void finish(struct sim *sim, int slot, const struct gate_action *action)
{
    struct replica *replica = &sim->replicas[slot];
    checker_finished(sim, slot, action);
    arms_reset(sim, slot, false);
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
    struct replica *replica = &sim->replicas[slot];
    bool abort = world_chance(&sim->world, 15);
    TRACE(sim, "r%d/%u:   > %s", slot, replica->proc, sim_action_text(action));
    switch (action->kind) {
    case GATE_ASK:
        ask(sim, slot, action);
        break;
    case GATE_RESET:
        arms_reset(sim, slot, abort);
        break;
    case GATE_RESET_CLERK:
        hang_up(sim, slot, LINE_CLERK, abort);
        forget_asked(replica, 1);
        break;
    case GATE_START:
        replica->command_since = sim->world.now;
        replica->started_one = true;
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
