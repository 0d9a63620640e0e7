/* The events that lockstep reports, a stable list (DESIGN section 1, Logs). */
#ifndef LOCKSTEP_EVENT_H
#define LOCKSTEP_EVENT_H

#define EVENTS(X)                                                                                                      \
    X(STARTING, "starting")                                                                                            \
    X(CONNECTING, "connecting")                                                                                        \
    X(CONNECTED, "connected")                                                                                          \
    X(UNAVAILABLE, "unavailable")                                                                                      \
    X(SATISFIED, "satisfied")                                                                                          \
    X(AHEAD, "ahead")                                                                                                  \
    X(WAITING, "waiting")                                                                                              \
    X(PROGRESS, "progress")                                                                                            \
    X(LOCKED, "locked")                                                                                                \
    X(QUARANTINE, "quarantine")                                                                                        \
    X(TAKEOVER, "takeover")                                                                                            \
    X(MIGRATING, "migrating")                                                                                          \
    X(OUTPUT, "output")                                                                                                \
    X(MIGRATED, "migrated")                                                                                            \
    X(FAILED, "failed")                                                                                                \
    X(INTERRUPTED, "interrupted")                                                                                      \
    X(LOST, "lost")                                                                                                    \
    X(BACKOFF, "backoff")                                                                                              \
    X(PASSING, "passing")                                                                                              \
    X(SIGNAL, "signal")                                                                                                \
    X(STOPPING, "stopping")                                                                                            \
    X(EXEC, "exec")                                                                                                    \
    X(ERROR, "error")

enum event {
#define X(id, name) EVENT_##id,
    EVENTS(X)
#undef X
};

#endif
