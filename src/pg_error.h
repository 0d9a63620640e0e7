/* What a Postgres failure means for us: whether it may be tried again, and the remedy in words. */
#ifndef LOCKSTEP_PG_ERROR_H
#define LOCKSTEP_PG_ERROR_H

#include "err.h"
#include "url.h"

#include <libpq-fe.h>

/* Describes why `conn` (NULL: no memory) could not be made or broke, with the server's words. `sqlstate` gets the five
 * characters, or "" if the server did not speak. */
void pg_error_of_connection(PGconn *conn, const struct url *url, struct err *err, char sqlstate[6]);

/* Describes a failed result likewise. */
void pg_error_of_result(const PGresult *result, struct err *err, char sqlstate[6]);

#endif
