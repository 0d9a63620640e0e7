/* A command as Docker writes it: a JSON array of words is executed, anything else runs by /bin/sh -c. */
#ifndef LOCKSTEP_COMMAND_H
#define LOCKSTEP_COMMAND_H

#include "err.h"

#define COMMAND_WORDS_MAX 256

struct command {
    char *argv[COMMAND_WORDS_MAX + 1]; /* owned, ended by NULL */
};

/* Parses `text`. `what` is what the user called it. Returns -1 with ERR_USAGE for what begins with [ and is not an
 * array of strings. The caller frees with command_free. */
int command_parse(struct command *command, const char *text, const char *what, struct err *err);

void command_free(struct command *command);

#endif
