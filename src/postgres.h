/* Postgres as a meeting place. Only src/backend.c includes this. */
#ifndef LOCKSTEP_POSTGRES_H
#define LOCKSTEP_POSTGRES_H

#include "backend.h"

/* Opens the place. NULL with `err` if the URL is wrong or memory is out. */
struct backend *postgres_open(const struct backend_config *config, struct err *err);

/* The DDL of the record tables in `schema`, for a DBA to apply beforehand. The caller frees it. NULL if memory is out.
 */
char *postgres_ddl(const char *schema);

#endif
