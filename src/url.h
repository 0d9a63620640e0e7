/* Postgres connection URLs, taken apart by ourselves: libpq takes a URL whose scheme it does not know as the name of a
 * database and connects to the local socket, and its messages quote pieces of the URL, perhaps of the password
 * (measured; see the URL table of the research notes). */
#ifndef LOCKSTEP_URL_H
#define LOCKSTEP_URL_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define URL_OPTIONS_MAX 40

/* The libpq keywords of a connection; arrays as PQconnectStartParams takes them, ended by a NULL keyword. */
struct url {
    const char *keywords[URL_OPTIONS_MAX + 1];
    const char *values[URL_OPTIONS_MAX + 1];
    int count;
    char *storage; /* owns every value */
};

/* Whether `text` begins with `scheme` and "://", in any case. */
bool url_has_scheme(const char *text, const char *scheme);

/* Writes [from, to) with its percent-encoded bytes decoded to `out`, which has room for to - from bytes, and returns
 * their number; there is no terminator. A lone % is taken literally: it can only be meant so. */
size_t url_decode(const char *from, const char *to, char *out);

/* Takes `text` (postgres:// or postgresql://) apart. `what` is what the user called it, for messages. On success the
 * caller frees `url` with url_free. Returns -1 with ERR_USAGE; the message never contains a part of the password. */
int url_parse(struct url *url, const char *text, const char *what, struct err *err);

/* The value of `keyword`, or NULL. Owned by `url`. */
const char *url_get(const struct url *url, const char *keyword);

/* The same, or where `url` has none the default that libpq takes from the environment. */
const char *url_or_default(const struct url *url, const char *keyword);

/* Writes postgres://user@host:port/database, without the password and the parameters, to `shown`. */
void url_show(const struct url *url, char *shown, size_t capacity);

void url_free(struct url *url);

#endif
