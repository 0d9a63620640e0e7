#include "options.h"

#include "options_kit.h"
#include "options_table.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIGRATE "--migrate=true"
#define TARGET  "--target=v1"

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"0", 0},
        {"0s", 0},
        {"500ms", 500},
        {"30s", 30000},
        {"10m", 600000},
        {"1h", 3600000},
        {"90", 90000},
        {"007", 7000},
        {"8760h", INT64_C(31536000000)},
        {"", -1},
        {" 5", -1},
        {"5 ", -1},
        {"5 s", -1},
        {"-5", -1},
        {"+5", -1},
        {"1.5s", -1},
        {"1d", -1},
        {"5S", -1},
        {"5sec", -1},
        {"1h30m", -1},
        {"s", -1},
        {"0x10", -1},
        {"1e3", -1},
        {"99999999999999999999", -1},
        {"9223372036854775807h", -1},
        {"9223372036854775807ms", -1},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++)
        CHECK_NUMBER(rows[i].text, options_duration(rows[i].text), rows[i].ms);
}

static void defaults_are_those_of_the_contract(void **state)
{
    (void)state;
    struct options o = given_options("defaults", &(struct given){{"migrate", MIGRATE, TARGET}, {NULL}});
    assert_string_equal(o.name, "default");
    assert_string_equal(o.schema, "lockstep");
    assert_int_equal(o.wait_timeout, 3600000);
    assert_int_equal(o.connect_timeout, 60000);
    assert_int_equal(o.migrate_timeout, 0);
    assert_int_equal(o.stop_grace, 8000);
    assert_int_equal(o.lease, 25000);
    assert_int_equal(o.retries, 0);
    assert_int_equal(o.retry_delay, 5000);
    assert_int_equal(o.max_attempts, 0);
    assert_int_equal(o.on_failure, ON_FAILURE_EXIT);
    assert_int_equal(o.log_json, 0);
    assert_int_equal(o.log_level, LOG_LEVEL_INFO);
    assert_int_equal(o.allow_eviction, 0);
    assert_null(o.user);
    assert_null(o.migrate_user);
    assert_null(o.database);
    assert_null(o.command);
}

static void verbs_and_commands(void **state)
{
    static const struct {
        const char *row;
        struct given given;
        enum verb verb;
        const char *command[3];
    } rows[] = {
        {"no verb", {{MIGRATE, TARGET, "bun", "server.js"}, {NULL}}, VERB_RUN, {"bun", "server.js"}},
        {"run", {{"run", MIGRATE, TARGET, "bun"}, {NULL}}, VERB_RUN, {"bun"}},
        {"--", {{MIGRATE, TARGET, "--", "bun"}, {NULL}}, VERB_RUN, {"bun"}},
        {"a program named like a verb", {{MIGRATE, TARGET, "--", "migrate"}, {NULL}}, VERB_RUN, {"migrate"}},
        {"a verb behind an option is a program", {{MIGRATE, TARGET, "check"}, {NULL}}, VERB_RUN, {"check"}},
        {"the app's options are its own",
         {{MIGRATE, TARGET, "bun", "--name", "x"}, {NULL}},
         VERB_RUN,
         {"bun", "--name", "x"}},
        {"a lone -", {{MIGRATE, TARGET, "-"}, {NULL}}, VERB_RUN, {"-"}},
        {"migrate", {{"migrate", MIGRATE, TARGET}, {NULL}}, VERB_MIGRATE, {NULL}},
        {"wait", {{"wait", TARGET}, {NULL}}, VERB_WAIT, {NULL}},
        {"wait with a command", {{"wait", TARGET, "--", "bun"}, {NULL}}, VERB_WAIT, {"bun"}},
        {"wait with nothing behind --", {{"wait", TARGET, "--"}, {NULL}}, VERB_WAIT, {NULL}},
        {"check", {{"check", TARGET}, {NULL}}, VERB_CHECK, {NULL}},
        {"schema needs nothing", {{"schema"}, {NULL}}, VERB_SCHEMA, {NULL}},
        {"--help", {{"--help"}, {NULL}}, VERB_HELP, {NULL}},
        {"--help behind a verb", {{"migrate", "--help"}, {NULL}}, VERB_HELP, {NULL}},
        {"--help in spite of wrong variables", {{"--help"}, {"LOCKSTEP_LEASE=x"}}, VERB_HELP, {NULL}},
        {"--version", {{"--version"}, {NULL}}, VERB_VERSION, {NULL}},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct options options = given_options(rows[i].row, &rows[i].given);
        CHECK_NUMBER(rows[i].row, options.verb, rows[i].verb);
        CHECK_NUMBER(rows[i].row, options.command != NULL, rows[i].command[0] != NULL);
        for (int n = 0; options.command && n < 3; n++) {
            CHECK_TEXT(rows[i].row, options.command[n], rows[i].command[n]);
            if (!options.command[n])
                break;
        }
    }
}

static void wrong_usage_is_told(void **state)
{
    static const struct {
        const char *row;
        struct given given;
        const char *says;
    } rows[] = {
        {"nothing", {{NULL}, {NULL}}, "COMMAND"},
        {"run without COMMAND", {{"run", MIGRATE, TARGET}, {NULL}}, "COMMAND"},
        {"run without --migrate", {{TARGET, "bun"}, {NULL}}, "--migrate"},
        {"migrate without --migrate", {{"migrate", TARGET}, {NULL}}, "--migrate"},
        {"migrate with COMMAND", {{"migrate", MIGRATE, TARGET, "bun"}, {NULL}}, "bun"},
        {"check with COMMAND", {{"check", TARGET, "bun"}, {NULL}}, "bun"},
        {"schema with COMMAND", {{"schema", "bun"}, {NULL}}, "bun"},
        {"unknown option", {{"--nonsense=1", "bun"}, {NULL}}, "--nonsense"},
        {"short option", {{"-x", "bun"}, {NULL}}, "-x"},
        {"cut option", {{"--targe=v1", "bun"}, {NULL}}, "--targe"},
        {"no value", {{"check", "--target"}, {NULL}}, "--target needs a value"},
        {"empty value", {{"check", "--target="}, {NULL}}, "--target needs a value"},
        {"empty next word", {{"check", "--target", ""}, {NULL}}, "--target needs a value"},
        {"no target", {{"check"}, {NULL}}, "--target"},
        {"two targets", {{"check", TARGET, "--target-files=*"}, {NULL}}, "--target-files"},
        {"two targets, one a variable", {{"check", TARGET}, {"LOCKSTEP_TARGET_FILES=*"}}, "LOCKSTEP_TARGET_FILES"},
        {"no duration", {{"check", TARGET, "--lease=x"}, {NULL}}, "--lease: \"x\""},
        {"no duration in a variable",
         {{"check", TARGET}, {"LOCKSTEP_WAIT_TIMEOUT=1d"}},
         "LOCKSTEP_WAIT_TIMEOUT: \"1d\""},
        {"lease too short", {{"check", TARGET, "--lease=2999ms"}, {NULL}}, "3000ms"},
        {"no number", {{"check", TARGET, "--retries=two"}, {NULL}}, "--retries: \"two\""},
        {"negative number", {{"check", TARGET, "--retries=-1"}, {NULL}}, "--retries"},
        {"number too big", {{"check", TARGET, "--retries=99999999999999999999"}, {NULL}}, "--retries"},
        {"no choice", {{"check", TARGET, "--on-failure=stop"}, {NULL}}, "exit, start"},
        {"no choice in a variable", {{"check", TARGET}, {"LOCKSTEP_LOG_LEVEL=loud"}}, "debug, info, warning, error"},
        {"no yes and no no", {{"check", TARGET, "--allow-eviction=maybe"}, {NULL}}, "--allow-eviction: \"maybe\""},
        {"... in a variable",
         {{"check", TARGET}, {"LOCKSTEP_ALLOW_EVICTION=2"}},
         "LOCKSTEP_ALLOW_EVICTION: \"2\" is neither yes nor no; right would be 1 true yes on, or 0 false no off"},
        {"empty switch", {{"check", TARGET, "--allow-eviction="}, {NULL}}, "--allow-eviction needs a value"},
        {"a switch takes no next word", {{"check", TARGET, "--allow-eviction", "no"}, {NULL}}, "no"},
        {"name with a slash", {{"check", TARGET, "--name=a/b"}, {NULL}}, "a/b"},
        {"name with a space", {{"check", TARGET}, {"LOCKSTEP_NAME=a b"}}, "LOCKSTEP_NAME"},
        {"name too long", {{"check", TARGET, "--name=abcdefghijabcdefghijabcdefghijabcdefghijx"}, {NULL}}, "40"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++)
        given_error(rows[i].row, &rows[i].given, rows[i].says);
}

static void flags_win_and_empty_means_unset(void **state)
{
    static const struct {
        const char *row;
        struct given given;
        const char *name;
        int64_t lease;
    } rows[] = {
        {"flag", {{"check", TARGET, "--name=a", "--lease=5s"}, {NULL}}, "a", 5000},
        {"flag, next word", {{"check", TARGET, "--name", "a", "--lease", "5s"}, {NULL}}, "a", 5000},
        {"variable", {{"check", TARGET}, {"LOCKSTEP_NAME=a", "LOCKSTEP_LEASE=5s"}}, "a", 5000},
        {"both", {{"check", TARGET, "--name=b", "--lease=6s"}, {"LOCKSTEP_NAME=a", "LOCKSTEP_LEASE=5s"}}, "b", 6000},
        {"a wrong variable behind a flag", {{"check", TARGET, "--lease=6s"}, {"LOCKSTEP_LEASE=x"}}, "default", 6000},
        {"the last flag", {{"check", TARGET, "--name=a", "--name=b"}, {NULL}}, "b", 25000},
        {"empty variables", {{"check", TARGET}, {"LOCKSTEP_NAME=", "LOCKSTEP_LEASE="}}, "default", 25000},
        {"= in a value", {{"check", TARGET, "--migrate=a=b"}, {NULL}}, "default", 25000},
        {"longest name",
         {{"check", TARGET, "--name=abcdefghijabcdefghijabcdefghijabcdefghi_"}, {NULL}},
         "abcdefghijabcdefghijabcdefghijabcdefghi_",
         25000},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct options options = given_options(rows[i].row, &rows[i].given);
        CHECK_TEXT(rows[i].row, options.name, rows[i].name);
        CHECK_NUMBER(rows[i].row, options.lease, rows[i].lease);
        CHECK_TEXT(rows[i].row, options.target, "v1");
    }
}

static void lists(void **state)
{
    static const struct {
        const char *row;
        struct given given;
        const char *items[3];
    } rows[] = {
        {"flags", {{"check", "--target-files=a b", "--target-files", "c"}, {NULL}}, {"a b", "c"}},
        {"lines", {{"check"}, {"LOCKSTEP_TARGET_FILES=a b\nc"}}, {"a b", "c"}},
        {"blank lines and CRLF", {{"check"}, {"LOCKSTEP_TARGET_FILES=\n\na\r\n\r\nb\n"}}, {"a", "b"}},
        {"flags instead of lines", {{"check", "--target-files=z"}, {"LOCKSTEP_TARGET_FILES=a\nb"}}, {"z"}},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct options options = given_options(rows[i].row, &rows[i].given);
        int n = 0;
        for (; rows[i].items[n]; n++)
            CHECK_TEXT(rows[i].row, n < options.target_files.count ? options.target_files.items[n] : NULL,
                       rows[i].items[n]);
        CHECK_NUMBER(rows[i].row, options.target_files.count, n);
    }
    char lines[200] = "LOCKSTEP_UNSET=a";
    for (int i = 0; i < OPTION_LIST_MAX; i++)
        strcat(lines, "\nb");
    given_error("too many", &(struct given){{"check", TARGET}, {lines}}, "LOCKSTEP_UNSET");
}

static void choices(void **state)
{
    (void)state;
    struct options o =
        given_options("choices", &(struct given){{"check", TARGET, "--on-failure=start"},
                                                 {"LOCKSTEP_LOG_FORMAT=json", "LOCKSTEP_LOG_LEVEL=error"}});
    assert_int_equal(o.on_failure, ON_FAILURE_START);
    assert_int_equal(o.log_json, 1);
    assert_int_equal(o.log_level, LOG_LEVEL_ERROR);
    given_options("back to text", &(struct given){{"check", TARGET}, {NULL}});
}

static void switches(void **state)
{
    static const struct {
        const char *row;
        struct given given;
        bool on;
    } rows[] = {
        {"not given", {{"check", TARGET}, {NULL}}, false},
        {"alone", {{"check", TARGET, "--allow-eviction"}, {NULL}}, true},
        {"1", {{"check", TARGET, "--allow-eviction=1"}, {NULL}}, true},
        {"true", {{"check", TARGET}, {"LOCKSTEP_ALLOW_EVICTION=true"}}, true},
        {"YES", {{"check", TARGET}, {"LOCKSTEP_ALLOW_EVICTION=YES"}}, true},
        {"On", {{"check", TARGET}, {"LOCKSTEP_ALLOW_EVICTION=On"}}, true},
        {"0", {{"check", TARGET}, {"LOCKSTEP_ALLOW_EVICTION=0"}}, false},
        {"False", {{"check", TARGET, "--allow-eviction=False"}, {NULL}}, false},
        {"no", {{"check", TARGET}, {"LOCKSTEP_ALLOW_EVICTION=no"}}, false},
        {"off", {{"check", TARGET}, {"LOCKSTEP_ALLOW_EVICTION=off"}}, false},
        {"an empty variable", {{"check", TARGET}, {"LOCKSTEP_ALLOW_EVICTION="}}, false},
        {"off beats on", {{"check", TARGET, "--allow-eviction=off"}, {"LOCKSTEP_ALLOW_EVICTION=on"}}, false},
        {"on beats off", {{"check", TARGET, "--allow-eviction"}, {"LOCKSTEP_ALLOW_EVICTION=off"}}, true},
        {"the last flag", {{"check", TARGET, "--allow-eviction", "--allow-eviction=0"}, {NULL}}, false},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++)
        CHECK_NUMBER(rows[i].row, given_options(rows[i].row, &rows[i].given).allow_eviction, rows[i].on);
    struct options options =
        given_options("before a COMMAND", &(struct given){{MIGRATE, TARGET, "--allow-eviction", "bun"}, {NULL}});
    assert_string_equal(options.command[0], "bun");
}

static void help_has_every_option(void **state)
{
    (void)state;
    char *help = options_help();
    assert_non_null(help);
    for (int i = 0; i < options_count; i++) {
        CHECK(options_table[i].flag, strstr(help, options_table[i].flag));
        CHECK(options_table[i].flag, strstr(help, options_table[i].variable));
        CHECK(options_table[i].flag, options_consumes(options_table[i].variable));
    }
    free(help);
}

int unit_options(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),
        cmocka_unit_test(defaults_are_those_of_the_contract),
        cmocka_unit_test(verbs_and_commands),
        cmocka_unit_test(wrong_usage_is_told),
        cmocka_unit_test(flags_win_and_empty_means_unset),
        cmocka_unit_test(lists),
        cmocka_unit_test(choices),
        cmocka_unit_test(switches),
        cmocka_unit_test(help_has_every_option),
    };
    return UNIT_RUN("options", tests);
}
