#include "sim.h"

/* ---- the store -------------------------------------------------------------------------------------------------- */

void store_copy(struct store *to, const struct store *from)
{
    to->lock = from->lock;
    to->counts = from->counts;
    to->fence = from->fence;
    to->server = from->server;
    records_copy(&to->records, &from->records);
}

/* A write may be the last one that reaches the disk. */
static void wrote(struct sim *sim, const struct master *master)
{
    struct redis *redis = &sim->server.redis;
    if (master == &redis->masters[redis->current] && world_chance(&sim->world, redis->save_percent))
        store_copy(&redis->saved, &master->store);
}

static void begin(struct sim *sim)
{
    struct redis *redis = &sim->server.redis;
    struct world *world = &sim->world;
    struct master *master = &redis->masters[0];
    bool young = sim->scenario.fresh && world_chance(world, 50);
    redis->current = 0;
    redis->failing_over = false;
    redis->storm_left = 0;
    redis->replications = 1;
    redis->newest = 0;
    redis->save_percent = (int)world_below(world, world_chance(world, 50) ? 6 : 100);
    for (int slot = 0; slot < REPLICAS_MAX; slot++)
        redis->stuck[slot] = false;
    master->refuses = redis->masters[1].refuses = false;
    master->replication = 1;
    master->started = young ? world->now - world_below(world, sim->scenario.times.quarantine) : 0;
    master->store.lock.proc = 0;
    master->store.counts = !sim->scenario.fresh;
    master->store.server = sim->scenario.fresh ? 0 : master->replication;
    records_begin(&master->store.records, sim->scenario.old_target);
    master->store.fence = master->store.records.last;
    store_copy(&redis->saved, &master->store);
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static struct master *master_of(struct sim *sim, const struct conn *conn)
{
    return &sim->server.redis.masters[conn->master];
}

struct master *redis_master(struct sim *sim, int slot)
{
    struct redis *redis = &sim->server.redis;
    return &redis->masters[redis->stuck[slot] ? 1 - redis->current : redis->current];
}

const struct lease *redis_lease(const struct sim *sim, const struct master *master)
{
    const struct lease *lock = &master->store.lock;
    return lock->proc && server_clock(sim) <= lock->expires ? lock : NULL;
}

/* Whether the lock carries the value that the asker has got with it. */
static bool carries_value(const struct sim *sim, const struct master *master, const struct conn *conn,
                          const struct message *ask)
{
    const struct lease *lock = redis_lease(sim, master);
    return lock && lock->proc == conn->proc && lock->fence == ask->fence;
}

static struct records *records(struct sim *sim, const struct conn *conn)
{
    struct redis *redis = &sim->server.redis;
    return &redis->masters[conn ? conn->master : redis->current].store.records;
}

/* INFO has whole seconds, both of them rounded down. */
static int64_t uptime(const struct sim *sim, const struct master *master)
{
    return (server_clock(sim) / 1000 - master->started / 1000) * 1000;
}

static bool changed(const struct sim *sim, struct master *master)
{
    struct store *store = &master->store;
    bool unknown = store->records.last && !records_run(&store->records, store->records.last);
    bool forgotten = store->server == 0;
    bool another = store->server != 0 && store->server != master->replication;
    return (forgotten && sim->scenario.broken != BROKEN_FORGET) || (unknown && sim->scenario.broken != BROKEN_RUNS) ||
           (another && sim->scenario.broken != BROKEN_FAILOVER) ||
           uptime(sim, master) < sim->scenario.times.lease + 1000;
}

/* A look is two commands: HMGET, which answers alone if the target is there and nothing of ours is unsettled, and then
 * a script. */
static void look(struct sim *sim, const struct conn *conn, const struct message *ask, struct view *view)
{
    struct master *master = master_of(sim, conn);
    const struct lease *lock = redis_lease(sim, master);
    if (ask->step == 0) {
        bool all = view->applied && ask->look.own == 0;
        *view = (struct view){.applied = view->applied, .ahead = view->ahead, .unfinished = !all};
        return;
    }
    if (view->own_state == RUN_RUNNING && ask->look.own != master->store.records.last)
        view->own_state = RUN_LOST;
    bool held = lock && lock->proc == conn->proc;
    view->fence = held ? lock->fence : 0;
    view->server_changed = !held || changed(sim, master); /* without the lock nothing is vouched for */
}

/* ---- the scripts that write ------------------------------------------------------------------------------------- */

/* A fence of the past never comes again: where the counter may have lost something, the clock gives a number above all
 * that it can have given before (an acquisition takes longer than a millisecond). */
static void count_up(struct sim *sim, struct master *master)
{
    struct store *store = &master->store;
    bool known = store->counts && (store->server == master->replication || sim->scenario.broken == BROKEN_FENCE);
    uint64_t clock = (uint64_t)server_clock(sim) / (sim->scenario.broken == BROKEN_SECONDS ? 1000 : 1);
    if (!store->counts) {
        store->fence = 0;
        store->server = sim->scenario.broken == BROKEN_FORGET ? master->replication : 0;
    }
    store->counts = true;
    store->fence++;
    if (!known && store->fence < clock)
        store->fence = clock;
}

static enum op_result lock(struct sim *sim, struct master *master, const struct conn *conn, struct message *reply)
{
    const struct lease *held = redis_lease(sim, master);
    if (held && held->proc != conn->proc)
        return OP_BUSY;
    if (master->store.lock.proc && !held)
        TRACE(sim, "server: the lease of r%d/%u is over", master->store.lock.slot, master->store.lock.proc);
    count_up(sim, master);
    master->store.lock = (struct lease){
        .proc = conn->proc,
        .slot = conn->slot,
        .fence = master->store.fence,
        .expires = server_clock(sim) + sim->scenario.lease,
        .since = sim->world.now,
    };
    reply->fence = sim->server.redis.newest = master->store.fence;
    records_met(sim, &master->store.records, conn);
    return OP_OK;
}

static enum op_result mark(struct sim *sim, struct master *master, const struct conn *conn, const struct message *ask)
{
    struct records *records = &master->store.records;
    if (!carries_value(sim, master, conn, ask))
        return OP_BUSY;
    if (records->last == ask->token && records_run(records, ask->token))
        return records_repeat(records, conn, ask); /* a further try, or only the reply to the first mark was lost */
    if (records->last > ask->token)
        return OP_BUSY;
    enum op_result result = records_mark(sim, records, conn, ask);
    master->store.server = master->replication;
    return result;
}

static enum op_result beat(struct sim *sim, struct master *master, const struct conn *conn, const struct message *ask)
{
    struct lease *lock = &master->store.lock;
    const struct lease *held = redis_lease(sim, master);
    bool ours = carries_value(sim, master, conn, ask);
    if (sim->scenario.broken == BROKEN_BLIND && held)
        ours = true;
    if (sim->scenario.broken == BROKEN_RECREATE && !held) {
        *lock = (struct lease){.proc = conn->proc, .slot = conn->slot, .fence = ask->fence, .since = sim->world.now};
        ours = true;
    }
    if (ours)
        lock->expires = server_clock(sim) + sim->scenario.lease;
    return ours ? OP_OK : OP_LOST;
}

static enum op_result perform(struct sim *sim, int index, const struct message *ask, struct message *reply)
{
    const struct conn *conn = &sim->net.conns[index];
    struct master *master = master_of(sim, conn);
    if (ask->op == OP_LOCK)
        return lock(sim, master, conn, reply);
    if (ask->op == OP_MARK)
        return mark(sim, master, conn, ask);
    if (ask->op == OP_BEAT)
        return beat(sim, master, conn, ask);
    if (ask->op == OP_END) {
        if (!carries_value(sim, master, conn, ask) || !records_end(sim, &master->store.records, conn, ask))
            return OP_LOST;
    }
    if (carries_value(sim, master, conn, ask))
        master->store.lock.proc = 0;
    return OP_OK;
}

static enum op_result act(struct sim *sim, int index, const struct message *ask, struct message *reply)
{
    const struct master *master = master_of(sim, &sim->net.conns[index]);
    if (master->refuses)
        return OP_UNAVAILABLE;
    enum op_result result = perform(sim, index, ask, reply);
    if (result == OP_OK)
        wrote(sim, master);
    return result;
}

/* ---- for the world ---------------------------------------------------------------------------------------------- */

static const struct lease *current_lease(const struct sim *sim)
{
    return redis_lease(sim, &sim->server.redis.masters[sim->server.redis.current]);
}

static int holder(const struct sim *sim)
{
    const struct lease *lock = current_lease(sim);
    return lock ? lock->slot : -1;
}

static int64_t held_since(const struct sim *sim)
{
    const struct lease *lock = current_lease(sim);
    return lock ? lock->since : 0;
}

static int holder_conn(const struct sim *sim)
{
    int slot = holder(sim);
    return slot < 0 ? -1 : sim->replicas[slot].conn[0];
}

/* What changes the records compares the lock's value first. */
static bool held_by(const struct sim *sim, const struct conn *conn, const struct message *ask)
{
    return carries_value(sim, &sim->server.redis.masters[conn->master], conn, ask);
}

static void accepted(struct sim *sim, struct conn *conn)
{
    conn->master = (int)(redis_master(sim, conn->slot) - sim->server.redis.masters);
}

static void closed(struct sim *sim, int index)
{
    (void)sim;
    (void)index;
}

const struct place place_redis = {
    .name = "redis",
    .bound = false,
    .begin = begin,
    .records = records,
    .look = look,
    .act = act,
    .holder = holder,
    .held_since = held_since,
    .holder_conn = holder_conn,
    .held_by = held_by,
    .strands = redis_strands,
    .accepted = accepted,
    .closed = closed,
    .crashed = redis_crashed,
    .restarted = redis_restarted,
    .tear = redis_tear,
    .befall = redis_befall,
};
