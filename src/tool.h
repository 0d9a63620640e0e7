/* Presets for migration tools (DESIGN section 6): nothing but defaults for options, and how a tool's ids are read. The
 * facts about each tool are in research/tools.md section 2. */
#ifndef LOCKSTEP_TOOL_H
#define LOCKSTEP_TOOL_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOOL_FOLDERS_MAX      8
#define TOOL_WORDS_MAX        6
#define TOOL_CONTENTS         2

#define TOOL_SCHEMA_VARIABLES 2

#define TOOL_NODE_BIN         "node_modules/.bin/" /* what npm's tools are started by */

/* Where the image says which migrations it needs. */
enum tool_source {
    TOOL_FILES,   /* the files of one folder */
    TOOL_TREE,    /* the files of a folder and of all below it */
    TOOL_FOLDERS, /* the folders in one folder that hold the file `inside` */
    TOOL_JOURNAL, /* Drizzle's meta/_journal.json: "when" is the id */
    TOOL_SCRIPTS, /* Alembic's Python files: each names its revision and those that it follows */
    TOOL_PLAN,    /* sqitch.plan, a change a line */
};

/* How an id is written the same way by the files and by the database. */
enum tool_ids {
    TOOL_TEXT,    /* byte for byte */
    TOOL_PLAIN,   /* byte for byte, but two that are all digits are compared as numbers: nobody knows the tool */
    TOOL_NUMBER,  /* only its digits count, leading zeros do not */
    TOOL_VERSION, /* 1_2 is 1.2, 01.2.0 is 1.2 (Flyway); what does not begin with a digit is text */
};

/* What two files of one id are. */
enum tool_twins {
    TOOL_TWINS_WRONG, /* a fault of the project: the tool would refuse them, or leave one out */
    TOOL_TWINS_APART, /* two migrations, each with its own row (TypeORM) */
    TOOL_TWINS_ONE,   /* two ways to one version (Flyway's V5__ and B5__) */
};

/* In SQL these stand for what is known only later:
 *   {table}        the history table, qualified and quoted
 *   {table_lock}   the table whose name has _lock behind it (knex)
 *   {beside:NAME}  the table NAME in the same schema
 *   {project}      the project of sqitch.plan, as a string literal */
struct tool {
    const char *name;
    const char *title;      /* what its makers call it */
    const char *migrate;    /* default of --migrate (tool_migrate fills in the folders); NULL = the user must say it */
    const char *applied_if; /* the tool's own check instead of files and a query; the rest is unused then */
    const char *words[TOOL_WORDS_MAX]; /* programs whose name in a command gives the tool away; "a b" = a, later b */
    const char *marks[TOOL_WORDS_MAX]; /* files of a project that do, as glob patterns; "a b" = both are there */

    enum tool_source source;
    const char *folders[TOOL_FOLDERS_MAX]; /* default of --migrations: the one that is there */
    const char *folder_variable;           /* the tool's own variable for it */
    const char *pattern;                   /* default of --migrations-pattern: POSIX extended, group 1 is the id */
    const char *except;                    /* names that the pattern takes and the tool does not; NULL = none */
    const char *inside;                    /* TOOL_FOLDERS */
    const char *content[TOOL_CONTENTS]; /* what tells the ids in a script whose name does not: POSIX extended, group 1;
                                           the first that finds some counts */
    const char *others;                 /* files of further databases, which only the tool's own check looks into */
    const char *others_remedy;          /* that check */
    const char *checkpoint;             /* the line of a file that stands for all before it in an empty database */
    enum tool_ids ids;
    bool repeatable; /* Flyway's R__ files as well: their id has a checksum */
    enum tool_twins twins;

    const char *schema; /* of the history table; NULL = the first of the connection's search path */
    const char *table;  /* raw: without quotes, in its own case */
    const char
        *schema_variables[TOOL_SCHEMA_VARIABLES]; /* the tool's own variables for them; a later one counts more */
    const char *table_variable;
    bool schema_of_url;  /* the URL's schema is the table's (Prisma, Atlas) */
    bool table_of_url;   /* the URL's x-migrations-table names the table (golang-migrate) */
    bool whole_path;     /* the tool finds its table anywhere on the search path, not only in the first schema */
    const char *applied; /* default of --applied-sql, with {table}: a row for each id; "<=N" stands for all up to N */
    const char *failed;  /* default of --failed-sql, with {table}: what the tool would refuse to go on from; id or NULL,
                            and words, its own, or NULL. NULL = nothing: the tool goes on by itself */
    const char *foreign; /* a column that a table of the same name has if it is another tool's: "dirty,inserted_at" */
    const char *lock;    /* the key of the tool's own advisory lock, in decimal; NULL = none known */
    uint32_t lock_factor; /* or the key is this times the CRC-32 of the database's name; 0 = it is not */
    bool lock_of_table;   /* ... of schema, table and "/NAME", with zeros between, and has 32 bits (golang-migrate) */
    const char *remedy;   /* for what `failed` finds, with {id} and {folder}: what to type */
    bool reads_url;       /* it, or its command here, takes the database from DATABASE_URL */
    const char *environment[TOOL_WORDS_MAX]; /* NAME=VALUE that the command needs under our lock, unless it is set */
};

/* The value of an environment variable, NULL if it is not set: src/ reads none itself. */
typedef const char *tool_variable(const char *name);

/* The preset `name`, in any case, or NULL. */
const struct tool *tool_find(const char *name);

/* The preset at `index`, NULL behind the last one; in the order of their names. */
const struct tool *tool_at(size_t index);

/* Writes the names of all presets, separated by commas, to `text`. */
void tool_names(char *text, size_t capacity);

/* Writes the tool's command to `text`, with the folder of the migrations in the place of {folder}; in the place of
 * {folders}, each of several that have commas between is a word. Returns -1 if it does not fit. */
int tool_migrate(const struct tool *tool, const char *folder, char *text, size_t capacity);

/* Finds out which tool is meant (--tool auto): by the words of `command` (NULL = none; a shell line or a JSON array),
 * else by the files in the current directory. Writes what gave it away to `why`. NULL with ERR_USAGE, which says what
 * to add, if nothing does, or if two do. */
const struct tool *tool_detect(const char *command, char *why, size_t capacity, struct err *err);

#endif
