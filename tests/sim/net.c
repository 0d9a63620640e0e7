#include "net.h"

#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

static void pump(struct sim *sim, const struct world_event *event);

void net_begin(struct net *net)
{
    for (int slot = 0; slot < REPLICAS_MAX; slot++) {
        net->blocked[slot][TO_SERVER] = net->blocked[slot][TO_CLIENT] = false;
        net->faulty_until[slot] = 0;
    }
    net->loss_permille = 0;
    for (int i = 0; i < CONNS_MAX; i++) {
        net->conns[i].used = false;
        net->conns[i].stamp = 0;
    }
}

int net_open(struct sim *sim, int slot)
{
    struct conn *conn = sim->net.conns;
    while (conn < sim->net.conns + CONNS_MAX && conn->used)
        conn++;
    if (conn == sim->net.conns + CONNS_MAX) {
        fprintf(stderr, "sim: more than %d connections\n", CONNS_MAX);
        abort();
    }
    conn->used = conn->client_open = true;
    conn->accepted = conn->server_open = conn->listening = conn->broken = false;
    conn->slot = slot;
    conn->master = 0;
    conn->proc = sim->replicas[slot].proc;
    conn->container = sim->replicas[slot].container;
    for (int direction = TO_SERVER; direction <= TO_CLIENT; direction++) {
        conn->queue[direction].head = conn->queue[direction].count = 0;
        conn->queue[direction].armed = false;
    }
    return (int)(conn - sim->net.conns);
}

static void arm(struct sim *sim, int index, enum direction direction)
{
    struct conn *conn = &sim->net.conns[index];
    struct queue *queue = &conn->queue[direction];
    if (queue->armed || queue->count == 0)
        return;
    queue->armed = true;
    world_at(&sim->world, queue->ring[queue->head].ready_at, pump, index * 2 + (int)direction, conn->stamp);
}

/* Gives the place back once nobody can tell that the connection ever was. */
static void collect(struct sim *sim, int index)
{
    struct conn *conn = &sim->net.conns[index];
    if (!conn->used || conn->client_open || server_keeps(sim, index))
        return;
    bool unsent = conn->accepted && conn->queue[TO_SERVER].count > 0;
    if (conn->broken || (!unsent && !conn->server_open)) {
        conn->used = false;
        conn->stamp++;
    }
}

void net_send(struct sim *sim, int index, enum direction direction, const struct message *message)
{
    struct conn *conn = &sim->net.conns[index];
    struct queue *queue = &conn->queue[direction];
    if (conn->broken || (direction == TO_CLIENT && !conn->client_open))
        return;
    if (message->kind != MSG_CLOSE && world_below(&sim->world, 1000) < sim->net.loss_permille) {
        TRACE(sim, "net: connection %d of r%d breaks", index, conn->slot);
        net_break(sim, index);
        return;
    }
    if (message->kind == MSG_WAKE && queue->count >= QUEUE_CAPACITY / 2)
        return; /* one of those that are on their way will do */
    if (queue->count == QUEUE_CAPACITY) {
        fprintf(stderr, "sim: a connection's queue is full\n");
        abort();
    }
    int64_t ready = sim->world.now + world_below(&sim->world, sim->net.delay_max) + 1;
    if (queue->count > 0) {
        const struct message *last = &queue->ring[(queue->head + queue->count - 1) % QUEUE_CAPACITY];
        ready = ready > last->ready_at ? ready : last->ready_at;
    }
    struct message *sent = &queue->ring[(queue->head + queue->count++) % QUEUE_CAPACITY];
    *sent = *message;
    sent->sent_at = sim->world.now;
    sent->ready_at = ready;
    arm(sim, index, direction);
}

static bool deliverable(const struct sim *sim, const struct conn *conn, enum direction direction)
{
    if (sim->net.blocked[conn->slot][direction])
        return false;
    /* A process that is stopped does not read; its kernel keeps what came. */
    return direction == TO_SERVER || !conn->client_open || replica_runs(&sim->replicas[conn->slot]);
}

static void pump(struct sim *sim, const struct world_event *event)
{
    int index = event->who / 2;
    enum direction direction = (enum direction)(event->who % 2);
    struct conn *conn = &sim->net.conns[index];
    if (!conn->used || conn->stamp != event->stamp)
        return;
    struct queue *queue = &conn->queue[direction];
    queue->armed = false;
    if (queue->count == 0 || !deliverable(sim, conn, direction))
        return;
    struct message message = queue->ring[queue->head];
    queue->head = (queue->head + 1) % QUEUE_CAPACITY;
    queue->count--;
    arm(sim, index, direction);
    if (direction == TO_SERVER && !conn->broken)
        server_receive(sim, index, &message);
    else if (direction == TO_CLIENT && !conn->broken && conn->client_open)
        replica_receive(sim, index, &message);
    collect(sim, index);
}

void net_close_client(struct sim *sim, int index, bool abort_it)
{
    struct conn *conn = &sim->net.conns[index];
    conn->client_open = false;
    if (abort_it)
        conn->queue[TO_SERVER].count = 0;
    if (conn->accepted)
        net_send(sim, index, TO_SERVER, &(struct message){.kind = MSG_CLOSE});
    collect(sim, index);
}

void net_close_server(struct sim *sim, int index, bool silent)
{
    struct conn *conn = &sim->net.conns[index];
    conn->server_open = conn->listening = false;
    if (conn->client_open)
        sim->net.faulty_until[conn->slot] = sim->world.now;
    if (!silent)
        net_send(sim, index, TO_CLIENT, &(struct message){.kind = MSG_CLOSE});
    collect(sim, index);
}

void net_vanish(struct sim *sim, int index)
{
    struct conn *conn = &sim->net.conns[index];
    conn->client_open = false;
    conn->broken = true;
    collect(sim, index);
}

/* A broken connection comes to light at last. */
static void reveal(struct sim *sim, const struct world_event *event)
{
    struct conn *conn = &sim->net.conns[event->who];
    if (!conn->used || conn->stamp != event->stamp)
        return;
    if (conn->server_open)
        server_forget(sim, event->who);
    if (conn->client_open && replica_runs(&sim->replicas[conn->slot]))
        replica_receive(sim, event->who, &(struct message){.kind = MSG_CLOSE});
    collect(sim, event->who);
}

void net_break(struct sim *sim, int index)
{
    struct conn *conn = &sim->net.conns[index];
    if (conn->broken)
        return;
    conn->broken = true;
    sim->net.faulty_until[conn->slot] = sim->world.now;
    if (world_chance(&sim->world, 60))
        world_at(&sim->world, sim->world.now + world_below(&sim->world, 4000), reveal, index, conn->stamp);
    collect(sim, index);
}

static void rearm(struct sim *sim, int slot)
{
    for (int i = 0; i < CONNS_MAX; i++) {
        if (!sim->net.conns[i].used || sim->net.conns[i].slot != slot)
            continue;
        arm(sim, i, TO_SERVER);
        arm(sim, i, TO_CLIENT);
    }
}

void net_block(struct sim *sim, int slot, enum direction direction, bool blocked)
{
    sim->net.faulty_until[slot] = sim->world.now;
    sim->net.blocked[slot][direction] = blocked;
    if (!blocked)
        rearm(sim, slot);
}

void net_disturb(struct sim *sim)
{
    for (int slot = 0; slot < REPLICAS_MAX; slot++)
        sim->net.faulty_until[slot] = sim->world.now;
}

void net_resume(struct sim *sim, int slot)
{
    rearm(sim, slot);
}
