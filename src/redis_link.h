/* One hiredis connection on a libuv loop: connects when first used, runs one command at a time, never blocks. The
 * socket and its timers are ours, because hiredis' own adapter reports neither a refused nor a silent server
 * (research/locks.md section 4, measured); hiredis speaks the protocol. */
#ifndef LOCKSTEP_REDIS_LINK_H
#define LOCKSTEP_REDIS_LINK_H

#include "err.h"
#include "redis_tls.h"
#include "redis_url.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <uv.h>

struct redis_link;

/* The end of a command: its reply, perhaps an error that the server replied, or NULL and `err` (nobody answered, or the
 * server did not let us in). `reply` is valid during the call. */
typedef void redis_done(void *user, redisReply *reply, const struct err *err);

enum redis_peer {
    REDIS_PEER_SERVER,   /* whoever is there */
    REDIS_PEER_MASTER,   /* must call itself a master */
    REDIS_PEER_SENTINEL, /* a sentinel: credentials of its own, no databases */
};

struct redis_link_config {
    uv_loop_t *loop;
    const struct redis_url *url; /* lives longer than the link */
    const char *name;            /* of the gate, for the words of an error */
    struct redis_tls *tls;       /* NULL = none; lives longer than the link */
    enum redis_peer peer;
    int64_t user_timeout; /* ms: TCP_USER_TIMEOUT, so that a dead network is noticed with data in flight */
    /* While no command was running: the connection closed; something came unasked (a message of a subscription). */
    void (*closed)(void *user, const struct err *err);
    void (*message)(void *user, const redisReply *message);
    void *user;
};

/* Makes a link that is not connected yet. NULL if memory is out. */
struct redis_link *redis_link_new(const struct redis_link_config *config);

/* The next connection goes to `host` (copied) and `port`; with NULL to the hosts of the URL, the first again. */
void redis_link_aim(struct redis_link *link, const char *host, int port);

/* Runs a command of `count` words, connecting first if need be, and calls `done` from the loop, unless the link is
 * dropped before. Nothing may be running. The words are copied. */
void redis_link_run(struct redis_link *link, int count, const char *const words[], const size_t lengths[],
                    redis_done *done);

/* Whether there is a connection that a command would use. */
bool redis_link_connected(const struct redis_link *link);

/* The host that was tried last, as the URL or redis_link_aim names it. */
const char *redis_link_host(const struct redis_link *link);

/* HOST:PORT or the path of the socket that was tried last; "" before the first time. */
const char *redis_link_where(const struct redis_link *link);

/* Drops the connection and forgets `done`. The link may be used again. */
void redis_link_drop(struct redis_link *link);

/* Drops the connection as if the server had closed it: `done` or `closed` is called, from the loop. */
void redis_link_break(struct redis_link *link, const char *why);

/* Drops the connection and frees the link. NULL is ignored. */
void redis_link_free(struct redis_link *link);

#endif
