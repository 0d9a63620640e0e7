/* The model migration command with its leash: the process that ends it when the lease is over, whatever has become of
 * lockstep (DESIGN section 5). */
#ifndef LOCKSTEP_SIM_COMMAND_H
#define LOCKSTEP_SIM_COMMAND_H

#include "../../src/gate.h"

#include <stdbool.h>
#include <stdint.h>

#define COMMANDS_MAX       64
#define LEASH_LAG_MS       30   /* it is a process like others: it is not scheduled at once */
#define STRAGGLER_GRACE_MS 2000 /* what the main process leaves behind gets TERM, this long, then KILL */

struct sim;

enum command_phase {
    COMMAND_MAIN,
    COMMAND_STRAGGLER, /* the main process is gone, another one of its tree is not */
    COMMAND_DYING,     /* SIGKILL is sent to all */
};

struct command {
    bool alive; /* until the last process is gone */
    int slot;
    uint32_t proc; /* the lockstep that started it */
    uint64_t token;
    int target;
    int status;
    enum command_phase phase;
    bool ignores_term, straggles;
    bool frozen; /* SIGSTOP to its group */
    bool paused; /* the whole container, leash included */
    bool was_paused;
    bool fenced; /* its database sessions were terminated */
    bool lease_told;
    int64_t resumed_at; /* from its latest pause */
    int64_t started_at;
    int64_t next_at;                    /* when the phase ends by itself */
    int64_t remaining;                  /* ... once it goes on, while it is suspended */
    int64_t deadline, kill_at, stop_at; /* what the leash enforces, by the host's clock */
    uint32_t next_stamp, leash_stamp;
};

/* Performs GATE_START. */
void command_start(struct sim *sim, int slot, const struct gate_action *action);

/* The living command of the replica's present process, NULL if there is none. */
struct command *command_of(struct sim *sim, int slot);

void command_extend(struct sim *sim, struct command *command, const struct gate_action *action);
void command_stop(struct sim *sim, struct command *command, int signal, int64_t kill_at);
void command_signal(struct sim *sim, struct command *command, int signal);
void command_freeze(struct sim *sim, struct command *command, bool frozen);

/* The lockstep that holds the other end of the leash is gone. */
void command_orphan(struct sim *sim, struct command *command);
void command_pause(struct sim *sim, struct command *command, bool paused);

/* The container is killed: everything in it dies at once. */
void command_vanish(struct sim *sim, struct command *command);

#endif
