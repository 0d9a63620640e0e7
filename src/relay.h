/* What backends that stand before others (split.h, history.h) hand on unchanged. */
#ifndef LOCKSTEP_RELAY_H
#define LOCKSTEP_RELAY_H

#include "backend.h"

/* Handlers that pass everything but the replies, which `reply` takes, to the handlers of the backend that is their
 * `user` (backend_config.user of the one behind must be that backend). */
struct backend_handlers relay_handlers(void (*reply)(void *user, enum op op, enum op_result result,
                                                     const struct look *look, const struct err *err));

#endif
