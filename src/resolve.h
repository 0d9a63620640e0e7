/* The name of one host to its addresses, on the loop's thread pool: a getaddrinfo of a client library's own would block
 * the loop, and a heartbeat with it, for as long as a slow DNS takes. */
#ifndef LOCKSTEP_RESOLVE_H
#define LOCKSTEP_RESOLVE_H

#include "err.h"

#include <stdbool.h>
#include <uv.h>

#define RESOLVE_ADDRESSES_MAX 32

struct resolve;

/* Called from the loop, never from resolve_start. `count` numeric addresses, or 0 and `err` (ERR_UNAVAILABLE). They are
 * valid during the call. */
typedef void resolved(void *user, const char *const addresses[], int count, const struct err *err);

/* Whether `host` is a name; an address, a path of a socket or "" is not. */
bool resolve_needed(const char *host);

/* Looks `host` up. NULL if memory is out. */
struct resolve *resolve_start(uv_loop_t *loop, const char *host, resolved *done, void *user);

/* `done` is not called any more. NULL is ignored. */
void resolve_cancel(struct resolve *resolve);

#endif
