/* Programs: is there one behind a name, and becoming it. */
#ifndef LOCKSTEP_LAUNCH_H
#define LOCKSTEP_LAUNCH_H

#include "err.h"
#include "process.h"
#include "user.h"

#define LAUNCH_PATH_CAPACITY 4096

/* Finds the program that `name` means with the PATH of `environment`, as execvp(3) does, and checks what the kernel
 * will ask of it: a file, executable, an interpreter that is there. Returns 0 with `path`, or with `err` filled
 * EXIT_NOT_FOUND or EXIT_NOT_EXECUTABLE. */
int launch_find(const char *name, char *const environment[], char path[LAUNCH_PATH_CAPACITY], struct err *err);

/* Whether `user` may execute the program that launch_find, which looks as the one who asks, has found. 0, or
 * EXIT_NOT_EXECUTABLE and `err`. */
int launch_check_user(const char *path, const struct user *user, struct err *err);

/* Becomes `user` and the program at `path`. Returns only if that failed, with EXIT_CANNOT_GO_ON, EXIT_NOT_FOUND or
 * EXIT_NOT_EXECUTABLE and `err`. */
int launch_become(const char *path, char *const argv[], char *const environment[], const struct user *user,
                  const struct inherited *inherited, struct err *err);

#endif
