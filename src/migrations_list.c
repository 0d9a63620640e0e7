/* The list of an image's migrations: adding to it, its order, twins, its hash. */
#include "migrations_internal.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int migrations_no_memory(struct err *err)
{
    return err_set(err, ERR_SYSTEM, "out of memory");
}

static void free_one(struct migration *migration)
{
    free(migration->id);
    free(migration->name);
    free(migration->file);
    for (char **parent = migration->parents; parent && *parent; parent++)
        free(*parent);
    free(migration->parents);
}

int migrations_add(struct reading *reading, const char *raw, size_t length, const char *name, const char *file,
                   char **parents)
{
    struct migrations *migrations = reading->migrations;
    struct migration new = {.parents = parents, .id = malloc(length + 1), .file = strdup(file)};
    char *copy = strndup(raw, length);
    bool failed = !new.id || !new.file || !copy || (name && !(new.name = strdup(name)));
    if (!failed && migrations->count == reading->capacity) {
        size_t capacity = reading->capacity ? 2 * reading->capacity : 64;
        struct migration *list = realloc(migrations->list, capacity * sizeof *list);
        failed = !list;
        migrations->list = list ? list : migrations->list;
        reading->capacity = list ? capacity : reading->capacity;
    }
    if (failed) {
        free(copy);
        free_one(&new);
        return migrations_no_memory(reading->err);
    }
    migrations_id(migrations->ids, copy, new.id);
    free(copy);
    migrations->list[migrations->count++] = new;
    return 0;
}

char *migrations_load(const char *path, size_t *length, struct err *err)
{
    struct stat status;
    char *text = NULL;
    size_t size = 0;
    ssize_t n = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &status) == 0 && (text = malloc((size_t)status.st_size + 1))) {
        while ((n = read(fd, text + size, (size_t)status.st_size - size)) > 0)
            size += (size_t)n;
        text[size] = '\0';
    }
    int failure = errno;
    if (fd >= 0)
        close(fd);
    if (n < 0) {
        free(text);
        err_set(err, ERR_USAGE, "%s cannot be read: %s", path, strerror(failure));
        return NULL;
    }
    if (length)
        *length = size;
    return text;
}

static int by_id(enum tool_ids ids, const struct migration *a, const struct migration *b)
{
    int order = migrations_compare(ids, a->id, b->id);
    return order ? order : strcmp(a->file, b->file);
}

static int by_text(const void *a, const void *b)
{
    return by_id(TOOL_TEXT, a, b);
}

static int by_plain(const void *a, const void *b)
{
    return by_id(TOOL_PLAIN, a, b);
}

static int by_number(const void *a, const void *b)
{
    return by_id(TOOL_NUMBER, a, b);
}

static int by_version(const void *a, const void *b)
{
    return by_id(TOOL_VERSION, a, b);
}

bool migrations_is_script(const char *extension)
{
    size_t length = strlen(extension);
    return (length == 2 || length == 3) &&
           (strcmp(extension + length - 2, "js") == 0 || strcmp(extension + length - 2, "ts") == 0);
}

/* One compiled to the other lies beside it: a.ts and a.js. */
static bool is_compiled(const char *a, const char *b)
{
    const char *dot = strrchr(a, '.');
    size_t stem = dot ? (size_t)(dot - a) + 1 : 0;
    return dot && strncmp(a, b, stem) == 0 && migrations_is_script(dot + 1) && migrations_is_script(b + stem);
}

static bool is_one(const struct reading *reading, const struct migration *a, const struct migration *b)
{
    return strcmp(a->id, b->id) == 0 && (reading->tool->twins == TOOL_TWINS_ONE || is_compiled(a->file, b->file));
}

/* Twins are neighbours now. */
static int refuse_twins(const struct reading *reading)
{
    const struct migration *list = reading->migrations->list;
    for (size_t i = 1; reading->tool->twins == TOOL_TWINS_WRONG && i < reading->migrations->count; i++)
        if (strcmp(list[i].id, list[i - 1].id) == 0 && !is_one(reading, &list[i - 1], &list[i]))
            return err_set(reading->err, ERR_USAGE,
                           "%s and %s are two migrations with one id, %s: only one of them would ever be applied",
                           list[i - 1].file, list[i].file, list[i].id);
    return 0;
}

static void drop_twins(const struct reading *reading)
{
    struct migration *list = reading->migrations->list;
    size_t kept = 0;
    for (size_t i = 0; i < reading->migrations->count; i++) {
        if (kept > 0 && is_one(reading, &list[kept - 1], &list[i]))
            free_one(&list[i]);
        else
            list[kept++] = list[i];
    }
    reading->migrations->count = kept;
}

int migrations_sort(struct reading *reading)
{
    static int (*const orders[])(const void *, const void *) = {
        [TOOL_TEXT] = by_text, [TOOL_PLAIN] = by_plain, [TOOL_NUMBER] = by_number, [TOOL_VERSION] = by_version};
    struct migrations *migrations = reading->migrations;
    if (migrations->count == 0 || reading->tool->source == TOOL_JOURNAL || reading->tool->source == TOOL_PLAN)
        return 0; /* the order of the file is the tool's */
    qsort(migrations->list, migrations->count, sizeof *migrations->list, orders[migrations->ids]);
    if (refuse_twins(reading) != 0)
        return -1;
    drop_twins(reading);
    return 0;
}

/* A length before each part, so that no two different lists hash the same bytes. */
static void add_part(struct digest *digest, const char *bytes, size_t length)
{
    uint64_t prefix = htobe64(length);
    digest_add(digest, &prefix, sizeof prefix);
    digest_add(digest, bytes, length);
}

/* Whether `text`, which may be NULL, has a line that begins with `words`. */
static bool has_line(const char *text, const char *words)
{
    for (; text; text = strchr(text, '\n')) {
        text += *text == '\n';
        if (strncmp(text, words, strlen(words)) == 0)
            return true;
    }
    return false;
}

int migrations_hash(struct migrations *migrations, const struct tool *tool, struct err *err)
{
    unsigned char hash[DIGEST_SIZE];
    struct digest *digest = digest_begin();
    if (!digest)
        return migrations_no_memory(err);
    int result = 0;
    for (size_t i = 0; result == 0 && i < migrations->count; i++) {
        struct migration *migration = &migrations->list[i];
        size_t length = 0;
        bool may_lack =
            (tool->source == TOOL_JOURNAL || tool->source == TOOL_PLAN) && access(migration->file, F_OK) != 0;
        char *content = may_lack ? NULL : migrations_load(migration->file, &length, err);
        result = content || may_lack ? 0 : -1;
        add_part(digest, migration->id, strlen(migration->id));
        add_part(digest, content ? content : "", length);
        migration->checkpoint = tool->checkpoint && has_line(content, tool->checkpoint);
        free(content);
    }
    digest_end(digest, hash);
    digest_hex(hash, 4, migrations->hash);
    return result;
}

void migrations_free(struct migrations *migrations)
{
    for (size_t i = 0; i < migrations->count; i++)
        free_one(&migrations->list[i]);
    free(migrations->list);
    free(migrations->folder);
    free(migrations->project);
    *migrations = (struct migrations){.list = NULL};
}
