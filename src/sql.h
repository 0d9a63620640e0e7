/* Texts of SQL. */
#ifndef LOCKSTEP_SQL_H
#define LOCKSTEP_SQL_H

#include <stdio.h>

/* Writes `text` to `out` between `mark`s, doubling those in it: ' for a literal (standard_conforming_strings, the
 * server's default, is taken for granted), " for a name. */
void sql_quote(FILE *out, const char *text, char mark);

#endif
