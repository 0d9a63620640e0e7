/* The one error argument: functions return 0 or -1 and fill a struct err that the caller hands in last. */
#ifndef LOCKSTEP_ERR_H
#define LOCKSTEP_ERR_H

/* What the caller can do about it; only entrypoint/ turns this into an exit status (entrypoint/exitcodes.h). */
enum err_code {
    ERR_NONE = 0,
    ERR_USAGE,       /* the user's words are wrong: option, variable, file named by one */
    ERR_UNAVAILABLE, /* nobody answered, or not yet: may be tried again */
    ERR_CROWDED,     /* the server answered that it is full: may be tried again, more rarely */
    ERR_REFUSED,     /* trying again would not help: wrong password, no permission, not a place to meet */
    ERR_LOST,        /* the lock is not ours (any more) */
    ERR_SYSTEM,      /* a system call failed */
};

struct err {
    enum err_code code;
    char text[512]; /* one line for a person: what was wrong and what to do; never a secret */
};

/* Fills `err` with `code` and the formatted line and returns -1, so that `return err_set(...)` reads well.
 * Line breaks of the formatted text become "; ", tabs go (a server's message may have several lines). */
int err_set(struct err *err, enum err_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
