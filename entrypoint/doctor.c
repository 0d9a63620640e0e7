#include "doctor.h"

#include "clock.h"
#include "exitcodes.h"
#include "identity.h"
#include "places.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS  15000 /* for an answer */
#define CLOCK_MAX_MS 60000 /* a difference that is worth a word: times in the records are the server's */

struct doctor {
    const struct options *options;
    const struct plan *plan;
    const struct mask *mask;
    uv_loop_t loop;
    uv_timer_t timer;
    struct backend *backend;
    struct holder me;
    char command[PLACES_COMMAND_CAPACITY];
    enum op asked; /* OP_NONE = a query */
    bool waiting;
    enum op_result result;
    struct look look;
    char blocked[900];
    struct err err;
    PGresult *rows;
    bool connected, pooled;
    int faults;
};

static void say(struct doctor *d, const char *topic, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void fault(struct doctor *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line a topic, also where the user's words are several. */
static void print(const struct doctor *d, const char *topic, const char *format, va_list list)
{
    char text[2048], masked[2048];
    vsnprintf(text, sizeof text, format, list);
    for (char *c = text; (c = strpbrk(c, "\r\n\t")) != NULL;)
        *c = ' ';
    for (size_t n = strlen(text); n && text[n - 1] == ' '; n--)
        text[n - 1] = '\0';
    mask_text(d->mask, text, masked, sizeof masked);
    printf("%-20s %s\n", topic, masked);
}

static void say(struct doctor *d, const char *topic, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print(d, topic, format, list);
    va_end(list);
}

static void fault(struct doctor *d, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print(d, "error", format, list);
    va_end(list);
    d->faults++;
}

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
    say(user, "warning", "%s", text);
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

/* ---- what a start would need ------------------------------------------------------------------------------------ */

static void report_words(struct doctor *d)
{
    const struct options *o = d->options;
    const struct plan *plan = d->plan;
    say(d, "gate", "%s", o->name);
    say(d, "meeting at", "%s (%s)", plan->place, o->lock_what);
    say(d, "version", "%s", plan->target);
    if (o->preset)
        say(d, "tool", "%s%s%s", o->preset->title, o->preset_why[0] ? ", because of " : "", o->preset_why);
    if (!plan->has_history)
        return;
    const char *pattern = o->migrations_pattern ? o->migrations_pattern : o->preset->pattern;
    say(d, "--migrations", "%s", plan->migrations.folder);
    if (pattern)
        say(d, "--migrations-pattern", "%s", pattern);
    say(d, "--applied-sql", "%s", plan->history.applied_words);
    if (plan->history.failed_words)
        say(d, "--failed-sql", "%s", plan->history.failed_words);
    say(d, "migrations", "%zu%s%s", plan->migrations.count, plan->migrations.count ? ", the newest " : "",
        plan->migrations.newest);
}

static void report_command(struct doctor *d, enum command_kind kind)
{
    char *const *argv = d->plan->commands[kind].argv;
    char option[32], words[512] = "", path[LAUNCH_PATH_CAPACITY];
    struct err err;
    if (!argv[0])
        return;
    bool is_line = strcmp(argv[0], "/bin/sh") == 0 && argv[1] && strcmp(argv[1], "-c") == 0;
    for (int i = is_line ? 2 : 0; argv[i]; i++) {
        size_t used = strlen(words);
        snprintf(words + used, sizeof words - used, "%s%s", used ? " " : "", argv[i]);
    }
    snprintf(option, sizeof option, "--%s", command_names[kind]);
    say(d, option, "%s", words);
    if (launch_find(argv[0], environ, path, &err) != 0)
        fault(d, "%s: %s", option, err.text);
}

static void report_commands(struct doctor *d)
{
    for (int i = 0; d->options->preset && i < TOOL_WORDS_MAX && d->options->preset->environment[i]; i++)
        say(d, "environment", "%s", d->options->preset->environment[i]);
    if (!d->options->commands[COMMAND_MIGRATE])
        fault(d, "--migrate (LOCKSTEP_MIGRATE) is missing: run and migrate need it, wait and check do not");
    for (int kind = 0; kind < COMMANDS; kind++)
        report_command(d, (enum command_kind)kind);
}

static const char *cell(const struct doctor *d, int column)
{
    return PQgetvalue(d->rows, 0, column);
}

static void report_rights(struct doctor *d)
{
    const char *schema = d->options->schema, *user = cell(d, 3), *database = cell(d, 4);
    bool may_create = cell(d, 5)[0] == 't', has_schema = cell(d, 6)[0] == 't', may_use = cell(d, 7)[0] == 't';
    say(d, "role", "%s in database %s", user, database);
    if (has_schema && !may_use)
        fault(d,
              "the role may not use the record tables; GRANT USAGE ON SCHEMA \"%s\" TO \"%s\"; GRANT SELECT, INSERT, "
              "UPDATE, DELETE ON ALL TABLES IN SCHEMA \"%s\" TO \"%s\"",
              schema, user, schema, user);
    else if (!has_schema && !may_create)
        fault(d,
              "the record tables are not there and the role may not make them; GRANT CREATE ON DATABASE \"%s\" TO "
              "\"%s\", or let a DBA apply what `lockstep schema` prints",
              database, user);
    else
        say(d, "records", has_schema ? "in the schema %s" : "the first run makes them in the schema %s", schema);
}

/* Of the place if it is a Postgres. False if it does not answer. */
static bool report_server(struct doctor *d)
{
    char sql[1024];
    const char *schema = d->options->schema;
    if (!d->backend->ops->query)
        return true;
    snprintf(sql, sizeof sql,
             "SELECT current_setting('server_version'), pg_is_in_recovery(), (extract(epoch FROM clock_timestamp()) * "
             "1000)::bigint, current_user, current_database(), has_database_privilege(current_database(), 'CREATE'), "
             "schema.oid IS NOT NULL, coalesce(has_schema_privilege(schema.oid, 'USAGE') AND (run.oid IS NULL OR "
             "has_table_privilege(run.oid, 'SELECT, INSERT, UPDATE')), false) FROM (SELECT) one LEFT JOIN pg_namespace "
             "AS schema ON nspname = '%s' LEFT JOIN pg_class AS run ON relnamespace = schema.oid AND relname = 'run'",
             schema);
    int64_t asked = clock_wall_ms();
    d->waiting = true;
    d->backend->ops->query(d->backend, sql, on_rows, d);
    if (wait_for_answer(d) != OP_OK || !d->rows) {
        fault(d, "%s", d->err.text);
        return false;
    }
    int64_t now = clock_wall_ms(), ahead = strtoll(cell(d, 2), NULL, 10) - (asked + now) / 2;
    say(d, "server", "PostgreSQL %s%s, answers within %" PRId64 " ms; its clock is %" PRId64 " ms %s ours", cell(d, 0),
        cell(d, 1)[0] == 't' ? ", a hot standby" : "", now - asked, ahead < 0 ? -ahead : ahead,
        ahead < 0 ? "behind" : "ahead of");
    if (ahead > CLOCK_MAX_MS || ahead < -CLOCK_MAX_MS)
        say(d, "warning", "the clocks differ; lockstep does not mind, but times in its records are the server's");
    report_rights(d);
    PQclear(d->rows);
    d->rows = NULL;
    return true;
}

/* What is there and what is not. False if that cannot be told. */
static bool report_look(struct doctor *d)
{
    if (ask(d, OP_LOOK) != OP_OK) {
        fault(d, "%s", d->err.text);
        return false;
    }
    const struct run *last = &d->look.last;
    const struct verdict *verdict = d->plan->has_history ? history_verdict(d->backend) : NULL;
    if (d->options->commands[COMMAND_APPLIED_IF])
        say(d, "applied", "what --applied-if says, which a start asks");
    else if (d->look.applied)
        say(d, "applied", "the version is there%s", d->look.ahead ? ", and the database is ahead of this image" : "");
    else if (verdict)
        say(d, "pending", "%zu of %zu: %s", verdict->missing, d->plan->migrations.count, verdict->missing_ids);
    else
        say(d, "pending", "the version is not there");
    if (verdict && verdict->unknown)
        say(d, "unknown", "%zu in the database that this image does not have: %s", verdict->unknown,
            verdict->unknown_ids);
    if (last->token)
        say(d, "last run", "%" PRIu64 ", %s, on %s since %s", last->token, run_state_name(last->state), last->host,
            last->since);
    return true;
}

static void report_lock(struct doctor *d)
{
    enum op_result result = ask(d, OP_LOCK);
    if (result == OP_BUSY) {
        say(d, "lock", "held by a replica that migrates; a start would wait for it");
        return;
    }
    if (result != OP_OK) {
        fault(d, "%s", d->err.text);
        return;
    }
    say(d, "lock", "taken and given back%s",
        !d->connected ? ""
        : d->pooled   ? ", through a pooler: waiting replicas poll"
                      : ", without a pooler in between");
    if (d->plan->has_history && !d->look.applied) { /* what stands in the way is only known under the lock */
        if (ask(d, OP_LOOK) != OP_OK)
            fault(d, "%s", d->err.text);
        else if (d->blocked[0])
            fault(d, "%s", d->blocked);
    }
    if (ask(d, OP_RELEASE) != OP_OK)
        fault(d, "%s", d->err.text);
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

int doctor(const struct options *options, const struct plan *plan, const struct mask *mask)
{
    static struct doctor report; /* lives as long as the loop's handles, that is the process */
    struct doctor *d = &report;
    *d = (struct doctor){.options = options, .plan = plan, .mask = mask};
    report_words(d);
    report_commands(d);
    if (open_place(d) != 0) {
        fault(d, "%s", d->err.text);
    } else {
        if (report_server(d) && report_look(d))
            report_lock(d);
        d->backend->ops->close(d->backend);
    }
    if (d->faults)
        printf("\na start would fail: %d fault%s above\n", d->faults, d->faults == 1 ? "" : "s");
    else
        printf("\na start would work%s\n", d->look.applied ? ", and has nothing to migrate" : "");
    return d->faults ? EXIT_CANNOT_GO_ON : EXIT_DONE;
}
