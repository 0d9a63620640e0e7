/* What an image's migrations and a history's rows come to. */
#include "verdict.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDS_MAX 8

/* An image of ids as the readers write them; "c<a,b" is a revision with parents. */
static void make_image(struct migrations *image, enum tool_ids ids, const char *const *list)
{
    *image = (struct migrations){.ids = ids, .list = calloc(IDS_MAX, sizeof *image->list)};
    for (; list[image->count]; image->count++) {
        struct migration *migration = &image->list[image->count];
        char *text = strdup(list[image->count]);
        char *parents = strchr(text, '<');
        migration->id = text;
        if (!parents)
            continue;
        migration->parents = calloc(IDS_MAX, sizeof *migration->parents);
        *parents++ = '\0';
        size_t count = 0;
        for (char *parent; (parent = strsep(&parents, ","));)
            if (*parent)
                migration->parents[count++] = strdup(parent);
    }
}

struct row {
    const char *row;
    enum tool_ids ids;
    const char *image[IDS_MAX], *rows[IDS_MAX];
    const char *missing, *unknown; /* "" = none */
    bool applied, ahead;
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct migrations image;
        struct verdict verdict;
        size_t row_count = 0;
        make_image(&image, rows[i].ids, rows[i].image);
        while (rows[i].rows[row_count])
            row_count++;
        CHECK_NUMBER(rows[i].row, verdict_find(&verdict, &image, rows[i].rows, row_count), 0);
        CHECK_TEXT(rows[i].row, verdict.missing_ids, rows[i].missing);
        CHECK_TEXT(rows[i].row, verdict.unknown_ids, rows[i].unknown);
        CHECK_NUMBER(rows[i].row, verdict.applied, rows[i].applied);
        CHECK_NUMBER(rows[i].row, verdict.ahead, rows[i].ahead);
        CHECK(rows[i].row, (verdict.missing == 0) == (*rows[i].missing == '\0'));
        CHECK(rows[i].row, (verdict.unknown == 0) == (*rows[i].unknown == '\0'));
        migrations_free(&image);
    }
}

static void sets(void **state)
{
    static const struct row rows[] = {
        {"nothing anywhere", TOOL_TEXT, {NULL}, {NULL}, "", "", true, false},
        {"no migrations, some rows", TOOL_TEXT, {NULL}, {"a"}, "", "a", true, true},
        {"nothing applied", TOOL_TEXT, {"a", "b"}, {NULL}, "a and b", "", false, false},
        {"partly", TOOL_TEXT, {"a", "b", "c"}, {"a"}, "b and c", "", false, false},
        {"all", TOOL_TEXT, {"a", "b"}, {"b", "a"}, "", "", true, false},
        {"ahead", TOOL_TEXT, {"a", "b"}, {"c", "a", "b"}, "", "c", true, true},
        {"diverged", TOOL_TEXT, {"a", "b", "d"}, {"a", "b", "c"}, "d", "c", false, false},
        {"back-dated", TOOL_TEXT, {"a", "b", "c"}, {"a", "c"}, "b", "", false, false},
        {"rows twice", TOOL_TEXT, {"a", "b"}, {"a", "a", "b"}, "", "", true, false},
        {"unknown twice", TOOL_TEXT, {"a"}, {"a", "x", "x"}, "", "x and x", true, true},
        {"case counts", TOOL_TEXT, {"a"}, {"A"}, "a", "A", false, false},
        {"numbers of nobody's tool", TOOL_PLAIN, {"1", "9", "10", "a"}, {"0009", "010", "1", "a"}, "", "", true, false},
        {"an old repeatable beside a newer version",
         TOOL_VERSION,
         {"1", "R__a.sql#5"},
         {"1", "2", "R__a.sql#4"},
         "",
         "2 and R__a.sql#4",
         true,
         true},
        {"a version is missing beside a newer one",
         TOOL_VERSION,
         {"1", "2", "R__a.sql#5"},
         {"1", "3", "R__a.sql#4"},
         "2 and R__a.sql#5",
         "3 and R__a.sql#4",
         false,
         false},
        {"leading zeros", TOOL_NUMBER, {"1", "9", "10"}, {"0009", "010", "1"}, "", "", true, false},
        {"dashes", TOOL_NUMBER, {"20240101000000"}, {"2024-01-01-000000"}, "", "", true, false},
        {"versions", TOOL_VERSION, {"1", "1.10", "2"}, {"1.0", "2.0.0", "1_10"}, "", "", true, false},
        {"repeatable",
         TOOL_VERSION,
         {"1", "R__a.sql#5"},
         {"1", "R__a.sql#4"},
         "R__a.sql#5",
         "R__a.sql#4",
         false,
         false},
        {"twins", TOOL_NUMBER, {"5", "5"}, {"5", "5"}, "", "", true, false},
        {"a twin is missing", TOOL_NUMBER, {"5", "5"}, {"5"}, "5", "", false, false},
    };
    (void)state;
    check(rows, UNIT_COUNT(rows));
}

static void limits(void **state)
{
    static const struct row rows[] = {
        {"up to the newest", TOOL_NUMBER, {"1", "2", "10"}, {"<=10"}, "", "", true, false},
        {"up to the middle", TOOL_NUMBER, {"1", "2", "10"}, {"<=002"}, "10", "", false, false},
        {"ahead", TOOL_NUMBER, {"1", "2"}, {"<=10"}, "", "10", true, true},
        {"between two", TOOL_NUMBER, {"1", "5"}, {"<=3"}, "5", "", false, false},
        {"below all", TOOL_NUMBER, {"5"}, {"<=3"}, "5", "", false, false},
        {"two", TOOL_NUMBER, {"1", "2", "3"}, {"<=1", "<=2"}, "3", "", false, false},
        {"no migrations", TOOL_NUMBER, {NULL}, {"<=3"}, "", "3", true, true},
        {"baseline", TOOL_VERSION, {"1", "2", "3", "R__a#1"}, {"<=2", "3", "R__a#1"}, "", "", true, false},
        {"baseline without file", TOOL_VERSION, {"2"}, {"<=1", "2"}, "", "", true, false},
        {"a repeatable has no limit", TOOL_VERSION, {"1", "R__a#1"}, {"<=9"}, "R__a#1", "9", false, false},
        {"numbers of nobody's tool", TOOL_PLAIN, {"1", "2", "10"}, {"<=9"}, "10", "", false, false},
        {"text of nobody's tool", TOOL_PLAIN, {"a", "b"}, {"<=a"}, "b", "", false, false},
        {"text", TOOL_TEXT, {"2023", "2024"}, {"<=2023"}, "2024", "", false, false},
    };
    (void)state;
    check(rows, UNIT_COUNT(rows));
}

static void heads(void **state)
{
    static const struct row rows[] = {
        {"empty", TOOL_TEXT, {"a<", "b<a"}, {NULL}, "a and b", "", false, false},
        {"the head", TOOL_TEXT, {"a<", "b<a", "c<b"}, {"c"}, "", "", true, false},
        {"an older one", TOOL_TEXT, {"a<", "b<a", "c<b"}, {"b"}, "c", "", false, false},
        {"unknown", TOOL_TEXT, {"a<", "b<a"}, {"x"}, "", "x", true, true},
        {"two heads", TOOL_TEXT, {"a<", "b<a", "c<a"}, {"b", "c"}, "", "", true, false},
        {"one of two heads", TOOL_TEXT, {"a<", "b<a", "c<a"}, {"b"}, "c", "", false, false},
        {"one of two heads and a newer one", TOOL_TEXT, {"a<", "b<a", "c<a"}, {"b", "x"}, "", "x", true, true},
        {"behind a row", TOOL_TEXT, {"a<", "c<b", "b<a"}, {"a", "x"}, "c and b", "x", false, false},
        {"a merge", TOOL_TEXT, {"a<", "b<a", "c<a", "d<b,c"}, {"d"}, "", "", true, false},
        {"before a merge", TOOL_TEXT, {"a<", "b<a", "c<a", "d<b,c"}, {"b", "c"}, "d", "", false, false},
        {"a parent that is gone", TOOL_TEXT, {"b<a", "c<b"}, {"c"}, "", "", true, false},
        {"a circle", TOOL_TEXT, {"a<b", "b<a"}, {"a"}, "", "", true, false},
        {"no files", TOOL_TEXT, {NULL}, {"x"}, "", "x", true, true},
    };
    (void)state;
    check(rows, UNIT_COUNT(rows));
}

static void five_thousand(void **state)
{
    enum { COUNT = 5000 };
    static char ids[COUNT][40];
    static struct migration list[COUNT];
    static const char *rows[COUNT];
    struct migrations image = {.ids = TOOL_TEXT, .list = list, .count = COUNT};
    struct verdict verdict;
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        snprintf(ids[i], sizeof ids[i], "20240101%06d_migration", i);
        list[i].id = ids[i];
        rows[COUNT - 1 - i] = ids[i];
    }
    assert_int_equal(verdict_find(&verdict, &image, rows, COUNT), 0);
    assert_true(verdict.applied && !verdict.ahead);
    assert_int_equal(verdict_find(&verdict, &image, rows, 0), 0);
    assert_int_equal(verdict.missing, COUNT);
    assert_string_equal(verdict.missing_ids,
                        "20240101000000_migration, 20240101000001_migration, "
                        "20240101000002_migration, 20240101000003_migration, 20240101000004_migration and 4995 more");
}

static void long_names_are_cut(void **state)
{
    char id[400];
    struct migration list[2] = {{.id = id}, {.id = id}};
    struct migrations image = {.ids = TOOL_TEXT, .list = list, .count = 2};
    struct verdict verdict;
    (void)state;
    memset(id, 'x', sizeof id);
    id[sizeof id - 1] = '\0';
    assert_int_equal(verdict_find(&verdict, &image, NULL, 0), 0);
    assert_non_null(strstr(verdict.missing_ids, "xxx and 1 more"));
}

int unit_verdict(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets),
        cmocka_unit_test(limits),
        cmocka_unit_test(heads),
        cmocka_unit_test(five_thousand),
        cmocka_unit_test(long_names_are_cut),
    };
    return UNIT_RUN("verdict", tests);
}
