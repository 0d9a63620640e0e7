/* What lockstep got from whoever started it, and must hand on to the app exactly so (DESIGN section 5). */
#ifndef LOCKSTEP_PROCESS_H
#define LOCKSTEP_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct inherited {
    uint64_t mask; /* of signals, as the kernel has it: musl hides 32 to 34 from sigprocmask */
    int subreaper;
    bool closed[3];           /* standard descriptors that were not open */
    struct sigaction sigpipe; /* ignored by us: a reader of the logs that goes away must not end the gate */
    struct sigaction sigchld; /* not ignored by us: the kernel would reap what we wait for */
};

/* The first thing in main: fills closed standard descriptors with /dev/null, so that no socket of ours lands there;
 * blocks the signals that we handle; makes us the one that orphans come to. */
void process_begin(struct inherited *inherited);

/* A signalfd for the signals that process_begin blocked, except those that were ignored when we were started: they stay
 * so (nohup). SIGCHLD is among them. -1 with errno on failure. */
int process_signals(void);

/* Puts everything back for an exec by this process. With `late`, a signal that arrives from here on ends the process
 * with 128+n: PID 1 has no default dispositions. */
void process_restore(const struct inherited *inherited, bool late);

/* Closes every descriptor from `from` on but the `count` that are kept. */
void process_close_others(unsigned from, const int kept[], int count);

/* Whether who sends `signal` wants an end of the process, or an answer: a stopped one takes no signal but SIGKILL, so
 * it must be woken. */
static inline bool process_wakes(int signal)
{
    return signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;
}

/* Sends `signal` to every process below `ancestor`, however deep, and whatever its group or session; found in /proc,
 * without which nothing is sent. Returns how many there were. */
int process_signal_below(pid_t ancestor, int signal);

#endif
