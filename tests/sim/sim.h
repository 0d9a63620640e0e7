/* A whole simulated world: replicas with their gates, the network, the meeting place, the commands. */
#ifndef LOCKSTEP_SIM_H
#define LOCKSTEP_SIM_H

#include "checker.h"
#include "command.h"
#include "fault.h"
#include "net.h"
#include "records.h"
#include "replica.h"
#include "scenario.h"
#include "server.h"
#include "world.h"

struct sim {
    struct world world;
    struct scenario scenario;
    struct net net;
    struct server server;
    struct checker checker;
    struct trap trap;
    struct coverage *coverage; /* counted over many seeds; borrowed */
    int containers;            /* ids given out */
    uint32_t procs;            /* ... and process nonces */
    struct replica replicas[REPLICAS_MAX];
    struct command commands[COMMANDS_MAX];
};

/* Runs `seed` to its end or to the first violation, which sim->world then tells. */
void sim_run(struct sim *sim, uint64_t seed, enum broken broken);

#endif
