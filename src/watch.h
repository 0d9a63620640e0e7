/* A descriptor watched by the loop. The handle is freed by the loop, later than whoever watched; this hides it. */
#ifndef LOCKSTEP_WATCH_H
#define LOCKSTEP_WATCH_H

#include <uv.h>

struct watch;

/* `events` is UV_READABLE, UV_WRITABLE or both; both if the descriptor has an error, which the next read or write of it
 * tells in words. */
typedef void watch_ready(void *user, int events);

/* Watches `fd` for nothing yet. NULL if that cannot be done. */
struct watch *watch_new(uv_loop_t *loop, int fd, watch_ready *ready, void *user);

/* Calls `ready` from now on whenever one of `events` is there; 0 = never. -1 if that cannot be done. */
int watch_for(struct watch *watch, int events);

/* Both at once: watches `fd` for reading. NULL if that cannot be done. */
struct watch *watch_readable(uv_loop_t *loop, int fd, watch_ready *ready, void *user);

/* The descriptor that is watched. */
int watch_fd(const struct watch *watch);

/* `ready` is not called any more; call it before the descriptor is closed. NULL is ignored. */
void watch_free(struct watch *watch);

/* The same, and closes the descriptor; `*watch` becomes NULL, and is ignored if it is. */
void watch_close(struct watch **watch);

#endif
