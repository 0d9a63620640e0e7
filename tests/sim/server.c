#include "server.h"

#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void server_begin(struct sim *sim)
{
    struct server *server = &sim->server;
    memset(server, 0, sizeof *server);
    server->holder = -1;
    server->lease = sim->scenario.lease;
    server->listeners_max = (int)world_below(&sim->world, 2 * sim->scenario.replicas);
    server->wake_loss_percent = sim->scenario.calm ? 0 : (int)world_below(&sim->world, 60);
    if (sim->scenario.rolling && world_chance(&sim->world, 50)) { /* the old version is there already */
        server->token = 1;
        server->runs[1] = (struct run_row){.state = RUN_SUCCEEDED, .attempt = 1, .slot = -1, .container = -1};
        server->applied[0] = 1;
    }
}

int server_failures(const struct server *server, int target, bool unended)
{
    int failures = 0;
    for (uint64_t token = 1; token <= server->token; token++) {
        const struct run_row *run = &server->runs[token];
        if (run->target == target &&
            (run->state == RUN_FAILED || run->state == RUN_LOST || (unended && run->state == RUN_RUNNING)))
            failures++;
    }
    return failures;
}

static void release(struct sim *sim, const char *why)
{
    TRACE(sim, "server: the lock of connection %d is released: %s", sim->server.holder, why);
    sim->server.holder = -1;
    sim->server.lock_stamp++;
}

static void idle_too_long(struct sim *sim, const struct world_event *event)
{
    if (sim->server.holder == event->who && sim->server.lock_stamp == event->stamp) {
        TRACE(sim, "server: idle-in-transaction timeout of connection %d", event->who);
        server_terminate(sim, event->who, world_chance(&sim->world, 20));
    }
}

/* The server has heard of the holder: the lease begins anew. */
static void renew(struct sim *sim)
{
    sim->server.lock_stamp++;
    world_at(&sim->world, sim->world.now + sim->server.lease, idle_too_long, sim->server.holder,
             sim->server.lock_stamp);
}

void server_forget(struct sim *sim, int index)
{
    server_terminate(sim, index, true);
}

void server_terminate(struct sim *sim, int index, bool silent)
{
    if (sim->server.holder == index)
        release(sim, "its backend ends");
    net_close_server(sim, index, silent);
}

void server_crash(struct sim *sim, bool silent, bool failover)
{
    TRACE(sim, "server: crashes%s%s", silent ? ", silently" : "", failover ? ", fails over" : "");
    sim->server.down = true;
    sim->server.silent = silent;
    sim->server.timeline += failover;
    for (int i = 0; i < CONNS_MAX; i++)
        if (sim->net.conns[i].used && sim->net.conns[i].server_open)
            server_terminate(sim, i, silent);
}

void server_restart(struct sim *sim)
{
    TRACE(sim, "server: is up again");
    sim->server.down = false;
    for (int slot = 0; slot < REPLICAS_MAX; slot++)
        sim->net.faulty_until[slot] = sim->world.now;
}

static bool applied(const struct sim *sim, int target)
{
    if (sim->scenario.broken != BROKEN_MEMBERSHIP)
        return sim->server.applied[target] > 0;
    for (int other = 0; other < TARGETS_MAX; other++)
        if (sim->server.applied[other] > sim->server.applied[target])
            return false;
    return sim->server.applied[target] > 0;
}

static void view_of_target(const struct server *server, int target, uint64_t watch_from, int64_t now, struct view *view)
{
    view->last_failure_status = -1;
    for (uint64_t token = 1; token <= server->token; token++) {
        const struct run_row *run = &server->runs[token];
        if (run->target != target)
            continue;
        if (run->attempt > view->attempts)
            view->attempts = run->attempt;
        if (run->state != RUN_FAILED)
            continue;
        view->last_failure_status = run->exit_status;
        view->not_before_ms = run->not_before > now ? run->not_before - now : 0;
        if (watch_from > 0 && token >= watch_from) {
            view->failed_token = token;
            view->failed_status = run->exit_status;
        }
    }
    view->failures = server_failures(server, target, false);
}

static void look(const struct sim *sim, const struct conn *conn, const struct message *ask, struct view *view)
{
    const struct server *server = &sim->server;
    const struct run_row *last = &server->runs[server->token];
    *view = (struct view){.applied = applied(sim, ask->target)};
    view_of_target(server, ask->target, ask->look.watch_from, sim->world.now, view);
    for (int other = 0; other < TARGETS_MAX; other++)
        view->ahead |= view->applied && server->applied[other] > server->applied[ask->target];
    view->server_changed = server->token > 0 && server->gate_timeline != server->timeline;
    if (ask->look.own && ask->look.own <= server->token && server->runs[ask->look.own].proc == conn->proc)
        view->own_state = server->runs[ask->look.own].state;
    if (server->token == 0)
        return;
    view->last_token = server->token;
    view->last_state = last->state;
    view->last_status = last->exit_status;
    view->last_is_mine = last->proc == conn->proc;
    view->last_is_same_target = last->target == ask->target;
    view->last_is_restarted =
        !view->last_is_mine && last->container == conn->container && sim->scenario.replica[conn->slot].pid1;
}

static enum op_result try_lock(struct sim *sim, int index)
{
    if (sim->server.holder >= 0 && sim->server.holder != index)
        return OP_BUSY;
    sim->server.holder = index;
    sim->server.locked_at = sim->world.now;
    struct run_row *last = &sim->server.runs[sim->server.token];
    if (sim->scenario.broken == BROKEN_STICKY && last->state == RUN_RUNNING) {
        if (last->seen_dirty && last->proc != sim->net.conns[index].proc)
            last->state = RUN_LOST;
        last->seen_dirty = true;
    }
    return OP_OK;
}

static enum op_result mark(struct sim *sim, const struct conn *conn, const struct message *ask)
{
    struct server *server = &sim->server;
    struct run_row *same = &server->runs[server->token];
    if (ask->repeat) {
        bool ours = ask->token == server->token && same->proc == conn->proc && same->state == RUN_RUNNING;
        if (ours)
            same->attempt = ask->attempt;
        return ours ? OP_OK : OP_BUSY;
    }
    if (server->token + 1 != ask->token)
        return OP_BUSY;
    if (ask->token > RUNS_MAX) {
        world_violated(&sim->world, "runs", "more than %d runs", RUNS_MAX);
        return OP_BUSY;
    }
    checker_marking(sim, conn, ask);
    for (uint64_t token = 1; token <= server->token; token++)
        if (server->runs[token].state == RUN_RUNNING)
            server->runs[token].state = RUN_LOST;
    server->token = ask->token;
    server->gate_timeline = server->timeline;
    server->runs[ask->token] = (struct run_row){
        .state = RUN_RUNNING,
        .target = ask->target,
        .attempt = ask->attempt,
        .slot = conn->slot,
        .proc = conn->proc,
        .container = conn->container,
        .exit_status = -1,
    };
    return OP_OK;
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

static void wake_listeners(struct sim *sim)
{
    for (int i = 0; i < CONNS_MAX; i++) {
        const struct conn *conn = &sim->net.conns[i];
        if (conn->used && conn->server_open && conn->listening &&
            !world_chance(&sim->world, sim->server.wake_loss_percent))
            net_send(sim, i, TO_CLIENT, &(struct message){.kind = MSG_WAKE});
    }
}

/* The last statements of the holder's transaction and its commit: all of it or nothing. */
static enum op_result end_run(struct sim *sim, int index, const struct message *ask)
{
    struct server *server = &sim->server;
    struct run_row *run = &server->runs[server->token];
    if (server->holder != index)
        return OP_LOST;
    if (ask->token != server->token || run->state != RUN_RUNNING) {
        release(sim, "the end of a run that is not running");
        return OP_LOST;
    }
    checker_ending(sim, &sim->net.conns[index], ask, run);
    run->state = ask->state;
    run->exit_status = ask->status;
    run->finished_at = sim->world.now;
    if (ask->state == RUN_SUCCEEDED) {
        server->applied[run->target] = ask->token;
    } else if (ask->state == RUN_FAILED) {
        int failures = server_failures(server, run->target, false);
        int64_t wait = failures < 9 ? 1000LL << failures : 300000;
        run->not_before = sim->world.now + (wait < 300000 ? wait : 300000);
    }
    release(sim, "committed");
    wake_listeners(sim);
    return OP_OK;
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

static enum op_result answer(struct sim *sim, int index, const struct message *ask, struct view *view)
{
    struct conn *conn = &sim->net.conns[index];
    if (sim->server.refuses[conn->slot])
        return OP_REFUSED;
    switch (ask->op) {
    case OP_LOOK:
        look(sim, conn, ask, view);
        return OP_OK;
    case OP_LOCK:
        return try_lock(sim, index);
    case OP_LISTEN:
        return listen_for(sim, conn);
    case OP_MARK:
        return mark(sim, conn, ask);
    case OP_FENCE:
        return fence(sim, ask);
    case OP_BEAT:
        return sim->server.holder == index ? OP_OK : OP_LOST;
    case OP_END:
        return end_run(sim, index, ask);
    case OP_RELEASE:
        if (sim->server.holder == index)
            release(sim, "given back");
        return OP_OK;
    case OP_NONE:
        break;
    }
    return OP_REFUSED;
}

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
    if (!conn->accepted && conn->client_open)
        conn->accepted = conn->server_open = true;
    else if (!conn->server_open)
        net_send(sim, index, TO_CLIENT, &closed);
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
        reply.result = answer(sim, index, message, &reply.view);
    }
    TRACE(sim, "server: %s of r%d/%u (connection %d) ->%s", sim_op_name(message->op), conn->slot, conn->proc, index,
          sim_result_name(reply.result));
    if (sim->server.holder == index)
        renew(sim);
    net_send(sim, index, TO_CLIENT, &reply);
}
