/* Variables that may come from a file (DESIGN section 1, Secrets): NAME, or NAME_FILE that names a file with the value.
 */
#ifndef LOCKSTEP_VARIABLES_H
#define LOCKSTEP_VARIABLES_H

#include "err.h"

/* Sets `value` to that of `name`, trailing newlines cut if it came from a file, or to NULL if there is none.
 * `from_file` (may be NULL) is set to the value if a file had it. Values from files live as long as the process.
 * Returns -1 with ERR_USAGE if NAME and NAME_FILE are both set or the file cannot be read. */
int variables_read(const char *name, const char **value, char **from_file, struct err *err);

#endif
