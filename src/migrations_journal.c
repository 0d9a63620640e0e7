/* Drizzle: meta/_journal.json lists the migrations, each with the time that the database keeps. */
#include "migrations_internal.h"

#include <cjson/cJSON.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int add_entry(struct reading *reading, const char *folder, const char *path, const cJSON *entry)
{
    char raw[32], file[PATH_CAPACITY];
    const cJSON *when = cJSON_GetObjectItemCaseSensitive(entry, "when");
    const cJSON *tag = cJSON_GetObjectItemCaseSensitive(entry, "tag");
    if (!cJSON_IsNumber(when) || !cJSON_IsString(tag) || when->valuedouble < 0 || when->valuedouble > 1e18)
        return err_set(reading->err, ERR_USAGE, "%s: an entry without \"when\" (a number) and \"tag\" (a string)",
                       path);
    int length = snprintf(raw, sizeof raw, "%.0f", when->valuedouble);
    snprintf(file, sizeof file, "%s/%s.sql", folder, tag->valuestring);
    return migrations_add(reading, raw, (size_t)length, tag->valuestring, file, NULL);
}

bool migrations_has_journal_folders(const char *folder)
{
    char pattern[PATH_CAPACITY];
    glob_t found = {.gl_pathc = 0};
    snprintf(pattern, sizeof pattern, "%s/meta/_journal.json", folder);
    if (access(pattern, F_OK) == 0)
        return false;
    snprintf(pattern, sizeof pattern, "%s/*/snapshot.json", folder);
    glob(pattern, 0, NULL, &found);
    size_t count = found.gl_pathc;
    globfree(&found);
    return count > 0;
}

int migrations_read_journal(struct reading *reading, const char *folder)
{
    char path[PATH_CAPACITY];
    size_t length;
    if (migrations_has_journal_folders(folder))
        return err_set(reading->err, ERR_USAGE,
                       "%s has a folder for each migration and no meta/_journal.json, the layout of Drizzle 1.0, which "
                       "lockstep does not read; right would be --applied-if CMD (LOCKSTEP_APPLIED_IF), or without "
                       "--tool --target-files '%s/*/migration.sql' (LOCKSTEP_TARGET_FILES)",
                       folder, folder);
    snprintf(path, sizeof path, "%s/meta/_journal.json", folder);
    char *text = migrations_load(path, &length, reading->err);
    if (!text)
        return -1;
    cJSON *journal = cJSON_ParseWithLength(text, length);
    free(text);
    const cJSON *entries = cJSON_GetObjectItemCaseSensitive(journal, "entries");
    const cJSON *entry;
    int result = cJSON_IsArray(entries) ? 0
                                        : err_set(reading->err, ERR_USAGE, "%s is not a journal of Drizzle's: %s", path,
                                                  journal ? "it has no \"entries\"" : "it is not JSON");
    cJSON_ArrayForEach(entry, entries)
    {
        if (result == 0)
            result = add_entry(reading, folder, path, entry);
    }
    cJSON_Delete(journal);
    return result;
}
