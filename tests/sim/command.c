#include "command.h"

#include "sim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define TERM_LATENCY_MS 400

static void phase_over(struct sim *sim, const struct world_event *event);
static void leash_wakes(struct sim *sim, const struct world_event *event);

static int index_of(const struct sim *sim, const struct command *command)
{
    return (int)(command - sim->commands);
}

struct command *command_of(struct sim *sim, int slot)
{
    for (int i = 0; i < COMMANDS_MAX; i++) {
        struct command *command = &sim->commands[i];
        if (command->alive && command->slot == slot && command->proc == sim->replicas[slot].proc)
            return command;
    }
    return NULL;
}

static bool suspended(const struct command *command)
{
    return command->paused || (command->frozen && command->phase != COMMAND_DYING);
}

static void schedule(struct sim *sim, struct command *command)
{
    command->next_stamp++;
    if (!suspended(command))
        world_at(&sim->world, command->next_at, phase_over, index_of(sim, command), command->next_stamp);
}

/* Ends the phase after `delay`, counted from when the command can run. */
static void end_phase_in(struct sim *sim, struct command *command, int64_t delay)
{
    command->next_at = sim->world.now + delay;
    command->remaining = delay;
    schedule(sim, command);
}

/* Changes what suspends the command, and keeps its remaining time over that. */
static void set_suspension(struct sim *sim, struct command *command, bool frozen, bool paused)
{
    if (!suspended(command))
        command->remaining = command->next_at - sim->world.now;
    command->frozen = frozen;
    command->paused = paused;
    if (!suspended(command))
        command->next_at = sim->world.now + command->remaining;
    schedule(sim, command);
}

static int64_t kill_time(const struct command *command)
{
    return command->kill_at < command->stop_at ? command->kill_at : command->stop_at;
}

static void arm_leash(struct sim *sim, struct command *command)
{
    command->leash_stamp++;
    if (command->paused || command->phase == COMMAND_DYING)
        return;
    int64_t due = kill_time(command);
    if (!command->lease_told && command->deadline < due)
        due = command->deadline;
    int64_t at = replica_global(&sim->replicas[command->slot], due);
    at = at > sim->world.now ? at : sim->world.now;
    world_at(&sim->world, at + world_below(&sim->world, LEASH_LAG_MS), leash_wakes, index_of(sim, command),
             command->leash_stamp);
}

static void terminate(struct sim *sim, struct command *command, int signal)
{
    if (command->frozen)
        set_suspension(sim, command, false, command->paused);
    if (command->ignores_term || command->phase == COMMAND_DYING)
        return;
    int64_t delay = world_below(&sim->world, TERM_LATENCY_MS);
    int64_t left = suspended(command) ? command->remaining : command->next_at - sim->world.now;
    if (delay >= left)
        return;
    /* Some tools take a signal for a reason to stop early and exit with 0. */
    if (command->phase == COMMAND_MAIN)
        command->status = world_chance(&sim->world, 80) ? 128 + signal : (int)world_below(&sim->world, 2);
    end_phase_in(sim, command, delay);
}

static void kill_all(struct sim *sim, struct command *command)
{
    if (command->phase == COMMAND_DYING)
        return;
    TRACE(sim, "r%d: SIGKILL to the command of run %llu", command->slot, (unsigned long long)command->token);
    if (command->phase == COMMAND_MAIN)
        command->status = 128 + SIGKILL;
    command->phase = COMMAND_DYING;
    command->frozen = false;
    end_phase_in(sim, command, world_below(&sim->world, sim->scenario.times.kill));
}

static void leash_acts(struct sim *sim, struct command *command)
{
    int64_t now = replica_local(&sim->replicas[command->slot], sim->world.now);
    if (now >= kill_time(command)) {
        kill_all(sim, command);
    } else if (now >= command->deadline && !command->lease_told) {
        TRACE(sim, "r%d: the leash ends run %llu: its lease is over", command->slot,
              (unsigned long long)command->token);
        command->lease_told = true;
        terminate(sim, command, SIGTERM);
    }
    arm_leash(sim, command);
}

static void leash_wakes(struct sim *sim, const struct world_event *event)
{
    struct command *command = &sim->commands[event->who];
    if (command->alive && command->leash_stamp == event->stamp)
        leash_acts(sim, command);
}

static void gone(struct sim *sim, struct command *command)
{
    TRACE(sim, "r%d: the command of run %llu is gone, status %d", command->slot, (unsigned long long)command->token,
          command->status);
    command->alive = false;
    command->next_stamp++;
    command->leash_stamp++;
    checker_gone(sim, command);
    if (sim->replicas[command->slot].proc == command->proc)
        replica_command_ended(sim, command->slot, command->status);
}

static void phase_over(struct sim *sim, const struct world_event *event)
{
    struct command *command = &sim->commands[event->who];
    if (!command->alive || command->next_stamp != event->stamp)
        return;
    if (command->phase != COMMAND_MAIN || !command->straggles) {
        gone(sim, command);
        return;
    }
    TRACE(sim, "r%d: main process of run %llu exits with %d, leaves one behind", command->slot,
          (unsigned long long)command->token, command->status);
    command->phase = COMMAND_STRAGGLER;
    int64_t now = replica_local(&sim->replicas[command->slot], sim->world.now);
    if (now + STRAGGLER_GRACE_MS < command->stop_at)
        command->stop_at = now + STRAGGLER_GRACE_MS;
    end_phase_in(sim, command, 10LL * STRAGGLER_GRACE_MS);
    terminate(sim, command, SIGTERM);
    arm_leash(sim, command);
}

void command_start(struct sim *sim, int slot, const struct gate_action *action)
{
    struct world *world = &sim->world;
    struct command *command = sim->commands;
    while (command < sim->commands + COMMANDS_MAX && command->alive)
        command++;
    if (command == sim->commands + COMMANDS_MAX) {
        fprintf(stderr, "sim: more than %d commands are alive\n", COMMANDS_MAX);
        abort();
    }
    uint32_t next_stamp = command->next_stamp + 1, leash_stamp = command->leash_stamp + 1;
    *command = (struct command){
        .alive = true,
        .slot = slot,
        .proc = sim->replicas[slot].proc,
        .token = action->token,
        .target = sim->replicas[slot].target,
        .status = world_chance(world, sim->scenario.fail_percent) ? (int)world_between(world, 1, 3) : 0,
        .ignores_term = world_chance(world, sim->scenario.ignore_percent),
        .straggles = world_chance(world, sim->scenario.straggle_percent),
        .started_at = world->now,
        .next_at = world->now + world_below(world, sim->scenario.command_max),
        .deadline = action->deadline,
        .kill_at = action->kill_at,
        .stop_at = GATE_NEVER,
        .next_stamp = next_stamp,
        .leash_stamp = leash_stamp,
    };
    checker_started(sim, command);
    schedule(sim, command);
    arm_leash(sim, command);
}

void command_extend(struct sim *sim, struct command *command, const struct gate_action *action)
{
    command->deadline = action->deadline;
    command->kill_at = action->kill_at;
    arm_leash(sim, command);
}

void command_stop(struct sim *sim, struct command *command, int signal, int64_t kill_at)
{
    if (kill_at < command->stop_at)
        command->stop_at = kill_at;
    /* When the time is over already, not even the moment between TERM and KILL is left to it. */
    if (replica_local(&sim->replicas[command->slot], sim->world.now) >= kill_time(command))
        kill_all(sim, command);
    else if (signal)
        terminate(sim, command, signal);
    arm_leash(sim, command);
}

void command_signal(struct sim *sim, struct command *command, int signal)
{
    if (signal != SIGUSR1 && signal != SIGUSR2)
        terminate(sim, command, signal);
}

void command_freeze(struct sim *sim, struct command *command, bool frozen)
{
    set_suspension(sim, command, frozen, command->paused);
}

void command_orphan(struct sim *sim, struct command *command)
{
    command->lease_told = true;
    terminate(sim, command, SIGTERM);
    arm_leash(sim, command);
}

void command_pause(struct sim *sim, struct command *command, bool paused)
{
    command->was_paused = true;
    command->resumed_at = sim->world.now;
    command->leash_stamp++;
    set_suspension(sim, command, command->frozen, paused);
    if (!paused)
        leash_acts(sim, command);
}

void command_vanish(struct sim *sim, struct command *command)
{
    command->paused = command->frozen = false;
    command->phase = COMMAND_DYING;
    command->status = 128 + SIGKILL;
    gone(sim, command);
}
