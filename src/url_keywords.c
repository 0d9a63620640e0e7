#include "url_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LENGTH_MAX 64

static struct url_span without_space(const char *from, const char *to)
{
    while (from < to && isspace((unsigned char)*from))
        from++;
    while (from < to && isspace((unsigned char)to[-1]))
        to--;
    return (struct url_span){from, to};
}

/* A value in quotes; sets `end` behind it. */
static void read_quoted(struct url_keyword *pair, const char *from, const char *to, const char **end)
{
    const char *c = from + 1;
    while (c < to && (*c != *from || (c + 1 < to && c[1] == *from)))
        c += *c == *from ? 2 : 1;
    pair->quote = *from;
    pair->value = (struct url_span){from + 1, c < to ? c : to};
    *end = c < to ? c + 1 : to;
    while (*end < to && isspace((unsigned char)**end))
        ++*end;
    pair->broken = c >= to || (*end < to && **end != ';');
}

bool url_next_keyword(struct url_span *rest, struct url_keyword *pair)
{
    const char *from = rest->from, *to = rest->to;
    while (from && from < to && (*from == ';' || isspace((unsigned char)*from)))
        from++;
    if (!from || from == to)
        return false;
    const char *semicolon = memchr(from, ';', (size_t)(to - from)), *end = semicolon ? semicolon : to;
    const char *equals = memchr(from, '=', (size_t)(end - from));
    *pair = (struct url_keyword){.name = without_space(from, equals ? equals : end), .broken = !equals};
    if (!equals) {
        pair->value = pair->name;
    } else {
        const char *value = equals + 1;
        while (value < to && isspace((unsigned char)*value))
            value++;
        if (value < to && (*value == '"' || *value == '\''))
            read_quoted(pair, value, to, &end);
        else
            pair->value = without_space(equals + 1, end);
    }
    *rest = (struct url_span){end, to};
    return true;
}

size_t url_keyword_decode(const struct url_keyword *pair, char *out)
{
    size_t length = 0;
    for (const char *c = pair->value.from; c < pair->value.to; c++) {
        out[length++] = *c;
        if (pair->quote && *c == pair->quote)
            c++;
    }
    return length;
}

/* Npgsql's names for what libpq and the other dialects call differently. */
static const struct {
    const char *theirs, *ours;
} aliases[] = {
    {"server", "host"},
    {"db", "dbname"},
    {"database", "dbname"},
    {"username", "user"},
    {"userid", "user"},
    {"uid", "user"},
    {"psw", "password"},
    {"pwd", "password"},
    {"timeout", "connect_timeout"},
    {"root certificate", "sslrootcert"},
    {"ssl certificate", "sslcert"},
    {"target session attributes", "target_session_attrs"},
    {"kerberos service name", "krbsrvname"},
};

/* The name of the pair as the other dialects have it; `name` has room for it. "" if it is too long to be one. */
static const char *name_of(const struct url_keyword *pair, char name[NAME_LENGTH_MAX + 1])
{
    size_t length = (size_t)(pair->name.to - pair->name.from);
    if (length > NAME_LENGTH_MAX)
        return "";
    memcpy(name, pair->name.from, length);
    name[length] = '\0';
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (url_name_is(name, aliases[i].theirs))
            return aliases[i].ours;
    return name;
}

static bool span_is(struct url_span span, const char *text)
{
    return (size_t)(span.to - span.from) == strlen(text) && memcmp(span.from, text, strlen(text)) == 0;
}

/* Host is Npgsql's word, Server that of the others; but only Npgsql and MySQL have a Port beside it. A libpq conninfo
 * string looks like one pair, whose value has another =. */
bool url_is_keywords(struct url_span text)
{
    bool host = false, server = false, port = false, others = false;
    struct url_keyword pair;
    while (url_next_keyword(&text, &pair)) {
        char name[NAME_LENGTH_MAX + 1];
        const char *ours = name_of(&pair, name);
        bool is_host = strcmp(ours, name) == 0 && url_name_is(name, "host");
        if (memchr(pair.name.from, '/', (size_t)(pair.name.to - pair.name.from)))
            return false; /* a URL whose parameters have a ; */
        host = host || is_host;
        server = server || url_name_is(name, "server");
        if (strcmp(ours, "port") == 0 || url_name_is(name, "port")) {
            port = true;
            others = others || span_is(pair.value, "3306") || span_is(pair.value, "1433");
        }
        if (is_host && !pair.quote && memchr(pair.value.from, '=', (size_t)(pair.value.to - pair.value.from)))
            return false;
    }
    return !others && (host || (server && port));
}

static int take_pair(struct url_parser *p, const struct url_keyword *pair)
{
    char name[NAME_LENGTH_MAX + 1];
    if (pair->broken)
        return err_set(p->reader.err, ERR_USAGE,
                       "%s has an item that is not Key=value, or a quote that is not closed; a value with ; or quotes "
                       "must be in quotes, and those within doubled: Key=\"a;b\"\"c\"",
                       p->reader.what);
    const char *ours = url_keep(p, name_of(pair, name));
    char *value = p->reader.next;
    size_t length = url_keyword_decode(pair, value);
    value[length] = '\0';
    p->reader.next += length + 1;
    if (length == 0) /* not set */
        return 0;
    if (url_name_is(ours, "host")) /* the last one counts */
        p->hosts = (struct url_hosts){.count = 0};
    return url_take_parameter(p, ours, value, NULL);
}

int url_parse_keywords(struct url_parser *p, struct url_span text)
{
    struct url_keyword pair;
    while (url_next_keyword(&text, &pair))
        if (take_pair(p, &pair) != 0)
            return -1;
    return url_finish_hosts(p);
}
