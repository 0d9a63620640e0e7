/* A meeting place whose version is not what lockstep recorded, but what the migration tool's own table says (DESIGN
 * section 2, rules 6 and 11). It stands before another backend, which keeps the lock and the records.
 *
 * A first look that finds the version there asks nothing but the tool's table: one connection, one query. */
#ifndef LOCKSTEP_HISTORY_H
#define LOCKSTEP_HISTORY_H

#include "backend.h"
#include "migrations.h"
#include "url.h"
#include "verdict.h"

/* What a preset and the user's options come to; made by history_plan, read by whoever asks the table. */
struct history_plan {
    const struct tool *tool;
    const struct migrations *image;
    char *applied_sql;  /* one round trip: rows with the columns of the table, and an id */
    char *running_sql;  /* who migrates without us: rows of process and application; NULL = the tool has no lock */
    char *failed_sql;   /* what the tool would not go on from: rows of id and words; NULL = nothing */
    bool failed_is_own; /* failed_sql is the user's */
    char *applied_words, *failed_words; /* for people: the queries of these without what is around them; NULL = none */
    char table[260];                    /* for people; "" = the user's own query */
    char *grant;                        /* what lets lockstep's role read it */
    const char *database_url;           /* of the table's database; kept by reference */
    bool is_shared;                     /* the place is in the very database that has the table: its connections do */
};

/* What the user says about the history; NULL where he says nothing. */
struct history_words {
    const char *applied_sql, *failed_sql;
    tool_variable *variable; /* the tool's own settings */
};

/* Works out the queries for `tool` at the database `url`, `what` for people. `is_shared`: replicas meet there too. -1
 * with ERR_USAGE. The caller frees with history_plan_free. */
int history_plan_make(struct history_plan *plan, const struct tool *tool, const struct migrations *image,
                      const struct history_words *words, const char *url, const char *what, bool is_shared,
                      struct err *err);

void history_plan_free(struct history_plan *plan);

/* What the last look of `b`, which history_open has opened, found in the table. */
const struct verdict *history_verdict(const struct backend *b);

/* Why there was no table then, in the server's words; NULL if there was. */
const char *history_no_table(const struct backend *b);

/* Writes what is to be said of a run that succeeded while something is missing as before. `no_table`: the server's
 * words if the table itself is; NULL. */
void history_unmoved(const struct history_plan *plan, const struct verdict *verdict, const char *no_table, char *text,
                     size_t capacity);

/* Puts config->history before the place that `place` opens. As backend_open. */
struct backend *history_open(const struct backend_config *config, backend_opener *place, struct err *err);

#endif
