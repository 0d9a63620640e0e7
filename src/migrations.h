/* The migrations that an image needs, as its files say. */
#ifndef LOCKSTEP_MIGRATIONS_H
#define LOCKSTEP_MIGRATIONS_H

#include "digest.h"
#include "err.h"
#include "record.h"
#include "tool.h"

#include <stdbool.h>
#include <stddef.h>

#define MIGRATIONS_WORDS 512

struct migration {
    char *id;        /* as migrations_id writes it */
    char *name;      /* that people know it by, where that is not the id (TOOL_JOURNAL); otherwise NULL */
    char *file;      /* that has it, for people */
    char **parents;  /* TOOL_SCRIPTS: ids that it follows, NULL-ended; otherwise NULL */
    bool checkpoint; /* it stands for all before it, in an empty database only (Atlas) */
};

struct migrations {
    struct migration *list; /* in the order of their ids: numbers and versions by value, text by bytes; TOOL_JOURNAL and
                               TOOL_PLAN in the order of the file */
    size_t count;
    enum tool_ids ids;
    char *folder;                  /* that was read, or several with commas between */
    char *project;                 /* TOOL_PLAN: the name that the plan gives itself; otherwise NULL */
    char hash[9];                  /* over ids and contents: a mended file is another version */
    char newest[TARGET_CAPACITY];  /* id of the last one, or of the head (several: the first, and "+N"); "" = none */
    char doubt[MIGRATIONS_WORDS];  /* why this may not be all, or not the right ones; "" = no reason */
    char remark[MIGRATIONS_WORDS]; /* what may be good to know; "" = nothing */
};

/* What to read; strings are the caller's. */
struct migrations_ask {
    const struct tool *tool; /* the preset, or the stand-in for a tool that nobody knows */
    const char *folder; /* or several with commas between; NULL = the one that the project's configuration names, or
                           of the preset's that is there */
    const char *folder_what; /* what the user called it, for messages */
    const char *pattern;     /* NULL = the preset's */
    tool_variable *variable; /* NULL = none is set */
};

/* Reads the image's migrations. Files that are no migrations (pattern, hidden ones, *.d.ts) are left out; a file that
 * lies beside its compiled form counts once. A change that sqitch.plan has again (reworked) has the id "NAME#2". On
 * success the caller frees with migrations_free; none at all is a success. -1 with ERR_USAGE: no folder (the error
 * names where was looked), two candidate folders that differ, one that cannot be read, two files with one id, a pattern
 * that is no regular expression, a journal that is not JSON. */
int migrations_read(struct migrations *migrations, const struct migrations_ask *ask, struct err *err);

/* Writes what the image needs as people recognise it, "prisma 20260302083000_first_tasks (3 migrations, 9f2c1a7b)". */
void migrations_target(const struct migrations *migrations, const char *tool, char target[TARGET_CAPACITY]);

/* Writes `raw` as `ids` has it to `id`, which has room for strlen(raw) + 1 bytes. */
void migrations_id(enum tool_ids ids, const char *raw, char *id);

/* Below, at or above zero as `a` comes before, with or after `b`, both as migrations_id writes them. Text among numbers
 * or versions comes behind them. */
int migrations_compare(enum tool_ids ids, const char *a, const char *b);

/* Whether the row "<=limit" stands for `id` as well; text among versions has no limit (Flyway's repeatable ones). */
bool migrations_covers(enum tool_ids ids, const char *limit, const char *id);

/* What people know the migration by. */
const char *migrations_name(const struct migration *migration);

void migrations_free(struct migrations *migrations);

#endif
