#include "replica.h"

#include "sim.h"

#include <signal.h>
#include <string.h>

#define LOOP_LAG_MS 4 /* a timer is never served exactly when it is due */

int64_t replica_local(const struct replica *replica, int64_t global)
{
    return replica->made->clock_offset + global + global * replica->made->clock_ppm / 1000000;
}

int64_t replica_global(const struct replica *replica, int64_t local)
{
    if (local == GATE_NEVER)
        return INT64_MAX / 2;
    int64_t global = (local - replica->made->clock_offset) * 1000000 / (1000000 + replica->made->clock_ppm) - 2;
    while (replica_local(replica, global) < local)
        global++;
    return global;
}

bool replica_runs(const struct replica *replica)
{
    return replica->alive && !replica->stopped && !replica->paused;
}

static void starts(struct sim *sim, const struct world_event *event)
{
    replica_start(sim, event->who);
}

void replicas_begin(struct sim *sim)
{
    sim->containers = 0;
    sim->procs = 0;
    for (int slot = 0; slot < sim->scenario.replicas; slot++) {
        struct replica *replica = &sim->replicas[slot];
        memset(replica, 0, sizeof *replica);
        replica->made = &sim->scenario.replica[slot];
        replica->target = replica->made->target;
        replica->restarts_left = replica->made->restarts;
        replica->container = ++sim->containers;
        replica->conn[LINE_LOCK] = replica->conn[LINE_CLERK] = replica->conn[LINE_EARS] = -1;
        replica->coming = true;
        world_at(&sim->world, replica->made->start_at, starts, slot, 0);
    }
}

static void ticks(struct sim *sim, const struct world_event *event)
{
    struct replica *replica = &sim->replicas[event->who];
    if (replica->tick_stamp != event->stamp || !replica_runs(replica))
        return; /* when it goes on, it looks at its timers by itself */
    replica->tick_at = GATE_NEVER;
    replica_step(sim, event->who, &(struct gate_event){.kind = GATE_TICK});
}

static void arm_tick(struct sim *sim, int slot)
{
    struct replica *replica = &sim->replicas[slot];
    int64_t due = gate_due(&replica->gate);
    if (due == replica->tick_at)
        return;
    replica->tick_at = due;
    replica->tick_stamp++;
    if (due == GATE_NEVER)
        return;
    int64_t lag = world_below(&sim->world, LOOP_LAG_MS);
    world_at(&sim->world, replica_global(replica, due) + lag, ticks, slot, replica->tick_stamp);
}

/* Performs the answer of the gate. The last action may end the process. */
static void perform(struct sim *sim, int slot, const struct gate_actions *out)
{
    struct replica *replica = &sim->replicas[slot];
    checker_step(sim, slot, out);
    for (int i = 0; i < out->count && replica->alive && !sim->world.violated; i++)
        arms_perform(sim, slot, &out->list[i]);
    if (!replica->alive || sim->world.violated)
        return;
    checker_after(sim, slot);
    faults_stepped(sim, slot);
    arm_tick(sim, slot);
}

void replica_start(struct sim *sim, int slot)
{
    struct replica *replica = &sim->replicas[slot];
    replica->alive = true;
    replica->coming = false;
    replica->proc = ++sim->procs;
    replica->locked = replica->listening = replica->ended = replica->jumped = false;
    replica->signal_count = replica->got_count = 0;
    replica->tick_at = GATE_NEVER;
    replica->began_at = sim->world.now;
    for (int op = OP_NONE; op <= OP_RELEASE; op++)
        replica->unanswered_since[op] = GATE_NEVER;
    replica->command_ms = 0;
    replica->steps_now = replica->busy_count = 0;
    replica->busy_since = 0;
    replica->quarantines = 0;
    replica->started_one = replica->success_seen = false;
    replica->own_status = -1;
    TRACE(sim, "r%d/%u: starts in container %d, target %d", slot, replica->proc, replica->container, replica->target);
    struct gate_config config = replica->made->config;
    config.seed = (uint64_t)world_below(&sim->world, INT64_MAX) | 1;
    struct gate_actions out;
    gate_begin(&replica->gate, &config, replica_local(replica, sim->world.now), &out);
    perform(sim, slot, &out);
}

void replica_step(struct sim *sim, int slot, const struct gate_event *event)
{
    struct replica *replica = &sim->replicas[slot];
    if (!replica->alive || sim->world.violated)
        return;
    struct gate_actions out;
    TRACE(sim, "r%d/%u: %s < %s%s%s%s", slot, replica->proc, sim_state_name(replica->gate.state),
          sim_event_name(event->kind), event->kind == GATE_REPLY ? " " : "",
          event->kind == GATE_REPLY ? sim_op_name(event->op) : "",
          event->kind == GATE_REPLY ? sim_result_name(event->result) : "");
    gate_step(&replica->gate, replica_local(replica, sim->world.now), event, &out);
    perform(sim, slot, &out);
}

static void hear_of_end(struct sim *sim, int slot, int status)
{
    sim->replicas[slot].command_ms += sim->world.now - sim->replicas[slot].command_since;
    replica_step(sim, slot, &(struct gate_event){.kind = GATE_COMMAND_ENDED, .status = status});
}

void replica_command_ended(struct sim *sim, int slot, int status)
{
    struct replica *replica = &sim->replicas[slot];
    if (!replica->alive)
        return;
    replica->own_status = status;
    replica->success_seen |= status == 0;
    if (!replica_runs(replica)) {
        replica->ended = true;
        replica->ended_status = status;
        return;
    }
    hear_of_end(sim, slot, status);
}

void replica_come_back(struct sim *sim, int slot)
{
    struct replica *replica = &sim->replicas[slot];
    if (replica->alive || replica->coming || replica->restarts_left == 0)
        return;
    replica->restarts_left--;
    replica->coming = true;
    /* A whole new container has another id; a restarted one keeps it. Only of the latter's past lockstep is sure. */
    if (replica->made->pid1 && world_chance(&sim->world, 50))
        replica->container = ++sim->containers;
    if (sim->scenario.rolling && world_chance(&sim->world, 40))
        replica->target = 1; /* the deploy has come to this one */
    world_at(&sim->world, sim->world.now + world_between(&sim->world, 20, 2000), starts, slot, 0);
}

static void process_gone(struct sim *sim, int slot)
{
    struct replica *replica = &sim->replicas[slot];
    replica->alive = replica->stopped = false;
    replica->tick_stamp++;
    replica->locked = replica->listening = false;
    replica_come_back(sim, slot);
}

void replica_kill_container(struct sim *sim, int slot, bool silent)
{
    struct replica *replica = &sim->replicas[slot];
    TRACE(sim, "r%d: the container is killed%s", slot, silent ? ", with its host" : "");
    bool was_alive = replica->alive;
    replica->alive = false; /* nobody is left to hear of the command's end */
    for (int i = 0; i < COMMANDS_MAX; i++)
        if (sim->commands[i].alive && sim->commands[i].slot == slot)
            command_vanish(sim, &sim->commands[i]);
    if (silent)
        arms_vanish(sim, slot);
    arms_reset(sim, slot, true);
    replica->paused = false;
    replica->halt_stamp++;
    if (was_alive)
        process_gone(sim, slot);
    else
        replica_come_back(sim, slot);
}

void replica_crash(struct sim *sim, int slot)
{
    struct replica *replica = &sim->replicas[slot];
    if (!replica->alive || replica->paused)
        return;
    if (replica->made->pid1) { /* the kernel kills the namespace with its first process */
        replica_kill_container(sim, slot, false);
        return;
    }
    TRACE(sim, "r%d/%u: lockstep crashes", slot, replica->proc);
    struct command *command = command_of(sim, slot);
    replica->alive = false;
    if (command)
        command_orphan(sim, command);
    arms_reset(sim, slot, false);
    replica->halt_stamp++;
    process_gone(sim, slot);
}

static void goes_on(struct sim *sim, const struct world_event *event)
{
    if (sim->replicas[event->who].halt_stamp == event->stamp)
        replica_go_on(sim, event->who);
}

void replica_halt(struct sim *sim, int slot, bool whole_container, int64_t duration)
{
    struct replica *replica = &sim->replicas[slot];
    if (replica->stopped || replica->paused || (!whole_container && !replica->alive))
        return;
    TRACE(sim, "r%d: %s for %lld ms", slot, whole_container ? "the container is paused" : "lockstep is stopped",
          (long long)duration);
    replica->stopped = !whole_container;
    replica->paused = whole_container;
    replica->halted_at = replica->halted_last = sim->world.now;
    if (whole_container)
        for (int i = 0; i < COMMANDS_MAX; i++)
            if (sim->commands[i].alive && sim->commands[i].slot == slot)
                command_pause(sim, &sim->commands[i], true);
    world_at(&sim->world, sim->world.now + duration, goes_on, slot, ++replica->halt_stamp);
}

static void hear(struct sim *sim, int slot, int signal)
{
    struct replica *replica = &sim->replicas[slot];
    if (!replica->alive)
        return;
    replica->got_signal[replica->got_count++] = signal;
    replica_step(sim, slot, &(struct gate_event){.kind = GATE_SIGNALLED, .signal = signal});
}

/* What its loop finds when it runs again; timers and news are served in an order that nobody promises. */
static void catch_up(struct sim *sim, int slot)
{
    struct replica *replica = &sim->replicas[slot];
    uint32_t proc = replica->proc;
    bool jump_first = world_chance(&sim->world, 50);
    if (replica->jumped && jump_first)
        replica_step(sim, slot, &(struct gate_event){.kind = GATE_CLOCK_JUMPED});
    if (world_chance(&sim->world, 50))
        replica_step(sim, slot, &(struct gate_event){.kind = GATE_TICK});
    for (int i = 0; i < replica->signal_count && replica->proc == proc; i++)
        hear(sim, slot, replica->signals[i]);
    if (replica->ended && replica->proc == proc) {
        replica->ended = false;
        hear_of_end(sim, slot, replica->ended_status);
    }
    if (replica->jumped && !jump_first && replica->proc == proc)
        replica_step(sim, slot, &(struct gate_event){.kind = GATE_CLOCK_JUMPED});
    if (replica->proc != proc || !replica->alive)
        return;
    replica->signal_count = 0;
    replica->jumped = false;
    replica->tick_at = GATE_NEVER;
    arm_tick(sim, slot);
}

void replica_go_on(struct sim *sim, int slot)
{
    struct replica *replica = &sim->replicas[slot];
    if (!replica->stopped && !replica->paused)
        return;
    TRACE(sim, "r%d: goes on", slot);
    bool paused = replica->paused;
    replica->stopped = replica->paused = false;
    replica->halt_stamp++;
    replica->halted_last = sim->net.faulty_until[slot] = sim->world.now;
    replica->jumped = sim->world.now - replica->halted_at > 1000;
    bool lockstep_first = replica->alive && world_chance(&sim->world, 50);
    if (lockstep_first)
        catch_up(sim, slot);
    if (paused)
        for (int i = 0; i < COMMANDS_MAX; i++)
            if (sim->commands[i].alive && sim->commands[i].slot == slot && sim->commands[i].paused)
                command_pause(sim, &sim->commands[i], false);
    if (!lockstep_first && replica->alive)
        catch_up(sim, slot);
    net_resume(sim, slot);
}

void replica_signal(struct sim *sim, int slot, int signal)
{
    struct replica *replica = &sim->replicas[slot];
    if (!replica->alive || replica->got_count + replica->signal_count == SIGNALS_MAX)
        return;
    TRACE(sim, "r%d/%u: gets signal %d", slot, replica->proc, signal);
    checker_signalled(sim, slot, signal);
    if (!replica_runs(replica))
        replica->signals[replica->signal_count++] = signal;
    else
        hear(sim, slot, signal);
}

void replica_clock_jump(struct sim *sim, int slot)
{
    if (!replica_runs(&sim->replicas[slot]))
        return;
    TRACE(sim, "r%d: somebody sets the clock", slot);
    replica_step(sim, slot, &(struct gate_event){.kind = GATE_CLOCK_JUMPED});
}
