/* Values that come from files, and what of all that the app does not see (DESIGN section 1). */
#include "options_kit.h"
#include "unit.h"

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

int unit_options_files(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_IN_DIRECTORY(values_from_files),
        UNIT_IN_DIRECTORY(redis_url_from_a_file),
        UNIT_IN_DIRECTORY(wrong_files),
        cmocka_unit_test(what_the_app_does_not_see),
    };
    return UNIT_RUN("options: files", tests);
}
