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
    BROKEN_RECREATE,   /* Redis: a heartbeat makes a lost lock anew */
    BROKEN_BLIND,      /* ... or renews whatever lock is there */
    BROKEN_FORGET,     /* a fence that was forgotten is no dirt */
    BROKEN_FAILOVER,   /* another replication id is no dirt */
    BROKEN_RUNS,       /* a last run of which nothing is recorded is no dirt */
    BROKEN_FENCE,      /* the fence counts on from what a restart or failover has left */
    BROKEN_SECONDS,    /* the clock that a fence comes from has whole seconds only */
    BROKENS
};

enum place_kind { PLACE_POSTGRES, PLACE_REDIS, PLACES };

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
    enum place_kind place;
    bool fresh;           /* Redis: it has never heard of this gate, and perhaps it has just begun */
    bool old_target;      /* target 0 is there already */
    bool calm;            /* nothing goes wrong: then nothing may be lost, waited out or tried twice either */
    bool rolling;         /* an old and a new image; a restart may bring the new one */
    struct times times;   /* as the replicas have them; the server knows the lease */
    int64_t lease;        /* the server's side of it */
    int64_t faults_end;   /* from here on nothing goes wrong any more */
    int64_t command_max;  /* longest natural duration of a command */
    int fail_percent;     /* of commands */
    int ignore_percent;   /* ... that ignore SIGTERM */
    bool asks_app;        /* --applied-if: a look takes as long as the app */
    int straggle_percent; /* ... that leave a process behind */
    int replicas;
    struct scenario_replica replica[REPLICAS_MAX];
};

/* Fills sim->scenario from sim->world's randomness. */
void scenario_draw(struct sim *sim, uint64_t seed, enum broken broken);

#endif
