/* What tool_config*.c share: the text of a configuration, and the values in it. */
#ifndef LOCKSTEP_TOOL_CONFIG_INTERNAL_H
#define LOCKSTEP_TOOL_CONFIG_INTERNAL_H

#include "migrations_internal.h"
#include "tool_config.h"

#include <stdbool.h>
#include <stddef.h>

#define VALUE_CAPACITY 1024

/* How a configuration is written, as its file's name tells. */
enum config_language {
    CONFIG_SCRIPT, /* JavaScript, TypeScript, JSON */
    CONFIG_PHP,
    CONFIG_LINES, /* INI, TOML, YAML, properties, and Python's assignments: a key a line */
};

enum config_language config_language(const char *path);

/* The text of the file without its comments, with a line feed before it, so that every line begins behind one; the
 * caller frees. NULL with ERR_USAGE if it cannot be read. */
char *config_load(const char *path, struct err *err);

/* Leaves only the part of the environment `name`, if there is one and it says all by itself; one that takes over more
 * (...shared, <<: *default) is put before the whole. Returns the new text, in the place of the old one. */
char *config_narrow(char *text, const char *name);

/* Writes the first group of `expression` that matches, "" if none does or code works it out; 1 or 0. */
int config_extract(const char *text, const char *expression, char *value, size_t capacity);

/* Behind the string whose quote is at `c`; at the bracket that closes the one at `c`; at the end of the line at `c` and
 * of those behind it that are indented more than `indent`. */
const char *config_skip_string(const char *c);
const char *config_end_of_brackets(const char *c);
const char *config_end_of_lines(const char *c, size_t indent);

/* Where a configuration names folders, and how they are spelt. */
struct config_key {
    const char *object; /* of a script: the key is in this one; NULL = anywhere */
    const char *name;   /* in a script the key, in lines an expression for it */
    bool is_list;       /* of lines: blanks separate folders; in scripts a list shows */
    bool is_package;    /* "app.db:migrations" is a folder of a Python package */
    bool is_beside;     /* relative to the file, not to the current directory */
    bool may_lack;      /* of several, some need not be there */
    bool is_pattern;    /* the folder is what stands before a glob (dist/m/[*].js) */
    bool by_colons;     /* of lines: colons separate folders too */
    const char *below;  /* the migrations are in this folder of it; NULL = in itself */
};

/* A value that is being read. */
struct config_reader {
    const struct config_key *key;
    const char *at; /* what is read next */
    char here[256]; /* the folder of the file */
    bool is_placed; /* the value begins with that, or with the current directory */
    char *folders;  /* what was understood, with commas between */
    size_t capacity;
};

#define CONFIG_BLANKS " \t\n"
#define CONFIG_QUOTES "\"'`"

bool config_append(char *text, size_t capacity, const char *more, size_t length);

/* Takes `value` as one of the folders; false if it is not understood, or if there is no room. */
bool config_keep(struct config_reader *reader, const char *value);

/* Reads the folders that a script's text has behind the key. */
enum tool_configured config_read_script(struct config_reader *reader, const char *text);

/* Writes the folders that `text`, of the file `path`, has behind the key, with commas between. */
enum tool_configured config_folders(const struct config_key *key, const char *path, const char *text, char *folders,
                                    size_t capacity);

#endif
