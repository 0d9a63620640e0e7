/* Journals, scripts and plans; how ids are written and ordered; the target. */
#include "migrations_kit.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define VERSIONS "alembic/versions/"

static void ids_are_written_one_way(void **state)
{
    static const struct {
        enum tool_ids ids;
        const char *raw, *expected;
    } rows[] = {
        {TOOL_TEXT, "01_a", "01_a"},
        {TOOL_NUMBER, "0010", "10"},
        {TOOL_NUMBER, "000", "0"},
        {TOOL_NUMBER, "2024-01-02", "20240102"},
        {TOOL_NUMBER, "x", "x"},
        {TOOL_NUMBER, "", ""},
        {TOOL_VERSION, "1", "1"},
        {TOOL_VERSION, "1_2", "1.2"},
        {TOOL_VERSION, "01.02.0", "1.2"},
        {TOOL_VERSION, "1.0.2", "1.0.2"},
        {TOOL_VERSION, "1.10.0.0", "1.10"},
        {TOOL_VERSION, "0.0", "0"},
        {TOOL_VERSION, "0.1", "0.1"},
        {TOOL_VERSION, "1..2_", "1.2"},
        {TOOL_VERSION, "2024/R__x.sql#-1", "2024/R__x.sql#-1"},
    };
    char id[64];
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        migrations_id(rows[i].ids, rows[i].raw, id);
        CHECK_TEXT(rows[i].raw, id, rows[i].expected);
    }
}

static void ids_have_an_order(void **state)
{
    static const struct {
        enum tool_ids ids;
        const char *a, *b;
        int order;
    } rows[] = {
        {TOOL_TEXT, "10", "9", -1},      {TOOL_TEXT, "a", "a", 0},          {TOOL_NUMBER, "10", "9", 1},
        {TOOL_NUMBER, "9", "9", 0},      {TOOL_NUMBER, "9", "x", -1},       {TOOL_VERSION, "1.10", "1.9", 1},
        {TOOL_VERSION, "1", "1.1", -1},  {TOOL_VERSION, "2", "1.1", 1},     {TOOL_VERSION, "2", "2", 0},
        {TOOL_VERSION, "9", "R__a", -1}, {TOOL_VERSION, "R__b", "R__a", 1},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        CHECK_NUMBER(rows[i].a, migrations_compare(rows[i].ids, rows[i].a, rows[i].b), rows[i].order);
        CHECK_NUMBER(rows[i].a, migrations_compare(rows[i].ids, rows[i].b, rows[i].a), -rows[i].order);
    }
    assert_true(migrations_covers(TOOL_NUMBER, "10", "9") && migrations_covers(TOOL_NUMBER, "10", "10"));
    assert_false(migrations_covers(TOOL_NUMBER, "10", "11") || migrations_covers(TOOL_VERSION, "10", "R__a#1"));
}

static void journals_are_read(void **state)
{
    struct err err = {.text = ""};
    struct migrations migrations;
    (void)state;
    kit_make_of("drizzle/meta/_journal.json",
                "{\"version\":\"7\",\"dialect\":\"postgresql\",\"entries\":["
                "{\"idx\":0,\"version\":\"7\",\"when\":1700000000005,\"tag\":\"0000_init\",\"breakpoints\":true},"
                "{\"idx\":1,\"version\":\"7\",\"when\":1690000000000,\"tag\":\"0001_back\",\"breakpoints\":true}]}");
    kit_make("drizzle/0000_init.sql");
    const struct migrations_ask ask = {.tool = tool_find("drizzle")};
    assert_int_equal(migrations_read(&migrations, &ask, &err), 0);
    assert_int_equal(migrations.count, 2);
    assert_string_equal(migrations.list[0].id, "1700000000005");
    assert_string_equal(migrations_name(&migrations.list[1]), "0001_back");
    assert_string_equal(migrations.newest, "0001_back");
    assert_string_equal(migrations.folder, "drizzle");
    migrations_free(&migrations);
}

static void journals_may_be_wrong(void **state)
{
    static const char *const rows[] = {
        "", "{", "[]", "{\"entries\":1}", "{\"entries\":[{}]}", "{\"entries\":[{\"when\":\"1\",\"tag\":\"a\"}]}"};
    char text[512];
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        kit_make_of("drizzle/meta/_journal.json", rows[i]);
        kit_refusal(rows[i], "drizzle", NULL, text);
        CHECK(rows[i], strstr(text, "drizzle/meta/_journal.json") != NULL);
    }
    kit_refusal("none", "drizzle", "gone", text);
    assert_string_equal(text, "gone/meta/_journal.json cannot be read: No such file or directory");
}

static void scripts_are_read(void **state)
{
    static const struct {
        const char *text, *id, *parents; /* with a blank behind each */
    } rows[] = {
        {"revision = 'a1'\ndown_revision = None\n", "a1", ""},
        {"revision = \"a1\"\ndown_revision = \"b2\"\n", "a1", "b2 "},
        {"revision: str = 'a1'\ndown_revision: Union[str, Sequence[str], None] = 'b2'\n", "a1", "b2 "},
        {"revision='a1'\ndown_revision=('b2', 'c3')\n", "a1", "b2 c3 "},
        {"revision = 'a1'\ndown_revision = (\n    'b2',  # one\n    \"c3\",\n)\ndepends_on = None\n", "a1", "b2 c3 "},
        {"revision = 'a1'\ndown_revision = 'b2'\ndepends_on = ('c3',)\n", "a1", "b2 c3 "},
        {"revision = 'a1'\ndown_revision = [\n'b2'\n]", "a1", "b2 "},
        {"revision = \\\n    'a1'\ndown_revision = None", "a1", ""},
        {"\"\"\"doc\n\nRevision ID: x\nrevision = 'no'\n\"\"\"\nrevision = 'a1' # was 'b2'\ndown_revision = None\n",
         "a1", ""},
        {"'''it''s\nrevision = 'no'\n'''\n# revision = 'no'\nrevision = '''a1'''\ndown_revision = None\n", "a1", ""},
        {"s = 'it\\'s'\nrevision = 'a1'\ndown_revision = None\ndef up():\n    revision = 'no'\n", "a1", ""},
        {"\xef\xbb\xbfrevision = 'a1'\r\ndown_revision = 'b2'\r\n", "a1", "b2 "},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct err err = {.text = ""};
        struct migrations migrations;
        char parents[64] = "";
        kit_make_of(VERSIONS "x.py", rows[i].text);
        const struct migrations_ask ask = {.tool = tool_find("alembic")};
        CHECK_NUMBER(rows[i].text, migrations_read(&migrations, &ask, &err), 0);
        CHECK_NUMBER(rows[i].text, migrations.count, 1);
        CHECK_TEXT(rows[i].text, migrations.list[0].id, rows[i].id);
        for (char **parent = migrations.list[0].parents; *parent; parent++)
            strcat(strcat(parents, *parent), " ");
        CHECK_TEXT(rows[i].text, parents, rows[i].parents);
        migrations_free(&migrations);
    }
}

static void scripts_that_are_none_are_left_out(void **state)
{
    char ids[64], text[512];
    (void)state;
    kit_make_of(VERSIONS "1.py", "revision = 'a1'\ndown_revision = None\n");
    kit_make_of(VERSIONS "helper.py", "def revision():\n    pass\nrevision_of = 'x'\nif revision == 'a':\n    pass\n");
    kit_make_of(VERSIONS "__init__.py", "revision = 'no'");
    kit_make_of(VERSIONS ".#1.py", "revision = 'no'");
    kit_make_of(VERSIONS "__pycache__/1.pyc", "revision = 'no'");
    kit_make_of(VERSIONS "notes.txt", "revision = 'no'");
    kit_ids("folder", "alembic", NULL, ids, sizeof ids);
    assert_string_equal(ids, "a1 ");
    kit_ids("script_location", "alembic", "alembic", ids, sizeof ids);
    assert_string_equal(ids, "a1 ");
    kit_make_of(VERSIONS "2.py", "revision = make_id()\ndown_revision = 'a1'\n");
    kit_refusal("computed", "alembic", NULL, text);
    assert_non_null(strstr(text, VERSIONS "2.py"));
    assert_non_null(strstr(text, "LOCKSTEP_APPLIED_IF"));
    kit_make_of(VERSIONS "2.py", "revision = 'a1'\ndown_revision = None\n");
    kit_refusal("twice", "alembic", NULL, text);
    assert_non_null(strstr(text, "1.py and " VERSIONS "2.py"));
}

static void heads_are_the_newest(void **state)
{
    struct err err = {.text = ""};
    struct migrations migrations;
    (void)state;
    kit_make_of(VERSIONS "1.py", "revision = 'd'\ndown_revision = None\n");
    kit_make_of(VERSIONS "2.py", "revision = 'c'\ndown_revision = 'd'\n");
    kit_make_of(VERSIONS "3.py", "revision = 'e'\ndown_revision = 'd'\n");
    const struct migrations_ask ask = {.tool = tool_find("alembic")};
    assert_int_equal(migrations_read(&migrations, &ask, &err), 0);
    assert_string_equal(migrations.newest, "c+1");
    migrations_free(&migrations);
    kit_make_of(VERSIONS "4.py", "revision = 'a'\ndown_revision = ('c', 'e')\n");
    assert_int_equal(migrations_read(&migrations, &ask, &err), 0);
    assert_string_equal(migrations.newest, "a");
    migrations_free(&migrations);
}

static void plans_are_read(void **state)
{
    struct err err = {.text = ""};
    struct migrations migrations;
    (void)state;
    kit_make_of("sqitch.plan", "%syntax-version=1.0.0\n%project=flipr\n%uri=https://example.org/\n\n# note\n"
                               "appschema 2024-01-01T00:00:00Z A <a@b> # Adds.\n"
                               "users [appschema] 2024-01-02T00:00:00Z A <a@b> # Adds users\n"
                               "@v1.0 2024-01-03T00:00:00Z A <a@b> # Tag\n"
                               "users [users@v1.0] 2024-01-04T00:00:00Z A <a@b> # Reworks\r\n"
                               "  +last 2024-01-05T00:00:00Z A <a@b> # no line feed");
    const struct migrations_ask ask = {.tool = tool_find("sqitch")};
    assert_int_equal(migrations_read(&migrations, &ask, &err), 0);
    assert_int_equal(migrations.count, 4);
    assert_string_equal(migrations.project, "flipr");
    assert_string_equal(migrations.list[0].id, "appschema");
    assert_string_equal(migrations.list[1].id, "users");
    assert_string_equal(migrations.list[2].id, "users#2");
    assert_string_equal(migrations.newest, "last");
    migrations_free(&migrations);
    kit_make_of("sqitch.plan", "users\n");
    char text[512];
    kit_refusal("no project", "sqitch", NULL, text);
    assert_non_null(strstr(text, "%project=NAME"));
}

static void targets_are_for_people(void **state)
{
    struct err err = {.text = ""};
    struct migrations migrations;
    char target[TARGET_CAPACITY], mended[TARGET_CAPACITY], name[400];
    (void)state;
    const struct migrations_ask ask = {.tool = tool_find("prisma")};
    kit_make("prisma/migrations/1_a/migration.sql");
    assert_int_equal(migrations_read(&migrations, &ask, &err), 0);
    migrations_target(&migrations, "prisma", target);
    assert_memory_equal(target, "prisma 1_a (1 migration, ", 25);
    assert_int_equal(strlen(target), 25 + 8 + 1);
    migrations_free(&migrations);
    kit_make_of("prisma/migrations/1_a/migration.sql", "mended");
    assert_int_equal(migrations_read(&migrations, &ask, &err), 0);
    migrations_target(&migrations, "prisma", mended);
    assert_string_not_equal(mended, target);
    migrations_free(&migrations);
    snprintf(name, sizeof name, "prisma/migrations/2_%0240d/migration.sql", 1);
    memcpy(name + 20 + 107,
           "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", 24);
    kit_make(name);
    assert_int_equal(migrations_read(&migrations, &ask, &err), 0);
    migrations_target(&migrations, "prisma", target);
    assert_non_null(strstr(target, "\xc3\xa4 (2 migrations, ")); /* cut between two characters */
    migrations_free(&migrations);
}

static void a_plan_may_be_elsewhere(void **state)
{
    char ids[64], text[512];
    (void)state;
    kit_make_of("sqitch.plan", "%project=p\nold\n");
    kit_make_of("db/my.plan", "%project=p\none\ntwo\n");
    kit_make_of("sqitch.conf", "[core]\n\tplan_file = db/my.plan\n");
    kit_ids("configured", "sqitch", NULL, ids, sizeof ids);
    assert_string_equal(ids, "one two ");
    kit_make_of("sqitch.conf", "[core]\n\ttop_dir = db\n\tplan_file = gone.plan\n");
    kit_refusal("gone", "sqitch", NULL, text);
    assert_non_null(strstr(text, "sqitch.conf names db, but gone.plan is not there"));
}

int unit_migrations_lists(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_IN_DIRECTORY(a_plan_may_be_elsewhere),
        cmocka_unit_test(ids_are_written_one_way),
        cmocka_unit_test(ids_have_an_order),
        UNIT_IN_DIRECTORY(journals_are_read),
        UNIT_IN_DIRECTORY(journals_may_be_wrong),
        UNIT_IN_DIRECTORY(scripts_are_read),
        UNIT_IN_DIRECTORY(scripts_that_are_none_are_left_out),
        UNIT_IN_DIRECTORY(heads_are_the_newest),
        UNIT_IN_DIRECTORY(plans_are_read),
        UNIT_IN_DIRECTORY(targets_are_for_people),
    };
    return UNIT_RUN("migrations, lists", tests);
}
