/* The Redis place: a lock that is a lease, bound to a process and a fence instead of a connection, in a store that may
 * forget. place_redis.c is what the scripts of src/redis_scripts.c do with it, forget.c what becomes of it. */
#ifndef LOCKSTEP_SIM_PLACE_REDIS_H
#define LOCKSTEP_SIM_PLACE_REDIS_H

#include "records.h"

/* The key "lock". Its expiry is a time of the server's clock: it passes while the server is down, too. */
struct lease {
    uint32_t proc; /* the holder's nonce; 0 = there is no such key */
    int slot;
    uint64_t fence;
    int64_t expires;
    int64_t since; /* when it was acquired, by the world's clock */
};

/* All keys of the gate. */
struct store {
    struct lease lock;
    bool counts; /* whether the key "fence" is there */
    uint64_t fence;
    uint64_t server; /* "gate": replication id at the last mark; 0 = none on record. The token is records.last */
    struct records records;
};

struct master {
    struct store store;
    uint64_t replication; /* its id: another one after each start and each promotion */
    int64_t started;      /* by its own clock */
    bool refuses;         /* NOREPLICAS, then READONLY: it answers questions, but writes nothing any more */
};

struct redis {
    struct master masters[2];
    int current;              /* which of them is the master for all who are not stuck */
    bool failing_over;        /* from the moment that replication stands still to the demotion of the old master */
    bool stuck[REPLICAS_MAX]; /* cut off together with the old master, which they can reach */
    uint64_t replications;    /* ids given out */
    uint64_t newest;          /* fence of the latest acquisition, whatever has been forgotten since */
    struct store saved;       /* what a restart finds on the disk, or the replica has got */
    int save_percent;         /* of writes that are followed by that */
    int storm_left;           /* evictions to come */
    int64_t storm_pause;
};

/* What can be lost, each as a whole or one by one. */
enum forgetting { FORGET_ALL, FORGET_LOCK, FORGET_FENCE, FORGET_GATE, FORGET_APPLIED, FORGET_RUNS, FORGET_WRITES };

#define FORGETTINGS (FORGET_WRITES + 1)

void store_copy(struct store *to, const struct store *from);

/* The lease, if there is one that is not over. */
const struct lease *redis_lease(const struct sim *sim, const struct master *master);

/* The master that `slot` reaches. */
struct master *redis_master(struct sim *sim, int slot);

/* forget.c: what the place does in struct place. */
void redis_crashed(struct sim *sim);
void redis_restarted(struct sim *sim);
void redis_tear(struct sim *sim);
void redis_befall(struct sim *sim);
bool redis_strands(const struct sim *sim, int slot);

#endif
