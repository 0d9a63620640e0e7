/* A command that runs as the loop sees it: its leash, its output, its end. */
#ifndef LOCKSTEP_RUNNER_H
#define LOCKSTEP_RUNNER_H

#include "command.h"
#include "leash.h"
#include "mask.h"
#include "tail.h"

#include <stdbool.h>
#include <uv.h>

struct runner;

struct runner_job {
    enum command_kind kind;
    char *const *argv;
    char *const *environment;
    bool quiet;               /* its output is kept, but passed on for --log-level debug only */
    bool again;               /* its output is added to what is kept */
    int64_t term_at, kill_at; /* ms on CLOCK_BOOTTIME: the lease; INT64_MAX = it needs none */
    int lock_fd;              /* see struct leash_config */
    const struct inherited *inherited;
};

/* Called from the loop when the last process of the command is gone. */
typedef void runner_ended(void *user, int status);

/* Makes a runner that runs nothing yet; what it will run, it runs as `who`. `mask` and `who` are kept by reference.
 * NULL if memory is out. */
struct runner *runner_new(uv_loop_t *loop, const struct mask *mask, const struct user *who, runner_ended *ended,
                          void *user);

/* Runs the job, which is read during the call only; what it prints is passed on and kept. If it cannot be started,
 * `ended` tells 126 or 127 from the loop, as a shell would. Nothing may be running. */
void runner_start(struct runner *runner, const struct runner_job *job);

/* Runs nothing: tells `status` from the loop, as of a command of `kind` that has printed `text` and ended so. Nothing
 * may be running. */
void runner_refuse(struct runner *runner, enum command_kind kind, int status, const char *text);

/* Orders for the leash; ignored when nothing runs. */
void runner_order(struct runner *runner, const struct leash_order *order);

/* To be called now and then while something runs: a leash that has not ended the command when it had to, because
 * somebody stopped it, is killed, and what it held is ended by us. `now` in ms on CLOCK_BOOTTIME. */
void runner_watch(struct runner *runner, int64_t now);

/* A child `pid` of ours has been reaped: if it is the leash, and that before it told the end, somebody killed it; what
 * it held is ended by us. */
void runner_child_gone(struct runner *runner, pid_t pid);

/* What is kept of the output. */
const struct tail *runner_tail(const struct runner *runner);

void runner_free(struct runner *runner);

#endif
