#include "migrations.h"

#include "migrations_internal.h"
#include "tool_config.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int compile(struct reading *reading, const struct migrations_ask *ask)
{
    const char *pattern = ask->pattern ? ask->pattern : ask->tool->pattern;
    char reason[160];
    int failed = pattern ? regcomp(&reading->pattern, pattern, REG_EXTENDED) : 0;
    if (failed) {
        regerror(failed, &reading->pattern, reason, sizeof reason);
        return err_set(reading->err, ERR_USAGE,
                       "--migrations-pattern (LOCKSTEP_MIGRATIONS_PATTERN): %s is no regular expression: %s; right "
                       "would be ^([0-9]+)_.*\\.sql$",
                       pattern, reason);
    }
    reading->has_pattern = pattern;
    reading->is_own_pattern = ask->pattern;
    reading->pattern_text = pattern;
    reading->has_except = !ask->pattern && ask->tool->except &&
                          regcomp(&reading->except, ask->tool->except, REG_EXTENDED | REG_NOSUB) == 0;
    return 0;
}

bool migrations_matches(const struct reading *reading, const char *name, regmatch_t *group)
{
    regmatch_t groups[2] = {{.rm_so = 0, .rm_eo = (regoff_t)strlen(name)}, {.rm_so = -1}};
    if (reading->has_pattern && regexec(&reading->pattern, name, 2, groups, 0) != 0)
        return false;
    if (reading->has_except && regexec(&reading->except, name, 0, NULL, 0) == 0)
        return false;
    *group = groups[1].rm_so >= 0 ? groups[1] : groups[0];
    return true;
}

/* Locations as the tools write them: Flyway's filesystem:DIR, Atlas' file://DIR. */
static const char *bare(const char *folder)
{
    static const char *const prefixes[] = {"filesystem:", "classpath:", "file://"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(folder, prefixes[i], strlen(prefixes[i])) == 0)
            return folder + strlen(prefixes[i]);
    return folder;
}

/* Writes the path of what says that a folder has this tool's migrations. */
static void find_sign(const struct tool *tool, const char *folder, char path[PATH_CAPACITY])
{
    if (tool->source == TOOL_PLAN)
        migrations_plan_path(tool, folder, path);
    else
        snprintf(path, PATH_CAPACITY, "%s%s", bare(folder), tool->source == TOOL_JOURNAL ? "/meta/_journal.json" : "");
}

static bool is_there(const struct tool *tool, const char *folder)
{
    char path[PATH_CAPACITY];
    find_sign(tool, folder, path);
    return access(path, F_OK) == 0 || errno == EACCES ||
           (tool->source == TOOL_JOURNAL && migrations_has_journal_folders(folder));
}

static int refuse_named(const struct reading *reading, const struct tool_folder *named, const char *folder)
{
    char sign[PATH_CAPACITY];
    find_sign(reading->tool, folder, sign);
    bool is_folder = strcmp(sign, folder) == 0;
    return err_set(reading->err, ERR_USAGE, "%s: %s names %s, %s%s is not there; right would be " SAY_WHERE,
                   reading->tool->name, named->said, folder, is_folder ? "which" : "but ", is_folder ? "" : sign);
}

static int read_one(struct reading *reading, const char *folder)
{
    static int (*const readers[])(struct reading *, const char *) = {
        [TOOL_FILES] = migrations_read_folder,    [TOOL_TREE] = migrations_read_folder,
        [TOOL_FOLDERS] = migrations_read_folder,  [TOOL_JOURNAL] = migrations_read_journal,
        [TOOL_SCRIPTS] = migrations_read_scripts, [TOOL_PLAN] = migrations_read_plan,
    };
    char root[PATH_CAPACITY], below[PATH_CAPACITY];
    snprintf(root, sizeof root, "%s", bare(folder));
    size_t length = strlen(root);
    while (length > 1 && root[length - 1] == '/')
        root[--length] = '\0';
    reading->root = root;
    if (reading->tool->source == TOOL_SCRIPTS && /* Alembic's script_location was meant */
        (size_t)snprintf(below, sizeof below, "%s/versions", root) < sizeof below && access(below, F_OK) == 0)
        reading->root = below;
    return readers[reading->tool->source](reading, reading->root);
}

/* Reads `folders`, one or more with commas between, as one set. */
static int read_set(struct reading *reading, const char *folders)
{
    char *copy = strdup(folders);
    char *rest = copy;
    reading->capacity = 0;
    memset(reading->kinds, 0, sizeof reading->kinds);
    *reading->migrations = (struct migrations){.ids = reading->tool->ids,
                                               .folder = strdup(strchr(folders, ',') ? folders : bare(folders))};
    int result = copy && reading->migrations->folder ? 0 : migrations_no_memory(reading->err);
    if (result == 0 && access(bare(folders), F_OK) == 0)
        result = read_one(reading, folders); /* a folder may have a comma in its name */
    else
        for (char *part; result == 0 && (part = strsep(&rest, ","));)
            result = read_one(reading, part + strspn(part, " "));
    free(copy);
    if (result == 0)
        result = migrations_sort(reading);
    if (result == 0)
        migrations_mention_others(reading);
    else
        migrations_free(reading->migrations);
    return result;
}

static bool is_same(const struct migrations *a, const struct migrations *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = strcmp(a->list[i].id, b->list[i].id) == 0;
    return same;
}

/* Takes one more of the preset's folders into account: the first that has migrations counts, a second may only have
 * the same ones (a source folder beside the compiled one). */
static int consider(struct reading *reading, struct migrations *best, const char *folder)
{
    struct migrations next;
    reading->migrations = &next;
    int result = read_set(reading, folder);
    reading->migrations = best;
    if (result != 0)
        return -1;
    if (!best->folder || (best->count == 0 && next.count > 0)) {
        migrations_free(best);
        *best = next;
        return 0;
    }
    if (next.count > 0 && !is_same(best, &next))
        result = err_set(reading->err, ERR_USAGE,
                         "%s: there are migrations in %s and others in %s; say which are meant with " SAY_WHERE
                         ", or both with a comma between: %s,%s",
                         reading->tool->name, best->folder, next.folder, best->folder, next.folder);
    migrations_free(&next);
    return result;
}

/* Finds which of the preset's folders is there; `unclear` says why the project's configuration is not understood, NULL
 * = it names none. */
static int find(struct reading *reading, struct migrations *best, const char *unclear)
{
    char looked[256] = "", here[PATH_CAPACITY];
    size_t length = 0;
    for (int i = 0; i < TOOL_FOLDERS_MAX && reading->tool->folders[i]; i++) {
        const char *pattern = reading->tool->folders[i];
        glob_t found = {.gl_pathc = 0};
        int result = 0;
        if (glob(pattern, GLOB_NOCHECK, NULL, &found) == 0) /* one in a closed folder is there, too */
            for (size_t n = 0; result == 0 && n < found.gl_pathc; n++)
                if (is_there(reading->tool, found.gl_pathv[n]))
                    result = consider(reading, best, found.gl_pathv[n]);
        globfree(&found);
        if (result != 0)
            return -1;
        if (length < sizeof looked)
            length += (size_t)snprintf(looked + length, sizeof looked - length, "%s%s", length ? ", " : "", pattern);
    }
    if (best->count > 0 && unclear)
        migrations_add_words(best->doubt, "%s, so %s is taken; right would be " SAY_WHERE, unclear, best->folder);
    if (best->folder && (best->count > 0 || !unclear))
        return 0;
    return err_set(reading->err, ERR_USAGE,
                   "%s: no migrations found in %s (looked for %s%s%s); is that the right directory? if so, say where "
                   "they are with " SAY_WHERE,
                   reading->tool->name, getcwd(here, sizeof here) ? here : ".", length ? looked : "nothing",
                   unclear ? "; " : "", unclear ? unclear : "");
}

/* Where a folder that the configuration names is in the image: there, or where its sources are compiled or copied to.
 */
static bool locate(const struct tool *tool, const char *folder, char *path, size_t capacity)
{
    static const struct {
        const char *from, *to;
    } moves[] = {{"", ""},
                 {"src/", "dist/"},
                 {"src/", "build/"},
                 {"", "dist/"},
                 {"", "build/"},
                 {"src/", ""},
                 {"", "src/"}, /* a Python package's */
                 {"classpath:", "src/main/resources/"}};
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++) {
        size_t length = strlen(moves[i].from);
        if (strncmp(folder, moves[i].from, length) == 0 &&
            (size_t)snprintf(path, capacity, "%s%s", moves[i].to, folder + length) < capacity && is_there(tool, path))
            return true;
    }
    return false;
}

bool migrations_is_listed(const char *folders, const char *folder)
{
    size_t length = strlen(folder);
    for (const char *item = folders; item; item = strchr(item, ',')) {
        item += *item == ',';
        if (strncmp(item, folder, length) == 0 && (item[length] == ',' || item[length] == '\0'))
            return true;
    }
    return false;
}

/* Reads the folders that the project's configuration names. */
static int read_named(struct reading *reading, const struct tool_folder *named)
{
    char rest[sizeof named->path], place[PATH_CAPACITY], folders[PATH_CAPACITY] = "", words[MIGRATIONS_WORDS] = "";
    char *parts = strcpy(rest, named->path);
    const char *missing = named->path;
    for (char *part; (part = strsep(&parts, ","));) {
        bool is_found = locate(reading->tool, part, place, sizeof place);
        missing = is_found ? missing : part;
        if (!is_found && !named->may_lack)
            return refuse_named(reading, named, part);
        if (!is_found)
            migrations_add_words(words, "%s names %s, which is not there", named->said, part);
        else if (strcmp(place, part) != 0)
            migrations_add_words(words, "%s names %s, which is not there, and %s is taken for it", named->said, part,
                                 place);
        if (is_found && !migrations_is_listed(folders, place) && strlen(folders) + strlen(place) + 2 < sizeof folders)
            strcat(strcat(folders, place), ",");
    }
    if (!*folders)
        return refuse_named(reading, named, missing);
    folders[strlen(folders) - 1] = '\0';
    int result = read_set(reading, folders);
    if (result == 0 && *words)
        migrations_add_words(reading->migrations->remark, "%s", words);
    return result;
}

static int read_by_itself(struct reading *reading, const struct migrations_ask *ask)
{
    struct tool_folder folder = {.said = ""};
    enum tool_configured configured = tool_configured_folder(ask->tool, ask->variable, &folder);
    if (configured == TOOL_CONFIGURED_NAMED)
        return read_named(reading, &folder);
    return find(reading, reading->migrations, configured == TOOL_CONFIGURED_UNCLEAR ? folder.said : NULL);
}

/* What went wrong in a folder that the user named is said with the name of that option. */
static int blame(const struct migrations_ask *ask, struct err *err)
{
    if (ask->folder_what && err->code == ERR_USAGE)
        err_set(err, ERR_USAGE, "%s: %s", ask->folder_what, err->text);
    return -1;
}

static int refuse_others(const struct tool *tool, struct err *err)
{
    glob_t found = {.gl_pathc = 0};
    int result = 0;
    if (tool->others && glob(tool->others, 0, NULL, &found) == 0)
        result = err_set(err, ERR_USAGE,
                         "%s: %s is of another database, into which lockstep does not look; --applied-if '%s' "
                         "(LOCKSTEP_APPLIED_IF) asks %s itself; or name the folders that count with " SAY_WHERE,
                         tool->name, found.gl_pathv[0], tool->others_remedy, tool->title);
    globfree(&found);
    return result;
}

int migrations_read(struct migrations *migrations, const struct migrations_ask *ask, struct err *err)
{
    struct reading reading = {.tool = ask->tool, .migrations = migrations, .err = err};
    int result = compile(&reading, ask);
    *migrations = (struct migrations){.list = NULL};
    if (result == 0 && !ask->folder)
        result = refuse_others(ask->tool, err);
    if (result == 0 && ask->folder)
        result = read_set(&reading, ask->folder) == 0 ? 0 : blame(ask, err);
    else if (result == 0)
        result = read_by_itself(&reading, ask);
    if (result == 0)
        result = migrations_check_strangers(&reading);
    if (result == 0)
        result = migrations_hash(migrations, ask->tool, err);
    if (result == 0)
        result = migrations_name_newest(migrations, err);
    if (result != 0)
        migrations_free(migrations);
    if (reading.has_pattern)
        regfree(&reading.pattern);
    if (reading.has_except)
        regfree(&reading.except);
    return result;
}
