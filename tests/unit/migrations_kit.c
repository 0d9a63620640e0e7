#include "migrations_kit.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void kit_make_of(const char *path, const char *content)
{
    char folder[300];
    for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        mkdir(folder, 0755);
    }
    unit_file(path, content, 0644);
}

void kit_make(const char *path)
{
    kit_make_of(path, "");
}

void kit_make_all(const char *const files[], size_t count)
{
    for (size_t i = 0; i < count && files[i]; i++)
        kit_make(files[i]);
}

void kit_fresh_directory(void)
{
    void *unused = NULL;
    assert_int_equal(unit_leave_directory(&unused) | unit_enter_directory(&unused), 0);
}

void kit_ids(const char *row, const char *tool, const char *folder, char *ids, size_t capacity)
{
    struct err err = {.text = ""};
    struct migrations migrations;
    size_t length = 0;
    *ids = '\0';
    int result =
        migrations_read(&migrations, &(struct migrations_ask){.tool = tool_find(tool), .folder = folder}, &err);
    CHECK_TEXT(row, err.text, "");
    CHECK_NUMBER(row, result, 0);
    for (size_t i = 0; i < migrations.count && length < capacity; i++)
        length += (size_t)snprintf(ids + length, capacity - length, "%s ", migrations.list[i].id);
    migrations_free(&migrations);
}

void kit_refusal(const char *row, const char *tool, const char *folder, char text[512])
{
    struct err err = {.text = ""};
    struct migrations migrations;
    CHECK_NUMBER(
        row, migrations_read(&migrations, &(struct migrations_ask){.tool = tool_find(tool), .folder = folder}, &err),
        -1);
    CHECK_NUMBER(row, err.code, ERR_USAGE);
    strcpy(text, err.text);
}
