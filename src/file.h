/* A directory on a local filesystem as a meeting place. Only src/backend.c includes this. */
#ifndef LOCKSTEP_FILE_H
#define LOCKSTEP_FILE_H

#include "backend.h"

/* Opens the place of a file:DIR URL. NULL with `err` if DIR is on a network filesystem or memory is out. */
struct backend *file_open(const struct backend_config *config, struct err *err);

#endif
