/* What the files of the Redis meeting place share: redis.c (connections, the lock, listening), redis_records.c (looking
 * and recording). */
#ifndef LOCKSTEP_REDIS_INTERNAL_H
#define LOCKSTEP_REDIS_INTERNAL_H

#include "backend.h"
#include "later.h"
#include "redis_client.h"
#include "redis_sentinel.h"

/* Three connections at most: `lock` for the lock and whatever is asked without it, the clerk for what is asked beside a
 * heartbeat, `ears` for the subscription. The lease is not bound to any of them. */
struct redis {
    struct backend base;
    struct redis_url url;
    struct redis_tls *tls; /* NULL = none */
    char *keys[REDIS_KEYS];
    char channel[64];
    struct redis_link_config link;            /* of every client */
    struct redis_client *lock, *clerk, *ears; /* the two latter from their first use on */
    struct redis_sentinel *watcher;           /* NULL: no sentinels */
    char value[64];                           /* of the lock while it is ours: "NONCE FENCE" */
    bool holding, listening;
    bool introduced, warned; /* handlers.connected was told; handlers.warned too, of eviction */
    bool silent;             /* ... of heartbeats that fail */
    struct later *beat_timer, *fence_timer;
    struct look_ask asked_look;
    bool applied, ahead; /* what the first step of the look found */
    bool telling;        /* the clerk is busy with progress */
};

static inline struct redis *redis_of(struct backend *b)
{
    return (struct redis *)b;
}

/* The clerk, who is hired only when there is something to write. NULL if memory is out. */
struct redis_client *redis_clerk(struct redis *r);

/* Answers `op`; with `err`, with the result that it stands for. */
void redis_answer(struct redis *r, enum op op, enum op_result result, const struct look *look);
void redis_answer_error(struct redis *r, enum op op, const struct err *err);

/* The ops that live in redis_records.c; backend.h has their contract. */
void redis_look(struct backend *b, const struct look_ask *ask);
void redis_mark(struct backend *b, const struct mark *mark);
void redis_progress(struct backend *b, uint64_t token, const char *last_line);
void redis_end(struct backend *b, const struct ending *ending);

#endif
