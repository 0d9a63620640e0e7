/* Who we are, for the records: host, container, process. */
#ifndef LOCKSTEP_IDENTITY_H
#define LOCKSTEP_IDENTITY_H

#include "err.h"
#include "record.h"

/* Fills `holder`, but for what identity_find_container does. Returns -1 with ERR_SYSTEM if the kernel gives no random
 * numbers. */
int identity_find(struct holder *holder, struct err *err);

/* Fills in the container and its root, once. It reads and hashes: not for a start that has nothing to migrate. */
void identity_find_container(struct holder *holder);

/* Whether a run that was left by `container`, with that `root` and process id, was left by `me` before a restart: then
 * everything that it ran is dead, as its PID namespace is (DESIGN section 3). */
bool identity_is_restarted(const struct holder *me, const char *container, const char *root, int64_t pid);

#endif
