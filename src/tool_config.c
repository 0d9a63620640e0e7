/* What each tool's configuration says, and where. */
#include "tool_config.h"

#include "tool_config_internal.h"

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES_MAX 12
#define STRING    "[ \t\n]*[:=][ \t\n]*[\"'`]([^\"'`]+)[\"'`]"
#define INI(key)  "\n[ \t]*" key "[ \t]*[:=][ \t]*[\"']?([^\n\"'#]*[^\n\"'# \t])"
/* Over several lines, perhaps. */
#define LIST(key)  "\n[ \t]*" key "[ \t]*[:=]([^\n]*(\n[ \t]+[^\n]*[^] \t\n][^\n]*)*)"
#define SEPARATORS "\"'`[], \t\n"
#define RECURSIVE  INI("recursive_version_locations") /* Alembic's */

/* The first group that matches in an expression is what it looks for; NULL = the tool configures it nowhere that is
 * understood. */
static const struct config {
    const char *tool;
    const char *files[FILES_MAX]; /* the first that is there, or that has the key, counts; NAME.* = with the extension
                                     of a script, and that only */
    const char *block, *block_variable; /* files with a part for each environment: the one that counts, and the tool's
                                           own variable for it */
    struct config_key folders;          /* counts before `folder` */
    struct config_key folder;
    const char *folder_source; /* the key of the source files' folder: counts if the other is not there */
    const char *schema, *table;
    bool is_dotted;      /* the table may be SCHEMA.TABLE */
    const char *schemas; /* a list, of which the first counts if `schema` says nothing */
    const char *tree;    /* "true" or "**" if the folders below count too */
    const char *plan;    /* the path of Sqitch's plan */
} configs[] = {
    {.tool = "alembic",
     .files = {"alembic.ini", "pyproject.toml"},
     .folders = {.name = "version_locations", .is_list = true, .is_package = true, .may_lack = true},
     .folder = {.name = "script_location", .is_package = true, .below = "versions"},
     .tree = RECURSIVE},
    {.tool = "db-migrate", .files = {".db-migraterc"}, .folder = {.name = "migrations-dir"}},
    {.tool = "doctrine",
     .files = {"migrations.php", "migrations.yaml", "migrations.yml", "migrations.json",
               "config/packages/doctrine_migrations.yaml", "config/packages/doctrine_migrations.yml",
               "config/packages/doctrine_migrations.php"},
     .folder = {.name = "migrations_paths", .is_list = true}},
    {.tool = "drizzle",
     .files = {"drizzle.config.ts", "drizzle.config.*"},
     .folder = {.name = "out"},
     .schema = "migrations[\"']?[ \t\n]*:[ \t\n]*\\{[^}]*schema[\"']?" STRING,
     .table = "migrations[\"']?[ \t\n]*:[ \t\n]*\\{[^}]*table[\"']?" STRING},
    {.tool = "flask",
     .files = {"migrations/alembic.ini"},
     .folders = {.name = "version_locations", .is_list = true, .is_package = true, .may_lack = true},
     .folder = {.name = "script_location", .is_package = true, .below = "versions"},
     .tree = RECURSIVE},
    {.tool = "flyway",
     .files = {"flyway.toml", "flyway.conf", "conf/flyway.toml", "conf/flyway.conf"},
     .folder = {.name = "(flyway\\.)?locations", .is_list = true, .may_lack = true},
     .schema = INI("flyway\\.defaultSchema") "|" INI("defaultSchema"),
     .table = INI("flyway\\.table") "|" INI("table"),
     .schemas = LIST("flyway\\.schemas") "|" LIST("schemas")},
    {.tool = "graphile-migrate",
     .files = {".gmrc", ".gmrc.*"},
     .folder = {.name = "migrationsFolder", .below = "committed"}},
    {.tool = "knex",
     .files = {"knexfile.*"},
     .block = "development",
     .block_variable = "NODE_ENV",
     .folder = {.object = "migrations", .name = "directory"},
     .schema = "[ \t\n{,]schemaName" STRING,
     .schemas = "[ \t\n{,]searchPath[ \t\n]*:[ \t\n]*(\\[[^]]*\\]|[\"'`][^\"'`]+)",
     .table = "[ \t\n{,]tableName" STRING},
    {.tool = "kysely",
     .files = {"kysely.config.*", ".config/kysely.config.*"},
     .folder = {.object = "migrations", .name = "migrationFolder", .is_beside = true}},
    {.tool = "mikro-orm",
     .files = {"mikro-orm.config.*", "src/mikro-orm.config.*", "dist/mikro-orm.config.*"},
     .folder = {.object = "migrations", .name = "path"},
     .folder_source = "pathTs",
     .schema = "[ \t\n{,]schema" STRING,
     .is_dotted = true,
     .table = "[ \t\n{,]tableName" STRING},
    {.tool = "phinx",
     .files = {"phinx.php", "phinx.yml", "phinx.yaml", "phinx.json"},
     .folder = {.object = "paths", .name = "migrations", .is_list = true}},
    {.tool = "prisma",
     .files = {"prisma.config.*", ".config/prisma.*"},
     .folder = {.object = "migrations", .name = "path", .is_beside = true}},
    {.tool = "sequelize",
     .files = {"config/config.*", "config/database.*", ".sequelizerc"},
     .block = "development",
     .block_variable = "NODE_ENV",
     .folder = {.name = "migrations-path"},
     .schema = "migrationStorageTableSchema[\"']?" STRING,
     .table = "migrationStorageTableName[\"']?" STRING},
    {.tool = "sqitch",
     .files = {"sqitch.conf"},
     .folder = {.name = "top_dir"},
     .schema = INI("registry"),
     .plan = INI("plan_file")},
    {.tool = "sql-migrate",
     .files = {"dbconfig.yml"},
     .block = "production", /* as the preset's command says */
     .folder = {.name = "dir"},
     .schema = INI("schema"),
     .table = INI("table")},
    {.tool = "typeorm",
     .files = {"dist/data-source.*", "dist/src/data-source.*", "data-source.*", "src/data-source.*",
               "dist/app-data-source.*", "app-data-source.*", "src/app-data-source.*", "ormconfig.*",
               "dist/*data-source.*", "*data-source.*", "src/*data-source.*"},
     .folder = {.name = "migrations", .is_pattern = true, .may_lack = true},
     .schema = "[ \t\n{,][\"']?schema[\"']?" STRING,
     .table = "migrationsTableName[\"']?" STRING,
     .tree = "[^A-Za-z_]migrations[\"']?[ \t\n]*[:=][ \t\n]*\\[[^]]*[^]*](\\*\\*)/"},
    {.tool = "yoyo",
     .files = {"yoyo.ini"},
     .folder = {.name = "sources", .is_list = true},
     .table = INI("migration_table")},
};

/* Alembic has its table's name in the environment script. */
static const struct config environment_script = {.schema = "[^a-z_]version_table_schema" STRING,
                                                 .table = "[^a-z_]version_table" STRING};

#define COLONS_SEPARATE "\n[ \t]*(version_)?path_separator[ \t]*[:=][ \t]*(os|:)"

static const struct config *config_of(const struct tool *tool)
{
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++)
        if (strcmp(configs[i].tool, tool->name) == 0)
            return &configs[i];
    return NULL;
}

/* One file after the other. */
struct files {
    int next; /* index of the next */
    char path[PATH_CAPACITY];
    char unclear[512]; /* why what is there does not say anything; "" = it does */
    char *text;
};

/* Adds the files that the pattern stands for. */
static void find_files(const char *pattern, glob_t *found)
{
    static const char *const extensions[] = {"js", "cjs", "mjs", "ts", "mts", "cts", "json"};
    char path[128];
    size_t length = strlen(pattern);
    *found = (glob_t){.gl_pathc = 0};
    if (length < 2 || strcmp(pattern + length - 2, ".*") != 0) {
        glob(pattern, GLOB_APPEND, NULL, found);
        return;
    }
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        snprintf(path, sizeof path, "%.*s%s", (int)length - 1, pattern, extensions[i]);
        glob(path, GLOB_APPEND, NULL, found);
    }
}

static bool is_same_name(const char *a, const char *b)
{
    size_t length = (size_t)(strrchr(a, '.') - a) + 1;
    return strncmp(a, b, length) == 0 && !strchr(b + length, '.');
}

/* Loads the file that was found; of several with different names nobody knows which is meant. */
static void load_one(struct files *files, const glob_t *found)
{
    struct err err;
    snprintf(files->path, sizeof files->path, "%s", found->gl_pathv[0]);
    for (size_t i = 1; i < found->gl_pathc && !files->unclear[0]; i++)
        if (!is_same_name(files->path, found->gl_pathv[i]))
            snprintf(files->unclear, sizeof files->unclear, "%.200s and %.200s may both be meant", files->path,
                     found->gl_pathv[i]);
    if (!files->unclear[0] && !(files->text = config_load(files->path, &err)))
        snprintf(files->unclear, sizeof files->unclear, "%s", err.text);
    if (files->unclear[0])
        files->text = strdup("\n");
}

/* Reads the next of the files of `config` that is there, and of its environment only; false behind the last one. */
static bool next_file(const struct config *config, tool_variable *variable, struct files *files)
{
    const char *name = variable && config->block_variable ? variable(config->block_variable) : NULL;
    name = name && *name ? name : config->block;
    free(files->text);
    files->text = NULL;
    while (!files->text && files->next < FILES_MAX && config->files[files->next]) {
        glob_t found;
        find_files(config->files[files->next++], &found);
        if (found.gl_pathc > 0)
            load_one(files, &found);
        globfree(&found);
    }
    if (files->text && name)
        files->text = config_narrow(files->text, name);
    return files->text;
}

/* env.py: where the configuration says, else in the script location that `folder` may be, else above it. */
static char *load_environment_script(const struct config *config, const char *folder)
{
    char path[PATH_CAPACITY], directory[VALUE_CAPACITY];
    struct config_key location = config->folder;
    struct files files = {.next = 0};
    struct err unread;
    char *script = NULL;
    location.below = NULL;
    while (!script && next_file(config, NULL, &files))
        if (config_folders(&location, files.path, files.text, directory, sizeof directory) == TOOL_CONFIGURED_NAMED) {
            snprintf(path, sizeof path, "%s/env.py", directory);
            script = config_load(path, &unread);
        }
    free(files.text);
    for (int up = 0; !script && up < 2; up++) {
        snprintf(path, sizeof path, "%s/%senv.py", folder, up ? "../" : "");
        script = config_load(path, &unread);
    }
    return script;
}

/* Writes the schema that `text` names, "" if it names none. */
static void read_schema(const struct config *config, const char *text, char *schema, size_t capacity)
{
    char list[VALUE_CAPACITY];
    if (config_extract(text, config->schema, schema, capacity) ||
        !config_extract(text, config->schemas, list, sizeof list))
        return;
    const char *first = list + strspn(list, SEPARATORS);
    if (*first != '$') /* "$user" is no schema's name */
        snprintf(schema, capacity, "%.*s", (int)strcspn(first, SEPARATORS), first);
}

int tool_configured_table(const struct tool *tool, tool_variable *variable, const char *folder, char *schema,
                          size_t schema_capacity, char *table, size_t table_capacity)
{
    const struct config *config = config_of(tool);
    struct files files = {.next = 0};
    *schema = *table = '\0';
    if (!config)
        return 0;
    if (tool->source == TOOL_SCRIPTS) {
        files.text = load_environment_script(config, folder);
        config = &environment_script;
    } else {
        next_file(config, variable, &files);
    }
    if (!files.text)
        return 0;
    config_extract(files.text, config->table, table, table_capacity);
    read_schema(config, files.text, schema, schema_capacity);
    free(files.text);
    const char *dot = config->is_dotted ? strchr(table, '.') : NULL;
    if (dot) {
        snprintf(schema, schema_capacity, "%.*s", (int)(dot - table), table);
        memmove(table, dot + 1, strlen(dot));
    }
    return (*table != '\0') + (*schema != '\0');
}

/* Writes what `expression`, which may be NULL, finds in the first file that has it, else "". */
static void extract(const struct config *config, const char *expression, char *value, size_t capacity)
{
    struct files files = {.next = 0};
    *value = '\0';
    while (expression && !*value && next_file(config, NULL, &files))
        config_extract(files.text, expression, value, capacity);
    free(files.text);
}

bool tool_configured_recursive(const struct tool *tool)
{
    const struct config *config = config_of(tool);
    char value[VALUE_CAPACITY];
    extract(config, config ? config->tree : NULL, value, sizeof value);
    return strcmp(value, "true") == 0 || strcmp(value, "**") == 0;
}

bool tool_configured_plan(const struct tool *tool, char *path, size_t capacity)
{
    const struct config *config = config_of(tool);
    extract(config, config ? config->plan : NULL, path, capacity);
    return *path;
}

static enum tool_configured read_key(const struct config_key *key, const struct files *files,
                                     struct tool_folder *folder)
{
    enum tool_configured found = key->name
                                     ? config_folders(key, files->path, files->text, folder->path, sizeof folder->path)
                                     : TOOL_CONFIGURED_NOT;
    folder->may_lack = key->may_lack;
    if (found == TOOL_CONFIGURED_NAMED)
        snprintf(folder->said, sizeof folder->said, "%.500s", files->path);
    if (found == TOOL_CONFIGURED_UNCLEAR) {
        const char *behind_choice = strrchr(key->name, '?'); /* of an expression, (flyway\.)?locations */
        snprintf(folder->said, sizeof folder->said, "%s%s%s in %.300s is no literal", key->object ? key->object : "",
                 key->object ? "." : "", behind_choice ? behind_choice + 1 : key->name, files->path);
    }
    return found;
}

static enum tool_configured read_folder(const struct config *config, const struct files *files,
                                        struct tool_folder *folder)
{
    struct config_key source = config->folder;
    struct tool_folder of_source;
    char unused[16];
    if (files->unclear[0]) {
        snprintf(folder->said, sizeof folder->said, "%s", files->unclear);
        return TOOL_CONFIGURED_UNCLEAR;
    }
    struct config_key folders = config->folders;
    folders.by_colons = folders.name && config_extract(files->text, COLONS_SEPARATE, unused, sizeof unused);
    enum tool_configured found = read_key(&folders, files, folder);
    if (found == TOOL_CONFIGURED_NOT)
        found = read_key(&config->folder, files, folder);
    source.name = config->folder_source;
    if (found == TOOL_CONFIGURED_UNCLEAR || (found == TOOL_CONFIGURED_NAMED && access(folder->path, F_OK) == 0) ||
        read_key(&source, files, &of_source) != TOOL_CONFIGURED_NAMED || access(of_source.path, F_OK) != 0)
        return found;
    *folder = of_source;
    return TOOL_CONFIGURED_NAMED;
}

enum tool_configured tool_configured_folder(const struct tool *tool, tool_variable *variable,
                                            struct tool_folder *folder)
{
    const struct config *config = config_of(tool);
    struct files files = {.next = 0};
    enum tool_configured found = TOOL_CONFIGURED_NOT;
    while (config && found == TOOL_CONFIGURED_NOT && next_file(config, variable, &files))
        found = read_folder(config, &files, folder);
    free(files.text);
    return found;
}
