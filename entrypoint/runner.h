/* The running migration as the loop sees it: its leash, its output, its end. */
#ifndef LOCKSTEP_RUNNER_H
#define LOCKSTEP_RUNNER_H

#include "leash.h"
#include "mask.h"
#include "tail.h"

#include <stdbool.h>
#include <uv.h>

struct runner;

/* Called from the loop when the last process of the migration is gone. */
typedef void runner_ended(void *user, int status);

/* Makes a runner that runs nothing yet; what it will run, it runs as `who`. `mask` and `who` are kept by reference.
 * NULL if memory is out. */
struct runner *runner_new(uv_loop_t *loop, const struct mask *mask, const struct user *who, runner_ended *ended,
                          void *user);

/* Runs `argv` with `environment`; what it prints is passed on and kept. If it cannot be started, `ended` tells 126 or
 * 127 from the loop, as a shell would. `again`: a repeat in place, whose output is added to what is kept. */
void runner_start(struct runner *runner, char *const argv[], char *const environment[], int64_t term_at,
                  int64_t kill_at, int lock_fd, const struct inherited *inherited, bool again);

/* Orders for the leash; ignored when nothing runs. */
void runner_order(struct runner *runner, const struct leash_order *order);

/* To be called now and then while something runs: a leash that has not ended the migration when it had to, because
 * somebody stopped it, is killed, and what it held is ended by us. `now` in ms on CLOCK_BOOTTIME. */
void runner_watch(struct runner *runner, int64_t now);

/* A child `pid` of ours has been reaped: if it is the leash, and that before it told the end, somebody killed it; what
 * it held is ended by us. */
void runner_child_gone(struct runner *runner, pid_t pid);

/* What is kept of the output. */
const struct tail *runner_tail(const struct runner *runner);

void runner_free(struct runner *runner);

#endif
