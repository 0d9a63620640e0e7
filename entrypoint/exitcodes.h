/* The exit statuses of lockstep itself (DESIGN section 1); every other one is the migration's or the app's own, 128+n
 * meaning that signal n ended it. 126 and 127 are the shell's (POSIX, 2.8.2), 125 what docker run and timeout(1) use
 * for their own failures, 124 timeout(1)'s, 64 EX_USAGE of sysexits(3). */
#ifndef LOCKSTEP_EXITCODES_H
#define LOCKSTEP_EXITCODES_H

#define EXIT_DONE           0
#define EXIT_PENDING        1  /* check: the version is not there */
#define EXIT_WRONG_USAGE    64 /* usage or configuration */
#define EXIT_TIMED_OUT      124
#define EXIT_CANNOT_GO_ON   125 /* server unreachable, no permission, lock lost */
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND      127
#define EXIT_SIGNAL         128 /* + the signal's number */

#endif
