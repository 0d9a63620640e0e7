/* What the answers of a tool's table mean. */
#ifndef LOCKSTEP_HISTORY_ROWS_H
#define LOCKSTEP_HISTORY_ROWS_H

#include "history.h"

#include <libpq-fe.h>

/* The end of a query as backend_rows has it. */
struct history_answer {
    const PGresult *rows;
    const struct err *err;
    const char *sqlstate;
    bool own_connection; /* it was not asked where replicas meet, so its database need not be there yet */
};

/* Compares the answer to plan->applied_sql with the image. No table, no schema or no database is an answer: nothing is
 * applied. -1 with `err`: ERR_REFUSED with the remedy if the table is another tool's or may not be read, ERR_CROWDED
 * while somebody keeps it locked, and what else befell the query. */
int history_read(const struct history_plan *plan, const struct history_answer *answer, struct verdict *verdict,
                 struct err *err);

/* Of the rows of plan->running_sql. Whether somebody runs the tool without lockstep; `err` (ERR_CROWDED) says so. */
bool history_is_running(const struct history_plan *plan, const PGresult *rows, struct err *err);

/* Whether there is no table, schema or database yet. */
bool history_is_nothing_yet(const struct history_answer *answer);

/* What is wrong with plan->failed_sql, which the server refused: `err` names the option if it is the user's. */
void history_explain_failed(const struct history_plan *plan, const struct err *refusal, struct err *err);

/* Of the rows of plan->failed_sql. Whether the tool would refuse to run; `text` names why and the remedy. */
bool history_is_blocked(const struct history_plan *plan, const PGresult *rows, char *text, size_t capacity);

/* Writes what is to be said of a database and an image that have each what the other has not. */
void history_diverged(const struct history_plan *plan, const struct verdict *verdict, char *text, size_t capacity);

#endif
