/* What stays beside the app with --init: forwards signals, reaps, ends as the app does (DESIGN section 5). One piece of
 * code without a C library, so that it can run before one starts: the tables of OpenSSL, which that relocates, would
 * make 360 kB of memory the resident's own. */
#ifndef LOCKSTEP_RESIDENT_H
#define LOCKSTEP_RESIDENT_H

#define RESIDENT_NAME "lockstep-init"

/* Stays until the child `app` ends, then ends with its status, 128+n if signal n ended it. All signals must be blocked:
 * what came before is forwarded then. If there is no such child, ends with EXIT_WRONG_USAGE. */
_Noreturn void resident_stay(int app);

/* Does so if the command line is a resident's: RESIDENT_NAME and the app's id. Called before the C library starts,
 * where start.c knows how, and otherwise first in main. */
void resident_start(int argc, char *const argv[]);

#endif
