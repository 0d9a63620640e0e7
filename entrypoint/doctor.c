#include "doctor_internal.h"

#include "exitcodes.h"
#include "identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 15000 /* for an answer */

/* ---- asking, one thing at a time -------------------------------------------------------------------------------- */

void doctor_answered(struct doctor *d, enum op_result result, const struct err *err)
{
    d->waiting = false;
    d->result = result;
    if (err)
        d->err = *err;
    uv_stop(&d->loop);
}

static void on_reply(void *user, enum op op, enum op_result result, const struct look *look, const struct err *err)
{
    struct doctor *d = user;
    if (!d->waiting || op != d->asked)
        return;
    doctor_answered(d, result, err);
    if (look) {
        d->look = *look;
        snprintf(d->blocked, sizeof d->blocked, "%s", look->blocked ? look->blocked : "");
        d->look.tail = d->look.blocked = NULL; /* valid in the callback only */
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct doctor *d = timer->data;
    struct err err;
    err_set(&err, ERR_UNAVAILABLE, "%s does not answer", d->asked_place);
    d->asked_backend->ops->reset(d->asked_backend);
    doctor_answered(d, OP_UNAVAILABLE, &err);
}

static void on_disconnected(void *user, const struct err *err)
{
    (void)user;
    (void)err;
}

static void on_woken(void *user)
{
    (void)user;
}

static void on_connected(void *user, bool pooled)
{
    struct doctor *d = user;
    d->pooled = pooled;
}

static void on_warned(void *user, enum event event, const char *text)
{
    (void)event;
    doctor_say(user, "warning", "%s", text);
}

enum op_result doctor_wait(struct doctor *d, struct backend *asked, const char *place)
{
    d->asked_backend = asked;
    d->asked_place = place;
    d->waiting = true;
    uv_timer_start(&d->timer, on_timer, PATIENCE_MS, 0);
    while (d->waiting)
        uv_run(&d->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&d->timer);
    return d->result;
}

static enum op_result look(struct doctor *d, const struct look_ask *what)
{
    d->asked = OP_LOOK;
    d->backend->ops->look(d->backend, what);
    return doctor_wait(d, d->backend, d->plan->place);
}

static enum op_result ask(struct doctor *d, enum op op)
{
    static const struct look_ask all = {.watch_from = INT64_MAX, .whole = true}; /* no run counts as watched */
    if (op == OP_LOOK)
        return look(d, &all);
    d->asked = op;
    if (op == OP_LOCK)
        d->backend->ops->lock(d->backend);
    else
        d->backend->ops->release(d->backend);
    return doctor_wait(d, d->backend, d->plan->place);
}

/* ---- the report ------------------------------------------------------------------------------------------------- */

/* What a start asks first: if the version is there, it needs no more than that. False if nobody answers; whatever else
 * goes wrong is said later. */
static bool look_first(struct doctor *d)
{
    static const struct look_ask first = {.watch_from = 0};
    if (d->options->commands[COMMAND_APPLIED_IF]) {
        doctor_check(d);
        return true;
    }
    enum op_result result = look(d, &first);
    d->asked = OP_NONE;
    d->applied = result == OP_OK && d->look.applied;
    if (result == OP_UNAVAILABLE)
        doctor_fault(d, "%s", d->err.text);
    return result != OP_UNAVAILABLE;
}

/* Why something cannot be had; a start would wait until a server has room, or somebody else's tool has ended. */
static void report_refusal(struct doctor *d, enum op_result result)
{
    if (result == OP_CROWDED)
        doctor_say(d, "busy", "%s; a start that has something to migrate would wait", d->err.text);
    else
        doctor_need(d, "%s", d->err.text);
}

static void report_version(struct doctor *d, const struct verdict *verdict)
{
    if (d->options->commands[COMMAND_APPLIED_IF])
        return; /* doctor_check has */
    if (d->applied)
        doctor_say(d, "applied", "the version is there%s",
                   d->look.ahead ? ", and the database is ahead of this image" : "");
    else if (verdict)
        doctor_say(d, "pending", "%zu of %zu: %s", verdict->missing, d->plan->migrations.count, verdict->missing_ids);
    else
        doctor_say(d, "pending", "the version is not there");
    if (verdict && verdict->unknown)
        doctor_say(d, "unknown", "%zu in the database that this image does not have: %s", verdict->unknown,
                   verdict->unknown_ids);
}

/* What is there and what is not. False if that cannot be told. */
static bool report_look(struct doctor *d)
{
    const struct verdict *verdict = d->plan->has_history ? history_verdict(d->backend) : NULL;
    enum op_result result = ask(d, OP_LOOK);
    if (result != OP_OK) {
        if (d->applied)
            report_version(d, NULL);
        report_refusal(d, result);
        return false;
    }
    const struct run *last = &d->look.last;
    const char *no_table = d->plan->has_history ? history_no_table(d->backend) : NULL;
    if (!d->options->commands[COMMAND_APPLIED_IF])
        d->applied = d->look.applied;
    if (no_table)
        doctor_say(d, "history", "is not there yet: %s", no_table);
    report_version(d, verdict);
    if (last->token)
        doctor_say(d, "last run", "%" PRIu64 ", %s, on %s since %s%s%s", last->token, run_state_name(last->state),
                   last->host, last->since, *last->last_line ? ": " : "", last->last_line);
    if (d->options->max_attempts && d->look.failures >= d->options->max_attempts && !d->applied)
        doctor_fault(d, "this version failed as often as --max-attempts (LOCKSTEP_MAX_ATTEMPTS) allows");
    else if (d->look.not_before_ms > 0 && !d->applied)
        doctor_say(d, "warning", "this version has failed %d times; the next try is due in %" PRId64 " s",
                   d->look.failures, (int64_t)d->look.not_before_ms / 1000 + 1);
    if (verdict && !d->applied && last->state == RUN_SUCCEEDED && d->look.last_is_same_target) {
        char text[1000];
        history_unmoved(&d->plan->history, verdict, no_table, text, sizeof text);
        doctor_say(d, "warning", "%s", text);
    }
    return true;
}

static void report_lock(struct doctor *d)
{
    enum op_result result = ask(d, OP_LOCK);
    if (result == OP_BUSY) {
        doctor_say(d, "lock", "held by a replica that migrates; a start would wait for it");
        return;
    }
    if (result != OP_OK) {
        report_refusal(d, result);
        return;
    }
    doctor_say(d, "lock", "taken and given back%s",
               !d->backend->ops->query ? ""
               : d->pooled             ? ", through a pooler: waiting replicas poll"
                                       : ", without a pooler in between");
    if (d->plan->has_history && !d->applied) { /* what stands in the way is only known under the lock */
        if ((result = ask(d, OP_LOOK)) != OP_OK)
            report_refusal(d, result);
        else if (d->blocked[0])
            doctor_fault(d, "%s", d->blocked);
    }
    if (ask(d, OP_RELEASE) != OP_OK)
        doctor_fault(d, "%s", d->err.text);
}

struct backend_config doctor_config(struct doctor *d)
{
    struct backend_config config =
        places_config(d->options, d->plan->target, d->plan->has_history ? &d->plan->history : NULL);
    config.loop = &d->loop;
    config.command = d->command;
    config.holder = &d->me;
    config.connect_timeout = PATIENCE_MS;
    config.makes_nothing = true;
    config.handlers = (struct backend_handlers){.reply = on_reply,
                                                .disconnected = on_disconnected,
                                                .woken = on_woken,
                                                .connected = on_connected,
                                                .warned = on_warned};
    config.user = d;
    return config;
}

static int open_place(struct doctor *d)
{
    if (uv_loop_init(&d->loop) != 0)
        return err_set(&d->err, ERR_SYSTEM, "the event loop cannot be set up");
    uv_timer_init(&d->loop, &d->timer);
    d->timer.data = d;
    places_command(d->plan->migrate, d->mask, d->command);
    if (identity_find(&d->me, &d->err) != 0)
        return -1;
    identity_find_container(&d->me);
    struct backend_config config = doctor_config(d);
    d->backend = backend_open(&config, &d->err);
    return d->backend ? 0 : -1;
}

int doctor(const struct options *options, const struct plan *plan, const struct mask *mask,
           const struct inherited *inherited)
{
    static struct doctor report; /* lives as long as the loop's handles, that is the process */
    struct doctor *d = &report;
    *d = (struct doctor){.options = options, .plan = plan, .mask = mask, .inherited = inherited};
    doctor_words(d);
    doctor_commands(d);
    if (open_place(d) != 0) {
        doctor_fault(d, "%s", d->err.text);
    } else {
        if (look_first(d) && doctor_servers(d) && report_look(d))
            report_lock(d);
        d->backend->ops->close(d->backend);
    }
    doctor_missing(d);
    if (d->faults)
        printf("\na start would fail: %d fault%s above\n", d->faults, d->faults == 1 ? "" : "s");
    else
        printf("\na start would work%s\n", d->applied ? ", and has nothing to migrate" : "");
    return d->faults ? EXIT_CANNOT_GO_ON : EXIT_DONE;
}
