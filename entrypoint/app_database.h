/* The database as the app's own variables name it where there is no DATABASE_URL: those of libpq, Spring, Flyway,
 * Liquibase, .NET, Laravel, and of the images that take a host and a name. */
#ifndef LOCKSTEP_APP_DATABASE_H
#define LOCKSTEP_APP_DATABASE_H

#include "err.h"

#include <stdbool.h>

/* Sets `database` to a text for url_parse, which lives as long as the process, and `what` to the variable that names
 * it; to NULL if none does. Variables that are somebody else's (MySQL's DB_HOST) name none. `doubtful_too`: take a
 * DB_HOST of which nothing says whose it is. Returns -1 with ERR_USAGE if a password's file cannot be read. */
int app_database_find(const char **database, const char **what, bool doubtful_too, struct err *err);

/* The same for the direct URL to a database that is else reached through a pooler: DIRECT_URL and its like. Those that
 * are no Postgres are somebody else's. */
int app_database_direct(const char **database, const char **what, struct err *err);

#endif
