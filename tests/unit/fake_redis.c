#include "fake_redis.h"

#include "unit.h"

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS_MAX 8

union listener {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

struct connection {
    union listener socket;
    uv_idle_t idle; /* sends what is left, or a byte of it, in each turn */
    struct fake_redis *fake;
    struct connection *next;
    redisReader *reader; /* commands look like replies */
    char in[65536], *out;
    size_t length, sent;
    bool in_bytes, mute, closes;
    int closed; /* of the two handles */
};

struct fake_redis {
    uv_loop_t *loop;
    union listener listener;
    bool unix_socket;
    struct connection *connections;
    struct {
        const char *word, *reply;
        enum fake_way way;
    } answers[ANSWERS_MAX];
    int answer_count, accepted;
    char heard[4096];
};

/* ---- connections
 * ------------------------------------------------------------------------------------------------
 */

static void on_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    if (++c->closed < 2)
        return;
    redisReaderFree(c->reader);
    free(c->out);
    free(c);
}

static void hang_up(struct connection *c)
{
    struct connection **at = &c->fake->connections;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    uv_close(&c->socket.handle, on_closed);
    uv_close((uv_handle_t *)&c->idle, on_closed);
}

/* False if the connection is gone. A peer that has gone away is no mistake
 * here. */
static bool send_some(struct connection *c, size_t length)
{
    uv_buf_t buffer = uv_buf_init(c->out + c->sent, (unsigned)length);
    int sent = length > 0 ? uv_try_write(&c->socket.stream, &buffer, 1) : 0;
    if (sent > 0)
        c->sent += (size_t)sent;
    if ((sent >= 0 || sent == UV_EAGAIN) && (c->sent < c->length || !c->closes))
        return true;
    hang_up(c);
    return false;
}

static void on_idle(uv_idle_t *idle)
{
    struct connection *c = idle->data;
    if (c->sent == c->length)
        uv_idle_stop(idle);
    else
        send_some(c, c->in_bytes ? 1 : c->length - c->sent);
}

/* False if the connection is gone. */
static bool say(struct connection *c, enum fake_way way, const char *text)
{
    bool half = way == FAKE_HALF || way == FAKE_HALF_AND_CLOSES;
    size_t length = way == FAKE_NEVER ? 0 : half ? strlen(text) / 2 : strlen(text);
    if (c->mute)
        return true;
    c->out = realloc(c->out, c->length + length + 1);
    assert_non_null(c->out);
    memcpy(c->out + c->length, text, length);
    c->length += length;
    c->closes = way == FAKE_HALF_AND_CLOSES || way == FAKE_AND_CLOSES;
    c->mute = half || c->closes;
    c->in_bytes |= way == FAKE_IN_BYTES;
    if (!c->in_bytes && !send_some(c, c->length - c->sent))
        return false;
    uv_idle_start(&c->idle, on_idle);
    return true;
}

static bool answer(struct connection *c, const char *word, const char *otherwise)
{
    const struct fake_redis *fake = c->fake;
    for (int i = 0; i < fake->answer_count; i++)
        if (strcmp(word, fake->answers[i].word) == 0)
            return say(c, fake->answers[i].way, fake->answers[i].reply);
    return say(c, FAKE_WHOLE, otherwise);
}

static void note(struct fake_redis *fake, const redisReply *command)
{
    size_t used = strlen(fake->heard);
    for (size_t i = 0; i < command->elements; i++) {
        int n = snprintf(fake->heard + used, sizeof fake->heard - used, "%s%.40s",
                         i      ? " "
                         : used ? "; "
                                : "",
                         command->element[i]->str);
        assert_true(n >= 0 && (size_t)n < sizeof fake->heard - used);
        used += (size_t)n;
    }
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    static const char master[] = "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
    struct connection *c = stream->data;
    void *reply = NULL;
    if (count < 0) {
        hang_up(c);
        return;
    }
    assert_int_equal(redisReaderFeed(c->reader, buffer->base, (size_t)count), REDIS_OK);
    while (redisReaderGetReply(c->reader, &reply) == REDIS_OK && reply) {
        const redisReply *command = reply;
        bool open = true;
        note(c->fake, command);
        if (strcmp(command->element[0]->str, "ROLE") == 0)
            open = answer(c, "ROLE", master);
        else
            open = answer(c, command->element[0]->str, "+OK\r\n");
        freeReplyObject(reply);
        reply = NULL;
        if (!open)
            return;
    }
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct connection *c = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(c->in, sizeof c->in);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct fake_redis *fake = listener->data;
    struct connection *c = calloc(1, sizeof *c);
    assert_int_equal(status, 0);
    assert_non_null(c);
    c->fake = fake;
    c->next = fake->connections;
    fake->connections = c;
    fake->accepted++;
    c->reader = redisReaderCreate();
    if (fake->unix_socket)
        uv_pipe_init(fake->loop, &c->socket.pipe, 0);
    else
        uv_tcp_init(fake->loop, &c->socket.tcp);
    uv_idle_init(fake->loop, &c->idle);
    c->socket.handle.data = c->idle.data = c;
    uv_unref(&c->socket.handle);
    uv_unref((uv_handle_t *)&c->idle);
    assert_int_equal(uv_accept(listener, &c->socket.stream), 0);
    if (!fake->unix_socket)
        uv_tcp_nodelay(&c->socket.tcp, 1);
    uv_read_start(&c->socket.stream, give_room, on_read);
    answer(c, FAKE_ACCEPTING, "");
}

/* ---- the server
 * -------------------------------------------------------------------------------------------------
 */

struct fake_redis *fake_redis_new(uv_loop_t *loop, const char *path)
{
    struct fake_redis *fake = calloc(1, sizeof *fake);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_non_null(fake);
    fake->loop = loop;
    fake->unix_socket = path != NULL;
    if (path) {
        uv_pipe_init(loop, &fake->listener.pipe, 0);
        assert_int_equal(uv_pipe_bind(&fake->listener.pipe, path), 0);
    } else {
        uv_tcp_init(loop, &fake->listener.tcp);
        assert_int_equal(uv_tcp_bind(&fake->listener.tcp, (const struct sockaddr *)&address, 0), 0);
    }
    fake->listener.handle.data = fake;
    assert_int_equal(uv_listen(&fake->listener.stream, 64, on_connection), 0);
    uv_unref(&fake->listener.handle);
    return fake;
}

int fake_redis_port(const struct fake_redis *fake)
{
    struct sockaddr_in address;
    int size = sizeof address;
    assert_int_equal(uv_tcp_getsockname(&fake->listener.tcp, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin_port);
}

void fake_redis_answer(struct fake_redis *fake, const char *word, enum fake_way way, const char *reply)
{
    int i = 0;
    while (i < fake->answer_count && strcmp(fake->answers[i].word, word) != 0)
        i++;
    assert_true(i < ANSWERS_MAX);
    fake->answer_count += i == fake->answer_count;
    fake->answers[i].word = word;
    fake->answers[i].way = way;
    fake->answers[i].reply = reply;
}

void fake_redis_reset(struct fake_redis *fake)
{
    fake->answer_count = fake->accepted = 0;
    fake->heard[0] = '\0';
}

const char *fake_redis_heard(const struct fake_redis *fake)
{
    return fake->heard;
}

int fake_redis_accepted(const struct fake_redis *fake)
{
    return fake->accepted;
}

int fake_redis_open(const struct fake_redis *fake)
{
    int count = 0;
    for (const struct connection *c = fake->connections; c; c = c->next)
        count++;
    return count;
}

void fake_redis_say(struct fake_redis *fake, const char *text)
{
    for (struct connection *c = fake->connections, *next; c; c = next) {
        next = c->next;
        say(c, FAKE_WHOLE, text);
    }
}

void fake_redis_turn(struct fake_redis *fake)
{
    uv_ref(&fake->listener.handle);
    uv_run(fake->loop, UV_RUN_NOWAIT);
    uv_unref(&fake->listener.handle);
}

void fake_redis_hang_up(struct fake_redis *fake)
{
    while (fake->connections)
        hang_up(fake->connections);
}

static void on_gone(uv_handle_t *handle)
{
    free(handle->data);
}

void fake_redis_free(struct fake_redis *fake)
{
    fake_redis_hang_up(fake);
    uv_close(&fake->listener.handle, on_gone);
}
