/* What projects' configurations say: folder, table and schema, and what does not count. */
#include "tool_config.h"

#include "migrations_kit.h"
#include "unit.h"

#include <string.h>

static const char *no_variable(const char *name)
{
    (void)name;
    return NULL;
}

static const char *production(const char *name)
{
    return strcmp(name, "NODE_ENV") == 0 ? "production" : NULL;
}

static void check_folder(const char *row, const char *tool, tool_variable *variable, const char *expected)
{
    struct tool_folder folder;
    enum tool_configured found = tool_configured_folder(tool_find(tool), variable, &folder);
    CHECK_TEXT(row,
               found == TOOL_CONFIGURED_NAMED     ? folder.path
               : found == TOOL_CONFIGURED_UNCLEAR ? folder.said
                                                  : NULL,
               expected);
}

static void the_environments_own_part_counts(void **state)
{
    (void)state;
    kit_make_of("knexfile.js", "module.exports = {\n  development: { migrations: { directory: './d' } },\n"
                               "  production: {\n    migrations: { directory: './p' } } }");
    check_folder("production", "knex", production, "p");
    check_folder("development", "knex", no_variable, "d");
}

static void configuration_is_read(void **state)
{
    static const struct {
        const char *tool, *path, *content, *schema, *table;
    } rows[] = {
        {"drizzle", "drizzle.config.ts",
         "export default defineConfig({\n  out: './db/out', schema: \"./src/schema.ts\",\n"
         "  migrations: {\n    table: 'journal',\n    schema: 'meta' } })\n",
         "meta", "journal"},
        {"drizzle", "drizzle.config.ts", "export default { schema: './src/schema.ts' }", "", ""},
        {"drizzle", "drizzle.config.json", "{\"migrations\": {\"table\": \"j\"}}", "", "j"},
        {"drizzle", "drizzle.config.ts", "// migrations: { table: 'old' },\nexport default {}", "", ""},
        {"drizzle", "drizzle.config.ts", "migrations: { table: process.env.TABLE }", "", ""},
        {"knex", "knexfile.js", "module.exports = { migrations: { tableName: 'km', schemaName: \"s\" } }", "s", "km"},
        {"knex", "knexfile.ts", "const name = `km`; x({migrations: {tableName: name}})", "", ""},
        {"typeorm", "src/data-source.ts", "new DataSource({ migrationsTableName: 'tm' })", "", "tm"},
        {"sql-migrate", "dbconfig.yml", "production:\n  dialect: postgres\n  dir: db/m\n  table: ran # here\n", "",
         "ran"},
        {"alembic", "env.py",
         "def run():\n    context.configure(version_table=\"av\",\n      version_table_schema='s')", "s", "av"},
        {"alembic", "env.py", "context.configure(version_table_schema=target.schema)", "", ""},
        {"prisma", "prisma.config.ts", "migrations: { path: 'x' }", "", ""},
        {"flyway", "flyway.toml", "[flyway]\ntable = \"ft\"\nschemas = [\"fs\", \"x\"]\n", "fs", "ft"},
        {"flyway", "flyway.conf", "flyway.schemas=a,b\nflyway.defaultSchema=d\n", "d", ""},
        {"knex", "knexfile.js", "x({searchPath: ['kp', 'public']})", "kp", ""},
        {"knex", "knexfile.js", "x({searchPath: 'kp'})", "kp", ""},
        {"knex", "knexfile.js", "x({migrations: {tableName: `${app}_m`}})", "", ""},
        {"sequelize", "config/config.json",
         "{\"development\": {\"migrationStorageTableName\": \"sm\", \"migrationStorageTableSchema\": \"ss\"},\n"
         "\"production\": {\"migrationStorageTableName\": \"other\"}}",
         "ss", "sm"},
        {"sqitch", "sqitch.conf", "[engine \"pg\"]\n    registry = reg\n", "reg", ""},
        {"typeorm", "src/data-source.ts", "new DataSource({ type: 'postgres', schema: 'ts' })", "ts", ""},
        {"yoyo", "yoyo.ini", "[DEFAULT]\nmigration_table = ym\n", "", "ym"},
        {"mikro-orm", "mikro-orm.config.js", "x({schema: 'ms', migrations: {tableName: 'mm'}})", "ms", "mm"},
        {"mikro-orm", "mikro-orm.config.js", "x({schema: 'ms', migrations: {tableName: 'app.migr'}})", "app", "migr"},
        {"sequelize", "config/config.js", "const base = {migrationStorageTableName: 'b'};\nx({development: base})", "",
         "b"},
        {"mikro-orm", "mikro-orm.config.js", "x({migrations: {glob: '!(*.d).{js,ts}', tableName: 'mm'}})", "", "mm"},
        {"knex", "knexfile.js", "const migrations = {tableName: 'km'};\nx({development: {client: 'pg', migrations}})",
         "", "km"},
        {"knex", "knexfile.js", "x({searchPath: ['$user', 'public']})", "", ""},
        {"knex", "knexfile.js", "const trim = (s) => s.replace(/\\/*$/, '');\nx({tableName: 'km'})", "", "km"},
        {"yoyo", "yoyo.ini", "[DEFAULT]\nmigration_table = %(prefix)s_mig\n", "", ""},
        {"rails", "config/database.yml", "x: 1", "", ""},
    };
    char schema[64], table[64];
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        kit_fresh_directory();
        kit_make("versions/x");
        kit_make_of(rows[i].path, rows[i].content);
        int found = tool_configured_table(tool_find(rows[i].tool), no_variable, "versions", schema, sizeof schema,
                                          table, sizeof table);
        CHECK_TEXT(rows[i].content, schema, rows[i].schema);
        CHECK_TEXT(rows[i].content, table, rows[i].table);
        CHECK_NUMBER(rows[i].content, found, (*rows[i].schema != '\0') + (*rows[i].table != '\0'));
    }
}

static void configured_folders_are_read(void **state)
{
    static const struct {
        const char *tool, *path, *content, *folder; /* NULL = none */
    } rows[] = {
        {"drizzle", "drizzle.config.ts", "export default {\n out: './db/out' }", "db/out"},
        {"drizzle", "drizzle.config.ts", "export default {\n timeout: './db/out' }", NULL},
        {"knex", "knexfile.js", "{seeds: {directory: 's'}, migrations: {directory: './m'}}", "m"},
        {"prisma", "prisma.config.ts", "migrations: {\n  path: \"db/m\",\n}", "db/m"},
        {"alembic", "alembic.ini", "[alembic]\n# script_location = old\nscript_location = db/alembic\n",
         "db/alembic/versions"},
        {"alembic", "alembic.ini", "[alembic]\nscript_location = %(here)s/mig  \n", "mig/versions"},
        {"alembic", "alembic.ini", "[alembic]\nscript_location = app.db:mig\n", "app/db/mig/versions"},
        {"flask", "migrations/alembic.ini", "[alembic]\nscript_location = %(here)s\n", "migrations/versions"},
        {"alembic", "alembic.ini",
         "[alembic]\nscript_location = a\nversion_path_separator = os\nversion_locations = v:w\n", "v,w"},
        {"alembic", "alembic.ini", "[alembic]\r\nscript_location = db\r\nversion_locations =\r\n", "db/versions"},
        {"flyway", "flyway.toml", "[flyway]\nlocations = [\"filesystem:a\", \"filesystem:b\"]\n",
         "filesystem:a,filesystem:b"},
        {"flyway", "flyway.conf", "flyway.url=x\nflyway.locations=filesystem:a\n", "filesystem:a"},
        {"knex", "knexfile.js",
         "module.exports = {\n  production: { migrations: { directory: './p' } },\n  development: {\n migrations: {\n"
         "directory: './d' } } }",
         "d"},
        {"knex", "knexfile.js", "x = {development: {client: 'pg'},\n production: {migrations: {directory: './p'}}}",
         NULL},
        {"knex", "knexfile.js", "x({migrations: {directory: `${base}/m`}})",
         "migrations.directory in knexfile.js is no literal"},
        {"sequelize", ".sequelizerc", "module.exports = { 'migrations-path': 'db/m' }", "db/m"},
        {"sequelize", ".sequelizerc", "module.exports = { 'migrations-path': path.resolve('db', 'm') }", "db/m"},
        {"sequelize", ".sequelizerc", "module.exports = { 'migrations-path': path.join(__dirname, \"db\", `m`,) }",
         "db/m"},
        {"sequelize", ".sequelizerc", "module.exports = { 'migrations-path': path.join(base, 'm') }",
         "migrations-path in .sequelizerc is no literal"},
        {"sqitch", "sqitch.conf", "[core]\n\tengine = pg\n\ttop_dir = sql\n", "sql"},
        {"yoyo", "yoyo.ini", "[DEFAULT]\nsources = ./db/migs\n", "db/migs"},
        {"alembic", "alembic.ini", "[alembic]\nscript_location = a\nversion_locations = %(here)s/v w/x app:y\n",
         "v,w/x,app/y"},
        {"alembic", "alembic.ini",
         "[alembic]\nscript_location = a\npath_separator = os\nversion_locations = v:%(here)s/w\nx = 1\n", "v,w"},
        {"alembic", "alembic.ini",
         "[alembic]\nscript_location = a\nversion_locations =\n  v,\n  %(here)s/w\n\n[loggers]\nkeys = root\n", "v,w"},
        {"alembic", "pyproject.toml",
         "[tool.alembic]\nscript_location = \"%(here)s/a\"\nversion_locations = [\n    \"v\",\n    \"w\",\n]\n[x]\ny = "
         "1\n",
         "v,w"},
        {"alembic", "pyproject.toml", "[tool.alembic]\nscript_location = \"%(here)s/a\"\n", "a/versions"},
        {"sql-migrate", "dbconfig.yml", "development:\n  dir: \"m\"\n", "m"},
        {"sql-migrate", "dbconfig.yml",
         "development:\n  dir: d\n\nproduction:\n  dialect: postgres\n\n  dir: p\nx:\n  dir: e\n", "p"},
        {"yoyo", "yoyo.ini", "[DEFAULT]\nsources = %(here)s/a  %(here)s/b\n  c\nbatch_mode = on\n", "a,b,c"},
        {"yoyo", "yoyo.ini", "[DEFAULT]\nsources = %(top)s/a\n", "sources in yoyo.ini is no literal"},
        {"knex", "knexfile.js", "x({migrations: {directory: ['./m', './billing/m',]}})", "m,billing/m"},
        {"knex", "knexfile.js", "x({migrations: {directory: ['./m', other]}})",
         "migrations.directory in knexfile.js is no literal"},
        {"knex", "knexfile.js", "x({migrations: {extra: {a: 1}, stub: 'directory: x', directory: './m'}})", "m"},
        {"knex", "knexfile.js", "x({migrations: {directory: './m' + suffix}})",
         "migrations.directory in knexfile.js is no literal"},
        {"knex", "knexfile.js", "x({migrations: {directory: './m'\n    + '/n'}\n})", "m/n"},
        {"knex", "knexfile.js", "x({migrations: {...base, tableName: 't'}})",
         "migrations.directory in knexfile.js is no literal"},
        {"knex", "knexfile.js", "x({migrations: settings})", "migrations.directory in knexfile.js is no literal"},
        {"knex", "knexfile.js", "const migrations = {directory: './m'};\nx({migrations})", "m"},
        {"knex", "knexfile.js", "x({migrations: {tableName: 't'}})", NULL},
        {"mikro-orm", "mikro-orm.config.js", "x({migrations: {path: './dist/c', pathTs: './src/c'}})", "dist/c"},
        {"mikro-orm", "mikro-orm.config.js", "x({migrations: {pathTs: './there', path: './gone'}})", "there"},
        {"mikro-orm", "mikro-orm.config.js", "x({migrations: {path: dir(), pathTs: './there'}})",
         "migrations.path in mikro-orm.config.js is no literal"},
        {"typeorm", "src/data-source.ts", "x({migrations: ['db/changes/*.ts', 'db/changes/*.js']})", "db/changes"},
        {"typeorm", "dist/data-source.js", "x({migrations: [__dirname + '/migrations/*{.ts,.js}']})",
         "dist/migrations"},
        {"typeorm", "dist/data-source.js", "x({migrations: [path_1.default.join(__dirname, 'm', '*.js')]})", "dist/m"},
        {"typeorm", "dist/data-source.js", "x({migrations: [(0, node_path_1.join)(__dirname, '..', 'm', '*.js')]})",
         "m"},
        {"typeorm", "data-source.js", "x({migrations: [__dirname + '/../a/m/*.js']})", "../a/m"},
        {"typeorm", "dist/data-source.js", "x({migrations: [rejoin(__dirname, 'm', '*.js')]})",
         "migrations in dist/data-source.js is no literal"},
        {"typeorm", "dist/data-source.js", "x({migrations: [path.join(__dirname, 'm', '*.js')]})", "dist/m"},
        {"typeorm", "dist/data-source.js", "x({migrations: ['dist/m/**/*{.js,.ts}']})", "dist/m"},
        {"typeorm", "dist/data-source.js", "x({migrations: ['dist/**/migrations/*.js']})",
         "migrations in dist/data-source.js is no literal"},
        {"typeorm", "dist/data-source.js", "x({migrations: [First1700000000000]})",
         "migrations in dist/data-source.js is no literal"},
        {"typeorm", "dist/data-source.js", "x({migrations: []})", NULL},
        {"typeorm", "ormconfig.json", "{\"migrations\": [\"dist/m/*.js\"]}", "dist/m"},
        {"typeorm", "src/users-data-source.ts", "x({migrations: ['m/*.js']})", "m"},
        {"kysely", "kysely.config.ts", "x({migrations: {migrationFolder: 'db/m'}})", "db/m"},
        {"prisma", ".config/prisma.ts", "x({migrations: {path: '../db/m'}})", "db/m"},
        {"graphile-migrate", ".gmrc", "{ /* all */ \"migrationsFolder\": \"./db\" }", "db/committed"},
        {"graphile-migrate", ".gmrc.js", "module.exports = { migrationsFolder: `${__dirname}/db` }", "db/committed"},
        {"graphile-migrate", ".gmrc.js", "module.exports = { migrationsFolder: `${__dirname}/${db}` }",
         "migrationsFolder in .gmrc.js is no literal"},
        {"doctrine", "config/packages/doctrine_migrations.yaml",
         "doctrine_migrations:\n    migrations_paths:\n        # the app\n        'App\\Mig': "
         "'%kernel.project_dir%/src/Mig'\n"
         "        App\\Other: lib/Mig\n    enable_profiler: false\n",
         "src/Mig,lib/Mig"},
        {"doctrine", "migrations.php",
         "<?php return ['migrations_paths' => ['App\\Mig' => __DIR__ . '/src/Mig', 'B' => 'b'], 'x' => 1];",
         "src/Mig,b"},
        {"doctrine", "config/packages/doctrine_migrations.yaml",
         "doctrine_migrations:\n    migrations_paths:\n        App: '%env(MIGRATIONS)%'\n",
         "migrations_paths in config/packages/doctrine_migrations.yaml is no literal"},
        {"phinx", "phinx.yml", "paths:\n    migrations: '%%PHINX_CONFIG_DIR%%/db/m'\n    seeds: s\n", "db/m"},
        {"phinx", "phinx.yml", "paths:\n    migrations:\n        - a/m\n        - b/m\n    seeds: s\n", "a/m,b/m"},
        {"phinx", "phinx.php",
         "<?php return ['paths' => ['migrations' => '%%PHINX_CONFIG_DIR%%/db/m', 'seeds' => 's'], # here\n 'x' => []];",
         "db/m"},
        {"phinx", "phinx.php", "<?php return ['paths' => ['migrations' => $dir . '/m']];",
         "paths.migrations in phinx.php is no literal"},
        {"knex", "knexfile.js", "x({migrations: {directory: path.join(__dirname, '/db/m')}})", "db/m"},
        {"knex", "knexfile.js", "x({migrations: {directory: path.join('./', 'db//', '/./m')}})", "db/m"},
        {"knex", "knexfile.js", "x({migrations: {directory: path.resolve(__dirname, '/db/m')}})", "/db/m"},
        {"typeorm", "dist/src/data-source.js", "x({migrations: [(0, path_1.join)(__dirname, '/../m/*{.ts,.js}')]})",
         "dist/m"},
        {"typeorm", "data-source.js", "x({migrations: ['../../a/../m/*.js']})", "../../m"},
        {"kysely", ".config/kysely.config.ts", "x({migrations: {migrationFolder: '../db/m'}})", "db/m"},
        {"prisma", ".config/prisma.ts", "x({migrations: {path: path.join(__dirname, '..', 'db', 'm')}})", "db/m"},
        {"prisma", ".config/prisma.ts", "x({migrations: {path: path.resolve('db', 'm')}})", "db/m"},
        {"doctrine", "config/packages/doctrine_migrations.yaml",
         "doctrine_migrations:\n    migrations_paths:\n        App: src/Mig\n        B: '@PkgBundle/Migrations'\n",
         "migrations_paths in config/packages/doctrine_migrations.yaml is no literal"},
        {"doctrine", "migrations.php",
         "<?php return array('migrations_paths' => array('App' => __DIR__ . '/src/Mig'));", "src/Mig"},
        {"phinx", "phinx.php", "<?php return array('paths' => array('migrations' => 'db/m', 'seeds' => 's'));", "db/m"},
        {"flyway", "flyway.conf", "flyway.locations=filesystem:a,\\\n  filesystem:b\n", "filesystem:a,filesystem:b"},
        {"drizzle", "drizzle.config.ts", "const clean = (out: string) => out.trim();\nx({ out: './db/out' })",
         "db/out"},
        {"typeorm", "dist/data-source.js",
         "exports.migrations = exports.Source = void 0;\nexports.migrations = ['dist/m/*.js'];", "dist/m"},
        {"knex", "knexfile.js", "const migrations = {directory: './m'};\nx({development: {client: 'pg', migrations}})",
         "m"},
        {"rails", "Gemfile", "", NULL},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        kit_fresh_directory();
        kit_make("there/x");
        kit_make_of(rows[i].path, rows[i].content);
        check_folder(rows[i].content, rows[i].tool, no_variable, rows[i].folder);
    }
}

static void comments_do_not_count(void **state)
{
    static const struct {
        const char *tool, *path, *content, *folder;
    } rows[] = {
        {"drizzle", "drizzle.config.ts", "x({ /* out: './a', */ out: './b' })", "b"},
        {"drizzle", "drizzle.config.ts", "x({ url: 'http://h', // out: './a',\n out: './b' })", "b"},
        {"drizzle", "drizzle.config.ts", "x({ url: \"it's // none\", out: './b' })", "b"},
        {"drizzle", "drizzle.config.ts", "x({ text: `\n/* none`, out: './b' /* */ })", "b"},
        {"drizzle", "drizzle.config.json", "{ // \"out\": \"a\",\n \"out\": \"b\" }", "b"},
        {"drizzle", "drizzle.config.ts", "x(s.replace(/\\/*$/, ''), /[/*]/, { out: './a' })", "a"},
        {"alembic", "alembic.ini", "[alembic]\n; script_location = a\nscript_location = b  # or a\n", "b/versions"},
        {"sql-migrate", "dbconfig.yml", "production:\n  # dir: a\n  dir: 'b#c' # here\n", "b#c"},
        {"sqitch", "sqitch.conf", "[core]\n\t; top_dir = a\n\ttop_dir = b\n", "b"},
        {"phinx", "phinx.php", "<?php # 'paths' => ['migrations' => 'a']\n$x = ['paths' => ['migrations' => 'b']];",
         "b"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        kit_fresh_directory();
        kit_make_of(rows[i].path, rows[i].content);
        check_folder(rows[i].content, rows[i].tool, no_variable, rows[i].folder);
    }
}

static void only_files_of_the_tools_names_count(void **state)
{
    static const struct {
        const char *tool, *read, *others[3];
    } rows[] = {
        {"drizzle", "drizzle.config.ts", {"drizzle.config.dev.ts", "drizzle.config.d.ts", "drizzle.config.ts.bak"}},
        {"knex", "knexfile.mjs", {"knexfile.d.mts", "knexfile.old.js"}},
        {"typeorm", "data-source.ts", {"data-source.d.ts", "app-data-source.js", "a-data-source.ts"}},
        {"typeorm", "dist/data-source.js", {"src/data-source.ts", "ormconfig.json", "dist/data-source.d.ts"}},
        {"typeorm", "src/app-data-source.ts", {"ormconfig.js", "src/a-data-source.ts"}},
        {"prisma", "prisma.config.cts", {"prisma.config.local.ts"}},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        kit_fresh_directory();
        for (int n = 0; n < 3 && rows[i].others[n]; n++)
            kit_make_of(rows[i].others[n], "x({out: 'no', migrations: {directory: 'no', path: 'no'}})");
        kit_make_of(rows[i].read, strcmp(rows[i].tool, "typeorm") == 0
                                      ? "x({migrations: ['yes/*.js']})"
                                      : "x({out: 'yes', migrations: {directory: 'yes', path: 'yes'}})");
        check_folder(rows[i].read, rows[i].tool, no_variable, "yes");
    }
}

static void of_several_data_sources_none_is_read(void **state)
{
    char schema[64], table[64];
    (void)state;
    kit_make_of("src/a-data-source.ts", "x({migrations: ['a/*.js'], migrationsTableName: 'a'})");
    kit_make_of("src/b-data-source.ts", "x({migrations: ['b/*.js'], migrationsTableName: 'b'})");
    check_folder("two", "typeorm", no_variable, "src/a-data-source.ts and src/b-data-source.ts may both be meant");
    assert_int_equal(
        tool_configured_table(tool_find("typeorm"), no_variable, "m", schema, sizeof schema, table, sizeof table), 0);
}

static void environments_may_share(void **state)
{
    static const struct {
        const char *tool, *path, *content, *folder;
    } rows[] = {
        {"knex", "knexfile.js",
         "const base = {migrations: {directory: 'b'}};\nx({development: base, production: base})", "b"},
        {"knex", "knexfile.js",
         "const base = {migrations: {directory: 'b'}};\nx({development: {}, production: Object.assign({}, base, {a: "
         "1})})",
         "b"},
        {"knex", "knexfile.js",
         "const base = {migrations: {directory: 'b'}};\nx({development: {}, production: {...base, pool: 1}})", "b"},
        {"knex", "knexfile.js",
         "const base = {migrations: {directory: 'b'}};\nx({production: {...base, migrations: {directory: 'p'}}})", "p"},
        {"knex", "knexfile.js", "x({production: {a: '}', migrations: {directory: 'p'}}, migrations: {directory: 'b'}})",
         "p"},
        {"sql-migrate", "dbconfig.yml",
         "default: &default\n  dialect: postgres\n  dir: b\nproduction:\n  <<: *default\n  datasource: x\n", "b"},
        {"sql-migrate", "dbconfig.yml", "default: &default\n  dir: b\nproduction: *default\n", "b"},
        {"sql-migrate", "dbconfig.yml", "development:\n  dir: b\nproduction: &production\n  dir: p\n", "p"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        kit_fresh_directory();
        kit_make_of(rows[i].path, rows[i].content);
        check_folder(rows[i].content, rows[i].tool, production, rows[i].folder);
    }
}

int unit_tool_config(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_IN_DIRECTORY(the_environments_own_part_counts),
        UNIT_IN_DIRECTORY(configuration_is_read),
        UNIT_IN_DIRECTORY(configured_folders_are_read),
        UNIT_IN_DIRECTORY(comments_do_not_count),
        UNIT_IN_DIRECTORY(only_files_of_the_tools_names_count),
        UNIT_IN_DIRECTORY(of_several_data_sources_none_is_read),
        UNIT_IN_DIRECTORY(environments_may_share),
    };
    return UNIT_RUN("tool, configuration", tests);
}
