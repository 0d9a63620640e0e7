#include "redis_sentinel.h"

#include "later.h"
#include "redis_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWITCH_CHANNEL "+switch-master"
#define AGAIN_MS       1000 /* after the sentinel that was watched went away */

struct redis_sentinel {
    struct redis_link_config config;
    struct redis_link *link;
    int current; /* which of the URL's sentinels */
    int asked;   /* how many of them without an answer that helps */
    int64_t patience;
    struct later *timer;
    struct err failure;
    redis_found *found;
    void (*switched)(void *user);
    void *user;
};

static void ask(struct redis_sentinel *s);
static void subscribe(void *user);

static void set_timer(struct redis_sentinel *s, int64_t delay, void (*call)(void *))
{
    later_cancel(s->timer);
    s->timer = later_call(s->config.loop, (unsigned)delay, call, s);
}

static void aim(struct redis_sentinel *s)
{
    const struct redis_host *host = &s->config.url->hosts[s->current];
    redis_link_aim(s->link, host->name, host->port);
}

static void go_to_next(struct redis_sentinel *s)
{
    redis_link_drop(s->link);
    s->current = (s->current + 1) % s->config.url->host_count;
}

/* ---- finding ---------------------------------------------------------------------------------------------------- */

static void found(struct redis_sentinel *s, const char *host, int port, const struct err *err)
{
    redis_found *done = s->found;
    s->found = NULL;
    later_cancel(s->timer);
    s->timer = NULL;
    redis_link_drop(s->link); /* connections are for those who use them */
    done(s->user, host, port, err);
}

void redis_sentinel_doubt(struct redis_sentinel *s)
{
    go_to_next(s);
}

static void ask_next(struct redis_sentinel *s)
{
    go_to_next(s);
    if (++s->asked < s->config.url->host_count)
        ask(s);
    else
        found(s, NULL, 0, &s->failure);
}

static void on_silence(void *user)
{
    struct redis_sentinel *s = user;
    s->timer = NULL;
    err_set(&s->failure, ERR_UNAVAILABLE, "the sentinel at %s does not answer", redis_link_where(s->link));
    ask_next(s);
}

static void on_address(void *user, redisReply *reply, const struct err *err)
{
    struct redis_sentinel *s = user;
    if (!err && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[0]->str &&
        reply->element[1]->str) {
        char host[256];
        snprintf(host, sizeof host, "%s", reply->element[0]->str);
        found(s, host, (int)strtol(reply->element[1]->str, NULL, 10), NULL);
        return;
    }
    if (err)
        s->failure = *err;
    else if (reply->type == REDIS_REPLY_ERROR)
        redis_error_of_sentinel(reply, redis_link_where(s->link), &s->failure);
    else
        err_set(&s->failure, ERR_UNAVAILABLE, "the sentinel at %s knows no master named \"%s\"",
                redis_link_where(s->link), s->config.url->master);
    ask_next(s);
}

static void ask(struct redis_sentinel *s)
{
    aim(s);
    set_timer(s, s->patience, on_silence);
    redis_link_run(s->link, 3, (const char *const[]){"SENTINEL", "GET-MASTER-ADDR-BY-NAME", s->config.url->master},
                   NULL, on_address);
}

void redis_sentinel_find(struct redis_sentinel *s, int64_t patience, redis_found *done, void *user)
{
    s->found = done;
    s->user = user;
    s->asked = 0;
    s->patience = patience;
    ask(s);
}

/* ---- watching --------------------------------------------------------------------------------------------------- */

static void subscribe_again(struct redis_sentinel *s)
{
    go_to_next(s);
    set_timer(s, AGAIN_MS, subscribe);
}

static void on_subscribed(void *user, redisReply *reply, const struct err *err)
{
    struct redis_sentinel *s = user;
    if (err || reply->type == REDIS_REPLY_ERROR)
        subscribe_again(s);
}

static void subscribe(void *user)
{
    struct redis_sentinel *s = user;
    s->timer = NULL;
    aim(s);
    redis_link_run(s->link, 2, (const char *const[]){"SUBSCRIBE", SWITCH_CHANNEL}, NULL, on_subscribed);
}

static void on_closed(void *user, const struct err *err)
{
    (void)err;
    subscribe_again(user);
}

/* ["message", "+switch-master", "MASTER OLD-HOST OLD-PORT NEW-HOST NEW-PORT"] */
static void on_message(void *user, const redisReply *message)
{
    struct redis_sentinel *s = user;
    const char *master = s->config.url->master, *text;
    if (message->type != REDIS_REPLY_ARRAY || message->elements != 3 || !(text = message->element[2]->str))
        return;
    if (strncmp(text, master, strlen(master)) == 0 && text[strlen(master)] == ' ')
        s->switched(s->user);
}

void redis_sentinel_watch(struct redis_sentinel *s, void (*switched)(void *user), void *user)
{
    if (s->switched)
        return;
    s->switched = switched;
    s->user = user;
    subscribe(s);
}

/* ---- both ------------------------------------------------------------------------------------------------------- */

struct redis_sentinel *redis_sentinel_new(const struct redis_link_config *link)
{
    struct redis_sentinel *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->config = *link;
    s->config.peer = REDIS_PEER_SENTINEL;
    s->config.closed = on_closed;
    s->config.message = on_message;
    s->config.user = s;
    s->link = redis_link_new(&s->config);
    if (s->link)
        return s;
    free(s);
    return NULL;
}

void redis_sentinel_reset(struct redis_sentinel *s)
{
    redis_link_drop(s->link);
    later_cancel(s->timer);
    s->timer = NULL;
    s->found = NULL;
    s->switched = NULL;
}

void redis_sentinel_free(struct redis_sentinel *s)
{
    if (!s)
        return;
    redis_sentinel_reset(s);
    redis_link_free(s->link);
    free(s);
}
