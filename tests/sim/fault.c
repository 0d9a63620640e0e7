#include "fault.h"

#include "sim.h"

#include <signal.h>

static void strike_again(struct sim *sim, const struct world_event *event);

/* Most faults are dull unless they hit the one who holds the lock or runs the command. */
static int victim(struct sim *sim)
{
    struct world *world = &sim->world;
    int any = (int)world_below(world, sim->scenario.replicas);
    if (world_chance(world, 35))
        return any;
    int holder = sim->server.place->holder(sim);
    if (holder >= 0 && world_chance(world, 70))
        return holder;
    for (int i = 0; i < COMMANDS_MAX; i++)
        if (sim->commands[i].alive)
            return sim->commands[i].slot;
    return any;
}

int64_t fault_duration(struct sim *sim)
{
    struct world *world = &sim->world;
    const struct times *times = &sim->scenario.times;
    int64_t drawn = world_chance(world, 50) ? world_below(world, times->lease) : world_below(world, 4 * times->lease);
    int64_t left = sim->scenario.faults_end - world->now;
    return drawn < left ? drawn : left;
}

static void heals(struct sim *sim, const struct world_event *event)
{
    TRACE(sim, "net: the way of r%d is free", event->who);
    net_block(sim, event->who, TO_SERVER, false);
    net_block(sim, event->who, TO_CLIENT, false);
}

static void partition(struct sim *sim, int slot)
{
    int64_t which = world_below(&sim->world, 4);
    TRACE(sim, "net: r%d is cut off%s", slot, which == 0 ? " from its server" : which == 1 ? " from replies" : "");
    if (which != 1)
        net_block(sim, slot, TO_SERVER, true);
    if (which != 0)
        net_block(sim, slot, TO_CLIENT, true);
    world_at(&sim->world, sim->world.now + fault_duration(sim), heals, slot, 0);
}

static void terminate_backend(struct sim *sim)
{
    int conn = sim->server.place->holder_conn(sim);
    if (conn < 0 || world_chance(&sim->world, 20))
        conn = (int)world_below(&sim->world, CONNS_MAX / 8);
    if (!sim->net.conns[conn].used || !sim->net.conns[conn].server_open)
        return;
    TRACE(sim, "server: the backend of connection %d is terminated", conn);
    server_terminate(sim, conn, world_chance(&sim->world, 30));
}

static void up_again(struct sim *sim, const struct world_event *event)
{
    (void)event;
    if (sim->server.down)
        server_restart(sim);
}

void fault_crash(struct sim *sim)
{
    if (sim->server.down)
        return;
    bool quick = world_chance(&sim->world, 50); /* so quick that commands outlive it */
    server_crash(sim, world_chance(&sim->world, 50));
    world_at(&sim->world, sim->world.now + (quick ? world_below(&sim->world, 100) : fault_duration(sim)), up_again, 0,
             0);
}

/* The holder is cut off and its lock is torn away in the same moment; then perhaps that of the next one, too. */
static void strike(struct sim *sim)
{
    int slot = sim->server.place->holder(sim);
    if (slot < 0)
        return;
    TRACE(sim, "fault: r%d is cut off and loses its lock", slot);
    net_block(sim, slot, TO_SERVER, true);
    net_block(sim, slot, TO_CLIENT, true);
    world_at(&sim->world, sim->world.now + fault_duration(sim), heals, slot, 0);
    sim->server.place->tear(sim);
}

static void strike_again(struct sim *sim, const struct world_event *event)
{
    strike(sim);
    if (event->who > 0 && sim->world.now < sim->scenario.faults_end)
        world_at(&sim->world, sim->world.now + world_between(&sim->world, 20, sim->scenario.lease), strike_again,
                 event->who - 1, 0);
}

static void weather_clears(struct sim *sim, const struct world_event *event)
{
    (void)event;
    sim->net.loss_permille = 0;
    sim->net.delay_max = 20;
    sim->server.crowded_percent = 0;
    sim->server.door_closed = false;
    net_disturb(sim);
}

/* Nobody gets in any more; who holds the lock keeps it, but perhaps nothing else. */
static void close_door(struct sim *sim)
{
    sim->server.door_closed = true;
    bool clerks_too = world_chance(&sim->world, 60);
    for (int i = 0; i < CONNS_MAX && clerks_too; i++)
        if (sim->net.conns[i].used && sim->net.conns[i].server_open && sim->server.place->holder_conn(sim) != i)
            server_terminate(sim, i, false);
}

static void bad_weather(struct sim *sim)
{
    struct world *world = &sim->world;
    static const char *const names[] = {"loss", "slow", "crowded", "closed door"};
    int64_t kind = world_below(world, 4);
    TRACE(sim, "weather: %s", names[kind]);
    net_disturb(sim); /* by what was before */
    if (kind == 0)
        sim->net.loss_permille = (int)world_between(world, 5, 200);
    else if (kind == 1)
        sim->net.delay_max = world_between(world, 50, sim->scenario.times.heartbeat);
    else if (kind == 3)
        close_door(sim);
    else
        sim->server.crowded_percent = (int)world_between(world, 20, 100);
    world_at(world, world->now + fault_duration(sim), weather_clears, 0, 0);
}

static void send_signal(struct sim *sim, int slot)
{
    static const int signals[] = {SIGTERM, SIGTERM, SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    replica_signal(sim, slot, signals[world_below(&sim->world, (int64_t)(sizeof signals / sizeof signals[0]))]);
}

static void befall(struct sim *sim, int slot)
{
    switch (world_below(&sim->world, 8)) {
    case 0:
    case 1:
        replica_kill_container(sim, slot, world_chance(&sim->world, 30));
        break;
    case 2:
        replica_crash(sim, slot);
        break;
    case 3:
        replica_halt(sim, slot, false, fault_duration(sim));
        break;
    case 4:
        replica_halt(sim, slot, true, fault_duration(sim));
        break;
    case 5:
        replica_clock_jump(sim, slot);
        break;
    case 6:
        send_signal(sim, slot);
        break;
    default:
        replica_come_back(sim, slot); /* somebody restarts what has passed */
        break;
    }
}

static void cut_clerk(struct sim *sim, int slot)
{
    int conn = sim->replicas[slot].conn[world_chance(&sim->world, 80) ? LINE_CLERK : LINE_EARS];
    if (conn < 0)
        return;
    if (world_chance(&sim->world, 50))
        net_break(sim, conn);
    else if (sim->net.conns[conn].server_open)
        server_terminate(sim, conn, world_chance(&sim->world, 30));
}

static void springs(struct sim *sim, const struct world_event *event)
{
    if (sim->world.now >= sim->scenario.faults_end)
        return;
    if (sim->server.place->befall && world_chance(&sim->world, 30)) {
        sim->server.place->befall(sim);
        return;
    }
    switch (world_below(&sim->world, 8)) {
    case 7:
        fault_crash(sim);
        break;
    case 0:
        cut_clerk(sim, event->who);
        break;
    case 1:
        close_door(sim);
        world_at(&sim->world, sim->world.now + fault_duration(sim), weather_clears, 0, 0);
        break;
    case 2:
        partition(sim, event->who);
        break;
    case 3:
        strike(sim);
        break;
    case 4:
        befall(sim, event->who);
        break;
    default:
        send_signal(sim, event->who);
        break;
    }
}

void faults_stepped(struct sim *sim, int slot)
{
    if (!sim->trap.set || (int)sim->replicas[slot].gate.state != sim->trap.state)
        return;
    sim->trap.set = false;
    int count = (int)world_between(&sim->world, 1, 3);
    for (int i = 0; i < count; i++)
        world_at(&sim->world, sim->world.now + world_below(&sim->world, world_chance(&sim->world, 70) ? 60 : 2000),
                 springs, slot, 0);
}

static void set_trap(struct sim *sim)
{
    static const enum gate_state states[] = {
        AT_CONTEND, AT_SUBSCRIBE, AT_HOLD_LOOK, AT_QUARANTINE, AT_MARK,   AT_FENCE,
        AT_FENCE,   AT_MIGRATE,   AT_PAUSE,     AT_RECORD,     AT_RECORD, AT_LEAVE,
    };
    sim->trap.set = true;
    sim->trap.state = (int)states[world_below(&sim->world, (int64_t)(sizeof states / sizeof states[0]))];
}

static void fault(struct sim *sim, const struct world_event *event)
{
    int slot = victim(sim);
    if (sim->server.place->befall && world_chance(&sim->world, 30)) {
        sim->server.place->befall(sim);
        return;
    }
    switch (world_below(&sim->world, 14)) {
    case 10:
    case 11:
    case 12:
    case 13:
        set_trap(sim);
        break;
    case 0:
        partition(sim, slot);
        break;
    case 1:
        terminate_backend(sim);
        break;
    case 2:
        fault_crash(sim);
        break;
    case 3:
        strike_again(sim, &(struct world_event){.who = event->who % 4});
        break;
    case 4:
        bad_weather(sim);
        break;
    case 5:
        if (world_chance(&sim->world, 5))
            sim->server.refuses[slot] = true;
        break;
    default:
        befall(sim, slot);
        break;
    }
}

static void faults_end(struct sim *sim, const struct world_event *event)
{
    TRACE(sim, "the faults are over");
    sim->trap.set = false;
    weather_clears(sim, event);
    if (sim->server.down)
        server_restart(sim);
    for (int slot = 0; slot < sim->scenario.replicas; slot++) {
        heals(sim, &(struct world_event){.who = slot});
        replica_go_on(sim, slot);
    }
}

void faults_begin(struct sim *sim)
{
    struct world *world = &sim->world;
    sim->net.delay_max = 20;
    sim->trap.set = false;
    if (sim->scenario.calm)
        return;
    int count = (int)world_between(world, 1, world_chance(world, 50) ? 5 : 20);
    int64_t span = sim->scenario.faults_end - world->now;
    for (int i = 0; i < count; i++)
        world_at(world, world->now + world_below(world, span), fault, i, 0);
    world_at(world, sim->scenario.faults_end, faults_end, 0, 0);
}
