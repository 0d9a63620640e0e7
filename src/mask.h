/* Passwords out of everything that people see: logs, errors, recorded runs. */
#ifndef LOCKSTEP_MASK_H
#define LOCKSTEP_MASK_H

#include <stddef.h>

#define MASK_SECRETS_MAX 64
#define MASK_SECRET_MIN  4 /* a shorter one would mask half of every line; in a URL it is found all the same */

struct mask {
    char *secrets[MASK_SECRETS_MAX];
    int count;
};

/* Remembers the passwords of `url`, a URL, conninfo string or keyword form, as written and decoded. Words that are no
 * secret because the same URL also says them in the open (user, host, database) are left out. Copies what it keeps. */
void mask_learn(struct mask *mask, const char *url);

/* Remembers `password` itself. */
void mask_learn_password(struct mask *mask, const char *password);

/* Writes `text` to `out` with every known secret, and the password of anything that looks like
 * scheme://user:password@, password=... or api_key=..., as ***. The result is cut at `capacity` bytes with its
 * terminator. */
void mask_text(const struct mask *mask, const char *text, char *out, size_t capacity);

void mask_free(struct mask *mask);

#endif
