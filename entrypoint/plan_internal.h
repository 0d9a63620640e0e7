/* What the files of the plan share: plan.c, plan_tool.c. */
#ifndef LOCKSTEP_PLAN_INTERNAL_H
#define LOCKSTEP_PLAN_INTERNAL_H

#include "plan.h"

/* Reads the image's migrations for options->preset and works out how to ask the database for its own: fills target,
 * migrations, history, has_history. -1 with `err`. */
int plan_tool(struct plan *plan, const struct options *options, struct err *err);

/* Says which tool's own check is asked instead. */
void plan_say_check(const struct options *options);

/* A preset's command as this image can run it: a program of node_modules that is installed for all is taken from PATH;
 * where there is no Node, Bun runs it. */
void plan_adapt_command(struct command *command, char *const environment[]);

#endif
