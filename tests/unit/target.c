#include "target.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATTERNS_MAX 4

static void make_files(void)
{
    assert_int_equal(mkdir("m", 0755) | mkdir("m/3.sql", 0755), 0); /* a directory of a file's name is left out */
    unit_file("m/1.sql", "one", 0644);
    unit_file("m/2.sql", "two", 0644);
    unit_file("m/notes.txt", "none", 0644);
}

static void version_of(const char *row, char target[TARGET_CAPACITY], const char *const patterns[])
{
    struct err err = {.text = ""};
    int count = 0;
    while (patterns[count])
        count++;
    int result = target_of_files(patterns, count, target, &err);
    CHECK_TEXT(row, err.text, "");
    CHECK_NUMBER(row, result, 0);
}

#define PATTERNS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void form(void **state)
{
    char target[TARGET_CAPACITY];
    (void)state;
    make_files();
    version_of("form", target, PATTERNS("m/*.sql"));
    assert_int_equal(strlen(target), 38);
    assert_memory_equal(target, "files-", 6);
    assert_int_equal(strspn(target + 6, "0123456789abcdef"), 32);
}

static void same_files_are_the_same_version(void **state)
{
    static const struct {
        const char *row, *patterns[PATTERNS_MAX];
    } rows[] = {
        {"one by one", {"m/1.sql", "m/2.sql"}}, {"the other order", {"m/2.sql", "m/1.sql"}},
        {"twice", {"m/*.sql", "m/*.sql"}},      {"overlapping", {"m/1.sql", "m/*.sql", "m/2*"}},
        {"in brackets", {"m/[12].sql"}},
    };
    char all[TARGET_CAPACITY], target[TARGET_CAPACITY];
    (void)state;
    make_files();
    version_of("all", all, PATTERNS("m/*.sql"));
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        version_of(rows[i].row, target, rows[i].patterns);
        CHECK_TEXT(rows[i].row, target, all);
    }
}

static void change(const char *row)
{
    if (strcmp(row, "content") == 0)
        unit_file("m/1.sql", "One", 0644);
    else if (strcmp(row, "added") == 0)
        unit_file("m/4.sql", "", 0644);
    else if (strcmp(row, "renamed") == 0)
        assert_int_equal(rename("m/1.sql", "m/0.sql"), 0);
    else if (strcmp(row, "removed") == 0)
        assert_int_equal(unlink("m/2.sql"), 0);
    else if (strcmp(row, "contents swapped") == 0)
        unit_file("m/1.sql", "two", 0644), unit_file("m/2.sql", "one", 0644);
    else
        unit_file("m/1.sql", "onetwo", 0644), unit_file("m/2.sql", "", 0644);
}

static void other_files_are_another_version(void **state)
{
    static const char *const rows[] = {
        "content", "added", "renamed", "removed", "contents swapped", "content moved to the file before"};
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        char before[TARGET_CAPACITY], after[TARGET_CAPACITY];
        void *unused = NULL;
        if (i > 0)
            assert_int_equal(unit_leave_directory(&unused) | unit_enter_directory(&unused), 0);
        make_files();
        version_of(rows[i], before, PATTERNS("m/*.sql"));
        change(rows[i]);
        version_of(rows[i], after, PATTERNS("m/*.sql"));
        CHECK(rows[i], strcmp(before, after) != 0);
    }
}

static void time_and_mode_do_not_matter(void **state)
{
    char before[TARGET_CAPACITY], after[TARGET_CAPACITY];
    (void)state;
    make_files();
    version_of("before", before, PATTERNS("m/*.sql"));
    unit_file("m/1.sql", "one", 0600);
    version_of("after", after, PATTERNS("m/*.sql"));
    assert_string_equal(before, after);
}

static void big_file_is_read_to_its_end(void **state)
{
    static char content[100000];
    char before[TARGET_CAPACITY], after[TARGET_CAPACITY];
    (void)state;
    memset(content, 'x', sizeof content - 1);
    unit_file("big", content, 0644);
    version_of("before", before, PATTERNS("big"));
    content[sizeof content - 2] = 'y';
    unit_file("big", content, 0644);
    version_of("after", after, PATTERNS("big"));
    assert_string_not_equal(before, after);
}

static void what_matches_nothing_is_an_error(void **state)
{
    static const struct {
        const char *row, *patterns[PATTERNS_MAX], *says;
    } rows[] = {
        {"missing", {"m/*.up"}, "m/*.up"},
        {"missing directory", {"n/*.sql"}, "n/*.sql"},
        {"only a directory", {"m"}, "matches m;"},
        {"the second one", {"m/*.sql", "m/*.up"}, "m/*.up"},
        {"the first one", {"m/*.up", "m/*.sql"}, "m/*.up"},
    };
    (void)state;
    make_files();
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        char target[TARGET_CAPACITY];
        struct err err = {.code = ERR_NONE};
        CHECK_NUMBER(rows[i].row, target_of_files(rows[i].patterns, rows[i].patterns[1] ? 2 : 1, target, &err), -1);
        CHECK_NUMBER(rows[i].row, err.code, ERR_USAGE);
        CHECK(rows[i].row, strstr(err.text, rows[i].says));
    }
}

int unit_target(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_IN_DIRECTORY(form),
        UNIT_IN_DIRECTORY(same_files_are_the_same_version),
        UNIT_IN_DIRECTORY(other_files_are_another_version),
        UNIT_IN_DIRECTORY(time_and_mode_do_not_matter),
        UNIT_IN_DIRECTORY(big_file_is_read_to_its_end),
        UNIT_IN_DIRECTORY(what_matches_nothing_is_an_error),
    };
    return UNIT_RUN("target", tests);
}
