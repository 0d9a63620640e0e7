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
/* Over several lines, perhaps. */
#define LIST(key)  "\n[ \t]*" key "[ \t]*[:=]([^\n]*(\n[ \t]+[^\n]*[^] \t\n][^\n]*)*)"
#define SEPARATORS "\"'`[], \t\n"

/* The first group that matches in an expression is what it looks for; NULL = the tool configures it nowhere that is
 * understood. */
static const struct config {
    const char *tool;
    const char *files[FILES_MAX];       /* glob patterns; the first file that is there counts */
    const char *block, *block_variable; /* files with a part for each environment: the one that counts, and the tool's
                                           own variable for it */
    const char *folder, *schema, *table;
    const char *folders, *schemas; /* lists; of schemas the first counts, if `schema` says nothing */
} configs[] = {
    {.tool = "alembic",
     .files = {"alembic.ini", "pyproject.toml"},
     .folder = INI("script_location"),
     .folders = LIST("version_locations")},
    {.tool = "drizzle",
     .files = {"drizzle.config.*"},
     .folder = "[\"' \t\n{,]out[\"']?" STRING,
     .schema = "migrations[\"']?[ \t\n]*:[ \t\n]*\\{[^}]*schema[\"']?" STRING,
     .table = "migrations[\"']?[ \t\n]*:[ \t\n]*\\{[^}]*table[\"']?" STRING},
    {.tool = "flyway",
     .files = {"flyway.toml", "flyway.conf", "conf/flyway.toml", "conf/flyway.conf"},
     .schema = INI("flyway\\.defaultSchema") "|" INI("defaultSchema"),
     .table = INI("flyway\\.table") "|" INI("table"),
     .folders = LIST("flyway\\.locations") "|" LIST("locations"),
     .schemas = LIST("flyway\\.schemas") "|" LIST("schemas")},
    {.tool = "flask",
     .files = {"migrations/alembic.ini"},
     .folder = INI("script_location"),
     .folders = LIST("version_locations")},
    {.tool = "knex",
     .files = {"knexfile.*"},
     .block = "development",
     .block_variable = "NODE_ENV",
     .folder = "migrations[ \t\n]*:[ \t\n]*\\{[^}]*directory" STRING,
     .schema = "[ \t\n{,]schemaName" STRING,
     .schemas = "[ \t\n{,]searchPath[ \t\n]*:[ \t\n]*(\\[[^]]*\\]|[\"'`][^\"'`]+)",
     .table = "[ \t\n{,]tableName" STRING},
    {.tool = "mikro-orm",
     .files = {"mikro-orm.config.*", "src/mikro-orm.config.*", "dist/mikro-orm.config.*"},
     .table = "migrations[ \t\n]*:[ \t\n]*\\{[^}]*tableName" STRING},
    {.tool = "prisma",
     .files = {"prisma.config.*", ".config/prisma.*"},
     .folder = "migrations[ \t\n]*:[ \t\n]*\\{[^}]*path" STRING},
    {.tool = "sequelize",
     .files = {"config/config.js*", "config/database.js*", ".sequelizerc"},
     .block = "development",
     .block_variable = "NODE_ENV",
     .folder = "migrations-path[\"']?" STRING,
     .schema = "migrationStorageTableSchema[\"']?" STRING,
     .table = "migrationStorageTableName[\"']?" STRING},
    {.tool = "sqitch", .files = {"sqitch.conf"}, .folder = INI("top_dir"), .schema = INI("registry")},
    {.tool = "sql-migrate",
     .files = {"dbconfig.yml"},
     .block = "production", /* as the preset's command says */
     .folder = INI("dir"),
     .schema = INI("schema"),
     .table = INI("table")},
    {.tool = "typeorm",
     .files = {"ormconfig.*", "*data-source.[jt]s", "src/*data-source.[jt]s", "dist/*data-source.js"},
     .schema = "[ \t\n{,][\"']?schema[\"']?" STRING,
     .table = "migrationsTableName[\"']?" STRING},
    {.tool = "yoyo", .files = {"yoyo.ini"}, .folder = INI("sources"), .table = INI("migration_table")},
};

/* Alembic has its table's name in the environment script. */
static const struct config environment_script = {.schema = "[^a-z_]version_table_schema" STRING,
                                                 .table = "[^a-z_]version_table" STRING};

#define COLONS_SEPARATE "\n[ \t]*(version_)?path_separator[ \t]*[:=][ \t]*(os|:)"
#define RECURSIVE       INI("recursive_version_locations")

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

static void drop_carriage_returns(char *text)
{
    char *out = text;
    for (; *text; text++)
        if (*text != '\r')
            *out++ = *text;
    *out = '\0';
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
    if (text) {
        drop_carriage_returns(text);
        drop_comments(text + 1);
    }
    return text;
}

/* Writes what `expression` looks for, "" if it is nowhere in `text` or worked out by code; 1 or 0. */
static int extract(const char *text, const char *expression, char *value, size_t capacity)
{
    regex_t compiled;
    regmatch_t groups[5];
    *value = '\0';
    if (!expression || regcomp(&compiled, expression, REG_EXTENDED) != 0)
        return 0;
    int failed = regexec(&compiled, text, 5, groups, 0);
    regfree(&compiled);
    size_t group = 1;
    while (!failed && groups[group].rm_so < 0)
        group++;
    size_t length = failed ? capacity : (size_t)(groups[group].rm_eo - groups[group].rm_so);
    if (length >= capacity)
        return 0;
    memcpy(value, text + groups[group].rm_so, length);
    value[length] = '\0';
    if (strstr(value, "${"))
        *value = '\0';
    return *value != '\0';
}

/* The end of the part that begins at `at`, behind its name and the colon: of the braces there, or of the lines that are
 * indented more than the name's, `indent`. */
static const char *end_of_block(const char *at, size_t indent)
{
    const char *brace = at + strspn(at, " \t\n");
    int depth = 0;
    if (*brace != '{') {
        const char *line = at + strcspn(at, "\n");
        while (*line && (line[1] == '\n' || strspn(line + 1, " \t") > indent))
            line += 1 + strcspn(line + 1, "\n");
        return line;
    }
    for (at = brace; *at; at++) {
        depth += *at == '{' ? 1 : *at == '}' ? -1 : 0;
        if (depth == 0)
            break;
    }
    return at;
}

/* Leaves only the part of the environment that counts, if there is one and it says all by itself. */
static void narrow(const struct config *config, tool_variable *variable, char *text)
{
    char expression[128];
    regex_t compiled;
    regmatch_t groups[2];
    const char *name = variable && config->block_variable ? variable(config->block_variable) : NULL;
    name = name && *name ? name : config->block;
    if (!name || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] ||
        (size_t)snprintf(expression, sizeof expression, "[\n{,]([ \t]*)[\"']?%s[\"']?[ \t]*:", name) >=
            sizeof expression ||
        regcomp(&compiled, expression, REG_EXTENDED) != 0)
        return;
    int failed = regexec(&compiled, text, 2, groups, 0);
    regfree(&compiled);
    if (failed)
        return;
    const char *begin = text + groups[0].rm_eo;
    const char *end = end_of_block(begin, (size_t)(groups[1].rm_eo - groups[1].rm_so));
    if (memmem(begin, (size_t)(end - begin), "...", 3))
        return;
    memmove(text, begin, (size_t)(end - begin));
    text[end - begin] = '\0';
}

/* The text of the first of the tool's files that is there, and says `expression` unless that is NULL; with its path and
 * what it says. The caller frees. `variable` may be NULL where the files have no parts for environments. */
static char *load_first(const struct config *config, tool_variable *variable, const char *expression,
                        char path[PATH_CAPACITY], char value[VALUE_CAPACITY])
{
    char *text = NULL;
    for (int i = 0; !text && i < FILES_MAX && config->files[i]; i++) {
        glob_t found = {.gl_pathc = 0};
        if (glob(config->files[i], 0, NULL, &found) == 0) {
            snprintf(path, PATH_CAPACITY, "%s", found.gl_pathv[0]);
            text = load(path);
            if (text)
                narrow(config, variable, text);
        }
        globfree(&found);
        if (text && expression && !extract(text, expression, value, VALUE_CAPACITY)) {
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

/* Writes the items of `list` with commas between; `config` is the file if they are spelt as Alembic's. Returns -1 if
 * there are none, or no room. */
static int join(const char *list, const char *separators, const char *config, char *text, size_t capacity)
{
    size_t used = 0, length;
    for (const char *item = list + strspn(list, separators); *item;
         item += length + strspn(item + length, separators)) {
        length = strcspn(item, separators);
        if (used + (config ? strlen(config) : 0) + length + 2 > capacity)
            return -1;
        if (used)
            text[used++] = ',';
        if (config)
            spell_location(config, item, length, text + used, capacity - used);
        else
            snprintf(text + used, capacity - used, "%.*s", (int)length, item);
        used += strlen(text + used);
    }
    return used ? 0 : -1;
}

/* env.py: where the configuration says, else in the script location that `folder` may be, else above it. */
static char *load_environment_script(const struct config *config, const char *folder)
{
    char path[PATH_CAPACITY], value[VALUE_CAPACITY], directory[VALUE_CAPACITY];
    char *text = config ? load_first(config, NULL, config->folder, path, value) : NULL, *script = NULL;
    if (text) {
        spell_location(path, value, strlen(value), directory, sizeof directory);
        snprintf(path, sizeof path, "%s/env.py", directory);
        script = load(path);
    }
    free(text);
    for (int up = 0; !script && up < 2; up++) {
        snprintf(path, sizeof path, "%s/%senv.py", folder, up ? "../" : "");
        script = load(path);
    }
    return script;
}

int tool_configured_table(const struct tool *tool, tool_variable *variable, const char *folder, char *schema,
                          size_t schema_capacity, char *table, size_t table_capacity)
{
    char path[PATH_CAPACITY], value[VALUE_CAPACITY];
    const struct config *config = config_of(tool);
    char *text = NULL;
    *schema = *table = '\0';
    if (tool->source == TOOL_SCRIPTS) {
        text = load_environment_script(config, folder);
        config = &environment_script;
    } else if (config) {
        text = load_first(config, variable, NULL, path, value);
    }
    if (!text)
        return 0;
    int found = extract(text, config->table, table, table_capacity);
    if (extract(text, config->schema, schema, schema_capacity)) {
        found++;
    } else if (extract(text, config->schemas, value, sizeof value)) {
        const char *first = value + strspn(value, SEPARATORS);
        snprintf(schema, schema_capacity, "%.*s", (int)strcspn(first, SEPARATORS), first);
        found += *schema != '\0';
    }
    free(text);
    return found;
}

bool tool_configured_recursive(const struct tool *tool)
{
    char path[PATH_CAPACITY], value[VALUE_CAPACITY];
    const struct config *config = config_of(tool);
    char *text = config ? load_first(config, NULL, RECURSIVE, path, value) : NULL;
    bool is_true = text && strcmp(value, "true") == 0;
    free(text);
    return is_true;
}

static int configured_folders(const struct tool *tool, const struct config *config, char *folders, size_t capacity)
{
    char path[PATH_CAPACITY], list[VALUE_CAPACITY], unused[16];
    bool is_alembic = tool->source == TOOL_SCRIPTS;
    char *text = load_first(config, NULL, config->folders, path, list);
    bool colons = text && is_alembic && extract(text, COLONS_SEPARATE, unused, sizeof unused);
    int result =
        text ? join(list, colons ? ":" SEPARATORS : SEPARATORS, is_alembic ? path : NULL, folders, capacity) : -1;
    free(text);
    return result;
}

int tool_configured_folder(const struct tool *tool, tool_variable *variable, char *folder, size_t capacity)
{
    char path[PATH_CAPACITY], value[VALUE_CAPACITY], directory[VALUE_CAPACITY];
    const struct config *config = config_of(tool);
    if (config && config->folders && configured_folders(tool, config, folder, capacity) == 0)
        return 0;
    char *text = config && config->folder ? load_first(config, variable, config->folder, path, value) : NULL;
    if (!text)
        return -1;
    free(text);
    if (tool->source == TOOL_SCRIPTS) {
        spell_location(path, value, strlen(value), directory, sizeof directory);
        snprintf(folder, capacity, "%s/versions", directory);
    } else {
        snprintf(folder, capacity, "%s", strncmp(value, "./", 2) == 0 ? value + 2 : value);
    }
    return 0;
}
