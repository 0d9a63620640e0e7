#include "pg_records.h"

#include "identity.h"
#include "sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In all texts below %1$s is the quoted schema. clock_timestamp(), because now() is the begin of a transaction, and the
 * one that holds the lock began before the migration. */

/* The timeline changes with a failover. After a promotion the control file's checkpoint is still the old timeline's
 * until the first new one; its recovery end is not (PostgreSQL source, CreateEndOfRecoveryRecord). */
#define TIMELINE                                                                                                       \
    "greatest((SELECT timeline_id FROM pg_control_checkpoint()),"                                                      \
    " (SELECT min_recovery_end_timeline FROM pg_control_recovery()))"

/* A commit that a crash may forget would let a second winner see a clean state. */
#define DURABLE                                                                                                        \
    "durable AS (SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')"                   \
    " WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true) AS setting)"

#define KEEP_RUNS "1000" /* older ended runs are deleted: a container that restarts for weeks must not fill a disk */

/* A run that is newer than the last success of `target`: what failed before that is mended. Only --applied-if comes
 * back to a target that succeeded once. */
#define SINCE_SUCCESS(target)                                                                                          \
    "token > (SELECT coalesce(max(s.token), 0) FROM %1$s.run s WHERE s.name = $1 AND s.target = " target               \
    " AND s.state = 'succeeded')"

static const char *const texts[PG_STATEMENTS] = {
    [PG_APPLIED] = "SELECT pg_backend_pid(), EXISTS (SELECT FROM %1$s.applied newer"
                   " WHERE newer.name = $1 AND newer.token > mine.token)"
                   " FROM %1$s.applied mine WHERE mine.name = $1 AND mine.target = $2",

    [PG_LOOK] =
        "SELECT pg_backend_pid(), pg_is_in_recovery(), g.token, g.timeline <> " TIMELINE ","
        " last.state, last.target, last.exit_status, last.host, last.container, last.pid, last.holder, last.root,"
        " to_char(last.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), last.last_line,"
        " mine.failures, mine.attempts, mine.not_before, own.state, failed.token, failed.exit_status, failed.tail"
        " FROM (SELECT) one"
        " LEFT JOIN %1$s.gate g ON g.name = $1"
        " LEFT JOIN %1$s.run last ON last.name = $1 AND last.token = g.token"
        " LEFT JOIN %1$s.run own ON own.name = $1 AND own.token = $3::bigint"
        " LEFT JOIN LATERAL (SELECT count(*) FILTER (WHERE state IN ('failed', 'lost')) AS failures,"
        "  max(attempt) AS attempts, ceil(extract(epoch FROM max(not_before) - clock_timestamp()) * 1000)::bigint"
        "  AS not_before FROM %1$s.run WHERE name = $1 AND target = $2 AND " SINCE_SUCCESS(
            "$2") ") mine ON true"
                  " LEFT JOIN LATERAL (SELECT token, exit_status, substring(output FROM greatest(1, length(output) - "
                  "8191)) AS "
                  "tail"
                  "  FROM %1$s.run WHERE name = $1 AND target = $2 AND state = 'failed' ORDER BY token DESC LIMIT 1) "
                  "failed"
                  "  ON true",

    [PG_NOTHING] = "SELECT pg_backend_pid(), pg_is_in_recovery()",

    [PG_MARK] = "WITH " DURABLE ", held AS (INSERT INTO %1$s.gate AS g (name, token, timeline, updated_at)"
                " SELECT $1, $2::bigint, " TIMELINE ", clock_timestamp() FROM durable WHERE setting IS NOT NULL"
                " ON CONFLICT (name) DO UPDATE SET token = excluded.token, timeline = excluded.timeline,"
                " updated_at = excluded.updated_at WHERE g.token = excluded.token - 1 RETURNING 1),"
                " lost AS (UPDATE %1$s.run SET state = 'lost', finished_at = clock_timestamp()"
                " WHERE name = $1 AND token < $2::bigint AND state = 'running' AND EXISTS (SELECT FROM held)),"
                " forgotten AS (DELETE FROM %1$s.run WHERE name = $1 AND token < $2::bigint - " KEEP_RUNS
                " AND state <> 'running' AND EXISTS (SELECT FROM held))"
                " INSERT INTO %1$s.run (name, token, target, state, attempt, host, container, pid, command, "
                "started_at, beat_at,"
                " lockstep_version, holder, root)"
                " SELECT $1, $2::bigint, $3, 'running', $4::integer, $5, $6, $7::bigint, $8, clock_timestamp(),"
                " clock_timestamp(), $9, $10, $11 FROM held RETURNING pg_notify($12, $2::bigint::text)",

    [PG_REPEAT] = "UPDATE %1$s.run SET attempt = $3::integer, beat_at = clock_timestamp()"
                  " WHERE name = $1 AND token = $2::bigint AND holder = $4 AND state = 'running' RETURNING token",

    [PG_PROGRESS] = "UPDATE %1$s.run SET beat_at = clock_timestamp(), last_line = $3"
                    " WHERE name = $1 AND token = $2::bigint AND state = 'running'",

    [PG_END] =
        "WITH " DURABLE ", ended AS (UPDATE %1$s.run SET state = $3, finished_at = clock_timestamp(),"
        " exit_status = $4::integer, last_line = $5, output = $6::bytea, not_before = CASE WHEN $3 = 'failed' THEN"
        " clock_timestamp() + least(interval '1 s' * power(2, least(20, 1 + (SELECT count(*) FROM %1$s.run f"
        "  WHERE f.name = $1 AND f.target = run.target AND f.state IN ('failed', 'lost') AND " SINCE_SUCCESS(
            "f.target") "))), interval '5 min') END"
                        " FROM durable WHERE setting IS NOT NULL AND name = $1 AND token = $2::bigint AND state = "
                        "'running'"
                        " AND EXISTS (SELECT FROM %1$s.gate WHERE name = $1 AND token = $2::bigint) RETURNING target),"
                        " version AS (INSERT INTO %1$s.applied (name, target, token, at) SELECT $1, target, $2::bigint,"
                        " clock_timestamp() FROM ended WHERE $3 = 'succeeded' ON CONFLICT (name, target) DO NOTHING)"
                        " SELECT pg_notify($7, $2::bigint::text) FROM ended",

    [PG_TABLES] =
        "CREATE TABLE IF NOT EXISTS %1$s.gate (\n"
        "    name text PRIMARY KEY,\n"
        "    token bigint NOT NULL,\n"
        "    timeline integer NOT NULL,\n"
        "    updated_at timestamptz NOT NULL\n"
        ");\n"
        "CREATE TABLE IF NOT EXISTS %1$s.run (\n"
        "    name text NOT NULL,\n"
        "    token bigint NOT NULL,\n"
        "    target text NOT NULL,\n"
        "    state text NOT NULL CHECK (state IN ('running', 'succeeded', 'failed', 'interrupted', 'lost')),\n"
        "    attempt integer NOT NULL,\n"
        "    host text NOT NULL,\n"
        "    container text NOT NULL,\n"
        "    pid bigint NOT NULL,\n"
        "    command text NOT NULL,\n"
        "    started_at timestamptz NOT NULL,\n"
        "    beat_at timestamptz NOT NULL,\n"
        "    finished_at timestamptz,\n"
        "    not_before timestamptz,\n"
        "    exit_status integer,\n"
        "    last_line text,\n"
        "    output bytea,\n"
        "    lockstep_version text NOT NULL,\n"
        "    holder text NOT NULL,\n"
        "    root text NOT NULL,\n"
        "    PRIMARY KEY (name, token)\n"
        ");\n"
        "CREATE TABLE IF NOT EXISTS %1$s.applied (\n"
        "    name text NOT NULL,\n"
        "    target text NOT NULL,\n"
        "    token bigint NOT NULL,\n"
        "    at timestamptz NOT NULL,\n"
        "    PRIMARY KEY (name, target)\n"
        ");\n",

    [PG_SCHEMA] = "CREATE SCHEMA IF NOT EXISTS %1$s;\n",
};

enum look_column {
    LOOK_PID,
    LOOK_STANDBY,
    LOOK_TOKEN,
    LOOK_CHANGED,
    LOOK_STATE,
    LOOK_TARGET,
    LOOK_STATUS,
    LOOK_HOST,
    LOOK_CONTAINER,
    LOOK_HOLDER_PID,
    LOOK_HOLDER,
    LOOK_ROOT,
    LOOK_SINCE,
    LOOK_LINE,
    LOOK_FAILURES,
    LOOK_ATTEMPTS,
    LOOK_NOT_BEFORE,
    LOOK_OWN,
    LOOK_FAILED,
    LOOK_FAILED_STATUS,
    LOOK_TAIL
};

int pg_records_init(struct pg_records *records, const char *schema)
{
    char quoted[2 * PG_SCHEMA_CAPACITY + 3];
    FILE *out = fmemopen(quoted, sizeof quoted, "w");
    *records = (struct pg_records){.sql = {NULL}};
    if (!out)
        return -1;
    sql_quote(out, schema, '"');
    fclose(out);
    for (int i = 0; i < PG_STATEMENTS; i++) {
        size_t capacity = strlen(texts[i]) + 10 * sizeof quoted;
        records->sql[i] = malloc(capacity);
        if (!records->sql[i])
            return -1;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the table above is the only source of formats */
        snprintf(records->sql[i], capacity, texts[i], quoted);
#pragma GCC diagnostic pop
    }
    return 0;
}

void pg_records_free(struct pg_records *records)
{
    for (int i = 0; i < PG_STATEMENTS; i++)
        free(records->sql[i]);
}

static const char *text(const PGresult *row, enum look_column column)
{
    return PQgetvalue(row, 0, (int)column); /* "" for NULL */
}

static long long number(const PGresult *row, enum look_column column, long long if_null)
{
    return PQgetisnull(row, 0, (int)column) ? if_null : strtoll(text(row, column), NULL, 10);
}

#define COPY(to, row, column) snprintf(to, sizeof(to), "%s", text(row, column))

void pg_records_read_look(const PGresult *row, const struct holder *me, const struct look_ask *ask, const char *target,
                          struct look *look, unsigned char **tail)
{
    *look = (struct look){.tail = ""};
    struct run *last = &look->last;
    last->token = (uint64_t)number(row, LOOK_TOKEN, 0);
    last->state = run_state_named(text(row, LOOK_STATE));
    last->exit_status = (int)number(row, LOOK_STATUS, -1);
    COPY(last->target, row, LOOK_TARGET);
    COPY(last->host, row, LOOK_HOST);
    COPY(last->container, row, LOOK_CONTAINER);
    COPY(last->since, row, LOOK_SINCE);
    COPY(last->last_line, row, LOOK_LINE);
    look->server_changed = text(row, LOOK_CHANGED)[0] == 't';
    look->last_is_mine = strcmp(text(row, LOOK_HOLDER), me->nonce) == 0;
    look->last_is_same_target = strcmp(text(row, LOOK_TARGET), target) == 0;
    look->last_is_restarted =
        identity_is_restarted(me, last->container, text(row, LOOK_ROOT), number(row, LOOK_HOLDER_PID, 0));
    look->failures = (int)number(row, LOOK_FAILURES, 0);
    look->attempts = (int)number(row, LOOK_ATTEMPTS, 0);
    look->not_before_ms = number(row, LOOK_NOT_BEFORE, 0);
    look->own_state = run_state_named(text(row, LOOK_OWN));
    look->last_failure_status = (int)number(row, LOOK_FAILED_STATUS, -1);
    uint64_t failed = (uint64_t)number(row, LOOK_FAILED, 0);
    if (ask->watch_from && failed >= ask->watch_from) {
        look->failed.token = failed;
        look->failed.state = RUN_FAILED;
        look->failed.exit_status = look->last_failure_status;
    }
    *tail = PQunescapeBytea((const unsigned char *)text(row, LOOK_TAIL), &look->tail_length);
    if (*tail)
        look->tail = (const char *)*tail;
}
