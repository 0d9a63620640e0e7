/* The model meeting place: connections that come and go, and behind them one kind of place (place.h). */
#ifndef LOCKSTEP_SIM_SERVER_H
#define LOCKSTEP_SIM_SERVER_H

#include "place.h"
#include "place_redis.h"
#include "records.h"

struct postgres {
    int timeline;      /* a failover begins a new one */
    int gate_timeline; /* ... as recorded with the last mark */
    int holder;        /* the connection that has the lock, -1 = it is free */
    uint32_t lock_stamp;
    int64_t locked_at;
    struct records records;
};

struct server {
    const struct place *place;
    bool down;
    bool silent;         /* while down: nobody even says that nobody is there */
    bool door_closed;    /* nobody answers new connections; those that stand go on */
    int crowded_percent; /* of new connections that find the server full */
    int wake_loss_percent;
    int listeners_max;
    bool refuses[REPLICAS_MAX]; /* somebody took this replica's permissions away */
    int64_t clock_step;         /* how far its clock has been set forward */
    struct postgres postgres;
    struct redis redis;
};

void server_begin(struct sim *sim);
void server_receive(struct sim *sim, int index, const struct message *message);

/* What its wall clock shows. */
int64_t server_clock(const struct sim *sim);

/* The server ends a connection: terminated, timed out, or its client is known to be gone. */
void server_terminate(struct sim *sim, int index, bool silent);
void server_forget(struct sim *sim, int index);

/* Whether it still needs to know this connection, whatever has become of it. */
bool server_keeps(const struct sim *sim, int index);

/* Everything is closed; what that means for the lock and the records, the place knows. */
void server_crash(struct sim *sim, bool silent);
void server_restart(struct sim *sim);

#endif
