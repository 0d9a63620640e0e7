#include "tail.h"

#include <string.h>

static void add_bytes(struct tail *tail, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (tail->length == TAIL_CAPACITY)
            tail->cut = tail->bytes[tail->start] != '\n';
        tail->bytes[(tail->start + tail->length) % TAIL_CAPACITY] = bytes[i];
        if (tail->length < TAIL_CAPACITY)
            tail->length++;
        else
            tail->start = (tail->start + 1) % TAIL_CAPACITY;
    }
}

void tail_add(struct tail *tail, const char *line)
{
    add_bytes(tail, line, strlen(line));
    add_bytes(tail, "\n", 1);
    if (line[strspn(line, " \t")])
        utf8_clean(line, tail->last_line, sizeof tail->last_line);
}

size_t tail_copy(const struct tail *tail, char out[TAIL_CAPACITY])
{
    for (size_t i = 0; i < tail->length; i++)
        out[i] = tail->bytes[(tail->start + i) % TAIL_CAPACITY];
    if (!tail->cut)
        return tail->length;
    const char *first = memchr(out, '\n', tail->length);
    size_t skipped = first && first + 1 < out + tail->length ? (size_t)(first + 1 - out) : 0;
    memmove(out, out + skipped, tail->length - skipped);
    return tail->length - skipped;
}

/* The length of the UTF-8 character at `c`, 0 if there is none (RFC 3629: no overlong forms, no surrogates). */
static size_t character(const unsigned char *c)
{
    if (c[0] < 0x80)
        return 1;
    size_t length = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
    if (c[0] < 0xc2 || c[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) || (c[0] == 0xf0 && c[1] < 0x90) ||
        (c[0] == 0xf4 && c[1] > 0x8f))
        return 0;
    return length;
}

void utf8_clean(const char *text, char *out, size_t capacity)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t n = 0;
    while (*c) {
        size_t length = character(c);
        if (n + (length ? length : 1) >= capacity)
            break;
        if (length == 2 && c[0] == 0xc2 && c[1] < 0xa0) {
            out[n++] = '?';
            c += 2;
        } else if (length == 0 || (length == 1 && *c < 0x20 && *c != '\t') || *c == 0x7f) {
            out[n++] = '?';
            c++;
        } else {
            memcpy(out + n, c, length);
            n += length;
            c += length;
        }
    }
    out[n] = '\0';
}
