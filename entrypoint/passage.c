#include "passage_internal.h"

#include "clock.h"
#include "exitcodes.h"
#include "identity.h"
#include "places.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PULSE_MS 500 /* while the command is alive; a pause shows as a gap between two */
#define GAP_MS   1500
#define STEP_MS  1000 /* of the wall clock against the other */

/* ---- the gate ---------------------------------------------------------------------------------------------------- */

static void set_timer(struct passage *p)
{
    int64_t due = gate_due(&p->gate);
    struct itimerspec when = {.it_value = {.tv_sec = 0}};
    if (due != GATE_NEVER) {
        when.it_value.tv_sec = (time_t)(due / 1000);
        when.it_value.tv_nsec = (long)(due % 1000) * 1000000 + 1; /* never 0.0, which would disarm it */
    }
    timerfd_settime(p->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void perform_all(struct passage *p, const struct gate_actions *actions)
{
    for (int i = 0; i < actions->count; i++)
        passage_perform(p, &actions->list[i]);
    if (!p->done)
        set_timer(p);
}

void passage_step(struct passage *p, const struct gate_event *event)
{
    struct gate_actions actions;
    if (p->done)
        return;
    gate_step(&p->gate, clock_boot_ms(), event, &actions);
    perform_all(p, &actions);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void remember_look(struct passage *p, const struct look *look)
{
    p->words.last = look->last;
    free(p->words.failed_tail);
    p->words.failed_tail = strndup(look->tail, look->tail_length);
    free(p->blocked);
    p->blocked = look->blocked ? strdup(look->blocked) : NULL;
}

void passage_problem(struct passage *p, const struct err *err)
{
    bool again = err->code == ERR_UNAVAILABLE || err->code == ERR_CROWDED;
    if (again && p->config->options->verb != VERB_CHECK && strcmp(p->problem, err->text) != 0)
        log_say(LOG_LEVEL_WARNING, EVENT_UNAVAILABLE, LOG_FIELDS(LOG_TEXT("error", err->text)), "%s; trying again",
                err->text);
    snprintf(p->problem, sizeof p->problem, "%s", err->text);
}

/* Whether that `op` worked says that the problem is over. One of the lock outlives the look before the next try at it.
 */
static bool is_over(const struct passage *p, enum op op)
{
    bool of_lock = p->problem_op == OP_LOCK || p->problem_op == OP_MARK;
    return op != OP_RELEASE && op != OP_BEAT && !(of_lock && op == OP_LOOK);
}

static void on_reply(void *user, enum op op, enum op_result result, const struct look *look, const struct err *err)
{
    struct passage *p = user;
    if (err && result != OP_OK && result != OP_BUSY) {
        passage_problem(p, err);
        p->problem_op = op;
    } else if (is_over(p, op)) {
        p->problem[0] = '\0';
    }
    if (look)
        remember_look(p, look);
    if (look)
        passage_answer_look(p, look);
    else
        passage_step(p, &(struct gate_event){.kind = GATE_REPLY, .op = op, .result = result});
}

static void on_disconnected(void *user, const struct err *err)
{
    struct passage *p = user;
    snprintf(p->problem, sizeof p->problem, "%s", err->text);
    passage_step(p, &(struct gate_event){.kind = GATE_DISCONNECTED});
}

static void on_woken(void *user)
{
    passage_step(user, &(struct gate_event){.kind = GATE_WOKEN});
}

static void on_connected(void *user, bool pooled)
{
    struct passage *p = user;
    log_say(LOG_LEVEL_DEBUG, EVENT_CONNECTED, LOG_FIELDS(LOG_NUMBER("pooled", pooled)), "connected to %s%s",
            p->config->place, pooled ? " through a pooler: polling, as nobody can wake us" : "");
}

static void on_warned(void *user, enum event event, const char *text)
{
    (void)user;
    log_say(LOG_LEVEL_WARNING, event, LOG_NO_FIELDS, "%s", text);
}

static void on_timer(uv_poll_t *watch, int status, int events)
{
    struct passage *p = watch->data;
    uint64_t expirations;
    (void)status;
    (void)events;
    (void)!read(p->timer, &expirations, sizeof expirations);
    passage_step(p, &(struct gate_event){.kind = GATE_TICK});
}

static void reap(struct passage *p)
{
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        runner_child_gone(p->runner, pid);
        runner_child_gone(p->applied_if.runner, pid);
    }
}

static void on_signal(uv_poll_t *watch, int status, int events)
{
    struct passage *p = watch->data;
    struct signalfd_siginfo info;
    (void)status;
    (void)events;
    while (!p->done && read(p->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        int signal = (int)info.ssi_signo;
        if (signal == SIGCHLD) {
            reap(p);
            continue;
        }
        bool alive = gate_command_alive(&p->gate);
        log_say(alive ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, EVENT_SIGNAL, LOG_FIELDS(LOG_NUMBER("signal", signal)),
                "got signal %d%s", signal, alive ? ", passing it on to the migration" : "");
        passage_step(p, &(struct gate_event){.kind = GATE_SIGNALLED, .signal = signal});
    }
}

/* Tells waiters the latest line, at most once a heartbeat. */
static void tell_progress(struct passage *p, int64_t now)
{
    const char *line = runner_tail(p->runner)->last_line;
    if (now - p->told_at < p->gate.config.times.heartbeat || strcmp(line, p->told_line) == 0 || !p->gate.holding)
        return;
    p->told_at = now;
    snprintf(p->told_line, sizeof p->told_line, "%s", line);
    p->backend->ops->progress(p->backend, p->gate.token, p->told_line);
}

static void on_pulse(uv_timer_t *timer)
{
    struct passage *p = timer->data;
    int64_t boot = clock_boot_ms(), wall = clock_wall_ms();
    int64_t gap = boot - p->pulse_boot, drift = (wall - p->pulse_wall) - gap;
    p->pulse_boot = boot;
    p->pulse_wall = wall;
    if (gap > GAP_MS || drift > STEP_MS || drift < -STEP_MS)
        passage_step(p, &(struct gate_event){.kind = GATE_CLOCK_JUMPED});
    runner_watch(p->runner, boot);
    if (gate_command_alive(&p->gate))
        tell_progress(p, boot);
}

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

static struct gate_config gate_config_of(const struct passage *p)
{
    static const enum gate_mode modes[] = {[VERB_RUN] = GATE_MODE_MIGRATE,
                                           [VERB_MIGRATE] = GATE_MODE_MIGRATE,
                                           [VERB_WAIT] = GATE_MODE_WAIT,
                                           [VERB_CHECK] = GATE_MODE_CHECK};
    const struct options *o = p->config->options;
    return (struct gate_config){
        .mode = modes[o->verb],
        .times = times_from_lease(o->lease),
        .wait_timeout = o->wait_timeout,
        .connect_timeout = o->connect_timeout,
        .migrate_timeout = o->migrate_timeout,
        .stop_grace = o->stop_grace,
        .retry_delay = o->retry_delay,
        .poll = p->backend->ops->poll,
        .retries = (int)o->retries,
        .max_attempts = (int)o->max_attempts,
        .seed = strtoull(p->me.nonce + 16, NULL, 16) | 1,
    };
}

static int open_backend(struct passage *p, struct err *err)
{
    struct backend_config config = places_config(p->config->options, p->config->target, p->config->history);
    places_command(p->config->migrate, p->config->mask, p->command_text);
    config.loop = &p->loop;
    config.command = p->command_text;
    config.holder = &p->me;
    config.handlers = (struct backend_handlers){.reply = on_reply,
                                                .disconnected = on_disconnected,
                                                .woken = on_woken,
                                                .connected = on_connected,
                                                .warned = on_warned};
    config.user = p;
    p->backend = backend_open(&config, err);
    p->runner = runner_new(&p->loop, p->config->mask, p->config->who, passage_step_ended, p);
    p->applied_if.runner = runner_new(&p->loop, p->config->mask, p->config->who, passage_app_answered, p);
    return p->backend && p->runner && p->applied_if.runner ? 0 : -1;
}

static int watch(struct passage *p, uv_poll_t *poll, int fd, uv_poll_cb callback, struct err *err)
{
    poll->data = p;
    if (fd < 0 || uv_poll_init(&p->loop, poll, fd) != 0 || uv_poll_start(poll, UV_READABLE, callback) != 0)
        return err_set(err, ERR_SYSTEM, "the event loop cannot be set up: %s", strerror(errno));
    return 0;
}

static int set_up(struct passage *p, struct err *err)
{
    if (uv_loop_init(&p->loop) != 0)
        return err_set(err, ERR_SYSTEM, "the event loop cannot be set up");
    p->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    p->signals = process_signals();
    uv_timer_init(&p->loop, &p->pulse);
    p->pulse.data = p;
    uv_timer_start(&p->pulse, on_pulse, PULSE_MS, PULSE_MS);
    uv_timer_stop(&p->pulse); /* keeps the period for uv_timer_again */
    if (watch(p, &p->timer_watch, p->timer, on_timer, err) != 0 ||
        watch(p, &p->signal_watch, p->signals, on_signal, err) != 0 || identity_find(&p->me, err) != 0)
        return -1;
    return open_backend(p, err);
}

static void take_down(struct passage *p)
{
    if (p->backend)
        p->backend->ops->close(p->backend);
    runner_free(p->runner);
    runner_free(p->applied_if.runner);
    free(p->words.failed_tail);
    free(p->blocked);
    while (waitpid(-1, NULL, WNOHANG) > 0) /* the app must not find zombies that it never made */
        ;
    /* The loop's own descriptors close on exec; its handles are on their way out. */
}

int passage_go(const struct passage_config *config, bool *start_despite)
{
    static struct passage passage; /* lives as long as the loop's handles, that is the process */
    struct passage *p = &passage;
    struct err err;
    p->config = config;
    p->words = (struct words){.options = config->options,
                              .target = config->target,
                              .place = config->place,
                              .began = clock_boot_ms(),
                              .failed_tail = strdup(""),
                              .problem = p->problem};
    words_starting(&p->words);
    if (set_up(p, &err) != 0) {
        int status = err.code == ERR_USAGE ? EXIT_WRONG_USAGE : EXIT_CANNOT_GO_ON;
        log_say(LOG_LEVEL_ERROR, EVENT_ERROR, LOG_FIELDS(LOG_NUMBER("code", status)), "%s", err.text);
        take_down(p);
        return status;
    }
    struct gate_config gate_config = gate_config_of(p);
    struct gate_actions actions;
    log_say(LOG_LEVEL_DEBUG, EVENT_CONNECTING, LOG_NO_FIELDS, "connecting to %s", config->place);
    gate_begin(&p->gate, &gate_config, clock_boot_ms(), &actions);
    perform_all(p, &actions);
    while (!p->done)
        uv_run(&p->loop, UV_RUN_DEFAULT);
    int status = p->end.kind == GATE_PASS ? 0 : words_failed(&p->words, &p->gate, &p->end);
    *start_despite = p->end.kind == GATE_FAIL && config->options->on_failure == ON_FAILURE_START &&
                     (p->end.reason == GATE_RUN_FAILED || p->end.reason == GATE_EXHAUSTED);
    take_down(p);
    return status;
}
