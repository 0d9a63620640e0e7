// launch: start a program in an exactly known process state, or as PID 1 of a new PID namespace.
//
//   launch [OPTIONS] -- PROGRAM [ARG...]
//
//   --ns            new PID and mount namespace, /proc mounted: PROGRAM is PID 1 there
//   --report FD     with --ns: "pid N" (seen from outside) and at the end "exit N" or "signal N" go to this descriptor
//   --env FILE      the environment: entries ended by NUL, any bytes
//   --block N       signal N is blocked at exec          --ignore N   signal N is ignored at exec
//   --close FD      FD is closed at exec                 --fd N FILE  FILE is open as descriptor N
//   --umask OCTAL   --nofile N   --nice N   --cwd DIR
//   --ctty          own session, standard input is the controlling terminal
//   --setsid        own session
//   --child CMD     a child that PROGRAM inherits, /bin/sh -c CMD
//
// All other signals get their default disposition and are unblocked, whatever the caller had.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
    fprintf(stderr, "launch: %s: %s\n", what, strerror(errno));
    _exit(99);
}

static char **read_env(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        die(path);
    size_t cap = 1 << 20;
    char *buf = malloc(cap);
    size_t len = fread(buf, 1, cap, f);
    fclose(f);
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += buf[i] == 0;
    char **env = calloc(count + 1, sizeof *env);
    char *p = buf;
    for (size_t i = 0; i < count; i++, p += strlen(p) + 1)
        env[i] = p;
    return env;
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        die(path);
    close(fd);
}

static void unshare_all(void)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int flags = CLONE_NEWPID | CLONE_NEWNS | (uid != 0 ? CLONE_NEWUSER : 0);
    if (unshare(flags) != 0)
        die("unshare");
    if (uid == 0)
        return;
    char map[64];
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "0 %u 1", (unsigned)gid);
    write_file("/proc/self/gid_map", map);
}

static void watch(pid_t pid, int report)
{
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        if (null != fd)
            dup2(null, fd);
    for (int s = 1; s < 32; s++)
        if (s != SIGCHLD)
            signal(s, SIG_IGN);
    dprintf(report, "pid %d\n", (int)pid);
    int status;
    while (waitpid(pid, &status, 0) != pid)
        ;
    if (WIFSIGNALED(status))
        dprintf(report, "signal %d\n", WTERMSIG(status));
    else
        dprintf(report, "exit %d\n", WEXITSTATUS(status));
    _exit(0);
}

int main(int argc, char **argv)
{
    extern char **environ;
    char **env = environ;
    const char *cwd = NULL, *child = NULL;
    int ns = 0, report = -1, ctty = 0, session = 0, closing[16], nclosing = 0;
    sigset_t blocked, ignored, none;
    sigemptyset(&blocked);
    sigemptyset(&ignored);
    sigemptyset(&none);
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *o = argv[i];
        if (strcmp(o, "--ns") == 0) {
            ns = 1;
            continue;
        }
        if (strcmp(o, "--ctty") == 0) {
            ctty = 1;
            continue;
        }
        if (strcmp(o, "--setsid") == 0) {
            session = 1;
            continue;
        }
        const char *v = argv[++i];
        if (v == NULL) {
            fprintf(stderr, "launch: %s needs a value\n", o);
            return 99;
        }
        if (strcmp(o, "--report") == 0)
            report = atoi(v);
        else if (strcmp(o, "--env") == 0)
            env = read_env(v);
        else if (strcmp(o, "--block") == 0)
            sigaddset(&blocked, atoi(v));
        else if (strcmp(o, "--ignore") == 0)
            sigaddset(&ignored, atoi(v));
        else if (strcmp(o, "--close") == 0)
            closing[nclosing++] = atoi(v);
        else if (strcmp(o, "--umask") == 0)
            umask((mode_t)strtol(v, NULL, 8));
        else if (strcmp(o, "--cwd") == 0)
            cwd = v;
        else if (strcmp(o, "--child") == 0)
            child = v;
        else if (strcmp(o, "--nice") == 0)
            setpriority(PRIO_PROCESS, 0, atoi(v));
        else if (strcmp(o, "--nofile") == 0) {
            struct rlimit r = {(rlim_t)atoi(v), (rlim_t)atoi(v)};
            setrlimit(RLIMIT_NOFILE, &r);
        } else if (strcmp(o, "--fd") == 0) {
            int fd = open(argv[++i], O_RDWR | O_CREAT, 0600);
            if (fd < 0)
                die(argv[i]);
            if (fd != atoi(v)) {
                dup2(fd, atoi(v));
                close(fd);
            }
        } else {
            fprintf(stderr, "launch: unknown %s\n", o);
            return 99;
        }
    }
    if (i + 1 >= argc) {
        fprintf(stderr, "launch: no program\n");
        return 99;
    }
    char **prog = argv + i + 1;

    if (ns) {
        unshare_all();
        pid_t pid = fork();
        if (pid < 0)
            die("fork");
        if (pid > 0)
            watch(pid, report);
        if (report >= 0)
            close(report);
        if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
            die("private /");
        if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
            die("mount /proc");
    }
    if ((ctty || session) && setsid() < 0)
        die("setsid");
    if (ctty && ioctl(0, TIOCSCTTY, 0) != 0)
        die("TIOCSCTTY");
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (child != NULL && fork() == 0) {
        execle("/bin/sh", "sh", "-c", child, (char *)NULL, env);
        _exit(127);
    }
    if (cwd != NULL && chdir(cwd) != 0)
        die(cwd);
    for (int s = 1; s < NSIG; s++)
        if (sigismember(&ignored, s) == 1)
            signal(s, SIG_IGN);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    for (int c = 0; c < nclosing; c++)
        close(closing[c]);
    execve(prog[0], prog, env);
    die(prog[0]);
}
