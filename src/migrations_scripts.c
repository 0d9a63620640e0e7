/* Alembic: each Python file says in two assignments which revision it is and which ones it follows. Nothing of Python
 * is run; what is no literal is not understood and said so. */
#include "migrations_internal.h"
#include "tool_config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARENTS_MAX 64

struct strings {
    char *list[PARENTS_MAX + 1]; /* NULL-ended */
    size_t count;
    bool failed; /* there is something else than these and None, or memory was out */
};

/* Behind the string literal that begins at `c`, which goes over several lines if its quotes are three. */
static const char *skip_string(const char *c)
{
    char quote = *c;
    bool triple = c[1] == quote && c[2] == quote;
    for (c += triple ? 3 : 1; *c; c++) {
        if (*c == '\\' && c[1])
            c++;
        else if (*c == quote && (!triple || (c[1] == quote && c[2] == quote)))
            return c + (triple ? 3 : 1);
        else if (*c == '\n' && !triple)
            return c;
    }
    return c;
}

static void keep_string(struct strings *strings, const char *begin, const char *end)
{
    size_t quotes = end - begin >= 6 && begin[1] == *begin && begin[2] == *begin ? 3 : 1;
    if ((size_t)(end - begin) < 2 * quotes || strings->count == PARENTS_MAX) {
        strings->failed = true;
        return;
    }
    char *copy = strndup(begin + quotes, (size_t)(end - begin) - 2 * quotes);
    strings->failed |= !copy;
    if (copy)
        strings->list[strings->count++] = copy;
}

/* Behind the name, number or keyword that begins at `c`. */
static const char *skip_name(const char *c)
{
    while (isalnum((unsigned char)*c) || *c == '_' || *c == '.')
        c++;
    return c;
}

/* Goes to the end of the statement at `c`: a line, or more within brackets and behind a backslash. Keeps its string
 * literals if `strings` is not NULL. */
static const char *read_statement(const char *c, struct strings *strings)
{
    int depth = 0;
    while (*c && (*c != '\n' || depth > 0)) {
        if (*c == '#') {
            c += strcspn(c, "\n");
        } else if (*c == '"' || *c == '\'') {
            const char *end = skip_string(c);
            if (strings)
                keep_string(strings, c, end);
            c = end;
        } else if (isalnum((unsigned char)*c) || *c == '_') {
            const char *end = skip_name(c);
            if (strings && (end - c != 4 || strncmp(c, "None", 4) != 0))
                strings->failed = true;
            c = end;
        } else {
            depth += strchr("([{", *c) ? 1 : strchr(")]}", *c) ? -1 : 0;
            c += *c == '\\' && c[1] == '\n' ? 2 : 1;
        }
    }
    return *c ? c + 1 : c;
}

/* Where the value of `name` begins if the statement at `c` assigns to it, with a type or without; otherwise NULL. */
static const char *value_of(const char *c, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(c, name, length) != 0)
        return NULL;
    c += length;
    c += strspn(c, " \t");
    if (*c == ':')
        c += strcspn(c, "=\n");
    return *c == '=' && c[1] != '=' ? c + 1 : NULL;
}

static void forget(struct strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->list[i]);
    *strings = (struct strings){.count = 0};
}

/* The strings are the list's then. */
static char **parents_of(struct strings *down, struct strings *depends)
{
    char **parents = malloc((down->count + depends->count + 1) * sizeof *parents);
    if (!parents)
        return NULL;
    memcpy(parents, down->list, down->count * sizeof *parents);
    memcpy(parents + down->count, depends->list, depends->count * sizeof *parents);
    parents[down->count + depends->count] = NULL;
    down->count = depends->count = 0;
    return parents;
}

/* What a revision depends on was applied before it, as what it follows (its row replaces theirs). */
static int add_script(struct reading *reading, const char *path, struct strings *revision, struct strings *down,
                      struct strings *depends)
{
    if (revision->count != 1 || revision->failed || down->failed)
        return err_set(reading->err, ERR_USAGE,
                       "%s: revision and down_revision are not written as plain strings, so that lockstep could read "
                       "them; --applied-if 'alembic current --check-heads' (LOCKSTEP_APPLIED_IF) asks Alembic itself",
                       path);
    char **parents = parents_of(down, depends);
    if (!parents)
        return migrations_no_memory(reading->err);
    return migrations_add(reading, revision->list[0], strlen(revision->list[0]), NULL, path, parents);
}

static int visit_compiled(struct reading *reading, const char *path, const char *name)
{
    migrations_note(reading, path, name, false);
    return 0;
}

static int visit_script(struct reading *reading, const char *path, const char *name)
{
    struct strings revision = {.count = 0}, down = {.count = 0}, depends = {.count = 0};
    regmatch_t group;
    struct stat status;
    bool found = false;
    if (!migrations_matches(reading, name, &group)) {
        migrations_note(reading, path, name, false);
        return strcmp(name, "__pycache__") == 0 ? migrations_walk(reading, path, false, visit_compiled) : 0;
    }
    if (migrations_stat(reading, path, &status) != 0)
        return -1;
    if (!S_ISREG(status.st_mode))
        return 0;
    migrations_note(reading, path, name, true);
    char *text = migrations_load(path, NULL, reading->err);
    if (!text)
        return -1;
    const char *value;
    for (const char *c = text + (strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0); *c;) {
        if ((value = value_of(c, "revision"))) {
            found = true;
            forget(&revision);
            c = read_statement(value, &revision);
        } else if ((value = value_of(c, "down_revision"))) {
            forget(&down);
            c = read_statement(value, &down);
        } else if ((value = value_of(c, "depends_on"))) {
            forget(&depends);
            c = read_statement(value, &depends);
        } else {
            c = read_statement(c, NULL);
        }
    }
    free(text);
    int result = found ? add_script(reading, path, &revision, &down, &depends) : 0;
    forget(&revision);
    forget(&down);
    forget(&depends);
    return result;
}

int migrations_read_scripts(struct reading *reading, const char *folder)
{
    return migrations_walk(reading, folder, tool_configured_recursive(reading->tool), visit_script);
}
