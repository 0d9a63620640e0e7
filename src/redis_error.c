#include "redis_error.h"

#include <stdio.h>
#include <string.h>

#define QUOTED_MAX 160

/* Everything that the scripts and the links say (redis_scripts.c, redis_link.c) whatever the URL is. */
#define ACL_COMMANDS                                                                                                   \
    "+hmget +eval +evalsha +info +time +get +set +del +pexpire +incr +hget +hset +hsetnx +hincrby +hdel"               \
    " +rpush +llen +lpop +lindex +publish +subscribe"

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
    {"OOM", ERR_UNAVAILABLE, "its memory is full: raise maxmemory, or meet in a Redis that is no cache"},
    {"MISCONF", ERR_UNAVAILABLE,
     "it cannot save to disk and so refuses writes: mend its disk (stop-writes-on-bgsave-error)"},
    {"ERR max number of clients", ERR_CROWDED, "it has no connection left (maxclients)"},
    {"NOAUTH", ERR_REFUSED,
     "it wants a password; the URL should have it before the host, as in USER:PASSWORD@HOST, or :PASSWORD@HOST without "
     "a user"},
    {"WRONGPASS", ERR_REFUSED, "user or password of the URL is wrong, or the user is disabled"},
    {"ERR invalid password", ERR_REFUSED, "the password of the URL is wrong"},
    {"ERR AUTH", ERR_REFUSED, "the URL has a password, but the server has none"},
    {"DENIED", ERR_REFUSED,
     "it is in protected mode, so it talks to its own host only: give it a password (requirepass) and the URL the "
     "same, or "
     "set protected-mode no if nobody else can reach it"},
    {"ERR DB index", ERR_REFUSED, "it has no database of that number: mend the end of the URL"},
    {"ERR unknown command 'HMGET'", ERR_REFUSED,
     "this is a sentinel: redis+sentinel://HOST1,HOST2,HOST3/MASTER is the way through sentinels"},
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

/* How much of the server's words is quoted: its first sentence, without the place in a script or our own words, of
 * which one may be the password. If that is too long, no word is cut in two: half a password is none that the log would
 * know. */
static int quoted_length(const char *text)
{
    static const char *const ends[] = {". ", " script: ", ", with args beginning with"};
    size_t length = strcspn(text, "\r\n");
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const char *end = strstr(text, ends[i]);
        if (end && (size_t)(end - text) < length)
            length = (size_t)(end - text);
    }
    if (length > QUOTED_MAX)
        for (length = QUOTED_MAX; length > 0 && text[length] != ' ';)
            length--;
    while (length > 0 && text[length - 1] == '.')
        length--;
    return (int)length;
}

static bool is_denied(const redisReply *reply)
{
    return redis_error_is(reply, "NOPERM") || strstr(reply->str, "The user executing the script") ||
           strstr(reply->str, "ACL failure in script");
}

/* The words for the administrator come first, as a long line may be cut. */
static void explain_denied(const redisReply *reply, const struct redis_error_context *context, struct err *err)
{
    const struct redis_url *url = context->url;
    err_set(
        err, ERR_REFUSED,
        "no permission; an administrator gives it in redis-cli by: ACL SETUSER %s ~lockstep:{%s}:* &lockstep:{%s}:* "
        "%s%s" ACL_COMMANDS " (Redis at %.64s: %.*s)",
        url->user ? url->user : "default", context->name, context->name, url->database ? "+select " : "",
        url->master ? "+role " : "", context->where, quoted_length(reply->str), reply->str);
}

void redis_error_of_reply(const redisReply *reply, const struct redis_error_context *context, struct err *err)
{
    if (is_denied(reply)) {
        explain_denied(reply, context, err);
        return;
    }
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (redis_error_is(reply, meanings[i].word)) {
            err_set(err, meanings[i].code, "Redis at %s: %.*s; %s", context->where, quoted_length(reply->str),
                    reply->str, meanings[i].remedy);
            return;
        }
    }
    err_set(err, ERR_REFUSED, "Redis at %s: %.*s", context->where, quoted_length(reply->str), reply->str);
}

void redis_error_of_sentinel(const redisReply *reply, const char *where, struct err *err)
{
    const char *said = reply->str;
    if (redis_error_is(reply, "NOAUTH") || redis_error_is(reply, "WRONGPASS"))
        err_set(err, ERR_REFUSED,
                "the sentinel at %s: %.*s; sentinels have a user and a password of their own: sentinel_username and "
                "sentinel_password among the parameters of the URL",
                where, quoted_length(said), said);
    else if (redis_error_is(reply, "NOPERM"))
        err_set(err, ERR_REFUSED,
                "the sentinel at %s: %.*s; its user needs: ACL SETUSER USER &+switch-master +sentinel "
                "+subscribe",
                where, quoted_length(said), said);
    else if (redis_error_is(reply, "ERR unknown command"))
        err_set(err, ERR_REFUSED, "%s is no sentinel: a server's URL begins with redis://", where);
    else
        err_set(err, ERR_UNAVAILABLE, "the sentinel at %s: %.*s", where, quoted_length(said), said);
}
