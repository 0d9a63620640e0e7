/* A caller of a link or a client with a fake Redis at the other end: remembers
 * what it was told. */
#ifndef LOCKSTEP_REDIS_KIT_H
#define LOCKSTEP_REDIS_KIT_H

#include "fake_redis.h"
#include "redis_client.h"

struct caller {
    uv_loop_t loop;
    struct fake_redis *fake;
    struct redis_url url;
    struct redis_link_config config;
    struct redis_link *link;
    bool running;               /* a command is, whose `done` is to come */
    int done, closed, messages; /* how often each was called */
    bool replied;               /* the latest `done` had a reply, perhaps an error; else an err
                                 */
    int type;                   /* REDIS_REPLY_... of the latest reply or message */
    enum err_code code;         /* of the latest err */
    char text[600];             /* of the latest of them all */
    size_t length;              /* of the text of the latest reply */
    void (*in_done)(struct caller *), (*in_closed)(struct caller *),
        (*in_message)(struct caller *); /* NULL = nothing */
};

/* Begins a loop with a fake Redis on it and a link to `url`, where %d is the
 * port of the fake. Options that a test wants changed it changes in
 * caller->config and then calls caller_new_link. */
void caller_begin(struct caller *caller, const char *url);
void caller_url(struct caller *caller, const char *url);
void caller_new_link(struct caller *caller);

/* Frees link and fake, and checks that nothing is left on the loop. */
void caller_end(struct caller *caller);

/* redis_link_run(GET key), redis_link_drop, redis_link_free. */
void caller_get(struct caller *caller);
void caller_drop(struct caller *caller);
void caller_free(struct caller *caller);

/* One turn of the loop. CALLER_UNTIL turns until `condition` is true, for as
 * long as a hung test may take. */
void caller_turn(struct caller *caller);
bool caller_patient(uint64_t began);
#define CALLER_UNTIL(caller, condition)                                                                                \
    for (uint64_t began_ = uv_hrtime(); !(condition); caller_turn(caller))                                             \
    assert_true(caller_patient(began_))

/* Turns once, and then until nobody but the fake has anything on the loop:
 * closed handles are gone in the first turn, but a name that is being resolved
 * cannot be stopped. */
void caller_settle(struct caller *caller);

/* Handles of the loop that are not the fake's. */
int caller_handles(struct caller *caller);

/* Open descriptors of this process. */
int caller_descriptors(void);

/* The callback that remembers; user = caller. */
void caller_done(void *user, redisReply *reply, const struct err *err);

#endif
