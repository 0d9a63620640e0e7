/* Looking and recording. */
#include "redis_internal.h"

#include "clock.h"
#include "identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- look ------------------------------------------------------------------------------------------------------- */

static const char *text(const redisReply *reply, enum redis_look_item item)
{
    const char *value = (size_t)item < reply->elements ? reply->element[item]->str : NULL;
    return value ? value : "";
}

static long long number(const redisReply *reply, enum redis_look_item item, long long if_absent)
{
    const char *value = text(reply, item);
    return *value ? strtoll(value, NULL, 10) : if_absent;
}

#define COPY(to, reply, item) snprintf(to, sizeof(to), "%s", text(reply, item))

static void read_last(const redisReply *reply, const struct backend_config *config, struct look *look)
{
    struct run *last = &look->last;
    last->token = (uint64_t)number(reply, REDIS_LOOK_TOKEN, 0);
    last->state = run_state_named(text(reply, REDIS_LOOK_STATE));
    last->exit_status = (int)number(reply, REDIS_LOOK_STATUS, -1);
    COPY(last->target, reply, REDIS_LOOK_TARGET);
    COPY(last->host, reply, REDIS_LOOK_HOST);
    COPY(last->container, reply, REDIS_LOOK_CONTAINER);
    COPY(last->last_line, reply, REDIS_LOOK_LINE);
    if (*text(reply, REDIS_LOOK_STARTED))
        clock_text(number(reply, REDIS_LOOK_STARTED, 0), last->since);
    look->last_is_mine = strcmp(text(reply, REDIS_LOOK_HOLDER), config->holder->nonce) == 0;
    look->last_is_same_target = strcmp(last->target, config->target) == 0;
    look->last_is_restarted = identity_is_restarted(config->holder, last->container, text(reply, REDIS_LOOK_ROOT),
                                                    number(reply, REDIS_LOOK_PID, 0));
}

static void read_look(const redisReply *reply, const struct backend_config *config, const struct look_ask *ask,
                      struct look *look)
{
    read_last(reply, config, look);
    look->fence = (uint64_t)number(reply, REDIS_LOOK_FENCE, 0);
    look->server_changed = number(reply, REDIS_LOOK_CHANGED, 0) == 1;
    look->failures = (int)number(reply, REDIS_LOOK_FAILURES, 0);
    look->attempts = (int)number(reply, REDIS_LOOK_ATTEMPTS, 0);
    look->not_before_ms = number(reply, REDIS_LOOK_NOT_BEFORE, 0);
    look->own_state = run_state_named(text(reply, REDIS_LOOK_OWN));
    look->last_failure_status = (int)number(reply, REDIS_LOOK_FAILED_STATUS, -1);
    uint64_t failed = (uint64_t)number(reply, REDIS_LOOK_FAILED, 0);
    if (failed && ask->watch_from && failed >= ask->watch_from)
        look->failed = (struct run){.token = failed, .state = RUN_FAILED, .exit_status = look->last_failure_status};
    look->tail = text(reply, REDIS_LOOK_TAIL);
    look->tail_length = strlen(look->tail);
}

static void on_look(void *user, redisReply *reply, const struct err *err)
{
    struct redis *r = user;
    if (err) {
        redis_answer_error(r, OP_LOOK, err);
        return;
    }
    struct look look = {.applied = r->applied, .ahead = r->ahead};
    read_look(reply, &r->base.config, &r->asked_look, &look);
    redis_answer(r, OP_LOOK, OP_OK, &look);
}

static struct redis_client *looker(struct redis *r)
{
    return r->holding ? redis_clerk(r) : r->lock;
}

static void ask_script(struct redis *r)
{
    struct redis_words arguments = {.count = 0};
    char own[24], quarantine[24];
    redis_add(&arguments, r->base.config.target);
    redis_add_number(&arguments, own, (int64_t)r->asked_look.own);
    redis_add(&arguments, r->base.config.holder->nonce);
    redis_add_number(&arguments, quarantine, r->base.config.times.quarantine);
    redis_client_script(looker(r), REDIS_LOOK, &arguments, on_look);
}

static void on_applied(void *user, redisReply *reply, const struct err *err)
{
    struct redis *r = user;
    if (err) {
        redis_answer_error(r, OP_LOOK, err);
        return;
    }
    const char *mine = reply->elements == 2 ? reply->element[0]->str : NULL;
    const char *newest = mine ? reply->element[1]->str : NULL;
    r->applied = mine != NULL;
    r->ahead = newest && strtoull(newest, NULL, 10) > strtoull(mine, NULL, 10);
    if (r->applied && r->asked_look.own == 0 && !r->asked_look.whole) {
        struct look look = {.applied = true, .ahead = r->ahead, .tail = ""};
        redis_answer(r, OP_LOOK, OP_OK, &look);
        return;
    }
    ask_script(r);
}

/* On the fast path this plain command is the only one. */
void redis_look(struct backend *b, const struct look_ask *ask)
{
    struct redis *r = redis_of(b);
    struct redis_words words = {.count = 0};
    r->asked_look = *ask;
    if (b->config.part == BACKEND_LOCK) {
        ask_script(r);
        return;
    }
    redis_add(&words, "HMGET");
    redis_add(&words, r->keys[REDIS_KEY_APPLIED]);
    redis_add(&words, b->config.target);
    redis_add(&words, ""); /* the newest of all */
    redis_client_command(looker(r), &words, on_applied);
}

/* ---- mark, progress, end ---------------------------------------------------------------------------------------- */

static void on_marked(void *user, redisReply *reply, const struct err *err)
{
    if (err)
        redis_answer_error(user, OP_MARK, err);
    else
        redis_answer(user, OP_MARK, reply->integer == 1 ? OP_OK : OP_BUSY, NULL);
}

void redis_mark(struct backend *b, const struct mark *mark)
{
    struct redis *r = redis_of(b);
    const struct holder *me = b->config.holder;
    struct redis_words arguments = {.count = 0};
    char token[24], attempt[24], pid[24];
    if (r->telling) /* a line that is not told yet is told too late */
        redis_client_drop(r->clerk);
    r->telling = false;
    redis_add(&arguments, r->value);
    if (b->config.part == BACKEND_LOCK) {
        redis_client_script(redis_clerk(r), REDIS_VOUCH, &arguments, on_marked);
        return;
    }
    redis_add_number(&arguments, token, (int64_t)mark->token);
    redis_add(&arguments, b->config.target);
    redis_add_number(&arguments, attempt, mark->attempt);
    redis_add(&arguments, me->host);
    redis_add(&arguments, me->container);
    redis_add_number(&arguments, pid, me->pid);
    redis_add(&arguments, b->config.command);
    redis_add(&arguments, b->config.version);
    redis_add(&arguments, me->nonce);
    redis_add(&arguments, me->root);
    redis_client_script(redis_clerk(r), REDIS_MARK, &arguments, on_marked);
}

static void on_told(void *user, redisReply *reply, const struct err *err)
{
    struct redis *r = user;
    (void)reply;
    (void)err; /* told for convenience; the run itself does not depend on it */
    r->telling = false;
}

void redis_progress(struct backend *b, uint64_t token, const char *last_line)
{
    struct redis *r = redis_of(b);
    struct redis_words arguments = {.count = 0};
    char text_of_token[24];
    if (r->telling)
        return;
    r->telling = true;
    redis_add(&arguments, r->value);
    redis_add_number(&arguments, text_of_token, (int64_t)token);
    redis_add(&arguments, last_line);
    redis_client_script(redis_clerk(r), REDIS_PROGRESS, &arguments, on_told);
}

static void on_ended(void *user, redisReply *reply, const struct err *err)
{
    struct redis *r = user;
    struct err lost;
    r->holding = false;
    if (err) {
        redis_answer_error(r, OP_END, err);
    } else if (reply->integer == 1) {
        redis_answer(r, OP_END, OP_OK, NULL);
    } else {
        err_set(&lost, ERR_LOST, "the lease was over before the run's end could be recorded");
        redis_answer_error(r, OP_END, &lost);
    }
}

void redis_end(struct backend *b, const struct ending *ending)
{
    struct redis *r = redis_of(b);
    struct redis_words arguments = {.count = 0};
    char token[24], status[24];
    redis_add(&arguments, r->value);
    redis_add_number(&arguments, token, (int64_t)ending->token);
    redis_add(&arguments, run_state_name(ending->state));
    redis_add_number(&arguments, status, ending->exit_status);
    redis_add(&arguments, ending->last_line);
    redis_add_bytes(&arguments, ending->output, ending->output_length);
    redis_client_script(r->lock, REDIS_END, &arguments, on_ended);
}
