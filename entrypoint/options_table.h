/* The table behind options.h, and what is checked once all options are read. */
#ifndef LOCKSTEP_OPTIONS_TABLE_H
#define LOCKSTEP_OPTIONS_TABLE_H

#include "options.h"

#include <stddef.h>

#define OPTIONS_MAX 64

enum option_kind { OPTION_TEXT, OPTION_LIST, OPTION_DURATION, OPTION_NUMBER, OPTION_CHOICE, OPTION_SWITCH };

/* Who said what an option is. */
enum origin { ORIGIN_PRESET, ORIGIN_FLAG, ORIGIN_VARIABLE };

struct option {
    const char *flag, *variable, *value_name; /* value_name "" = a switch, which takes none */
    enum option_kind kind;
    size_t offset;              /* in struct options */
    const char *preset;         /* default, as the user would write it; NULL = none, or worked out in options_check */
    int64_t minimum, maximum;   /* of a duration, ms; maximum 0 = any */
    const char *const *choices; /* NULL-ended; the value is the index */
    bool secret;                /* may come from VARIABLE_FILE */
    const char *help;
};

extern const struct option options_table[];
extern const int options_count;

/* What concerns more than one option: what the verb needs, exactly one target, which lock. Fills what is worked out.
 * `origins` is parallel to options_table. */
int options_check(struct options *options, const enum origin origins[], struct err *err);

#endif
