#include "options_kit.h"

#include "unit.h"

#include <sanitizer/lsan_interface.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int given_read(const struct given *given, struct options *options, struct err *err)
{
    static char *argv[WORDS_MAX + 2] = {"lockstep"}; /* options->command points into it */
    char *variables[VARIABLES_MAX + 1] = {NULL};
    char **ours = environ;
    int argc = 1;
    for (; argc <= WORDS_MAX && given->words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)given->words[argc - 1];
    argv[argc] = NULL;
    for (int i = 0; i < VARIABLES_MAX && given->variables[i]; i++)
        variables[i] = (char *)(uintptr_t)given->variables[i];
    environ = variables;
    __lsan_disable(); /* some values live as long as the process, by contract */
    int result = options_read(options, argc, argv, err);
    __lsan_enable();
    environ = ours;
    return result;
}

struct options given_options(const char *row, const struct given *given)
{
    struct options options;
    struct err err = {.text = ""};
    int result = given_read(given, &options, &err);
    CHECK_TEXT(row, result == 0 ? "" : err.text, "");
    return options;
}

void given_error(const char *row, const struct given *given, const char *says)
{
    struct options options;
    struct err err = {.code = ERR_NONE};
    CHECK_NUMBER(row, given_read(given, &options, &err), -1);
    CHECK_NUMBER(row, err.code, ERR_USAGE);
    if (!strstr(err.text, says))
        print_error("\"%s\" does not say \"%s\"\n", err.text, says);
    CHECK(row, strstr(err.text, says));
    CHECK(row, !strchr(err.text, '\n'));
}
