#include "redis_error.h"

#include <stdio.h>
#include <string.h>

/* Everything that the scripts and the links say (redis_scripts.c, redis_link.c). */
#define ACL_COMMANDS                                                                                                   \
    "+select +role +hmget +eval +evalsha +info +time +get +set +del +pexpire +incr +hget +hset +hsetnx"                \
    " +hincrby +hdel +rpush +llen +lpop +lindex +publish +subscribe"

static const struct {
    const char *word; /* the error's first */
    enum err_code code;
    const char *remedy;
} meanings[] = {
    {"READONLY", ERR_UNAVAILABLE,
     "this is a read-only replica: name the master, or let sentinels name it (redis+sentinel://...)"},
    {"NOREPLICAS", ERR_UNAVAILABLE,
     "it wants more replicas before it writes (min-replicas-to-write): bring them back, or lower that"},
    {"LOADING", ERR_UNAVAILABLE, "it is still loading its data"},
    {"BUSY", ERR_UNAVAILABLE, "a slow script of somebody keeps it from answering"},
    {"MASTERDOWN", ERR_UNAVAILABLE, "this replica has lost its master: name the master"},
    {"CLUSTERDOWN", ERR_UNAVAILABLE, "the cluster is not whole"},
    {"TRYAGAIN", ERR_UNAVAILABLE, "the cluster is moving our slot"},
    {"ASK", ERR_UNAVAILABLE, "the cluster is moving our slot"},
    {"MOVED", ERR_UNAVAILABLE, "the cluster's nodes send us in a circle"},
    {"OOM", ERR_UNAVAILABLE,
     "it has reached maxmemory: give it more, or meet in a Redis that is no cache (maxmemory-policy noeviction)"},
    {"MISCONF", ERR_UNAVAILABLE,
     "it cannot save to disk and so refuses writes: mend its disk (stop-writes-on-bgsave-error)"},
    {"ERR max number of clients", ERR_CROWDED, "it has no connection left (maxclients)"},
    {"NOAUTH", ERR_REFUSED, "it wants a password: redis://:PASSWORD@HOST or redis://USER:PASSWORD@HOST"},
    {"WRONGPASS", ERR_REFUSED, "user or password of the URL is wrong, or the user is disabled"},
    {"ERR invalid password", ERR_REFUSED, "the password of the URL is wrong"},
    {"ERR AUTH", ERR_REFUSED, "the URL has a password, but the server has none"},
    {"DENIED", ERR_REFUSED,
     "it is in protected mode and talks to its own host only: give it a password and the URL the same one, or let it "
     "bind "
     "to the network by intention (protected-mode no)"},
    {"ERR DB index", ERR_REFUSED, "it has no database of that number: mend the end of the URL"},
    {"ERR SELECT is not allowed", ERR_REFUSED, "a cluster has only database 0: mend the end of the URL"},
};

bool redis_error_is(const redisReply *reply, const char *code)
{
    size_t length = strlen(code);
    if (reply->type != REDIS_REPLY_ERROR)
        return false;
    if (strncmp(reply->str, code, length) == 0)
        return true;
    /* Before 7.0 what a command in a script says stands in the middle of another error. */
    for (const char *dash = strstr(reply->str, ": -"); dash; dash = strstr(dash + 1, ": -"))
        if (strncmp(dash + 3, code, length) == 0)
            return true;
    return false;
}

static bool is_denied(const redisReply *reply)
{
    return redis_error_is(reply, "NOPERM") || strstr(reply->str, "The user executing the script") ||
           strstr(reply->str, "ACL failure in script");
}

void redis_error_of_reply(const redisReply *reply, const struct redis_error_context *context, struct err *err)
{
    if (is_denied(reply)) {
        err_set(err, ERR_REFUSED, "Redis at %s: no permission; ACL SETUSER %s ~lockstep:{%s}:* &lockstep:{%s}:* %s",
                context->where, context->url->user ? context->url->user : "default", context->name, context->name,
                ACL_COMMANDS);
        return;
    }
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (redis_error_is(reply, meanings[i].word)) {
            err_set(err, meanings[i].code, "Redis at %s: %.80s; %s", context->where, reply->str, meanings[i].remedy);
            return;
        }
    }
    err_set(err, ERR_REFUSED, "Redis at %s: %.240s", context->where, reply->str);
}
