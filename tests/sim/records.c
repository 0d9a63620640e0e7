#include "records.h"

#include "sim.h"

#include <string.h>

#define BACKOFF_MAX_MS 300000

void records_clear(struct records *records)
{
    memset(records, 0, offsetof(struct records, runs));
}

void records_begin(struct records *records, bool old_target)
{
    records_clear(records);
    if (!old_target)
        return;
    records->runs[records->count++] =
        (struct run_row){.token = 1, .state = RUN_SUCCEEDED, .attempt = 1, .slot = -1, .container = -1};
    records->last = records->applied[0] = 1;
}

void records_copy(struct records *to, const struct records *from)
{
    memcpy(to, from, offsetof(struct records, runs) + (size_t)from->count * sizeof from->runs[0]);
}

struct run_row *records_run(struct records *records, uint64_t token)
{
    for (int i = records->count - 1; i >= 0; i--)
        if (records->runs[i].token == token)
            return &records->runs[i];
    return NULL;
}

int records_failures(const struct records *records, int target)
{
    int failures = 0;
    for (int i = 0; i < records->count; i++) {
        const struct run_row *run = &records->runs[i];
        failures += run->target == target && (run->state == RUN_FAILED || run->state == RUN_LOST);
    }
    return failures;
}

int64_t records_backoff(const struct records *records, int target, int64_t now)
{
    for (int i = records->count - 1; i >= 0; i--) {
        const struct run_row *run = &records->runs[i];
        if (run->target == target && run->state == RUN_FAILED)
            return run->not_before > now ? run->not_before - now : 0;
    }
    return 0;
}

/* ---- a look ----------------------------------------------------------------------------------------------------- */

static bool applied(const struct sim *sim, const struct records *records, int target)
{
    if (sim->scenario.broken != BROKEN_MEMBERSHIP)
        return records->applied[target] > 0;
    for (int other = 0; other < TARGETS_MAX; other++)
        if (records->applied[other] > records->applied[target])
            return false;
    return records->applied[target] > 0;
}

static void view_of_target(const struct records *records, int target, uint64_t watch_from, struct view *view)
{
    view->last_failure_status = -1;
    for (int i = 0; i < records->count; i++) {
        const struct run_row *run = &records->runs[i];
        if (run->target != target)
            continue;
        if (run->attempt > view->attempts)
            view->attempts = run->attempt;
        if (run->state != RUN_FAILED)
            continue;
        view->last_failure_status = run->exit_status;
        if (watch_from > 0 && run->token >= watch_from) {
            view->failed_token = run->token;
            view->failed_status = run->exit_status;
        }
    }
    view->failures = records_failures(records, target);
}

void records_view(struct sim *sim, struct records *records, const struct conn *conn, const struct message *ask,
                  struct view *view)
{
    *view = (struct view){.applied = applied(sim, records, ask->target)};
    view_of_target(records, ask->target, ask->look.watch_from, view);
    view->not_before_ms = records_backoff(records, ask->target, server_clock(sim));
    for (int other = 0; other < TARGETS_MAX; other++)
        view->ahead |= view->applied && records->applied[other] > records->applied[ask->target];
    const struct run_row *own = ask->look.own ? records_run(records, ask->look.own) : NULL;
    if (own && own->proc == conn->proc)
        view->own_state = own->state;
    view->last_token = records->last;
    const struct run_row *last = records_run(records, records->last);
    if (!last)
        return;
    view->last_state = last->state;
    view->last_status = last->exit_status;
    view->last_is_mine = last->proc == conn->proc;
    view->last_is_same_target = last->target == ask->target;
    view->last_is_restarted =
        !view->last_is_mine && last->container == conn->container && sim->scenario.replica[conn->slot].pid1;
}

void records_met(const struct sim *sim, struct records *records, const struct conn *conn)
{
    struct run_row *last = records_run(records, records->last);
    if (sim->scenario.broken != BROKEN_STICKY || !last || last->state != RUN_RUNNING)
        return;
    if (last->seen_dirty && last->proc != conn->proc)
        last->state = RUN_LOST;
    last->seen_dirty = true;
}

/* ---- what is written -------------------------------------------------------------------------------------------- */

enum op_result records_mark(struct sim *sim, struct records *records, const struct conn *conn,
                            const struct message *ask)
{
    if (records->count == RUNS_MAX) {
        world_violated(&sim->world, "runs", "more than %d runs", RUNS_MAX);
        return OP_BUSY;
    }
    checker_marking(sim, records, conn, ask);
    struct run_row *same = records_run(records, ask->token); /* the place has forgotten that it was the last one */
    struct run_row *row = same ? same : &records->runs[records->count++];
    struct run_row *last = records_run(records, records->last);
    if (last && last->state == RUN_RUNNING)
        last->state = RUN_LOST;
    records->last = ask->token;
    *row = (struct run_row){
        .token = ask->token,
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

static struct run_row *running_run(struct records *records, const struct message *ask)
{
    struct run_row *run = ask->token == records->last ? records_run(records, ask->token) : NULL;
    return run && run->state == RUN_RUNNING ? run : NULL;
}

enum op_result records_repeat(struct records *records, const struct conn *conn, const struct message *ask)
{
    struct run_row *run = running_run(records, ask);
    if (!run || run->proc != conn->proc)
        return OP_BUSY;
    run->attempt = ask->attempt;
    return OP_OK;
}

bool records_end(struct sim *sim, struct records *records, const struct conn *conn, const struct message *ask)
{
    struct run_row *run = running_run(records, ask);
    if (!run)
        return false;
    checker_ending(sim, conn, ask, run);
    run->state = ask->state;
    run->exit_status = ask->status;
    if (ask->state == RUN_SUCCEEDED) {
        if (records->applied[run->target] == 0)
            records->applied[run->target] = ask->token;
    } else if (ask->state == RUN_FAILED) {
        int failures = records_failures(records, run->target);
        int64_t wait = failures < 9 ? 1000LL << failures : BACKOFF_MAX_MS;
        run->not_before = server_clock(sim) + (wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS);
    }
    return true;
}
