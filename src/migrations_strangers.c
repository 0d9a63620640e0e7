/* Files that lie among the migrations and are none. */
#include "migrations_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The index of the end that the name has; -1 = none. */
static int end_of(const char *name, const char *const ends[], int count)
{
    for (int i = 0; i < count; i++)
        if (migrations_ends_with(name, ends[i]))
            return i;
    return -1;
}

/* The kind of script, by the name's extension; -1 = none. */
static int kind_of(const char *name)
{
    static const char *const ends[SCRIPT_KINDS] = {".sql", ".js", ".cjs", ".mjs", ".ts", ".cts", ".mts",
                                                   ".py",  ".rb", ".php", ".go",  ".rs", ".exs", ".pyc"};
    return end_of(name, ends, SCRIPT_KINDS);
}

/* Scripts that every tool of the kind leaves out, or that only help the others. */
static bool is_helper(const char *name)
{
    static const char *const begins[] = {"index.", "__init__.", "mod.rs", "before", "after"}; /* Flyway's callbacks */
    static const char *const parts[] = {".test.", ".spec.", "_test.", ".down.", ".undo.", ".rollback."};
    bool is_undo = *name == 'U' && strstr(name, "__");
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++)
        if (strncmp(name, begins[i], strlen(begins[i])) == 0)
            return true;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(name, parts[i]))
            return true;
    return is_undo;
}

/* What lies beside migrations of any kind. */
static bool is_document(const char *name)
{
    static const char *const begins[] = {"README", "LICENSE", "CHANGELOG"};
    static const char *const ends[] = {".md", ".toml", ".lock", ".sum"};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++)
        if (strncasecmp(name, begins[i], strlen(begins[i])) == 0)
            return true;
    return end_of(name, ends, sizeof ends / sizeof ends[0]) >= 0;
}

/* migration_lock.toml is Prisma's and comes with the first migration. */
static bool could_be_migration(const struct reading *reading, const char *name)
{
    if (reading->is_own_pattern)
        return !is_document(name);
    return (kind_of(name) >= 0 && strncmp(name, "__init__.", 9) != 0) ||
           (reading->tool->source == TOOL_FOLDERS && strcmp(name, "migration_lock.toml") == 0);
}

void migrations_note(struct reading *reading, const char *path, const char *name, bool is_migration)
{
    struct stat status;
    int kind = kind_of(name);
    struct script_kind *of_kind = kind < 0 ? NULL : &reading->kinds[kind];
    if (is_migration && of_kind)
        of_kind->has_migrations = true;
    if (is_migration || !could_be_migration(reading, name) || (stat(path, &status) == 0 && !S_ISREG(status.st_mode)))
        return;
    if (!reading->stranger[0] || strcmp(path, reading->stranger) < 0)
        snprintf(reading->stranger, sizeof reading->stranger, "%s", path);
    if (!of_kind || is_helper(name))
        return;
    if (of_kind->others++ == 0 || strcmp(path, of_kind->first_other) < 0)
        snprintf(of_kind->first_other, sizeof of_kind->first_other, "%s", path);
}

void migrations_add_words(char words[MIGRATIONS_WORDS], const char *format, ...)
{
    va_list arguments;
    size_t length = strlen(words);
    if (length > 0)
        length += (size_t)snprintf(words + length, MIGRATIONS_WORDS - length, "; ");
    if (length >= MIGRATIONS_WORDS)
        return;
    va_start(arguments, format);
    vsnprintf(words + length, MIGRATIONS_WORDS - length, format, arguments);
    va_end(arguments);
}

void migrations_mention_others(const struct reading *reading)
{
    struct migrations *migrations = reading->migrations;
    const char *first = NULL;
    size_t count = 0;
    for (int i = 0; i < SCRIPT_KINDS; i++) {
        const struct script_kind *kind = &reading->kinds[i];
        if (!kind->has_migrations || kind->others == 0)
            continue;
        first = first ? first : kind->first_other;
        count += kind->others;
    }
    if (first)
        migrations_add_words(migrations->remark, "%zu script%s in %s %s not named as a migration and left out: %s%s",
                             count, count == 1 ? "" : "s", migrations->folder, count == 1 ? "is" : "are", first,
                             count == 1 ? "" : ", ...");
}

int migrations_check_strangers(const struct reading *reading)
{
    const struct tool *tool = reading->tool;
    const char *folder = reading->migrations->folder;
    if (reading->migrations->count > 0 || !reading->stranger[0])
        return 0;
    if (tool->source == TOOL_FOLDERS)
        return err_set(reading->err, ERR_USAGE,
                       "%s: no folder in %s has a %s, but %s is there: were the others left out of the image? if they "
                       "are elsewhere, say where with " SAY_WHERE,
                       tool->name, folder, tool->inside, reading->stranger);
    if (tool->source == TOOL_SCRIPTS)
        return err_set(reading->err, ERR_USAGE,
                       "%s: no script in %s can be read (%s is no source); right would be another folder, " SAY_WHERE
                       ", or --applied-if 'alembic current --check-heads' (LOCKSTEP_APPLIED_IF), which asks Alembic",
                       tool->name, folder, reading->stranger);
    return err_set(
        reading->err, ERR_USAGE,
        "%s: no file in %s is named as a migration is (%s is not, by the pattern %s); right would be another "
        "--migrations-pattern RE (LOCKSTEP_MIGRATIONS_PATTERN) or folder, " SAY_WHERE,
        tool->name, folder, reading->stranger, reading->pattern_text);
}
