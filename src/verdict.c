#include "verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct id {
    const char *text;
    enum tool_ids ids;
    size_t index; /* in the image's list */
};

/* What is worked on; freed as one. */
struct work {
    const struct migrations *image;
    struct id *own; /* the image's ids, sorted */
    struct id *rows;
    size_t row_count;
    char *texts;       /* of the rows, as migrations_id writes them */
    const char *limit; /* the highest "<=N", NULL = none */
    bool *there;       /* by index in the image's list */
    bool *certain;     /* the same: it is a row itself, or comes behind one */
    bool *known;       /* by index in `rows` */
    size_t *stack;     /* of revisions whose parents are still to be marked */
    const char **names;
};

static int by_id(const void *a, const void *b)
{
    const struct id *x = a;
    const struct id *y = b;
    return migrations_compare(x->ids, x->text, y->text);
}

static void work_free(struct work *work)
{
    free(work->own);
    free(work->rows);
    free(work->texts);
    free(work->there);
    free(work->certain);
    free(work->known);
    free(work->stack);
    free(work->names);
}

static int work_make(struct work *work, const struct migrations *image, const char *const *rows, size_t count)
{
    size_t bytes = 1;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(rows[i]) + 1;
    *work = (struct work){
        .image = image,
        .own = calloc(image->count + 1, sizeof *work->own),
        .rows = calloc(count + 1, sizeof *work->rows),
        .texts = malloc(bytes),
        .there = calloc(image->count + 1, sizeof *work->there),
        .certain = calloc(image->count + 1, sizeof *work->certain),
        .known = calloc(count + 1, sizeof *work->known),
        .stack = calloc(image->count + 1, sizeof *work->stack),
        .names = calloc(image->count + count + 1, sizeof *work->names),
    };
    bool made = work->own && work->rows && work->texts && work->there && work->certain && work->known && work->stack &&
                work->names;
    return made ? 0 : -1;
}

/* Writes all ids the same way and sorts them; "<=N" rows come to one limit. */
static void work_fill(struct work *work, const char *const *rows, size_t count)
{
    enum tool_ids ids = work->image->ids;
    char *text = work->texts;
    for (size_t i = 0; i < work->image->count; i++)
        work->own[i] = (struct id){work->image->list[i].id, ids, i};
    for (size_t i = 0; i < count; i++) {
        bool is_limit = strncmp(rows[i], "<=", 2) == 0;
        migrations_id(ids, rows[i] + (is_limit ? 2 : 0), text);
        if (!is_limit)
            work->rows[work->row_count++] = (struct id){text, ids, 0};
        else if (!work->limit || migrations_compare(ids, text, work->limit) > 0)
            work->limit = text;
        text += strlen(text) + 1;
    }
    qsort(work->own, work->image->count, sizeof *work->own, by_id);
    qsort(work->rows, work->row_count, sizeof *work->rows, by_id);
}

/* Goes through both sorted lists at once. Of twins in the image each needs a row of its own; a row that is there twice
 * is still known. */
static void match(struct work *work)
{
    const struct id *own = work->own;
    size_t row = 0;
    for (size_t i = 0; i < work->image->count;) {
        size_t first = i, found = 0;
        while (row < work->row_count && by_id(&work->rows[row], &own[first]) < 0)
            row++;
        for (; row < work->row_count && by_id(&work->rows[row], &own[first]) == 0; row++, found++)
            work->known[row] = true;
        for (; i < work->image->count && by_id(&own[i], &own[first]) == 0; i++)
            work->there[own[i].index] =
                i - first < found || (work->limit && migrations_covers(own->ids, work->limit, own[i].text));
    }
}

/* A checkpoint with a row stands for all before it; where others have rows it is left out by the tool. */
static void mark_checkpoints(struct work *work)
{
    const struct id *newest = NULL;
    bool is_empty = work->row_count == 0 && !work->limit;
    for (size_t i = 0; i < work->image->count; i++)
        if (work->image->list[work->own[i].index].checkpoint && work->there[work->own[i].index])
            newest = &work->own[i];
    for (size_t i = 0; i < work->image->count; i++) {
        const struct id *own = &work->own[i];
        work->there[own->index] |=
            (newest && by_id(own, newest) < 0) || (!is_empty && work->image->list[own->index].checkpoint);
    }
}

static size_t index_of(const struct work *work, const char *id)
{
    const struct id key = {id, TOOL_TEXT, 0};
    const struct id *found = bsearch(&key, work->own, work->image->count, sizeof *work->own, by_id);
    return found ? found->index : work->image->count;
}

/* A revision is there with all that it follows. */
static void mark_ancestors(struct work *work)
{
    size_t depth = 0;
    memcpy(work->certain, work->there, work->image->count * sizeof *work->certain);
    for (size_t i = 0; i < work->image->count; i++)
        if (work->there[i])
            work->stack[depth++] = i;
    while (depth > 0) {
        const struct migration *migration = &work->image->list[work->stack[--depth]];
        for (char **parent = migration->parents; parent && *parent; parent++) {
            size_t index = index_of(work, *parent);
            if (index < work->image->count && !work->there[index]) {
                work->there[index] = true;
                work->stack[depth++] = index;
            }
        }
    }
}

/* Whether a parent of the migration is a row or comes behind one. */
static bool follows_row(const struct work *work, const struct migration *migration)
{
    for (char **parent = migration->parents; *parent; parent++) {
        size_t index = index_of(work, *parent);
        if (index < work->image->count && work->certain[index])
            return true;
    }
    return false;
}

/* A head that the image does not know may stand for revisions of the image that it followed, but not for one behind a
 * row: the tool replaces a row by what comes behind it. */
static void mark_descendants(struct work *work)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < work->image->count; i++)
            if (!work->there[i] && !work->certain[i] && follows_row(work, &work->image->list[i]))
                work->certain[i] = more = true;
    }
}

/* Whether the id has a rank among others, and is no text. */
static bool is_version(const struct id *id)
{
    return migrations_covers(id->ids, id->text, id->text);
}

/* A repeatable migration has a text for its id; that the database has another version of it means nothing when it also
 * has newer versions than the image. */
static bool is_replaced_by_newer(const struct work *work)
{
    const struct migrations *image = work->image;
    const struct id *newest = NULL;
    if (image->ids != TOOL_VERSION)
        return false;
    for (size_t i = 0; i < image->count; i++) {
        if (!is_version(&work->own[i]))
            continue;
        if (!work->there[work->own[i].index])
            return false;
        newest = &work->own[i];
    }
    for (size_t i = 0; i < work->row_count; i++)
        if (!work->known[i] && is_version(&work->rows[i]) && (!newest || by_id(&work->rows[i], newest) > 0))
            return true;
    return false;
}

/* Writes as many of `count` names as have room: "a, b and 3 more". */
static void list_names(char *text, size_t capacity, const char *const *names, size_t count)
{
    enum { MORE = sizeof " and 18446744073709551615 more" };
    size_t length = 0, shown = 0;
    *text = '\0';
    for (; shown < count && (shown == 0 || length + strlen(names[shown]) + MORE + 2 < capacity); shown++) {
        const char *between = shown == 0 ? "" : shown + 1 < count ? ", " : " and ";
        snprintf(text + length, capacity - MORE - length, "%s%s", between, names[shown]);
        length = strlen(text);
    }
    if (shown < count)
        snprintf(text + length, capacity - length, " and %zu more", count - shown);
}

/* A limit is news only if it is above all that the image has: Flyway's baseline has no file. */
static bool is_limit_unknown(const struct work *work)
{
    for (size_t i = 0; work->limit && i < work->image->count; i++) {
        const struct id *own = &work->own[i];
        if (is_version(own) && migrations_compare(own->ids, own->text, work->limit) >= 0)
            return false;
    }
    return work->limit;
}

static void conclude(struct verdict *verdict, struct work *work)
{
    *verdict = (struct verdict){.applied = false};
    if (is_limit_unknown(work))
        work->names[verdict->unknown++] = work->limit;
    for (size_t i = 0; i < work->row_count; i++)
        if (!work->known[i])
            work->names[verdict->unknown++] = work->rows[i].text;
    list_names(verdict->unknown_ids, sizeof verdict->unknown_ids, work->names, verdict->unknown);
    bool has_newer_head = verdict->unknown > 0 && work->image->count > 0 && work->image->list[0].parents;
    bool has_newer_version = is_replaced_by_newer(work);
    if (has_newer_head)
        mark_descendants(work);
    for (size_t i = 0; i < work->image->count; i++)
        if (!work->there[i] && !has_newer_version && !(has_newer_head && !work->certain[i]))
            work->names[verdict->missing++] = migrations_name(&work->image->list[i]);
    list_names(verdict->missing_ids, sizeof verdict->missing_ids, work->names, verdict->missing);
    verdict->applied = verdict->missing == 0;
    verdict->ahead = verdict->applied && verdict->unknown > 0;
}

int verdict_find(struct verdict *verdict, const struct migrations *image, const char *const *rows, size_t count)
{
    struct work work;
    int result = work_make(&work, image, rows, count);
    if (result == 0) {
        work_fill(&work, rows, count);
        match(&work);
        mark_checkpoints(&work);
        if (image->count > 0 && image->list[0].parents)
            mark_ancestors(&work);
        conclude(verdict, &work);
    }
    work_free(&work);
    return result;
}
