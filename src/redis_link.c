#include "redis_link.h"

#include "later.h"
#include "redis_error.h"
#include "resolve.h"
#include "watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <hiredis/hiredis_ssl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define ADDRESSES_MAX 8
#define KEEPALIVE_S   5

enum link_state { LINK_CLOSED, LINK_RESOLVING, LINK_CONNECTING, LINK_IDLE, LINK_RUNNING };

/* What is sent ahead of the first command, in one flight with it. */
enum greeting { GREET_AUTH, GREET_SELECT, GREET_ROLE, GREETINGS };

struct redis_link {
    struct redis_link_config config;
    enum link_state state;
    char host[256]; /* where we are connected or connecting to */
    int port;
    char where[300];
    bool aimed;
    int host_index, hosts_left; /* of the URL's: the one we are at, and how many are still to be tried */
    char addresses[ADDRESSES_MAX][INET6_ADDRSTRLEN];
    int address_count, address_index;
    unsigned silences; /* connects that were given up since the last that succeeded: begin with another address */
    struct resolve *resolve;
    struct later *later; /* tells of a failure that was there at once */
    struct err failure;
    struct watch *watch;
    int fd; /* ours until hiredis has it */
    redisContext *redis;
    SSL *session; /* owned by hiredis once the handshake has begun */
    enum greeting greeted[GREETINGS];
    int greetings, greeting; /* how many replies to greetings are still to come, and which is next */
    char *command;
    long long length;
    redis_done *done;
    bool *gone; /* set by a drop while a callback is on the stack */
};

static void connect_next(struct redis_link *link);

struct redis_link *redis_link_new(const struct redis_link_config *config)
{
    struct redis_link *link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    link->config = *config;
    link->fd = -1;
    return link;
}

bool redis_link_connected(const struct redis_link *link)
{
    return link->state == LINK_IDLE;
}

const char *redis_link_where(const struct redis_link *link)
{
    return link->where;
}

void redis_link_aim(struct redis_link *link, const char *host, int port)
{
    link->aimed = host != NULL;
    if (host)
        snprintf(link->host, sizeof link->host, "%s", host);
    link->port = port;
}

static void disconnect(struct redis_link *link)
{
    resolve_cancel(link->resolve);
    link->resolve = NULL;
    later_cancel(link->later);
    link->later = NULL;
    watch_free(link->watch);
    link->watch = NULL;
    if (link->redis)
        redisFree(link->redis); /* with the descriptor and the session */
    else if (link->fd >= 0)
        close(link->fd);
    link->redis = NULL;
    link->session = NULL;
    link->fd = -1;
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
    link->silences += link->state == LINK_CONNECTING;
    disconnect(link);
    forget_command(link);
}

void redis_link_free(struct redis_link *link)
{
    if (!link)
        return;
    redis_link_drop(link);
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
static void broke_with_its_error(struct redis_link *link)
{
    struct err err;
    const redisContext *redis = link->redis;
    if (link->session && redis_tls_explain(link->session, link->where, &err) != 0) {
        broke(link, &err);
        return;
    }
    const char *reason = redis->err == REDIS_ERR_EOF  ? "the server closed the connection"
                         : redis->err == REDIS_ERR_IO ? strerror(errno)
                                                      : redis->errstr;
    if (redis->err == REDIS_ERR_PROTOCOL)
        err_set(&err, ERR_REFUSED, "%s does not speak the Redis protocol: %s", link->where, reason);
    else
        err_set(&err, ERR_UNAVAILABLE, "connection to Redis at %s: %s", link->where, reason);
    broke(link, &err);
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

static int flush(struct redis_link *link)
{
    int all_sent = 0;
    ERR_clear_error();
    errno = 0;
    if (redisBufferWrite(link->redis, &all_sent) != REDIS_OK)
        return -1;
    /* In a handshake a write may be waiting for the server's word: polling for room would spin until it comes. */
    bool waits_for_room = !all_sent && !(link->session && SSL_want_read(link->session));
    return watch_for(link->watch, waits_for_room ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

static int read_in(struct redis_link *link)
{
    ERR_clear_error();
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
        redis_error_of_reply(reply, &(struct redis_error_context){link->config.url, link->config.name, link->where},
                             &err);
        broke(link, &err);
    } else if (greeting == GREET_ROLE &&
               (reply->elements < 1 || !reply->element[0]->str || strcmp(reply->element[0]->str, "master") != 0)) {
        err_set(&err, ERR_UNAVAILABLE, "%s is no master (any more), although a sentinel named it", link->where);
        broke(link, &err);
    }
}

static void take_reply(struct redis_link *link, redisReply *reply)
{
    if (link->greetings > 0) {
        take_greeting(link, reply);
    } else if (link->done) {
        link->state = LINK_IDLE;
        link->silences = 0;
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
        if (gone || link->redis != redis)
            return false;
    }
    link->gone = NULL;
    return true;
}

static void on_socket(void *user, int events)
{
    struct redis_link *link = user;
    /* Read first: a server that does not want us says why and closes, and then a write fails. */
    int failed = (events & UV_READABLE) ? read_in(link) : 0;
    if (!take_replies(link))
        return;
    if (failed || link->redis->err || flush(link) != 0)
        broke_with_its_error(link);
}

static void greet(struct redis_link *link, enum greeting greeting, int count, const char *const words[])
{
    redisAppendCommandArgv(link->redis, count, (const char **)(uintptr_t)words, NULL);
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
    if (flush(link) != 0) /* the next read tells why, after what the server may have said before it closed */
        watch_for(link->watch, UV_READABLE | UV_WRITABLE);
}

/* ---- connecting ------------------------------------------------------------------------------------------------- */

/* The present address does not answer: on to the next, of this host or of the URL's next. */
static void connect_failed(struct redis_link *link, const char *reason)
{
    err_set(&link->failure, ERR_UNAVAILABLE, "could not connect to Redis at %s: %s", link->where, reason);
    watch_free(link->watch);
    link->watch = NULL;
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
    link->address_index++;
    connect_next(link);
}

static int start_tls(struct redis_link *link)
{
    if (!link->config.tls)
        return 0;
    link->session = redis_tls_session(link->config.tls, link->host);
    if (link->session && redisInitiateSSL(link->redis, link->session) == REDIS_OK)
        return 0;
    SSL_free(link->session); /* the connection does not own it yet */
    link->session = NULL;
    err_set(&link->failure, ERR_REFUSED, "TLS with %s cannot even begin", link->where);
    return -1;
}

static void on_connected(struct redis_link *link)
{
    redisOptions options = {.type = REDIS_CONN_USERFD, .options = REDIS_OPT_NONBLOCK};
    options.endpoint.fd = link->fd;
    watch_free(link->watch);
    link->watch = watch_new(link->config.loop, link->fd, on_socket, link);
    link->redis = redisConnectWithOptions(&options);
    err_set(&link->failure, ERR_SYSTEM, "out of memory");
    if (!link->redis || !link->watch || start_tls(link) != 0) {
        on_broken_later(link);
        return;
    }
    link->fd = -1;
    greet_all(link);
    send_command(link);
}

static void on_connecting(void *user, int events)
{
    struct redis_link *link = user;
    int error = 0;
    socklen_t size = sizeof error;
    (void)events;
    getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        connect_failed(link, strerror(error));
    else
        on_connected(link);
}

static void set_socket_options(const struct redis_link *link)
{
    int on = 1, seconds = KEEPALIVE_S;
    unsigned timeout = (unsigned)link->config.user_timeout;
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(link->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(link->fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(link->fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
    setsockopt(link->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
}

static void connect_to(struct redis_link *link, const struct sockaddr *address, socklen_t size)
{
    link->state = LINK_CONNECTING;
    link->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd >= 0 && address->sa_family != AF_UNIX)
        set_socket_options(link);
    bool under_way = link->fd >= 0 && (connect(link->fd, address, size) == 0 || errno == EINPROGRESS);
    int error = errno;
    if (under_way)
        link->watch = watch_new(link->config.loop, link->fd, on_connecting, link);
    if (!link->watch || watch_for(link->watch, UV_WRITABLE) != 0)
        connect_failed(link, strerror(error));
}

static void connect_to_socket(struct redis_link *link)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(link->where, sizeof link->where, "%s", link->config.url->socket);
    if (link->address_index > 0 || strlen(link->config.url->socket) >= sizeof address.sun_path) {
        link->later = later_call(link->config.loop, 0, on_broken_later, link);
        return;
    }
    strcpy(address.sun_path, link->config.url->socket);
    connect_to(link, (struct sockaddr *)&address, sizeof address);
}

static void connect_to_address(struct redis_link *link, const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)link->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)link->port)};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        connect_to(link, (struct sockaddr *)&v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        connect_to(link, (struct sockaddr *)&v6, sizeof v6);
    else
        connect_failed(link, "no address");
}

static void add_address(struct redis_link *link, const char *address)
{
    char *to = link->addresses[link->address_count++];
    size_t length = strnlen(address, INET6_ADDRSTRLEN - 1);
    memcpy(to, address, length);
    to[length] = '\0';
}

static void on_resolved(void *user, const char *const addresses[], int count, const struct err *err)
{
    struct redis_link *link = user;
    link->resolve = NULL;
    if (err)
        link->failure = *err;
    for (int i = 0; i < count && i < ADDRESSES_MAX; i++)
        add_address(link, addresses[((unsigned)i + link->silences) % (unsigned)count]);
    connect_next(link);
}

/* Goes to the host that is due, whose addresses are not known yet. */
static void find_host(struct redis_link *link)
{
    if (!link->aimed) {
        const struct redis_host *host = &link->config.url->hosts[link->host_index];
        snprintf(link->host, sizeof link->host, "%s", host->name);
        link->port = host->port;
    }
    snprintf(link->where, sizeof link->where, strchr(link->host, ':') ? "[%s]:%d" : "%s:%d", link->host, link->port);
    link->address_index = 0;
    link->address_count = 0;
    if (!resolve_needed(link->host)) {
        add_address(link, link->host);
        connect_next(link);
        return;
    }
    link->state = LINK_RESOLVING;
    link->resolve = resolve_start(link->config.loop, link->host, on_resolved, link);
}

static void connect_next(struct redis_link *link)
{
    if (link->config.url->socket && !link->aimed) {
        connect_to_socket(link);
    } else if (link->address_index < link->address_count) {
        connect_to_address(link, link->addresses[link->address_index]);
    } else if (!link->aimed && --link->hosts_left > 0) {
        link->host_index = (link->host_index + 1) % link->config.url->host_count;
        find_host(link);
    } else {
        link->later = later_call(link->config.loop, 0, on_broken_later, link);
    }
}

static void begin_connect(struct redis_link *link)
{
    const struct redis_url *url = link->config.url;
    link->address_index = link->address_count = 0;
    if (url->socket && !link->aimed) {
        connect_next(link);
        return;
    }
    link->hosts_left = url->host_count;
    link->host_index = link->aimed ? 0 : (int)(link->silences % (unsigned)url->host_count);
    find_host(link);
}

void redis_link_run(struct redis_link *link, int count, const char *const words[], const size_t lengths[],
                    redis_done *done)
{
    later_cancel(link->later); /* of a break that nobody waits to hear of any more */
    link->later = NULL;
    link->length = redisFormatCommandArgv(&link->command, count, (const char **)(uintptr_t)words, lengths);
    link->done = done;
    if (link->length < 0) {
        err_set(&link->failure, ERR_SYSTEM, "out of memory");
        link->later = later_call(link->config.loop, 0, on_broken_later, link);
    } else if (link->state == LINK_IDLE) {
        send_command(link);
    } else {
        begin_connect(link);
    }
}
