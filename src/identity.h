/* Who we are, for the records: host, container, process. */
#ifndef LOCKSTEP_IDENTITY_H
#define LOCKSTEP_IDENTITY_H

#include "err.h"
#include "record.h"

/* Fills `holder`. Returns -1 with ERR_SYSTEM if the kernel gives no random numbers. */
int identity_find(struct holder *holder, struct err *err);

#endif
