#include "init.h"

#include "environment.h"
#include "resident.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A new process group would be in the background, where reading the terminal stops it. In the child, with signals
 * blocked, this stops nobody and is done before the app asks. Who was in the background stays there. */
static void lead_group(void)
{
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (tty < 0)
        tty = STDIN_FILENO;
    bool foreground = tcgetpgrp(tty) == getpgrp();
    setpgid(0, 0);
    if (foreground)
        tcsetpgrp(tty, getpid());
    if (tty != STDIN_FILENO)
        close(tty);
}

/* Everything that the app may close, unmount or wait for the end of is let go. The environment stays to be found where
 * it is without --init: people read /proc/1/environ. */
static _Noreturn void become_resident(pid_t app, char *const environment[])
{
    char name[] = RESIDENT_NAME, id[16];
    snprintf(id, sizeof id, "%d", (int)app);
    (void)!chdir("/");
    process_close_others(0, NULL, 0);
    execve("/proc/self/exe", (char *const[]){name, id, NULL}, environment);
    resident_stay(app); /* no /proc: the same, in more memory */
}

int init_fork(struct inherited *inherited, char **environment, struct err *err)
{
    const uint64_t all = UINT64_MAX;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
    pid_t parent = getpid(), app = fork();
    if (app < 0)
        return err_set(err, ERR_SYSTEM, "--init (LOCKSTEP_INIT): there can be no process for the app: %s",
                       strerror(errno));
    if (app > 0)
        become_resident(app, environment);
    inherited->subreaper = 0; /* fork clears it; orphans are the resident's */
    lead_group();
    environment_follow_listen_pid(environment, parent, getpid());
    return 0;
}
