#include "tool_config.h"

#include "migrations_internal.h"

#include <glob.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX      4
#define VALUE_CAPACITY 1024
#define STRING         "[ \t\n]*[:=][ \t\n]*[\"'`]([^\"'`]+)[\"'`]"
#define INI(key)       "\n[ \t]*" key "[ \t]*[:=][ \t]*[\"']?([^\n\"'#]*[^\n\"'# \t])"

/* Group 1 of each expression is what it looks for; NULL = the tool configures it nowhere that is understood. */
static const struct config {
    const char *tool;
    const char *files[FILES_MAX]; /* glob patterns; the first file that is there counts */
    const char *folder, *schema, *table;
} configs[] = {
    {"alembic", {"alembic.ini", "migrations/alembic.ini", "pyproject.toml"}, INI("script_location"), NULL, NULL},
    {"drizzle",
     {"drizzle.config.*", NULL},
     "[\"' \t\n{,]out[\"']?" STRING,
     "migrations[\"']?[ \t\n]*:[ \t\n]*\\{[^}]*schema[\"']?" STRING,
     "migrations[\"']?[ \t\n]*:[ \t\n]*\\{[^}]*table[\"']?" STRING},
    {"knex",
     {"knexfile.*", NULL},
     "migrations[ \t\n]*:[ \t\n]*\\{[^}]*directory" STRING,
     "[ \t\n{,]schemaName" STRING,
     "[ \t\n{,]tableName" STRING},
    {"mikro-orm",
     {"mikro-orm.config.*", "src/mikro-orm.config.*", "dist/mikro-orm.config.*", NULL},
     NULL,
     NULL,
     "migrations[ \t\n]*:[ \t\n]*\\{[^}]*tableName" STRING},
    {"prisma",
     {"prisma.config.*", ".config/prisma.*", NULL},
     "migrations[ \t\n]*:[ \t\n]*\\{[^}]*path" STRING,
     NULL,
     NULL},
    {"sql-migrate", {"dbconfig.yml", NULL}, INI("dir"), INI("schema"), INI("table")},
    {"typeorm",
     {"ormconfig.*", "*data-source.[jt]s", "src/*data-source.[jt]s", "dist/*data-source.js"},
     NULL,
     NULL,
     "migrationsTableName[\"']?" STRING},
};

/* Where Alembic's migrations are if they are not in the folder `versions` beside its environment script: an option of
 * the same file, over several lines perhaps, or a TOML array. */
#define VERSION_LOCATIONS "\n[ \t]*version_locations[ \t]*[:=]([^\n]*(\n[ \t]+[^\n]*[^] \t\n][^\n]*)*)"
#define COLONS_SEPARATE   "\n[ \t]*(version_)?path_separator[ \t]*[:=][ \t]*(os|:)"

/* Alembic has its table's name in the environment script. */
static const struct config environment_script = {
    "alembic", {NULL}, NULL, "[^a-z_]version_table_schema" STRING, "[^a-z_]version_table" STRING};

static const struct config *config_of(const struct tool *tool)
{
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++)
        if (strcmp(configs[i].tool, tool->name) == 0)
            return &configs[i];
    return NULL;
}

/* Blanks out lines that are a comment: what was switched off is the likeliest second mention of a name. */
static void drop_comments(char *text)
{
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += strspn(line, " \t\r\n");
        if (*line == '#' || *line == ';' || strncmp(line, "//", 2) == 0)
            memset(line, ' ', strcspn(line, "\n"));
    }
}

/* The text of the file, with a line feed before it, so that every line begins behind one. The caller frees. */
static char *load(const char *path)
{
    struct err unused;
    char *content = migrations_load(path, NULL, &unused);
    char *text = NULL;
    if (content && asprintf(&text, "\n%s", content) < 0)
        text = NULL;
    free(content);
    if (text)
        drop_comments(text + 1);
    return text;
}

/* Writes group 1 of `expression`, "" if it is nowhere in `text`; 1 or 0. */
static int extract(const char *text, const char *expression, char *value, size_t capacity)
{
    regex_t compiled;
    regmatch_t groups[2];
    *value = '\0';
    if (!expression || regcomp(&compiled, expression, REG_EXTENDED) != 0)
        return 0;
    int failed = regexec(&compiled, text, 2, groups, 0);
    regfree(&compiled);
    if (failed || (size_t)(groups[1].rm_eo - groups[1].rm_so) >= capacity)
        return 0;
    memcpy(value, text + groups[1].rm_so, (size_t)(groups[1].rm_eo - groups[1].rm_so));
    value[groups[1].rm_eo - groups[1].rm_so] = '\0';
    return 1;
}

/* The text of the first of the tool's files that is there, and says `expression` unless that is NULL; its path. The
 * caller frees. */
static char *load_first(const struct config *config, const char *expression, char *path, size_t capacity)
{
    char value[VALUE_CAPACITY], *text = NULL;
    for (int i = 0; !text && i < FILES_MAX && config->files[i]; i++) {
        glob_t found = {.gl_pathc = 0};
        if (glob(config->files[i], 0, NULL, &found) == 0) {
            snprintf(path, capacity, "%s", found.gl_pathv[0]);
            text = load(path);
        }
        globfree(&found);
        if (text && expression && !extract(text, expression, value, sizeof value)) {
            free(text);
            text = NULL;
        }
    }
    return text;
}

/* Writes the path that `value`, `length` bytes in the file `config`, stands for, as it is said in Python: "%(here)s/db"
 * from that file, "app:db" in a package. */
static void spell_location(const char *config, const char *value, size_t length, char *path, size_t capacity)
{
    static const char here[] = "%(here)s";
    const char *slash = strrchr(config, '/');
    size_t skipped = strncmp(value, here, sizeof here - 1) == 0 ? sizeof here - 1 : 0;
    char *colon;
    if (skipped)
        snprintf(path, capacity, "%.*s%.*s", slash ? (int)(slash - config) : 1, slash ? config : ".",
                 (int)(length - skipped), value + skipped);
    else
        snprintf(path, capacity, "%.*s", (int)length, value);
    if ((colon = strchr(path, ':'))) {
        *colon = '/';
        while (colon > path)
            if (*--colon == '.')
                *colon = '/';
    }
}

/* Writes the folders of `list` with commas between. Returns -1 if there are none, or no room. */
static int spell_locations(const char *config, const char *list, bool colons, char *folders, size_t capacity)
{
    const char *separators = colons ? ":\"'[], \t\r\n" : "\"'[], \t\r\n";
    size_t used = 0, length;
    for (const char *item = list + strspn(list, separators); *item;
         item += length + strspn(item + length, separators)) {
        length = strcspn(item, separators);
        if (used + strlen(config) + length + 2 > capacity)
            return -1;
        if (used)
            folders[used++] = ',';
        spell_location(config, item, length, folders + used, capacity - used);
        used += strlen(folders + used);
    }
    return used ? 0 : -1;
}

static char *load_environment_script(const struct config *config, const char *folder)
{
    char path[4096], value[VALUE_CAPACITY], directory[VALUE_CAPACITY];
    char *text = load_first(config, config->folder, path, sizeof path);
    if (text && extract(text, config->folder, value, sizeof value)) {
        spell_location(path, value, strlen(value), directory, sizeof directory);
        snprintf(path, sizeof path, "%s/env.py", directory);
    } else {
        snprintf(path, sizeof path, "%s/../env.py", folder);
    }
    free(text);
    return load(path);
}

int tool_configured_table(const struct tool *tool, const char *folder, char *schema, size_t schema_capacity,
                          char *table, size_t table_capacity)
{
    char path[4096];
    const struct config *config = config_of(tool);
    char *text = NULL;
    *schema = *table = '\0';
    if (config && tool->source == TOOL_SCRIPTS) {
        text = load_environment_script(config, folder);
        config = &environment_script;
    } else if (config) {
        text = load_first(config, NULL, path, sizeof path);
    }
    if (!text)
        return 0;
    int found =
        extract(text, config->schema, schema, schema_capacity) + extract(text, config->table, table, table_capacity);
    free(text);
    return found;
}

/* Of Alembic's two options, the one that says where the migrations are. */
static int script_folders(const char *path, const char *text, const char *location, char *folders, size_t capacity)
{
    char list[VALUE_CAPACITY], value[VALUE_CAPACITY];
    if (extract(text, VERSION_LOCATIONS, list, sizeof list))
        return spell_locations(path, list, extract(text, COLONS_SEPARATE, value, sizeof value), folders, capacity);
    spell_location(path, location, strlen(location), value, sizeof value);
    snprintf(folders, capacity, "%s/versions", value);
    return 0;
}

int tool_configured_folder(const struct tool *tool, char *folder, size_t capacity)
{
    char path[4096], value[VALUE_CAPACITY];
    const struct config *config = config_of(tool);
    char *text = config && config->folder ? load_first(config, config->folder, path, sizeof path) : NULL;
    int result = text && extract(text, config->folder, value, sizeof value) ? 0 : -1;
    if (result == 0 && tool->source == TOOL_SCRIPTS)
        result = script_folders(path, text, value, folder, capacity);
    else if (result == 0)
        snprintf(folder, capacity, "%s", strncmp(value, "./", 2) == 0 ? value + 2 : value);
    free(text);
    return result;
}
