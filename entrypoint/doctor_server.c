/* The servers that a start would need, if they are Postgres: version, clock, rights. */
#include "doctor_internal.h"

#include "clock.h"
#include "sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CLOCK_MAX_MS 60000 /* a difference that is worth a word: times in the records are the server's */

enum server_column {
    SERVER_VERSION,
    SERVER_STANDBY,
    SERVER_TIME, /* ms */
    SERVER_READ_ONLY,
    SERVER_ROLE,
    SERVER_DATABASE,
    SERVER_MAY_CREATE, /* schemas */
    SERVER_HAS_SCHEMA, /* of the records */
    SERVER_MAY_ENTER,  /* it */
    SERVER_MAY_FILL,   /* it with tables */
    SERVER_HAS_TABLES, /* all of the records' */
    SERVER_MAY_USE,    /* them */
    SERVER_FIRST_SCHEMA,
    SERVER_MAY_MAKE_TABLES, /* there */
};

static const char *cell(const struct doctor *d, enum server_column column)
{
    return PQgetvalue(d->rows, 0, (int)column);
}

static bool is_true(const struct doctor *d, enum server_column column)
{
    return cell(d, column)[0] == 't';
}

/* Of the schema, the role, and both again. */
#define GRANT_RECORDS                                                                                                  \
    "GRANT USAGE ON SCHEMA \"%s\" TO \"%s\"; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \"%s\" TO "  \
    "\"%s\""

#define OR_BY_A_DBA "; or let a DBA apply what `lockstep schema` prints, then " GRANT_RECORDS

static void report_records(struct doctor *d)
{
    const char *schema = d->options->schema, *user = cell(d, SERVER_ROLE), *database = cell(d, SERVER_DATABASE);
    bool has_schema = is_true(d, SERVER_HAS_SCHEMA), has_tables = is_true(d, SERVER_HAS_TABLES);
    if (is_true(d, SERVER_READ_ONLY) && !is_true(d, SERVER_STANDBY))
        doctor_need(d,
                    "transactions of this role are read-only here; ALTER ROLE \"%s\" IN DATABASE \"%s\" SET "
                    "default_transaction_read_only = off",
                    user, database);
    if (!has_schema && !is_true(d, SERVER_MAY_CREATE))
        doctor_need(d,
                    "the record tables are not there and the role may not make them; GRANT CREATE ON DATABASE \"%s\" "
                    "TO \"%s\"" OR_BY_A_DBA,
                    database, user, schema, user, schema, user);
    else if (has_schema && !has_tables && !(is_true(d, SERVER_MAY_ENTER) && is_true(d, SERVER_MAY_FILL)))
        doctor_need(d,
                    "the record tables are not in the schema and the role may not make them; GRANT USAGE, CREATE ON "
                    "SCHEMA \"%s\" TO \"%s\"" OR_BY_A_DBA,
                    schema, user, schema, user, schema, user);
    else if (has_tables && !(is_true(d, SERVER_MAY_ENTER) && is_true(d, SERVER_MAY_USE)))
        doctor_need(d, "the role may not use the record tables; " GRANT_RECORDS, schema, user, schema, user);
    else
        doctor_say(d, "records", has_tables ? "in the schema %s" : "the first run makes them in the schema %s", schema);
}

static void report_tables(struct doctor *d)
{
    if (!is_true(d, SERVER_MAY_MAKE_TABLES))
        doctor_say(
            d, "warning",
            "the role may not create tables in %s, the first schema of its search path, as most migrations do; GRANT "
            "CREATE ON SCHEMA \"%s\" TO \"%s\"",
            cell(d, SERVER_FIRST_SCHEMA), cell(d, SERVER_FIRST_SCHEMA), cell(d, SERVER_ROLE));
}

static void on_rows(void *user, struct pg_result *rows, const struct err *err, const char *sqlstate)
{
    struct doctor *d = user;
    (void)sqlstate;
    d->rows = rows ? PQcopyResult(rows, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES) : NULL;
    doctor_answered(d, err ? OP_REFUSED : OP_OK, err);
}

static enum op_result ask(struct doctor *d, struct backend *server, const char *place)
{
    char *sql = NULL;
    size_t size;
    FILE *out = open_memstream(&sql, &size);
    fputs("SELECT current_setting('server_version'), pg_is_in_recovery(), (extract(epoch FROM clock_timestamp()) * "
          "1000)::bigint, current_setting('transaction_read_only') = 'on', current_user, current_database(), "
          "has_database_privilege(current_database(), 'CREATE'), records.oid IS NOT NULL, "
          "has_schema_privilege(records.oid, 'USAGE'), has_schema_privilege(records.oid, 'CREATE'), "
          "tables.count = 3, tables.usable, current_schema(), has_schema_privilege(current_schema(), 'CREATE') "
          "FROM (SELECT) one LEFT JOIN pg_namespace AS records ON nspname = ",
          out);
    sql_quote(out, d->options->schema, '\'');
    fputs(" LEFT JOIN LATERAL (SELECT count(*), bool_and(has_table_privilege(oid, 'SELECT') AND "
          "has_table_privilege(oid, 'INSERT') AND has_table_privilege(oid, 'UPDATE') AND "
          "has_table_privilege(oid, 'DELETE')) AS usable FROM pg_class WHERE relnamespace = records.oid AND relname IN "
          "('gate', 'run', 'applied')) AS tables ON true",
          out);
    fclose(out);
    server->ops->query(server, sql, on_rows, d);
    enum op_result result = doctor_wait(d, server, place);
    free(sql);
    return result;
}

/* False if it does not answer. */
static bool report_server(struct doctor *d, struct backend *server, const char *topic, const char *place,
                          bool has_records, bool has_tables)
{
    int64_t asked = clock_wall_ms();
    if (ask(d, server, place) != OP_OK || !d->rows) {
        doctor_fault(d, "%s", d->err.text);
        return false;
    }
    int64_t now = clock_wall_ms(), ahead = strtoll(cell(d, SERVER_TIME), NULL, 10) - (asked + now) / 2;
    doctor_say(d, topic, "PostgreSQL %s%s, answers within %" PRId64 " ms; its clock is %" PRId64 " ms %s ours",
               cell(d, SERVER_VERSION), is_true(d, SERVER_STANDBY) ? ", a hot standby" : "", now - asked,
               ahead < 0 ? -ahead : ahead, ahead < 0 ? "behind" : "ahead of");
    if (ahead > CLOCK_MAX_MS || ahead < -CLOCK_MAX_MS)
        doctor_say(d, "warning",
                   "the clocks differ; lockstep does not mind, but times in its records are the server's");
    doctor_say(d, "role", "%s in database %s", cell(d, SERVER_ROLE), cell(d, SERVER_DATABASE));
    if (has_records)
        report_records(d);
    if (has_tables)
        report_tables(d);
    PQclear(d->rows);
    d->rows = NULL;
    return true;
}

static bool report_database(struct doctor *d, bool has_records)
{
    struct backend_config config = doctor_config(d);
    config.url = d->options->database;
    config.history = NULL;
    struct backend *database = backend_open(&config, &d->err);
    if (!database) {
        doctor_fault(d, "%s", d->err.text);
        return false;
    }
    bool answers = report_server(d, database, "database", d->options->database_what, has_records, true);
    database->ops->close(database);
    return answers;
}

bool doctor_servers(struct doctor *d)
{
    bool is_split = backend_is_split(d->options->lock, options_records_database(d->options)),
         is_elsewhere = is_split || (d->plan->has_history && !d->plan->history.is_shared);
    return (!d->backend->ops->query || report_server(d, d->backend, "server", d->plan->place, true, !is_elsewhere)) &&
           (!is_elsewhere || report_database(d, is_split));
}
