/* The version that an image needs (DESIGN section 1): a string that the user says, or a hash over files. */
#ifndef LOCKSTEP_TARGET_H
#define LOCKSTEP_TARGET_H

#include "err.h"
#include "record.h"

/* Computes the version over the files that match the `count` glob patterns, all relative to the current directory:
 * "files-" and 32 hex digits of a SHA-256 over the sorted names and the contents. A different order of patterns, or of
 * the directory, gives the same version; a changed, renamed, added or removed file another. Directories are left out.
 * Returns -1 with ERR_USAGE if a pattern matches no file or one cannot be read. */
int target_of_files(const char *const *patterns, int count, char target[TARGET_CAPACITY], struct err *err);

#endif
