/* The places that the options name, checked before anything is connected, and what is to be said of them. */
#ifndef LOCKSTEP_PLACES_H
#define LOCKSTEP_PLACES_H

#include "options.h"

#include <stddef.h>

/* Writes the place to meet, for people, to `place`. Returns -1 with ERR_USAGE if a URL is wrong. */
int places_check(const struct options *options, char *place, size_t capacity, struct err *err);

#endif
