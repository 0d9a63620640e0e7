#include "relay.h"

static void on_disconnected(void *user, const struct err *err)
{
    const struct backend *before = user;
    before->config.handlers.disconnected(before->config.user, err);
}

static void on_woken(void *user)
{
    const struct backend *before = user;
    before->config.handlers.woken(before->config.user);
}

static void on_connected(void *user, bool pooled)
{
    const struct backend *before = user;
    before->config.handlers.connected(before->config.user, pooled);
}

static void on_warned(void *user, enum event event, const char *text)
{
    const struct backend *before = user;
    before->config.handlers.warned(before->config.user, event, text);
}

struct backend_handlers relay_handlers(void (*reply)(void *user, enum op op, enum op_result result,
                                                     const struct look *look, const struct err *err))
{
    return (struct backend_handlers){
        .reply = reply,
        .disconnected = on_disconnected,
        .woken = on_woken,
        .connected = on_connected,
        .warned = on_warned,
    };
}

static struct backend *behind(const struct backend *b)
{
    return ((const struct relay *)b)->behind;
}

static void pass_query(struct backend *b, const char *sql, backend_rows *done, void *user)
{
    behind(b)->ops->query(behind(b), sql, done, user);
}

static void pass_lock(struct backend *b)
{
    behind(b)->ops->lock(behind(b));
}

static void pass_listen(struct backend *b)
{
    behind(b)->ops->listen(behind(b));
}

static void pass_mark(struct backend *b, const struct mark *mark)
{
    behind(b)->ops->mark(behind(b), mark);
}

static void pass_fence(struct backend *b, uint64_t below)
{
    behind(b)->ops->fence(behind(b), below);
}

static void pass_beat(struct backend *b)
{
    behind(b)->ops->beat(behind(b));
}

static void pass_progress(struct backend *b, uint64_t token, const char *last_line)
{
    behind(b)->ops->progress(behind(b), token, last_line);
}

static void pass_release(struct backend *b)
{
    behind(b)->ops->release(behind(b));
}

static int pass_lock_fd(const struct backend *b)
{
    return behind(b)->ops->lock_fd(behind(b));
}

struct backend_ops relay_ops(const struct backend *behind)
{
    return (struct backend_ops){
        .poll = behind->ops->poll,
        .query = behind->ops->query ? pass_query : NULL,
        .lock = pass_lock,
        .listen = pass_listen,
        .mark = pass_mark,
        .fence = pass_fence,
        .beat = pass_beat,
        .progress = pass_progress,
        .release = pass_release,
        .lock_fd = pass_lock_fd,
    };
}
