// actor: plays the part of a migration (or of an app) that behaves in one particular way.
//
//   actor exit N                     end with status N
//   actor die N                      end by signal N
//   actor hold DOOR [CODE [UID]]     say "ready", wait for the door, end with CODE; as user UID
//   actor signals DOOR N             a group of N processes; each says "got NAME leader|member"; TERM INT QUIT end it
//   with 9 actor stubborn N                 ignores TERM INT QUIT HUP, as do N daemonised grandchildren; "ready"; for
//   ever actor stopped                    its child is stopped; says "stopped", after the child's end "child N", and
//   ends with 9 actor orphans DOOR N             N orphans die at once; says "made N"; waits for the door; ends with 0
//   actor burst N CODE               N orphans and the actor itself (with CODE) die in one instant
//   actor leave LOG ignore|obey      leaves a daemon behind that writes "TERM <ns>" to LOG; ends with 0
//   actor now FILE                   write CLOCK_BOOTTIME in ns to FILE, end with 0
//   actor args ARG...                say every argument in brackets
//
// A door is a FIFO: one byte lets one actor through.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void say(int fd, const char *fmt, ...)
{
    char line[4096];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (write(fd, line, (size_t)n) < 0)
        _exit(97);
}

static int open_door(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        say(2, "actor: %s: %s\n", path, strerror(errno));
        _exit(97);
    }
    return fd;
}

static void pass(int door)
{
    char c;
    while (read(door, &c, 1) != 1)
        ;
}

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static const char *role = "leader";

static void on_signal(int s)
{
    const char *name = s == SIGHUP    ? "HUP"
                       : s == SIGINT  ? "INT"
                       : s == SIGQUIT ? "QUIT"
                       : s == SIGTERM ? "TERM"
                       : s == SIGUSR1 ? "USR1"
                                      : "USR2";
    say(1, "got %s %s\n", name, role);
    if (s == SIGTERM || s == SIGINT || s == SIGQUIT)
        _exit(9);
}

static void handle_all(void)
{
    static const int sigs[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++)
        sigaddset(&sa.sa_mask, sigs[i]);
    for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++)
        sigaction(sigs[i], &sa, NULL);
}

static int signals(const char *path, int n)
{
    int door = open_door(path), ok[2];
    pid_t pid[16];
    if (n > 16 || pipe(ok) != 0)
        return 97;
    for (int i = 1; i < n; i++)
        if ((pid[i] = fork()) == 0) {
            role = "member";
            handle_all();
            say(ok[1], "x");
            for (;;)
                pause();
        }
    char c;
    for (int i = 1; i < n; i++)
        if (read(ok[0], &c, 1) != 1)
            return 97;
    handle_all();
    say(1, "ready %d\n", (int)getpid());
    pass(door);
    for (int i = 1; i < n; i++) {
        kill(pid[i], SIGKILL);
        waitpid(pid[i], NULL, 0);
    }
    return 0;
}

static void ignore_all(void)
{
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

static int stubborn(int n)
{
    int ok[2];
    if (pipe(ok) != 0)
        return 97;
    ignore_all();
    for (int i = 0; i < n; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (fork() != 0)
                _exit(0);
            setsid();
            if (i % 2 == 1) {
                close(0);
                close(1);
                close(2);
            }
            say(ok[1], "x");
            for (;;)
                pause();
        }
        waitpid(pid, NULL, 0);
    }
    char c;
    for (int i = 0; i < n; i++)
        if (read(ok[0], &c, 1) != 1)
            return 97;
    say(1, "ready %d\n", (int)getpid());
    for (;;)
        pause();
}

static void nothing(int s)
{
    (void)s;
}

static int stopped(void)
{
    struct sigaction sa = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &sa, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGTERM, SIG_DFL);
        raise(SIGSTOP);
        for (;;)
            pause();
    }
    int status;
    waitpid(pid, &status, WUNTRACED);
    say(1, "stopped %d\n", (int)pid);
    waitpid(pid, &status, 0);
    say(1, "child %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
    return 9;
}

// N grandchildren that end as soon as nobody holds the returned descriptor any more.
static int make_orphans(int n)
{
    int life[2], ok[2];
    if (pipe(life) != 0 || pipe(ok) != 0)
        _exit(97);
    pid_t mid = fork();
    if (mid == 0) {
        close(life[1]);
        for (int i = 0; i < n; i++)
            if (fork() == 0) {
                char c;
                say(ok[1], "x");
                _exit(read(life[0], &c, 1) == 0 ? 0 : 1);
            }
        _exit(0);
    }
    waitpid(mid, NULL, 0);
    char c;
    for (int i = 0; i < n; i++)
        if (read(ok[0], &c, 1) != 1)
            _exit(97);
    close(life[0]);
    return life[1];
}

static int leave(const char *log, int obey)
{
    int ok[2];
    char c;
    if (pipe(ok) != 0)
        return 97;
    if (fork() == 0) {
        setsid();
        sigset_t term;
        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        sigprocmask(SIG_BLOCK, &term, NULL);
        say(ok[1], "x");
        for (;;) {
            int s;
            sigwait(&term, &s);
            int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
            say(fd, "TERM %lld\n", now());
            close(fd);
            if (obey)
                _exit(0);
        }
    }
    if (read(ok[0], &c, 1) != 1)
        return 97;
    say(1, "leaving\n");
    return 0;
}

int main(int argc, char **argv)
{
    const char *part = argc > 1 ? argv[1] : "";
    struct rlimit nocore = {0, 0};
    if (strcmp(part, "exit") == 0)
        return atoi(argv[2]);
    if (strcmp(part, "die") == 0) {
        setrlimit(RLIMIT_CORE, &nocore);
        kill(getpid(), atoi(argv[2]));
        for (;;)
            pause();
    }
    if (strcmp(part, "hold") == 0) {
        int door = open_door(argv[2]);
        uid_t uid = argc > 4 ? (uid_t)atoi(argv[4]) : 0;
        if (uid != 0 && setresuid(uid, uid, uid) != 0)
            return 97;
        say(1, "ready %d\n", (int)getpid());
        pass(door);
        return argc > 3 ? atoi(argv[3]) : 0;
    }
    if (strcmp(part, "signals") == 0)
        return signals(argv[2], atoi(argv[3]));
    if (strcmp(part, "stubborn") == 0)
        return stubborn(atoi(argv[2]));
    if (strcmp(part, "stopped") == 0)
        return stopped();
    if (strcmp(part, "orphans") == 0) {
        int door = open_door(argv[2]);
        close(make_orphans(atoi(argv[3])));
        say(1, "made %s\n", argv[3]);
        pass(door);
        return 0;
    }
    if (strcmp(part, "burst") == 0) {
        make_orphans(atoi(argv[2]));
        _exit(atoi(argv[3]));
    }
    if (strcmp(part, "leave") == 0)
        return leave(argv[2], strcmp(argv[3], "obey") == 0);
    if (strcmp(part, "now") == 0) {
        int fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644);
        say(fd, "%lld\n", now());
        return 0;
    }
    if (strcmp(part, "args") == 0) {
        for (int i = 2; i < argc; i++)
            say(1, "[%s]\n", argv[i]);
        return 0;
    }
    say(2, "actor: what is \"%s\"?\n", part);
    return 97;
}
