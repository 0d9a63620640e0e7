#include "redis_link.h"

#include "later.h"
#include "redis_dial.h"
#include "redis_error.h"
#include "watch.h"

#include <errno.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLOSED "the server closed the connection"

enum link_state { LINK_CLOSED, LINK_DIALLING, LINK_IDLE, LINK_RUNNING };

/* What is sent ahead of the first command, in one flight with it. */
enum greeting { GREET_AUTH, GREET_SELECT, GREET_ROLE, GREETINGS };

struct redis_link {
    struct redis_link_config config;
    enum link_state state;
    struct redis_dial *dial;
    struct later *later; /* tells of a failure that was there at once */
    struct err failure;
    struct watch *watch;
    redisContext *redis;
    SSL *session;  /* owned by hiredis */
    bool deaf;     /* it takes nothing any more; what it has said is still to be read */
    bool answered; /* on this connection */
    enum greeting greeted[GREETINGS];
    int greetings, greeting; /* how many replies to greetings are still to come, and which is next */
    char *command;
    long long length;
    redis_done *done;
    bool *gone; /* set by a drop while a callback is on the stack */
};

bool redis_link_connected(const struct redis_link *link)
{
    return link->state == LINK_IDLE;
}

const char *redis_link_host(const struct redis_link *link)
{
    return redis_dial_host(link->dial);
}

const char *redis_link_where(const struct redis_link *link)
{
    return redis_dial_where(link->dial);
}

void redis_link_aim(struct redis_link *link, const char *host, int port)
{
    redis_dial_aim(link->dial, host, port);
}

static void disconnect(struct redis_link *link)
{
    redis_dial_cancel(link->dial);
    later_cancel(link->later);
    link->later = NULL;
    watch_free(link->watch);
    link->watch = NULL;
    redisFree(link->redis); /* with the descriptor and the session */
    link->redis = NULL;
    link->session = NULL;
    link->deaf = link->answered = false;
    link->greetings = link->greeting = 0;
    link->state = LINK_CLOSED;
}

static void forget_command(struct redis_link *link)
{
    redisFreeCommand(link->command);
    link->command = NULL;
    link->done = NULL;
}

void redis_link_drop(struct redis_link *link)
{
    if (link->gone)
        *link->gone = true;
    link->gone = NULL;
    if (link->state == LINK_RUNNING)
        redis_dial_heard(link->dial, false);
    disconnect(link);
    forget_command(link);
}

void redis_link_free(struct redis_link *link)
{
    if (!link)
        return;
    redis_link_drop(link);
    redis_dial_free(link->dial);
    free(link);
}

/* Ends the command. The link is in order before `done` is called, which may run the next one or free the link. */
static void finish(struct redis_link *link, redisReply *reply, const struct err *err)
{
    redis_done *done = link->done;
    forget_command(link);
    done(link->config.user, reply, err);
}

/* The connection is gone, or never came to be. */
static void broke(struct redis_link *link, const struct err *err)
{
    disconnect(link);
    if (link->done)
        finish(link, NULL, err);
    else
        link->config.closed(link->config.user, err);
}

static void on_broken_later(void *user)
{
    struct redis_link *link = user;
    struct err err = link->failure; /* what is called may free the link */
    link->later = NULL;
    broke(link, &err);
}

void redis_link_break(struct redis_link *link, const char *why)
{
    if (link->state == LINK_CLOSED)
        return;
    disconnect(link);
    err_set(&link->failure, ERR_UNAVAILABLE, "%s", why);
    link->later = later_call(link->config.loop, 0, on_broken_later, link);
}

/* What hiredis or TLS says about the end of the connection. */
static void describe_end(const struct redis_link *link, struct err *err)
{
    const redisContext *redis = link->redis;
    const char *where = redis_link_where(link);
    if (link->session && redis_tls_explain(link->session, where, err) != 0)
        return;
    if (redis->err == REDIS_ERR_PROTOCOL) {
        err_set(err, ERR_REFUSED, "%s does not speak the Redis protocol: %s", where, redis->errstr);
        return;
    }
    bool ended = redis->err == REDIS_ERR_EOF || errno == 0;
    bool wants_tls = !link->session && !link->answered && !link->config.url->socket;
    err_set(err, ERR_UNAVAILABLE, "connection to Redis at %s: %s%s", where, ended ? CLOSED : strerror(errno),
            wants_tls ? "; does that port speak TLS? Then the URL begins with rediss://" : "");
}

static void broke_with_its_error(struct redis_link *link)
{
    struct err err;
    describe_end(link, &err);
    broke(link, &err);
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

/* Without TLS libcrypto is left alone: the first word to it loads all its strings, a third of a whole fast path. */
static void forget_tls_errors(const struct redis_link *link)
{
    if (link->session)
        ERR_clear_error();
}

static int flush(struct redis_link *link)
{
    int all_sent = 0;
    forget_tls_errors(link);
    errno = 0;
    if (link->deaf)
        return 0;
    if (redisBufferWrite(link->redis, &all_sent) != REDIS_OK) {
        struct err unused;
        if (link->session && redis_tls_explain(link->session, "", &unused) != 0)
            return -1;
        link->deaf = true;
        link->redis->err = 0; /* with an error hiredis would not read any more, and so never see why */
        return watch_for(link->watch, UV_READABLE);
    }
    /* In a handshake a write may be waiting for the server's word: polling for room would spin until it comes. */
    bool waits_for_room = !all_sent && !(link->session && SSL_want_read(link->session));
    return watch_for(link->watch, waits_for_room ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

static int read_in(struct redis_link *link)
{
    forget_tls_errors(link);
    errno = 0;
    do {
        if (redisBufferRead(link->redis) != REDIS_OK)
            return -1;
    } while (link->session && SSL_pending(link->session) > 0);
    return 0;
}

static void take_greeting(struct redis_link *link, const redisReply *reply)
{
    struct err err;
    enum greeting greeting = link->greeted[link->greeting++];
    link->greetings--;
    if (reply->type == REDIS_REPLY_ERROR) {
        struct redis_error_context context = {link->config.url, link->config.name, redis_link_where(link)};
        if (link->config.peer == REDIS_PEER_SENTINEL)
            redis_error_of_sentinel(reply, context.where, &err);
        else
            redis_error_of_reply(reply, &context, &err);
        broke(link, &err);
    } else if (greeting == GREET_ROLE &&
               (reply->elements < 1 || !reply->element[0]->str || strcmp(reply->element[0]->str, "master") != 0)) {
        err_set(&err, ERR_UNAVAILABLE, "%s is no master (any more), although a sentinel named it",
                redis_link_where(link));
        broke(link, &err);
    }
}

static void take_reply(struct redis_link *link, redisReply *reply)
{
    link->answered = true;
    if (link->greetings > 0) {
        take_greeting(link, reply);
    } else if (link->done) {
        link->state = LINK_IDLE;
        redis_dial_heard(link->dial, true);
        finish(link, reply, NULL);
    } else {
        link->config.message(link->config.user, reply);
    }
}

/* Takes what has come. False if the connection is not there any more, or not the same. */
static bool take_replies(struct redis_link *link)
{
    const redisContext *redis = link->redis;
    bool gone = false;
    void *reply = NULL;
    while (redisGetReplyFromReader(link->redis, &reply) == REDIS_OK && reply) {
        link->gone = &gone;
        take_reply(link, reply);
        freeReplyObject(reply);
        reply = NULL;
        if (gone)
            return false;
        link->gone = NULL;
        if (link->redis != redis)
            return false;
    }
    return true;
}

static void on_socket(void *user, int events)
{
    struct redis_link *link = user;
    /* Read first: a server that does not want us says why and closes, and then a write fails. */
    const redisContext *redis = link->redis;
    int failed = (events & UV_READABLE) ? read_in(link) : 0;
    if (!take_replies(link))
        return;
    if (failed || redis->err || flush(link) != 0)
        broke_with_its_error(link);
}

static void greet(struct redis_link *link, enum greeting greeting, int count, const char *const words[])
{
    redisAppendCommandArgv(link->redis, count, (const char **)words, NULL);
    link->greeted[link->greetings++] = greeting;
}

static void greet_all(struct redis_link *link)
{
    const struct redis_url *url = link->config.url;
    bool sentinel = link->config.peer == REDIS_PEER_SENTINEL;
    const char *user = sentinel ? url->sentinel_user : url->user;
    const char *password = sentinel ? url->sentinel_password : url->password;
    char database[16];
    snprintf(database, sizeof database, "%d", url->database);
    if (password && user)
        greet(link, GREET_AUTH, 3, (const char *const[]){"AUTH", user, password});
    else if (password)
        greet(link, GREET_AUTH, 2, (const char *const[]){"AUTH", password});
    if (url->database && !sentinel)
        greet(link, GREET_SELECT, 2, (const char *const[]){"SELECT", database});
    if (link->config.peer == REDIS_PEER_MASTER)
        greet(link, GREET_ROLE, 1, (const char *const[]){"ROLE"});
}

static void send_command(struct redis_link *link)
{
    link->state = LINK_RUNNING;
    redisAppendFormattedCommand(link->redis, link->command, (size_t)link->length);
    if (flush(link) != 0) {
        describe_end(link, &link->failure);
        link->later = later_call(link->config.loop, 0, on_broken_later, link);
    }
}

/* ---- connecting ------------------------------------------------------------------------------------------------- */

static int start_tls(struct redis_link *link)
{
    if (!link->config.tls)
        return 0;
    link->session = redis_tls_session(link->config.tls, redis_dial_host(link->dial));
    if (!link->session)
        return -1;
    ERR_clear_error();
    if (redisInitiateSSL(link->redis, link->session) == REDIS_OK)
        return 0;
    /* The server was so quick that it was all over with the first words. */
    if (redis_tls_explain(link->session, redis_link_where(link), &link->failure) == 0)
        err_set(&link->failure, ERR_UNAVAILABLE, "connection to Redis at %s: " CLOSED, redis_link_where(link));
    SSL_free(link->session); /* the connection does not own it yet */
    link->session = NULL;
    return -1;
}

static void on_dialled(void *user, int fd, const struct err *err)
{
    struct redis_link *link = user;
    redisOptions options = {.type = REDIS_CONN_USERFD, .options = REDIS_OPT_NONBLOCK};
    if (err) {
        broke(link, err);
        return;
    }
    options.endpoint.fd = fd;
    link->redis = redisConnectWithOptions(&options);
    if (!link->redis)
        close(fd);
    else
        link->watch = watch_new(link->config.loop, fd, on_socket, link);
    err_set(&link->failure, ERR_SYSTEM, "out of memory");
    if (!link->watch || start_tls(link) != 0) {
        on_broken_later(link);
        return;
    }
    greet_all(link);
    send_command(link);
}

struct redis_link *redis_link_new(const struct redis_link_config *config)
{
    struct redis_link *link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    link->config = *config;
    link->dial = redis_dial_new(&(struct redis_dial_config){.loop = config->loop,
                                                            .url = config->url,
                                                            .user_timeout = config->user_timeout,
                                                            .done = on_dialled,
                                                            .user = link});
    if (link->dial)
        return link;
    free(link);
    return NULL;
}

void redis_link_run(struct redis_link *link, int count, const char *const words[], const size_t lengths[],
                    redis_done *done)
{
    later_cancel(link->later); /* of a break that nobody waits to hear of any more */
    link->later = NULL;
    link->length = redisFormatCommandArgv(&link->command, count, (const char **)words, lengths);
    link->done = done;
    if (link->length < 0) {
        err_set(&link->failure, ERR_SYSTEM, "out of memory");
        link->later = later_call(link->config.loop, 0, on_broken_later, link);
    } else if (link->state == LINK_IDLE) {
        send_command(link);
    } else {
        link->state = LINK_DIALLING;
        redis_dial_start(link->dial);
    }
}
