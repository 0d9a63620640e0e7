#include "checker.h"

#include "sim.h"

#include <signal.h>
#include <string.h>

#define STEPS_AT_ONCE_MAX 60 /* of one gate within a millisecond: more is spinning */
#define BUSY_MS           1000
#define BUSY_MAX          12    /* tries to mark a run in that time; at full speed the network would allow 16 */
#define SIGNAL_QUICK_MS   110   /* DESIGN section 5: 100 ms; and the lag of a loop */
#define SIGNAL_SLOW_MS    15000 /* a last call to the place, a straggler, and some network */

void checker_begin(struct sim *sim)
{
    memset(&sim->checker, 0, offsetof(struct checker, notes));
    sim->checker.applied[0] = sim->scenario.old_target;
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
    sim->replicas[slot].quarantines += action->event == EVENT_QUARANTINE;
    bool trouble = action->event == EVENT_LOST || action->event == EVENT_QUARANTINE ||
                   action->event == EVENT_TAKEOVER || action->event == EVENT_UNAVAILABLE ||
                   action->event == EVENT_BACKOFF || action->event == EVENT_FAILED;
    /* Only the very first winner in a Redis that knows nothing of the gate cannot know what it has forgotten. */
    bool first = action->event == EVENT_QUARANTINE && ++sim->checker.quarantines == 1 && sim->scenario.fresh;
    if (sim->scenario.calm && trouble && !first)
        world_violated(&sim->world, "calm", "r%d says %s though nothing is wrong", slot, sim_said_name(action->event));
}

/* The place has answered. Who cannot mark a run must not go on to ask as fast as the network allows. */
void checker_answered(struct sim *sim, int slot, enum op op, enum op_result result)
{
    struct replica *replica = &sim->replicas[slot];
    if (op != OP_MARK || result != OP_BUSY)
        return;
    if (sim->world.now - replica->busy_since >= BUSY_MS) {
        replica->busy_since = sim->world.now;
        replica->busy_count = 0;
    }
    if (++replica->busy_count > BUSY_MAX)
        world_violated(&sim->world, "hammering", "r%d could not mark a run %d times within %d ms", slot,
                       replica->busy_count, BUSY_MS);
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
 * the sessions of the older run are terminated before a newer one starts. Redis knows of no sessions; there the leash
 * must at least act as soon as it can. */
static bool excused(const struct sim *sim, const struct command *older)
{
    if (sim->server.place->bound)
        return older->was_paused && older->fenced;
    return older->paused ||
           (older->was_paused && sim->world.now <= older->resumed_at + LEASH_LAG_MS + sim->scenario.times.kill);
}

struct run_note *checker_note(struct sim *sim, uint64_t token)
{
    for (int i = sim->checker.count - 1; i >= 0; i--)
        if (sim->checker.notes[i].token == token)
            return &sim->checker.notes[i];
    return NULL;
}

static void check_token(struct sim *sim, const struct command *command)
{
    struct checker *checker = &sim->checker;
    bool again = command->token == checker->newest && command->proc == checker->newest_proc;
    if (command->token <= checker->newest && !again)
        world_violated(&sim->world, "tokens", "a command with token %llu starts after one with %llu",
                       (unsigned long long)command->token, (unsigned long long)checker->newest);
    checker->newest = command->token;
    checker->newest_proc = command->proc;
}

void checker_started(struct sim *sim, const struct command *command)
{
    struct run_note *note = checker_note(sim, command->token);
    sim->coverage->started++;
    check_token(sim, command);
    if (note)
        note->started = true;
    else
        world_violated(&sim->world, "unmarked", "r%d starts a command of run %llu, which was never marked",
                       command->slot, (unsigned long long)command->token);
    for (int i = 0; i < COMMANDS_MAX; i++) {
        const struct command *other = &sim->commands[i];
        if (!other->alive || other == command)
            continue;
        if (other->token < command->token && excused(sim, other))
            sim->coverage->excused++;
        else
            world_violated(&sim->world, "overlap", "run %llu on r%d starts while run %llu on r%d is alive",
                           (unsigned long long)command->token, command->slot, (unsigned long long)other->token,
                           other->slot);
    }
}

void checker_gone(struct sim *sim, const struct command *command)
{
    struct run_note *note = checker_note(sim, command->token);
    if (note)
        note->status = command->status;
}

/* ---- records ---------------------------------------------------------------------------------------------------- */

static void note_mark(struct sim *sim, const struct conn *conn, const struct message *ask)
{
    struct checker *checker = &sim->checker;
    struct run_note *note = checker_note(sim, ask->token);
    if (note && note->proc != conn->proc)
        world_violated(&sim->world, "tokens", "r%d marks run %llu, a token that another run has had", conn->slot,
                       (unsigned long long)ask->token);
    if (note) /* ... and which the place has forgotten */
        return;
    if (checker->count == NOTES_MAX) {
        world_violated(&sim->world, "runs", "more than %d runs", NOTES_MAX);
        return;
    }
    checker->notes[checker->count++] = (struct run_note){
        .token = ask->token,
        .proc = conn->proc,
        .target = ask->target,
        .status = -1,
        .recorded = RUN_RUNNING,
        .losses = -1,
    };
}

static void check_mark(struct sim *sim, struct records *records, const struct conn *conn, const struct message *ask)
{
    const struct run_row *last = records_run(records, records->last);
    const struct run_note *note = last ? checker_note(sim, last->token) : NULL;
    int max = sim->scenario.replica[conn->slot].config.max_attempts;
    bool unended = last && last->state == RUN_RUNNING;
    if (records->applied[ask->target])
        world_violated(&sim->world, "applied", "r%d marks a run of target %d, which is applied already", conn->slot,
                       ask->target);
    /* A marked run whose command never started is no attempt, if the one who marked it knows that. */
    bool harmless = unended && last->proc == conn->proc && note && !note->started;
    int failures = records_failures(records, ask->target) + (unended && !harmless && last->target == ask->target);
    if (max > 0 && failures >= max)
        world_violated(&sim->world, "attempts", "r%d marks a run though %d of at most %d have failed", conn->slot,
                       failures, max);
    int64_t early = records_backoff(records, ask->target, server_clock(sim));
    if (early > 0 && !unended)
        world_violated(&sim->world, "backoff", "r%d marks a run %lld ms too early", conn->slot, (long long)early);
}

void checker_marking(struct sim *sim, struct records *records, const struct conn *conn, const struct message *ask)
{
    if (sim->server.place->held_by(sim, conn, ask))
        check_mark(sim, records, conn, ask);
    note_mark(sim, conn, ask);
}

static void check_success(struct sim *sim, const struct conn *conn, const struct run_note *note)
{
    if (!note->started || note->status != 0)
        world_violated(&sim->world, "success", "r%d records run %llu as succeeded, its status is %d", conn->slot,
                       (unsigned long long)note->token, note->status);
    sim->checker.applied[note->target] = true;
}

void checker_ending(struct sim *sim, const struct conn *conn, const struct message *ask, const struct run_row *run)
{
    struct run_note *note = checker_note(sim, ask->token);
    unsigned long long token = ask->token;
    if (run->proc != conn->proc)
        world_violated(&sim->world, "another's", "r%d ends run %llu, which is not its own", conn->slot, token);
    if (note->recorded != RUN_RUNNING && note->losses == sim->checker.losses)
        world_violated(&sim->world, "twice", "run %llu is recorded again", token);
    note->recorded = ask->state;
    note->recorded_status = ask->status;
    note->recorded_at = sim->world.now;
    note->losses = sim->checker.losses;
    for (int i = 0; i < COMMANDS_MAX; i++)
        if (sim->commands[i].alive && sim->commands[i].token == ask->token)
            world_violated(&sim->world, "alive", "run %llu is recorded while its command is alive", token);
    const struct replica *replica = &sim->replicas[conn->slot];
    if (ask->state == RUN_SUCCEEDED)
        check_success(sim, conn, note);
    bool timeout = ask->status == GATE_STATUS_TIMEOUT && replica->made->config.migrate_timeout > 0;
    if (ask->state == RUN_FAILED && (!note->started || (note->status != ask->status && !timeout)))
        world_violated(&sim->world, "failure", "run %llu is recorded as failed with %d, its status is %d", token,
                       ask->status, note->status);
    if (ask->state == RUN_INTERRUPTED && note->started && replica->proc == conn->proc && replica->got_count == 0)
        world_violated(&sim->world, "interrupted", "run %llu ran, but r%d got no signal", token, conn->slot);
}
