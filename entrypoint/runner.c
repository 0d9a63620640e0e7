#include "runner.h"

#include "exitcodes.h"
#include "later.h"
#include "launch.h"
#include "log.h"
#include "output.h"
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORPHANS_MS 20
#define OVERDUE_MS 1000

struct runner {
    uv_loop_t *loop;
    const struct user *who;
    runner_ended *ended;
    void *user;
    struct leash leash;
    enum command_kind kind;
    bool running, told_end;
    int status;
    int64_t lease_kill, stop_kill; /* what the leash was told, ms on CLOCK_BOOTTIME */
    int64_t late_since;            /* when we first saw it late; 0 = it is not */
    struct watch *control;
    struct output *output;
    struct later *later;
};

static void on_output_ended(void *user)
{
    struct runner *runner = user;
    runner->running = false;
    runner->ended(runner->user, runner->status);
}

struct runner *runner_new(uv_loop_t *loop, const struct mask *mask, const struct user *who, runner_ended *ended,
                          void *user)
{
    struct runner *runner = calloc(1, sizeof *runner);
    if (!runner)
        return NULL;
    runner->loop = loop;
    runner->who = who;
    runner->ended = ended;
    runner->user = user;
    runner->output = output_new(loop, mask, on_output_ended, runner);
    if (runner->output)
        return runner;
    free(runner);
    return NULL;
}

const struct tail *runner_tail(const struct runner *runner)
{
    return output_tail(runner->output);
}

void runner_order(struct runner *runner, const struct leash_order *order)
{
    if (!runner->running || runner->told_end)
        return;
    if (order->kind == LEASH_EXTEND)
        runner->lease_kill = order->kill_at;
    if (order->kind == LEASH_STOP && order->kill_at < runner->stop_kill)
        runner->stop_kill = order->kill_at;
    leash_order(&runner->leash, order);
}

void runner_watch(struct runner *runner, int64_t now)
{
    int64_t due = runner->lease_kill < runner->stop_kill ? runner->lease_kill : runner->stop_kill;
    if (!runner->running || runner->told_end)
        return;
    if (now < due)
        runner->late_since = 0;
    else if (!runner->late_since)
        runner->late_since = now; /* after a pause both of us wake up late: it gets its chance */
    else if (now - runner->late_since > OVERDUE_MS)
        kill(runner->leash.pid, SIGKILL); /* SIGCHLD brings us to runner_child_gone */
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void finish(struct runner *runner)
{
    watch_close(&runner->control);
    output_end(runner->output);
}

/* What the leash held came to us, the subreaper; it is gone when we have no child left. */
static void end_orphans(void *user)
{
    struct runner *runner = user;
    pid_t pid;
    runner->later = NULL;
    process_signal_below(getpid(), SIGKILL);
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        ;
    if (pid < 0 && errno == ECHILD)
        finish(runner);
    else
        runner->later = later_call(runner->loop, ORPHANS_MS, end_orphans, runner);
}

static void leash_is_gone(struct runner *runner)
{
    log_say(LOG_LEVEL_ERROR, EVENT_ERROR, LOG_NO_FIELDS, "the process that holds --%s was killed; ending it",
            command_names[runner->kind]);
    runner->told_end = true;
    runner->status = EXIT_SIGNAL + SIGKILL;
    watch_for(runner->control, 0);
    later_cancel(runner->later);
    end_orphans(runner);
}

void runner_child_gone(struct runner *runner, pid_t pid)
{
    struct leash_news news;
    if (!runner->running || pid != runner->leash.pid || runner->told_end)
        return;
    while (leash_news(&runner->leash, &news) == 1) /* it may have told the end just before */
        if (news.kind == LEASH_ENDED)
            runner->told_end = true;
    if (runner->told_end) {
        runner->status = news.number;
        finish(runner);
    } else {
        leash_is_gone(runner);
    }
}

static void on_news(void *user, int events)
{
    struct runner *runner = user;
    struct leash_news news;
    (void)events;
    while (runner->running && leash_news(&runner->leash, &news) == 1) {
        if (news.kind == LEASH_CANNOT_BECOME || news.kind == LEASH_CANNOT_EXEC) {
            const char *who = runner->who->spec;
            log_say(LOG_LEVEL_ERROR, EVENT_ERROR, LOG_NO_FIELDS, "the --%s command cannot %s%s%s: %s",
                    command_names[runner->kind], news.kind == LEASH_CANNOT_BECOME ? "begin" : "be executed",
                    who ? " as " : "", who ? who : "", strerror(news.number));
        } else if (news.kind == LEASH_LEFTOVERS) {
            log_say(LOG_LEVEL_WARNING, EVENT_STOPPING, LOG_FIELDS(LOG_NUMBER("processes", news.number)),
                    "the --%s command has ended but left %d process%s behind; ending %s", command_names[runner->kind],
                    news.number, news.number == 1 ? "" : "es", news.number == 1 ? "it" : "them");
        } else {
            runner->told_end = true;
            runner->status = news.number;
            waitpid(runner->leash.pid, NULL, 0); /* it has nothing left to do but to exit */
            finish(runner);
            return;
        }
    }
}

/* ---- the start --------------------------------------------------------------------------------------------------- */

static void on_not_started(void *user)
{
    struct runner *runner = user;
    runner->later = NULL;
    runner->ended(runner->user, runner->status);
}

static void tell_not_started(struct runner *runner, int status, const char *text)
{
    output_keep(runner->output, text);
    runner->status = status;
    runner->later = later_call(runner->loop, 0, on_not_started, runner);
}

void runner_refuse(struct runner *runner, enum command_kind kind, int status, const char *text)
{
    output_begin(runner->output, kind, false, false);
    log_say(LOG_LEVEL_ERROR, EVENT_ERROR, LOG_NO_FIELDS, "%s", text);
    tell_not_started(runner, status, text);
}

void runner_start(struct runner *runner, const struct runner_job *job)
{
    char path[LAUNCH_PATH_CAPACITY];
    struct err err;
    output_begin(runner->output, job->kind, job->quiet, job->again);
    runner->kind = job->kind;
    runner->told_end = false;
    int status = launch_find(job->argv[0], job->environment, path, &err);
    struct leash_config config = {
        .path = path,
        .argv = job->argv,
        .environment = job->environment,
        .term_at = job->term_at,
        .kill_at = job->kill_at,
        .lock_fd = job->lock_fd,
        .who = runner->who,
        .inherited = job->inherited,
    };
    if (status == 0 && leash_start(&runner->leash, &config, &err) != 0)
        status = EXIT_NOT_EXECUTABLE;
    if (status != 0) {
        log_say(LOG_LEVEL_ERROR, EVENT_ERROR, LOG_NO_FIELDS, "the --%s command: %s", command_names[job->kind],
                err.text);
        tell_not_started(runner, status, err.text);
        return;
    }
    runner->running = true;
    runner->lease_kill = job->kill_at;
    runner->stop_kill = INT64_MAX;
    runner->late_since = 0;
    runner->control = watch_readable(runner->loop, runner->leash.control, on_news, runner);
    if (!runner->control)
        abort(); /* out of memory while a migration runs: the leash ends it */
    output_read(runner->output, runner->leash.out, runner->leash.errors);
}

void runner_free(struct runner *runner)
{
    if (!runner)
        return;
    later_cancel(runner->later);
    watch_close(&runner->control);
    output_free(runner->output);
    free(runner);
}
