/* The migrations that an image needs, as its files say. */
#ifndef LOCKSTEP_MIGRATIONS_H
#define LOCKSTEP_MIGRATIONS_H

#include "digest.h"
#include "err.h"
#include "record.h"
#include "tool.h"

#include <stdbool.h>
#include <stddef.h>

struct migration {
    char *id;       /* as migrations_id writes it */
    char *file;     /* that says so, for people */
    char **parents; /* TOOL_SCRIPTS: ids that it follows, NULL-ended; otherwise NULL */
};

struct migrations {
    struct migration *list; /* in the order of their ids: numbers and versions by value, text by bytes; TOOL_JOURNAL and
                               TOOL_PLAN in the order of the file */
    size_t count;
    enum tool_ids ids;
    char *folder;                 /* that was read */
    char hash[9];                 /* over ids and contents: a mended file is another version */
    char newest[TARGET_CAPACITY]; /* id of the last one, or of the head (several: the first, and "+N"); "" = none */
};

/* What to read; strings are the caller's. */
struct migrations_ask {
    const struct tool *tool; /* the preset, or the stand-in for a tool that nobody knows */
    const char *folder;      /* NULL = the first of the preset's folders that is there */
    const char *folder_what; /* what the user called it, for messages */
    const char *pattern;     /* NULL = the preset's */
};

/* Reads the image's migrations. Files that are no migrations (pattern, hidden ones, *.d.ts) are left out. On success
 * the caller frees with migrations_free; none at all is a success. -1 with ERR_USAGE: no folder (the error names where
 * was looked), two candidate folders that differ, one that cannot be read, two files with one id, a pattern that is no
 * regular expression, a journal that is not JSON. */
int migrations_read(struct migrations *migrations, const struct migrations_ask *ask, struct err *err);

/* Writes what the image needs as people recognise it, "prisma 20260302083000_first_tasks (3 migrations, 9f2c1a7b)". */
void migrations_target(const struct migrations *migrations, const char *tool, char target[TARGET_CAPACITY]);

/* Writes `raw` as `ids` has it to `id`, which has room for strlen(raw) + 1 bytes. */
void migrations_id(enum tool_ids ids, const char *raw, char *id);

/* Below, at or above zero as `a` comes before, with or after `b`, both as migrations_id writes them. */
int migrations_compare(enum tool_ids ids, const char *a, const char *b);

void migrations_free(struct migrations *migrations);

#endif
