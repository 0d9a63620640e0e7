/* The records of the file meeting place: one JSON file a gate, replaced as a whole. */
#ifndef LOCKSTEP_FILE_STATE_H
#define LOCKSTEP_FILE_STATE_H

#include "backend.h"

#include <cjson/cJSON.h>

/* Reads DIR/NAME.json at `path`; a file that is not there reads as a gate where nothing is recorded. The caller frees
 * the result with cJSON_Delete. NULL with ERR_REFUSED if it cannot be read or is not what we write. */
cJSON *file_state_read(const char *path, struct err *err);

/* Replaces `path` by `state`: temporary file, fsync, rename. Only the holder of the lock may. -1 with ERR_REFUSED. */
int file_state_write(const char *path, const cJSON *state, struct err *err);

/* Fills `look` from `state`. look->tail points into `state`. */
void file_state_look(const cJSON *state, const struct backend_config *config, const struct look_ask *ask,
                     struct look *look);

/* Adds the run `mark` as running, marks older running ones lost, forgets very old ones. Returns 1 if done, 0 if another
 * has marked meanwhile. */
int file_state_mark(cJSON *state, const struct backend_config *config, const struct mark *mark);

/* Sets the last line of run `token`. */
void file_state_progress(cJSON *state, uint64_t token, const char *last_line);

/* Ends run `ending->token`. Returns 1 if done, 0 if it is not ours to end. */
int file_state_end(cJSON *state, const struct ending *ending);

#endif
