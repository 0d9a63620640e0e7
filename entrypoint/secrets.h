/* Which secrets lockstep must never say. */
#ifndef LOCKSTEP_SECRETS_H
#define LOCKSTEP_SECRETS_H

#include "mask.h"
#include "options.h"

/* Teaches `mask` every secret that the environment or the command line tells us, and has all that we say masked. */
void secrets_learn(struct mask *mask, const struct options *options);

#endif
