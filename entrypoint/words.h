/* The gate's events and its end in words for people, and as fields for machines. */
#ifndef LOCKSTEP_WORDS_H
#define LOCKSTEP_WORDS_H

#include "gate.h"
#include "options.h"

/* What the words are about; filled by whoever drives the gate. */
struct words {
    const struct options *options;
    const char *target;
    const char *place;                   /* where replicas meet, for people */
    struct run last;                     /* the gate's latest run, as the last look found it */
    char *failed_tail;                   /* output tail of the target's latest failed run, "" if none */
    int64_t now, began, migrating_since; /* ms */
    const char *problem;                 /* the last error's text */
};

/* The first line: what, which version, where. */
void words_starting(const struct words *words);

/* Says what a GATE_SAY action means. */
void words_say(const struct words *words, const struct gate *gate, const struct gate_action *action);

/* Says why the gate failed, with the failed run's tail unless it was our own, and returns the exit status that follows.
 */
int words_failed(const struct words *words, const struct gate *gate, const struct gate_action *action);

#endif
