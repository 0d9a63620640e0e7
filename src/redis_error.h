/* What a Redis server's error replies mean, and what can be done about them. */
#ifndef LOCKSTEP_REDIS_ERROR_H
#define LOCKSTEP_REDIS_ERROR_H

#include "err.h"
#include "redis_url.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>

/* Of whom and of what an error speaks. */
struct redis_error_context {
    const struct redis_url *url;
    const char *name;  /* of the gate */
    const char *where; /* the server's HOST:PORT */
};

/* Whether `reply` is the error whose first word is `code` (NOSCRIPT, MOVED, ...), its own or of a command in a script.
 */
bool redis_error_is(const redisReply *reply, const char *code);

/* Turns an error reply into a code and a line with the remedy. */
void redis_error_of_reply(const redisReply *reply, const struct redis_error_context *context, struct err *err);

/* The same for a sentinel's. */
void redis_error_of_sentinel(const redisReply *reply, const char *where, struct err *err);

#endif
