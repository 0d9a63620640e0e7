#include "pg_link.h"

#include "later.h"
#include "pg_error.h"
#include "pg_resolve.h"
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum link_state { LINK_CLOSED, LINK_RESOLVING, LINK_CONNECTING, LINK_IDLE, LINK_RUNNING };

struct pg_link {
    struct pg_link_config config;
    enum link_state state;
    PGconn *conn;
    struct watch *watch;
    struct pg_resolve *resolve;
    struct later *later; /* tells of a failure that was there at once */
    bool plain;          /* a pooler has refused the settings that the URL asks for */
    unsigned silences;   /* connects that were given up since the last that succeeded: begin with another host */
    char *sql;
    struct pg_param params[PG_PARAMS_MAX];
    int count;
    pg_done *done;
    PGresult *result; /* the last one of the statement that is running */
    struct err failure;
    char sqlstate[6];
    bool failed;
    bool *gone; /* set by a drop while a callback is on the stack */
};

static void on_ready(void *user, int events);

struct pg_link *pg_link_new(const struct pg_link_config *config)
{
    struct pg_link *link = calloc(1, sizeof *link);
    if (link)
        link->config = *config;
    return link;
}

PGconn *pg_link_conn(const struct pg_link *link)
{
    return link->state == LINK_IDLE || link->state == LINK_RUNNING ? link->conn : NULL;
}

bool pg_link_busy(const struct pg_link *link)
{
    return link->done != NULL;
}

static void unwatch(struct pg_link *link)
{
    watch_free(link->watch);
    link->watch = NULL;
}

/* Waits for `events` on the connection's socket, which libpq may have replaced by another since the last call. */
static int wait_for(struct pg_link *link, int events)
{
    int fd = PQsocket(link->conn);
    if (link->watch && watch_fd(link->watch) != fd)
        unwatch(link);
    if (!link->watch)
        link->watch = watch_new(link->config.loop, fd, on_ready, link);
    return link->watch ? watch_for(link->watch, events) : -1;
}

void pg_link_drop(struct pg_link *link)
{
    if (link->gone)
        *link->gone = true;
    link->gone = NULL;
    if (link->state == LINK_CONNECTING)
        link->silences++;
    if (link->resolve)
        pg_resolve_cancel(link->resolve);
    link->resolve = NULL;
    later_cancel(link->later);
    link->later = NULL;
    unwatch(link);
    PQclear(link->result);
    link->result = NULL;
    PQfinish(link->conn);
    link->conn = NULL;
    free(link->sql);
    link->sql = NULL;
    link->done = NULL;
    link->failed = false;
    link->sqlstate[0] = '\0';
    link->state = LINK_CLOSED;
}

void pg_link_free(struct pg_link *link)
{
    if (!link)
        return;
    pg_link_drop(link);
    free(link);
}

/* Ends the statement. The link is in order before `done` is called, which may run the next one or free the link. */
static void finish(struct pg_link *link)
{
    pg_done *done = link->done;
    PGresult *result = link->result;
    struct err err = link->failure;
    char sqlstate[sizeof link->sqlstate];
    memcpy(sqlstate, link->sqlstate, sizeof sqlstate);
    bool failed = link->failed;

    link->done = NULL;
    link->result = NULL;
    link->failed = false;
    link->sqlstate[0] = '\0';
    free(link->sql);
    link->sql = NULL;
    done(link->config.user, failed ? NULL : result, failed ? &err : NULL, sqlstate);
    PQclear(result);
}

/* The connection is gone, or never came to be. */
static void broke(struct pg_link *link, const struct err *err, const char *sqlstate)
{
    later_cancel(link->later);
    link->later = NULL;
    unwatch(link);
    PQfinish(link->conn);
    link->conn = NULL;
    link->state = LINK_CLOSED;
    if (!link->done) {
        link->config.events.closed(link->config.user, link, err);
        return;
    }
    if (!link->failed) { /* an error of the statement says more than the end of the connection after it */
        link->failed = true;
        link->failure = *err;
        strcpy(link->sqlstate, sqlstate);
    }
    finish(link);
}

static void broke_with_conn_error(struct pg_link *link)
{
    struct err err;
    char sqlstate[6];
    pg_error_of_connection(link->conn, link->config.url, &err, sqlstate);
    broke(link, &err, sqlstate);
}

static void on_broken_later(void *user)
{
    struct pg_link *link = user;
    link->later = NULL;
    broke_with_conn_error(link);
}

static void send_statement(struct pg_link *link)
{
    const char *values[PG_PARAMS_MAX];
    int lengths[PG_PARAMS_MAX], formats[PG_PARAMS_MAX], sent;
    for (int i = 0; i < link->count; i++) {
        values[i] = link->params[i].value;
        lengths[i] = link->params[i].length;
        formats[i] = link->params[i].binary;
    }
    link->state = LINK_RUNNING;
    if (link->count)
        sent = PQsendQueryParams(link->conn, link->sql, link->count, NULL, values, lengths, formats, 0);
    else
        sent = PQsendQuery(link->conn, link->sql);
    int unsent = sent ? PQflush(link->conn) : -1;
    if (unsent < 0 || wait_for(link, unsent ? UV_READABLE | UV_WRITABLE : UV_READABLE) != 0)
        link->later = later_call(link->config.loop, 0, on_broken_later, link);
}

static void take_result(struct pg_link *link, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) {
        PQclear(link->result);
        link->result = result;
        return;
    }
    if (!link->failed) {
        link->failed = true;
        pg_error_of_result(result, &link->failure, link->sqlstate);
    }
    PQclear(result);
}

static void read_statement(struct pg_link *link)
{
    while (!PQisBusy(link->conn)) {
        PGresult *result = PQgetResult(link->conn);
        if (!result) {
            link->state = LINK_IDLE;
            finish(link);
            return;
        }
        take_result(link, result);
        if (PQstatus(link->conn) == CONNECTION_BAD)
            break;
    }
    if (PQstatus(link->conn) == CONNECTION_BAD)
        broke_with_conn_error(link);
}

static void read_notifications(struct pg_link *link)
{
    bool any = false;
    for (PGnotify *notify; (notify = PQnotifies(link->conn)) != NULL; any = true)
        PQfreemem(notify);
    if (any)
        link->config.events.notified(link->config.user);
}

static void on_connected(struct pg_link *link)
{
    PQsetnonblocking(link->conn, 1);
    link->silences = 0;
    link->state = LINK_IDLE;
    if (wait_for(link, UV_READABLE) != 0) {
        broke_with_conn_error(link);
        return;
    }
    send_statement(link);
}

static void start_connect(struct pg_link *link);

/* PgBouncer refuses a connection that asks for settings it does not track, such as a search path. None of ours needs
 * them: lockstep names every schema. True if the connect begins anew without. */
static bool retry_plain(struct pg_link *link)
{
    if (link->plain || !link->config.url->has_settings ||
        !strstr(PQerrorMessage(link->conn), "unsupported startup parameter"))
        return false;
    link->plain = true;
    unwatch(link);
    PQfinish(link->conn);
    link->conn = NULL;
    start_connect(link);
    return true;
}

static void poll_connect(struct pg_link *link)
{
    /* libpq may close this socket and open another of the same number: the loop must not know the old one then. */
    if (link->watch)
        watch_for(link->watch, 0);
    PostgresPollingStatusType status = PQconnectPoll(link->conn);
    if (status == PGRES_POLLING_OK)
        on_connected(link);
    else if (status == PGRES_POLLING_FAILED && retry_plain(link))
        return;
    else if (status == PGRES_POLLING_FAILED)
        broke_with_conn_error(link);
    else if (wait_for(link, status == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE) != 0)
        broke_with_conn_error(link);
}

static void on_ready(void *user, int events)
{
    struct pg_link *link = user;
    if (link->state == LINK_CONNECTING) {
        poll_connect(link);
        return;
    }
    if (events & UV_WRITABLE) {
        int unsent = PQflush(link->conn);
        if (unsent < 0) {
            broke_with_conn_error(link);
            return;
        }
        if (unsent == 0)
            wait_for(link, UV_READABLE);
    }
    if ((events & UV_READABLE) == 0)
        return;
    if (!PQconsumeInput(link->conn) && PQstatus(link->conn) == CONNECTION_BAD && link->state == LINK_IDLE) {
        broke_with_conn_error(link);
        return;
    }
    if (link->state == LINK_IDLE) {
        read_notifications(link);
        return;
    }
    bool gone = false;
    link->gone = &gone;
    read_statement(link);
    if (gone)
        return;
    link->gone = NULL;
    /* A notification may have come in the same packet as the end of a statement. */
    if (link->state == LINK_IDLE && link->conn)
        read_notifications(link);
}

static void ignore_notice(void *unused, const PGresult *notice)
{
    (void)unused;
    (void)notice;
}

/* Begins to connect; the lists are NULL if the URL's own values are right. */
static void connect_to(struct pg_link *link, const char *hosts, const char *addresses, const char *ports)
{
    const char *keywords[URL_OPTIONS_MAX + 12], *values[URL_OPTIONS_MAX + 12];
    char user_timeout[24];
    snprintf(user_timeout, sizeof user_timeout, "%lld", (long long)link->config.user_timeout);
    const char *const ours[][2] = {
        {"application_name", link->config.application_name},
        {"client_encoding", "UTF8"},
        {"keepalives_idle", "5"},
        {"keepalives_interval", "5"},
        {"tcp_user_timeout", user_timeout},
        {"gssencmode", "disable"}, /* a round trip for something that this libpq is built without */
    };
    const struct url *url = link->config.url;
    int n = 0;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++, n++) {
        keywords[n] = ours[i][0];
        values[n] = ours[i][1];
    }
    for (int i = 0; i < url->count; i++, n++) { /* what the user says counts: later ones win in libpq */
        bool without = link->plain && strcmp(url->keywords[i], "options") == 0;
        keywords[n] = url->keywords[i];
        values[n] = without ? url->plain_options : url->values[i];
    }
    const char *const resolved[][2] = {{"host", hosts}, {"hostaddr", addresses}, {"port", ports}};
    for (size_t i = 0; i < 3; i++) {
        if (resolved[i][1]) {
            keywords[n] = resolved[i][0];
            values[n++] = resolved[i][1];
        }
    }
    keywords[n] = NULL;
    link->conn = PQconnectStartParams(keywords, values, 0);
    link->state = LINK_CONNECTING;
    if (link->conn) /* libpq would print what the server says in passing to standard error */
        PQsetNoticeReceiver(link->conn, ignore_notice, NULL);
    if (link->conn) /* verbose messages have the SQLSTATE, also of a failed connect */
        PQsetErrorVerbosity(link->conn, PQERRORS_VERBOSE);
    if (PQstatus(link->conn) == CONNECTION_BAD || wait_for(link, UV_WRITABLE) != 0)
        link->later = later_call(link->config.loop, 0, on_broken_later, link);
}

static void on_resolved(void *user, const char *hosts, const char *addresses, const char *ports, const struct err *err)
{
    struct pg_link *link = user;
    link->resolve = NULL;
    if (err)
        broke(link, err, "");
    else
        connect_to(link, hosts, addresses, ports);
}

static void start_connect(struct pg_link *link)
{
    if (!pg_resolve_needed(link->config.url)) {
        connect_to(link, NULL, NULL, NULL);
        return;
    }
    link->state = LINK_RESOLVING;
    link->resolve = pg_resolve_start(link->config.loop, link->config.url, link->silences, on_resolved, link);
}

void pg_link_run(struct pg_link *link, const char *sql, const struct pg_param *params, int count, pg_done *done)
{
    link->sql = strdup(sql);
    link->count = count;
    link->done = done;
    for (int i = 0; i < count; i++)
        link->params[i] = params[i];
    if (link->state == LINK_IDLE) {
        send_statement(link);
        return;
    }
    start_connect(link);
}
