/* A call from a later turn of the loop: what finishes at once must not call back from within the call that asked. */
#ifndef LOCKSTEP_LATER_H
#define LOCKSTEP_LATER_H

#include <uv.h>

struct later;

/* Calls `call(user)` once, from the loop, after `delay` ms at least. NULL if memory is out (nothing is called then). */
struct later *later_call(uv_loop_t *loop, unsigned delay, void (*call)(void *user), void *user);

/* The call does not happen any more. NULL is ignored. Not to be used once the call has begun. */
void later_cancel(struct later *later);

#endif
