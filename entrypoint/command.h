/* The commands that a user gives lockstep to run, as Docker writes them: a JSON array of words is executed, anything
 * else runs by /bin/sh -c. */
#ifndef LOCKSTEP_COMMAND_H
#define LOCKSTEP_COMMAND_H

#include "err.h"

#define COMMAND_WORDS_MAX 256

enum command_kind {
    COMMAND_APPLIED_IF, /* exit 0 = nothing is pending */
    COMMAND_BEFORE,     /* the steps of a run, in order */
    COMMAND_MIGRATE,
    COMMAND_AFTER,
    COMMANDS
};

/* "migrate" for --migrate; it also stands before its lines of output. */
extern const char *const command_names[COMMANDS];

struct command {
    char *argv[COMMAND_WORDS_MAX + 1]; /* owned, ended by NULL; no words = the user gave none */
};

/* Parses `text`, the value of the option for `kind`. Returns -1 with ERR_USAGE for what begins with [ and is not an
 * array of strings. The caller frees with command_free. */
int command_parse(struct command *command, enum command_kind kind, const char *text, struct err *err);

void command_free(struct command *command);

#endif
