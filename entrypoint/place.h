/* The meeting place as the options describe it. */
#ifndef LOCKSTEP_PLACE_H
#define LOCKSTEP_PLACE_H

#include "backend.h"
#include "mask.h"
#include "options.h"

#define PLACE_COMMAND_CAPACITY 1024

/* What of it the options say; `target` and `history` (NULL = none) are the plan's. The caller adds loop, holder,
 * handlers and user, and the command. */
struct backend_config place_config(const struct options *options, const char *target,
                                   const struct history_plan *history);

/* Writes the migration command `raw` as it is recorded, without secrets, to `text`. */
void place_command(const char *raw, const struct mask *mask, char text[PLACE_COMMAND_CAPACITY]);

#endif
