/* What goes wrong: drawn from the seed as it comes, mostly at whoever has the lock or a command. */
#ifndef LOCKSTEP_SIM_FAULT_H
#define LOCKSTEP_SIM_FAULT_H

#include <stdbool.h>
#include <stdint.h>

struct sim;

/* Lies in wait for the next gate to come into a state: what happens within milliseconds of it is never met by chance.
 */
struct trap {
    bool set;
    int state; /* enum gate_state */
};

void faults_begin(struct sim *sim);

/* How long something lasts: around the times that matter, and never past the end of all faults. */
int64_t fault_duration(struct sim *sim);

/* The server crashes, for a moment or for longer. */
void fault_crash(struct sim *sim);

/* The gate of `slot` has taken a step. */
void faults_stepped(struct sim *sim, int slot);

#endif
