/* What a Redis may lose, and when.
 *
 * Not here, because nothing promises it: a master that goes on to acknowledge writes after another one was promoted. A
 * holder who can reach only the old master would have its lease renewed there while a winner at the new one waits out
 * its quarantine, and no quarantine is long enough for that: a master with asynchronous replicas is no safe place by
 * itself. It is safe as far as shown here if the old one stops in time (min-replicas-to-write 1, and
 * min-replicas-max-lag shorter than Sentinel's down-after-milliseconds): it refuses to write before the other is
 * promoted, whatever it has acknowledged since replication stood still is lost, and those who are cut off with it go on
 * to be told what it knew. */
#include "sim.h"

/* ---- single keys ------------------------------------------------------------------------------------------------ */

static void clear_gate(struct store *store)
{
    store->server = 0;
    store->records.last = 0;
}

static void clear_all(struct store *store)
{
    store->lock.proc = 0;
    store->counts = false;
    store->fence = 0;
    clear_gate(store);
    records_clear(&store->records);
}

static void note(struct sim *sim, enum forgetting what)
{
    TRACE(sim, "server: has forgotten %s", sim_forgotten_name(what));
    sim->checker.losses++;
    sim->coverage->forgotten[what]++;
}

static void forget(struct sim *sim, enum forgetting what)
{
    struct store *store = &sim->server.redis.masters[sim->server.redis.current].store;
    note(sim, what);
    if (what == FORGET_ALL)
        clear_all(store);
    else if (what == FORGET_LOCK)
        store->lock.proc = 0;
    else if (what == FORGET_FENCE)
        store->counts = false;
    else if (what == FORGET_GATE)
        clear_gate(store);
    else if (what == FORGET_APPLIED)
        for (int target = 0; target < TARGETS_MAX; target++)
            store->records.applied[target] = 0;
    else
        store->records.count = 0;
}

/* Mostly the lock: without it nobody comes to see that anything else is gone. */
static void evict(struct sim *sim)
{
    if (world_chance(&sim->world, 50))
        forget(sim, FORGET_LOCK);
    if (world_chance(&sim->world, 60))
        forget(sim, (enum forgetting)world_between(&sim->world, FORGET_LOCK, FORGET_RUNS));
}

/* Memory is full for a while. */
static void storm(struct sim *sim, const struct world_event *event)
{
    struct redis *redis = &sim->server.redis;
    if (redis->storm_left <= 0 || sim->world.now >= sim->scenario.faults_end)
        return;
    redis->storm_left--;
    forget(sim, world_chance(&sim->world, 90) ? FORGET_LOCK : FORGET_APPLIED);
    world_at(&sim->world, sim->world.now + world_below(&sim->world, redis->storm_pause) + 1, storm, event->who, 0);
}

static void begin_storm(struct sim *sim)
{
    struct redis *redis = &sim->server.redis;
    if (redis->storm_left > 0)
        return;
    redis->storm_pause = world_between(&sim->world, sim->scenario.times.heartbeat / 8, sim->scenario.times.heartbeat);
    redis->storm_left = (int)(2 * fault_duration(sim) / redis->storm_pause);
    storm(sim, &(struct world_event){.who = 0});
}

/* Leases end early by that much. The holder hears of it with its next heartbeat, and whoever takes the lock finds its
 * run unended and waits it out. Back it never goes: leases would only last longer, but a fence that is forgotten as
 * well could come again, and nothing promises that it does not. */
static void step_clock(struct sim *sim, int64_t step)
{
    TRACE(sim, "server: its clock is set forward by %lld ms", (long long)step);
    sim->server.clock_step += step;
}

/* ---- crash and restart ------------------------------------------------------------------------------------------ */

/* The past is here again. Its lease too, if nobody has had the lock since: another one can have had it only if the
 * lease was lost before, and its holder will hear of that with the next heartbeat. That all of this happens between two
 * of them is left out: a holder who waits out a quarantine would be cheated of a part of it. */
static void went_back(struct sim *sim, struct store *store)
{
    note(sim, FORGET_WRITES);
    if (store->lock.fence != sim->server.redis.newest)
        store->lock.proc = 0;
}

void redis_crashed(struct sim *sim)
{
    struct redis *redis = &sim->server.redis;
    struct master *master = &redis->masters[redis->current];
    int64_t kept = world_below(&sim->world, 3);
    if (kept == 0) { /* no persistence */
        note(sim, FORGET_ALL);
        clear_all(&master->store);
    } else if (kept == 1) {
        store_copy(&master->store, &redis->saved);
        went_back(sim, &master->store);
    }
    store_copy(&redis->saved, &master->store);
}

/* It is young now, and its replication id is a new one, whatever it has kept. A master that refuses writes for want of
 * replicas goes on to do so. */
void redis_restarted(struct sim *sim)
{
    struct redis *redis = &sim->server.redis;
    struct master *master = &redis->masters[redis->current];
    master->replication = ++redis->replications;
    master->started = server_clock(sim);
}

/* ---- failover --------------------------------------------------------------------------------------------------- */

static void cut_off(struct sim *sim, int master, bool stuck_too)
{
    for (int i = 0; i < CONNS_MAX; i++) {
        const struct conn *conn = &sim->net.conns[i];
        if (conn->used && conn->server_open && conn->master == master &&
            (stuck_too || !sim->server.redis.stuck[conn->slot]))
            server_terminate(sim, i, world_chance(&sim->world, 30));
    }
}

static void refuse(struct sim *sim, const struct world_event *event)
{
    (void)event;
    TRACE(sim, "server: the master refuses to write without its replica");
    sim->server.redis.masters[sim->server.redis.current].refuses = true;
}

static void promote(struct sim *sim, const struct world_event *event)
{
    (void)event;
    struct redis *redis = &sim->server.redis;
    int old = redis->current;
    redis->current = 1 - old;
    TRACE(sim, "server: the replica is promoted");
    went_back(sim, &redis->masters[redis->current].store);
    redis->masters[redis->current].replication = ++redis->replications;
    store_copy(&redis->saved, &redis->masters[redis->current].store);
    for (int slot = 0; slot < REPLICAS_MAX; slot++)
        redis->stuck[slot] = world_chance(&sim->world, 40);
    cut_off(sim, old, false);
    net_disturb(sim);
}

static void demote(struct sim *sim, const struct world_event *event)
{
    (void)event;
    struct redis *redis = &sim->server.redis;
    TRACE(sim, "server: the old master is a replica now");
    for (int slot = 0; slot < REPLICAS_MAX; slot++)
        redis->stuck[slot] = false;
    redis->failing_over = false;
    sim->checker.losses++; /* what it told until now may have been old */
    redis->masters[1 - redis->current].refuses = false;
    cut_off(sim, 1 - redis->current, true);
    net_disturb(sim);
}

/* Replication stands still, the master refuses writes, the replica is promoted, the old master hears of it: in this
 * order. Nobody sees the first of these moments: whatever the master writes after it is lost. */
static void fail_over(struct sim *sim)
{
    struct redis *redis = &sim->server.redis;
    struct world *world = &sim->world;
    struct master *replica = &redis->masters[1 - redis->current];
    if (redis->failing_over)
        return;
    redis->failing_over = true;
    bool behind = world_chance(world, 30);
    store_copy(&replica->store, behind ? &redis->saved : &redis->masters[redis->current].store);
    replica->refuses = false;
    replica->started = 0;
    TRACE(sim, "server: replication stands still");
    int64_t end = world->now + fault_duration(sim);
    int64_t promotion = world_between(world, world->now, end);
    world_at(world, world_chance(world, 50) ? promotion : world_between(world, world->now, promotion), refuse, 0, 0);
    world_at(world, promotion, promote, 0, 0);
    world_at(world, world_between(world, promotion, end), demote, 0, 0);
}

bool redis_strands(const struct sim *sim, int slot)
{
    const struct redis *redis = &sim->server.redis;
    return redis->stuck[slot] || redis->masters[redis->current].refuses;
}

/* ---- what the faults call --------------------------------------------------------------------------------------- */

void redis_tear(struct sim *sim)
{
    int64_t how = world_below(&sim->world, 4);
    if (how == 0)
        step_clock(sim, sim->scenario.lease + 1);
    else
        forget(sim, how == 1 ? FORGET_ALL : FORGET_LOCK);
}

void redis_befall(struct sim *sim)
{
    switch (world_below(&sim->world, 10)) {
    case 0:
    case 1:
        forget(sim, FORGET_ALL);
        break;
    case 2:
    case 3:
        evict(sim);
        break;
    case 4:
        begin_storm(sim);
        break;
    case 5:
    case 6:
        fault_crash(sim);
        break;
    case 7:
        step_clock(sim, world_between(&sim->world, 1, 2 * sim->scenario.lease));
        break;
    default:
        fail_over(sim);
        break;
    }
}
