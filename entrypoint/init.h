/* --init: the app as a child, and beside it a resident that takes our place (DESIGN section 5). */
#ifndef LOCKSTEP_INIT_H
#define LOCKSTEP_INIT_H

#include "err.h"
#include "process.h"

/* Forks. The parent becomes the resident and never returns. The child returns 0 and is to become the app: all signals
 * are blocked, it leads a process group of its own, in the terminal's foreground if that was ours; `inherited` and
 * LISTEN_PID in `environment` (of the app, from environment_of_app) are those of a child; it must not end by exit().
 * Returns -1 with `err` if there can be no child. */
int init_fork(struct inherited *inherited, char **environment, struct err *err);

#endif
