/* The database hosts of a URL, a list of names perhaps, to the lists of addresses that libpq takes. */
#ifndef LOCKSTEP_PG_RESOLVE_H
#define LOCKSTEP_PG_RESOLVE_H

#include "err.h"
#include "url.h"

#include <stdbool.h>
#include <uv.h>

struct pg_resolve;

/* Called from the loop, never from pg_resolve_start. Lists as libpq takes them (comma-separated, of equal length).
 * `err` set: no name resolved (ERR_UNAVAILABLE). */
typedef void pg_resolved(void *user, const char *hosts, const char *addresses, const char *ports,
                         const struct err *err);

/* Whether `url`, or libpq's default where it names no host, has a name to be resolved before libpq sees it, or several
 * hosts. */
bool pg_resolve_needed(const struct url *url);

/* Resolves every host of `url`; one name may become several hosts of the lists, which begin with number `first` of
 * them, modulo their count: asynchronous libpq never leaves a silent host by itself. NULL if memory is out. */
struct pg_resolve *pg_resolve_start(uv_loop_t *loop, const struct url *url, unsigned first, pg_resolved *done,
                                    void *user);

/* `done` is not called any more. */
void pg_resolve_cancel(struct pg_resolve *resolve);

#endif
