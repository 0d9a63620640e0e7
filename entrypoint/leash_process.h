/* The leash's own side: what runs in the forked process. Only leash.c includes this. */
#ifndef LOCKSTEP_LEASH_PROCESS_H
#define LOCKSTEP_LEASH_PROCESS_H

#include "leash.h"

/* Never returns. `control` is the leash's end of the socket pair; `out` and `errors` become the migration's standard
 * output and error. */
_Noreturn void leash_process(const struct leash_config *config, int control, int out, int errors);

#endif
