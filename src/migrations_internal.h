/* What the readers of the kinds of migrations share (migrations_*.c). */
#ifndef LOCKSTEP_MIGRATIONS_INTERNAL_H
#define LOCKSTEP_MIGRATIONS_INTERNAL_H

#include "migrations.h"

#include <regex.h>
#include <sys/stat.h>

#define PATH_CAPACITY 4096
#define SCRIPT_KINDS  14
#define SAY_WHERE     "--migrations DIR (LOCKSTEP_MIGRATIONS)"

/* The files of one extension in what is read now. */
struct script_kind {
    bool has_migrations;
    size_t others;         /* scripts that are not named as migrations */
    char first_other[256]; /* by bytes */
};

/* One candidate that is being read. */
struct reading {
    const struct tool *tool;
    struct migrations *migrations; /* filled by migrations_add */
    size_t capacity;               /* of its list */
    const char *root;              /* the folder that is read now */
    regex_t pattern, except;
    const char *pattern_text;
    bool has_pattern, has_except, is_own_pattern; /* --migrations-pattern */
    char stranger[256]; /* a file in a folder that could be a migration and is not named as one; "" = none */
    struct script_kind kinds[SCRIPT_KINDS];
    struct err *err;
};

/* Adds a migration of `raw` (`length` bytes); it takes `parents`, the strings are copied. -1 with ERR_SYSTEM if memory
 * is out. */
int migrations_add(struct reading *reading, const char *raw, size_t length, const char *name, const char *file,
                   char **parents);

/* Whether the name of a file or folder is one of a migration; `group` is then what its id is made of. */
bool migrations_matches(const struct reading *reading, const char *name, regmatch_t *group);

/* What is at `path`: a file that is not there has the mode 0. -1 with ERR_USAGE if it cannot be found out, or if a link
 * leads to nothing. */
int migrations_stat(struct reading *reading, const char *path, struct stat *status);

/* Whether it is an extension of JavaScript or TypeScript. */
bool migrations_is_script(const char *extension);

/* Keeps in mind that a file of a folder is a migration, or that it is not named as one. */
void migrations_note(struct reading *reading, const char *path, const char *name, bool is_migration);

/* Says which scripts were left out of what was read. */
void migrations_mention_others(const struct reading *reading);

/* Refuses a folder of files of which none is a migration: they are more likely named in another way, or of another
 * tool. */
int migrations_check_strangers(const struct reading *reading);

/* Adds a sentence to words of `struct migrations`. */
void migrations_add_words(char words[MIGRATIONS_WORDS], const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sorts what was read, drops what counts once, refuses two migrations of one id. */
int migrations_sort(struct reading *reading);

/* Reads the files: fills `hash`, and says which are checkpoints. Files that the tool may keep elsewhere than we look
 * (TOOL_JOURNAL, TOOL_PLAN) may lack. */
int migrations_hash(struct migrations *migrations, const struct tool *tool, struct err *err);

/* Fills `newest`. */
int migrations_name_newest(struct migrations *migrations, struct err *err);

/* Each reads `folder` into `reading`; -1 with ERR_USAGE or ERR_SYSTEM. */
int migrations_read_folder(struct reading *reading, const char *folder);
int migrations_read_journal(struct reading *reading, const char *folder);
int migrations_read_scripts(struct reading *reading, const char *folder);
int migrations_read_plan(struct reading *reading, const char *folder);

/* Whether the folder has one for each migration and no journal (Drizzle 1.0). */
bool migrations_has_journal_folders(const char *folder);

/* Writes the path of Sqitch's plan: the one that is configured, else the folder's. */
void migrations_plan_path(const struct tool *tool, const char *folder, char path[PATH_CAPACITY]);

bool migrations_ends_with(const char *name, const char *end);

/* Whether `folder` is one of `folders`, which have commas between them. */
bool migrations_is_listed(const char *folders, const char *folder);

/* Calls `visit` for every file or folder in `folder` that can be a migration (not hidden, no *.d.ts), with its path
 * and name, until it returns other than 0; `deep` goes into the folders below. */
int migrations_walk(struct reading *reading, const char *folder, bool deep,
                    int (*visit)(struct reading *reading, const char *path, const char *name));

/* The content of a file, with a terminator; the caller frees. NULL with ERR_USAGE if it cannot be read. */
char *migrations_load(const char *path, size_t *length, struct err *err);

int migrations_no_memory(struct err *err);

#endif
