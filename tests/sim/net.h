/* Connections between replicas and the meeting place, as TCP is: in order in each direction; what cannot get through
 * is sent again when the way is free, even after the sender has closed; an end may not hear that the other is gone. */
#ifndef LOCKSTEP_SIM_NET_H
#define LOCKSTEP_SIM_NET_H

#include "../../src/gate.h"
#include "scenario.h"

#include <stdbool.h>
#include <stdint.h>

#define CONNS_MAX      256
#define QUEUE_CAPACITY 8

struct sim;

enum direction { TO_SERVER, TO_CLIENT };

enum message_kind {
    MSG_REQUEST,
    MSG_REPLY,
    MSG_WAKE,
    MSG_CLOSE, /* the other end closed, or never knew this connection */
};

/* A struct look without its texts, which the gate does not read. */
struct view {
    bool unfinished; /* Redis: a second command asks for the rest */
    bool applied, ahead, last_is_mine, last_is_restarted, last_is_same_target, server_changed;
    uint64_t fence;
    int failures, attempts, last_failure_status;
    int64_t not_before_ms;
    enum run_state own_state;
    uint64_t last_token, failed_token;
    enum run_state last_state;
    int last_status, failed_status;
};

struct message {
    enum message_kind kind;
    enum op op;
    enum op_result result;
    struct look_ask look;
    int step;       /* of a look that takes two commands */
    uint64_t fence; /* Redis: of the lock, as the client knows it */
    uint64_t token;
    int attempt;
    bool repeat;
    enum run_state state;
    int status;
    int target;
    int64_t sent_at;
    int64_t ready_at; /* not delivered before */
    struct view view;
};

struct queue {
    struct message ring[QUEUE_CAPACITY];
    int head, count;
    bool armed; /* its next delivery is scheduled */
};

struct conn {
    bool used;
    uint32_t stamp; /* tells this use of the place from earlier ones */
    int slot;
    uint32_t proc; /* the client's nonce */
    int container; /* ... and where it lives */
    int master;    /* which server has accepted it */
    bool client_open;
    bool accepted; /* the server has seen it once */
    bool server_open;
    bool listening;
    bool broken; /* nothing gets through any more, and nobody is told */
    struct queue queue[2];
};

struct net {
    bool blocked[REPLICAS_MAX][2];
    int64_t faulty_until[REPLICAS_MAX]; /* when the way of this replica was last disturbed */
    int loss_permille;                  /* of messages, each of which takes its connection with it */
    int64_t delay_max;
    struct conn conns[CONNS_MAX];
};

void net_begin(struct net *net);

/* A new connection of the replica's present process. */
int net_open(struct sim *sim, int slot);
void net_send(struct sim *sim, int index, enum direction direction, const struct message *message);

/* The client closes: what it has sent before still arrives, unless `abort`. */
void net_close_client(struct sim *sim, int index, bool abort);

/* The server closes; `silent`: and the client is not told. */
void net_close_server(struct sim *sim, int index, bool silent);

/* The client's kernel is gone: nothing more is sent, not even that. */
void net_vanish(struct sim *sim, int index);

void net_break(struct sim *sim, int index);
void net_block(struct sim *sim, int slot, enum direction direction, bool blocked);

/* Every replica may have been disturbed until now. */
void net_disturb(struct sim *sim);

/* The replica can read again. */
void net_resume(struct sim *sim, int slot);

#endif
