/* Migrations that are files, or folders with a file in them. */
#include "migrations_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 16 /* a link that leads back up ends here */

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name);
    return length >= strlen(end) && strcmp(name + length - strlen(end), end) == 0;
}

static bool is_noise(const char *name)
{
    return *name == '.' || ends_with(name, ".d.ts") || ends_with(name, ".d.mts") || ends_with(name, ".d.cts");
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
        struct stat status;
        if (is_noise(entry->d_name) ||
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= sizeof path)
            continue;
        bool is_deeper = depth > 0 && stat(path, &status) == 0 && S_ISDIR(status.st_mode);
        result = is_deeper ? walk(reading, path, depth - 1, visit) : visit(reading, path, entry->d_name);
    }
    closedir(directory);
    return result;
}

int migrations_walk(struct reading *reading, const char *folder, bool deep,
                    int (*visit)(struct reading *reading, const char *path, const char *name))
{
    return walk(reading, folder, deep ? DEPTH_MAX : 0, visit);
}

static uint32_t crc32_of(uint32_t crc, unsigned char byte)
{
    crc ^= byte;
    for (int bit = 0; bit < 8; bit++)
        crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    return crc;
}

/* Flyway runs a repeatable migration again when its checksum is another: over the lines without their ends, as a
 * signed number. The id is its path below the location and that. */
static int add_repeatable(struct reading *reading, const char *path)
{
    static const char mark[] = "\xef\xbb\xbf";
    char raw[PATH_CAPACITY + 16];
    size_t length;
    uint32_t crc = UINT32_MAX;
    char *content = migrations_load(path, &length, reading->err);
    if (!content)
        return -1;
    for (size_t i = strncmp(content, mark, 3) == 0 ? 3 : 0; i < length; i++)
        if (content[i] != '\n' && content[i] != '\r')
            crc = crc32_of(crc, (unsigned char)content[i]);
    free(content);
    const char *script = path + strlen(reading->root) + 1;
    int size = snprintf(raw, sizeof raw, "%s#%d", script, (int32_t)~crc);
    return migrations_add(reading, raw, (size_t)size, NULL, path, NULL);
}

static bool could_be_migration(const char *name)
{
    static const char *const ends[] = {".sql", ".js", ".cjs", ".mjs", ".ts", ".cts", ".mts",
                                       ".py",  ".rb", ".php", ".go",  ".rs", ".exs"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (ends_with(name, ends[i]))
            return true;
    return false;
}

static int visit_file(struct reading *reading, const char *path, const char *name)
{
    regmatch_t group;
    struct stat status;
    bool matches = migrations_matches(reading, name, &group);
    if (!matches && !reading->stranger[0] && could_be_migration(name))
        snprintf(reading->stranger, sizeof reading->stranger, "%s", path);
    bool repeats = reading->tool->repeatable && strncmp(name, "R__", 3) == 0 && ends_with(name, ".sql");
    if ((!repeats && !matches) || stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return 0;
    if (repeats)
        return add_repeatable(reading, path);
    return migrations_add(reading, name + group.rm_so, (size_t)(group.rm_eo - group.rm_so), NULL, path, NULL);
}

static int visit_folder(struct reading *reading, const char *path, const char *name)
{
    char file[PATH_CAPACITY];
    regmatch_t group;
    struct stat status;
    if (!migrations_matches(reading, name, &group) ||
        (size_t)snprintf(file, sizeof file, "%s/%s", path, reading->tool->inside) >= sizeof file)
        return 0;
    if (stat(file, &status) != 0 || !S_ISREG(status.st_mode))
        return errno == EACCES ? err_set(reading->err, ERR_USAGE, "%s cannot be read: %s", path, strerror(errno)) : 0;
    return migrations_add(reading, name + group.rm_so, (size_t)(group.rm_eo - group.rm_so), NULL, file, NULL);
}

int migrations_read_folder(struct reading *reading, const char *folder)
{
    return migrations_walk(reading, folder, reading->tool->source == TOOL_TREE,
                           reading->tool->source == TOOL_FOLDERS ? visit_folder : visit_file);
}
