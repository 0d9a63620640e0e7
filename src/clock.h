/* The clocks: the one that deadlines are on, and the one on the wall. */
#ifndef LOCKSTEP_CLOCK_H
#define LOCKSTEP_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_TEXT_CAPACITY 32

/* Milliseconds on CLOCK_BOOTTIME, which goes on while the machine is suspended (DESIGN section 3). */
int64_t clock_boot_ms(void);

/* Milliseconds since the epoch on CLOCK_REALTIME; for people, and for what several processes must agree on. */
int64_t clock_wall_ms(void);

/* Writes the wall time `ms` as RFC 3339 in UTC with milliseconds. */
void clock_text(int64_t ms, char text[CLOCK_TEXT_CAPACITY]);

#endif
