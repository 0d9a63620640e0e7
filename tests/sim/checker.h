/* The invariants. Each function is called where its name says, and notes a violation in sim->world. */
#ifndef LOCKSTEP_SIM_CHECKER_H
#define LOCKSTEP_SIM_CHECKER_H

#include "../../src/gate.h"
#include "server.h"

struct sim;
struct command;

/* What really happened to a run, whatever is recorded about it. */
struct run_note {
    uint64_t token;
    uint32_t proc;
    int target;
    bool started;            /* a command was, at least once */
    int status;              /* of its latest command that is gone; -1 = none */
    enum run_state recorded; /* RUN_RUNNING, or the end that was recorded last */
    int recorded_status;
    int64_t recorded_at;
    int losses; /* of the place, until then */
};

#define NOTES_MAX (2 * RUNS_MAX)

struct checker {
    uint64_t newest; /* token of the latest command, and whose it was */
    uint32_t newest_proc;
    int losses;                /* how often the place has forgotten something */
    bool applied[TARGETS_MAX]; /* ever */
    int quarantines;
    int64_t idle_since, hoard_since, shut_since;
    int count;
    struct run_note notes[NOTES_MAX]; /* of every run that was ever marked, whatever the place remembers */
};

/* What the seeds together have met: a simulation that never gets into trouble proves nothing. */
struct coverage {
    uint64_t said[64];
    uint64_t reasons[GATE_STOPPED + 1];
    uint64_t forgotten[FORGETTINGS];
    uint64_t passed, started, excused, steps;
    int64_t longest; /* from the end of the faults to the end of the world */
};

void checker_begin(struct sim *sim);

/* Before the actions of a step are performed, and after it. */
void checker_step(struct sim *sim, int slot, const struct gate_actions *out);
void checker_after(struct sim *sim, int slot);
void checker_said(struct sim *sim, int slot, const struct gate_action *action);
void checker_answered(struct sim *sim, int slot, enum op op, enum op_result result);
void checker_finished(struct sim *sim, int slot, const struct gate_action *action);
void checker_signalled(struct sim *sim, int slot, int signal);

void checker_started(struct sim *sim, const struct command *command);
void checker_gone(struct sim *sim, const struct command *command);

/* What is known of run `token`, NULL if it was never marked. */
struct run_note *checker_note(struct sim *sim, uint64_t token);

/* The server is about to record that. */
void checker_marking(struct sim *sim, struct records *records, const struct conn *conn, const struct message *ask);
void checker_ending(struct sim *sim, const struct conn *conn, const struct message *ask, const struct run_row *run);

/* ending.c: whether a replica's last word fits the history; whether the world comes to rest once nothing disturbs it.
 */
void ending_judge(struct sim *sim, int slot, const struct gate_action *action);
void ending_watch(struct sim *sim);
void ending_of_world(struct sim *sim);

/* names.c: words for the trace. The text of an action is overwritten by the next call. */
const char *sim_op_name(enum op op);
const char *sim_result_name(enum op_result result);
const char *sim_state_name(enum gate_state state);
const char *sim_event_name(enum gate_event_kind kind);
const char *sim_reason_name(enum gate_reason reason);
const char *sim_said_name(enum event event);
const char *sim_forgotten_name(enum forgetting what);
const char *sim_action_text(const struct gate_action *action);

#endif
