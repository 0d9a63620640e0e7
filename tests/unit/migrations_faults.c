/* Migrations that are not where they should be, or cannot be read. */
#include "migrations_kit.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void faults_are_named(void **state)
{
    static const struct {
        const char *tool, *folder, *files[4], *said[3];
    } rows[] = {
        {"prisma", NULL, {"x"}, {"prisma/migrations", "--migrations DIR (LOCKSTEP_MIGRATIONS)"}},
        {"prisma", "gone", {"x"}, {"gone cannot be read: No such file"}},
        {"laravel", "file", {"file"}, {"file cannot be read: Not a directory"}},
        {"golang-migrate",
         NULL,
         {"migrations/1_a.up.sql", "db/migrations/2_b.up.sql"},
         {"migrations and others in db/migrations", "LOCKSTEP_MIGRATIONS"}},
        {"golang-migrate",
         NULL,
         {"migrations/1_a.up.sql", "migrations/001_b.up.sql"},
         {"migrations/001_b.up.sql and migrations/1_a.up.sql", "one id, 1"}},
    };
    char text[512];
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        kit_fresh_directory();
        kit_make_all(rows[i].files, UNIT_COUNT(rows[i].files));
        kit_refusal(rows[i].said[0], rows[i].tool, rows[i].folder, text);
        for (int n = 0; n < 3 && rows[i].said[n]; n++)
            CHECK(text, strstr(text, rows[i].said[n]) != NULL);
    }
}

/* As a user to whom modes apply. */
static void refusal_to_nobody(const char *tool, char text[512])
{
    bool is_root = geteuid() == 0;
    assert_int_equal(chmod(".", 0755), 0);
    assert_int_equal(is_root ? seteuid(65534) : 0, 0);
    kit_refusal(tool, tool, NULL, text);
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
}

static void what_cannot_be_read_is_named(void **state)
{
    static const struct {
        const char *tool, *file, *folder, *said; /* the folder has the mode */
        mode_t mode;
    } rows[] = {
        {"golang-migrate", "migrations/1_a.up.sql", "migrations", "migrations cannot be read", 0},
        {"golang-migrate", "migrations/1_a.up.sql", "migrations", "migrations/1_a.up.sql cannot be read", 0644},
        {"flyway", "sql/V1__a.sql", "sql", "sql/V1__a.sql cannot be read", 0644},
        {"flyway", "sql/R__a.sql", "sql", "sql/R__a.sql cannot be read", 0644},
        {"flyway", "sql/more/V1__a.sql", "sql/more", "sql/more/V1__a.sql cannot be read", 0644},
        {"flyway", "sql/more/V1__a.sql", "sql", "sql/more cannot be read", 0644},
        {"typeorm", "dist/migrations/a.js", "dist/migrations", "dist/migrations/a.js cannot be read", 0644},
        {"alembic", "alembic/versions/a.py", "alembic/versions", "alembic/versions/a.py cannot be read", 0644},
        {"prisma", "prisma/migrations/1_a/migration.sql", "prisma/migrations", "prisma/migrations/1_a cannot be read",
         0644},
        {"prisma", "prisma/migrations/1_a/migration.sql", "prisma/migrations/1_a",
         "prisma/migrations/1_a/migration.sql cannot be read", 0644},
        {"prisma", "prisma/migrations/1_a/migration.sql", "prisma", "prisma/migrations cannot be read", 0644},
        {"golang-migrate", "migrations/1_a.up.sql", "migrations/1_a.up.sql", "migrations/1_a.up.sql cannot be read", 0},
        {"typeorm", "dist/migrations/a.js", "dist/migrations/a.js", "dist/migrations/a.js cannot be read", 0},
    };
    char text[512], expected[512];
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        kit_fresh_directory();
        kit_make(rows[i].file);
        assert_int_equal(chmod(rows[i].folder, rows[i].mode), 0);
        refusal_to_nobody(rows[i].tool, text);
        snprintf(expected, sizeof expected, "%s: Permission denied", rows[i].said);
        CHECK_TEXT(rows[i].said, text, expected);
        assert_int_equal(chmod(rows[i].folder, 0755), 0);
    }
}

static void links_to_nothing_are_named(void **state)
{
    static const struct {
        const char *tool, *file, *link; /* the file is there */
        bool is_wrong;
    } rows[] = {
        {"golang-migrate", "migrations/1_a.up.sql", "migrations/2_b.up.sql", true},
        {"golang-migrate", "migrations/1_a.up.sql", "migrations/notes", false},
        {"golang-migrate", "migrations/1_a.up.sql", "migrations/.#2_b.up.sql", false},
        {"flyway", "sql/V1__a.sql", "sql/R__b.sql", true},
        {"flyway", "sql/V1__a.sql", "sql/more", false},
        {"prisma", "prisma/migrations/1_a/migration.sql", "prisma/migrations/2_b", true},
        {"prisma", "prisma/migrations/1_a/x", "prisma/migrations/1_a/migration.sql", true},
        {"alembic", "alembic/versions/x", "alembic/versions/a.py", true},
        {"typeorm", "dist/migrations/1700000000000-A.js", "dist/migrations/b.js", true},
    };
    char text[512], expected[512], ids[100];
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        kit_fresh_directory();
        kit_make(rows[i].file);
        assert_int_equal(symlink("/nowhere", rows[i].link), 0);
        if (rows[i].is_wrong) {
            kit_refusal(rows[i].link, rows[i].tool, NULL, text);
            snprintf(expected, sizeof expected, "%s is a link to what is not there", rows[i].link);
            CHECK(text, strstr(text, expected) == text);
        } else {
            kit_ids(rows[i].link, rows[i].tool, NULL, ids, sizeof ids);
            CHECK_TEXT(rows[i].link, ids, "1 ");
        }
    }
}

static void files_may_be_missing(void **state)
{
    static const struct {
        const char *tool, *pattern, *files[3], *said; /* NULL = the image needs none */
    } rows[] = {
        {"prisma",
         NULL,
         {"prisma/migrations/migration_lock.toml"},
         "no folder in prisma/migrations has a migration.sql"},
        {"prisma", NULL, {"prisma/migrations/1_a/README.md"}, "prisma/migrations/1_a has no migration.sql"},
        {"prisma",
         NULL,
         {"prisma/migrations/1_a/migration.sql", "prisma/migrations/2_b/x"},
         "prisma/migrations/2_b has no migration.sql"},
        {"prisma", NULL, {"prisma/migrations/README.md", "prisma/migrations/.gitkeep"}, NULL},
        {"diesel", NULL, {"migrations/1_a/down.sql"}, "migrations/1_a has no up.sql"},
        {"diesel", NULL, {"migrations/1_a.sql"}, "migrations/1_a.sql is there"},
        {"alembic", NULL, {"alembic/versions/1_a.pyc"}, "1_a.pyc is no source"},
        {"alembic", NULL, {"alembic/versions/__pycache__/1_a.cpython-311.pyc"}, "1_a.cpython-311.pyc is no source"},
        {"alembic",
         NULL,
         {"alembic/versions/__pycache__/__init__.cpython-311.pyc", "alembic/versions/__init__.py"},
         NULL},
        {"golang-migrate", NULL, {"migrations/1_a.down.sql"}, "migrations/1_a.down.sql is not"},
        {"golang-migrate", NULL, {"migrations/README.md", "migrations/atlas.sum"}, NULL},
        {"golang-migrate", "^x", {"migrations/1_a.changes"}, "migrations/1_a.changes is not, by the pattern ^x"},
        {"golang-migrate", "^x", {"migrations/b.sql", "migrations/a.sql"}, "migrations/a.sql is not"},
        {"golang-migrate", "^x", {"migrations/readme", "migrations/a.lock", "migrations/sub/a.sql"}, NULL},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct err err = {.text = ""};
        struct migrations migrations;
        const struct migrations_ask ask = {.tool = tool_find(rows[i].tool), .pattern = rows[i].pattern};
        kit_fresh_directory();
        kit_make_all(rows[i].files, UNIT_COUNT(rows[i].files));
        CHECK_NUMBER(rows[i].files[0], migrations_read(&migrations, &ask, &err), rows[i].said ? -1 : 0);
        CHECK(rows[i].files[0], rows[i].said ? strstr(err.text, rows[i].said) != NULL : migrations.count == 0);
        CHECK(err.text, !rows[i].said || err.code == ERR_USAGE);
        migrations_free(&migrations);
    }
}

static void a_named_folder_counts_or_is_missed(void **state)
{
    static const struct {
        const char *tool, *path, *content, *files[3], *folder, *said; /* folder NULL = refused */
    } rows[] = {
        {"knex",
         "knexfile.js",
         "x({migrations: {directory: 'db/changes'}})",
         {"migrations/a.js"},
         NULL,
         "knex: knexfile.js names db/changes, which is not there; right would be --migrations DIR "
         "(LOCKSTEP_MIGRATIONS)"},
        {"knex",
         "knexfile.js",
         "x({migrations: {directory: ['m', 'gone']}})",
         {"m/a.js", "migrations/a.js"},
         NULL,
         "names gone, which"},
        {"knex",
         "knexfile.js",
         "x({migrations: {directory: dir()}})",
         {"migrations/a.js"},
         "migrations",
         "migrations.directory in knexfile.js is no literal, so migrations is taken; right would be --migrations DIR "
         "(LOCKSTEP_MIGRATIONS)"},
        {"knex",
         "knexfile.js",
         "x({migrations: {directory: dir()}})",
         {"x"},
         NULL,
         "; migrations.directory in knexfile.js is no literal)"},
        {"knex",
         "knexfile.js",
         "x({migrations: {directory: dir()}})",
         {"migrations/.gitkeep"},
         NULL,
         "; migrations.directory in knexfile.js is no literal)"},
        {"typeorm",
         "dist/data-source.js",
         "x({migrations: ['dist/migrations/*.js', 'dist/seeds/*.js']})",
         {"dist/migrations/1700000000000-A.js"},
         "dist/migrations",
         "dist/data-source.js names dist/seeds, which is not there"},
        {"typeorm",
         "dist/data-source.js",
         "x({migrations: ['src/migrations/*.ts', 'dist/migrations/*.js']})",
         {"dist/migrations/1700000000000-A.js"},
         "dist/migrations",
         "names src/migrations, which is not there, and dist/migrations is taken for it"},
        {"alembic",
         "alembic.ini",
         "[alembic]\nscript_location = myapp:migrations\n",
         {"src/myapp/migrations/versions/.gitkeep"},
         "src/myapp/migrations/versions",
         "names myapp/migrations/versions, which is not there, and src/myapp/migrations/versions is taken for it"},
        {"typeorm",
         "dist/data-source.js",
         "x({migrations: ['src/db/changes/*.ts']})",
         {"dist/db/changes/1700000000000-A.js", "migrations/1700000000001-B.js"},
         "dist/db/changes",
         "dist/data-source.js names src/db/changes, which is not there, and dist/db/changes is taken for it"},
        {"mikro-orm",
         "mikro-orm.config.js",
         "x({migrations: {path: 'src/changes'}})",
         {"build/changes/Migration20240101000000.js"},
         "build/changes",
         "build/changes is taken for it"},
        {"typeorm",
         "data-source.ts",
         "x({migrations: ['src/changes/*.ts']})",
         {"migrations/1700000000001-B.js"},
         NULL,
         "names src/changes"},
        {"flyway",
         "flyway.conf",
         "flyway.locations=filesystem:a,filesystem:b/\n",
         {"a/V1__a.sql", "b/V2__b.sql"},
         "filesystem:a,filesystem:b",
         ""},
        {"flyway",
         "flyway.toml",
         "[flyway]\nlocations = [\"filesystem:a\"]\n",
         {"a/V1__a.sql", "sql/V2__b.sql"},
         "a",
         ""},
        {"flyway",
         "flyway.conf",
         "flyway.locations=filesystem:a,filesystem:b\n",
         {"a/V1__a.sql"},
         "a",
         "names filesystem:b, which is not there"},
        {"flyway",
         "flyway.conf",
         "flyway.locations=classpath:db/m\n",
         {"src/main/resources/db/m/V1__a.sql"},
         "src/main/resources/db/m",
         "is taken for it"},
        {"yoyo",
         "yoyo.ini",
         "[DEFAULT]\nsources = %(here)s/a %(here)s/b\n",
         {"a/1.sql", "b/2.sql", "migrations/3.sql"},
         "a,b",
         ""},
        {"drizzle",
         "drizzle.config.ts",
         "x({out: 'db'})",
         {"db/0000_a.sql", "drizzle/meta/_journal.json"},
         NULL,
         "names db, but db/meta/_journal.json is not there; right"},
        {"drizzle",
         "drizzle.config.ts",
         "x({out: 'db'})",
         {"db/2026_a/migration.sql", "db/2026_a/snapshot.json"},
         NULL,
         "layout of Drizzle 1.0, which lockstep does not read; right would be --applied-if CMD"},
        {"drizzle", "x", "", {"drizzle/2026_a/snapshot.json"}, NULL, "--target-files 'drizzle/*/migration.sql'"},
        {"ecto",
         "mix.exs",
         "",
         {"lib/a/priv/repo/migrations/1_a.exs", "lib/b/priv/repo/migrations/2_b.exs"},
         NULL,
         "or both with a comma between: lib/a/priv/repo/migrations,lib/b/priv/repo/migrations"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct err err = {.text = ""};
        struct migrations migrations;
        const struct migrations_ask ask = {.tool = tool_find(rows[i].tool)};
        kit_fresh_directory();
        kit_make_of(rows[i].path, rows[i].content);
        kit_make_all(rows[i].files, UNIT_COUNT(rows[i].files));
        int result = migrations_read(&migrations, &ask, &err);
        CHECK_TEXT(rows[i].said, result == 0 ? migrations.folder : NULL, rows[i].folder);
        const char *said = result != 0 ? err.text : migrations.doubt[0] ? migrations.doubt : migrations.remark;
        CHECK(said, *rows[i].said ? strstr(said, rows[i].said) != NULL : !*said);
        migrations_free(&migrations);
    }
}

int unit_migrations_faults(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_IN_DIRECTORY(faults_are_named),
        UNIT_IN_DIRECTORY(what_cannot_be_read_is_named),
        UNIT_IN_DIRECTORY(links_to_nothing_are_named),
        UNIT_IN_DIRECTORY(files_may_be_missing),
        UNIT_IN_DIRECTORY(a_named_folder_counts_or_is_missed),
    };
    return UNIT_RUN("migrations, faults", tests);
}
