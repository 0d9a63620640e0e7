#include "split.h"

#include "relay.h"

#include <stdlib.h>

#define POLL_MS 5000 /* the keeper wakes; each look costs the ledger a connection */

struct split {
    struct backend base;
    struct backend *keeper, *ledger;
    bool holding;
    bool ending;         /* the run's end is on record, the lock about to be given back */
    bool server_changed; /* what the keeper knows besides the ledger's look */
    struct look_ask asked_look;
    struct mark asked_mark;
};

static struct split *of(struct backend *b)
{
    return (struct split *)b;
}

static void reply(struct split *s, enum op op, enum op_result result, const struct look *look, const struct err *err)
{
    s->base.config.handlers.reply(s->base.config.user, op, result, look, err);
}

/* ---- what the halves say ---------------------------------------------------------------------------------------- */

static void on_keeper_reply(void *user, enum op op, enum op_result result, const struct look *look,
                            const struct err *err)
{
    struct split *s = user;
    if (op == OP_LOOK && result == OP_OK) {
        s->server_changed = look->server_changed;
        s->ledger->ops->look(s->ledger, &s->asked_look);
    } else if (op == OP_MARK && result == OP_OK) {
        s->ledger->ops->mark(s->ledger, &s->asked_mark);
    } else if (op == OP_RELEASE && s->ending) {
        s->ending = false;
        reply(s, OP_END, OP_OK, NULL, NULL); /* a lock that could not be given back expires */
    } else {
        s->holding = s->holding || (op == OP_LOCK && result == OP_OK);
        reply(s, op, result, look, err);
    }
}

static void on_ledger_reply(void *user, enum op op, enum op_result result, const struct look *look,
                            const struct err *err)
{
    struct split *s = user;
    if (op == OP_LOOK && result == OP_OK) {
        struct look both = *look;
        both.server_changed = look->server_changed || s->server_changed;
        if (!s->holding) /* a crowd of waiters must leave the database's connections to the migration */
            s->ledger->ops->reset(s->ledger);
        reply(s, op, result, &both, NULL);
    } else if (op == OP_END && result == OP_OK) {
        s->holding = false;
        s->ending = true;
        s->keeper->ops->release(s->keeper);
    } else {
        reply(s, op, result, look, err);
    }
}

static void on_ledger_disconnected(void *user, const struct err *err)
{
    (void)user; /* it connects again when it is asked */
    (void)err;
}

/* ---- what is asked ---------------------------------------------------------------------------------------------- */

static void split_look(struct backend *b, const struct look_ask *ask)
{
    struct split *s = of(b);
    s->asked_look = *ask;
    s->server_changed = false;
    if (s->holding)
        s->keeper->ops->look(s->keeper, ask);
    else
        s->ledger->ops->look(s->ledger, ask);
}

static void split_lock(struct backend *b)
{
    of(b)->keeper->ops->lock(of(b)->keeper);
}

static void split_listen(struct backend *b)
{
    of(b)->keeper->ops->listen(of(b)->keeper);
}

static void split_mark(struct backend *b, const struct mark *mark)
{
    of(b)->asked_mark = *mark;
    of(b)->keeper->ops->mark(of(b)->keeper, mark);
}

static void split_fence(struct backend *b, uint64_t below)
{
    of(b)->ledger->ops->fence(of(b)->ledger, below);
}

static void split_beat(struct backend *b)
{
    of(b)->keeper->ops->beat(of(b)->keeper);
}

static void split_progress(struct backend *b, uint64_t token, const char *last_line)
{
    of(b)->ledger->ops->progress(of(b)->ledger, token, last_line);
}

/* The record first: it is guarded by the run's token, so that a lock lost meanwhile does no harm. */
static void split_end(struct backend *b, const struct ending *ending)
{
    of(b)->ledger->ops->end(of(b)->ledger, ending);
}

static void split_release(struct backend *b)
{
    of(b)->holding = false;
    of(b)->keeper->ops->release(of(b)->keeper);
}

static void split_reset(struct backend *b)
{
    struct split *s = of(b);
    s->keeper->ops->reset(s->keeper);
    s->ledger->ops->reset(s->ledger);
    s->holding = s->ending = false;
}

static void split_reset_clerk(struct backend *b)
{
    of(b)->keeper->ops->reset_clerk(of(b)->keeper);
    of(b)->ledger->ops->reset_clerk(of(b)->ledger);
}

static int split_lock_fd(const struct backend *b)
{
    const struct backend *keeper = ((const struct split *)b)->keeper;
    return keeper->ops->lock_fd(keeper);
}

static void split_close(struct backend *b)
{
    struct split *s = of(b);
    if (s->keeper)
        s->keeper->ops->close(s->keeper);
    if (s->ledger)
        s->ledger->ops->close(s->ledger);
    free(s);
}

static const struct backend_ops ops = {
    .poll = POLL_MS,
    .look = split_look,
    .lock = split_lock,
    .listen = split_listen,
    .mark = split_mark,
    .fence = split_fence,
    .beat = split_beat,
    .progress = split_progress,
    .end = split_end,
    .release = split_release,
    .reset = split_reset,
    .reset_clerk = split_reset_clerk,
    .lock_fd = split_lock_fd,
    .close = split_close,
};

struct backend *split_open(const struct backend_config *config, backend_opener *keeper, backend_opener *ledger,
                           struct err *err)
{
    struct split *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(err, ERR_SYSTEM, "out of memory");
        return NULL;
    }
    s->base = (struct backend){.ops = &ops, .config = *config};
    struct backend_config half = *config;
    half.user = s;
    half.handlers = relay_handlers(on_keeper_reply);
    half.part = BACKEND_LOCK;
    s->keeper = keeper(&half, err);
    half.handlers.reply = on_ledger_reply;
    half.handlers.disconnected = on_ledger_disconnected;
    half.part = BACKEND_RECORDS;
    half.url = config->database_url;
    s->ledger = s->keeper ? ledger(&half, err) : NULL;
    if (s->ledger)
        return &s->base;
    split_close(&s->base);
    return NULL;
}
