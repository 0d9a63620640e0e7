/* Migrations that are files, or folders with a file in them. */
#include "migrations_internal.h"
#include "tool_config_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16 /* a link that leads back up ends here */

bool migrations_ends_with(const char *name, const char *end)
{
    size_t length = strlen(name);
    return length >= strlen(end) && strcmp(name + length - strlen(end), end) == 0;
}

static bool is_noise(const char *name)
{
    return *name == '.' || migrations_ends_with(name, ".d.ts") || migrations_ends_with(name, ".d.mts") ||
           migrations_ends_with(name, ".d.cts");
}

int migrations_stat(struct reading *reading, const char *path, struct stat *status)
{
    struct stat link;
    *status = (struct stat){.st_mode = 0};
    if (stat(path, status) == 0)
        return 0;
    int failure = errno;
    *status = (struct stat){.st_mode = 0};
    if (failure != ENOENT)
        return err_set(reading->err, ERR_USAGE, "%s cannot be read: %s", path, strerror(failure));
    if (lstat(path, &link) == 0)
        return err_set(reading->err, ERR_USAGE, "%s is a link to what is not there; was that left out of the image?",
                       path);
    return 0;
}

/* 1 or 0; a link to nothing is none. */
static int is_folder(struct reading *reading, const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0)
        return S_ISDIR(status.st_mode);
    return errno == EACCES ? migrations_stat(reading, path, &status) : 0;
}

static int walk(struct reading *reading, const char *folder, int depth,
                int (*visit)(struct reading *reading, const char *path, const char *name))
{
    char path[PATH_CAPACITY];
    int result = 0;
    DIR *directory = opendir(folder);
    if (!directory)
        return err_set(reading->err, ERR_USAGE, "%s cannot be read: %s", folder, strerror(errno));
    const struct dirent *entry;
    while (result == 0 && (entry = readdir(directory))) { /* NOLINT(concurrency-mt-unsafe): one stream, one thread */
        if (is_noise(entry->d_name) ||
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= sizeof path)
            continue;
        result = depth > 0 ? is_folder(reading, path) : 0;
        if (result >= 0)
            result = result ? walk(reading, path, depth - 1, visit) : visit(reading, path, entry->d_name);
    }
    closedir(directory);
    return result;
}

int migrations_walk(struct reading *reading, const char *folder, bool deep,
                    int (*visit)(struct reading *reading, const char *path, const char *name))
{
    return walk(reading, folder, deep ? DEPTH_MAX : 0, visit);
}

/* Flyway runs a repeatable migration again when its checksum is another: over the lines without their ends, as a
 * signed number. The id is its path below the location and that. */
static int add_repeatable(struct reading *reading, const char *path)
{
    static const char mark[] = "\xef\xbb\xbf";
    char raw[PATH_CAPACITY + 16];
    size_t length;
    uint32_t crc = 0;
    char *content = migrations_load(path, &length, reading->err);
    if (!content)
        return -1;
    for (size_t i = strncmp(content, mark, 3) == 0 ? 3 : 0; i < length; i++)
        if (content[i] != '\n' && content[i] != '\r')
            crc = digest_crc32(crc, content + i, 1);
    free(content);
    const char *script = path + strlen(reading->root) + 1;
    int size = snprintf(raw, sizeof raw, "%s#%d", script, (int32_t)crc);
    return migrations_add(reading, raw, (size_t)size, NULL, path, NULL);
}

/* Adds the ids that `expression` finds in the script's text. */
static int add_found(struct reading *reading, const char *path, const char *text, const char *expression)
{
    regex_t compiled;
    regmatch_t groups[2];
    int result = 0;
    if (regcomp(&compiled, expression, REG_EXTENDED) != 0)
        return 0;
    for (; result == 0 && regexec(&compiled, text, 2, groups, 0) == 0; text += groups[0].rm_eo)
        result = migrations_add(reading, text + groups[1].rm_so, (size_t)(groups[1].rm_eo - groups[1].rm_so), NULL,
                                path, NULL);
    regfree(&compiled);
    return result;
}

/* A script whose name tells no id; what is in it may. */
static int visit_other(struct reading *reading, const char *path, const char *name)
{
    struct stat status;
    size_t before = reading->migrations->count;
    const char *extension = strrchr(name, '.');
    int result = 0;
    if (reading->tool->content[0] && !reading->is_own_pattern && extension && migrations_is_script(extension + 1)) {
        if (migrations_stat(reading, path, &status) != 0)
            return -1;
        char *text = S_ISREG(status.st_mode) ? config_load(path, reading->err) : NULL;
        if (!text)
            return S_ISREG(status.st_mode) ? -1 : 0;
        for (int i = 0; i < TOOL_CONTENTS && result == 0 && reading->migrations->count == before; i++)
            result = add_found(reading, path, text, reading->tool->content[i]);
        free(text);
    }
    migrations_note(reading, path, name, reading->migrations->count > before);
    return result;
}

static int visit_file(struct reading *reading, const char *path, const char *name)
{
    regmatch_t group;
    struct stat status;
    bool repeats = reading->tool->repeatable && strncmp(name, "R__", 3) == 0 && migrations_ends_with(name, ".sql");
    if (!migrations_matches(reading, name, &group) && !repeats)
        return visit_other(reading, path, name);
    if (migrations_stat(reading, path, &status) != 0)
        return -1;
    if (!S_ISREG(status.st_mode))
        return 0;
    migrations_note(reading, path, name, true);
    if (repeats)
        return add_repeatable(reading, path);
    return migrations_add(reading, name + group.rm_so, (size_t)(group.rm_eo - group.rm_so), NULL, path, NULL);
}

static int visit_folder(struct reading *reading, const char *path, const char *name)
{
    char file[PATH_CAPACITY];
    regmatch_t group;
    struct stat status;
    const struct tool *tool = reading->tool;
    if (!migrations_matches(reading, name, &group) ||
        (size_t)snprintf(file, sizeof file, "%s/%s", path, tool->inside) >= sizeof file)
        return 0;
    if (migrations_stat(reading, path, &status) != 0)
        return -1;
    if (!S_ISDIR(status.st_mode)) {
        migrations_note(reading, path, name, false);
        return 0;
    }
    if (migrations_stat(reading, file, &status) != 0)
        return -1;
    if (!S_ISREG(status.st_mode))
        return err_set(reading->err, ERR_USAGE,
                       "%s has no %s, which %s would refuse; add the file or remove the folder", path, tool->inside,
                       tool->title);
    return migrations_add(reading, name + group.rm_so, (size_t)(group.rm_eo - group.rm_so), NULL, file, NULL);
}

int migrations_read_folder(struct reading *reading, const char *folder)
{
    enum tool_source source = reading->tool->source;
    bool is_deep = source == TOOL_TREE || (source == TOOL_FILES && tool_configured_recursive(reading->tool));
    return migrations_walk(reading, folder, is_deep, source == TOOL_FOLDERS ? visit_folder : visit_file);
}
