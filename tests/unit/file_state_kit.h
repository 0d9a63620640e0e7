/* Records of the file meeting place, made run by run. */
#ifndef LOCKSTEP_FILE_STATE_KIT_H
#define LOCKSTEP_FILE_STATE_KIT_H

#include "file_state.h"

/* Who marks in these tests, and looks for "v1". Tests may change it and call kit_reset. */
extern struct backend_config kit_config;
extern struct holder kit_holder;

void kit_reset(void);

/* A gate where nothing is recorded; freed with cJSON_Delete. */
cJSON *kit_gate(void);

struct look kit_look(const cJSON *gate, const struct look_ask *ask);
int kit_mark(cJSON *gate, const char *target, uint64_t token, int attempt, bool repeat);
int kit_end(cJSON *gate, uint64_t token, enum run_state ended, int status, const char *output);

/* Marks the next run and ends it so. */
void kit_run(cJSON *gate, const char *target, int attempt, enum run_state ended, int status);

/* Sets the member of the run with `token` to a number. */
void kit_set(cJSON *gate, uint64_t token, const char *member, double number);

#endif
