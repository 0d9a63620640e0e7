#include "user.h"

#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID_MAX INT_MAX /* as runc has it; the id 2^32 - 1 means "leave it" to the kernel: it would stay root */

static void *checked(void *memory)
{
    if (!memory)
        abort(); /* nothing is connected yet */
    return memory;
}

/* ---- the files --------------------------------------------------------------------------------------------------- */

/* An id as people write it: digits and nothing else. What is too large may still be a name. */
static bool read_id(const char *word, unsigned *id)
{
    char *end;
    errno = 0;
    unsigned long long number = isdigit((unsigned char)word[0]) ? strtoull(word, &end, 10) : ULLONG_MAX;
    if (number > ID_MAX || errno || *end)
        return false;
    *id = (unsigned)number;
    return true;
}

static FILE *open_file(const char *etc, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", etc, name);
    return fopen(path, "re");
}

/* The files themselves are read, not the name service: it has no modules in a static program, and an image no daemon.
 * `name` is set to the user's in the file, for the groups; the first line that fits counts. */
static bool find_user(struct user *user, const char *etc, const char *word, char **name)
{
    unsigned id = 0;
    bool by_id = read_id(word, &id), found = false;
    FILE *file = open_file(etc, "passwd");
    for (struct passwd *line; file && !found && (line = fgetpwent(file)) != NULL;) {
        found = by_id ? line->pw_uid == id : strcmp(line->pw_name, word) == 0;
        if (!found)
            continue;
        user->uid = line->pw_uid;
        user->gid = line->pw_gid;
        user->home = line->pw_dir[0] ? checked(strdup(line->pw_dir)) : NULL;
        *name = checked(strdup(line->pw_name));
    }
    if (file)
        fclose(file);
    if (!found && by_id) {
        user->uid = id;
        user->gid = getgid();
        user->keeps_group = true;
    }
    return found || by_id;
}

static bool find_group(struct user *user, const char *etc, const char *word)
{
    unsigned id = 0;
    bool by_id = read_id(word, &id), found = false;
    FILE *file = open_file(etc, "group");
    for (struct group *line; file && !found && (line = fgetgrent(file)) != NULL;) {
        found = by_id ? line->gr_gid == id : strcmp(line->gr_name, word) == 0;
        if (found)
            user->gid = line->gr_gid;
    }
    if (file)
        fclose(file);
    if (!found && by_id)
        user->gid = id;
    user->keeps_group = false;
    return found || by_id;
}

static bool is_member(const struct group *group, const char *name)
{
    for (char **member = group->gr_mem; *member; member++)
        if (strcmp(*member, name) == 0)
            return true;
    return false;
}

static void find_supplementary(struct user *user, const char *etc, const char *name)
{
    FILE *file = open_file(etc, "group");
    for (struct group *line; file && (line = fgetgrent(file)) != NULL;) {
        if (!is_member(line, name))
            continue;
        user->groups = checked(realloc(user->groups, (user->group_count + 1) * sizeof *user->groups));
        user->groups[user->group_count++] = line->gr_gid;
    }
    if (file)
        fclose(file);
}

static int check_ids(const struct user *user, const char *what, struct err *err)
{
    if (user->uid > ID_MAX || user->gid > ID_MAX)
        return err_set(err, ERR_USAGE, "%s: %s has the id %u in /etc/passwd or /etc/group; right would be 0 to %d",
                       what, options_quoted(user->spec), user->uid > ID_MAX ? user->uid : user->gid, ID_MAX);
    return 0;
}

/* `word` is the user, cut off at the colon; `group` NULL if there is none. */
static int find(struct user *user, const char *etc, const char *word, const char *group, const char *what,
                struct err *err)
{
    char *name = NULL;
    int result = 0;
    if (strstr(user->spec, "://")) /* a piece of it could be a password */
        result = err_set(err, ERR_USAGE, "%s: %s is neither USER nor USER:GROUP", what, options_quoted(user->spec));
    else if (!*word || (group && !*group))
        result = err_set(err, ERR_USAGE, "%s: %s lacks the %s; right would be USER or USER:GROUP", what,
                         options_quoted(user->spec), *word ? "group behind its colon" : "user before its colon");
    else if (!find_user(user, etc, word, &name))
        result = err_set(err, ERR_USAGE, "%s: %s is neither a user of /etc/passwd nor a number from 0 to %d", what,
                         options_quoted(word), ID_MAX);
    else if (group && !find_group(user, etc, group))
        result = err_set(err, ERR_USAGE, "%s: %s is neither a group of /etc/group nor a number from 0 to %d", what,
                         options_quoted(group), ID_MAX);
    else if (!group && name)
        find_supplementary(user, etc, name);
    free(name);
    return result == 0 ? check_ids(user, what, err) : result;
}

int user_find(struct user *user, const char *etc, const char *spec, const char *what, struct err *err)
{
    *user = (struct user){.spec = spec};
    if (!spec)
        return 0;
    char *word = checked(strdup(spec)), *colon = strchr(word, ':');
    if (colon)
        *colon = '\0';
    int result = find(user, etc, word, colon ? colon + 1 : NULL, what, err);
    free(word);
    if (result != 0)
        user_free(user);
    return result;
}

/* ---- becoming it ------------------------------------------------------------------------------------------------- */

/* Who still holds the right to become another (it came as an ambient capability) is root in all but name. */
static bool is_final(const struct user *user)
{
    uid_t real, effective, saved;
    return getresuid(&real, &effective, &saved) == 0 && real == user->uid && effective == user->uid &&
           saved == user->uid && (user->uid == 0 || setresuid((uid_t)-1, 0, (uid_t)-1) != 0);
}

int user_become(const struct user *user)
{
    if (!user->spec || user->is_us)
        return 0;
    if (setgroups(user->group_count, user->groups) != 0 || setresgid(user->gid, user->gid, user->gid) != 0 ||
        setresuid(user->uid, user->uid, user->uid) != 0)
        return errno;
    return is_final(user) ? 0 : ENOTRECOVERABLE;
}

/* What comes of it in a process that may be spoilt: errno of becoming the user and executing `path`, if that is given.
 * Sets whether we may send it signals. */
static int try(const struct user *user, const char *path, bool *signalled)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        int failure = user_become(user);
        if (!failure && path && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0)
            failure = errno;
        _exit(failure);
    }
    if (pid < 0)
        return errno;
    siginfo_t ended;
    while (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT) != 0 && errno == EINTR)
        ;
    *signalled = kill(pid, 0) == 0; /* it keeps its user until it is reaped */
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static bool are_we(const struct user *user)
{
    return user->uid == getuid() && user->uid == geteuid() && user->gid == getgid() && user->gid == getegid();
}

int user_check(struct user *user, bool is_parent, const char *what, struct err *err)
{
    bool signalled = true;
    int failure = user->spec ? try(user, NULL, &signalled) : 0;
    user->is_us = failure && are_we(user);
    if (user->is_us)
        return 0;
    if (failure == 0)
        return signalled || !is_parent
                   ? 0
                   : err_set(
                         err, ERR_SYSTEM,
                         "%s: lockstep could not stop what runs as %s: start the container with the capability KILL "
                         "as well, or leave %s out",
                         what, user->spec, what);
    if (failure == ENOTRECOVERABLE)
        return err_set(err, ERR_SYSTEM,
                       "%s: %s could become root again, since lockstep was started with a capability that stays "
                       "(CAP_SETUID as an ambient one); start the container as root instead",
                       what, user->spec);
    return err_set(
        err, ERR_SYSTEM,
        "%s: cannot become %s (uid %u, gid %u): %s; start the container as root with the capabilities SETUID "
        "and SETGID, or leave %s out",
        what, user->spec, user->uid, user->gid, strerror(failure), what);
}

int user_may_execute(const struct user *user, const char *path)
{
    bool unused;
    return user->spec && !user->is_us ? try(user, path, &unused) : 0;
}

const char *user_home(const struct user *user)
{
    return !user->spec ? NULL : user->home ? user->home : "/";
}

void user_free(struct user *user)
{
    free(user->groups);
    free(user->home);
    *user = (struct user){.spec = NULL};
}
