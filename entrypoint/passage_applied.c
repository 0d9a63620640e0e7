/* --applied-if: the app itself is asked whether anything is pending (DESIGN section 2, rules 6, 10 and 11). It is asked
 * as a part of a look, which is answered once both have spoken. */
#include "passage_internal.h"

#include "environment.h"
#include "exitcodes.h"

#include <signal.h>

/* At the first look, under the lock, and after a run that was watched; never per poll. */
static bool must_ask(const struct passage *p, const struct look *look)
{
    const struct applied_if *a = &p->applied_if;
    bool watched = a->ask.watch_from != 0 && look->last.token >= a->ask.watch_from;
    if (a->ask.own != 0) /* what our own run came to is recorded first */
        return false;
    return !a->asked_once || p->gate.holding ||
           (watched && look->last.state != RUN_RUNNING && look->last.token > a->asked_after);
}

static void start(struct passage *p)
{
    struct applied_if *a = &p->applied_if;
    char **environment = environment_of_check(p->config->options, p->config->environment, user_home(p->config->who));
    a->running = true;
    runner_start(a->runner, &(struct runner_job){
                                .kind = COMMAND_APPLIED_IF,
                                .argv = p->config->commands[COMMAND_APPLIED_IF].argv,
                                .environment = environment,
                                .quiet = true,
                                .term_at = INT64_MAX,
                                .kill_at = INT64_MAX,
                                .lock_fd = -1,
                                .inherited = p->config->inherited,
                            });
    environment_free(environment);
}

static void answer(struct passage *p, bool applied)
{
    struct applied_if *a = &p->applied_if;
    a->wanted = false;
    a->look.applied = applied;
    passage_step(p, &(struct gate_event){.kind = GATE_REPLY, .op = OP_LOOK, .result = OP_OK, .look = &a->look});
}

void passage_answer_look(struct passage *p, const struct look *look)
{
    struct applied_if *a = &p->applied_if;
    if (!passage_has(p, COMMAND_APPLIED_IF)) {
        passage_step(p, &(struct gate_event){.kind = GATE_REPLY, .op = OP_LOOK, .result = OP_OK, .look = look});
        return;
    }
    a->look = *look;
    a->look.ahead = false; /* which the app cannot tell */
    a->look.tail = "";     /* the gate has no use for it */
    a->look.tail_length = 0;
    if (!must_ask(p, look)) {
        answer(p, false);
        return;
    }
    a->wanted = a->asked_once = true;
    a->asked_after = look->last.state == RUN_RUNNING ? 0 : look->last.token;
    passage_step(p, &(struct gate_event){.kind = GATE_APP_ASKED});
    if (a->wanted && a->running)
        a->stale = true;
    else if (a->wanted)
        start(p);
}

void passage_forget_app(struct passage *p)
{
    struct applied_if *a = &p->applied_if;
    a->wanted = false;
    if (a->running)
        runner_order(a->runner, &(struct leash_order){.kind = LEASH_STOP, .signal = SIGKILL});
}

void passage_say_still_pending(const struct runner *runner, int status)
{
    const char *line = runner_tail(runner)->last_line;
    log_say(LOG_LEVEL_WARNING, EVENT_ERROR, LOG_FIELDS(LOG_NUMBER("status", status), LOG_TEXT("line", line)),
            "the migration succeeded, but --applied-if still says that something is pending (status %d%s%s); going on, "
            "but every start will migrate",
            status, *line ? ": " : "", line);
}

static void refuse(struct passage *p, int status)
{
    struct err err;
    p->applied_if.wanted = false;
    const char *line = runner_tail(p->applied_if.runner)->last_line;
    err_set(&err, ERR_REFUSED, "the --applied-if command cannot be executed (status %d%s%s)", status, *line ? ": " : "",
            line);
    passage_problem(p, &err);
    passage_step(p, &(struct gate_event){.kind = GATE_REPLY, .op = OP_LOOK, .result = OP_REFUSED});
}

void passage_app_answered(void *user, int status)
{
    struct passage *p = user;
    struct applied_if *a = &p->applied_if;
    const struct run *last = &a->look.last;
    bool saw_success = a->ask.watch_from != 0 && last->token >= a->ask.watch_from && last->state == RUN_SUCCEEDED &&
                       a->look.last_is_same_target;
    bool stale = a->stale; /* an answer to an earlier look */
    a->running = a->stale = false;
    if (!a->wanted)
        return;
    if (stale) {
        start(p);
    } else if (status == EXIT_NOT_FOUND || status == EXIT_NOT_EXECUTABLE) {
        refuse(p, status);
    } else {
        if (status != 0 && saw_success)
            passage_say_still_pending(a->runner, status);
        answer(p, status == 0 || saw_success);
    }
}
