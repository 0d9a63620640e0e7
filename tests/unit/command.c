#include "command.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

static void forms(void **state)
{
    static const struct {
        const char *row, *text, *words[5];
    } rows[] = {
        {"shell form", "npm run migrate", {"/bin/sh", "-c", "npm run migrate"}},
        {"shell form keeps what it is", "a  && b | c > 'd' # $E", {"/bin/sh", "-c", "a  && b | c > 'd' # $E"}},
        {"shell form, quotes first", "\"my tool\" up", {"/bin/sh", "-c", "\"my tool\" up"}},
        {"shell form, leading blanks", " \t\n npm", {"/bin/sh", "-c", "npm"}},
        {"exec form", "[\"npx\", \"prisma\", \"migrate\"]", {"npx", "prisma", "migrate"}},
        {"exec form, one word", "[\"migrate\"]", {"migrate"}},
        {"exec form, blanks around", "  [ \"a\" , \"b\" ] \n", {"a", "b"}},
        {"exec form, no shell", "[\"a\", \"$HOME && b\"]", {"a", "$HOME && b"}},
        {"exec form, escapes", "[\"a\\\"b\", \"\\u00e9\\n\\\\\"]", {"a\"b", "\xc3\xa9\n\\"}},
        {"exec form, empty argument", "[\"a\", \"\"]", {"a", ""}},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct command command;
        struct err err;
        CHECK_NUMBER(rows[i].row, command_parse(&command, COMMAND_MIGRATE, rows[i].text, &err), 0);
        for (int n = 0; n == 0 || rows[i].words[n - 1]; n++)
            CHECK_TEXT(rows[i].row, command.argv[n], rows[i].words[n]);
        command_free(&command);
        CHECK(rows[i].row, !command.argv[0]);
    }
}

static void wrong_forms(void **state)
{
    static const struct {
        const char *row, *text, *says;
    } rows[] = {
        {"nothing", "", "blank"},
        {"blanks", " \t\n", "blank"},
        {"the shell's [", "[ -f x ] && migrate", "test"},
        {"open array", "[\"a\"", "JSON"},
        {"single quotes", "['a', 'b']", "JSON"},
        {"something behind", "[\"a\"] && b", "JSON"},
        {"empty array", "[]", "empty"},
        {"a number", "[\"a\", 1]", "strings"},
        {"null", "[null]", "strings"},
        {"an array in it", "[\"a\", [\"b\"]]", "strings"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct command command;
        struct err err = {.code = ERR_NONE};
        CHECK_NUMBER(rows[i].row, command_parse(&command, COMMAND_BEFORE, rows[i].text, &err), -1);
        CHECK_NUMBER(rows[i].row, err.code, ERR_USAGE);
        CHECK(rows[i].row, strncmp(err.text, "--before (LOCKSTEP_BEFORE)", 26) == 0 && strstr(err.text, rows[i].says));
        CHECK(rows[i].row, !command.argv[0]);
    }
}

static void as_many_words_as_fit(void **state)
{
    (void)state;
    for (int words = COMMAND_WORDS_MAX; words <= COMMAND_WORDS_MAX + 1; words++) {
        char text[8 * (COMMAND_WORDS_MAX + 1)] = "[\"w\"";
        for (int i = 1; i < words; i++)
            strcat(text, ",\"w\"");
        strcat(text, "]");
        struct command command;
        struct err err;
        assert_int_equal(command_parse(&command, COMMAND_MIGRATE, text, &err), words > COMMAND_WORDS_MAX ? -1 : 0);
        command_free(&command);
    }
}

int unit_command(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(wrong_forms),
        cmocka_unit_test(as_many_words_as_fit),
    };
    return UNIT_RUN("command", tests);
}
