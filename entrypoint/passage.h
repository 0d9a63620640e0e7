/* The way through the gate: gives the gate of src/gate.h its clock, its meeting place, its command and its signals. */
#ifndef LOCKSTEP_PASSAGE_H
#define LOCKSTEP_PASSAGE_H

#include "command.h"
#include "options.h"
#include "process.h"
#include "user.h"

#include "mask.h"

struct history_plan;

struct passage_config {
    const struct options *options;
    const struct inherited *inherited;
    const struct mask *mask;
    const char *target;
    const char *place;                  /* the lock for people */
    const char *migrate;                /* the migration command as it was written */
    const struct command *commands;     /* by command_kind; those of a run are unused by verbs that never migrate */
    const struct user *who;             /* the commands run as */
    char *const *environment;           /* what lockstep got */
    const struct history_plan *history; /* NULL = the records say what is applied */
};

/* Returns 0 when the version is there, otherwise, all being said, the exit status. `start_despite` is set if
 * --on-failure start would let the app start although the migration failed. */
int passage_go(const struct passage_config *config, bool *start_despite);

#endif
