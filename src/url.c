#include "url.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A parse in progress: values are written one after the other into url->storage, none is longer than in the text. */
struct parser {
    struct url *url;
    const char *what;
    char *next;
    bool has_null; /* %00, which would cut a value short */
    struct err *err;
};

bool url_has_scheme(const char *text, const char *scheme)
{
    size_t length = strlen(scheme);
    return strncasecmp(text, scheme, length) == 0 && strncmp(text + length, "://", 3) == 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t url_decode(const char *from, const char *to, char *out)
{
    size_t length = 0;
    while (from < to) {
        int high = from[0] == '%' && to - from > 2 ? hex_digit(from[1]) : -1;
        int low = high >= 0 ? hex_digit(from[2]) : -1;
        if (low >= 0) {
            out[length++] = (char)(high << 4 | low);
            from += 3;
        } else {
            out[length++] = *from++;
        }
    }
    return length;
}

/* Decodes [from, to) into storage. */
static char *decode(struct parser *p, const char *from, const char *to)
{
    char *value = p->next;
    size_t length = url_decode(from, to, value);
    p->has_null = p->has_null || memchr(value, '\0', length);
    value[length] = '\0';
    p->next += length + 1;
    return value;
}

static int add(struct parser *p, const char *keyword, const char *value)
{
    struct url *url = p->url;
    for (int i = 0; i < url->count; i++) {
        if (strcmp(url->keywords[i], keyword) == 0) {
            url->values[i] = value; /* the last one counts, as in libpq */
            return 0;
        }
    }
    if (url->count == URL_OPTIONS_MAX)
        return err_set(p->err, ERR_USAGE, "%s has too many parameters", p->what);
    url->keywords[url->count] = keyword;
    url->values[url->count++] = value;
    return 0;
}

/* An empty one is right too: it stands for the default. */
static bool is_port(const char *from, const char *to)
{
    long port = 0;
    for (const char *c = from; c < to; c++) {
        if (*c < '0' || *c > '9' || to - from > 5)
            return false;
        port = 10 * port + (*c - '0');
    }
    return from == to || (port >= 1 && port <= 65535);
}

/* The parts of one host[:port] or [ipv6][:port]. */
struct host {
    const char *from, *to, *port; /* port up to the end of the item; empty if there is none */
};

static int split_host(const struct parser *p, const char *from, const char *to, struct host *host)
{
    *host = (struct host){.from = from, .to = to, .port = to};
    const char *colon = memchr(from, ':', (size_t)(to - from));
    if (from < to && *from == '[') {
        const char *bracket = memchr(from, ']', (size_t)(to - from));
        if (!bracket)
            return err_set(p->err, ERR_USAGE, "%s has an IPv6 address without its closing bracket", p->what);
        if (bracket + 1 < to && bracket[1] != ':')
            return err_set(p->err, ERR_USAGE, "%s has something behind the bracket of an IPv6 address", p->what);
        colon = bracket + 1 < to ? bracket + 1 : NULL;
        *host = (struct host){.from = from + 1, .to = bracket, .port = to};
    } else if (colon) {
        host->to = colon;
    }
    if (colon)
        host->port = colon + 1;
    if (!is_port(host->port, to))
        return err_set(
            p->err, ERR_USAGE,
            "%s has a port that is not a number from 1 to 65535; in a password / ? # @ : %% must be written as "
            "%%2F %%3F %%23 %%40 %%3A %%25",
            p->what);
    return 0;
}

static int add_list(struct parser *p, const char *keyword, const char *list)
{
    char *value = strcpy(p->next, list);
    p->next += strlen(list) + 1;
    return add(p, keyword, value);
}

/* Hosts separated by commas, to libpq's parallel lists "host" and "port". */
static int parse_hosts(struct parser *p, const char *from, const char *to)
{
    char hosts[1024] = "", ports[1024] = "";
    bool any_port = false, first = true;
    if ((size_t)(to - from) >= sizeof hosts)
        return err_set(p->err, ERR_USAGE, "%s has too long a list of hosts", p->what);
    while (from <= to) {
        const char *end = memchr(from, ',', (size_t)(to - from));
        end = end ? end : to;
        struct host host;
        if (split_host(p, from, end, &host) != 0)
            return -1;
        size_t used = strlen(hosts), used_ports = strlen(ports);
        snprintf(hosts + used, sizeof hosts - used, "%s%s", first ? "" : ",", decode(p, host.from, host.to));
        snprintf(ports + used_ports, sizeof ports - used_ports, "%s%.*s", first ? "" : ",", (int)(end - host.port),
                 host.port);
        any_port = any_port || host.port < end;
        from = end + 1;
        first = false;
    }
    return (hosts[0] && add_list(p, "host", hosts) != 0) || (any_port && add_list(p, "port", ports) != 0) ? -1 : 0;
}

static int parse_authority(struct parser *p, const char *from, const char *to)
{
    const char *at = NULL; /* the last one: an @ in the password is common, in a host impossible */
    for (const char *c = from; c < to; c++)
        if (*c == '@')
            at = c;
    if (at) {
        const char *colon = memchr(from, ':', (size_t)(at - from));
        const char *user_end = colon ? colon : at;
        if (user_end > from && add(p, "user", decode(p, from, user_end)) != 0)
            return -1;
        if (colon && colon + 1 < at && add(p, "password", decode(p, colon + 1, at)) != 0)
            return -1;
        from = at + 1;
    }
    return parse_hosts(p, from, to);
}

/* The option of the linked libpq that `name` is; NULL if there is none. */
static const PQconninfoOption *known_option(const char *name)
{
    static PQconninfoOption *known; /* built once; it is needed as long as the process lives */
    if (!known)
        known = PQconndefaults();
    for (const PQconninfoOption *option = known; option && option->keyword; option++)
        if (strcmp(option->keyword, name) == 0)
            return option;
    return NULL;
}

static int parse_parameters(struct parser *p, const char *parameters)
{
    const char *from = parameters;
    while (*from) {
        const char *end = from + strcspn(from, "&");
        const char *equals = memchr(from, '=', (size_t)(end - from));
        if (end > from) {
            const char *name = decode(p, from, equals ? equals : end);
            const PQconninfoOption *option = known_option(name);
            if (!equals)
                return err_set(p->err, ERR_USAGE, "%s has a parameter without a value", p->what);
            if (!option && strchr(from, '@')) /* perhaps a raw ? in the password: say nothing of it */
                return err_set(p->err, ERR_USAGE,
                               "%s has an unknown parameter; in a password ? must be written as %%3F", p->what);
            if (!option)
                return strstr(parameters, "password=") /* then this may be a part of it */
                           ? err_set(p->err, ERR_USAGE, "%s has an unknown parameter; in a password & must be %%26",
                                     p->what)
                           : err_set(p->err, ERR_USAGE,
                                     "%s has the unknown parameter \"%.64s\"; known are libpq's, such as sslmode",
                                     p->what, name);
            if (add(p, option->keyword, decode(p, equals + 1, end)) != 0)
                return -1;
        }
        from = *end ? end + 1 : end;
    }
    return 0;
}

static int parse(struct parser *p, const char *text)
{
    const char *authority = strstr(text, "://") + 3;
    const char *authority_end = authority + strcspn(authority, "/?");
    const char *query = strchr(authority_end, '?');
    const char *path_end = query ? query : authority_end + strlen(authority_end);
    if (memchr(authority_end, '@', (size_t)(path_end - authority_end)))
        return err_set(p->err, ERR_USAGE,
                       "%s has an @ behind its first / or ?; in a password those must be written as "
                       "%%2F and %%3F",
                       p->what);
    if (parse_authority(p, authority, authority_end) != 0)
        return -1;
    if (*authority_end == '/' && authority_end + 1 < path_end &&
        add(p, "dbname", decode(p, authority_end + 1, path_end)) != 0)
        return -1;
    return query ? parse_parameters(p, query + 1) : 0;
}

int url_parse(struct url *url, const char *text, const char *what, struct err *err)
{
    *url = (struct url){.count = 0};
    if (!url_has_scheme(text, "postgres") && !url_has_scheme(text, "postgresql"))
        return err_set(err, ERR_USAGE, "%s is not a postgres:// URL", what);
    url->storage = malloc(4 * strlen(text) + 64); /* hosts are decoded and then joined: each byte at most twice */
    if (!url->storage)
        return err_set(err, ERR_SYSTEM, "out of memory");
    struct parser parser = {.url = url, .what = what, .next = url->storage, .err = err};
    int result = parse(&parser, text);
    if (result == 0 && parser.has_null)
        result = err_set(err, ERR_USAGE, "%s contains %%00, which no value can hold", what);
    if (result != 0)
        url_free(url);
    return result;
}

const char *url_get(const struct url *url, const char *keyword)
{
    for (int i = 0; i < url->count; i++)
        if (strcmp(url->keywords[i], keyword) == 0)
            return url->values[i];
    return NULL;
}

const char *url_or_default(const struct url *url, const char *keyword)
{
    const char *value = url_get(url, keyword);
    const PQconninfoOption *option = value ? NULL : known_option(keyword);
    return value ? value : option ? option->val : NULL;
}

void url_show(const struct url *url, char *shown, size_t capacity)
{
    const char *user = url_get(url, "user"), *host = url_get(url, "host"), *port = url_get(url, "port");
    const char *database = url_get(url, "dbname");
    snprintf(shown, capacity, "postgres://%s%s%s%s%s/%s", user ? user : "", user ? "@" : "", host ? host : "",
             port ? ":" : "", port ? port : "", database ? database : "");
}

void url_free(struct url *url)
{
    free(url->storage);
    *url = (struct url){.count = 0};
}
