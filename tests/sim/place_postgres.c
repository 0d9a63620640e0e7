/* The Postgres place: a lock that lives in a connection's transaction and ends with it, a server-side idle timeout as
 * the lease, records that survive whatever happens. */
#include "sim.h"

static void release(struct sim *sim, const char *why)
{
    TRACE(sim, "server: the lock of connection %d is released: %s", sim->server.postgres.holder, why);
    sim->server.postgres.holder = -1;
    sim->server.postgres.lock_stamp++;
}

static void idle_too_long(struct sim *sim, const struct world_event *event)
{
    if (sim->server.postgres.holder == event->who && sim->server.postgres.lock_stamp == event->stamp) {
        TRACE(sim, "server: idle-in-transaction timeout of connection %d", event->who);
        server_terminate(sim, event->who, world_chance(&sim->world, 20));
    }
}

/* The server has heard of the holder: the lease begins anew. */
static void renew(struct sim *sim)
{
    struct postgres *postgres = &sim->server.postgres;
    postgres->lock_stamp++;
    world_at(&sim->world, sim->world.now + sim->scenario.lease, idle_too_long, postgres->holder, postgres->lock_stamp);
}

static void begin(struct sim *sim)
{
    struct postgres *postgres = &sim->server.postgres;
    postgres->timeline = postgres->gate_timeline = 0;
    postgres->holder = -1;
    postgres->lock_stamp = 0;
    records_begin(&postgres->records, sim->scenario.old_target);
}

static struct records *records(struct sim *sim, const struct conn *conn)
{
    (void)conn;
    return &sim->server.postgres.records;
}

static void look(struct sim *sim, const struct conn *conn, const struct message *ask, struct view *view)
{
    (void)conn;
    (void)ask;
    const struct postgres *postgres = &sim->server.postgres;
    view->server_changed = postgres->records.last > 0 && postgres->gate_timeline != postgres->timeline;
}

static enum op_result try_lock(struct sim *sim, int index)
{
    struct postgres *postgres = &sim->server.postgres;
    if (postgres->holder >= 0 && postgres->holder != index)
        return OP_BUSY;
    postgres->holder = index;
    postgres->locked_at = sim->world.now;
    records_met(sim, &postgres->records, &sim->net.conns[index]);
    return OP_OK;
}

static enum op_result mark(struct sim *sim, const struct conn *conn, const struct message *ask)
{
    struct postgres *postgres = &sim->server.postgres;
    if (ask->repeat)
        return records_repeat(&postgres->records, conn, ask);
    if (postgres->records.last + 1 != ask->token)
        return OP_BUSY;
    enum op_result result = records_mark(sim, &postgres->records, conn, ask);
    postgres->gate_timeline = postgres->timeline;
    return result;
}

/* The last statements of the holder's transaction and its commit: all of it or nothing. */
static enum op_result end_run(struct sim *sim, int index, const struct message *ask)
{
    struct postgres *postgres = &sim->server.postgres;
    if (postgres->holder != index)
        return OP_LOST;
    bool ended = records_end(sim, &postgres->records, &sim->net.conns[index], ask);
    release(sim, ended ? "committed" : "the end of a run that is not running");
    return ended ? OP_OK : OP_LOST;
}

static enum op_result perform(struct sim *sim, int index, const struct message *ask)
{
    bool held = sim->server.postgres.holder == index;
    switch (ask->op) {
    case OP_LOCK:
        return try_lock(sim, index);
    case OP_MARK:
        return mark(sim, &sim->net.conns[index], ask);
    case OP_BEAT:
        return held ? OP_OK : OP_LOST;
    case OP_END:
        return end_run(sim, index, ask);
    default:
        if (held)
            release(sim, "given back");
        return OP_OK;
    }
}

static enum op_result act(struct sim *sim, int index, const struct message *ask, struct message *reply)
{
    (void)reply;
    enum op_result result = perform(sim, index, ask);
    if (sim->server.postgres.holder == index)
        renew(sim);
    return result;
}

static int holder_conn(const struct sim *sim)
{
    return sim->server.postgres.holder;
}

static int holder(const struct sim *sim)
{
    int index = sim->server.postgres.holder;
    return index < 0 ? -1 : sim->net.conns[index].slot;
}

static int64_t held_since(const struct sim *sim)
{
    return sim->server.postgres.locked_at;
}

static bool held_by(const struct sim *sim, const struct conn *conn, const struct message *ask)
{
    const struct postgres *postgres = &sim->server.postgres;
    return postgres->holder >= 0 && sim->net.conns[postgres->holder].proc == conn->proc &&
           postgres->locked_at <= ask->sent_at;
}

static bool strands(const struct sim *sim, int slot)
{
    (void)sim;
    (void)slot;
    return false;
}

static void accepted(struct sim *sim, struct conn *conn)
{
    (void)sim;
    (void)conn;
}

static void closed(struct sim *sim, int index)
{
    if (sim->server.postgres.holder == index)
        release(sim, "its backend ends");
}

/* What was committed stays, even over a failover: the hole that an asynchronous one leaves is told in the README. */
static void crashed(struct sim *sim)
{
    bool failover = world_chance(&sim->world, 30);
    if (failover)
        TRACE(sim, "server: fails over");
    sim->server.postgres.timeline += failover;
}

static void restarted(struct sim *sim)
{
    (void)sim;
}

static void tear(struct sim *sim)
{
    server_terminate(sim, sim->server.postgres.holder, true);
}

const struct place place_postgres = {
    .name = "postgres",
    .bound = true,
    .begin = begin,
    .records = records,
    .look = look,
    .act = act,
    .holder = holder,
    .held_since = held_since,
    .holder_conn = holder_conn,
    .held_by = held_by,
    .strands = strands,
    .accepted = accepted,
    .closed = closed,
    .crashed = crashed,
    .restarted = restarted,
    .tear = tear,
    .befall = NULL,
};
