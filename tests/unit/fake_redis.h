/* A Redis that misbehaves on demand, on the loop of the test. Its handles do
 * not keep the loop alive, so that what does is the code under test. */
#ifndef LOCKSTEP_FAKE_REDIS_H
#define LOCKSTEP_FAKE_REDIS_H

#include <stdbool.h>
#include <uv.h>

struct fake_redis;

/* What becomes of an answer. */
enum fake_way {
    FAKE_WHOLE,
    FAKE_IN_BYTES,        /* each byte in a turn of the loop of its own */
    FAKE_HALF,            /* and nothing more, ever, on this connection */
    FAKE_HALF_AND_CLOSES, /* in the middle of it */
    FAKE_AND_CLOSES,      /* after all of it */
    FAKE_NEVER,
};

/* When `FAKE_ACCEPTING` is answered: as soon as a connection is there. */
#define FAKE_ACCEPTING "(accepting)"

/* Listens on a free port of 127.0.0.1, or on the socket `path` where that is
 * not NULL, and answers every command with +OK, ROLE as a master. Fails the
 * test if that cannot be done. */
struct fake_redis *fake_redis_new(uv_loop_t *loop, const char *path);

int fake_redis_port(const struct fake_redis *fake);

/* From now on commands whose first word is `word` (upper case) get `reply` that
 * way. Nothing is copied. */
void fake_redis_answer(struct fake_redis *fake, const char *word, enum fake_way way, const char *reply);

/* Forgets the answers above, and what was heard. */
void fake_redis_reset(struct fake_redis *fake);

/* The commands that came in since then: "SELECT 3; GET key". Long words are
 * cut. */
const char *fake_redis_heard(const struct fake_redis *fake);

/* How many connections were accepted since then, and how many are open. */
int fake_redis_accepted(const struct fake_redis *fake);
int fake_redis_open(const struct fake_redis *fake);

/* Says `text` on every connection, unasked. */
void fake_redis_say(struct fake_redis *fake, const char *text);

/* One turn of the loop, in which connections are served although their handles
 * do not count. Waits for nothing. */
void fake_redis_turn(struct fake_redis *fake);

/* Closes every connection. */
void fake_redis_hang_up(struct fake_redis *fake);

/* Closes and frees all; the loop must turn once more. */
void fake_redis_free(struct fake_redis *fake);

#endif
