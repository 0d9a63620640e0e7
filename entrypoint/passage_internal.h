/* What the files of the passage share: passage.c (set-up, the loop, events), passage_perform.c (the gate's actions),
 * passage_run.c (the steps of our run), passage_applied.c (--applied-if). */
#ifndef LOCKSTEP_PASSAGE_INTERNAL_H
#define LOCKSTEP_PASSAGE_INTERNAL_H

#include "passage.h"

#include "backend.h"
#include "gate.h"
#include "places.h"
#include "runner.h"
#include "words.h"

struct applied_if {
    struct runner *runner;
    struct look_ask ask; /* the look that is going on */
    struct look look;    /* what the place answered to it */
    bool wanted;         /* the gate waits for the app's answer */
    bool running;
    bool stale; /* what is running was asked for an earlier look */
    bool asked_once;
    uint64_t asked_after; /* the token of the last ended run that the app has been asked after */
};

struct passage {
    const struct passage_config *config;
    uv_loop_t loop;
    uv_poll_t timer_watch, signal_watch;
    uv_timer_t pulse;
    int timer, signals;
    int64_t pulse_boot, pulse_wall;
    struct gate gate;
    struct backend *backend;
    struct runner *runner;
    struct applied_if applied_if;
    enum command_kind step; /* of our run */
    char **run_environment;
    int64_t term_at, kill_at; /* the lease as last extended, ms on CLOCK_BOOTTIME */
    bool output_begun;        /* what a step prints is added to what is kept */
    bool before_done;
    bool migrated; /* the migration itself has succeeded */
    bool refused;  /* our run was not begun, as the tool would refuse */
    struct holder me;
    struct words words;
    char problem[sizeof((struct err *)0)->text];
    enum op problem_op; /* of what */
    char command_text[PLACES_COMMAND_CAPACITY];
    char told_line[LINE_CAPACITY]; /* the last one that waiters were told */
    int64_t told_at;
    bool done;
    struct gate_action end;
    char *blocked; /* why our run may not start the tool, as the last look found; NULL = it may */
};

/* Remembers what is wrong at the place, and says it unless that was said last. */
void passage_problem(struct passage *p, const struct err *err);

/* Gives the gate an event, and does what it then asks for. */
void passage_step(struct passage *p, const struct gate_event *event);

/* Does what the gate asked for. */
void passage_perform(struct passage *p, const struct gate_action *action);

/* ---- passage_run.c ---- */

bool passage_has(const struct passage *p, enum command_kind kind);
/* GATE_START: begins with the first step. */
void passage_start_run(struct passage *p, const struct gate_action *action);
/* An order to the leash of the step that is running. */
void passage_order(struct passage *p, enum leash_order_kind kind, const struct gate_action *action);
/* The last process of a step is gone (runner_ended). */
void passage_step_ended(void *user, int status);

/* ---- passage_applied.c ---- */

/* The place has answered a look: tells the gate, now or once the app has answered too. */
void passage_answer_look(struct passage *p, const struct look *look);
/* The gate does not wait for the app's answer any more. */
void passage_forget_app(struct passage *p);
/* The app has answered (runner_ended). */
void passage_app_answered(void *user, int status);
/* Warns that the app calls something pending after a migration that succeeded; `runner` has asked it. */
void passage_say_still_pending(const struct runner *runner, int status);

#endif
