#include "file.h"

#include "file_state.h"
#include "later.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

struct file;

/* Each op runs from the loop, in the turn after it was asked. */
struct pending {
    struct file *file;
    struct later *later;
};

struct file {
    struct backend base;
    char directory[3072], lock_path[3328], state_path[3328];
    int lock_fd; /* -1 = not ours */
    uv_fs_event_t *watch;
    struct pending pending[OP_RELEASE + 1];
    struct look_ask asked_look;
    struct mark asked_mark;
    struct ending asked_end;
};

static struct file *of(struct backend *b)
{
    return (struct file *)b;
}

static void reply(struct file *f, enum op op, enum op_result result, const struct look *look, const struct err *err)
{
    f->base.config.handlers.reply(f->base.config.user, op, result, look, err);
}

static void defer(struct file *f, enum op op, void (*call)(void *))
{
    f->pending[op] = (struct pending){.file = f};
    f->pending[op].later = later_call(f->base.config.loop, 0, call, &f->pending[op]);
}

static struct file *take(void *pending)
{
    ((struct pending *)pending)->later = NULL;
    return ((struct pending *)pending)->file;
}

/* Where another machine may hold the lock too, or flock does not reach it. FUSE is let through: desktop engines mount
 * volumes by it, and there the kernel keeps the lock. */
static int refuse_network(const char *directory, struct err *err)
{
    static const struct {
        unsigned long magic; /* statfs(2), f_type */
        const char *name;
    } networks[] = {{0x6969, "NFS"},      {0x517b, "SMB"},      {0xff534d42, "CIFS"},
                    {0xfe534d42, "SMB2"}, {0x01021997, "9p"},   {0x5346414f, "AFS"},
                    {0x00c36400, "Ceph"}, {0x73757245, "Coda"}, {0x7461636f, "OCFS2"}};
    struct statfs status;
    if (statfs(directory, &status) != 0)
        return 0; /* not there yet */
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++)
        if ((unsigned long)status.f_type == networks[i].magic)
            return err_set(err, ERR_REFUSED,
                           "%s is on a network filesystem (%s), where a lock is not reliable; use a local "
                           "volume, or a postgres:// lock",
                           directory, networks[i].name);
    return 0;
}

static void do_look(void *pending)
{
    struct file *f = take(pending);
    struct err err;
    cJSON *state = file_state_read(f->state_path, &err);
    if (!state) {
        reply(f, OP_LOOK, OP_REFUSED, NULL, &err);
        return;
    }
    struct look look;
    file_state_look(state, &f->base.config, &f->asked_look, &look);
    reply(f, OP_LOOK, OP_OK, &look, NULL);
    cJSON_Delete(state);
}

static void file_look(struct backend *b, const struct look_ask *ask)
{
    of(b)->asked_look = *ask;
    defer(of(b), OP_LOOK, do_look);
}

static int make_directory(const char *directory)
{
    char path[3072];
    snprintf(path, sizeof path, "%s", directory);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    return mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : -1;
}

static bool is_still_the_lock(const struct file *f)
{
    struct stat held, named;
    return fstat(f->lock_fd, &held) == 0 && stat(f->lock_path, &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

static void unlock(struct file *f)
{
    if (f->lock_fd < 0)
        return;
    flock(f->lock_fd, LOCK_UN);       /* explicitly: closing frees it only when a leash has closed its copy too */
    (void)futimens(f->lock_fd, NULL); /* wakes those who were woken by the new state and still found the lock taken */
    close(f->lock_fd);
    f->lock_fd = -1;
}

/* Whether we may write into the directory, or into the deepest one above it that is there. */
static bool may_make(const char *directory)
{
    char path[3072];
    snprintf(path, sizeof path, "%s", directory);
    for (char *slash; access(path, F_OK) != 0 && errno == ENOENT && (slash = strrchr(path, '/'));)
        slash[slash == path] = '\0';
    return access(path, W_OK) == 0;
}

/* Sets lock_fd. False if there is no lock, and errno says why. */
static bool open_lock(struct file *f)
{
    bool makes = !f->base.config.makes_nothing;
    if (makes ? make_directory(f->directory) == 0 : may_make(f->directory))
        f->lock_fd = open(f->lock_path, O_RDWR | (makes ? O_CREAT : 0) | O_CLOEXEC, 0644);
    return f->lock_fd >= 0 || (!makes && errno == ENOENT);
}

static void do_lock(void *pending)
{
    struct file *f = take(pending);
    struct err err;
    if (!open_lock(f)) {
        err_set(&err, ERR_REFUSED,
                "%s cannot be opened: %s; mount a volume there that this user may write, or name another "
                "place with --lock",
                f->lock_path, strerror(errno));
        reply(f, OP_LOCK, OP_REFUSED, NULL, &err);
        return;
    }
    if (f->lock_fd < 0 || (flock(f->lock_fd, LOCK_EX | LOCK_NB) == 0 && is_still_the_lock(f))) {
        reply(f, OP_LOCK, OP_OK, NULL, NULL);
        return;
    }
    close(f->lock_fd);
    f->lock_fd = -1;
    reply(f, OP_LOCK, OP_BUSY, NULL, NULL);
}

static void file_lock(struct backend *b)
{
    defer(of(b), OP_LOCK, do_lock);
}

static void do_beat(void *pending)
{
    struct file *f = take(pending);
    struct err err;
    if (is_still_the_lock(f)) {
        reply(f, OP_BEAT, OP_OK, NULL, NULL);
        return;
    }
    err_set(&err, ERR_LOST, "%s was removed or replaced", f->lock_path);
    reply(f, OP_BEAT, OP_LOST, NULL, &err);
}

static void file_beat(struct backend *b)
{
    defer(of(b), OP_BEAT, do_beat);
}

static void on_changed(uv_fs_event_t *watch, const char *filename, int events, int status)
{
    struct file *f = watch->data;
    const char *state = strrchr(f->state_path, '/') + 1, *lock = strrchr(f->lock_path, '/') + 1;
    (void)events;
    if (status == 0 && filename && (strcmp(filename, state) == 0 || strcmp(filename, lock) == 0))
        f->base.config.handlers.woken(f->base.config.user);
}

static void do_listen(void *pending)
{
    struct file *f = take(pending);
    f->watch = calloc(1, sizeof *f->watch);
    if (f->watch && uv_fs_event_init(f->base.config.loop, f->watch) == 0) {
        f->watch->data = f;
        if (uv_fs_event_start(f->watch, on_changed, f->directory, 0) == 0) {
            reply(f, OP_LISTEN, OP_OK, NULL, NULL);
            return;
        }
    }
    reply(f, OP_LISTEN, OP_BUSY, NULL, NULL); /* out of inotify watches, perhaps: polling does too */
}

static void file_listen(struct backend *b)
{
    defer(of(b), OP_LISTEN, do_listen);
}

/* Changes the state under the lock: reads, lets `change` work on it, writes. */
static void update(struct file *f, enum op op, int (*change)(struct file *, cJSON *), enum op_result unchanged)
{
    struct err err;
    cJSON *state = file_state_read(f->state_path, &err);
    int changed = state ? change(f, state) : -1;
    if (changed == 1 && file_state_write(f->state_path, state, &err) != 0)
        changed = -1;
    cJSON_Delete(state);
    if (changed == 0)
        err_set(&err, ERR_LOST, "%s was changed by another replica", f->state_path);
    if (op == OP_END && changed == 1)
        unlock(f);
    reply(f, op, changed == 1 ? OP_OK : changed == 0 ? unchanged : OP_REFUSED, NULL, &err);
}

static int change_mark(struct file *f, cJSON *state)
{
    return file_state_mark(state, &f->base.config, &f->asked_mark);
}

static void do_mark(void *pending)
{
    update(take(pending), OP_MARK, change_mark, OP_BUSY);
}

static void file_mark(struct backend *b, const struct mark *mark)
{
    of(b)->asked_mark = *mark;
    defer(of(b), OP_MARK, do_mark);
}

static int change_end(struct file *f, cJSON *state)
{
    return file_state_end(state, &f->asked_end);
}

static void do_end(void *pending)
{
    update(take(pending), OP_END, change_end, OP_LOST);
}

static void file_end(struct backend *b, const struct ending *ending)
{
    of(b)->asked_end = *ending;
    defer(of(b), OP_END, do_end);
}

static void do_fence(void *pending)
{
    /* No server, no sessions; and the lock was free only after every process of an older run had gone. */
    reply(take(pending), OP_FENCE, OP_OK, NULL, NULL);
}

static void file_fence(struct backend *b, uint64_t below)
{
    (void)below;
    defer(of(b), OP_FENCE, do_fence);
}

static void file_progress(struct backend *b, uint64_t token, const char *last_line)
{
    struct file *f = of(b);
    struct err err;
    cJSON *state = f->lock_fd >= 0 && is_still_the_lock(f) ? file_state_read(f->state_path, &err) : NULL;
    if (state) {
        file_state_progress(state, token, last_line);
        (void)file_state_write(f->state_path, state, &err); /* told for convenience; the end of the run will complain */
    }
    cJSON_Delete(state);
}

static void do_release(void *pending)
{
    struct file *f = take(pending);
    unlock(f);
    reply(f, OP_RELEASE, OP_OK, NULL, NULL);
}

static void file_release(struct backend *b)
{
    defer(of(b), OP_RELEASE, do_release);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle);
}

static void file_reset_clerk(struct backend *b)
{
    static const enum op clerk_ops[] = {OP_LOOK, OP_LISTEN, OP_MARK, OP_FENCE};
    for (size_t i = 0; i < sizeof clerk_ops / sizeof clerk_ops[0]; i++) {
        later_cancel(of(b)->pending[clerk_ops[i]].later);
        of(b)->pending[clerk_ops[i]].later = NULL;
    }
}

static void file_reset(struct backend *b)
{
    struct file *f = of(b);
    for (int op = 0; op <= OP_RELEASE; op++) {
        later_cancel(f->pending[op].later);
        f->pending[op].later = NULL;
    }
    if (f->watch)
        uv_close((uv_handle_t *)f->watch, on_watch_closed);
    f->watch = NULL;
    unlock(f);
}

static int file_lock_fd(const struct backend *b)
{
    return ((const struct file *)b)->lock_fd;
}

static void file_close(struct backend *b)
{
    file_reset(b);
    free(b);
}

static const struct backend_ops ops = {
    .poll = 2000,
    .look = file_look,
    .lock = file_lock,
    .listen = file_listen,
    .mark = file_mark,
    .fence = file_fence,
    .beat = file_beat,
    .progress = file_progress,
    .end = file_end,
    .release = file_release,
    .reset = file_reset,
    .reset_clerk = file_reset_clerk,
    .lock_fd = file_lock_fd,
    .close = file_close,
};

struct backend *file_open(const struct backend_config *config, struct err *err)
{
    struct file *f = calloc(1, sizeof *f);
    if (!f) {
        err_set(err, ERR_SYSTEM, "out of memory");
        return NULL;
    }
    f->base = (struct backend){.ops = &ops, .config = *config};
    f->lock_fd = -1;
    snprintf(f->directory, sizeof f->directory, "%s", config->url + strlen("file:"));
    snprintf(f->lock_path, sizeof f->lock_path, "%s/%s.lock", f->directory, config->name);
    snprintf(f->state_path, sizeof f->state_path, "%s/%s.json", f->directory, config->name);
    if (refuse_network(f->directory, err) != 0) {
        free(f);
        return NULL;
    }
    return &f->base;
}
