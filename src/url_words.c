/* What libpq takes as the value of a keyword: the words and numbers of libpq 17 (pqConnectOptions2 of its
 * fe-connect.c), however the drivers spell them. libpq looks only when it connects, which is tried again and again; so
 * we look first. */
#include "url_values.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WORDS_MAX    6

enum kind { WORD, WORD_OF_ANY_CASE, LIST, NUMBER, PORTS };

static const struct checked {
    const char *keyword;
    enum kind kind;
    const char *words[WORDS_MAX];
} checked[] = {
    {"port", PORTS, {NULL}},
    {"sslmode", WORD, {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}},
    {"sslnegotiation", WORD, {"postgres", "direct"}},
    {"sslcertmode", WORD, {"disable", "allow", "require"}},
    {"ssl_min_protocol_version", WORD_OF_ANY_CASE, {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}},
    {"ssl_max_protocol_version", WORD_OF_ANY_CASE, {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}},
    {"gssencmode", WORD, {"disable", "prefer", "require"}},
    {"channel_binding", WORD, {"disable", "prefer", "require"}},
    {"require_auth", LIST, {"password", "md5", "gss", "sspi", "scram-sha-256", "none"}},
    {"target_session_attrs", WORD, {"any", "read-write", "read-only", "primary", "standby", "prefer-standby"}},
    {"load_balance_hosts", WORD, {"disable", "random"}},
    {"connect_timeout", NUMBER, {NULL}},
    {"keepalives", NUMBER, {NULL}},
    {"keepalives_idle", NUMBER, {NULL}},
    {"keepalives_interval", NUMBER, {NULL}},
    {"keepalives_count", NUMBER, {NULL}},
    {"tcp_user_timeout", NUMBER, {NULL}},
};

/* What drivers say beside libpq's words. */
static const struct {
    const char *keyword, *theirs, *ours;
} aliases[] = {
    {"sslmode", "no-verify", "require"},
    {"sslmode", "required", "require"},
    {"sslmode", "verify-identity", "verify-full"},
    {"sslmode", "preferred", "prefer"},
    {"sslmode", "disabled", "disable"},
    {"gssencmode", "allow", "prefer"}, /* pgjdbc's default: encrypt only if the server insists */
    {"target_session_attrs", "prefer-primary", "any"},
    {"target_session_attrs", "master", "primary"},
    {"target_session_attrs", "secondary", "standby"},
    {"target_session_attrs", "slave", "standby"},
    {"target_session_attrs", "prefer-secondary", "prefer-standby"},
    {"target_session_attrs", "prefer-slave", "prefer-standby"},
};

static const struct checked *find(const char *keyword)
{
    for (size_t i = 0; i < COUNT(checked); i++)
        if (strcmp(checked[i].keyword, keyword) == 0)
            return &checked[i];
    return NULL;
}

const char *url_word(const char *keyword, const char *value)
{
    const struct checked *check = find(keyword);
    for (int i = 0; check && i < WORDS_MAX && check->words[i]; i++)
        if (url_name_is(value, check->words[i]))
            return check->words[i];
    for (size_t i = 0; i < COUNT(aliases); i++)
        if (strcmp(aliases[i].keyword, keyword) == 0 && url_name_is(value, aliases[i].theirs))
            return aliases[i].ours;
    return NULL;
}

/* As libpq reads a number: white space may stand around it. */
static bool is_number(const char *text, long min, long max)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    return end != text && end[strspn(end, " \t\n\r\f\v")] == '\0' && errno == 0 && number >= min && number <= max;
}

/* One for all hosts, or one for each; empty is the default. */
static bool are_ports(const char *value)
{
    struct url_span rest = {value, value + strlen(value)}, item;
    while (url_next(&rest, ',', &item)) {
        char port[8];
        snprintf(port, sizeof port, "%.*s", (int)(item.to - item.from), item.from);
        if (item.from < item.to && (item.to - item.from >= (long)sizeof port || !is_number(port, 1, 65535)))
            return false;
    }
    return true;
}

static int refuse(const struct checked *check, const char *name, const char *and_also, struct err *err)
{
    if (check->kind == PORTS)
        return err_set(err, ERR_USAGE, "%s must be a number from 1 to 65535", name);
    if (check->kind == NUMBER)
        return err_set(err, ERR_USAGE, "%s must be a whole number", name);
    char words[128] = "";
    for (int i = 0; i < WORDS_MAX && check->words[i]; i++)
        snprintf(words + strlen(words), sizeof words - strlen(words), "%s%s", i ? ", " : "", check->words[i]);
    return err_set(err, ERR_USAGE, "%s must be %s %s%s", name, check->kind == LIST ? "a list of" : "one of", words,
                   and_also);
}

int url_refuse_word(const struct url_parser *p, const char *name, const char *keyword, const char *and_also)
{
    char shown[160];
    snprintf(shown, sizeof shown, "%s: %s", p->reader.what, name);
    return refuse(find(keyword), shown, and_also, p->reader.err);
}

/* "ScramSHA256, !MD5" as libpq has it: "scram-sha-256,!md5". NULL if one of the words is none. */
static const char *list_of(struct url_parser *p, const struct checked *check, const char *value)
{
    char *list = p->reader.next, *end = list;
    struct url_span rest = {value, value + strlen(value)}, item;
    if (rest.to - rest.from > URL_LIST_CAPACITY / 2) /* no word is twice as long as a driver's */
        return NULL;
    while (url_next(&rest, ',', &item)) {
        char word[32];
        while (item.from < item.to && *item.from == ' ')
            item.from++;
        bool negated = item.from < item.to && *item.from == '!';
        snprintf(word, sizeof word, "%.*s", (int)(item.to - item.from - negated), item.from + negated);
        const char *ours = url_word(check->keyword, word);
        if (!ours)
            return NULL;
        end += sprintf(end, "%s%s%s", end > list ? "," : "", negated ? "!" : "", ours);
    }
    p->reader.next = end + 1;
    return list;
}

/* The value as libpq spells it, or NULL. */
static const char *spell(struct url_parser *p, const struct checked *check, const char *value)
{
    switch (check->kind) {
    case WORD:
    case WORD_OF_ANY_CASE:
        return url_word(check->keyword, value);
    case LIST:
        return list_of(p, check, value);
    case NUMBER:
        return is_number(value, INT_MIN, INT_MAX) ? value : NULL;
    case PORTS:
        return are_ports(value) ? value : NULL;
    }
    return NULL;
}

int url_add_checked(struct url_parser *p, const char *keyword, const char *value)
{
    const struct checked *check = find(keyword);
    if (check && *value) { /* an empty one is the default */
        value = spell(p, check, value);
        if (!value)
            return url_refuse_word(p, keyword, keyword, "");
    }
    keyword = url_known_keyword(keyword);
    return keyword ? url_add(p, keyword, value) : 0; /* else a newer libpq's */
}

/* libpq reads its variables itself, and knows its own words only. */
static bool is_libpqs(struct url_parser *p, const struct checked *check, const char *value)
{
    const char *ours = spell(p, check, value);
    if (!ours)
        return false;
    return check->kind == WORD_OF_ANY_CASE ? strcasecmp(ours, value) == 0 : strcmp(ours, value) == 0;
}

int url_check_variables(struct url_parser *p)
{
    for (size_t i = 0; i < COUNT(checked); i++) {
        const char *name = url_variable(checked[i].keyword), *value = url_or_default(p->url, checked[i].keyword);
        if (name && value && *value && !url_get(p->url, checked[i].keyword) && !is_libpqs(p, &checked[i], value))
            return refuse(&checked[i], name, "", p->reader.err);
    }
    return 0;
}
