/* What backends that stand before others (split.h, history.h) hand on unchanged. */
#ifndef LOCKSTEP_RELAY_H
#define LOCKSTEP_RELAY_H

#include "backend.h"

/* What a backend that stands before one other begins with. */
struct relay {
    struct backend base;
    struct backend *behind;
};

/* Ops that pass what concerns the lock and the records of runs to the backend behind the `struct relay` that they are
 * called with. Look, end, reset and close are for the caller to add. `behind` says how it polls, and whether it can be
 * queried. */
struct backend_ops relay_ops(const struct backend *behind);

/* Handlers that pass everything but the replies, which `reply` takes, to the handlers of the backend that is their
 * `user` (backend_config.user of the one behind must be that backend). */
struct backend_handlers relay_handlers(void (*reply)(void *user, enum op op, enum op_result result,
                                                     const struct look *look, const struct err *err));

#endif
