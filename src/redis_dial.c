#include "redis_dial.h"

#include "later.h"
#include "resolve.h"
#include "watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define ADDRESSES_MAX 8
#define KEEPALIVE_S   5

struct redis_dial {
    struct redis_dial_config config;
    char host[256];
    int port;
    char where[300];
    bool aimed;
    int host_index, hosts_left; /* of the URL's: the one we are at, and how many are still to be tried */
    char addresses[ADDRESSES_MAX][INET6_ADDRSTRLEN];
    int address_count, address_index;
    unsigned silences; /* starts that came to nothing since a server was heard: begin with another address */
    struct resolve *resolve;
    struct later *later; /* tells of a failure that was there at once */
    struct err failure;
    struct watch *watch;
    int fd;
};

static void dial_next(struct redis_dial *dial);

struct redis_dial *redis_dial_new(const struct redis_dial_config *config)
{
    struct redis_dial *dial = calloc(1, sizeof *dial);
    if (!dial)
        return NULL;
    dial->config = *config;
    dial->fd = -1;
    return dial;
}

void redis_dial_aim(struct redis_dial *dial, const char *host, int port)
{
    dial->aimed = host != NULL;
    if (host)
        snprintf(dial->host, sizeof dial->host, "%s", host);
    dial->port = port;
}

void redis_dial_heard(struct redis_dial *dial, bool heard)
{
    dial->silences = heard ? 0 : dial->silences + 1;
}

const char *redis_dial_host(const struct redis_dial *dial)
{
    return dial->host;
}

const char *redis_dial_where(const struct redis_dial *dial)
{
    return dial->where;
}

static void unwatch(struct redis_dial *dial)
{
    watch_free(dial->watch);
    dial->watch = NULL;
}

static void hang_up(struct redis_dial *dial)
{
    unwatch(dial);
    if (dial->fd >= 0)
        close(dial->fd);
    dial->fd = -1;
}

void redis_dial_cancel(struct redis_dial *dial)
{
    dial->silences += dial->fd >= 0;
    resolve_cancel(dial->resolve);
    dial->resolve = NULL;
    later_cancel(dial->later);
    dial->later = NULL;
    hang_up(dial);
}

void redis_dial_free(struct redis_dial *dial)
{
    if (!dial)
        return;
    redis_dial_cancel(dial);
    free(dial);
}

static void on_failed(void *user)
{
    struct redis_dial *dial = user;
    struct err err = dial->failure; /* what is called may free the dial */
    dial->later = NULL;
    dial->config.done(dial->config.user, -1, &err);
}

static void fail(struct redis_dial *dial)
{
    dial->later = later_call(dial->config.loop, 0, on_failed, dial);
}

/* The present address does not answer: on to the next, of this host or of the URL's next. */
static void address_failed(struct redis_dial *dial, const char *reason)
{
    err_set(&dial->failure, ERR_UNAVAILABLE, "could not connect to Redis at %s: %s", dial->where, reason);
    hang_up(dial);
    dial->address_index++;
    dial_next(dial);
}

static void on_answer(void *user, int events)
{
    struct redis_dial *dial = user;
    int error = 0, fd = dial->fd;
    socklen_t size = sizeof error;
    (void)events;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        address_failed(dial, strerror(error));
        return;
    }
    unwatch(dial);
    dial->fd = -1;
    dial->config.done(dial->config.user, fd, NULL);
}

static void set_socket_options(const struct redis_dial *dial)
{
    int on = 1, seconds = KEEPALIVE_S;
    unsigned timeout = (unsigned)dial->config.user_timeout;
    setsockopt(dial->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(dial->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(dial->fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(dial->fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
    setsockopt(dial->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
}

static void dial_address(struct redis_dial *dial, const struct sockaddr *address, socklen_t size)
{
    dial->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd >= 0 && address->sa_family != AF_UNIX)
        set_socket_options(dial);
    bool under_way = dial->fd >= 0 && (connect(dial->fd, address, size) == 0 || errno == EINPROGRESS);
    int error = errno;
    if (under_way)
        dial->watch = watch_new(dial->config.loop, dial->fd, on_answer, dial);
    if (!dial->watch || watch_for(dial->watch, UV_WRITABLE) != 0)
        address_failed(dial, strerror(error));
}

static void dial_text(struct redis_dial *dial, const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)dial->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)dial->port)};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        dial_address(dial, (struct sockaddr *)&v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        dial_address(dial, (struct sockaddr *)&v6, sizeof v6);
    else
        address_failed(dial, "no address");
}

static void dial_socket(struct redis_dial *dial, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (dial->address_index > 0) {
        fail(dial);
    } else if (strlen(path) >= sizeof address.sun_path) {
        address_failed(dial, "the path is too long");
    } else {
        strcpy(address.sun_path, path);
        dial_address(dial, (struct sockaddr *)&address, sizeof address);
    }
}

static void add_address(struct redis_dial *dial, const char *address)
{
    char *to = dial->addresses[dial->address_count++];
    size_t length = strnlen(address, INET6_ADDRSTRLEN - 1);
    memcpy(to, address, length);
    to[length] = '\0';
}

static void on_resolved(void *user, const char *const addresses[], int count, const struct err *err)
{
    struct redis_dial *dial = user;
    dial->resolve = NULL;
    if (err)
        dial->failure = *err;
    for (int i = 0; i < count && i < ADDRESSES_MAX; i++)
        add_address(dial, addresses[((unsigned)i + dial->silences) % (unsigned)count]);
    dial_next(dial);
}

/* Goes to the host that is due, whose addresses are not known yet. */
static void find_host(struct redis_dial *dial)
{
    if (!dial->aimed) {
        const struct redis_host *host = &dial->config.url->hosts[dial->host_index];
        snprintf(dial->host, sizeof dial->host, "%s", host->name);
        dial->port = host->port;
    }
    snprintf(dial->where, sizeof dial->where, strchr(dial->host, ':') ? "[%s]:%d" : "%s:%d", dial->host, dial->port);
    dial->address_index = dial->address_count = 0;
    if (resolve_needed(dial->host)) {
        dial->resolve = resolve_start(dial->config.loop, dial->host, on_resolved, dial);
        return;
    }
    add_address(dial, dial->host);
    dial_next(dial);
}

static bool uses_socket(const struct redis_dial *dial)
{
    return dial->config.url->socket && !dial->aimed;
}

static void dial_next(struct redis_dial *dial)
{
    if (uses_socket(dial)) {
        dial_socket(dial, dial->config.url->socket);
    } else if (dial->address_index < dial->address_count) {
        dial_text(dial, dial->addresses[dial->address_index]);
    } else if (!dial->aimed && --dial->hosts_left > 0) {
        dial->host_index = (dial->host_index + 1) % dial->config.url->host_count;
        find_host(dial);
    } else {
        fail(dial);
    }
}

void redis_dial_start(struct redis_dial *dial)
{
    const struct redis_url *url = dial->config.url;
    dial->address_index = 0;
    if (uses_socket(dial)) {
        snprintf(dial->where, sizeof dial->where, "%s", url->socket);
        dial_next(dial);
        return;
    }
    dial->hosts_left = url->host_count;
    dial->host_index = dial->aimed ? 0 : (int)(dial->silences % (unsigned)url->host_count);
    find_host(dial);
}
