/* Who the app and the commands run as (--user, --migrate-user), by the rules of gosu and docker run --user: a name or a
 * number, the group too; without a group that of /etc/passwd and those of /etc/group that have the user as a member. A
 * number need not be in a file, nor need there be one: an image from scratch has neither. */
#ifndef LOCKSTEP_USER_H
#define LOCKSTEP_USER_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define USER_ETC "/etc"

/* All zero: nobody was named, so nothing changes. */
struct user {
    const char *spec; /* what the user of lockstep wrote; NULL = nothing */
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* supplementary */
    size_t group_count;
    char *home;
    bool keeps_group; /* no file knows the number, and no group was named: it stays ours */
    bool is_us;       /* set by user_check: we are that user already, and may not become anybody */
};

/* Finds `spec` (NULL leaves `user` all zero), USER[:GROUP], in the files passwd and group of the directory `etc`.
 * `what` is what the option is called, for messages. On success the caller frees `user`. -1 with ERR_USAGE. */
int user_find(struct user *user, const char *etc, const char *spec, const char *what, struct err *err);

/* Whether we may become `user`, and, if we are to be the parent of what runs so, send it signals; found out by a
 * process that tries. -1 with ERR_SYSTEM and the remedy in `err`. */
int user_check(struct user *user, bool is_parent, const char *what, struct err *err);

/* Whether `user` may execute the program at `path`: 0, or errno. Asks nothing if nobody was named. */
int user_may_execute(const struct user *user, const char *path);

/* Makes this process `user` for good. 0, or errno; the process may be half of both then and must end. */
int user_become(const struct user *user);

/* The variable HOME of `user`; NULL if nobody was named. */
const char *user_home(const struct user *user);

void user_free(struct user *user);

#endif
