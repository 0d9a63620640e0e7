/* The vocabulary that the gate and the meeting places share: what is recorded about runs, and what a look finds. */
#ifndef LOCKSTEP_RECORD_H
#define LOCKSTEP_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_CAPACITY   41  /* "lockstep:" NAME ":" token must fit into Postgres' 63 bytes of application_name */
#define TARGET_CAPACITY 256 /* bytes of a target with its terminator */
#define LINE_CAPACITY   256 /* last_line: what a waiter shows of the run it waits for */
#define TAIL_CAPACITY   ((size_t)64 * 1024)

enum run_state {
    RUN_NONE, /* there is no such run */
    RUN_RUNNING,
    RUN_SUCCEEDED,
    RUN_FAILED,
    RUN_INTERRUPTED, /* ended in order by a signal to lockstep: others take over at once */
    RUN_LOST,        /* nobody ended it; marked so by the winner that came after its quarantine */
};

/* The word for `state` in records, events and LOCKSTEP_PREVIOUS; "none" for RUN_NONE. Static storage. */
const char *run_state_name(enum run_state state);

/* The state that `name` is the word for; RUN_NONE for any other word. */
enum run_state run_state_named(const char *name);

/* Who we are, as others see it in the records. */
struct holder {
    char nonce[33]; /* 128 random bits in hex: tells this process from every other that ever marked a run */
    char host[256];
    int64_t pid;
    bool pid1;            /* the first process of its PID namespace: whatever ran in this container before is dead */
    bool container_found; /* the two below were looked for */
    char container[65];   /* the container's id, "" outside of one */
    char root[33];        /* a hash that tells this container's own root filesystem from all others, "" = unknown */
};

/* A run as it is recorded. */
struct run {
    uint64_t token; /* the fencing token; 0 = there is no run */
    enum run_state state;
    int exit_status; /* -1 = none recorded */
    char target[TARGET_CAPACITY];
    char host[256];
    char container[65];
    char since[40]; /* when it started, RFC 3339 in UTC */
    char last_line[LINE_CAPACITY];
};

/* What the gate wants to know besides the version. */
struct look_ask {
    uint64_t own;        /* 0, or the token of a run of ours whose end is unsettled */
    uint64_t watch_from; /* failed runs of the target count as watched from this token on; 0 = none yet */
    bool whole;          /* all is wanted, also when the target is applied */
};

/* Everything that one look found (DESIGN section 4: one round trip answers all that the gate needs). */
struct look {
    bool applied;             /* the target is in the set of applied versions */
    bool ahead;               /* ... and another target was applied after it */
    bool last_is_mine;        /* the last run carries our nonce */
    bool last_is_restarted;   /* the last run's holder was this very container before its restart */
    bool last_is_same_target; /* the last run was for our target */
    bool server_changed;      /* another timeline, or a place that may have forgotten: never trust its silence */
    uint64_t fence;           /* the token that came with our lock; 0 = a run gets one more than the last run's */
    int failures;             /* failed and lost runs of the target */
    int attempts;             /* the highest attempt number marked for the target */
    int last_failure_status;  /* exit status of the target's latest failed run, -1 = none */
    int64_t not_before_ms;    /* how long the target's last failure still backs off, by the server's clock */
    enum run_state own_state; /* of the run look_ask.own; RUN_NONE if it is not there */
    struct run last;          /* the gate's latest run, of whatever target */
    struct run failed;        /* the target's latest failed run with token >= watch_from, token 0 = none */
    const char *blocked; /* why the migration tool would refuse to run, found by who holds the lock; NULL = it would
                            not, or nobody asked. Valid in the callback */
    const char *tail;    /* output tail of the latest failed run of the target, "" if none; valid in the callback */
    size_t tail_length;
};

/* What can be asked of a meeting place (src/backend.h has the contract of each). */
enum op { OP_NONE, OP_LOOK, OP_LOCK, OP_LISTEN, OP_MARK, OP_FENCE, OP_BEAT, OP_END, OP_RELEASE };

enum op_result {
    OP_OK,
    OP_BUSY,        /* LOCK: another holds it. LISTEN: no place among the listeners. MARK: another marked meanwhile.
                       FENCE: sessions with an older token are still there */
    OP_LOST,        /* BEAT, END: the lock is not ours (any more) */
    OP_UNAVAILABLE, /* nobody answered, or not yet */
    OP_CROWDED,     /* the server answered that it is full */
    OP_REFUSED,     /* trying again would not help */
};

#endif
