/* The leash: a process between lockstep and the migration that holds the migration on the lease (DESIGN section 5). It
 * uses no library, is the subreaper of everything that the migration starts, and ends it all when the lease is over or
 * lockstep is gone: no migration outlives its lease, whatever happens to lockstep.
 *
 * Both talk over a socket pair of whole messages; its end is how the leash learns that lockstep is gone. */
#ifndef LOCKSTEP_LEASH_H
#define LOCKSTEP_LEASH_H

#include "err.h"
#include "process.h"
#include "user.h"

#include <stdint.h>
#include <sys/types.h>

enum leash_order_kind {
    LEASH_EXTEND,  /* the lease: SIGTERM at `term_at`, SIGKILL at `kill_at` */
    LEASH_STOP,    /* `signal` (0 = it was told already) now, SIGKILL at `kill_at` */
    LEASH_FORWARD, /* `signal` now */
    LEASH_FREEZE,
    LEASH_THAW,
};

struct leash_order {
    enum leash_order_kind kind;
    int signal;
    int64_t term_at, kill_at; /* ms on CLOCK_BOOTTIME */
};

enum leash_news_kind {
    LEASH_CANNOT_BECOME, /* the user; `number` = errno */
    LEASH_CANNOT_EXEC,   /* `number` = errno */
    LEASH_LEFTOVERS,     /* the main process has ended, others have not: they are being ended */
    LEASH_ENDED,         /* the last process is gone; `number` = exit status of the main one, 128+n for signal n */
};

struct leash_news {
    enum leash_news_kind kind;
    int number;
};

struct leash_config {
    const char *path; /* of the program */
    char *const *argv;
    char *const *environment;
    int64_t term_at, kill_at; /* ms on CLOCK_BOOTTIME: the lease as it stands */
    int lock_fd;              /* kept open by every process of the migration; -1 = none */
    const struct user *who;   /* the migration runs as; the leash does not */
    const struct inherited *inherited;
};

struct leash {
    pid_t pid;
    int control;     /* non-blocking; readable when there is news */
    int out, errors; /* the migration's standard output and error, non-blocking */
};

/* Starts the leash and the migration. On success the caller closes the three descriptors. -1 with ERR_SYSTEM. */
int leash_start(struct leash *leash, const struct leash_config *config, struct err *err);

/* Sends an order. A leash that is gone takes none; its end is news of its own. */
void leash_order(const struct leash *leash, const struct leash_order *order);

/* Takes the next news. 1 = there was one, 0 = not now, -1 = the leash is gone. */
int leash_news(const struct leash *leash, struct leash_news *news);

#endif
