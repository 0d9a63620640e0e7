#include "checker.h"

#include "sim.h"

#include <signal.h>
#include <string.h>

#define STEPS_AT_ONCE_MAX 60    /* of one gate within a millisecond: more is spinning */
#define SIGNAL_QUICK_MS   110   /* DESIGN section 5: 100 ms; and the lag of a loop */
#define SIGNAL_SLOW_MS    15000 /* a last call to the place, a straggler, and some network */

void checker_begin(struct sim *sim)
{
    memset(&sim->checker, 0, sizeof sim->checker);
    for (int token = 0; token <= RUNS_MAX; token++)
        sim->checker.notes[token].status = -1;
    sim->checker.idle_since = sim->checker.hoard_since = sim->checker.shut_since = GATE_NEVER;
}

void checker_step(struct sim *sim, int slot, const struct gate_actions *out)
{
    sim->coverage->steps++;
    if (out->count < 0 || out->count > GATE_ACTIONS_MAX) {
        world_violated(&sim->world, "actions", "r%d: %d of them", slot, out->count);
        return;
    }
    for (int i = 0; i < out->count; i++) {
        enum gate_action_kind kind = out->list[i].kind;
        bool last = kind == GATE_PASS || kind == GATE_FAIL;
        if (last != (sim->replicas[slot].gate.state == AT_DONE && i == out->count - 1))
            world_violated(&sim->world, "last action", "r%d: %s is action %d of %d", slot,
                           sim_action_text(&out->list[i]), i + 1, out->count);
        if (kind == GATE_START && command_of(sim, slot))
            world_violated(&sim->world, "start", "r%d starts a command while its previous one is alive", slot);
    }
}

void checker_after(struct sim *sim, int slot)
{
    struct replica *replica = &sim->replicas[slot];
    const struct gate *gate = &replica->gate;
    bool alive = command_of(sim, slot) != NULL || replica->ended;
    bool asked = replica->asked[0] != OP_NONE || replica->asked[1] != OP_NONE;
    if (gate_command_alive(gate) != alive)
        world_violated(&sim->world, "belief", "r%d is %s, but its command is %s", slot, sim_state_name(gate->state),
                       alive ? "alive" : "gone");
    if (gate_due(gate) == GATE_NEVER && !asked && !alive)
        world_violated(&sim->world, "silence", "r%d waits in %s for nothing", slot, sim_state_name(gate->state));
    if (gate_due(gate) == GATE_NEVER && asked && !alive)
        world_violated(&sim->world, "silence", "r%d waits in %s for a reply without an end", slot,
                       sim_state_name(gate->state));
    replica->steps_now = replica->stepped_at == sim->world.now ? replica->steps_now + 1 : 0;
    replica->stepped_at = sim->world.now;
    if (replica->steps_now > STEPS_AT_ONCE_MAX)
        world_violated(&sim->world, "spinning", "r%d steps again and again in %s", slot, sim_state_name(gate->state));
}

void checker_said(struct sim *sim, int slot, const struct gate_action *action)
{
    sim->coverage->said[action->event]++;
    bool trouble = action->event == EVENT_LOST || action->event == EVENT_QUARANTINE ||
                   action->event == EVENT_TAKEOVER || action->event == EVENT_UNAVAILABLE ||
                   action->event == EVENT_BACKOFF || action->event == EVENT_FAILED;
    if (sim->scenario.calm && trouble)
        world_violated(&sim->world, "calm", "r%d says %s though nothing is wrong", slot, sim_said_name(action->event));
}

void checker_finished(struct sim *sim, int slot, const struct gate_action *action)
{
    if (action->kind == GATE_PASS)
        sim->coverage->passed++;
    else
        sim->coverage->reasons[action->reason]++;
    if (command_of(sim, slot))
        world_violated(&sim->world, "left behind", "r%d ends while its command is alive", slot);
    ending_judge(sim, slot, action);
}

/* ---- signals ---------------------------------------------------------------------------------------------------- */

static int64_t slow_limit(const struct sim *sim, int slot)
{
    const struct gate_config *config = &sim->replicas[slot].made->config;
    return config->stop_grace + config->times.lease + SIGNAL_SLOW_MS;
}

static void judge_signal(struct sim *sim, int slot, uint32_t proc, int64_t limit)
{
    const struct replica *replica = &sim->replicas[slot];
    bool halted = replica->stopped || replica->paused || replica->halted_last >= sim->world.now - limit;
    if (replica->alive && replica->proc == proc && !halted)
        world_violated(&sim->world, "signal", "r%d is still there (in %s) %lld ms after it", slot,
                       sim_state_name(replica->gate.state), (long long)limit);
}

static void quick_over(struct sim *sim, const struct world_event *event)
{
    judge_signal(sim, event->who, event->stamp, SIGNAL_QUICK_MS);
}

static void slow_over(struct sim *sim, const struct world_event *event)
{
    judge_signal(sim, event->who, event->stamp, slow_limit(sim, event->who));
}

/* DESIGN section 2, rule 9: a signal ends any state at once, except those that end in order. */
void checker_signalled(struct sim *sim, int slot, int signal)
{
    const struct replica *replica = &sim->replicas[slot];
    enum gate_state state = replica->gate.state;
    bool ends = signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
    bool orderly =
        state == AT_MIGRATE || state == AT_RECORD || state == AT_PAUSE || state == AT_FENCE || state == AT_MARK;
    if (!ends || !replica_runs(replica))
        return;
    if (orderly)
        world_at(&sim->world, sim->world.now + slow_limit(sim, slot), slow_over, slot, replica->proc);
    else
        world_at(&sim->world, sim->world.now + SIGNAL_QUICK_MS, quick_over, slot, replica->proc);
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

/* A whole container that is paused keeps its command: no leash runs in it. All that can be done is what section 3 says:
 * the sessions of the older run are terminated before a newer one starts. */
static bool excused(const struct command *older)
{
    return older->was_paused && older->fenced;
}

void checker_started(struct sim *sim, const struct command *command)
{
    struct checker *checker = &sim->checker;
    sim->coverage->started++;
    if (command->token < checker->newest)
        world_violated(&sim->world, "tokens", "a command with token %llu starts after one with %llu",
                       (unsigned long long)command->token, (unsigned long long)checker->newest);
    checker->newest = command->token;
    if (command->token > RUNS_MAX)
        return;
    checker->notes[command->token].started = true;
    for (int i = 0; i < COMMANDS_MAX; i++) {
        const struct command *other = &sim->commands[i];
        if (!other->alive || other == command)
            continue;
        if (other->token < command->token && excused(other))
            sim->coverage->excused++;
        else
            world_violated(&sim->world, "overlap", "run %llu on r%d starts while run %llu on r%d is alive",
                           (unsigned long long)command->token, command->slot, (unsigned long long)other->token,
                           other->slot);
    }
}

void checker_gone(struct sim *sim, const struct command *command)
{
    if (command->token <= RUNS_MAX)
        sim->checker.notes[command->token].status = command->status;
}

/* ---- records ---------------------------------------------------------------------------------------------------- */

/* Whether the one who asks has had the lock ever since it asked: else what it found before may be outdated by now, and
 * the token's compare-and-swap is all that can be expected. */
static bool under_lock(const struct sim *sim, const struct conn *conn, const struct message *ask)
{
    if (sim->server.holder < 0)
        return false;
    const struct conn *holder = &sim->net.conns[sim->server.holder];
    return holder->proc == conn->proc && sim->server.locked_at <= ask->sent_at;
}

void checker_marking(struct sim *sim, const struct conn *conn, const struct message *ask)
{
    const struct server *server = &sim->server;
    const struct run_row *last = &server->runs[server->token];
    int max = sim->scenario.replica[conn->slot].config.max_attempts;
    if (!under_lock(sim, conn, ask))
        return;
    if (server->applied[ask->target])
        world_violated(&sim->world, "applied", "r%d marks a run of target %d, which is applied already", conn->slot,
                       ask->target);
    /* A marked run whose command never started is no attempt, if the one who marked it knows that. */
    bool harmless = server->token > 0 && last->state == RUN_RUNNING && last->proc == conn->proc &&
                    !sim->checker.notes[server->token].started;
    int failures = server_failures(server, ask->target, true) - (harmless && last->target == ask->target);
    if (max > 0 && failures >= max)
        world_violated(&sim->world, "attempts", "r%d marks a run though %d of at most %d have failed", conn->slot,
                       failures, max);
    for (uint64_t token = 1; token <= server->token && last->state != RUN_RUNNING; token++)
        if (server->runs[token].target == ask->target && server->runs[token].state == RUN_FAILED &&
            server->runs[token].not_before > sim->world.now)
            world_violated(&sim->world, "backoff", "r%d marks a run %lld ms too early", conn->slot,
                           (long long)(server->runs[token].not_before - sim->world.now));
}

static void check_success(struct sim *sim, const struct conn *conn, const struct message *ask)
{
    const struct run_note *note = &sim->checker.notes[ask->token];
    if (!note->started || note->status != 0)
        world_violated(&sim->world, "success", "r%d records run %llu as succeeded, its status is %d", conn->slot,
                       (unsigned long long)ask->token, note->status);
}

void checker_ending(struct sim *sim, const struct conn *conn, const struct message *ask, const struct run_row *run)
{
    struct run_note *note = &sim->checker.notes[ask->token];
    unsigned long long token = ask->token;
    if (run->proc != conn->proc)
        world_violated(&sim->world, "another's", "r%d ends run %llu, which is not its own", conn->slot, token);
    if (note->ended)
        world_violated(&sim->world, "twice", "run %llu is recorded again", token);
    note->ended = true;
    for (int i = 0; i < COMMANDS_MAX; i++)
        if (sim->commands[i].alive && sim->commands[i].token == ask->token)
            world_violated(&sim->world, "alive", "run %llu is recorded while its command is alive", token);
    const struct replica *replica = &sim->replicas[conn->slot];
    if (ask->state == RUN_SUCCEEDED)
        check_success(sim, conn, ask);
    bool timeout = ask->status == GATE_STATUS_TIMEOUT && replica->made->config.migrate_timeout > 0;
    if (ask->state == RUN_FAILED && (!note->started || (note->status != ask->status && !timeout)))
        world_violated(&sim->world, "failure", "run %llu is recorded as failed with %d, its status is %d", token,
                       ask->status, note->status);
    if (ask->state == RUN_INTERRUPTED && note->started && replica->proc == conn->proc && replica->got_count == 0)
        world_violated(&sim->world, "interrupted", "run %llu ran, but r%d got no signal", token, conn->slot);
}
