/* What passage.c (set-up, the loop, events) and passage_perform.c (the gate's actions) share. */
#ifndef LOCKSTEP_PASSAGE_INTERNAL_H
#define LOCKSTEP_PASSAGE_INTERNAL_H

#include "passage.h"

#include "backend.h"
#include "gate.h"
#include "runner.h"
#include "words.h"

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
    struct holder me;
    struct words words;
    char problem[sizeof((struct err *)0)->text];
    enum op problem_op; /* of what */
    char command_text[1024];
    char told_line[LINE_CAPACITY]; /* the last one that waiters were told */
    int64_t told_at;
    bool done;
    struct gate_action end;
};

/* Remembers what is wrong at the place, and says it unless that was said last. */
void passage_problem(struct passage *p, const struct err *err);

/* Does what the gate asked for. */
void passage_perform(struct passage *p, const struct gate_action *action);

#endif
