/* What the readers of the kinds of migrations share (migrations_*.c). */
#ifndef LOCKSTEP_MIGRATIONS_INTERNAL_H
#define LOCKSTEP_MIGRATIONS_INTERNAL_H

#include "migrations.h"

#include <regex.h>

#define PATH_CAPACITY 4096

/* One candidate that is being read. */
struct reading {
    const struct tool *tool;
    struct migrations *migrations; /* filled by migrations_add */
    size_t capacity;               /* of its list */
    const char *root;              /* the folder that is read now */
    regex_t pattern, except;
    const char *pattern_text;
    bool has_pattern, has_except;
    char stranger[256]; /* a script in the folder that is not named as migrations are; "" = none */
    struct err *err;
};

/* Adds a migration of `raw` (`length` bytes); it takes `parents`, the strings are copied. -1 with ERR_SYSTEM if memory
 * is out. */
int migrations_add(struct reading *reading, const char *raw, size_t length, const char *name, const char *file,
                   char **parents);

/* Whether the name of a file or folder is one of a migration; `group` is then what its id is made of. */
bool migrations_matches(const struct reading *reading, const char *name, regmatch_t *group);

/* Sorts what was read, drops what counts once, refuses two migrations of one id. */
int migrations_sort(struct reading *reading);

/* Fills `hash`. Files that the tool may keep elsewhere than we look (TOOL_JOURNAL, TOOL_PLAN) may lack. */
int migrations_hash(struct migrations *migrations, enum tool_source source, struct err *err);

/* Fills `newest`. */
int migrations_name_newest(struct migrations *migrations, struct err *err);

/* Each reads `folder` into `reading`; -1 with ERR_USAGE or ERR_SYSTEM. */
int migrations_read_folder(struct reading *reading, const char *folder);
int migrations_read_journal(struct reading *reading, const char *folder);
int migrations_read_scripts(struct reading *reading, const char *folder);
int migrations_read_plan(struct reading *reading, const char *folder);

/* Calls `visit` for every file or folder in `folder` that can be a migration (not hidden, no *.d.ts), with its path
 * and name, until it returns other than 0; `deep` goes into the folders below. */
int migrations_walk(struct reading *reading, const char *folder, bool deep,
                    int (*visit)(struct reading *reading, const char *path, const char *name));

/* The content of a file, with a terminator; the caller frees. NULL with ERR_USAGE if it cannot be read. */
char *migrations_load(const char *path, size_t *length, struct err *err);

int migrations_no_memory(struct err *err);

#endif
