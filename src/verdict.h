/* What the image's migrations and the rows of the tool's history table come to, together. Pure. */
#ifndef LOCKSTEP_VERDICT_H
#define LOCKSTEP_VERDICT_H

#include "migrations.h"

#include <stdbool.h>
#include <stddef.h>

struct verdict {
    size_t missing;        /* migrations of the image that the database has not */
    size_t unknown;        /* rows that the image does not know */
    char missing_ids[160]; /* the first of them, for people: "a, b and 3 more" */
    char unknown_ids[160];
    bool applied; /* the version is there */
    bool ahead;   /* ... and more than that */
};

/* Compares. `rows` are `count` ids as the query gives them, in any order; a row "<=N" stands for every id up to N.
 * Revisions with parents (Alembic) are there with their ancestors; a row that no file knows is then a newer head,
 * behind which the image's own are taken to be there: the table has only heads, so more cannot be known. Returns -1 if
 * memory is out. */
int verdict_find(struct verdict *verdict, const struct migrations *image, const char *const *rows, size_t count);

#endif
