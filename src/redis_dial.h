/* From a URL to a connected socket: resolves names, tries one address after the other, never blocks. */
#ifndef LOCKSTEP_REDIS_DIAL_H
#define LOCKSTEP_REDIS_DIAL_H

#include "err.h"
#include "redis_url.h"

#include <stdbool.h>
#include <uv.h>

struct redis_dial;

/* Called from the loop: the socket is the caller's now; or -1 and `err` (ERR_UNAVAILABLE: nobody is there). */
typedef void redis_dialled(void *user, int fd, const struct err *err);

struct redis_dial_config {
    uv_loop_t *loop;
    const struct redis_url *url; /* lives longer than the dial */
    int64_t user_timeout;        /* ms: TCP_USER_TIMEOUT, so that a dead network is noticed with data in flight */
    redis_dialled *done;
    void *user;
};

/* NULL if memory is out. */
struct redis_dial *redis_dial_new(const struct redis_dial_config *config);

/* The next start goes to `host` (copied) and `port`; with NULL to the hosts of the URL, the first again. */
void redis_dial_aim(struct redis_dial *dial, const char *host, int port);

/* Begins; `done` follows, unless it is cancelled. */
void redis_dial_start(struct redis_dial *dial);

/* Gives up what was begun. A host that had been silent until then will not be the first to be tried next time. */
void redis_dial_cancel(struct redis_dial *dial);

/* Whether the server that was reached last said anything: if not, the next start begins with another. */
void redis_dial_heard(struct redis_dial *dial, bool heard);

/* The host we are at, as the URL or redis_dial_aim names it (for the name in a certificate), and HOST:PORT or the path
 * of the socket for people; "" before the first start. */
const char *redis_dial_host(const struct redis_dial *dial);
const char *redis_dial_where(const struct redis_dial *dial);

/* NULL is ignored. */
void redis_dial_free(struct redis_dial *dial);

#endif
