/* What a seed stands for: the replicas, their configuration, how their command behaves, and which faults come when. */
#ifndef LOCKSTEP_SIM_SCENARIO_H
#define LOCKSTEP_SIM_SCENARIO_H

#include "../../src/gate.h"

#include <stdbool.h>
#include <stdint.h>

#define REPLICAS_MAX 12
#define TARGETS_MAX  3

struct sim;

/* Rules that are broken on purpose, to see that the simulation notices (DESIGN section 8). */
enum broken {
    BROKEN_NONE,
    BROKEN_QUARANTINE, /* Q = 0 */
    BROKEN_MEMBERSHIP, /* the version is there if it equals the newest applied one */
    BROKEN_STICKY,     /* the dirt that one winner has seen is clean for the next */
};

/* How a replica is made and what its container is like. */
struct scenario_replica {
    struct gate_config config;
    int target;
    bool pid1;        /* lockstep's death is the container's death */
    int restarts;     /* how often it may come back */
    int64_t start_at; /* of its first process */
    int64_t clock_offset;
    int64_t clock_ppm; /* drift of its clock against the server's */
};

struct scenario {
    uint64_t seed;
    enum broken broken;
    bool calm;            /* nothing goes wrong: then nothing may be lost, waited out or tried twice either */
    bool rolling;         /* an old and a new image; a restart may bring the new one */
    struct times times;   /* as the replicas have them; the server knows the lease */
    int64_t lease;        /* the server's side of it */
    int64_t faults_end;   /* from here on nothing goes wrong any more */
    int64_t command_max;  /* longest natural duration of a command */
    int fail_percent;     /* of commands */
    int ignore_percent;   /* ... that ignore SIGTERM */
    int straggle_percent; /* ... that leave a process behind */
    int replicas;
    struct scenario_replica replica[REPLICAS_MAX];
};

/* Fills sim->scenario from sim->world's randomness. */
void scenario_draw(struct sim *sim, uint64_t seed, enum broken broken);

#endif
