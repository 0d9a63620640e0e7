/* Which database is migrated, and where replicas meet (DESIGN section 1, the default of --lock). */
#ifndef LOCKSTEP_OPTIONS_PLACES_H
#define LOCKSTEP_OPTIONS_PLACES_H

#include "options_table.h"

/* Fills database, lock and what they are called from what was said and from the app's own variables. `origins` is
 * parallel to options_table. Returns -1 with ERR_USAGE. */
int options_find_places(struct options *options, const enum origin origins[], struct err *err);

#endif
