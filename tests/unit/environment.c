#include "environment.h"

#include "unit.h"

#include <string.h>

#define ENTRIES_MAX 12

static struct options some_options(void)
{
    struct options options = {.name = "shop"};
    return options;
}

static void check_entries(const char *row, char **actual, const char *const expected[])
{
    CHECK(row, actual);
    size_t n = 0;
    for (; expected[n] && actual[n]; n++)
        CHECK_TEXT(row, actual[n], expected[n]);
    CHECK_TEXT(row, actual[n], expected[n]);
}

static const struct {
    const char *row, *unset;
    const char *urls[APP_URLS]; /* from files */
    char *got[ENTRIES_MAX];
    const char *app[ENTRIES_MAX], *command[ENTRIES_MAX]; /* without what is added for the command */
} rows[] = {
    {"nothing", NULL, {NULL}, {NULL}, {NULL}, {NULL}},
    {"order, bytes and doubles are kept",
     NULL,
     {NULL},
     {"Z=1", "A=\xff\n", "Z=2", "E=", "noequals"},
     {"Z=1", "A=\xff\n", "Z=2", "E=", "noequals"},
     {"Z=1", "A=\xff\n", "Z=2", "E=", "noequals"}},
    {"options are removed",
     NULL,
     {NULL},
     {"A=1", "LOCKSTEP_MIGRATE=x", "LOCKSTEP_TARGET_FILES=*", "LOCKSTEP_LOCK_FILE=f", "LOCKSTEP_DATABASE_FILE=f",
      "B=2"},
     {"A=1", "B=2"},
     {"A=1", "B=2"}},
    {"strange ones stay",
     NULL,
     {NULL},
     {"LOCKSTEP=1", "LOCKSTEP_NAMES=2", "MY_LOCKSTEP_NAME=3", "API_KEY_FILE=f"},
     {"LOCKSTEP=1", "LOCKSTEP_NAMES=2", "MY_LOCKSTEP_NAME=3", "API_KEY_FILE=f"},
     {"LOCKSTEP=1", "LOCKSTEP_NAMES=2", "MY_LOCKSTEP_NAME=3", "API_KEY_FILE=f"}},
    {"DATABASE_URL is passed on",
     NULL,
     {NULL},
     {"DATABASE_URL=a", "B=2"},
     {"DATABASE_URL=a", "B=2"},
     {"DATABASE_URL=a", "B=2"}},
    {"--unset is for the app",
     "ADMIN",
     {NULL},
     {"ADMIN=1", "ADMINS=2", "B=2", "ADMIN=3"},
     {"ADMINS=2", "B=2"},
     {"ADMIN=1", "ADMINS=2", "B=2", "ADMIN=3"}},
    {"DATABASE_URL from a file",
     NULL,
     {"from-file"},
     {"DATABASE_URL_FILE=f", "B=2"},
     {"B=2", "DATABASE_URL=from-file"},
     {"B=2", "DATABASE_URL=from-file"}},
    {"... replaces an empty one",
     NULL,
     {"from-file"},
     {"DATABASE_URL=", "DATABASE_URL_FILE=f"},
     {"DATABASE_URL=from-file"},
     {"DATABASE_URL=from-file"}},
    {"... and --unset",
     "DATABASE_URL",
     {"from-file"},
     {"DATABASE_URL_FILE=f", "B=2"},
     {"B=2"},
     {"B=2", "DATABASE_URL=from-file"}},
    {"a helper that was not read stays",
     NULL,
     {NULL},
     {"DATABASE_URL_FILE=f"},
     {"DATABASE_URL_FILE=f"},
     {"DATABASE_URL_FILE=f"}},
    {"REDIS_URL is passed on", NULL, {NULL}, {"REDIS_URL=a"}, {"REDIS_URL=a"}, {"REDIS_URL=a"}},
    {"REDIS_URL from a file",
     NULL,
     {NULL, "from-file"},
     {"REDIS_URL_FILE=f", "REDIS_URL=", "DATABASE_URL_FILE=f", "B=2"},
     {"DATABASE_URL_FILE=f", "B=2", "REDIS_URL=from-file"},
     {"DATABASE_URL_FILE=f", "B=2", "REDIS_URL=from-file"}},
    {"... and --unset",
     "REDIS_URL",
     {NULL, "from-file"},
     {"REDIS_URL_FILE=f", "DATABASE_URL=a"},
     {"DATABASE_URL=a"},
     {"DATABASE_URL=a", "REDIS_URL=from-file"}},
    {"both from files",
     NULL,
     {"postgres", "redis"},
     {"REDIS_URL_FILE=f", "DATABASE_URL_FILE=g"},
     {"DATABASE_URL=postgres", "REDIS_URL=redis"},
     {"DATABASE_URL=postgres", "REDIS_URL=redis"}},
    {"a helper of REDIS_URL that was not read stays",
     NULL,
     {"from-file", NULL},
     {"REDIS_URL_FILE=f", "DATABASE_URL_FILE=g"},
     {"REDIS_URL_FILE=f", "DATABASE_URL=from-file"},
     {"REDIS_URL_FILE=f", "DATABASE_URL=from-file"}},
    {"what switches are set by is not the app's",
     NULL,
     {NULL},
     {"LOCKSTEP_ALLOW_EVICTION=1", "LOCKSTEP_ALLOW_EVICTION_FILE=f"},
     {"LOCKSTEP_ALLOW_EVICTION_FILE=f"},
     {"LOCKSTEP_ALLOW_EVICTION_FILE=f"}},
};

static struct options options_of_row(size_t i)
{
    struct options options = some_options();
    if (rows[i].unset)
        options.unset = (struct option_list){.items = {rows[i].unset}, .count = 1};
    for (int url = 0; url < APP_URLS; url++)
        options.app_urls_from_file[url] = (char *)(uintptr_t)rows[i].urls[url];
    return options;
}

static void app_gets_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct options options = options_of_row(i);
        char **app = environment_of_app(&options, rows[i].got, NULL);
        check_entries(rows[i].row, app, rows[i].app);
        environment_free(app);
    }
}

static void home_of_the_user(void **state)
{
    static char *const got[] = {"HOME=/root", "A=1", "HOMES=2", "HOME=again", NULL};
    static const char *const with[] = {"A=1", "HOMES=2", "HOME=/home/app", NULL};
    static const char *const without[] = {"A=1", "HOMES=2", NULL};
    (void)state;
    struct options options = some_options();
    char **app = environment_of_app(&options, got, "/home/app");
    check_entries("app", app, with);
    environment_free(app);
    char **command = environment_of_command(&options, got, "/home/app", "v1", 7, 1, RUN_NONE);
    for (size_t i = 0; with[i]; i++)
        CHECK_TEXT("command", command[i], with[i]);
    environment_free(command);
    options.unset = (struct option_list){.items = {"HOME"}, .count = 1};
    app = environment_of_app(&options, got, "/home/app");
    check_entries("--unset", app, without);
    environment_free(app);
}

static void tool_gets_a_database(void **state)
{
    static char *const got[] = {"A=1", "DATABASE_URL=", NULL};
    static const char *const app[] = {"A=1", "DATABASE_URL=", NULL};
    static const char *const command[] = {"A=1", "DATABASE_URL=postgres://h/d", NULL};
    (void)state;
    struct options options = some_options();
    options.tool_database = "postgres://h/d";
    char **entries = environment_of_app(&options, got, NULL);
    check_entries("app", entries, app);
    environment_free(entries);
    entries = environment_of_check(&options, got, NULL);
    check_entries("check", entries, command);
    environment_free(entries);
    entries = environment_of_command(&options, got, NULL, "v1", 7, 1, RUN_NONE);
    CHECK_TEXT("command", entries[1], command[1]);
    environment_free(entries);
}

static const char *value_of(char *const entries[], const char *name, int *count)
{
    const char *value = NULL;
    *count = 0;
    for (; *entries; entries++) {
        if (strncmp(*entries, name, strlen(name)) == 0 && (*entries)[strlen(name)] == '=') {
            value = value ? value : *entries + strlen(name) + 1; /* getenv takes the first */
            ++*count;
        }
    }
    return value;
}

static void command_gets_the_same_and_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct options options = options_of_row(i);
        char **entries = environment_of_command(&options, rows[i].got, NULL, "v1", 7, 2, RUN_FAILED);
        size_t n = 0;
        for (; rows[i].command[n]; n++)
            CHECK_TEXT(rows[i].row, entries[n], rows[i].command[n]);
        for (; entries[n]; n++)
            CHECK(rows[i].row, strncmp(entries[n], "LOCKSTEP_", 9) == 0 || strncmp(entries[n], "PGAPPNAME=", 10) == 0);
        environment_free(entries);
    }
}

static void command_gets_the_run(void **state)
{
    static const struct {
        const char *name, *value;
    } expected[] = {
        {"LOCKSTEP_TOKEN", "18446744073709551615"},
        {"LOCKSTEP_TARGET", "v1"},
        {"LOCKSTEP_ATTEMPT", "3"},
        {"LOCKSTEP_PREVIOUS", "interrupted"},
        {"PGAPPNAME", "lockstep:shop:18446744073709551615"},
    };
    /* A migration that starts lockstep again inherits the outer run's. */
    static char *const got[] = {
        "LOCKSTEP_TOKEN=1", "LOCKSTEP_TARGET=old", "LOCKSTEP_ATTEMPT=9", "LOCKSTEP_PREVIOUS=none", "A=1", NULL};
    (void)state;
    struct options options = some_options();
    for (size_t from = 0; from <= 4; from += 4) {
        char **entries = environment_of_command(&options, got + 4 - from, NULL, "v1", UINT64_MAX, 3, RUN_INTERRUPTED);
        for (size_t i = 0; i < UNIT_COUNT(expected); i++) {
            int count;
            CHECK_TEXT(expected[i].name, value_of(entries, expected[i].name, &count), expected[i].value);
            CHECK_NUMBER(expected[i].name, count, 1);
        }
        environment_free(entries);
    }
}

static void users_own_application_name_is_kept(void **state)
{
    static char *const got[] = {"PGAPPNAME=mine", NULL};
    int count;
    (void)state;
    struct options options = some_options();
    char **entries = environment_of_command(&options, got, NULL, "v1", 7, 1, RUN_NONE);
    assert_string_equal(value_of(entries, "PGAPPNAME", &count), "mine");
    assert_int_equal(count, 1);
    assert_string_equal(value_of(entries, "LOCKSTEP_PREVIOUS", &count), "none");
    environment_free(entries);
    environment_free(NULL);
}

static void listen_pid_follows_the_app(void **state)
{
    static char *const got[] = {"LISTEN_PID=42",  "A=42", "LISTEN_PID=421", "LISTEN_PID=", "LISTEN_PID=42",
                                "XLISTEN_PID=42", NULL};
    static const char *const expected[] = {"LISTEN_PID=7",   "A=42", "LISTEN_PID=421", "LISTEN_PID=", "LISTEN_PID=7",
                                           "XLISTEN_PID=42", NULL};
    (void)state;
    struct options options = some_options();
    char **entries = environment_of_app(&options, got, NULL);
    environment_follow_listen_pid(entries, 42, 7);
    check_entries("LISTEN_PID", entries, expected);
    environment_free(entries);
}

int unit_environment(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(app_gets_its_own),           cmocka_unit_test(command_gets_the_same_and_more),
        cmocka_unit_test(command_gets_the_run),       cmocka_unit_test(users_own_application_name_is_kept),
        cmocka_unit_test(listen_pid_follows_the_app), cmocka_unit_test(home_of_the_user),
        cmocka_unit_test(tool_gets_a_database),
    };
    return UNIT_RUN("environment", tests);
}
