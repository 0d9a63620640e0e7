/* Virtual time: a queue of things to come, one source of randomness, and the trace of what happened. Everything in a
 * simulation follows from the seed, so that a failing one replays exactly. */
#ifndef LOCKSTEP_SIM_WORLD_H
#define LOCKSTEP_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#define WORLD_EVENTS_MAX 16384

struct sim;
struct world_event;
typedef void world_fire(struct sim *sim, const struct world_event *event);

/* Something that happens to `who` (whose meaning is the callback's own). `stamp` lets the callback see that what was
 * scheduled has been overtaken: nothing is ever taken out of the queue. */
struct world_event {
    int64_t at;
    uint64_t order; /* things of one moment happen in the order in which they were scheduled */
    world_fire *fire;
    int who;
    uint32_t stamp;
};

struct world {
    int64_t now; /* ms */
    uint64_t random;
    uint64_t ordered;
    int count;
    bool printing; /* the trace goes to stdout */
    bool hashing;  /* ... into `hash` */
    uint64_t hash;
    bool violated;
    char violation[512];
    struct world_event heap[WORLD_EVENTS_MAX];
};

void world_begin(struct world *world, uint64_t seed);

/* A number from 0 to bound-1; 0 if bound is not positive. */
int64_t world_below(struct world *world, int64_t bound);
int64_t world_between(struct world *world, int64_t low, int64_t high);
bool world_chance(struct world *world, int percent);

/* Calls `fire` at `at`, or now if that has passed. */
void world_at(struct world *world, int64_t at, world_fire *fire, int who, uint32_t stamp);

/* Lets the next thing happen; false if nothing is left. */
bool world_next(struct sim *sim, struct world *world);

/* Notes the first violation; the simulation ends with it. */
void world_violated(struct world *world, const char *invariant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void world_trace(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A macro, because thousands of seeds run untraced and should not even compute the arguments. */
#define TRACE(sim, ...)                                                                                                \
    do {                                                                                                               \
        if ((sim)->world.printing || (sim)->world.hashing)                                                             \
            world_trace(&(sim)->world, __VA_ARGS__);                                                                   \
    } while (0)

#endif
