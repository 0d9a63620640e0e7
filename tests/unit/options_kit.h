/* Options read from a given command line and environment. */
#ifndef LOCKSTEP_OPTIONS_KIT_H
#define LOCKSTEP_OPTIONS_KIT_H

#include "options.h"

#define WORDS_MAX     10
#define VARIABLES_MAX 6

#define CHECK_VERB    "check", "--target=v1"
#define NAMED         CHECK_VERB, "--name=shop"

/* A command line without its argv[0], and an environment. */
struct given {
    const char *words[WORDS_MAX];
    const char *variables[VARIABLES_MAX];
};

/* What options_read makes of `given` and of nothing else. `options` is valid until the next call. */
int given_read(const struct given *given, struct options *options, struct err *err);

/* The same, failing the test's `row` on an error. */
struct options given_options(const char *row, const struct given *given);

/* Fails the test's `row` unless `given` is wrong usage and the message has `says` in it. */
void given_error(const char *row, const struct given *given, const char *says);

#endif
