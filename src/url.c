#include "url.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A parse in progress: values are written one after the other into url->storage, none is longer than in the text. */
struct parser {
    struct url_reader reader;
    struct url *url;
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

void url_split(struct url_parts *parts, const char *text)
{
    const char *authority = strstr(text, "://") + 3, *at = NULL;
    const char *path = authority + strcspn(authority, "/?"), *end = path + strlen(path);
    const char *mark = memchr(path, '?', (size_t)(end - path));
    *parts = (struct url_parts){
        .hosts = {authority, path},
        .path = {path, mark ? mark : end},
        .query = {mark ? mark + 1 : end, end},
    };
    for (const char *c = authority; c < path; c++)
        if (*c == '@')
            at = c;
    if (!at)
        return;
    const char *colon = memchr(authority, ':', (size_t)(at - authority));
    parts->hosts.from = at + 1;
    parts->user = (struct url_span){authority, colon ? colon : at};
    if (colon)
        parts->password = (struct url_span){colon + 1, at};
}

bool url_next(struct url_span *rest, char separator, struct url_span *item)
{
    if (!rest->from)
        return false;
    const char *end = memchr(rest->from, separator, (size_t)(rest->to - rest->from));
    *item = (struct url_span){rest->from, end ? end : rest->to};
    rest->from = end ? end + 1 : NULL;
    return true;
}

bool url_next_parameter(struct url_span *query, struct url_parameter *parameter)
{
    struct url_span pair;
    while (url_next(query, '&', &pair)) {
        if (pair.from == pair.to)
            continue;
        const char *equals = memchr(pair.from, '=', (size_t)(pair.to - pair.from));
        *parameter = (struct url_parameter){.name = {pair.from, equals ? equals : pair.to}};
        if (equals)
            parameter->value = (struct url_span){equals + 1, pair.to};
        return true;
    }
    return false;
}

char *url_value(struct url_reader *reader, struct url_span span)
{
    char *value = reader->next;
    size_t length = url_decode(span.from, span.to, value);
    reader->has_null = reader->has_null || memchr(value, '\0', length);
    value[length] = '\0';
    reader->next += length + 1;
    return value;
}

int url_check_at(const struct url_reader *reader)
{
    const struct url_span *path = &reader->parts.path;
    if (!memchr(path->from, '@', (size_t)(path->to - path->from)))
        return 0;
    return err_set(reader->err, ERR_USAGE,
                   "%s has an @ behind its first / or ?; in a password those must be written as %%2F and %%3F",
                   reader->what);
}

/* A port may be empty: that stands for the default, 0. */
static bool read_port(const char *from, const char *to, int *port)
{
    *port = 0;
    for (const char *c = from; c < to; c++) {
        if (*c < '0' || *c > '9' || to - from > 5)
            return false;
        *port = 10 * *port + (*c - '0');
    }
    return from == to || (*port >= 1 && *port <= 65535);
}

int url_read_host(const struct url_reader *reader, struct url_span item, struct url_host *host)
{
    const char *colon = memchr(item.from, ':', (size_t)(item.to - item.from));
    *host = (struct url_host){.name = {item.from, colon ? colon : item.to}};
    if (item.from < item.to && *item.from == '[') {
        const char *bracket = memchr(item.from, ']', (size_t)(item.to - item.from));
        if (!bracket)
            return err_set(reader->err, ERR_USAGE, "%s has an IPv6 address without its closing bracket", reader->what);
        if (bracket + 1 < item.to && bracket[1] != ':')
            return err_set(reader->err, ERR_USAGE, "%s has something behind the bracket of an IPv6 address",
                           reader->what);
        colon = bracket + 1 < item.to ? bracket + 1 : NULL;
        host->name = (struct url_span){item.from + 1, bracket};
    }
    if (!read_port(colon ? colon + 1 : item.to, item.to, &host->port))
        return err_set(reader->err, ERR_USAGE,
                       "%s has a port that is not a number from 1 to 65535; in a password / ? # @ : %% must be written "
                       "as %%2F %%3F %%23 %%40 %%3A %%25",
                       reader->what);
    return 0;
}

int url_check_parameter(const struct url_reader *reader, const struct url_parameter *parameter, const char *name,
                        bool known, const char *known_ones)
{
    const char *what = reader->what;
    if (!parameter->value.from)
        return err_set(reader->err, ERR_USAGE, "%s has a parameter without a value", what);
    if (known)
        return 0;
    if (strchr(parameter->name.from, '@')) /* perhaps a raw ? in the password: say nothing of it */
        return err_set(reader->err, ERR_USAGE, "%s has an unknown parameter; in a password ? must be written as %%3F",
                       what);
    if (strstr(reader->parts.query.from, "password=")) /* then this may be a part of it */
        return err_set(reader->err, ERR_USAGE, "%s has an unknown parameter; in a password & must be %%26", what);
    return err_set(reader->err, ERR_USAGE, "%s has the unknown parameter \"%.64s\"; known are %s", what, name,
                   known_ones);
}

/* The last one counts, as in libpq. Returns false if there is no room. */
static bool set(struct url *url, const char *keyword, const char *value)
{
    for (int i = 0; i < url->count; i++) {
        if (strcmp(url->keywords[i], keyword) == 0) {
            url->values[i] = value;
            return true;
        }
    }
    if (url->count == URL_OPTIONS_MAX)
        return false;
    url->keywords[url->count] = keyword;
    url->values[url->count++] = value;
    return true;
}

static int add(struct parser *p, const char *keyword, const char *value)
{
    return set(p->url, keyword, value)
               ? 0
               : err_set(p->reader.err, ERR_USAGE, "%s has too many parameters", p->reader.what);
}

static int add_list(struct parser *p, const char *keyword, const char *list)
{
    char *value = strcpy(p->reader.next, list);
    p->reader.next += strlen(list) + 1;
    return add(p, keyword, value);
}

/* Hosts separated by commas, to libpq's parallel lists "host" and "port". */
static int parse_hosts(struct parser *p)
{
    char hosts[1024] = "", ports[1024] = "";
    struct url_span rest = p->reader.parts.hosts, item;
    bool any_port = false;
    if ((size_t)(rest.to - rest.from) >= sizeof hosts)
        return err_set(p->reader.err, ERR_USAGE, "%s has too long a list of hosts", p->reader.what);
    for (bool first = true; url_next(&rest, ',', &item); first = false) {
        struct url_host host;
        if (url_read_host(&p->reader, item, &host) != 0)
            return -1;
        char port[8] = "";
        if (host.port)
            snprintf(port, sizeof port, "%d", host.port);
        size_t used = strlen(hosts), used_ports = strlen(ports);
        snprintf(hosts + used, sizeof hosts - used, "%s%s", first ? "" : ",", url_value(&p->reader, host.name));
        snprintf(ports + used_ports, sizeof ports - used_ports, "%s%s", first ? "" : ",", port);
        any_port = any_port || host.port;
    }
    return (hosts[0] && add_list(p, "host", hosts) != 0) || (any_port && add_list(p, "port", ports) != 0) ? -1 : 0;
}

/* The value of an empty piece is the default, so there is none to add. */
static int add_piece(struct parser *p, const char *keyword, struct url_span piece)
{
    return piece.from < piece.to ? add(p, keyword, url_value(&p->reader, piece)) : 0;
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

static int parse_parameters(struct parser *p)
{
    struct url_span rest = p->reader.parts.query;
    struct url_parameter parameter;
    while (url_next_parameter(&rest, &parameter)) {
        const char *name = url_value(&p->reader, parameter.name);
        const PQconninfoOption *option = known_option(name);
        if (url_check_parameter(&p->reader, &parameter, name, option, "libpq's, such as sslmode") != 0 ||
            add(p, option->keyword, url_value(&p->reader, parameter.value)) != 0)
            return -1;
    }
    return 0;
}

static int parse(struct parser *p, const char *text)
{
    struct url_parts *parts = &p->reader.parts;
    url_split(parts, text);
    struct url_span database = parts->path;
    database.from += database.from < database.to; /* its slash */
    bool done = url_check_at(&p->reader) == 0 && add_piece(p, "user", parts->user) == 0 &&
                add_piece(p, "password", parts->password) == 0 && parse_hosts(p) == 0 &&
                add_piece(p, "dbname", database) == 0 && parse_parameters(p) == 0;
    return done ? 0 : -1;
}

int url_parse(struct url *url, const char *text, const char *what, struct err *err)
{
    *url = (struct url){.count = 0};
    if (!url_has_scheme(text, "postgres") && !url_has_scheme(text, "postgresql"))
        return err_set(err, ERR_USAGE, "%s is not a postgres:// URL", what);
    url->storage = malloc(4 * strlen(text) + 64); /* hosts are decoded and then joined: each byte at most twice */
    if (!url->storage)
        return err_set(err, ERR_SYSTEM, "out of memory");
    struct parser parser = {.reader = {.what = what, .next = url->storage, .err = err}, .url = url};
    int result = parse(&parser, text);
    if (result == 0 && parser.reader.has_null)
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

void url_set(struct url *url, const char *keyword, const char *value)
{
    set(url, keyword, value);
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
