#include "redis.h"

#include "redis_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEAT_AGAIN_MS 100  /* after a heartbeat that could not be sent */
#define BEAT_MIN_MS   1000 /* ... or was not answered: with a new connection */

/* ---- answers ---------------------------------------------------------------------------------------------------- */

void redis_answer(struct redis *r, enum op op, enum op_result result, const struct look *look)
{
    if (!r->introduced)
        r->base.config.handlers.connected(r->base.config.user, false);
    r->introduced = true;
    r->base.config.handlers.reply(r->base.config.user, op, result, look, NULL);
}

void redis_answer_error(struct redis *r, enum op op, const struct err *err)
{
    r->base.config.handlers.reply(r->base.config.user, op, backend_result(err), NULL, err);
}

/* ---- the master ------------------------------------------------------------------------------------------------- */

static void on_switched(void *user)
{
    struct redis *r = user;
    static const char why[] = "the sentinels have made another server the master";
    struct redis_client *const clients[] = {r->lock, r->clerk, r->ears};
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++)
        if (clients[i])
            redis_link_break(redis_client_link(clients[i]), why);
}

static void watch_master(struct redis *r)
{
    if (r->watcher)
        redis_sentinel_watch(r->watcher, on_switched, r);
}

/* ---- lock ------------------------------------------------------------------------------------------------------- */

static void warn_of_eviction(struct redis *r, const char *policy)
{
    char text[256];
    bool risky = strncmp(policy, "volatile", 8) == 0 || strncmp(policy, "allkeys", 7) == 0;
    if (!risky || r->warned)
        return;
    r->warned = true;
    snprintf(
        text, sizeof text,
        "this Redis may evict the lock when its memory is full (maxmemory-policy %s); the migration would be stopped "
        "then; noeviction is right for a place to meet",
        policy);
    r->base.config.handlers.warned(r->base.config.user, EVENT_CONNECTED, text);
}

static void on_lock(void *user, redisReply *reply, const struct err *err)
{
    struct redis *r = user;
    struct err words;
    if (err) {
        redis_answer_error(r, OP_LOCK, err);
        return;
    }
    long long fence = reply->elements > 0 ? reply->element[0]->integer : 0;
    const char *policy = reply->elements > 1 && reply->element[1]->str ? reply->element[1]->str : "";
    if (fence < 0) {
        err_set(
            &words, ERR_REFUSED,
            "Redis at %s may evict any key, also the lock and what is applied (maxmemory-policy %s); set noeviction, "
            "or meet elsewhere, or take the risk with --allow-eviction (LOCKSTEP_ALLOW_EVICTION=1)",
            redis_link_where(redis_client_link(r->lock)), policy);
        redis_answer_error(r, OP_LOCK, &words);
        return;
    }
    if (fence == 0) {
        redis_answer(r, OP_LOCK, OP_BUSY, NULL);
        return;
    }
    warn_of_eviction(r, policy);
    snprintf(r->value, sizeof r->value, "%s %lld", r->base.config.holder->nonce, fence);
    r->holding = true;
    watch_master(r);
    redis_answer(r, OP_LOCK, OP_OK, NULL);
}

static void redis_lock(struct backend *b)
{
    struct redis *r = redis_of(b);
    struct redis_words arguments = {.count = 0};
    char lease[24];
    redis_add(&arguments, b->config.holder->nonce);
    redis_add_number(&arguments, lease, b->config.times.lease);
    redis_add(&arguments, b->config.allow_eviction ? "1" : "0");
    redis_client_script(r->lock, REDIS_LOCK, &arguments, on_lock);
}

/* ---- heartbeat -------------------------------------------------------------------------------------------------- */

static void beat(void *user);

static void set_beat_timer(struct redis *r, int64_t delay, void (*call)(void *user))
{
    later_cancel(r->beat_timer);
    r->beat_timer = call ? later_call(r->base.config.loop, (unsigned)delay, call, r) : NULL;
}

static void warn_of_silence(struct redis *r, const char *why)
{
    char text[640];
    if (r->silent)
        return;
    r->silent = true;
    snprintf(text, sizeof text, "the lease could not be renewed: %s; trying on until it is over", why);
    r->base.config.handlers.warned(r->base.config.user, EVENT_UNAVAILABLE, text);
}

static void on_silence(void *user)
{
    struct redis *r = user;
    warn_of_silence(r, "Redis does not answer");
    redis_client_drop(r->lock);
    beat(r); /* on a new connection */
}

/* The lease stands on the server, whatever becomes of a connection: until it is over for us (the gate knows when, and
 * resets), another try may still reach it, perhaps at another master. */
static void on_beat(void *user, redisReply *reply, const struct err *err)
{
    struct redis *r = user;
    struct err lost;
    if (err && (err->code == ERR_UNAVAILABLE || err->code == ERR_CROWDED)) {
        warn_of_silence(r, err->text);
        set_beat_timer(r, BEAT_AGAIN_MS, beat);
        return;
    }
    set_beat_timer(r, 0, NULL);
    r->silent = false;
    if (!err && reply->integer == 1) {
        redis_answer(r, OP_BEAT, OP_OK, NULL);
        return;
    }
    err_set(&lost, ERR_LOST, "%s",
            err ? err->text
                : "Redis does not know of our lease any more (it was flushed, evicted, restarted or expired)");
    redis_answer_error(r, OP_BEAT, &lost);
}

static void beat(void *user)
{
    struct redis *r = user;
    const struct times *times = &r->base.config.times;
    struct redis_words arguments = {.count = 0};
    char lease[24];
    r->beat_timer = NULL;
    redis_add(&arguments, r->value);
    redis_add_number(&arguments, lease, times->lease);
    int64_t patience = times->heartbeat * 2 > BEAT_MIN_MS ? times->heartbeat * 2 : BEAT_MIN_MS;
    set_beat_timer(r, patience, on_silence);
    redis_client_script(r->lock, REDIS_BEAT, &arguments, on_beat);
}

static void redis_beat(struct backend *b)
{
    beat(redis_of(b));
}

static void on_released(void *user, redisReply *reply, const struct err *err)
{
    struct redis *r = user;
    (void)reply;
    if (err)
        redis_answer_error(r, OP_RELEASE, err);
    else
        redis_answer(r, OP_RELEASE, OP_OK, NULL);
}

static void redis_release(struct backend *b)
{
    struct redis *r = redis_of(b);
    struct redis_words arguments = {.count = 0};
    r->holding = false;
    redis_add(&arguments, r->value);
    redis_client_script(r->lock, REDIS_RELEASE, &arguments, on_released);
}

/* ---- fence ------------------------------------------------------------------------------------------------------ */

static void on_fence(void *user)
{
    struct redis *r = user;
    r->fence_timer = NULL;
    redis_answer(r, OP_FENCE, OP_OK, NULL);
}

/* Redis knows nothing of the sessions in a database; whoever has one there fences by the token itself. */
static void redis_fence(struct backend *b, uint64_t below)
{
    struct redis *r = redis_of(b);
    (void)below;
    r->fence_timer = later_call(b->config.loop, 0, on_fence, r);
}

/* ---- listen ----------------------------------------------------------------------------------------------------- */

static void on_listening(void *user, redisReply *reply, const struct err *err)
{
    struct redis *r = user;
    (void)reply;
    if (err) {
        redis_answer_error(r, OP_LISTEN, err);
        return;
    }
    r->listening = true;
    watch_master(r);
    redis_answer(r, OP_LISTEN, OP_OK, NULL);
}

static void on_message(void *user, const redisReply *message)
{
    struct redis *r = user;
    (void)message;
    r->base.config.handlers.woken(r->base.config.user);
}

static void on_ears_closed(void *user, const struct err *err)
{
    struct redis *r = user;
    if (r->listening && !r->holding) /* the lock does not hang on it */
        r->base.config.handlers.disconnected(r->base.config.user, err);
}

static void redis_listen(struct backend *b)
{
    struct redis *r = redis_of(b);
    struct redis_words words = {.count = 0};
    if (!r->ears) {
        struct redis_link_config link = r->link;
        link.closed = on_ears_closed;
        link.message = on_message;
        r->ears = redis_client_new(&link, r->keys);
    }
    redis_add(&words, "SUBSCRIBE");
    redis_add(&words, r->channel);
    redis_client_command(r->ears, &words, on_listening);
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

struct redis_client *redis_clerk(struct redis *r)
{
    if (!r->clerk)
        r->clerk = redis_client_new(&r->link, r->keys);
    return r->clerk;
}

static void redis_reset_clerk(struct backend *b)
{
    struct redis *r = redis_of(b);
    redis_client_drop(r->clerk);
    later_cancel(r->fence_timer);
    r->fence_timer = NULL;
    r->telling = false;
}

static void redis_reset(struct backend *b)
{
    struct redis *r = redis_of(b);
    redis_reset_clerk(b);
    redis_client_drop(r->lock);
    redis_client_drop(r->ears);
    if (r->watcher)
        redis_sentinel_reset(r->watcher);
    set_beat_timer(r, 0, NULL);
    r->holding = r->listening = r->silent = false;
}

static int redis_lock_fd(const struct backend *b)
{
    (void)b;
    return -1;
}

static void redis_close(struct backend *b)
{
    struct redis *r = redis_of(b);
    later_cancel(r->beat_timer);
    later_cancel(r->fence_timer);
    redis_client_free(r->lock);
    redis_client_free(r->clerk);
    redis_client_free(r->ears);
    redis_sentinel_free(r->watcher);
    redis_tls_free(r->tls);
    redis_url_free(&r->url);
    for (int i = 0; i < REDIS_KEYS; i++)
        free(r->keys[i]);
    free(r);
}

static const struct backend_ops ops = {
    .poll = 1000, /* pub/sub forgets whoever is away for a moment */
    .look = redis_look,
    .lock = redis_lock,
    .listen = redis_listen,
    .mark = redis_mark,
    .fence = redis_fence,
    .beat = redis_beat,
    .progress = redis_progress,
    .end = redis_end,
    .release = redis_release,
    .reset = redis_reset,
    .reset_clerk = redis_reset_clerk,
    .lock_fd = redis_lock_fd,
    .close = redis_close,
};

static int make_keys(struct redis *r, const char *name)
{
    for (int i = 0; i < REDIS_KEYS; i++)
        if (asprintf(&r->keys[i], "lockstep:{%s}:%s", name, redis_key_names[i]) < 0) {
            r->keys[i] = NULL;
            return -1;
        }
    snprintf(r->channel, sizeof r->channel, "lockstep:{%s}:wake", name);
    return 0;
}

static int make_clients(struct redis *r)
{
    r->link = (struct redis_link_config){
        .loop = r->base.config.loop,
        .url = &r->url,
        .name = r->base.config.name,
        .tls = r->tls,
        .user_timeout = r->base.config.times.deadline,
        .user = r,
    };
    r->lock = redis_client_new(&r->link, r->keys);
    if (r->url.master)
        r->watcher = redis_sentinel_new(&r->link);
    return r->lock && (r->watcher || !r->url.master) ? 0 : -1;
}

struct backend *redis_open(const struct backend_config *config, struct err *err)
{
    struct redis *r = calloc(1, sizeof *r);
    if (!r) {
        err_set(err, ERR_SYSTEM, "out of memory");
        return NULL;
    }
    r->base = (struct backend){.ops = &ops, .config = *config};
    if (redis_url_parse(&r->url, config->url, "the lock URL", err) != 0 ||
        (r->url.tls && !(r->tls = redis_tls_new(&r->url, &config->ca, err)))) {
        redis_close(&r->base);
        return NULL;
    }
    if (make_keys(r, config->name) != 0 || make_clients(r) != 0) {
        err_set(err, ERR_SYSTEM, "out of memory");
        redis_close(&r->base);
        return NULL;
    }
    return &r->base;
}
