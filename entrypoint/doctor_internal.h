/* What the parts of the report share: doctor.c asks where replicas meet, doctor_server.c what servers those are,
 * doctor_image.c looks at what the image has. */
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
    struct backend *asked_backend;
    const char *asked_place;
    bool waiting;
    enum op_result result;
    struct look look;
    bool applied; /* nothing is pending */
    char blocked[900];
    struct err err;
    PGresult *rows;
    bool pooled;
    int faults;
};

/* Prints a line of the report: a topic, and what is to be said of it. */
void doctor_say(struct doctor *d, const char *topic, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Prints what a start would fail for. */
void doctor_fault(struct doctor *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints what a start would fail for unless nothing is pending: then it is a warning. */
void doctor_need(struct doctor *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a start would open a meeting place with. */
struct backend_config doctor_config(struct doctor *d);

/* Waits for the answer of `asked`, which people know as `place`; it is told by doctor_answered. */
enum op_result doctor_wait(struct doctor *d, struct backend *asked, const char *place);

/* The answer that is waited for is there. `err` may be NULL. */
void doctor_answered(struct doctor *d, enum op_result result, const struct err *err);

/* Prints what Postgres servers a start would need: where replicas meet, where the records and the tool's table are.
 * False if one of them does not answer. */
bool doctor_servers(struct doctor *d);

/* Print what the options and the preset come to; the commands; those of them that are not there. */
void doctor_words(struct doctor *d);
void doctor_commands(struct doctor *d);
void doctor_missing(struct doctor *d);

/* Runs --applied-if as a start would, prints its answer or the fault, and sets d->applied. */
void doctor_check(struct doctor *d);

#endif
