/* The record tables in Postgres: their DDL, the statements on them, and what a look's row says.
 * DESIGN section 4: lockstep.gate, lockstep.run, lockstep.applied. */
#ifndef LOCKSTEP_PG_RECORDS_H
#define LOCKSTEP_PG_RECORDS_H

#include "record.h"

#include <libpq-fe.h>

#define PG_SCHEMA_CAPACITY 64 /* NAMEDATALEN */

enum pg_statement {
    PG_APPLIED, /* $1 name $2 target: a row if it is applied: backend pid, is the database ahead */
    PG_LOOK,    /* $1 name $2 target $3 own token: one row for pg_records_read_look */
    PG_NOTHING, /* the row of PG_LOOK's first two columns, for a database without the tables */
    PG_MARK,   /* $1 name $2 token $3 target $4 attempt $5 host $6 container $7 pid $8 command $9 version $10 holder $11
                  root:   a row if the run was marked */
    PG_REPEAT, /* $1 name $2 token $3 attempt $4 holder: a row if the run is still ours */
    PG_PROGRESS, /* $1 name $2 token $3 last line */
    PG_END,    /* $1 name $2 token $3 state $4 exit status $5 last line $6 output $7 channel: a row if the run was ours
                  to end */
    PG_TABLES, /* makes the tables that are missing */
    PG_SCHEMA, /* makes the schema */
    PG_STATEMENTS
};

struct pg_records {
    char *sql[PG_STATEMENTS]; /* PG_TABLES and PG_SCHEMA without parameters */
};

/* Prepares the statements' texts for the tables in `schema`. -1 if memory is out. */
int pg_records_init(struct pg_records *records, const char *schema);

void pg_records_free(struct pg_records *records);

/* Fills `look` from the row of PG_LOOK; the strings that it points to live in `tail`, which the caller frees with
 * PQfreemem (may be NULL). `me` is who asks. */
void pg_records_read_look(const PGresult *row, const struct holder *me, const struct look_ask *ask, const char *target,
                          struct look *look, unsigned char **tail);

#endif
