/* Sqitch: sqitch.plan lists the changes, one a line. */
#include "migrations_internal.h"
#include "tool_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r"

struct seen {
    const char *name;
    size_t index; /* in the list */
};

static int by_name_and_place(const void *a, const void *b)
{
    const struct seen *x = a;
    const struct seen *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* A reworked change stands there again under its name: the second is NAME#2, as the query counts the rows. */
static int number_reworked(struct reading *reading)
{
    struct migrations *migrations = reading->migrations;
    struct seen *seen = calloc(migrations->count + 1, sizeof *seen);
    if (!seen)
        return migrations_no_memory(reading->err);
    for (size_t i = 0; i < migrations->count; i++)
        seen[i] = (struct seen){migrations->list[i].name, i};
    qsort(seen, migrations->count, sizeof *seen, by_name_and_place);
    int result = 0;
    size_t nth = 1;
    for (size_t i = 1; result == 0 && i < migrations->count; i++) {
        nth = strcmp(seen[i].name, seen[i - 1].name) == 0 ? nth + 1 : 1;
        char **id = &migrations->list[seen[i].index].id;
        char *numbered = NULL;
        if (nth == 1)
            continue;
        if (asprintf(&numbered, "%s#%zu", *id, nth) < 0)
            result = migrations_no_memory(reading->err);
        free(*id);
        *id = result == 0 ? numbered : NULL;
    }
    free(seen);
    for (size_t i = 0; i < migrations->count; i++) { /* served as the key above; people know the id */
        free(migrations->list[i].name);
        migrations->list[i].name = NULL;
    }
    return result;
}

/* A line is a comment, a pragma, a tag, or a change: its name, and behind a blank what it needs and who planned it. */
static int add_line(struct reading *reading, const char *folder, char *line)
{
    static const char project[] = "%project=";
    char file[PATH_CAPACITY];
    line += strspn(line, BLANKS);
    if (strncmp(line, project, sizeof project - 1) == 0 && !reading->migrations->project) {
        const char *value = line + sizeof project - 1;
        reading->migrations->project = strndup(value, strcspn(value, BLANKS));
        return reading->migrations->project ? 0 : migrations_no_memory(reading->err);
    }
    if (*line == '+') /* deploys, as a change without a sign does */
        line += 1 + strspn(line + 1, BLANKS);
    line[strcspn(line, BLANKS)] = '\0';
    if (!*line || strchr("%#@-", *line))
        return 0;
    snprintf(file, sizeof file, "%s/deploy/%s.sql", folder, line);
    return migrations_add(reading, line, strlen(line), line, file, NULL);
}

void migrations_plan_path(const struct tool *tool, const char *folder, char path[PATH_CAPACITY])
{
    if (!tool_configured_plan(tool, path, PATH_CAPACITY))
        snprintf(path, PATH_CAPACITY, "%s/sqitch.plan", folder);
}

int migrations_read_plan(struct reading *reading, const char *folder)
{
    char path[PATH_CAPACITY];
    int result = 0;
    migrations_plan_path(reading->tool, folder, path);
    char *text = migrations_load(path, NULL, reading->err);
    if (!text)
        return -1;
    for (char *line = text, *next; line && result == 0; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        result = add_line(reading, folder, line);
    }
    free(text);
    if (result == 0 && !reading->migrations->project)
        return err_set(reading->err, ERR_USAGE, "%s is no plan of Sqitch's: it has no line %%project=NAME", path);
    return result == 0 ? number_reworked(reading) : result;
}
