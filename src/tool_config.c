#include "tool_config.h"

#include "migrations_internal.h"

#include <glob.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 4
#define STRING    "[ \t\n]*[:=][ \t\n]*[\"'`]([^\"'`]+)[\"'`]"
#define INI(key)  "\n[ \t]*" key "[ \t]*[:=][ \t]*[\"']?([^\n\"'#]*[^\n\"'# \t])"

/* Group 1 of each expression is what it looks for; NULL = the tool configures it nowhere that is understood. */
static const struct config {
    const char *tool;
    const char *files[FILES_MAX]; /* glob patterns; the first file that is there counts */
    const char *folder, *schema, *table;
} configs[] = {
    {"alembic", {"alembic.ini", "migrations/alembic.ini", NULL}, INI("script_location"), NULL, NULL},
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

/* Alembic has its table's name in the environment script, beside the folder `versions`. */
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

/* As load, of the first file that is there. */
static char *load_first(const struct config *config, char *path, size_t capacity)
{
    char *text = NULL;
    for (int i = 0; !text && i < FILES_MAX && config->files[i]; i++) {
        glob_t found = {.gl_pathc = 0};
        if (glob(config->files[i], 0, NULL, &found) == 0) {
            snprintf(path, capacity, "%s", found.gl_pathv[0]);
            text = load(path);
        }
        globfree(&found);
    }
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

int tool_configured_table(const struct tool *tool, const char *folder, char *schema, size_t schema_capacity,
                          char *table, size_t table_capacity)
{
    char path[4096];
    const struct config *config = config_of(tool);
    char *text = NULL;
    *schema = *table = '\0';
    if (config && tool->source == TOOL_SCRIPTS) {
        config = &environment_script;
        snprintf(path, sizeof path, "%s/../env.py", folder);
        text = load(path);
    } else if (config) {
        text = load_first(config, path, sizeof path);
    }
    if (!text)
        return 0;
    int found =
        extract(text, config->schema, schema, schema_capacity) + extract(text, config->table, table, table_capacity);
    free(text);
    return found;
}

/* alembic.ini says where env.py is, as it is said in Python: "%(here)s/db" from the file, "app:db" in a package. */
static void spell_script_location(const char *path, const char *value, char *folder, size_t capacity)
{
    static const char here[] = "%(here)s";
    const char *slash = strrchr(path, '/');
    char *colon;
    if (strncmp(value, here, sizeof here - 1) == 0)
        snprintf(folder, capacity, "%.*s%s/versions", slash ? (int)(slash - path) : 1, slash ? path : ".",
                 value + sizeof here - 1);
    else
        snprintf(folder, capacity, "%s/versions", value);
    if ((colon = strchr(folder, ':'))) {
        *colon = '/';
        while (colon > folder)
            if (*--colon == '.')
                *colon = '/';
    }
}

int tool_configured_folder(const struct tool *tool, char *folder, size_t capacity)
{
    char path[4096], value[1024];
    const struct config *config = config_of(tool);
    char *text = config && config->folder ? load_first(config, path, sizeof path) : NULL;
    int found = text ? extract(text, config->folder, value, sizeof value) : 0;
    free(text);
    if (!found)
        return -1;
    if (tool->source == TOOL_SCRIPTS)
        spell_script_location(path, value, folder, capacity);
    else
        snprintf(folder, capacity, "%s", strncmp(value, "./", 2) == 0 ? value + 2 : value);
    return 0;
}
