/* The presets: complete, and found by name, by a command's words, by a project's files. */
#include "tool.h"

#include "migrations_kit.h"
#include "unit.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void presets_are_complete(void **state)
{
    const struct tool *tool;
    size_t count = 0;
    (void)state;
    for (; (tool = tool_at(count)); count++) {
        CHECK(tool->name, tool->title && tool->migrate && tool->words[0] && tool->marks[0]);
        CHECK(tool->name, tool_find(tool->name) == tool);
        CHECK(tool->name, count == 0 || strcmp(tool_at(count - 1)->name, tool->name) < 0);
        if (tool->applied_if)
            continue;
        CHECK(tool->name, tool->folders[0] && tool->table && tool->applied);
        CHECK(tool->name, strstr(tool->applied, "{table}") != NULL);
        CHECK(tool->name, !tool->failed == !tool->remedy);
        CHECK(tool->name, (tool->source == TOOL_FOLDERS) == (tool->inside != NULL));
        bool has_pattern = tool->source != TOOL_JOURNAL && tool->source != TOOL_PLAN;
        CHECK(tool->name, has_pattern == (tool->pattern != NULL));
    }
    assert_int_equal(count, 31);
    assert_ptr_equal(tool_find("Prisma"), tool_find("prisma"));
    assert_null(tool_find(""));
}

static void patterns_are_regular_expressions(void **state)
{
    const struct tool *tool;
    (void)state;
    for (size_t i = 0; (tool = tool_at(i)); i++) {
        const char *patterns[] = {tool->pattern, tool->except};
        for (size_t n = 0; n < UNIT_COUNT(patterns); n++) {
            regex_t compiled;
            if (!patterns[n])
                continue;
            CHECK_NUMBER(tool->name, regcomp(&compiled, patterns[n], REG_EXTENDED), 0);
            CHECK(tool->name, n == 1 || compiled.re_nsub >= 1);
            regfree(&compiled);
        }
    }
}

static void names_are_listed(void **state)
{
    char names[400], few[12];
    (void)state;
    tool_names(names, sizeof names);
    assert_memory_equal(names, "alembic, atlas, db-migrate, ", 28);
    assert_string_equal(strstr(names, "tern, "), "tern, typeorm, yoyo");
    tool_names(few, sizeof few);
    assert_string_equal(few, "alembic, at");
}

static void commands_get_the_folder(void **state)
{
    static const struct {
        const char *tool, *folder, *expected;
    } rows[] = {
        {"prisma", "x", "[\"node_modules/.bin/prisma\", \"migrate\", \"deploy\"]"},
        {"golang-migrate", "db/m", "migrate -path \"db/m\" -database \"$DATABASE_URL\" up"},
        {"golang-migrate", "a\"$b`\\", "migrate -path \"a\\\"\\$b\\`\\\\\" -database \"$DATABASE_URL\" up"},
        {"atlas", "m", "atlas migrate apply --url \"$DATABASE_URL\" --dir \"file://m\""},
        {"yoyo", "m", "yoyo apply --batch --database \"$DATABASE_URL\" \"m\""},
        {"yoyo", "m, n,o", "yoyo apply --batch --database \"$DATABASE_URL\" \"m\" \"n\" \"o\""},
        {"dbmate", "m,n", "[\"dbmate\", \"--no-dump-schema\", \"--migrations-dir\", \"m,n\", \"migrate\"]"},
        {"sqlx", "a\"$b`\\", "[\"sqlx\", \"migrate\", \"run\", \"--source\", \"a\\\"$b`\\\\\"]"},
    };
    char text[200], few[20];
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        CHECK_NUMBER(rows[i].tool, tool_migrate(tool_find(rows[i].tool), rows[i].folder, text, sizeof text), 0);
        CHECK_TEXT(rows[i].tool, text, rows[i].expected);
        CHECK_NUMBER(rows[i].tool, tool_migrate(tool_find(rows[i].tool), rows[i].folder, few, sizeof few), -1);
    }
}

static void words_of_a_command_tell(void **state)
{
    static const struct {
        const char *command, *tool; /* NULL = nothing tells */
    } rows[] = {
        {"npx prisma migrate deploy", "prisma"},
        {"[\"node_modules/.bin/prisma\", \"migrate\", \"deploy\"]", "prisma"},
        {"[\"sh\", \"-c\", \"npx prisma migrate deploy && node seed.js\"]", "prisma"},
        {"bunx --bun drizzle-kit migrate", "drizzle"},
        {"/app/node_modules/.bin/knex migrate:latest", "knex"},
        {"npx typeorm-ts-node-commonjs migration:run -d src/data-source.ts", "typeorm"},
        {"yarn sequelize db:migrate", "sequelize"},
        {"node-pg-migrate up", "node-pg-migrate"},
        {"python manage.py migrate", "django"},
        {"python manage.py collectstatic", NULL},
        {"python3 ./manage.py --settings=x migrate --noinput", "django"},
        {"alembic upgrade head", "alembic"},
        {"python -m alembic upgrade head", "alembic"},
        {"flask --app web db upgrade", "flask"},
        {"bundle exec rails db:migrate", "rails"},
        {"bin/rails db:prepare", "rails"},
        {"bundle exec rake db:migrate", "rails"},
        {"php artisan migrate --force", "laravel"},
        {"php bin/console doctrine:migrations:migrate -n", "doctrine"},
        {"vendor/bin/phinx migrate", "phinx"},
        {"mix ecto.migrate", "ecto"},
        {"PGSSLMODE=disable dbmate up", "dbmate"},
        {"migrate -path migrations -database \"$DATABASE_URL\" up", "golang-migrate"},
        {"/usr/bin/migrate --source=file://m --database $URL up", "golang-migrate"},
        {"[\"sh\", \"-c\", \"exec migrate -path m -database $URL up\"]", "golang-migrate"},
        {"PGSSLMODE=disable migrate -path m up", "golang-migrate"},
        {"php artisan migrate --force --database=pgsql --path=x", "laravel"},
        {"python manage.py --settings=x migrate --database=default", "django"},
        {"sqlx migrate run --source m --database-url $URL", "sqlx"},
        {"tern migrate --database x", "tern"},
        {"bin/migrate", NULL},
        {"bun run migrate", NULL},
        {"npm run db:migrate", NULL},
        {"goose -dir migrations postgres $DATABASE_URL up", "goose"},
        {"if ! (sqitch deploy); then exit 1; fi", "sqitch"},
        {"cd /app/prisma && node migrate.js", NULL},
        {"cd prisma; npx knex migrate:latest", "knex"},
        {"ls /app/prisma/", NULL},
        {"cd", NULL},
        {"cd /app && migrate -path m -database $URL up", "golang-migrate"},
        {"echo --prisma file://x/knex typeorm=1", NULL},
        {"", NULL},
        {"[\"a\", 1", NULL},
        {"[1, {}]", NULL},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct err err = {.text = ""};
        char why[100] = "";
        const struct tool *tool = tool_detect(rows[i].command, why, sizeof why, &err);
        CHECK_TEXT(rows[i].command, tool ? tool->name : NULL, rows[i].tool);
        CHECK(rows[i].command, tool ? strstr(why, "the command's ") == why : err.code == ERR_USAGE);
    }
}

static void files_of_a_project_tell(void **state)
{
    static const struct {
        const char *files[3], *tool;
    } rows[] = {
        {{"prisma/schema.prisma"}, "prisma"},
        {{"prisma.config.ts", "package.json"}, "prisma"},
        {{"drizzle.config.ts"}, "drizzle"},
        {{"knexfile.cjs"}, "knex"},
        {{"src/data-source.ts"}, "typeorm"},
        {{".sequelizerc"}, "sequelize"},
        {{"alembic.ini"}, "alembic"},
        {{"migrations/alembic.ini"}, "flask"},
        {{"manage.py"}, "django"},
        {{"bin/rails", "db/migrate/1_a.rb"}, "rails"},
        {{"bin/rails"}, NULL},
        {{"artisan", "database/migrations/x.php"}, "laravel"},
        {{"sqitch.plan"}, "sqitch"},
        {{"dbconfig.yml"}, "sql-migrate"},
        {{"flyway.toml"}, "flyway"},
        {{"migrations/atlas.sum"}, "atlas"},
        {{"bin/console", "migrations/Version1.php"}, "doctrine"},
        {{"lib/app-0.1.0/priv/repo/migrations/1_a.exs"}, "ecto"},
        {{"diesel.toml"}, "diesel"},
        {{"yoyo.ini"}, "yoyo"},
        {{"phinx.yaml"}, "phinx"},
        {{"migrations/1_a.up.sql"}, NULL},
        {{"package.json"}, NULL},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct err err = {.text = ""};
        char why[100] = "";
        kit_fresh_directory();
        kit_make_all(rows[i].files, UNIT_COUNT(rows[i].files));
        const struct tool *tool = tool_detect("bun run migrate", why, sizeof why, &err);
        CHECK_TEXT(rows[i].files[0], tool ? tool->name : NULL, rows[i].tool);
        CHECK(rows[i].files[0], !tool || strstr(why, "the file ") == why);
    }
}

static void words_count_before_files(void **state)
{
    struct err err;
    char why[100];
    (void)state;
    kit_make("prisma/schema.prisma");
    assert_string_equal(tool_detect("npx knex migrate:latest", why, sizeof why, &err)->name, "knex");
    assert_string_equal(why, "the command's knex");
    assert_string_equal(tool_detect(NULL, why, sizeof why, &err)->name, "prisma");
    assert_string_equal(why, "the file prisma/schema.prisma");
}

static void two_tools_are_one_too_many(void **state)
{
    struct err err;
    char why[100];
    (void)state;
    kit_make("prisma/schema.prisma");
    kit_make("knexfile.js");
    assert_null(tool_detect(NULL, why, sizeof why, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "knex (by knexfile.*)"));
    assert_non_null(strstr(err.text, "prisma (by prisma/schema.prisma)"));
    assert_non_null(strstr(err.text, "--tool NAME (LOCKSTEP_TOOL)"));
    assert_null(tool_detect("npx prisma migrate deploy; npx knex migrate:latest", why, sizeof why, &err));
    assert_non_null(strstr(err.text, "prisma (by prisma)"));
}

static void the_directory_is_named(void **state)
{
    static const char deep[] = "a-folder-with-a-long-name/another-of-them/\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4/app";
    struct err err;
    char why[100], here[4096];
    (void)state;
    assert_null(tool_detect(NULL, why, sizeof why, &err));
    assert_non_null(strstr(err.text, getcwd(here, sizeof here)));
    snprintf(here, sizeof here, "%s/x", deep);
    kit_make(here);
    assert_int_equal(chdir(deep), 0);
    assert_null(tool_detect(NULL, why, sizeof why, &err));
    assert_non_null(strstr(err.text, "\xc3\xa4/app tells the tool"));
    assert_non_null(strstr(err.text, " in \xe2\x80\xa6"));
    assert_non_null(strstr(err.text, "typeorm, yoyo"));
    assert_int_equal(chdir("../../../.."), 0);
}

static void nothing_found_says_what_to_add(void **state)
{
    static const char *const said[] = {"LOCKSTEP_TOOL",       "LOCKSTEP_TARGET)", "--target-files 'migrations/*.sql'",
                                       "LOCKSTEP_APPLIED_IF", "alembic, ",        "typeorm, yoyo"};
    struct err err;
    char why[100];
    (void)state;
    assert_null(tool_detect(NULL, why, sizeof why, &err));
    for (size_t i = 0; i < UNIT_COUNT(said); i++)
        CHECK(said[i], strstr(err.text, said[i]) != NULL);
}

int unit_tool(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_are_complete),      cmocka_unit_test(patterns_are_regular_expressions),
        cmocka_unit_test(names_are_listed),          cmocka_unit_test(commands_get_the_folder),
        UNIT_IN_DIRECTORY(words_of_a_command_tell),  UNIT_IN_DIRECTORY(files_of_a_project_tell),
        UNIT_IN_DIRECTORY(words_count_before_files), UNIT_IN_DIRECTORY(two_tools_are_one_too_many),
        UNIT_IN_DIRECTORY(the_directory_is_named),   UNIT_IN_DIRECTORY(nothing_found_says_what_to_add),
    };
    return UNIT_RUN("tool", tests);
}
