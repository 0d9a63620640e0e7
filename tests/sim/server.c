#include "server.h"

#include "sim.h"

void server_begin(struct sim *sim)
{
    struct server *server = &sim->server;
    static const struct place *const places[] = {[PLACE_POSTGRES] = &place_postgres, [PLACE_REDIS] = &place_redis};
    server->place = places[sim->scenario.place];
    server->down = server->silent = server->door_closed = false;
    server->crowded_percent = 0;
    server->clock_step = 0;
    server->listeners_max =
        server->place->bound ? (int)world_below(&sim->world, 2LL * sim->scenario.replicas) : CONNS_MAX;
    server->wake_loss_percent = sim->scenario.calm ? 0 : (int)world_below(&sim->world, 60);
    for (int slot = 0; slot < REPLICAS_MAX; slot++)
        server->refuses[slot] = false;
    server->place->begin(sim);
}

int64_t server_clock(const struct sim *sim)
{
    return sim->world.now + sim->server.clock_step;
}

/* ---- connections ------------------------------------------------------------------------------------------------ */

void server_forget(struct sim *sim, int index)
{
    server_terminate(sim, index, true);
}

void server_terminate(struct sim *sim, int index, bool silent)
{
    sim->server.place->closed(sim, index);
    net_close_server(sim, index, silent);
}

bool server_keeps(const struct sim *sim, int index)
{
    return sim->server.place->bound && sim->server.place->holder_conn(sim) == index;
}

void server_crash(struct sim *sim, bool silent)
{
    TRACE(sim, "server: crashes%s", silent ? ", silently" : "");
    sim->server.down = true;
    sim->server.silent = silent;
    sim->server.place->crashed(sim);
    for (int i = 0; i < CONNS_MAX; i++)
        if (sim->net.conns[i].used && sim->net.conns[i].server_open)
            server_terminate(sim, i, silent);
}

void server_restart(struct sim *sim)
{
    TRACE(sim, "server: is up again");
    sim->server.down = false;
    sim->server.place->restarted(sim);
    net_disturb(sim);
}

/* ---- ops that do not depend on the kind of lock ------------------------------------------------------------------ */

static void look(struct sim *sim, const struct conn *conn, const struct message *ask, struct view *view)
{
    records_view(sim, sim->server.place->records(sim, conn), conn, ask, view);
    sim->server.place->look(sim, conn, ask, view);
}

static enum op_result listen_for(struct sim *sim, struct conn *conn)
{
    int listeners = 0;
    for (int i = 0; i < CONNS_MAX; i++)
        listeners += sim->net.conns[i].used && sim->net.conns[i].listening;
    if (listeners >= sim->server.listeners_max)
        return OP_BUSY;
    conn->listening = true;
    return OP_OK;
}

static void wake_listeners(struct sim *sim, const struct conn *by)
{
    for (int i = 0; i < CONNS_MAX; i++) {
        const struct conn *conn = &sim->net.conns[i];
        if (conn->used && conn->server_open && conn->listening && conn->master == by->master &&
            !world_chance(&sim->world, sim->server.wake_loss_percent))
            net_send(sim, i, TO_CLIENT, &(struct message){.kind = MSG_WAKE});
    }
}

/* Sessions of older runs end when they are told to, but not at once. */
static enum op_result fence(struct sim *sim, const struct message *ask)
{
    bool busy = world_chance(&sim->world, sim->scenario.calm ? 0 : 15);
    for (int i = 0; i < COMMANDS_MAX; i++) {
        struct command *command = &sim->commands[i];
        if (!command->alive || command->token >= ask->token)
            continue;
        busy |= !command->fenced;
        command->fenced = true;
    }
    return busy ? OP_BUSY : OP_OK;
}

static enum op_result answer(struct sim *sim, int index, const struct message *ask, struct message *reply)
{
    struct conn *conn = &sim->net.conns[index];
    if (sim->server.refuses[conn->slot])
        return OP_REFUSED;
    if (ask->op == OP_LOOK) {
        look(sim, conn, ask, &reply->view);
        return OP_OK;
    }
    if (ask->op == OP_LISTEN)
        return listen_for(sim, conn);
    if (ask->op == OP_FENCE)
        return fence(sim, ask);
    enum op_result result = sim->server.place->act(sim, index, ask, reply);
    if (result == OP_OK && (ask->op == OP_MARK || ask->op == OP_END))
        wake_listeners(sim, conn);
    return result;
}

/* ---- requests --------------------------------------------------------------------------------------------------- */

/* Whether there is somebody to hear the message; if not, the client may get to know. */
static bool accepts(struct sim *sim, int index)
{
    struct conn *conn = &sim->net.conns[index];
    struct message closed = {.kind = MSG_CLOSE};
    if (sim->server.down) {
        if (!sim->server.silent)
            net_send(sim, index, TO_CLIENT, &closed);
        return false;
    }
    if (!conn->accepted && sim->server.door_closed)
        return false;
    if (!conn->accepted && conn->client_open) {
        conn->accepted = conn->server_open = true;
        sim->server.place->accepted(sim, conn);
    } else if (!conn->server_open) {
        net_send(sim, index, TO_CLIENT, &closed);
    }
    return conn->server_open;
}

void server_receive(struct sim *sim, int index, const struct message *message)
{
    struct conn *conn = &sim->net.conns[index];
    if (message->kind == MSG_CLOSE) {
        if (conn->server_open)
            server_terminate(sim, index, true);
        return;
    }
    bool fresh = !conn->accepted;
    if (!accepts(sim, index))
        return;
    struct message reply = {.kind = MSG_REPLY, .op = message->op};
    if (fresh && world_chance(&sim->world, sim->server.crowded_percent)) {
        reply.result = OP_CROWDED;
        conn->server_open = conn->accepted = false;
    } else {
        reply.result = answer(sim, index, message, &reply);
    }
    TRACE(sim, "server: %s of r%d/%u (connection %d) ->%s", sim_op_name(message->op), conn->slot, conn->proc, index,
          sim_result_name(reply.result));
    net_send(sim, index, TO_CLIENT, &reply);
}
