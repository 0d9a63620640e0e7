/* The Redis meeting place (DESIGN section 4): a lock that is a lease, scripts that are facts, wake-up by pub/sub. */
#ifndef LOCKSTEP_REDIS_H
#define LOCKSTEP_REDIS_H

#include "backend.h"

/* As backend_open. */
struct backend *redis_open(const struct backend_config *config, struct err *err);

#endif
