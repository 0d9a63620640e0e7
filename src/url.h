/* Connection URLs: what those of all places share, and those of Postgres in the dialects of the apps' languages. We
 * take them apart ourselves: libpq takes a URL whose scheme it does not know as the name of a database and connects to
 * the local socket, it refuses the parameters of every other driver, and its messages quote pieces of the URL, perhaps
 * of the password (measured; see the URL table of the research notes). */
#ifndef LOCKSTEP_URL_H
#define LOCKSTEP_URL_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define URL_OPTIONS_MAX      40
#define URL_DROPPED_CAPACITY 256

/* The libpq keywords of a connection; arrays as PQconnectStartParams takes them, ended by a NULL keyword. */
struct url {
    const char *keywords[URL_OPTIONS_MAX + 1];
    const char *values[URL_OPTIONS_MAX + 1];
    int count;
    char *storage; /* owns every value */

    /* What the dialect says beside the keywords. NULL = the URL does not say. */
    const char *schema;           /* the first one of the search path, as the server calls it (unquoted, folded): from
                                   * schema, search_path, currentSchema, ...; NULL too if that is "$user" */
    bool schema_is_alone;         /* it is the only one of the search path */
    const char *migrations_table; /* golang-migrate's x-migrations-table */
    bool migrations_table_quoted; /* ... which is written as SQL: "schema"."table" (x-migrations-table-quoted) */
    bool pooled;                  /* it looks like a pooler's: pgbouncer=true, Neon's and Supabase's names */
    bool certificate_is_alone;    /* sslcert without a key: if there is no key elsewhere, it is the authority's */

    /* `options` has settings that parameters asked for, which some poolers refuse; `plain_options` is the value without
     * them, "" if the user gave no options. */
    bool has_settings;
    const char *plain_options;

    char dropped[URL_DROPPED_CAPACITY]; /* names of parameters that mean nothing to libpq, "a, b"; "" = none */
};

/* Whether `text` begins with `scheme` and "://", in any case. */
bool url_has_scheme(const char *text, const char *scheme);

/* Whether `text` is for url_parse: a URL of any Postgres dialect (postgres://, postgresql+psycopg2://, ecto://,
 * jdbc:postgresql:, ...), or the keyword form of .NET (Host=...;Username=...). */
bool url_is_postgres(const char *text);

/* Writes [from, to) with its percent-encoded bytes decoded to `out`, which has room for to - from bytes, and returns
 * their number; there is no terminator. A lone % is taken literally: it can only be meant so. */
size_t url_decode(const char *from, const char *to, char *out);

/* The piece [from, to) of a text; `from` is NULL where the text has no such piece. */
struct url_span {
    const char *from, *to;
};

/* `text` without white space around it and then without one pair of quotes: env files keep both. */
struct url_span url_trim(const char *text);

/* Whether `name` is `known` but for case, hyphens, underscores and spaces: ssl-mode, SSL Mode and sslmode are one. */
bool url_name_is(const char *name, const char *known);

/* scheme://user:password@hosts/path?query. The path begins with its slash, the query behind its question mark; these
 * and the hosts are empty where the URL has none. */
struct url_parts {
    struct url_span user, password, hosts, path, query;
};

/* Finds the parts of the first URL in `text`, which has a "://". The last @ before the first / or ? is the one that
 * separates: an @ in a password is common, in a host impossible. */
void url_split(struct url_parts *parts, const char *text);

/* Takes the next item before a `separator` off `rest`. Returns false if there is none; an empty piece has one. */
bool url_next(struct url_span *rest, char separator, struct url_span *item);

struct url_parameter {
    struct url_span name, value; /* no value: it has no = */
};

/* Takes the next parameter that is not empty off `query`. Returns false if there is none. */
bool url_next_parameter(struct url_span *query, struct url_parameter *parameter);

/* The keyword form of .NET: Key=value;Key="quoted; ""value"";... */
struct url_keyword {
    struct url_span name, value; /* the value as it stands between its quotes */
    char quote;                  /* the quote around the value, which is doubled in it; '\0' = none */
    bool broken;                 /* no =, or no closing quote; the value is all that is left then */
};

/* Takes the next pair that is not empty off `rest`. Returns false if there is none. */
bool url_next_keyword(struct url_span *rest, struct url_keyword *pair);

/* Writes the value without the doubling of its quote to `out`, which has room for it; returns its length. */
size_t url_keyword_decode(const struct url_keyword *pair, char *out);

/* A URL being read. Those who read it decode its values one after the other into memory of their own. */
struct url_reader {
    const char *what; /* what the user called the URL, for messages */
    struct url_parts parts;
    char *next;    /* where the next decoded value goes */
    bool has_null; /* a value had %00, which would cut it short */
    struct err *err;
};

/* One host[:port] or [ipv6][:port]. */
struct url_host {
    struct url_span name; /* without brackets */
    int port;             /* 0 = none */
};

/* Decodes `span` to where the reader's next value goes, with a terminator. */
char *url_value(struct url_reader *reader, struct url_span span);

/* Each returns -1 with ERR_USAGE in reader->err, which never says a part of a password: an @ behind the hosts, which is
 * a raw / in a password; an item that is no host; a parameter that has no value or, with the decoded `name`, is not
 * `known`. `known_ones` are, for the message. */
int url_check_at(const struct url_reader *reader);
int url_read_host(const struct url_reader *reader, struct url_span item, struct url_host *host);
int url_check_parameter(const struct url_reader *reader, const struct url_parameter *parameter, const char *name,
                        bool known, const char *known_ones);

/* Takes `text`, of which url_is_postgres is true, apart; of any other text the error says which ones are known. `what`
 * is what the user called it, for messages. On success the caller frees `url` with url_free. Returns -1 with ERR_USAGE;
 * the message never contains a part of the password. Parameters that nobody knows are dropped, not refused: drivers add
 * new ones; but what could be a piece of a password that was not encoded is refused. */
int url_parse(struct url *url, const char *text, const char *what, struct err *err);

/* The value of `keyword`, or NULL. Owned by `url`. */
const char *url_get(const struct url *url, const char *keyword);

/* The same, or where `url` has none the default that libpq takes from the environment. */
const char *url_or_default(const struct url *url, const char *keyword);

/* Sets `keyword` to `value`; both must live as long as `url`. Nothing happens if there are URL_OPTIONS_MAX others. */
void url_set(struct url *url, const char *keyword, const char *value);

/* Takes the file of sslcert for that of sslrootcert. */
void url_certificate_is_root(struct url *url);

/* Writes postgres://user@host:port/database, without the password and the parameters, to `shown`; host and database as
 * the environment has them where `url` has none. */
void url_show(const struct url *url, char *shown, size_t capacity);

/* Writes `value` to `out` so that it may stand anywhere in a URL. */
void url_encode(FILE *out, const char *value);

/* Sets what `url` leaves to libpq's defaults, which not every driver has: who, where, which database. */
void url_complete(struct url *url);

/* Writes `url` as every driver reads it, postgres://user:password@host:port/database, with what of TLS and the options
 * were said. NULL without memory; the caller frees it. */
char *url_write(const struct url *url);

void url_free(struct url *url);

#endif
