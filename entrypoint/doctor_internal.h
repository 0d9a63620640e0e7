/* What the two halves of the report share: doctor.c asks where replicas meet, doctor_image.c looks at what the image
 * has. */
#ifndef LOCKSTEP_DOCTOR_INTERNAL_H
#define LOCKSTEP_DOCTOR_INTERNAL_H

#include "doctor.h"
#include "places.h"

#include <libpq-fe.h>
#include <uv.h>

struct doctor {
    const struct options *options;
    const struct plan *plan;
    const struct mask *mask;
    const struct inherited *inherited;
    uv_loop_t loop;
    uv_timer_t timer;
    struct backend *backend;
    struct holder me;
    char command[PLACES_COMMAND_CAPACITY];
    enum op asked; /* OP_NONE = a query */
    bool waiting;
    enum op_result result;
    struct look look;
    bool applied; /* nothing is pending */
    char blocked[900];
    struct err err;
    PGresult *rows;
    bool connected, pooled;
    int faults;
};

/* Prints a line of the report: a topic, and what is to be said of it. */
void doctor_say(struct doctor *d, const char *topic, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Prints what a start would fail for. */
void doctor_fault(struct doctor *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Print what the options and the preset come to; the commands; those of them that are not there. */
void doctor_words(struct doctor *d);
void doctor_commands(struct doctor *d);
void doctor_missing(struct doctor *d);

/* Runs --applied-if as a start would, prints its answer and sets d->applied. */
void doctor_check(struct doctor *d);

#endif
