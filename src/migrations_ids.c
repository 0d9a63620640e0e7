/* How ids are written, and which of two comes first. */
#include "migrations.h"

#include <string.h>

#define DIGITS "0123456789"

static bool is_number(const char *id)
{
    return *id && !id[strspn(id, DIGITS)];
}

static void write_number(const char *raw, char *id)
{
    char *out = id;
    bool has_digits = false;
    for (const char *c = raw; *c; c++) {
        if (*c < '0' || *c > '9')
            continue;
        has_digits = true;
        if (*c != '0' || out > id)
            *out++ = *c;
    }
    if (out == id)
        out = stpcpy(id, has_digits ? "0" : raw);
    *out = '\0';
}

static bool is_version(const char *id)
{
    return *id >= '0' && *id <= '9' && !id[strspn(id, DIGITS "._")];
}

static void write_version(const char *raw, char *id)
{
    char *out = id;
    char *significant = id; /* behind the last part that is not 0 */
    while (*raw) {
        raw += strspn(raw, "._");
        size_t length = strspn(raw, DIGITS);
        size_t zeros = strspn(raw, "0");
        if (length == 0)
            break;
        if (out > id)
            *out++ = '.';
        if (zeros == length)
            zeros--;
        out = mempcpy(out, raw + zeros, length - zeros);
        if (raw[zeros] != '0' || significant == id)
            significant = out;
        raw += length;
    }
    *significant = '\0';
}

void migrations_id(enum tool_ids ids, const char *raw, char *id)
{
    if (ids == TOOL_NUMBER)
        write_number(raw, id);
    else if (ids == TOOL_VERSION && is_version(raw))
        write_version(raw, id);
    else
        strcpy(id, raw);
}

static int sign(int number)
{
    return (number > 0) - (number < 0);
}

/* Of two without leading zeros the longer number is the larger. */
static int compare_numbers(const char *a, size_t a_length, const char *b, size_t b_length)
{
    if (a_length != b_length)
        return a_length < b_length ? -1 : 1;
    return sign(memcmp(a, b, a_length));
}

static int compare_versions(const char *a, const char *b)
{
    while (*a && *b) {
        size_t a_length = strspn(a, DIGITS);
        size_t b_length = strspn(b, DIGITS);
        int order = compare_numbers(a, a_length, b, b_length);
        if (order)
            return order;
        a += a_length + (a[a_length] == '.');
        b += b_length + (b[b_length] == '.');
    }
    return (*a != '\0') - (*b != '\0');
}

/* Whether the id has a place among numbers or versions; what has not comes behind those that have. */
static bool is_ranked(enum tool_ids ids, const char *id)
{
    return ids == TOOL_VERSION ? is_version(id) : is_number(id);
}

int migrations_compare(enum tool_ids ids, const char *a, const char *b)
{
    if (ids == TOOL_TEXT)
        return sign(strcmp(a, b));
    bool a_ranked = is_ranked(ids, a);
    bool b_ranked = is_ranked(ids, b);
    if (a_ranked != b_ranked)
        return a_ranked ? -1 : 1;
    if (!a_ranked)
        return sign(strcmp(a, b));
    if (ids == TOOL_VERSION)
        return compare_versions(a, b);
    if (ids == TOOL_PLAIN) { /* as it was written */
        a += strspn(a, "0");
        b += strspn(b, "0");
    }
    return compare_numbers(a, strlen(a), b, strlen(b));
}

bool migrations_covers(enum tool_ids ids, const char *limit, const char *id)
{
    return (ids == TOOL_TEXT || ids == TOOL_PLAIN || is_ranked(ids, id)) && migrations_compare(ids, id, limit) <= 0;
}
