/* The invariants. Each function is called where its name says, and notes a violation in sim->world. */
#ifndef LOCKSTEP_SIM_CHECKER_H
#define LOCKSTEP_SIM_CHECKER_H

#include "../../src/gate.h"
#include "server.h"

struct sim;
struct command;

/* What really happened to a run, whatever is recorded about it. */
struct run_note {
    bool started; /* a command was, at least once */
    bool ended;   /* an end was recorded */
    int status;   /* of its latest command that is gone; -1 = none */
};

struct checker {
    uint64_t newest; /* token of the latest command */
    int64_t idle_since, hoard_since, shut_since;
    struct run_note notes[RUNS_MAX + 1];
};

/* What the seeds together have met: a simulation that never gets into trouble proves nothing. */
struct coverage {
    uint64_t said[64];
    uint64_t reasons[GATE_STOPPED + 1];
    uint64_t passed, started, excused, steps;
    int64_t longest; /* from the end of the faults to the end of the world */
};

void checker_begin(struct sim *sim);

/* Before the actions of a step are performed, and after it. */
void checker_step(struct sim *sim, int slot, const struct gate_actions *out);
void checker_after(struct sim *sim, int slot);
void checker_said(struct sim *sim, int slot, const struct gate_action *action);
void checker_finished(struct sim *sim, int slot, const struct gate_action *action);
void checker_signalled(struct sim *sim, int slot, int signal);

void checker_started(struct sim *sim, const struct command *command);
void checker_gone(struct sim *sim, const struct command *command);

/* The server is about to record that. */
void checker_marking(struct sim *sim, const struct conn *conn, const struct message *ask);
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
const char *sim_action_text(const struct gate_action *action);

#endif
