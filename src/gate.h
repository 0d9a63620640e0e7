/* The protocol of DESIGN section 2 as a pure state machine: no I/O, no clock, no allocation. It takes an event and the
 * time and answers with the next actions. entrypoint/passage.c performs them in production, tests/sim/ in a simulation.
 *
 * All times are milliseconds on one clock that never stands still, not even in a suspend (CLOCK_BOOTTIME). */
#ifndef LOCKSTEP_GATE_H
#define LOCKSTEP_GATE_H

#include "event.h"
#include "record.h"
#include "times.h"

#include <stdbool.h>
#include <stdint.h>

#define GATE_NEVER          INT64_MAX
#define GATE_STATUS_TIMEOUT 124 /* recorded for a command that --migrate-timeout ended, as timeout(1) reports it */

enum gate_mode {
    GATE_MODE_MIGRATE, /* run, migrate: one of us may run the migration */
    GATE_MODE_WAIT,    /* wait: never run anything */
    GATE_MODE_CHECK,   /* check: one look */
};

struct gate_config {
    enum gate_mode mode;
    struct times times;
    int64_t wait_timeout;    /* ms at the gate, our own migration not counted; 0 = for ever */
    int64_t connect_timeout; /* ms, at a stretch, that the place may be unreachable */
    int64_t migrate_timeout; /* ms that the command may take; 0 = any */
    int64_t stop_grace;      /* ms between the forwarded signal and SIGKILL */
    int64_t retry_delay;     /* ms before the winner repeats a failing command in place */
    int64_t poll;            /* ms between the looks of a waiter whom somebody should wake */
    int retries;             /* how often it repeats */
    int max_attempts;        /* failures of one target after which nobody tries again; 0 = no limit */
    uint64_t seed;           /* of the jitter; not 0 */
};

enum gate_event_kind {
    GATE_TICK,          /* the time that gate_due() named has come, or any other moment */
    GATE_REPLY,         /* the answer to an asked op */
    GATE_DISCONNECTED,  /* the connection that holds the lock or listens is closed, and nothing was asked on it */
    GATE_APP_ASKED,     /* the place has answered OP_LOOK; its reply waits for the app's own check (--applied-if) */
    GATE_WOKEN,         /* somebody recorded something: look again */
    GATE_SIGNALLED,     /* lockstep got a signal */
    GATE_COMMAND_ENDED, /* the last process of the run is gone */
    GATE_CLOCK_JUMPED,  /* we were paused or a clock was set: verify the lock before anything goes on */
};

struct gate_event {
    enum gate_event_kind kind;
    enum op op;              /* GATE_REPLY */
    enum op_result result;   /* GATE_REPLY */
    const struct look *look; /* GATE_REPLY to OP_LOOK with OP_OK; read during the call only */
    int signal;              /* GATE_SIGNALLED */
    int status;              /* GATE_COMMAND_ENDED: exit status, 128+n if signal n ended the command */
    bool migrated;           /* GATE_COMMAND_ENDED: the migration had succeeded, whatever befell what came after it */
    bool final;              /* GATE_COMMAND_ENDED: it failed, and would again: no retry in place */
};

enum gate_action_kind {
    GATE_ASK,         /* ask the place: op and, by op, the arguments below; exactly one GATE_REPLY or a reset follows */
    GATE_RESET,       /* forget what was asked, close every connection: no reply to an earlier op comes any more */
    GATE_RESET_CLERK, /* the same for everything but the connection that holds the lock */
    GATE_START,       /* start the command; kill it by yourself at `deadline` unless that is extended (the leash) */
    GATE_EXTEND,      /* the leash's deadline moved to `deadline` */
    GATE_STOP,        /* send `signal` to the command, SIGKILL to all of it at `deadline` */
    GATE_FORWARD,     /* send `signal` to the command */
    GATE_FREEZE,      /* SIGSTOP the command */
    GATE_THAW,        /* SIGCONT it */
    GATE_SAY,         /* tell people: `event` */
    GATE_PASS,        /* the version is there: go on to the app */
    GATE_FAIL,        /* the end: `reason`, `status` */
};

enum gate_reason {
    GATE_PENDING,     /* check: the version is not there */
    GATE_RUN_FAILED,  /* our run or one that we watched; status = its status */
    GATE_EXHAUSTED,   /* too many attempts; status = the last failure's, -1 = none known */
    GATE_TIMED_OUT,   /* --wait-timeout */
    GATE_UNREACHABLE, /* --connect-timeout */
    GATE_REFUSED,     /* the place said no */
    GATE_LOST_AGAIN,  /* the lock is lost while the command runs, again and again */
    GATE_UNRECORDED,  /* the migration succeeded, but that could not be written down */
    GATE_STOPPED,     /* by a signal; status = 128+n */
};

struct gate_action {
    enum gate_action_kind kind;
    enum op op;
    struct look_ask look;    /* OP_LOOK */
    uint64_t token;          /* OP_MARK: of the run to mark. OP_FENCE: end the sessions that carry an older one.
                                OP_END: of the run to end. GATE_SAY, GATE_FAIL: of the run that is spoken of */
    int attempt;             /* OP_MARK, GATE_START: its attempt number */
    bool repeat;             /* OP_MARK: the run is ours and running; its command is tried again */
    enum run_state state;    /* OP_END: how it ended. GATE_START: how the previous run ended.
                                GATE_SAY: of the run that a QUARANTINE is about */
    int status;              /* OP_END, GATE_FAIL, GATE_SAY: exit status */
    int64_t deadline;        /* GATE_START, GATE_EXTEND: the lease is over; GATE_STOP: when to kill.
                                GATE_SAY: until when (BACKOFF, QUARANTINE) */
    int64_t kill_at;         /* GATE_START, GATE_EXTEND: SIGKILL follows at */
    int signal;              /* GATE_STOP, GATE_FORWARD, GATE_SAY */
    enum event event;        /* GATE_SAY */
    enum gate_reason reason; /* GATE_FAIL */
};

#define GATE_ACTIONS_MAX 12

struct gate_actions {
    int count;
    struct gate_action list[GATE_ACTIONS_MAX];
};

enum gate_state {
    AT_LOOK,       /* asked: is the version there? */
    AT_CONTEND,    /* asked for the lock */
    AT_SUBSCRIBE,  /* asked to be woken */
    AT_WAIT,       /* somebody else has the lock */
    AT_BACK_OFF,   /* nobody may try before the last failure's not-before */
    AT_RECONNECT,  /* the place is unreachable or full: next try at `due` */
    AT_HOLD_LOOK,  /* the lock is ours: asked again, under it */
    AT_HOLD_AGAIN, /* ... and could not be answered: next try at `due` */
    AT_QUARANTINE, /* waiting out what an abruptly dead holder may still do */
    AT_MARK,       /* asked to record our run as running */
    AT_FENCE,      /* asked to end sessions of older runs */
    AT_MIGRATE,    /* the command is alive (and perhaps told to stop) */
    AT_PAUSE,      /* between two tries of --retries; the run stays marked */
    AT_RECORD,     /* asked to record the end of our run, which releases and wakes */
    AT_LEAVE,      /* asked to release without a run; then `leaving` is done */
    AT_DONE,
};

enum gate_stop { GATE_STOP_NONE, GATE_STOP_SIGNAL, GATE_STOP_TIMEOUT, GATE_STOP_LOST };

/* Callers own the storage; the members are gate.c's own, readable for tests and for messages. */
struct gate {
    struct gate_config config;
    enum gate_state state;
    uint64_t random;
    int64_t began;             /* moved on by the time that our own command took */
    int64_t started;           /* our command */
    int64_t due;               /* when a resting state acts */
    int64_t say_due;           /* next progress message */
    int64_t unreachable_since; /* GATE_NEVER = the place answered last time */
    enum op failed_op;         /* what it did not answer then: an answer to less proves nothing */
    int64_t retry_ms;          /* grows while the place is unreachable or full */
    int64_t poll_ms;           /* grows for a waiter that nobody wakes */
    enum op asked[2];          /* outstanding op of the lock's connection [0] and of the other one [1] */
    int64_t asked_at[2];
    int64_t app_asked_at; /* from then on OP_LOOK takes as long as the app does; 0 = it is not asked */
    bool listening, listen_tried;
    bool woken;          /* since the look that was asked last */
    bool watching;       /* a run that this look finds running is alive: it was just seen, or just marked */
    uint64_t watch_from; /* see struct look_ask */
    uint64_t said_token; /* the holder that `waiting` was said about */

    bool holding;
    int64_t sent;     /* s: when the last acknowledged heartbeat was sent */
    bool quarantined; /* under this very lock, against the run `quarantined_token` */
    uint64_t quarantined_token;
    int64_t jumped_at; /* a heartbeat sent from here on is what GATE_THAW needs; 0 = not frozen */

    uint64_t token; /* of our latest marked run, 0 = none */
    int attempt;
    int tries;                  /* of the command within this run */
    bool repeating;             /* its next try is due, under the lock that it began with */
    enum run_state previous;    /* how the run before ours ended */
    enum gate_stop stop;        /* why the command was told to stop */
    int64_t run_due;            /* --migrate-timeout */
    enum run_state result;      /* of our run, while it is not recorded; RUN_NONE = nothing is unsettled */
    int status;                 /* of our run's command */
    int losses;                 /* of the lock while our command ran, in this process */
    int exit_signal;            /* leave with 128+n once what is under way has ended in order */
    struct gate_action leaving; /* what follows AT_LEAVE */
};

/* Prepares `gate` and fills `out` with the first actions. `config` is copied. `now` in ms. */
void gate_begin(struct gate *gate, const struct gate_config *config, int64_t now, struct gate_actions *out);

/* Takes `event` at `now` (never earlier than a previous call's) and fills `out` with what is to be done, in order.
 * Events that no longer matter in the present state change nothing. */
void gate_step(struct gate *gate, int64_t now, const struct gate_event *event, struct gate_actions *out);

/* When the gate wants a GATE_TICK at the latest; GATE_NEVER if it only waits for events. */
int64_t gate_due(const struct gate *gate);

/* Whether a command of ours may be alive: a GATE_START without its GATE_COMMAND_ENDED. */
bool gate_command_alive(const struct gate *gate);

#endif
