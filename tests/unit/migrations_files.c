/* The readers of files and folders: tool by tool, what is a migration and what is not. */
#include "migrations_kit.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 12

static void ids_of_each_tool(void **state)
{
    static const struct {
        const char *tool, *files[FILES_MAX], *ids;
    } rows[] = {
        {"prisma",
         {"prisma/migrations/20260301_b/migration.sql", "prisma/migrations/20260101_a/migration.sql",
          "prisma/migrations/migration_lock.toml", "prisma/migrations/.git/migration.sql"},
         "20260101_a 20260301_b "},
        {"knex",
         {"migrations/20240102_b.js", "migrations/20240101_a.ts", "migrations/20240101_a.d.ts", "migrations/README.md",
          "migrations/.eslintrc.js", "migrations/a.js.map"},
         "20240101_a.ts 20240102_b.js "},
        {"typeorm",
         {"dist/migrations/1700000000000-Init.js", "dist/migrations/1700000000000-Init.js.map",
          "dist/migrations/1700000000000-Init.d.ts", "dist/migrations/1700000000001-More.js",
          "dist/migrations/1700000000001-Less.js", "dist/migrations/index.js", "src/migrations/1700000000000-Init.ts",
          "src/migrations/1700000000001-More.ts", "src/migrations/1700000000001-Less.ts"},
         "1700000000000 1700000000001 1700000000001 "},
        {"kysely", {"migrations/a.cjs", "migrations/b.cts", "migrations/c.js"}, "a b c "},
        {"sequelize",
         {"migrations/20240101-a.js", "migrations/20240102-b.cjs", "migrations/x.d.ts", "migrations/x.sql"},
         "20240101-a.js 20240102-b.cjs "},
        {"node-pg-migrate",
         {"migrations/1704067200001_a.js", "migrations/1704067200002_b.sql", "migrations/README.md"},
         "1704067200001_a 1704067200002_b "},
        {"kysely",
         {"migrations/2024-01_a.ts", "migrations/2024-02_b.mjs", "migrations/x.d.ts", "migrations/x.md"},
         "2024-01_a 2024-02_b "},
        {"mikro-orm",
         {"migrations/Migration20240101000000.js", "migrations/Migration20240102000000_more.ts",
          "migrations/.snapshot-db.json", "migrations/snapshot.json", "migrations/Migration20240101000000.d.ts"},
         "Migration20240101000000 Migration20240102000000_more "},
        {"db-migrate",
         {"migrations/20240101000001-a.js", "migrations/20240102000001-b.js", "migrations/package.json",
          "migrations/sqls/20240101000001-a-up.sql"},
         "20240101000001-a 20240102000001-b "},
        {"graphile-migrate",
         {"migrations/committed/000001.sql", "migrations/committed/000002-more.sql", "migrations/current.sql"},
         "1 2 "},
        {"dbmate", {"db/migrations/20240101_a.sql", "db/migrations/02_b.sql", "db/schema.sql"}, "02 20240101 "},
        {"golang-migrate",
         {"migrations/000001_a.up.sql", "migrations/000001_a.down.sql", "migrations/000010_c.up.sql",
          "migrations/000009_b.up.sql", "migrations/embed.go"},
         "1 9 10 "},
        {"goose",
         {"migrations/00001_a.sql", "migrations/00002_b.go", "migrations/00002_b_test.go", "migrations/main.go"},
         "1 2 "},
        {"tern", {"migrations/001_a.sql", "migrations/002_b.sql", "migrations/tern.conf"}, "1 2 "},
        {"sql-migrate", {"migrations/1_a.sql", "migrations/README"}, "1_a.sql "},
        {"atlas",
         {"migrations/20240101_a.sql", "migrations/20240102.sql", "migrations/atlas.sum"},
         "20240101 20240102 "},
        {"flyway",
         {"sql/V1__a.sql", "sql/V1_1__b.sql", "sql/V10__d.sql", "sql/more/V2.0__c.sql", "sql/U1__a.sql",
          "sql/B2__base.sql", "sql/beforeMigrate.sql"},
         "1 1.1 2 10 "},
        {"rails",
         {"db/migrate/20240101000000_create_a.rb", "db/migrate/20240102000000_b.engine.rb", "db/migrate/003_c.rb",
          "db/migrate/later/20250101000000_d.rb", "db/migrate/.keep", "db/schema.rb"},
         "3 20240101000000 20240102000000 20250101000000 "},
        {"sqlx",
         {"migrations/1_a.sql", "migrations/2_b.up.sql", "migrations/2_b.down.sql", "migrations/.keep"},
         "1 2 "},
        {"diesel",
         {"migrations/00000000000000_diesel_initial_setup/up.sql", "migrations/2024-01-01-000000_a/up.sql",
          "migrations/2024-01-01-000000_a/down.sql", "migrations/2024-01-02-000000_b/up.sql", "migrations/.keep"},
         "0 20240101000000 20240102000000 "},
        {"refinery", {"migrations/V1__a.sql", "migrations/deep/U2__b.rs", "migrations/mod.rs"}, "1 2 "},
        {"ecto",
         {"priv/repo/migrations/20240101_a.exs", "priv/repo/migrations/sub/20240102_b.exs",
          "priv/repo/migrations/.formatter.exs", "priv/repo/seeds.exs"},
         "20240101 20240102 "},
        {"ecto", {"lib/app-0.1.0/priv/repo/migrations/20240101_a.exs"}, "20240101 "},
        {"laravel",
         {"database/migrations/2014_10_12_000000_create_users.php", "database/migrations/readme.md"},
         "2014_10_12_000000_create_users "},
        {"doctrine",
         {"migrations/Version20240101.php", "migrations/2025/Version20250101.php", "migrations/.gitignore"},
         "Version20240101 Version20250101 "},
        {"phinx", {"db/migrations/20240101000000_a.php", "db/migrations/Helper.php"}, "20240101000000 "},
        {"yoyo",
         {"migrations/0001.a.py", "migrations/0002.b.sql", "migrations/0002.b.rollback.sql", "migrations/post-apply.py",
          "migrations/README.txt"},
         "0001.a 0002.b "},
    };
    char ids[400];
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        kit_fresh_directory();
        kit_make_all(rows[i].files, UNIT_COUNT(rows[i].files));
        kit_ids(rows[i].tool, rows[i].tool, NULL, ids, sizeof ids);
        CHECK_TEXT(rows[i].tool, ids, rows[i].ids);
    }
}

static void repeatable_ids_have_a_checksum(void **state)
{
    char ids[200];
    (void)state;
    kit_make("sql/V1__a.sql");
    kit_make_of("sql/R__view.sql", "\xef\xbb\xbf"
                                   "SELECT 1;\r\nSELECT 2;\n"); /* CRC-32 of "SELECT 1;SELECT 2;" */
    kit_make_of("sql/views/R__other.sql", "SELECT 1;SELECT 2;");
    kit_ids("flyway", "flyway", "filesystem:sql/", ids, sizeof ids);
    assert_string_equal(ids, "1 R__view.sql#-1665099012 views/R__other.sql#-1665099012 ");
}

static void a_folder_may_be_named(void **state)
{
    static const struct {
        const char *folder, *ids;
    } rows[] = {
        {"other", "7 "},
        {"other/", "7 "},
        {"file://other", "7 "},
        {"filesystem:other", "7 "},
        {"migrations,other", "1 7 "},
        {"migrations, filesystem:other", "1 7 "},
        {"with,comma", "8 "},
        {"none", ""},
    };
    char ids[100];
    (void)state;
    kit_make("migrations/1_a.up.sql");
    kit_make("other/7_a.up.sql");
    kit_make("with,comma/8_a.up.sql");
    assert_int_equal(mkdir("none", 0755), 0);
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        kit_ids(rows[i].folder, "golang-migrate", rows[i].folder, ids, sizeof ids);
        CHECK_TEXT(rows[i].folder, ids, rows[i].ids);
    }
}

static void a_pattern_may_be_given(void **state)
{
    static const struct tool unknown = {.name = "own", .source = TOOL_FILES, .ids = TOOL_TEXT};
    struct err err = {.text = ""};
    struct migrations migrations;
    (void)state;
    kit_make("m/step-1.txt");
    kit_make("m/step-2.txt");
    struct migrations_ask ask = {.tool = &unknown, .folder = "m", .pattern = "^step-([0-9])"};
    assert_int_equal(migrations_read(&migrations, &ask, &err), 0);
    assert_int_equal(migrations.count, 2);
    assert_string_equal(migrations.newest, "2");
    migrations_free(&migrations);
    ask.pattern = "(";
    assert_int_equal(migrations_read(&migrations, &ask, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "LOCKSTEP_MIGRATIONS_PATTERN"));
    ask = (struct migrations_ask){.tool = &unknown};
    assert_int_equal(migrations_read(&migrations, &ask, &err), -1);
    assert_non_null(strstr(err.text, "LOCKSTEP_MIGRATIONS"));
}

static void configuration_comes_first(void **state)
{
    char ids[100];
    (void)state;
    kit_make("migrations/a.js");
    kit_make("own/b.js");
    kit_make_of("knexfile.js", "module.exports = { migrations: { directory: './own' } }");
    kit_ids("there", "knex", NULL, ids, sizeof ids);
    assert_string_equal(ids, "b.js ");
    kit_make_of("knexfile.js", "module.exports = { migrations: { directory: ['./own', './migrations'] } }");
    kit_ids("two", "knex", NULL, ids, sizeof ids);
    assert_string_equal(ids, "a.js b.js ");
}

static void an_empty_folder_does_not_count_against_a_full_one(void **state)
{
    char ids[100];
    (void)state;
    kit_make("migrations/README");
    kit_make("db/migrations/1_a.up.sql");
    kit_ids("full", "golang-migrate", NULL, ids, sizeof ids);
    assert_string_equal(ids, "1 ");
}

static void others_are_mentioned(void **state)
{
    static const struct {
        const char *tool, *files[FILES_MAX], *remark;
    } rows[] = {
        {"golang-migrate", {"migrations/1_a.up.sql", "migrations/1_a.down.sql", "migrations/embed.go"}, ""},
        {"golang-migrate",
         {"migrations/1_a.up.sql", "migrations/c.sql", "migrations/b.sql"},
         "2 scripts in migrations are not named as a migration and left out: migrations/b.sql, ..."},
        {"phinx",
         {"db/migrations/20240101000000_a.php", "db/migrations/Helper.php"},
         "1 script in db/migrations is not named as a migration and left out: db/migrations/Helper.php"},
        {"goose", {"migrations/1_a.go", "migrations/1_a_test.go", "migrations/x.sql"}, ""},
        {"refinery", {"src/migrations/V1__a.rs", "src/migrations/mod.rs"}, ""},
        {"flyway", {"sql/V1__a.sql", "sql/U1__a.sql", "sql/afterMigrate__x.sql"}, ""},
        {"typeorm",
         {"dist/migrations/1700000000000-A.js", "dist/migrations/helper.js", "dist/migrations/index.js",
          "dist/migrations/a.spec.js", "dist/migrations/a.js.map", "dist/migrations/a.d.ts", "dist/migrations/x.json"},
         "1 script in dist/migrations is not named as a migration and left out: dist/migrations/helper.js"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct err err = {.text = ""};
        struct migrations migrations;
        const struct migrations_ask ask = {.tool = tool_find(rows[i].tool)};
        kit_fresh_directory();
        kit_make_all(rows[i].files, UNIT_COUNT(rows[i].files));
        CHECK_NUMBER(rows[i].files[0], migrations_read(&migrations, &ask, &err), 0);
        CHECK_TEXT(rows[i].files[0], migrations.doubt, "");
        CHECK_TEXT(rows[i].files[0], migrations.remark, rows[i].remark);
        migrations_free(&migrations);
    }
}

static void classes_of_typeorm_tell(void **state)
{
    char ids[200];
    (void)state;
    kit_make("migrations/1700000000001-A.ts");
    kit_make_of("migrations/CreateB1700000000002.ts",
                "export class CreateB1700000000002 implements MigrationInterface {\n"
                "  name = 'CreateB1700000000002'\n}");
    kit_make_of("migrations/1700000000003.ts", "class C1700000000003 {}\nexport class D1700000000004{}");
    kit_make_of("migrations/e.js", "var E = (function () { function E() { this.name = 'E1700000000005'; } })();");
    kit_make_of("migrations/f.ts", "export class F { name: string = \"F1700000000006\" }");
    kit_make_of("migrations/CreateB1700000000002.js", "class CreateB1700000000002 {\n}");
    kit_make_of("migrations/CreateB1700000000002.d.ts", "class Never1700000000009 {\n}");
    kit_make_of("migrations/old.ts",
                "// class Never1700000000008 {}\nclass X17000000000071 {} class Y1700000000007Z {}");
    kit_ids("classes", "typeorm", NULL, ids, sizeof ids);
    assert_string_equal(
        ids, "1700000000001 1700000000002 1700000000003 1700000000004 1700000000005 1700000000006 7000000000071 ");
}

static void five_thousand_are_no_matter(void **state)
{
    struct err err = {.text = ""};
    struct migrations migrations;
    char path[64];
    (void)state;
    kit_make("migrations/1_a.up.sql");
    for (int i = 2; i <= 5000; i++) {
        snprintf(path, sizeof path, "migrations/%d_a.up.sql", i);
        unit_file(path, "SELECT 1;", 0644);
    }
    const struct migrations_ask ask = {.tool = tool_find("golang-migrate")};
    assert_int_equal(migrations_read(&migrations, &ask, &err), 0);
    assert_int_equal(migrations.count, 5000);
    assert_string_equal(migrations.list[999].id, "1000");
    assert_string_equal(migrations.newest, "5000");
    migrations_free(&migrations);
}

static void a_glob_of_typeorm_may_be_of_a_tree(void **state)
{
    char ids[100];
    (void)state;
    kit_make("dist/m/1700000000001-A.js");
    kit_make("dist/m/sub/1700000000002-B.js");
    kit_make_of("dist/data-source.js", "x({migrations: [__dirname + '/m/**/*.js']})");
    kit_ids("tree", "typeorm", NULL, ids, sizeof ids);
    assert_string_equal(ids, "1700000000001 1700000000002 ");
    kit_make_of("dist/data-source.js", "x({migrations: [__dirname + '/m/*.js'], entities: ['dist/**/*.js']})");
    kit_ids("folder", "typeorm", NULL, ids, sizeof ids);
    assert_string_equal(ids, "1700000000001 ");
}

int unit_migrations_files(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_IN_DIRECTORY(ids_of_each_tool),
        UNIT_IN_DIRECTORY(repeatable_ids_have_a_checksum),
        UNIT_IN_DIRECTORY(a_folder_may_be_named),
        UNIT_IN_DIRECTORY(a_pattern_may_be_given),
        UNIT_IN_DIRECTORY(configuration_comes_first),
        UNIT_IN_DIRECTORY(an_empty_folder_does_not_count_against_a_full_one),
        UNIT_IN_DIRECTORY(others_are_mentioned),
        UNIT_IN_DIRECTORY(classes_of_typeorm_tell),
        UNIT_IN_DIRECTORY(a_glob_of_typeorm_may_be_of_a_tree),
        UNIT_IN_DIRECTORY(five_thousand_are_no_matter),
    };
    return UNIT_RUN("migrations, files", tests);
}
