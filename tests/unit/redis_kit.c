#include "redis_kit.h"

#include "unit.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE_NS (UINT64_C(20) * 1000 * 1000 * 1000)

static void remember_reply(struct caller *caller, const redisReply *reply)
{
    const redisReply *last = reply->elements > 0 ? reply->element[reply->elements - 1] : reply;
    caller->type = reply->type;
    caller->length = last->len;
    snprintf(caller->text, sizeof caller->text, "%s", last->str ? last->str : "");
}

static void remember_error(struct caller *caller, const struct err *err)
{
    caller->code = err->code;
    snprintf(caller->text, sizeof caller->text, "%s", err->text);
}

void caller_done(void *user, redisReply *reply, const struct err *err)
{
    struct caller *caller = user;
    assert_true(!reply != !err);
    caller->done++;
    caller->running = false;
    caller->replied = reply != NULL;
    if (reply)
        remember_reply(caller, reply);
    else
        remember_error(caller, err);
    if (caller->in_done)
        caller->in_done(caller);
}

static void on_closed(void *user, const struct err *err)
{
    struct caller *caller = user;
    caller->closed++;
    remember_error(caller, err);
    if (caller->in_closed)
        caller->in_closed(caller);
}

static void on_message(void *user, const redisReply *message)
{
    struct caller *caller = user;
    caller->messages++;
    remember_reply(caller, message);
    if (caller->in_message)
        caller->in_message(caller);
}

void caller_url(struct caller *caller, const char *url)
{
    char text[256];
    struct err err;
    const char *port = strstr(url, "%d");
    snprintf(text, sizeof text, "%.*s%.0d%s", port ? (int)(port - url) : (int)strlen(url), url,
             port ? fake_redis_port(caller->fake) : 0, port ? port + 2 : "");
    redis_url_free(&caller->url);
    assert_int_equal(redis_url_parse(&caller->url, text, "the test's URL", &err), 0);
}

void caller_new_link(struct caller *caller)
{
    redis_link_free(caller->link);
    caller->link = redis_link_new(&caller->config);
    assert_non_null(caller->link);
}

void caller_begin(struct caller *caller, const char *url)
{
    signal(SIGPIPE, SIG_IGN); /* as the program has it: a server may go away at any time */
    *caller = (struct caller){.done = 0};
    assert_int_equal(uv_loop_init(&caller->loop), 0);
    caller->fake = fake_redis_new(&caller->loop, NULL);
    caller_url(caller, url);
    caller->config = (struct redis_link_config){
        .loop = &caller->loop,
        .url = &caller->url,
        .name = "orders",
        .user_timeout = 1200,
        .closed = on_closed,
        .message = on_message,
        .user = caller,
    };
    caller_new_link(caller);
}

void caller_end(struct caller *caller)
{
    redis_link_free(caller->link);
    caller->link = NULL;
    caller_settle(caller);
    fake_redis_free(caller->fake);
    uv_run(&caller->loop, UV_RUN_DEFAULT);
    redis_url_free(&caller->url);
    assert_int_equal(uv_loop_close(&caller->loop), 0);
}

void caller_get(struct caller *caller)
{
    caller->running = true;
    redis_link_run(caller->link, 2, (const char *const[]){"GET", "key"}, NULL, caller_done);
}

void caller_drop(struct caller *caller)
{
    caller->running = false;
    if (caller->link)
        redis_link_drop(caller->link);
}

void caller_free(struct caller *caller)
{
    caller->running = false;
    redis_link_free(caller->link);
    caller->link = NULL;
}

void caller_turn(struct caller *caller)
{
    fake_redis_turn(caller->fake);
}

bool caller_patient(uint64_t began)
{
    return uv_hrtime() - began < PATIENCE_NS;
}

static void count(uv_handle_t *handle, void *user)
{
    *(int *)user += uv_has_ref(handle);
}

int caller_handles(struct caller *caller)
{
    int handles = 0;
    uv_walk(&caller->loop, count, &handles);
    return handles;
}

void caller_settle(struct caller *caller)
{
    caller_turn(caller);
    assert_int_equal(caller_handles(caller), 0);
    CALLER_UNTIL(caller, !uv_loop_alive(&caller->loop));
}

int caller_descriptors(void)
{
    int descriptors = -1; /* the directory's own */
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory));)
        descriptors += entry->d_name[0] != '.';
    closedir(directory);
    return descriptors;
}
