/* The environments that the app and the migration command get (DESIGN section 1). */
#ifndef LOCKSTEP_ENVIRONMENT_H
#define LOCKSTEP_ENVIRONMENT_H

#include "options.h"
#include "record.h"

#include <sys/types.h>

/* What the app sees: what the container got, in order and byte for byte, without what lockstep consumed and --unset;
 * DATABASE_URL and REDIS_URL set if they came from a file, HOME if it is not NULL. Freed by environment_free. */
char **environment_of_app(const struct options *options, char *const environment[], const char *home);

/* What the command sees: the same with the --unset ones, and LOCKSTEP_TOKEN, LOCKSTEP_TARGET, LOCKSTEP_ATTEMPT,
 * LOCKSTEP_PREVIOUS, and unless the user set them PGAPPNAME, DATABASE_URL for a tool, and what else the tool needs.
 * Freed by environment_free. */
char **environment_of_command(const struct options *options, char *const environment[], const char *home,
                              const char *target, uint64_t token, int attempt, enum run_state previous);

/* What --applied-if sees: the command's, without what tells of a run. Freed by environment_free. */
char **environment_of_check(const struct options *options, char *const environment[], const char *home);

/* In an environment made by one of these: sets LISTEN_PID, by which an app knows that descriptors are meant for it, to
 * `to` if it is `from`. */
void environment_follow_listen_pid(char **entries, pid_t from, pid_t to);

/* Frees what the first three made. NULL is ignored. */
void environment_free(char **entries);

#endif
