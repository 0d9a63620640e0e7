#include "mask.h"

#include "url.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Where the password of a URL in `text` is: behind "://" and the first colon, up to the last @ before white space or a
 * quote. A raw / in the password is wrong but common, so it does not end the search; the last @ decides. */
static bool find_url_password(const char *text, const char **from, const char **to)
{
    const char *start = strstr(text, "://");
    for (; start; start = strstr(start + 3, "://")) {
        const char *user = start + 3, *colon = NULL, *at = NULL;
        for (const char *c = user; *c && !isspace((unsigned char)*c) && *c != '"' && *c != '\'' && *c != '<'; c++) {
            if (strncmp(c, "://", 3) == 0)
                break;
            if (*c == ':' && !colon)
                colon = c;
            if (*c == '@')
                at = c;
        }
        if (colon && at && colon < at) {
            *from = colon + 1;
            *to = at;
            return true;
        }
    }
    return false;
}

/* How the names of secrets end. The key is Prisma Accelerate's. */
static const char *const names[] = {"password", "api_key"};

/* Where the first of the names in `text` ends, or NULL. */
static const char *find_name(const char *text)
{
    const char *first = NULL, *end = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *found = strcasestr(text, names[i]);
        if (found && (!first || found < first)) {
            first = found;
            end = found + strlen(names[i]);
        }
    }
    return end;
}

/* password=value, PGPASSWORD=value, "password": "value" and their like. */
static bool find_named_password(const char *text, const char **from, const char **to)
{
    for (const char *c = find_name(text); c; c = find_name(c)) {
        const char *value = c;
        while (*value == '"' || *value == '\'' || *value == ' ')
            value++;
        if (*value != '=')
            continue;
        value++;
        while (*value == ' ')
            value++;
        char quote = *value == '\'' || *value == '"' ? *value++ : '\0';
        const char *end = value;
        while (*end && (quote ? *end != quote : !isspace((unsigned char)*end) && *end != '&' && *end != ';'))
            end += quote && *end == '\\' && end[1] ? 2 : 1;
        if (end > value) {
            *from = value;
            *to = end;
            return true;
        }
    }
    return false;
}

static void remember(struct mask *mask, const char *secret, size_t length)
{
    for (int i = 0; i < mask->count; i++)
        if (strlen(mask->secrets[i]) == length && memcmp(mask->secrets[i], secret, length) == 0)
            return;
    if (length < MASK_SECRET_MIN || mask->count == MASK_SECRETS_MAX)
        return;
    char *copy = strndup(secret, length);
    if (copy)
        mask->secrets[mask->count++] = copy;
}

/* Whether the parameter is a password by its decoded name, as sentinel_password is, and Npgsql's Pwd. */
static bool is_password(struct url_span name)
{
    char decoded[64];
    size_t length = (size_t)(name.to - name.from);
    if (length > sizeof decoded)
        return false;
    length = url_decode(name.from, name.to, decoded);
    if (length == 3 && (strncasecmp(decoded, "pwd", 3) == 0 || strncasecmp(decoded, "psw", 3) == 0))
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t wanted = strlen(names[i]);
        if (length >= wanted && strncasecmp(decoded + length - wanted, names[i], wanted) == 0)
            return true;
    }
    return false;
}

/* The passwords of one text. */
struct found {
    struct url_keyword passwords[MASK_SECRETS_MAX]; /* quote '\0': percent-encoded, perhaps */
    int count;
};

static void add_quoted(struct found *found, const struct url_keyword *password)
{
    if (password->value.from < password->value.to && found->count < MASK_SECRETS_MAX)
        found->passwords[found->count++] = *password;
}

static void add(struct found *found, const char *from, const char *to)
{
    add_quoted(found, &(struct url_keyword){.value = {from, to}});
}

/* First where those who read the URL find them, whatever characters they have; then where they seem to be. */
static void find_passwords(const char *text, struct found *found)
{
    const char *from, *to;
    if (strstr(text, "://")) {
        struct url_parts parts;
        struct url_parameter parameter;
        url_split(&parts, text);
        add(found, parts.password.from, parts.password.to);
        while (url_next_parameter(&parts.query, &parameter))
            if (is_password(parameter.name))
                add(found, parameter.value.from, parameter.value.to);
    } else {
        struct url_span rest = {text, text + strlen(text)};
        for (struct url_keyword pair; url_next_keyword(&rest, &pair);)
            if (is_password(pair.name))
                add_quoted(found, &pair);
    }
    for (const char *c = text; find_url_password(c, &from, &to); c = to)
        add(found, from, to);
    for (const char *c = text; find_named_password(c, &from, &to); c = to)
        add(found, from, to);
}

static size_t decode(const struct url_keyword *password, char *out)
{
    return password->quote ? url_keyword_decode(password, out)
                           : url_decode(password->value.from, password->value.to, out);
}

/* Java has spaces for + in a parameter. */
static void remember_with_spaces(struct mask *mask, char *password, size_t length)
{
    if (!memchr(password, '+', length))
        return;
    for (size_t i = 0; i < length; i++)
        password[i] = password[i] == '+' ? ' ' : password[i];
    remember(mask, password, length);
}

static void learn(struct mask *mask, const char *url)
{
    struct found found = {.count = 0};
    find_passwords(url, &found);
    char *open = strdup(url), *decoded = malloc(strlen(url) + 1);
    for (int i = 0; open && i < found.count; i++) { /* one password may stand in two places, which does not open it */
        const struct url_span *value = &found.passwords[i].value;
        memset(open + (value->from - url), '\n', (size_t)(value->to - value->from));
    }
    for (int i = 0; open && decoded && i < found.count; i++) {
        const struct url_span *value = &found.passwords[i].value;
        size_t length = (size_t)(value->to - value->from), decoded_length = decode(&found.passwords[i], decoded);
        decoded[decoded_length] = '\0';
        if (strstr(open, decoded))
            continue;
        remember(mask, value->from, length);
        if (decoded_length != length)
            remember(mask, decoded, decoded_length);
        remember_with_spaces(mask, decoded, decoded_length);
    }
    free(open);
    free(decoded);
}

void mask_learn(struct mask *mask, const char *url)
{
    struct url_span trimmed = url_trim(url);
    char *plain = strndup(trimmed.from, (size_t)(trimmed.to - trimmed.from));
    learn(mask, url);
    if (plain && strcmp(plain, url) != 0)
        learn(mask, plain);
    free(plain);
}

void mask_learn_password(struct mask *mask, const char *password)
{
    remember(mask, password, strlen(password));
}

static const char *known_secret_at(const struct mask *mask, const char *text)
{
    const char *longest = NULL;
    for (int i = 0; i < mask->count; i++)
        if (strncmp(text, mask->secrets[i], strlen(mask->secrets[i])) == 0 &&
            (!longest || strlen(mask->secrets[i]) > strlen(longest)))
            longest = mask->secrets[i];
    return longest;
}

void mask_text(const struct mask *mask, const char *text, char *out, size_t capacity)
{
    const char *url_from = NULL, *url_to = NULL, *named_from = NULL, *named_to = NULL;
    size_t n = 0;
    for (const char *c = text; *c && n + 4 < capacity;) {
        if (c >= url_to && !find_url_password(c, &url_from, &url_to))
            url_from = url_to = c + strlen(c);
        if (c >= named_to && !find_named_password(c, &named_from, &named_to))
            named_from = named_to = c + strlen(c);
        const char *secret = known_secret_at(mask, c);
        const char *skip_to = secret ? c + strlen(secret) : NULL;
        if (skip_to ? url_from < skip_to && url_to > skip_to : c == url_from)
            skip_to = url_to;
        if (skip_to ? named_from < skip_to && named_to > skip_to : c == named_from)
            skip_to = named_to;
        if (skip_to && *c) {
            memcpy(out + n, "***", 3);
            n += 3;
            c = skip_to;
        } else {
            out[n++] = *c++;
        }
    }
    out[n] = '\0';
}

void mask_free(struct mask *mask)
{
    for (int i = 0; i < mask->count; i++)
        free(mask->secrets[i]);
    mask->count = 0;
}
