/* Everything that lockstep says goes through here: to standard error, a line in one write(2), as text or as JSON
 * (DESIGN section 1, Logs), without secrets. */
#ifndef LOCKSTEP_LOG_H
#define LOCKSTEP_LOG_H

#include "event.h"
#include "mask.h"

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* A field of an event in JSON: a text, or with `text` NULL a number. */
struct log_field {
    const char *name;
    const char *text;
    long long number;
};

#define LOG_TEXT(name, text)     ((struct log_field){(name), (text), 0})
#define LOG_NUMBER(name, number) ((struct log_field){(name), NULL, (long long)(number)})
#define LOG_END                  ((struct log_field){NULL, NULL, 0})
#define LOG_FIELDS(...)          ((const struct log_field[]){__VA_ARGS__, LOG_END})
#define LOG_NO_FIELDS            ((const struct log_field[]){LOG_END})

/* Before the first call the format is text and the level info. */
void log_configure(bool json, enum log_level level);

/* Whose secrets are masked in all that is said from now on; kept by reference. */
void log_mask(const struct mask *mask);

/* Says `format` at `level` as `event`; `fields` end with LOG_END. errno is preserved. */
void log_say(enum log_level level, enum event event, const struct log_field *fields, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Like log_say at info; on a terminal it replaces its predecessor in place. */
void log_progress(const struct log_field *fields, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Passes a line of a command's output on, to standard error or output. `name` (command_names) stands before it. At info
 * it is passed on whatever the lowest level is. The line is masked already. */
void log_output(enum log_level level, const char *name, bool to_stderr, const char *line);

#endif
