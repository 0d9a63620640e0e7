/* A kind of meeting place: what its lock is, and what becomes of the lock and the records when something goes wrong.
 * One implementation for each kind, as with src/backend.h; what they share is in server.c and records.c. */
#ifndef LOCKSTEP_SIM_PLACE_H
#define LOCKSTEP_SIM_PLACE_H

#include "net.h"

struct records;

struct place {
    const char *name;
    bool bound; /* the lock ends with the connection that took it */

    void (*begin)(struct sim *sim);

    /* Where a connection finds what is recorded; NULL: a new one of nobody in particular. */
    struct records *(*records)(struct sim *sim, const struct conn *conn);

    /* What a look tells besides the records. */
    void (*look)(struct sim *sim, const struct conn *conn, const struct message *ask, struct view *view);

    /* Performs LOCK, MARK, BEAT, END, RELEASE; notes in `reply` what else it answers. */
    enum op_result (*act)(struct sim *sim, int index, const struct message *ask, struct message *reply);

    /* The replica whose process, present or gone, has the lock; -1 = it is free. Since when; the connection by which
     * that can be disturbed, -1 = none. */
    int (*holder)(const struct sim *sim);
    int64_t (*held_since)(const struct sim *sim);
    int (*holder_conn)(const struct sim *sim);

    /* Whether the one who asks has had the lock ever since it asked: else what it found before may be outdated by now,
     * and the token's compare-and-swap is all that can be expected. */
    bool (*held_by)(const struct sim *sim, const struct conn *conn, const struct message *ask);

    /* Whether the server that this replica reaches refuses to write, or is not the one that the others use. */
    bool (*strands)(const struct sim *sim, int slot);

    /* What happens to connections, and to the server. */
    void (*accepted)(struct sim *sim, struct conn *conn);
    void (*closed)(struct sim *sim, int index);
    void (*crashed)(struct sim *sim);
    void (*restarted)(struct sim *sim);

    /* The lock is torn away from its holder, who may go on for a while. */
    void (*tear)(struct sim *sim);

    /* Whatever else befalls this kind of place only; NULL = nothing. */
    void (*befall)(struct sim *sim);
};

extern const struct place place_postgres;
extern const struct place place_redis;

#endif
