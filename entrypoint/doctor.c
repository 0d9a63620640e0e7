#include "doctor_internal.h"

#include "clock.h"
#include "exitcodes.h"
#include "identity.h"
#include "sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS  15000 /* for an answer */
#define CLOCK_MAX_MS 60000 /* a difference that is worth a word: times in the records are the server's */

/* ---- asking, one thing at a time -------------------------------------------------------------------------------- */

static void on_reply(void *user, enum op op, enum op_result result, const struct look *look, const struct err *err)
{
    struct doctor *d = user;
    if (!d->waiting || op != d->asked)
        return;
    d->waiting = false;
    d->result = result;
    if (err)
        d->err = *err;
    if (look) {
        d->look = *look;
        snprintf(d->blocked, sizeof d->blocked, "%s", look->blocked ? look->blocked : "");
        d->look.tail = d->look.blocked = NULL; /* valid in the callback only */
    }
    uv_stop(&d->loop);
}

static void on_rows(void *user, struct pg_result *rows, const struct err *err, const char *sqlstate)
{
    struct doctor *d = user;
    (void)sqlstate;
    d->waiting = false;
    d->result = err ? OP_REFUSED : OP_OK;
    if (err)
        d->err = *err;
    d->rows = rows ? PQcopyResult(rows, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES) : NULL;
    uv_stop(&d->loop);
}

static void on_timer(uv_timer_t *timer)
{
    struct doctor *d = timer->data;
    d->waiting = false;
    d->result = OP_UNAVAILABLE;
    err_set(&d->err, ERR_UNAVAILABLE, "%s does not answer", d->plan->place);
    d->backend->ops->reset(d->backend);
    uv_stop(&d->loop);
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
    d->connected = true;
    d->pooled = pooled;
}

static void on_warned(void *user, enum event event, const char *text)
{
    (void)event;
    doctor_say(user, "warning", "%s", text);
}

static enum op_result wait_for_answer(struct doctor *d)
{
    uv_timer_start(&d->timer, on_timer, PATIENCE_MS, 0);
    while (d->waiting)
        uv_run(&d->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&d->timer);
    return d->result;
}

static enum op_result ask(struct doctor *d, enum op op)
{
    const struct look_ask all = {.watch_from = INT64_MAX, .whole = true}; /* no run counts as watched */
    d->waiting = true;
    d->asked = op;
    if (op == OP_LOOK)
        d->backend->ops->look(d->backend, &all);
    else if (op == OP_LOCK)
        d->backend->ops->lock(d->backend);
    else
        d->backend->ops->release(d->backend);
    return wait_for_answer(d);
}

/* ---- the server ------------------------------------------------------------------------------------------------- */

enum server_column {
    SERVER_VERSION,
    SERVER_STANDBY,
    SERVER_TIME, /* ms */
    SERVER_ROLE,
    SERVER_DATABASE,
    SERVER_MAY_CREATE, /* schemas */
    SERVER_HAS_SCHEMA, /* of the records */
    SERVER_MAY_USE,    /* it */
    SERVER_FIRST_SCHEMA,
    SERVER_MAY_MAKE_TABLES, /* there */
};

static const char *cell(const struct doctor *d, enum server_column column)
{
    return PQgetvalue(d->rows, 0, (int)column);
}

/* Of the schema, the role, and both again. */
#define GRANT_RECORDS                                                                                                  \
    "GRANT USAGE ON SCHEMA \"%s\" TO \"%s\"; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \"%s\" TO "  \
    "\"%s\""

static void report_rights(struct doctor *d)
{
    const char *schema = d->options->schema, *user = cell(d, SERVER_ROLE), *database = cell(d, SERVER_DATABASE);
    bool may_create = cell(d, SERVER_MAY_CREATE)[0] == 't', has_schema = cell(d, SERVER_HAS_SCHEMA)[0] == 't',
         may_use = cell(d, SERVER_MAY_USE)[0] == 't';
    doctor_say(d, "role", "%s in database %s", user, database);
    if (has_schema && !may_use)
        doctor_fault(d, "the role may not use the record tables; " GRANT_RECORDS, schema, user, schema, user);
    else if (!has_schema && !may_create)
        doctor_fault(d,
                     "the record tables are not there and the role may not make them; GRANT CREATE ON DATABASE \"%s\" "
                     "TO \"%s\"; or let a DBA apply what `lockstep schema` prints, then " GRANT_RECORDS,
                     database, user, schema, user, schema, user);
    else
        doctor_say(d, "records", has_schema ? "in the schema %s" : "the first run makes them in the schema %s", schema);
    if (cell(d, SERVER_MAY_MAKE_TABLES)[0] == 'f')
        doctor_say(
            d, "warning",
            "the role may not create tables in %s, the first schema of its search path, as most migrations do; GRANT "
            "CREATE ON SCHEMA \"%s\" TO \"%s\"",
            cell(d, SERVER_FIRST_SCHEMA), cell(d, SERVER_FIRST_SCHEMA), user);
}

/* Of the place if it is a Postgres. False if it does not answer. */
static bool report_server(struct doctor *d)
{
    char *sql = NULL;
    size_t size;
    if (!d->backend->ops->query)
        return true;
    FILE *out = open_memstream(&sql, &size);
    fputs("SELECT current_setting('server_version'), pg_is_in_recovery(), (extract(epoch FROM clock_timestamp()) * "
          "1000)::bigint, current_user, current_database(), has_database_privilege(current_database(), 'CREATE'), "
          "schema.oid IS NOT NULL, coalesce(has_schema_privilege(schema.oid, 'USAGE') AND (run.oid IS NULL OR "
          "has_table_privilege(run.oid, 'SELECT, INSERT, UPDATE')), false), current_schema(), "
          "has_schema_privilege(current_schema(), 'CREATE') FROM (SELECT) one LEFT JOIN pg_namespace AS schema ON "
          "nspname = ",
          out);
    sql_quote(out, d->options->schema, '\'');
    fputs(" LEFT JOIN pg_class AS run ON relnamespace = schema.oid AND relname = 'run'", out);
    fclose(out);
    int64_t asked = clock_wall_ms();
    d->waiting = true;
    d->backend->ops->query(d->backend, sql, on_rows, d);
    enum op_result result = wait_for_answer(d);
    free(sql);
    if (result != OP_OK || !d->rows) {
        doctor_fault(d, "%s", d->err.text);
        return false;
    }
    int64_t now = clock_wall_ms(), ahead = strtoll(cell(d, SERVER_TIME), NULL, 10) - (asked + now) / 2;
    doctor_say(d, "server", "PostgreSQL %s%s, answers within %" PRId64 " ms; its clock is %" PRId64 " ms %s ours",
               cell(d, SERVER_VERSION), cell(d, SERVER_STANDBY)[0] == 't' ? ", a hot standby" : "", now - asked,
               ahead < 0 ? -ahead : ahead, ahead < 0 ? "behind" : "ahead of");
    if (ahead > CLOCK_MAX_MS || ahead < -CLOCK_MAX_MS)
        doctor_say(d, "warning",
                   "the clocks differ; lockstep does not mind, but times in its records are the server's");
    report_rights(d);
    PQclear(d->rows);
    d->rows = NULL;
    return true;
}

/* What is there and what is not. False if that cannot be told. */
static bool report_look(struct doctor *d)
{
    if (ask(d, OP_LOOK) != OP_OK) {
        doctor_fault(d, "%s", d->err.text);
        return false;
    }
    const struct run *last = &d->look.last;
    const struct verdict *verdict = d->plan->has_history ? history_verdict(d->backend) : NULL;
    const char *no_table = d->plan->has_history ? history_no_table(d->backend) : NULL;
    d->applied = d->look.applied;
    if (no_table)
        doctor_say(d, "history", "is not there yet: %s", no_table);
    if (d->options->commands[COMMAND_APPLIED_IF])
        doctor_check(d);
    else if (d->applied)
        doctor_say(d, "applied", "the version is there%s",
                   d->look.ahead ? ", and the database is ahead of this image" : "");
    else if (verdict)
        doctor_say(d, "pending", "%zu of %zu: %s", verdict->missing, d->plan->migrations.count, verdict->missing_ids);
    else
        doctor_say(d, "pending", "the version is not there");
    if (verdict && verdict->unknown)
        doctor_say(d, "unknown", "%zu in the database that this image does not have: %s", verdict->unknown,
                   verdict->unknown_ids);
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
        doctor_fault(d, "%s", d->err.text);
        return;
    }
    doctor_say(d, "lock", "taken and given back%s",
               !d->connected ? ""
               : d->pooled   ? ", through a pooler: waiting replicas poll"
                             : ", without a pooler in between");
    if (d->plan->has_history && !d->applied) { /* what stands in the way is only known under the lock */
        if (ask(d, OP_LOOK) != OP_OK)
            doctor_fault(d, "%s", d->err.text);
        else if (d->blocked[0])
            doctor_fault(d, "%s", d->blocked);
    }
    if (ask(d, OP_RELEASE) != OP_OK)
        doctor_fault(d, "%s", d->err.text);
}

static int open_place(struct doctor *d)
{
    struct backend_config config =
        places_config(d->options, d->plan->target, d->plan->has_history ? &d->plan->history : NULL);
    places_command(d->plan->migrate, d->mask, d->command);
    config.loop = &d->loop;
    config.command = d->command;
    config.holder = &d->me;
    config.connect_timeout = PATIENCE_MS;
    config.handlers = (struct backend_handlers){.reply = on_reply,
                                                .disconnected = on_disconnected,
                                                .woken = on_woken,
                                                .connected = on_connected,
                                                .warned = on_warned};
    config.user = d;
    if (uv_loop_init(&d->loop) != 0)
        return err_set(&d->err, ERR_SYSTEM, "the event loop cannot be set up");
    uv_timer_init(&d->loop, &d->timer);
    d->timer.data = d;
    if (identity_find(&d->me, &d->err) != 0)
        return -1;
    identity_find_container(&d->me);
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
        if (report_server(d) && report_look(d))
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
