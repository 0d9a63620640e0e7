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

/* password=value, PGPASSWORD=value, "password": "value" and their like. */
static bool find_named_password(const char *text, const char **from, const char **to)
{
    for (const char *c = strcasestr(text, "password"); c; c = strcasestr(c + 1, "password")) {
        const char *value = c + strlen("password");
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

/* The password where url.c finds it: in the URL's authority, whatever characters it has. */
static bool find_learned_password(const char *text, const char **from, const char **to)
{
    const char *authority = strstr(text, "://"), *at = NULL;
    if (!authority)
        return false;
    authority += 3;
    const char *end = authority + strcspn(authority, "/?");
    for (const char *c = authority; c < end; c++)
        if (*c == '@')
            at = c;
    const char *colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
    if (!colon || colon + 1 == at)
        return false;
    *from = colon + 1;
    *to = at;
    return true;
}

void mask_learn(struct mask *mask, const char *url)
{
    const char *from, *to;
    bool (*const finders[])(const char *, const char **, const char **) = {find_learned_password, find_url_password,
                                                                           find_named_password};
    for (size_t i = 0; i < sizeof finders / sizeof finders[0]; i++) {
        if (!finders[i](url, &from, &to))
            continue;
        size_t length = (size_t)(to - from);
        char *decoded = malloc(length + 1), *open = malloc(strlen(url) + 1);
        if (decoded && open) {
            size_t decoded_length = url_decode(from, to, decoded);
            decoded[decoded_length] = '\0';
            snprintf(open, strlen(url) + 1, "%.*s%s", (int)(from - url), url, to);
            if (!strstr(open, decoded)) {
                remember(mask, from, length);
                if (decoded_length != length)
                    remember(mask, decoded, decoded_length);
            }
        }
        free(decoded);
        free(open);
    }
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
