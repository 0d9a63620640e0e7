/* What people read of an image's migrations: the newest one, and all of them as one target. */
#include "migrations_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *migrations_name(const struct migration *migration)
{
    return migration->name ? migration->name : migration->id;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Copies as much as has room, whole characters of UTF-8 only: a database takes nothing else. */
static void copy_cut(char *out, size_t capacity, const char *text)
{
    size_t length = strnlen(text, capacity - 1);
    while (length > 0 && text[length] && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    memcpy(out, text, length);
    out[length] = '\0';
}

/* The last one; a repeatable one has no place in the order, and is it only if there is nothing else. */
static const struct migration *last(const struct migrations *migrations)
{
    for (size_t i = migrations->count; i-- > 0;)
        if (migrations_covers(migrations->ids, migrations->list[i].id, migrations->list[i].id))
            return &migrations->list[i];
    return &migrations->list[migrations->count - 1];
}

/* The revisions that no other follows: the first goes to `head`, how many there are to `heads`. */
static int find_heads(const struct migrations *migrations, const struct migration **head, size_t *heads,
                      struct err *err)
{
    size_t count = 0;
    for (size_t i = 0; i < migrations->count; i++)
        for (char **parent = migrations->list[i].parents; *parent; parent++)
            count++;
    char **followed = malloc((count + 1) * sizeof *followed);
    if (!followed)
        return migrations_no_memory(err);
    count = 0;
    for (size_t i = 0; i < migrations->count; i++)
        for (char **parent = migrations->list[i].parents; *parent; parent++)
            followed[count++] = *parent;
    qsort(followed, count, sizeof *followed, by_bytes);
    for (size_t i = 0; i < migrations->count; i++)
        if (!bsearch(&migrations->list[i].id, followed, count, sizeof *followed, by_bytes) && (*heads)++ == 0)
            *head = &migrations->list[i];
    free(followed);
    return 0;
}

int migrations_name_newest(struct migrations *migrations, struct err *err)
{
    const struct migration *newest = NULL;
    size_t heads = 0;
    *migrations->newest = '\0';
    if (migrations->count == 0)
        return 0;
    if (!migrations->list[0].parents)
        newest = last(migrations);
    else if (find_heads(migrations, &newest, &heads, err) != 0)
        return -1;
    if (!newest) /* the revisions go round in a circle: Alembic will say so */
        return 0;
    copy_cut(migrations->newest, sizeof migrations->newest - 24, migrations_name(newest));
    if (heads > 1)
        snprintf(migrations->newest + strlen(migrations->newest), 24, "+%zu", heads - 1);
    return 0;
}

void migrations_target(const struct migrations *migrations, const char *tool, char target[TARGET_CAPACITY])
{
    char name[64], newest[TARGET_CAPACITY - 64 - 64];
    copy_cut(name, sizeof name, tool);
    copy_cut(newest, sizeof newest, migrations->newest);
    if (migrations->count == 0)
        snprintf(target, TARGET_CAPACITY, "%s (no migrations)", name);
    else
        snprintf(target, TARGET_CAPACITY, "%s %s (%zu migration%s, %s)", name, newest, migrations->count,
                 migrations->count == 1 ? "" : "s", migrations->hash);
}
