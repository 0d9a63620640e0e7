/* bare: the least that libpq can do of what lockstep does, to compare with. The server is DATABASE_URL.
 *
 *   bare look PROGRAM [ARG...]                       connect, `select 1`, disconnect, execute PROGRAM
 *   bare listen NAME TARGET PROGRAM [ARG...]         connect, LISTEN, read, sleep until notified, read, execute PROGRAM
 *   bare commit NAME TARGET FIFO PROGRAM [ARG...]    connect, wait for the end of FIFO, record TARGET and notify in one
 *                                                    commit, execute PROGRAM
 *
 * Nothing is retried and no error is told apart: it ends with status 1. */
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The text of lockstep's own re-read (src/pg_records.c, PG_APPLIED): both read the same rows by the same plan. */
static const char read_sql[] = "SELECT pg_backend_pid(), EXISTS (SELECT FROM lockstep.applied newer"
                               " WHERE newer.name = $1 AND newer.token > mine.token)"
                               " FROM lockstep.applied mine WHERE mine.name = $1 AND mine.target = $2";

static const char commit_sql[] = "WITH recorded AS (INSERT INTO lockstep.applied (name, target, token, at)"
                                 " VALUES ($1, $2, 1, clock_timestamp()) RETURNING target)"
                                 " SELECT pg_notify($1, target) FROM recorded";

static PGconn *conn;

static void die(const char *what)
{
    fprintf(stderr, "bare: %s: %s", what, PQerrorMessage(conn));
    exit(1);
}

/* Runs `sql`, with the parameters name and target if they are given; true if the second column of the row says so. */
static bool run(const char *sql, const char *name, const char *target)
{
    const char *const params[] = {name, target};
    PGresult *result = name ? PQexecParams(conn, sql, 2, NULL, params, NULL, NULL, 0) : PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
        die(sql);
    bool there = PQntuples(result) > 0;
    PQclear(result);
    return there;
}

static void wait_for_target(const char *name, const char *target)
{
    char listen_sql[128];
    snprintf(listen_sql, sizeof listen_sql, "LISTEN \"%s\"", name);
    run(listen_sql, NULL, NULL);
    while (!run(read_sql, name, target)) {
        PGnotify *notify;
        while ((notify = PQnotifies(conn)) == NULL) {
            struct pollfd socket = {.fd = PQsocket(conn), .events = POLLIN};
            if (poll(&socket, 1, -1) < 0 || !PQconsumeInput(conn))
                die("waiting");
        }
        PQfreemem(notify);
    }
}

static void wait_for_end_of(const char *fifo)
{
    char byte;
    int fd = open(fifo, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, &byte, 1) != 0)
        die(fifo);
}

/* How many words come before PROGRAM; 0 if the first one is unknown. */
static int words_before(const char *what)
{
    if (strcmp(what, "look") == 0)
        return 2;
    if (strcmp(what, "listen") == 0)
        return 4;
    return strcmp(what, "commit") == 0 ? 5 : 0;
}

int main(int argc, char **argv)
{
    const char *url = getenv("DATABASE_URL");
    int words = argc > 1 ? words_before(argv[1]) : 0;
    if (!url || words == 0 || argc <= words)
        return 2;
    conn = PQconnectdb(url);
    if (PQstatus(conn) != CONNECTION_OK)
        die("connecting");
    if (words == 2) {
        run("select 1", NULL, NULL);
    } else if (words == 4) {
        wait_for_target(argv[2], argv[3]);
    } else {
        wait_for_end_of(argv[4]);
        run(commit_sql, argv[2], argv[3]);
    }
    PQfinish(conn);
    execv(argv[words], argv + words);
    return 1;
}
