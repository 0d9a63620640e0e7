/* lockstep doctor: tries everything that a start would need, and says what is wrong and the remedy. */
#ifndef LOCKSTEP_DOCTOR_H
#define LOCKSTEP_DOCTOR_H

#include "mask.h"
#include "options.h"
#include "plan.h"
#include "process.h"

/* Prints the report to standard output. Nothing is migrated or recorded; the lock is tried and given back. Returns 0
 * when a start would work, else 125. */
int doctor(const struct options *options, const struct plan *plan, const struct mask *mask,
           const struct inherited *inherited);

#endif
