/* The URLs of Redis: what redis-cli and redis-py take, and one form for Sentinel. */
#ifndef LOCKSTEP_REDIS_URL_H
#define LOCKSTEP_REDIS_URL_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define REDIS_HOSTS_MAX     16
#define REDIS_PORT          6379
#define REDIS_SENTINEL_PORT 26379

struct redis_host {
    const char *name; /* a name, or an IPv4 or IPv6 address without brackets */
    int port;
};

struct redis_url {
    bool tls, insecure; /* insecure: the certificate is not verified */
    const char *socket; /* path of a Unix socket; NULL = TCP */
    struct redis_host hosts[REDIS_HOSTS_MAX];
    int host_count;            /* of the servers; with `master` of the sentinels; 0 with `socket` */
    const char *master;        /* the name by which the sentinels know the master; NULL = no Sentinel */
    const char *user;          /* NULL = none; never without a password */
    const char *password;      /* NULL = none */
    const char *sentinel_user; /* as the two above, for the sentinels */
    const char *sentinel_password;
    const char *cacert, *cert, *key; /* files; NULL = none; `cert` and `key` are both there or neither */
    int database;
    char *storage; /* owns every string */
};

/* Whether `text` begins with one of our schemes, in any case: redis, rediss, redis+unix, unix, redis+sentinel,
 * rediss+sentinel. */
bool redis_url_is(const char *text);

/* Takes `text` apart. `what` is what the user called it, for messages. On success the caller frees `url` with
 * redis_url_free. Returns -1 with ERR_USAGE; the message never contains a part of a password. */
int redis_url_parse(struct redis_url *url, const char *text, const char *what, struct err *err);

/* Writes redis://user@host:port/database, redis+sentinel://host:port,.../MASTER/database or unix:/path, without the
 * passwords and the parameters, to `shown`. It is cut at `capacity` bytes with its terminator. */
void redis_url_show(const struct redis_url *url, char *shown, size_t capacity);

void redis_url_free(struct redis_url *url);

#endif
