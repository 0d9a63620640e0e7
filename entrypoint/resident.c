#include "resident.h"

#include "exitcodes.h"
#include "kernel.h"
#include "process.h"

#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static _Noreturn void leave(int status)
{
    for (;;)
        kernel_call(SYS_exit_group, status, 0, 0, 0);
}

static _Noreturn void leave_by_hand(void)
{
    static const char words[] = "lockstep: error: " RESIDENT_NAME " is what lockstep --init becomes, no command; right "
                                "would be lockstep --init [OPTIONS] [--] COMMAND\n";
    kernel_call(SYS_write, STDERR_FILENO, (long)words, sizeof words - 1, 0);
    leave(EXIT_WRONG_USAGE);
}

/* ---- the resident: its constants are on the stack, as a page of constants would double its memory ------------------
 */

struct resident {
    int app;
    bool stopped;
};

/* Takes note of one child, or of any with -1, that ended, stopped or went on. Returns its id, 0 if none did. A signal
 * tells of several deaths at once, so the app's is looked for in each. */
static long note(struct resident *resident, int which)
{
    int status = 0;
    long pid = kernel_call(SYS_wait4, which, (long)&status, WNOHANG | WUNTRACED | WCONTINUED, 0);
    if (pid != resident->app)
        return pid;
    resident->stopped = WIFSTOPPED(status);
    if (WIFEXITED(status))
        leave(WEXITSTATUS(status));
    if (WIFSIGNALED(status))
        leave(EXIT_SIGNAL + WTERMSIG(status));
    return pid;
}

/* The number of the next signal, waited for without a timeout: an idle resident never wakes. */
static int next_signal(void)
{
    const uint64_t all = UINT64_MAX;
    long signal;
    do
        signal = kernel_call(SYS_rt_sigtimedwait, (long)&all, 0, 0, sizeof all);
    while (signal <= 0); /* interrupted: we were stopped ourselves */
    return (int)signal;
}

/* TTIN and TTOU speak of our own place at the terminal. A fault of our own would end us, blocked or not: the signals of
 * faults that are waited for were sent by somebody, who wants a core dump of the app. */
static bool is_for_app(int signal)
{
    return signal != SIGCHLD && signal != SIGTTIN && signal != SIGTTOU;
}

_Noreturn void resident_stay(int app)
{
    const char name[] = RESIDENT_NAME;
    struct resident resident = {.app = app};
    kernel_call(SYS_prctl, PR_SET_NAME, (long)name, 0, 0);
    if (app <= 0 || note(&resident, app) < 0)
        leave_by_hand();
    for (;;) {
        int signal = next_signal();
        if (is_for_app(signal)) /* EPERM: it has another user, and we no right; still it is ours to reap */
            kernel_call(SYS_kill, app, signal, 0, 0);
        while (note(&resident, -1) > 0)
            ;
        if (resident.stopped && process_wakes(signal))
            kernel_call(SYS_kill, app, SIGCONT, 0, 0);
    }
}

static bool is_name(const char *word)
{
    const char name[] = RESIDENT_NAME;
    for (size_t i = 0; i < sizeof name; i++)
        if (word[i] != name[i])
            return false;
    return true;
}

/* 0 if the text is no process id. */
static int process_id(const char *text)
{
    int id = 0;
    for (; *text >= '0' && *text <= '9' && id < 100000000; text++)
        id = 10 * id + (*text - '0');
    return *text ? 0 : id;
}

void resident_start(int argc, char *const argv[])
{
    if (argc > 0 && is_name(argv[0]))
        resident_stay(argc == 2 ? process_id(argv[1]) : 0);
}
