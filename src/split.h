/* A meeting place of two halves: the lock and the wake-up in one (Redis), the records and the version in another
 * (Postgres), where they belong to the database that they speak of: a Redis may forget it, or outlive it. */
#ifndef LOCKSTEP_SPLIT_H
#define LOCKSTEP_SPLIT_H

#include "backend.h"

/* Opens `keeper` as the half with the lock at config->url, and `ledger` as that with the records at
 * config->database_url. As backend_open. */
struct backend *split_open(const struct backend_config *config, backend_opener *keeper, backend_opener *ledger,
                           struct err *err);

#endif
