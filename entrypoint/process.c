#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int handled[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
#define HANDLED_COUNT (sizeof handled / sizeof handled[0])

static bool is_ignored(int signal)
{
    struct sigaction action;
    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void handled_set(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < HANDLED_COUNT; i++)
        if (handled[i] == SIGCHLD || !is_ignored(handled[i]))
            sigaddset(set, handled[i]);
}

void process_begin(struct inherited *inherited)
{
    sigset_t set;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &inherited->mask, sizeof inherited->mask);
    handled_set(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int fd = 0; fd < 3; fd++) {
        inherited->closed[fd] = fcntl(fd, F_GETFD) < 0 && errno == EBADF;
        if (inherited->closed[fd] && open("/dev/null", O_RDWR | O_CLOEXEC) < 0) /* the lowest free one: fd */
            (void)!eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);                      /* no /dev: anything that is harmless */
    }
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, &inherited->sigpipe);
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &standard, &inherited->sigchld);
    inherited->subreaper = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &inherited->subreaper);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

int process_signals(void)
{
    sigset_t set;
    handled_set(&set);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void on_late_signal(int signal)
{
    _exit(128 + signal);
}

void process_restore(const struct inherited *inherited, bool late)
{
    prctl(PR_SET_CHILD_SUBREAPER, inherited->subreaper);
    sigaction(SIGPIPE, &inherited->sigpipe, NULL);
    sigaction(SIGCHLD, &inherited->sigchld, NULL);
    struct sigaction action = {.sa_handler = on_late_signal}; /* exec makes the default of a handler again */
    for (size_t i = 0; late && i < HANDLED_COUNT; i++) {
        bool ends = handled[i] == SIGTERM || handled[i] == SIGINT || handled[i] == SIGQUIT || handled[i] == SIGHUP;
        if (ends && !is_ignored(handled[i]) && !(inherited->mask >> (handled[i] - 1) & 1))
            sigaction(handled[i], &action, NULL);
    }
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &inherited->mask, NULL, sizeof inherited->mask);
}

void process_close_others(unsigned from, const int kept[], int count)
{
    for (;;) {
        unsigned next = UINT_MAX;
        for (int i = 0; i < count; i++)
            if (kept[i] >= (int)from && (unsigned)kept[i] < next)
                next = (unsigned)kept[i];
        if (next > from && syscall(SYS_close_range, from, next == UINT_MAX ? UINT_MAX : next - 1, 0) != 0)
            for (unsigned fd = from; fd < next && fd < 65536; fd++) /* a kernel before 5.9 */
                close((int)fd);
        if (next == UINT_MAX)
            return;
        from = next + 1;
    }
}

/* The parent of `pid`, 0 if it cannot be found. The name in stat may contain anything: the last ) ends it. */
static pid_t parent_of(pid_t pid)
{
    char path[64], stat[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, stat, sizeof stat - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    stat[n] = '\0';
    const char *end = strrchr(stat, ')');
    return end && end + 3 < stat + n ? (pid_t)strtol(end + 3, NULL, 10) : 0; /* ") S PPID" */
}

static bool is_below(pid_t pid, pid_t ancestor)
{
    for (int depth = 0; pid > 1 && depth < 1000; depth++) {
        pid = parent_of(pid);
        if (pid == ancestor)
            return true;
    }
    return false;
}

int process_signal_below(pid_t ancestor, int signal)
{
    int count = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc)) != NULL;) {
        pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? (pid_t)strtol(entry->d_name, NULL, 10) : 0;
        if (pid > 1 && is_below(pid, ancestor)) {
            kill(pid, signal);
            count++;
        }
    }
    if (proc)
        closedir(proc);
    return count;
}
