/* stamp: the witness of the end-to-end tests. Migrations and apps use it to leave proof of life in one journal.
 *
 *   stamp FILE KEY                      append one line: KEY BOOTTIME_NS PID TOKEN ROOT
 *   stamp FILE run [NAME=VALUE...]      a pretend migration: "start", a "tick" every 20 ms, "end" (or "fail")
 *       for=MS        run that long                     until=PATH    run until PATH exists
 *       exit=N        exit status (0)                   say=TEXT      print TEXT to stdout after "start"
 *       cry=TEXT      print TEXT to stderr after "start"
 *       ignore=1      ignore SIGTERM, SIGINT, SIGHUP    daemon=1      leave a child in its own session that ignores
 * them too
 *
 * TOKEN is LOCKSTEP_TOKEN or "-". ROOT names the command that a line belongs to: the pid of "run", or STAMP_ROOT if a
 * script sets it (export STAMP_ROOT=$$). A line is one write() to an O_APPEND file, so that lines never mix. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int journal;
static const char *token;
static char root[32];

static void stamp(const char *key)
{
    struct timespec now;
    char line[256];

    clock_gettime(CLOCK_BOOTTIME, &now);
    int n = snprintf(line, sizeof line, "%s %lld %ld %s %s\n", key, (long long)now.tv_sec * 1000000000LL + now.tv_nsec,
                     (long)getpid(), token, root);
    if (write(journal, line, (size_t)n) != n)
        _exit(99);
}

static void pause_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

static void ignore_signals(void)
{
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

static void leave_daemon(void)
{
    if (fork() != 0)
        return;
    setsid();
    ignore_signals();
    for (;;) {
        stamp("tick");
        pause_ms(20);
    }
}

static int run(int argc, char **argv)
{
    long ms = 0, status = 0, daemon_wanted = 0;
    const char *until = NULL, *say = NULL, *cry = NULL;

    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL)
            return 98;
        *value++ = '\0';
        if (strcmp(argv[i], "for") == 0)
            ms = atol(value);
        else if (strcmp(argv[i], "until") == 0)
            until = value;
        else if (strcmp(argv[i], "exit") == 0)
            status = atol(value);
        else if (strcmp(argv[i], "say") == 0)
            say = value;
        else if (strcmp(argv[i], "cry") == 0)
            cry = value;
        else if (strcmp(argv[i], "ignore") == 0)
            ignore_signals();
        else if (strcmp(argv[i], "daemon") == 0)
            daemon_wanted = 1;
        else
            return 98;
    }
    stamp("start");
    if (daemon_wanted)
        leave_daemon();
    if (say != NULL)
        dprintf(1, "%s\n", say);
    if (cry != NULL)
        dprintf(2, "%s\n", cry);
    for (long left = ms; left > 0 || (until != NULL && access(until, F_OK) != 0); left -= 20) {
        stamp("tick");
        pause_ms(20);
    }
    stamp(status == 0 ? "end" : "fail");
    return (int)status;
}

int main(int argc, char **argv)
{
    const char *given_root = getenv("STAMP_ROOT");

    if (argc < 3)
        return 98;
    journal = open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (journal < 0)
        return 97;
    token = getenv("LOCKSTEP_TOKEN");
    if (token == NULL || *token == '\0')
        token = "-";
    snprintf(root, sizeof root, "%s", given_root != NULL ? given_root : "");
    if (*root == '\0')
        snprintf(root, sizeof root, "%ld", (long)getpid());
    if (strcmp(argv[2], "run") == 0)
        return run(argc - 3, argv + 3);
    stamp(argv[2]);
    return 0;
}
