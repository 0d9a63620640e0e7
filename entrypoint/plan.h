/* What the user's words come to. Everything that can be wrong with them is found here, before anything is connected,
 * let alone migrated. */
#ifndef LOCKSTEP_PLAN_H
#define LOCKSTEP_PLAN_H

#include "command.h"
#include "history.h"
#include "launch.h"
#include "options.h"
#include "record.h"
#include "user.h"

#define PLAN_COMMAND_CAPACITY 1024

struct plan {
    struct command commands[COMMANDS];
    char migrate[PLAN_COMMAND_CAPACITY]; /* the migration's as it was written, by the user or the preset */
    char target[TARGET_CAPACITY];
    struct migrations migrations; /* of a tool; empty without one */
    struct history_plan history;
    bool has_history;       /* the tool's own table says what is applied */
    char place[512];        /* the lock, for people */
    struct user who;        /* commands run as */
    struct user app_who;    /* the app runs as */
    char **app_environment; /* NULL = there is no app */
    char app_path[LAUNCH_PATH_CAPACITY];
};

/* Fills `plan` for `options` and the environment that lockstep got. Returns 0, or the exit status that follows and
 * `err`. Either way the caller frees with plan_free. `options` must live as long. */
int plan_make(struct plan *plan, const struct options *options, char *const environment[], struct err *err);

void plan_free(struct plan *plan);

#endif
