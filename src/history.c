#include "history_rows.h"

#include "later.h"
#include "pg_link.h"
#include "pg_trust.h"
#include "relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_AGAIN_MS     10000 /* while one and the same run is going on */
#define LAST_WORD_MAX_MS 2000  /* for a warning's sake only; no heartbeat goes out meanwhile */

struct history {
    struct relay relay;
    struct backend_ops ops; /* the place's poll among ours */
    const struct history_plan *plan;
    struct url url;
    struct pg_link *link; /* our own; NULL = the place's connections do */
    char application_name[64];
    bool holding;
    struct look_ask ask; /* the look that is going on */
    struct look found;   /* what the place answered to it */
    bool place_answered;
    char *tail;           /* found.tail's */
    uint64_t asked_about; /* the run that was going on when the table was last asked */
    uint64_t asked_at;    /* ms on the loop's clock */
    struct verdict verdict;
    char no_table[512]; /* the server's words if there is none */
    bool said_diverged, said_unasked;
    char blocked[900];
    struct ending ending; /* of a success, about to be recorded */
    struct later *last_word;
};

static struct history *of(struct backend *b)
{
    return (struct history *)b;
}

static void reply(struct history *h, enum op op, enum op_result result, const struct look *look, const struct err *err)
{
    h->relay.base.config.handlers.reply(h->relay.base.config.user, op, result, look, err);
}

static void warn(struct history *h, const char *text)
{
    h->relay.base.config.handlers.warned(h->relay.base.config.user, EVENT_ERROR, text);
}

static void query(struct history *h, const char *sql, backend_rows *done)
{
    if (h->link)
        pg_link_run(h->link, sql, NULL, 0, done);
    else
        h->relay.behind->ops->query(h->relay.behind, sql, done, h);
}

/* ---- the answer ------------------------------------------------------------------------------------------------- */

static void answer(struct history *h, bool applied)
{
    struct look look = h->place_answered ? h->found : (struct look){.tail = "", .last_failure_status = -1};
    look.applied = applied;
    look.ahead = applied && h->verdict.ahead;
    look.blocked = h->blocked[0] ? h->blocked : NULL;
    if (h->link && !h->holding) /* connections are for those who use them */
        pg_link_drop(h->link);
    reply(h, OP_LOOK, OP_OK, &look, NULL);
}

static void answer_error(struct history *h, const struct err *err)
{
    if (h->link && !h->holding)
        pg_link_drop(h->link);
    reply(h, OP_LOOK, backend_result(err), NULL, err);
}

/* ---- what the table says ---------------------------------------------------------------------------------------- */

/* Something is pending, the lock is ours, and nothing stands in the way of the tool. */
static void answer_clear(struct history *h)
{
    char text[600];
    if (h->verdict.unknown && !h->said_diverged) {
        h->said_diverged = true;
        history_diverged(h->plan, &h->verdict, text, sizeof text);
        warn(h, text);
    }
    answer(h, false);
}

static struct history_answer answer_of(const struct history *h, const PGresult *rows, const struct err *err,
                                       const char *sqlstate)
{
    return (struct history_answer){rows, err, sqlstate, h->link != NULL};
}

static void on_failed(void *user, PGresult *rows, const struct err *err, const char *sqlstate)
{
    struct history *h = user;
    struct history_answer said = answer_of(h, rows, err, sqlstate);
    struct err words;
    if (err && !history_is_nothing_yet(&said)) {
        history_explain_failed(h->plan, err, &words);
        if (err->code != ERR_REFUSED || h->plan->failed_is_own) {
            answer_error(h, &words);
            return;
        }
        if (!h->said_unasked) /* a tool that has changed its table: that must not keep everybody from starting */
            warn(h, words.text);
        h->said_unasked = true;
    }
    if (history_is_blocked(h->plan, rows, h->blocked, sizeof h->blocked))
        answer(h, false);
    else
        answer_clear(h);
}

static void ask_failed(struct history *h)
{
    if (h->plan->failed_sql)
        query(h, h->plan->failed_sql, on_failed);
    else
        answer_clear(h);
}

static void on_running(void *user, PGresult *rows, const struct err *err, const char *sqlstate)
{
    struct history *h = user;
    struct err running;
    (void)sqlstate;
    if (err && err->code != ERR_REFUSED)
        answer_error(h, err);
    else if (history_is_running(h->plan, rows, &running))
        answer_error(h, &running);
    else
        ask_failed(h);
}

static void ask_place(struct history *h)
{
    h->ask.whole = true;
    h->relay.behind->ops->look(h->relay.behind, &h->ask);
}

static int read_table(struct history *h, const PGresult *rows, const struct err *err, const char *sqlstate,
                      struct err *words)
{
    struct history_answer said = answer_of(h, rows, err, sqlstate);
    snprintf(h->no_table, sizeof h->no_table, "%s", err && history_is_nothing_yet(&said) ? err->text : "");
    return history_read(h->plan, &said, &h->verdict, words);
}

static void on_applied(void *user, PGresult *rows, const struct err *err, const char *sqlstate)
{
    struct history *h = user;
    struct err words;
    if (read_table(h, rows, err, sqlstate, &words) != 0) {
        answer_error(h, &words);
        return;
    }
    if (h->verdict.applied)
        answer(h, true);
    else if (!h->place_answered)
        ask_place(h);
    else if (!h->holding)
        answer(h, false);
    else if (h->plan->running_sql)
        query(h, h->plan->running_sql, on_running);
    else
        ask_failed(h);
}

/* ---- looking ---------------------------------------------------------------------------------------------------- */

/* DESIGN section 2, rule 6: who saw the run succeed takes its word, even if the tool has skipped something. */
static bool saw_success(const struct history *h)
{
    const struct run *last = &h->found.last;
    return h->ask.watch_from != 0 && last->token >= h->ask.watch_from && last->state == RUN_SUCCEEDED &&
           h->found.last_is_same_target;
}

/* While a run is going on, its end is what we wait for; but somebody may migrate by hand, or the run be dead and nobody
 * there to take over (`lockstep wait`). A crowd of waiters must not read the table at each poll. */
static bool may_wait(struct history *h)
{
    uint64_t now = uv_now(h->relay.base.config.loop), token = h->found.last.token;
    if (h->holding || h->found.last.state != RUN_RUNNING)
        return false;
    if (h->asked_about == token && now - h->asked_at < ASK_AGAIN_MS)
        return true;
    h->asked_about = token;
    h->asked_at = now;
    return false;
}

static void on_place_looked(struct history *h, const struct look *look)
{
    bool first = h->ask.watch_from == 0 && !h->holding; /* the table was asked before the place */
    h->found = *look;
    free(h->tail);
    h->tail = strndup(look->tail, look->tail_length);
    h->found.tail = h->tail ? h->tail : "";
    h->found.tail_length = h->tail ? look->tail_length : 0;
    h->place_answered = true;
    if (h->ask.own != 0 || first) /* what our own run came to is recorded first */
        answer(h, false);
    else if (saw_success(h))
        answer(h, true);
    else if (may_wait(h))
        answer(h, false);
    else
        query(h, h->plan->applied_sql, on_applied);
}

static void history_look(struct backend *b, const struct look_ask *ask)
{
    struct history *h = of(b);
    h->ask = *ask;
    h->place_answered = false;
    h->blocked[0] = '\0';
    h->verdict = (struct verdict){.applied = false};
    if (ask->own == 0 && ask->watch_from == 0 && !h->holding)
        query(h, h->plan->applied_sql, on_applied);
    else
        ask_place(h);
}

/* ---- the end of our run ----------------------------------------------------------------------------------------- */

static void end(struct history *h)
{
    later_cancel(h->last_word);
    h->last_word = NULL;
    h->relay.behind->ops->end(h->relay.behind, &h->ending);
}

static void on_last_word(void *user, PGresult *rows, const struct err *err, const char *sqlstate)
{
    struct history *h = user;
    struct err words;
    char text[1000];
    if (read_table(h, rows, err, sqlstate, &words) == 0 && !h->verdict.applied) {
        history_unmoved(h->plan, &h->verdict, history_no_table(&h->relay.base), text, sizeof text);
        warn(h, text);
    }
    end(h);
}

static void on_no_word(void *user)
{
    struct history *h = user;
    h->last_word = NULL;
    if (h->link)
        pg_link_drop(h->link);
    h->relay.behind->ops->reset_clerk(h->relay.behind);
    end(h);
}

/* A success with something still missing is told to people (DESIGN section 2, rule 6). */
static void history_end(struct backend *b, const struct ending *ending)
{
    struct history *h = of(b);
    if (ending->state != RUN_SUCCEEDED) {
        h->relay.behind->ops->end(h->relay.behind, ending);
        return;
    }
    int64_t patience = b->config.times.deadline / 2;
    h->ending = *ending;
    h->last_word = later_call(b->config.loop, (unsigned)(patience < LAST_WORD_MAX_MS ? patience : LAST_WORD_MAX_MS),
                              on_no_word, h);
    query(h, h->plan->applied_sql, on_last_word);
}

/* ---- what the place says ---------------------------------------------------------------------------------------- */

static void on_reply(void *user, enum op op, enum op_result result, const struct look *look, const struct err *err)
{
    struct history *h = user;
    if (op == OP_LOOK && result == OP_OK) {
        on_place_looked(h, look);
        return;
    }
    if (op == OP_LOCK)
        h->holding = result == OP_OK;
    else if (op == OP_END || op == OP_RELEASE)
        h->holding = false;
    reply(h, op, result, look, err);
}

/* A connection that asks now and then is no loss. */
static void on_link_closed(void *user, struct pg_link *link, const struct err *err)
{
    (void)user;
    (void)link;
    (void)err;
}

static void on_link_notified(void *user)
{
    (void)user;
}

/* ---- the end of it ----------------------------------------------------------------------------------------------- */

/* The look or the last word that was going on is not answered any more. */
static void forget(struct history *h)
{
    later_cancel(h->last_word);
    h->last_word = NULL;
    if (h->link)
        pg_link_drop(h->link);
}

static void history_reset(struct backend *b)
{
    struct history *h = of(b);
    forget(h);
    h->holding = false;
    h->relay.behind->ops->reset(h->relay.behind);
}

static void history_reset_clerk(struct backend *b)
{
    struct history *h = of(b);
    forget(h);
    h->relay.behind->ops->reset_clerk(h->relay.behind);
}

static void history_close(struct backend *b)
{
    struct history *h = of(b);
    forget(h);
    pg_link_free(h->link);
    if (h->relay.behind)
        h->relay.behind->ops->close(h->relay.behind);
    url_free(&h->url);
    free(h->tail);
    free(h);
}

const struct verdict *history_verdict(const struct backend *b)
{
    return &((const struct history *)b)->verdict;
}

const char *history_no_table(const struct backend *b)
{
    const struct history *h = (const struct history *)b;
    return h->no_table[0] ? h->no_table : NULL;
}

/* A connection of our own to the database with the table. */
static int open_link(struct history *h, struct err *err)
{
    const struct backend_config *config = &h->relay.base.config;
    if (url_parse(&h->url, h->plan->database_url, "the database URL", err) != 0 ||
        pg_trust(&h->url, &config->ca, err) != 0)
        return -1;
    /* Without a token behind the name: these are the sessions that a fence must not end. */
    snprintf(h->application_name, sizeof h->application_name, "lockstep:%s", config->name);
    h->link = pg_link_new(&(struct pg_link_config){
        .loop = config->loop,
        .url = &h->url,
        .application_name = h->application_name,
        .user_timeout = config->times.deadline,
        .events = {.closed = on_link_closed, .notified = on_link_notified},
        .user = h,
    });
    return h->link ? 0 : err_set(err, ERR_SYSTEM, "out of memory");
}

struct backend *history_open(const struct backend_config *config, backend_opener *place, struct err *err)
{
    struct history *h = calloc(1, sizeof *h);
    if (!h) {
        err_set(err, ERR_SYSTEM, "out of memory");
        return NULL;
    }
    h->relay.base = (struct backend){.ops = &h->ops, .config = *config};
    h->plan = config->history;
    struct backend_config inner = *config;
    inner.user = h;
    inner.handlers = relay_handlers(on_reply);
    inner.history = NULL;
    if (h->plan->is_shared || open_link(h, err) == 0)
        h->relay.behind = place(&inner, err);
    if (!h->relay.behind) {
        history_close(&h->relay.base);
        return NULL;
    }
    h->ops = relay_ops(h->relay.behind);
    h->ops.look = history_look;
    h->ops.end = history_end;
    h->ops.reset = history_reset;
    h->ops.reset_clerk = history_reset_clerk;
    h->ops.close = history_close;
    return &h->relay.base;
}
