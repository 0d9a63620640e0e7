/* What a model meeting place has written down about runs, and what follows from it: the same for every kind of place.
 */
#ifndef LOCKSTEP_SIM_RECORDS_H
#define LOCKSTEP_SIM_RECORDS_H

#include "net.h"

#define RUNS_MAX 512

struct run_row {
    uint64_t token;
    enum run_state state;
    int target;
    int attempt;
    int slot;
    uint32_t proc; /* the holder's nonce */
    int container;
    int exit_status;
    int64_t not_before; /* by the server's clock */
    bool seen_dirty;    /* BROKEN_STICKY: a winner has met it running */
};

struct records {
    uint64_t last;                 /* token of the gate's latest run, 0 = none */
    uint64_t applied[TARGETS_MAX]; /* the token that applied it, 0 = not applied */
    int count;
    struct run_row runs[RUNS_MAX]; /* in the order of their tokens; what is beyond count is not even copied */
};

/* Nothing is recorded; or, with `old_target`, that target 0 was applied by run 1 long ago. */
void records_clear(struct records *records);
void records_begin(struct records *records, bool old_target);
void records_copy(struct records *to, const struct records *from);

/* The row of run `token`, NULL if there is none (any more). */
struct run_row *records_run(struct records *records, uint64_t token);

/* Runs of `target` that count as failures: failed and lost ones. */
int records_failures(const struct records *records, int target);

/* How long the target's latest failure still keeps everybody from trying, by a clock that shows `now`. */
int64_t records_backoff(const struct records *records, int target, int64_t now);

/* All of a look that does not depend on the kind of place. */
void records_view(struct sim *sim, struct records *records, const struct conn *conn, const struct message *ask,
                  struct view *view);

/* A winner has come to them. */
void records_met(const struct sim *sim, struct records *records, const struct conn *conn);

/* Performs OP_MARK for one who may, with a token that is free; the same for a further try of the run. */
enum op_result records_mark(struct sim *sim, struct records *records, const struct conn *conn,
                            const struct message *ask);
enum op_result records_repeat(struct records *records, const struct conn *conn, const struct message *ask);

/* Performs OP_END for one who may; false if the run is not running (any more), and then nothing is changed. */
bool records_end(struct sim *sim, struct records *records, const struct conn *conn, const struct message *ask);

#endif
