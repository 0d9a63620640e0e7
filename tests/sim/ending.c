/* How it ends: everyone passed, or failed with a reason that fits the history; nobody waits for ever. */
#include "checker.h"

#include "sim.h"

#include <signal.h>

#define PATROL_MS    5000
#define IDLE_MS      90000 /* polls of 15 s and half, a lost wake, a lease that must run out first */
#define GIVE_BACK_MS 10100 /* from the decision to the end: the lock is given back to a server that is silent */
#define RECENT_MS    30000 /* what was asked last longer ago is not what it fails for */
#define SHUT_MS      25000 /* calls that time out, and the steps of PATROL_MS */
#define WORLD_MS     (48LL * 3600 * 1000)
#define TOLERANCE    1002 / 1000 /* two clocks */

static bool ends(int signal)
{
    return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
}

static bool got(const struct replica *replica, int signal)
{
    for (int i = 0; i < replica->got_count; i++)
        if (replica->got_signal[i] == signal)
            return true;
    return false;
}

/* A run of its target that ended while it was there, or its own command. A place that has lost what tells old runs from
 * new ones may give it an older one. */
static bool failure_is_real(const struct sim *sim, const struct replica *replica, int status)
{
    bool timeout = status == GATE_STATUS_TIMEOUT && replica->made->config.migrate_timeout > 0;
    if (replica->started_one && (replica->own_status == status || timeout))
        return true;
    for (int i = 0; i < sim->checker.count; i++) {
        const struct run_note *run = &sim->checker.notes[i];
        if (run->target == replica->target && run->recorded == RUN_FAILED && run->recorded_status == status &&
            (run->recorded_at >= replica->began_at || run->losses != sim->checker.losses))
            return true;
    }
    return false;
}

/* All but what ended well, as far as the place can still know. Who found a run unended under a lock that it then lost
 * cannot know that the run's owner ended it after all. */
static int failures_as_seen(const struct sim *sim, int target)
{
    int failures = 0;
    for (int i = 0; i < sim->checker.count; i++) {
        const struct run_note *run = &sim->checker.notes[i];
        bool well = run->recorded == RUN_SUCCEEDED || run->recorded == RUN_INTERRUPTED;
        bool recent = run->recorded_at > sim->world.now - GIVE_BACK_MS || run->losses != sim->checker.losses;
        failures += run->target == target && (!well || recent);
    }
    return failures;
}

static bool was_unreachable(const struct sim *sim, int slot)
{
    const struct replica *replica = &sim->replicas[slot];
    const struct net *net = &sim->net;
    int64_t now = sim->world.now;
    int64_t from = now - replica->made->config.connect_timeout * TOLERANCE - GIVE_BACK_MS;
    bool disturbed = net->blocked[slot][TO_SERVER] || net->blocked[slot][TO_CLIENT] || sim->server.down ||
                     sim->server.door_closed || sim->server.place->strands(sim, slot) || net->delay_max > 100 ||
                     net->faulty_until[slot] >= from;
    if (replica->made->config.mode == GATE_MODE_CHECK)
        return disturbed || sim->server.crowded_percent > 0;
    int64_t since = GATE_NEVER, recent = now - RECENT_MS;
    if (replica->halted_last > recent && replica->halted_at - RECENT_MS < recent)
        recent = replica->halted_at - RECENT_MS;
    for (int op = OP_LOOK; op <= OP_RELEASE; op++)
        if (replica->asked_last[op] > recent && replica->unanswered_since[op] < since)
            since = replica->unanswered_since[op];
    return disturbed && since != GATE_NEVER && (now - since) * TOLERANCE + 10 >= replica->made->config.connect_timeout;
}

static bool timed_out(const struct sim *sim, const struct replica *replica)
{
    int64_t waited = sim->world.now - replica->began_at - replica->command_ms;
    int64_t limit = replica->made->config.wait_timeout;
    return limit > 0 && waited * TOLERANCE + 10 >= limit;
}

static bool reason_fits(const struct sim *sim, int slot, const struct gate_action *action)
{
    const struct replica *replica = &sim->replicas[slot];
    const struct gate_config *config = &replica->made->config;
    switch (action->reason) {
    case GATE_PENDING:
        return config->mode == GATE_MODE_CHECK && action->status == 1;
    case GATE_RUN_FAILED:
        return failure_is_real(sim, replica, action->status);
    case GATE_EXHAUSTED:
        return config->max_attempts > 0 && failures_as_seen(sim, replica->target) >= config->max_attempts;
    case GATE_TIMED_OUT:
        return timed_out(sim, replica);
    case GATE_LOST_AGAIN:
        return replica->gate.losses > 1;
    case GATE_UNREACHABLE:
        return was_unreachable(sim, slot);
    case GATE_REFUSED:
        return sim->server.refuses[slot];
    case GATE_UNRECORDED:
        return replica->success_seen;
    case GATE_STOPPED:
        return got(replica, action->status - 128);
    }
    return false;
}

void ending_judge(struct sim *sim, int slot, const struct gate_action *action)
{
    const struct replica *replica = &sim->replicas[slot];
    bool pass = action->kind == GATE_PASS;
    for (int i = 0; i < replica->got_count; i++)
        if (ends(replica->got_signal[i]) && (pass || action->reason != GATE_STOPPED)) {
            world_violated(&sim->world, "signal ignored", "r%d got %d, but ends with: %s", slot, replica->got_signal[i],
                           sim_action_text(action));
            return;
        }
    if (pass && !sim->checker.applied[replica->target])
        world_violated(&sim->world, "passed too early", "r%d passes, target %d is not there", slot, replica->target);
    if (!pass && !reason_fits(sim, slot, action))
        world_violated(&sim->world, "reason", "r%d: %s does not fit what happened", slot, sim_action_text(action));
    /* A migration that failed or succeeded is what people must hear of, not the trouble of writing it down. */
    enum run_state unsettled = replica->gate.result;
    enum gate_reason told = unsettled == RUN_FAILED ? GATE_RUN_FAILED : GATE_UNRECORDED;
    if (!pass && (unsettled == RUN_FAILED || unsettled == RUN_SUCCEEDED) && action->reason != told &&
        action->reason != GATE_STOPPED)
        world_violated(&sim->world, "reason", "r%d: %s hides that its run %s", slot, sim_action_text(action),
                       run_state_name(unsettled));
    if (!pass && sim->scenario.calm)
        world_violated(&sim->world, "calm", "r%d: %s though nothing is wrong", slot, sim_action_text(action));
}

/* ---- liveness --------------------------------------------------------------------------------------------------- */

static bool anybody_there(const struct sim *sim)
{
    for (int slot = 0; slot < sim->scenario.replicas; slot++)
        if (sim->replicas[slot].alive || sim->replicas[slot].coming)
            return true;
    for (int i = 0; i < COMMANDS_MAX; i++)
        if (sim->commands[i].alive)
            return true;
    return false;
}

/* Whether this one could go on right now: the version is there, or it might try. */
static bool could_go_on(struct sim *sim, int slot)
{
    const struct replica *replica = &sim->replicas[slot];
    const struct records *records = sim->server.place->records(sim, NULL);
    if (!replica->alive || sim->world.now - replica->began_at < IDLE_MS)
        return false;
    if (records->applied[replica->target])
        return true;
    return replica->made->config.mode == GATE_MODE_MIGRATE &&
           records_backoff(records, replica->target, server_clock(sim)) == 0;
}

static void check_waits(struct sim *sim, int slot)
{
    const struct replica *replica = &sim->replicas[slot];
    const struct gate_config *config = &replica->made->config;
    bool just_thawed = replica->halted_last > sim->world.now - PATROL_MS;
    if (!replica->alive || config->wait_timeout == 0 || command_of(sim, slot) || just_thawed)
        return;
    int64_t waited = sim->world.now - replica->began_at - replica->command_ms;
    int64_t limit = config->wait_timeout * TOLERANCE + config->retries * config->retry_delay +
                    replica->quarantines * config->times.quarantine; /* one's own is no waiting */
    if (waited > limit + IDLE_MS)
        world_violated(&sim->world, "wait timeout", "r%d waits for %lld ms in %s", slot, (long long)waited,
                       sim_state_name(replica->gate.state));
}

/* `what` has a limit on how long it may last. */
static void note_since(struct sim *sim, int64_t *since, bool is, int64_t limit, const char *what)
{
    if (!is)
        *since = GATE_NEVER;
    else if (*since == GATE_NEVER)
        *since = sim->world.now;
    else if (sim->world.now - *since > limit)
        world_violated(&sim->world, what, "for %lld ms", (long long)(sim->world.now - *since));
}

static void patrol(struct sim *sim, const struct world_event *event)
{
    (void)event;
    bool running = false, able = false, disturbed = sim->world.now < sim->scenario.faults_end;
    for (int i = 0; i < COMMANDS_MAX; i++)
        running |= sim->commands[i].alive;
    for (int slot = 0; slot < sim->scenario.replicas; slot++) {
        able |= could_go_on(sim, slot);
        if (!disturbed)
            check_waits(sim, slot);
    }
    bool held = sim->server.place->holder(sim) >= 0;
    int64_t since = held ? sim->server.place->held_since(sim) : 0;
    if (since > sim->checker.hoard_since) /* it has changed hands */
        sim->checker.hoard_since = GATE_NEVER;
    if (since > sim->checker.shut_since)
        sim->checker.shut_since = GATE_NEVER;
    int64_t pause = sim->scenario.replica[0].config.retry_delay;
    note_since(sim, &sim->checker.idle_since, able && !running && !held && !disturbed, IDLE_MS, "idle: nobody goes on");
    note_since(sim, &sim->checker.hoard_since, held && !running && !disturbed, IDLE_MS + sim->scenario.lease + pause,
               "hoarded: the lock is held without a command");
    /* A holder whose clerk cannot get through must not keep the lock from those whose clerk could. */
    int64_t patience = sim->scenario.replica[0].config.connect_timeout + sim->scenario.times.quarantine;
    note_since(sim, &sim->checker.shut_since, held && !running && sim->server.door_closed, patience + SHUT_MS + pause,
               "hoarded: the lock is held though nothing can be recorded");
    if (sim->world.now - sim->scenario.faults_end > WORLD_MS)
        world_violated(&sim->world, "endless", "the world does not come to rest");
    if (anybody_there(sim) || disturbed)
        world_at(&sim->world, sim->world.now + PATROL_MS, patrol, 0, 0);
}

void ending_watch(struct sim *sim)
{
    world_at(&sim->world, sim->world.now + PATROL_MS, patrol, 0, 0);
}

void ending_of_world(struct sim *sim)
{
    int64_t lasted = sim->world.now - sim->scenario.faults_end;
    if (anybody_there(sim))
        world_violated(&sim->world, "dead", "nothing is to come, but somebody is still there");
    if (lasted > sim->coverage->longest)
        sim->coverage->longest = lasted;
    int targets = 0;
    for (int target = 0; target < TARGETS_MAX; target++)
        targets += sim->checker.applied[target];
    int runs = sim->checker.count + sim->scenario.old_target;
    if (sim->scenario.calm && runs != targets)
        world_violated(&sim->world, "calm", "%d runs for %d targets", runs, targets);
    if (sim->scenario.calm && sim->checker.quarantines != sim->scenario.fresh)
        world_violated(&sim->world, "calm", "%d quarantines", sim->checker.quarantines);
}
