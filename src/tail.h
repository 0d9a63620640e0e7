/* The end of a run's output: the last 64 KiB for the record, the last line for those who wait. */
#ifndef LOCKSTEP_TAIL_H
#define LOCKSTEP_TAIL_H

#include "record.h"

struct tail {
    char bytes[TAIL_CAPACITY]; /* a ring */
    size_t start, length;
    bool cut;                      /* the first kept line is not whole */
    char last_line[LINE_CAPACITY]; /* valid UTF-8 */
};

/* Appends `line` and a line feed; empty lines do not become the last line. */
void tail_add(struct tail *tail, const char *line);

/* Writes the kept bytes in order, tail->length of them, to `out`, beginning with a whole line if there is one. Returns
 * how many were written. */
size_t tail_copy(const struct tail *tail, char out[TAIL_CAPACITY]);

/* Copies `text` to `out` with every byte that is not part of valid UTF-8, and control characters other than tabs, as
 * "?". The result is cut between characters at `capacity` bytes with its terminator. */
void utf8_clean(const char *text, char *out, size_t capacity);

#endif
