/* Sentinels: who is the master, and when does that change? (hiredis knows nothing of them.) */
#ifndef LOCKSTEP_REDIS_SENTINEL_H
#define LOCKSTEP_REDIS_SENTINEL_H

#include "err.h"
#include "redis_link.h"

struct redis_sentinel;

/* What `redis_sentinel_find` found, or `err` (ERR_UNAVAILABLE: no sentinel answered, or none knows the master). */
typedef void redis_found(void *user, const char *host, int port, const struct err *err);

/* Asks the sentinels of link->url. Of `link`, peer and callbacks are replaced. NULL if memory is out. */
struct redis_sentinel *redis_sentinel_new(const struct redis_link_config *link);

/* Asks each sentinel in turn, beginning with the one that answered last unless that is in doubt, until one names the
 * master's address, and calls `done` from the loop, unless reset before. A silent one is given up after `patience` ms.
 */
void redis_sentinel_find(struct redis_sentinel *sentinel, int64_t patience, redis_found *done, void *user);

/* The next find begins with another sentinel: what this one named was no help, or it did not even answer in time. */
void redis_sentinel_doubt(struct redis_sentinel *sentinel);

/* Subscribes at one of them, and at the next when that one goes away; calls `switched` whenever they announce another
 * master, until reset. */
void redis_sentinel_watch(struct redis_sentinel *sentinel, void (*switched)(void *user), void *user);

/* Ends what find or watch began. */
void redis_sentinel_reset(struct redis_sentinel *sentinel);

/* NULL is ignored. */
void redis_sentinel_free(struct redis_sentinel *sentinel);

#endif
