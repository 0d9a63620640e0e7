/* The places that the options name, checked before anything is connected, and what is to be said of them. */
#ifndef LOCKSTEP_PLACES_H
#define LOCKSTEP_PLACES_H

#include "backend.h"
#include "mask.h"
#include "options.h"

#include <stddef.h>

#define PLACES_COMMAND_CAPACITY 1024

/* Writes the place to meet, for people, to `place`. Returns -1 with ERR_USAGE if a URL is wrong. */
int places_check(const struct options *options, char *place, size_t capacity, struct err *err);

/* What the options say of the place to meet; `target` and `history` (NULL = none) are the plan's. The caller adds loop,
 * holder, handlers and user, and the command. */
struct backend_config places_config(const struct options *options, const char *target,
                                    const struct history_plan *history);

/* Writes the migration command `raw` as it is recorded, without secrets, to `text`. */
void places_command(const char *raw, const struct mask *mask, char text[PLACES_COMMAND_CAPACITY]);

#endif
