/* The times of the protocol, all derived from the lease T (DESIGN section 3). Milliseconds throughout. */
#ifndef LOCKSTEP_TIMES_H
#define LOCKSTEP_TIMES_H

#include <stdint.h>

#define TIMES_LEASE_MIN 3000     /* below it, one slow round trip would already be a lost lock */
#define TIMES_LEASE_MAX 86400000 /* a day; Postgres takes such settings up to INT_MAX ms */

struct times {
    int64_t lease;      /* T: how long the server keeps the lock without a sign of life */
    int64_t heartbeat;  /* H = T/12 */
    int64_t deadline;   /* D = 0.4 T: no acknowledged heartbeat since s+D means that the lock is lost */
    int64_t grace;      /* G = 0.4 T: from SIGTERM to SIGKILL when the lock is lost */
    int64_t kill;       /* K = 0.1 T: from SIGKILL to everything reaped */
    int64_t quarantine; /* Q = T + 1 s: what a dirty takeover waits before it runs anything */
};

/* The times that follow from a lease of `lease` ms. The inequalities that make them right are asserted by
 * tests/unit and, as behaviour, by the simulation:
 *   D + G + K + 0.1 s <= T (1 - 0.001),   3 H + round trip <= D,   Q > (D + G + K + 0.1 s)(1 + 0.001). */
struct times times_from_lease(int64_t lease);

#endif
