/* What a command prints: passed on to the log line by line, without secrets; the end of it is kept. */
#ifndef LOCKSTEP_OUTPUT_H
#define LOCKSTEP_OUTPUT_H

#include "command.h"
#include "mask.h"
#include "tail.h"

#include <stdbool.h>
#include <uv.h>

struct output;

/* Called by output_end or from the loop. */
typedef void output_ended(void *user);

/* Makes one that reads nothing yet. `mask` is kept by reference. NULL if memory is out. */
struct output *output_new(uv_loop_t *loop, const struct mask *mask, output_ended *ended, void *user);

/* What comes is of a command of `kind`, if `quiet` passed on for --log-level debug only, if `again` added to what is
 * kept. What was begun before must have ended. */
void output_begin(struct output *output, enum command_kind kind, bool quiet, bool again);

/* Reads from the command's pipes, which do not block; they are the output's to close. */
void output_read(struct output *output, int out, int errors);

/* Adds a line of our own to what is kept. Something must have begun. */
void output_keep(struct output *output, const char *line);

/* The command has ended: takes what its pipes still hold, whether or not somebody else has them open, then calls
 * `ended`. For a reader of the log who is late it waits up to 2 s, without blocking the loop. */
void output_end(struct output *output);

/* What is kept. */
const struct tail *output_tail(const struct output *output);

/* Frees it, without `ended`. NULL is ignored. */
void output_free(struct output *output);

#endif
