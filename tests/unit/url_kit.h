/* What url_parse makes of a text. */
#ifndef LOCKSTEP_URL_KIT_H
#define LOCKSTEP_URL_KIT_H

#include <stdbool.h>
#include <stddef.h>

#define PAIRS_MAX 10
#define H         "host", "h"
#define HD        H, "dbname", "d"
#define PRIMARY   "target_session_attrs", "primary"

struct url_row {
    const char *row, *text;
    const char *pairs[2 * PAIRS_MAX]; /* every keyword and its value, in any order; NULL-ended */
    const char *schema, *dropped;     /* dropped: NULL = "" */
    bool pooled;
};

void check_url_rows(const struct url_row rows[], size_t count);

#endif
