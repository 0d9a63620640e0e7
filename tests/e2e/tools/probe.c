// probe: print everything about this process that an exec can carry over, one fact a line.
//
//   probe [-o FILE] [-x CODE] [ARG...]
//
// Strings that may hold any bytes are in hex. Descriptors are listed before the output is opened.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static char *out;
static size_t out_len;

static void hex(FILE *f, const char *key, int i, const char *s)
{
    fprintf(f, "%s %d ", key, i);
    for (; *s != 0; s++)
        fprintf(f, "%02x", (unsigned char)*s);
    fputc('\n', f);
}

static void link_of(FILE *f, const char *key, const char *path)
{
    char buf[4096];
    ssize_t n = readlink(path, buf, sizeof buf - 1);
    buf[n > 0 ? n : 0] = 0;
    fprintf(f, "%s %s\n", key, buf);
}

static void status(FILE *f)
{
    static const char *const want[] = {
        "SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd",     "Uid",     "Gid",   "Groups",    "Threads",     "CapInh",
        "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Umask", "TracerPid", "Cpus_allowed"};
    FILE *in = fopen("/proc/self/status", "r");
    char line[4096];
    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
            size_t n = strlen(want[i]);
            if (strncmp(line, want[i], n) == 0 && line[n] == ':')
                fprintf(f, "%s%s", want[i], line + n + 1);
        }
    if (in != NULL)
        fclose(in);
}

static void descriptors(FILE *f)
{
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL) {
        int fd = atoi(e->d_name);
        if (e->d_name[0] == '.' || fd == dirfd(d))
            continue;
        char path[64], to[4096];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, to, sizeof to - 1);
        to[n > 0 ? n : 0] = 0;
        fprintf(f, "fd %d %x %d %s\n", fd, (unsigned)fcntl(fd, F_GETFL), fcntl(fd, F_GETFD), to);
    }
    if (d != NULL)
        closedir(d);
}

static void tty_group(FILE *f)
{
    FILE *in = fopen("/proc/self/stat", "r");
    int ppid = 0, pgrp = 0, sid = 0, tty = 0, tpgid = 0;
    if (in != NULL && fscanf(in, "%*d (%*[^)]) %*c %d %d %d %d %d", &ppid, &pgrp, &sid, &tty, &tpgid) == 5)
        fprintf(f, "ppid %d\nleads-group %d\nleads-session %d\ntty %d\nforeground %s\n", ppid, pgrp == getpid(),
                sid == getpid(), tty,
                tpgid == -1     ? "none"
                : tpgid == pgrp ? "yes"
                                : "no");
    if (in != NULL)
        fclose(in);
}

static void attributes(FILE *f)
{
    int v = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &v);
    fprintf(f, "subreaper %d\n", v);
    v = 0;
    prctl(PR_GET_PDEATHSIG, &v);
    fprintf(f, "pdeathsig %d\n", v);
    fprintf(f, "keepcaps %d\nsecurebits %d\ntimerslack %d\ndumpable %d\nthp %d\n", prctl(PR_GET_KEEPCAPS),
            prctl(PR_GET_SECUREBITS), prctl(PR_GET_TIMERSLACK), prctl(PR_GET_DUMPABLE),
            prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    fprintf(f, "nice %d\npolicy %d\n", getpriority(PRIO_PROCESS, 0), sched_getscheduler(0));
    for (int t = 0; t < 3; t++) {
        struct itimerval it = {0};
        getitimer(t, &it);
        fprintf(f, "itimer %d %d\n", t, it.it_value.tv_sec != 0 || it.it_value.tv_usec != 0);
    }
    for (int r = 0; r < RLIM_NLIMITS; r++) {
        struct rlimit lim = {0};
        getrlimit((__rlimit_resource_t)r, &lim);
        fprintf(f, "rlimit %d %llu %llu\n", r, (unsigned long long)lim.rlim_cur, (unsigned long long)lim.rlim_max);
    }
    siginfo_t si;
    int any = waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT | __WALL);
    fprintf(f, "children %s\n", any < 0 && errno == ECHILD ? "none" : "some");
}

int main(int argc, char **argv)
{
    extern char **environ;
    const char *file = NULL;
    int code = 0;
    FILE *f = open_memstream(&out, &out_len);
    for (int i = 1; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (strcmp(argv[i], "-o") == 0)
            file = argv[i + 1];
        else if (strcmp(argv[i], "-x") == 0)
            code = atoi(argv[i + 1]);
    }
    descriptors(f);
    fprintf(f, "pid %d\n", (int)getpid());
    status(f);
    tty_group(f);
    link_of(f, "exe", "/proc/self/exe");
    link_of(f, "cwd", "/proc/self/cwd");
    link_of(f, "root", "/proc/self/root");
    attributes(f);
    for (int i = 0; i < argc; i++)
        hex(f, "arg", i, argv[i]);
    for (int i = 0; environ[i] != NULL; i++)
        hex(f, "env", i, environ[i]);
    fprintf(f, "end\n");
    fclose(f);
    int fd = file == NULL ? 1 : open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    for (size_t at = 0; at < out_len;) {
        ssize_t n = write(fd, out + at, out_len - at);
        if (n <= 0)
            return 98;
        at += (size_t)n;
    }
    return code;
}
