#include "url.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

bool url_has_scheme(const char *text, const char *scheme)
{
    size_t length = strlen(scheme);
    return strncasecmp(text, scheme, length) == 0 && strncmp(text + length, "://", 3) == 0;
}

struct url_span url_trim(const char *text)
{
    struct url_span span = {text, text + strlen(text)};
    for (bool quoted = false;; quoted = true) {
        while (span.from < span.to && isspace((unsigned char)*span.from))
            span.from++;
        while (span.from < span.to && isspace((unsigned char)span.to[-1]))
            span.to--;
        if (quoted || span.to - span.from < 2 || (*span.from != '"' && *span.from != '\'') || span.to[-1] != *span.from)
            return span;
        span.from++;
        span.to--;
    }
}

/* The next character of a parameter's name that counts, in lower case; moves `name` behind it. */
static int next_of_name(const char **name)
{
    *name += strspn(*name, "-_ ");
    return **name ? tolower((unsigned char)*(*name)++) : '\0';
}

bool url_name_is(const char *name, const char *known)
{
    int c;
    while ((c = next_of_name(&name)) == next_of_name(&known))
        if (c == '\0')
            return true;
    return false;
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
