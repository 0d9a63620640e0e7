/* Which database, which lock, and values that come from files (DESIGN section 1). */
#include "options_kit.h"
#include "unit.h"
#include "variables.h"

#include <string.h>

#define CHECK_VERB "check", "--target=v1"
#define NAMED      CHECK_VERB, "--name=shop"

static const struct {
    const char *row;
    struct given given;
    const char *lock, *what; /* NULL: the embedded place */
} places[] = {
    {"--lock", {{CHECK_VERB, "--lock=file:/x"}, {"DATABASE_URL=postgres://h/d"}}, "file:/x", "--lock"},
    {"LOCKSTEP_LOCK", {{CHECK_VERB}, {"LOCKSTEP_LOCK=file:/x"}}, "file:/x", "LOCKSTEP_LOCK"},
    {"flag over variable", {{CHECK_VERB, "--lock=file:/y"}, {"LOCKSTEP_LOCK=file:/x"}}, "file:/y", "--lock"},
    {"--database", {{CHECK_VERB, "--database=postgres://h/d"}, {NULL}}, "postgres://h/d", "--database"},
    {"LOCKSTEP_DATABASE",
     {{CHECK_VERB}, {"LOCKSTEP_DATABASE=postgresql://h/d"}},
     "postgresql://h/d",
     "LOCKSTEP_DATABASE"},
    {"DATABASE_URL", {{CHECK_VERB}, {"DATABASE_URL=postgres://h/d"}}, "postgres://h/d", "DATABASE_URL"},
    {"LOCKSTEP_DATABASE over DATABASE_URL",
     {{CHECK_VERB}, {"LOCKSTEP_DATABASE=postgres://a/d", "DATABASE_URL=postgres://b/d"}},
     "postgres://a/d",
     "LOCKSTEP_DATABASE"},
    {"--database over both",
     {{CHECK_VERB, "--database=postgres://c/d"}, {"LOCKSTEP_DATABASE=postgres://a/d", "DATABASE_URL=postgres://b/d"}},
     "postgres://c/d",
     "--database"},
    {"empty LOCKSTEP_LOCK",
     {{CHECK_VERB}, {"LOCKSTEP_LOCK=", "DATABASE_URL=postgres://h/d"}},
     "postgres://h/d",
     "DATABASE_URL"},
    {"nothing", {{CHECK_VERB}, {NULL}}, NULL, NULL},
    {"empty DATABASE_URL", {{CHECK_VERB}, {"DATABASE_URL="}}, NULL, NULL},
    {"mysql", {{CHECK_VERB}, {"DATABASE_URL=mysql://h/d"}}, NULL, NULL},
    {"mongodb+srv", {{CHECK_VERB}, {"DATABASE_URL=mongodb+srv://h/d"}}, NULL, NULL},
    {"sqlite", {{CHECK_VERB}, {"DATABASE_URL=sqlite:app.db"}}, NULL, NULL},
    {"Prisma's file", {{CHECK_VERB}, {"DATABASE_URL=file:./dev.db"}}, NULL, NULL},
    {"REDIS_URL", {{NAMED}, {"REDIS_URL=redis://h/1"}}, "redis://h/1", "REDIS_URL"},
    {"... of any kind", {{NAMED}, {"REDIS_URL=rediss+sentinel://h/m"}}, "rediss+sentinel://h/m", "REDIS_URL"},
    {"the database over REDIS_URL",
     {{NAMED}, {"DATABASE_URL=postgres://h/d", "REDIS_URL=redis://h"}},
     "postgres://h/d",
     "DATABASE_URL"},
    {"REDIS_URL beside another kind of database",
     {{NAMED}, {"DATABASE_URL=mysql://h/d", "REDIS_URL=redis://h"}},
     "redis://h",
     "REDIS_URL"},
    {"LOCKSTEP_LOCK over REDIS_URL",
     {{NAMED}, {"LOCKSTEP_LOCK=redis://a", "REDIS_URL=redis://b"}},
     "redis://a",
     "LOCKSTEP_LOCK"},
    {"--lock over both",
     {{NAMED, "--lock=unix:///s"}, {"LOCKSTEP_LOCK=redis://a", "REDIS_URL=redis://b"}},
     "unix:///s",
     "--lock"},
    {"Redis beside the database",
     {{NAMED, "--lock=redis://a"}, {"DATABASE_URL=postgres://h/d"}},
     "redis://a",
     "--lock"},
    {"empty REDIS_URL", {{CHECK_VERB}, {"REDIS_URL="}}, NULL, NULL},
};

static void default_of_lock(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(places); i++) {
        struct options options = given_options(places[i].row, &places[i].given);
        if (places[i].lock) {
            CHECK_TEXT(places[i].row, options.lock, places[i].lock);
            CHECK_TEXT(places[i].row, options.lock_what, places[i].what);
        } else {
            CHECK(places[i].row, strncmp(options.lock, "file:/", 6) == 0);
            CHECK_TEXT(places[i].row, strrchr(options.lock, '/'), "/lockstep");
        }
    }
}

static void unknown_scheme_is_an_error(void **state)
{
    static const struct {
        const char *row;
        struct given given;
        const char *says;
    } rows[] = {
        {"unknown scheme", {{CHECK_VERB}, {"DATABASE_URL=nonsense://h/d"}}, "DATABASE_URL"},
        {"Prisma Accelerate", {{CHECK_VERB, "--database=prisma://h/?api_key=hunter22"}, {NULL}}, "--database"},
        {"no scheme", {{CHECK_VERB}, {"LOCKSTEP_DATABASE=shop"}}, "LOCKSTEP_DATABASE"},
        {"conninfo", {{CHECK_VERB}, {"DATABASE_URL=host=h password=hunter22"}}, "DATABASE_URL"},
        {"no Redis", {{NAMED}, {"REDIS_URL=memcached://:hunter22@h"}}, "REDIS_URL"},
        {"no Redis, no scheme", {{NAMED}, {"REDIS_URL=hunter22"}}, "REDIS_URL"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct options options;
        struct err err;
        given_error(rows[i].row, &rows[i].given, rows[i].says);
        given_read(&rows[i].given, &options, &err);
        CHECK(rows[i].row, !strstr(err.text, "hunter22"));
    }
    given_options("... but --lock says where", &(struct given){{CHECK_VERB, "--lock=file:/x"},
                                                               {"DATABASE_URL=nonsense://h/d", "REDIS_URL=nonsense"}});
    given_options("... or the database does",
                  &(struct given){{CHECK_VERB}, {"DATABASE_URL=postgres://h/d", "REDIS_URL=nonsense"}});
}

/* Other apps may meet in the same Redis, so "default" must be the user's own word there. */
static void redis_needs_a_name(void **state)
{
    static const struct {
        const char *row;
        struct given given;
        const char *says; /* NULL: fine */
    } rows[] = {
        {"--lock", {{CHECK_VERB, "--lock=redis://h"}, {NULL}}, "a Redis lock (--lock)"},
        {"LOCKSTEP_LOCK", {{CHECK_VERB}, {"LOCKSTEP_LOCK=rediss://h"}}, "a Redis lock (LOCKSTEP_LOCK)"},
        {"REDIS_URL", {{CHECK_VERB}, {"REDIS_URL=redis://h"}}, "a Redis lock (REDIS_URL)"},
        {"a socket", {{CHECK_VERB, "--lock=unix:///s"}, {NULL}}, "--name (LOCKSTEP_NAME) is missing"},
        {"sentinels", {{CHECK_VERB, "--lock=redis+sentinel://h/m"}, {NULL}}, "--name (LOCKSTEP_NAME) is missing"},
        {"an empty name", {{CHECK_VERB, "--lock=redis://h"}, {"LOCKSTEP_NAME="}}, "LOCKSTEP_NAME"},
        {"beside a database",
         {{CHECK_VERB, "--lock=redis://h"}, {"DATABASE_URL=postgres://h/d"}},
         "--name (LOCKSTEP_NAME) is missing"},
        {"given", {{CHECK_VERB, "--lock=redis://h", "--name=default"}, {NULL}}, NULL},
        {"given as a variable", {{CHECK_VERB, "--lock=redis://h"}, {"LOCKSTEP_NAME=default"}}, NULL},
        {"REDIS_URL is not where we meet",
         {{CHECK_VERB}, {"DATABASE_URL=postgres://h/d", "REDIS_URL=redis://h"}},
         NULL},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        if (rows[i].says)
            given_error(rows[i].row, &rows[i].given, rows[i].says);
        else
            CHECK_TEXT(rows[i].row, given_options(rows[i].row, &rows[i].given).name, "default");
    }
}

static void make_secrets(void)
{
    unit_file("url", "postgres://ann:pass@h/d\n", 0600);
    unit_file("lines", "postgres://ann:pass@h/d\r\n\n\n", 0600);
    unit_file("bare", "postgres://ann:pass@h/d", 0600);
    unit_file("empty", "\n", 0600);
    unit_file("schema", "strange\n", 0600);
    unit_file("redis", "rediss://:pass@h/1\n", 0600);
}

static void values_from_files(void **state)
{
    static const struct {
        const char *row;
        struct given given;
        bool for_app; /* kept for the environment of app and command */
    } rows[] = {
        {"LOCKSTEP_LOCK_FILE", {{CHECK_VERB}, {"LOCKSTEP_LOCK_FILE=url"}}, false},
        {"LOCKSTEP_DATABASE_FILE", {{CHECK_VERB}, {"LOCKSTEP_DATABASE_FILE=url"}}, false},
        {"DATABASE_URL_FILE", {{CHECK_VERB}, {"DATABASE_URL_FILE=url"}}, true},
        {"several line ends", {{CHECK_VERB}, {"DATABASE_URL_FILE=lines"}}, true},
        {"no line end", {{CHECK_VERB}, {"DATABASE_URL_FILE=bare"}}, true},
        {"an empty variable beside it", {{CHECK_VERB}, {"DATABASE_URL=", "DATABASE_URL_FILE=url"}}, true},
        {"an empty helper", {{CHECK_VERB}, {"DATABASE_URL=postgres://ann:pass@h/d", "DATABASE_URL_FILE="}}, false},
        {"no secret, no file", {{CHECK_VERB}, {"LOCKSTEP_SCHEMA_FILE=schema", "DATABASE_URL_FILE=url"}}, true},
    };
    (void)state;
    make_secrets();
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct options options = given_options(rows[i].row, &rows[i].given);
        CHECK_TEXT(rows[i].row, options.lock, "postgres://ann:pass@h/d");
        CHECK_TEXT(rows[i].row, options.app_urls_from_file[APP_DATABASE_URL],
                   rows[i].for_app ? "postgres://ann:pass@h/d" : NULL);
        CHECK_TEXT(rows[i].row, options.schema, "lockstep");
    }
}

/* The app gets REDIS_URL whether or not it is where we meet. */
static void redis_url_from_a_file(void **state)
{
    static const char url[] = "rediss://:pass@h/1";
    static const struct {
        const char *row;
        struct given given;
        const char *lock, *what, *for_app;
    } rows[] = {
        {"REDIS_URL_FILE", {{NAMED}, {"REDIS_URL_FILE=redis"}}, url, "REDIS_URL", url},
        {"an empty variable beside it", {{NAMED}, {"REDIS_URL=", "REDIS_URL_FILE=redis"}}, url, "REDIS_URL", url},
        {"an empty helper", {{NAMED}, {"REDIS_URL=redis://h", "REDIS_URL_FILE="}}, "redis://h", "REDIS_URL", NULL},
        {"LOCKSTEP_LOCK_FILE", {{NAMED}, {"LOCKSTEP_LOCK_FILE=redis"}}, url, "LOCKSTEP_LOCK", NULL},
        {"beside --lock", {{NAMED, "--lock=file:/x"}, {"REDIS_URL_FILE=redis"}}, "file:/x", "--lock", url},
        {"beside the database",
         {{NAMED}, {"DATABASE_URL=postgres://h/d", "REDIS_URL_FILE=redis"}},
         "postgres://h/d",
         "DATABASE_URL",
         url},
    };
    (void)state;
    make_secrets();
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct options options = given_options(rows[i].row, &rows[i].given);
        CHECK_TEXT(rows[i].row, options.lock, rows[i].lock);
        CHECK_TEXT(rows[i].row, options.lock_what, rows[i].what);
        CHECK_TEXT(rows[i].row, options.app_urls_from_file[APP_REDIS_URL], rows[i].for_app);
        CHECK_TEXT(rows[i].row, options.app_urls_from_file[APP_DATABASE_URL], NULL);
    }
}

static void wrong_files(void **state)
{
    static const struct {
        const char *row;
        struct given given;
        const char *says;
    } rows[] = {
        {"both", {{CHECK_VERB}, {"LOCKSTEP_LOCK=file:/x", "LOCKSTEP_LOCK_FILE=url"}}, "LOCKSTEP_LOCK_FILE"},
        {"both of DATABASE_URL",
         {{CHECK_VERB}, {"DATABASE_URL=postgres://h/d", "DATABASE_URL_FILE=url"}},
         "DATABASE_URL_FILE"},
        {"missing", {{CHECK_VERB}, {"LOCKSTEP_DATABASE_FILE=nowhere"}}, "nowhere"},
        {"empty", {{CHECK_VERB}, {"DATABASE_URL_FILE=empty"}}, "empty"},
        {"a directory", {{CHECK_VERB}, {"DATABASE_URL_FILE=."}}, "DATABASE_URL_FILE"},
        {"both of REDIS_URL", {{NAMED}, {"REDIS_URL=redis://h", "REDIS_URL_FILE=redis"}}, "REDIS_URL_FILE"},
        {"REDIS_URL's missing", {{NAMED}, {"REDIS_URL_FILE=nowhere"}}, "REDIS_URL_FILE: nowhere"},
    };
    (void)state;
    make_secrets();
    for (size_t i = 0; i < UNIT_COUNT(rows); i++)
        given_error(rows[i].row, &rows[i].given, rows[i].says);
}

static void what_the_app_does_not_see(void **state)
{
    static const struct {
        const char *name;
        bool consumed;
    } rows[] = {
        {"LOCKSTEP_LOCK", true},
        {"LOCKSTEP_LOCK_FILE", true},
        {"LOCKSTEP_DATABASE_FILE", true},
        {"DATABASE_URL_FILE", true},
        {"LOCKSTEP_TARGET", true},
        {"LOCKSTEP_TARGET_FILES", true},
        {"DATABASE_URL", false},
        {"REDIS_URL_FILE", true},
        {"REDIS_URL", false},
        {"LOCKSTEP_ALLOW_EVICTION", true},
        {"LOCKSTEP_ALLOW_EVICTION_FILE", false},
        {"LOCKSTEP_NAME_FILE", false},
        {"LOCKSTEP_NAMES", false},
        {"LOCKSTEP_", false},
        {"", false},
        {"XLOCKSTEP_NAME", false},
        {"lockstep_name", false},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++)
        CHECK_NUMBER(rows[i].name, options_consumes(rows[i].name), rows[i].consumed);
}

int unit_options_lock(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_of_lock),           cmocka_unit_test(unknown_scheme_is_an_error),
        cmocka_unit_test(redis_needs_a_name),        UNIT_IN_DIRECTORY(values_from_files),
        UNIT_IN_DIRECTORY(redis_url_from_a_file),    UNIT_IN_DIRECTORY(wrong_files),
        cmocka_unit_test(what_the_app_does_not_see),
    };
    return UNIT_RUN("options: lock, database, Redis, files", tests);
}
