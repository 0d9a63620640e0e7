#include "runner.h"

#include "clock.h"
#include "exitcodes.h"
#include "later.h"
#include "launch.h"
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_BYTES_MAX 4096 /* PIPE_BUF: a pipe that is writable takes so much without blocking */
#define PART_REST_MAX  256
#define STALL_MS       20
#define DRAIN_MS       2000 /* what a reader of the log may be late after the command's end, before lines are lost */
#define ORPHANS_MS     20
#define OVERDUE_MS     1000

struct stream {
    struct runner *runner;
    uv_poll_t *poll; /* NULL = not open */
    int fd;
    bool is_errors;
    char bytes[LINE_BYTES_MAX / 2]; /* read, */
    size_t begun, end;              /* ... and not yet taken from `begun` to `end` */
    char line[LINE_BYTES_MAX];
    size_t length;
};

struct runner {
    uv_loop_t *loop;
    const struct mask *mask;
    const struct user *who;
    runner_ended *ended;
    void *user;
    struct leash leash;
    enum command_kind kind;
    bool running, told_end, quiet;
    int status;
    int64_t lease_kill, stop_kill; /* what the leash was told, ms on CLOCK_BOOTTIME */
    int64_t drained_by;            /* ms on CLOCK_BOOTTIME; 0 = the command has not ended */
    uv_poll_t *control;
    struct stream out, errors;
    struct tail *tail; /* NULL: nothing was ever started */
    struct later *later;
};

struct runner *runner_new(uv_loop_t *loop, const struct mask *mask, const struct user *who, runner_ended *ended,
                          void *user)
{
    struct runner *runner = calloc(1, sizeof *runner);
    if (!runner)
        return NULL;
    runner->loop = loop;
    runner->mask = mask;
    runner->who = who;
    runner->ended = ended;
    runner->user = user;
    runner->out.runner = runner->errors.runner = runner;
    runner->errors.is_errors = true;
    return runner;
}

const struct tail *runner_tail(const struct runner *runner)
{
    static const struct tail nothing;
    return runner->tail ? runner->tail : &nothing;
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
    if (runner->running && !runner->told_end && now - OVERDUE_MS > due)
        kill(runner->leash.pid, SIGKILL); /* SIGCHLD brings us to runner_child_gone */
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

static void pass_line(struct stream *stream)
{
    char masked[LINE_BYTES_MAX + 256];
    stream->line[stream->length] = '\0';
    stream->length = 0;
    mask_text(stream->runner->mask, stream->line, masked, sizeof masked);
    tail_add(stream->runner->tail, masked);
    log_output(stream->runner->quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, command_names[stream->runner->kind],
               stream->is_errors, masked);
}

/* A line that is longer than a pipe takes at once goes out in parts, cut where a word ends if there is such a place
 * near the end: a password that is cut in two would not be recognised. */
static void pass_part(struct stream *stream)
{
    char rest[PART_REST_MAX];
    size_t end = stream->length;
    while (end > stream->length - PART_REST_MAX && !strchr(" \t,;\"'", stream->line[end - 1]))
        end--;
    if (end == stream->length - PART_REST_MAX)
        end = stream->length;
    size_t kept = stream->length - end;
    memcpy(rest, stream->line + end, kept);
    stream->length = end;
    pass_line(stream);
    memcpy(stream->line, rest, kept);
    stream->length = kept;
}

/* Takes what was read up to the end of a line, or all of it if there is none. */
static void take_line(struct stream *stream)
{
    while (stream->begun < stream->end) {
        char c = stream->bytes[stream->begun++];
        if (c == '\n') {
            pass_line(stream);
            return;
        }
        stream->line[stream->length++] = c ? c : '?';
        if (stream->length == sizeof stream->line - 1) {
            pass_part(stream);
            return;
        }
    }
}

/* Reads more once all is taken. False at the end of the stream. */
static bool read_more(struct stream *stream)
{
    ssize_t n = read(stream->fd, stream->bytes, sizeof stream->bytes);
    stream->begun = 0;
    stream->end = n > 0 ? (size_t)n : 0;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool writable(int fd)
{
    struct pollfd target = {.fd = fd, .events = POLLOUT};
    return poll(&target, 1, 0) != 0; /* an error counts: the write will tell */
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

static void close_watched(uv_poll_t **poll, int fd)
{
    if (!*poll)
        return;
    uv_close((uv_handle_t *)*poll, on_poll_closed);
    *poll = NULL;
    close(fd);
}

static void on_stream(uv_poll_t *poll, int status, int events);
static void take_lines(struct stream *stream);
static void finish(struct runner *runner);

static void on_unstalled(void *user)
{
    struct runner *runner = user;
    runner->later = NULL;
    if (runner->drained_by) {
        finish(runner);
        return;
    }
    struct stream *streams[] = {&runner->out, &runner->errors};
    for (size_t i = 0; i < 2; i++) {
        if (streams[i]->poll)
            uv_poll_start(streams[i]->poll, UV_READABLE, on_stream);
        take_lines(streams[i]);
    }
}

/* Whoever reads the container's log may be slow. The migration waits for him then, as it would without us; the loop,
 * and with it the heartbeat, must not. */
static bool stalled(struct stream *stream)
{
    if (writable(stream->is_errors ? STDERR_FILENO : STDOUT_FILENO))
        return false;
    if (stream->poll)
        uv_poll_stop(stream->poll);
    if (!stream->runner->later)
        stream->runner->later = later_call(stream->runner->loop, STALL_MS, on_unstalled, stream->runner);
    return true;
}

static void take_lines(struct stream *stream)
{
    while (stream->begun < stream->end && !stalled(stream))
        take_line(stream);
}

static void on_stream(uv_poll_t *poll, int status, int events)
{
    struct stream *stream = poll->data;
    (void)status;
    (void)events;
    if (stream->begun == stream->end && !stalled(stream) && !read_more(stream))
        close_watched(&stream->poll, stream->fd);
    take_lines(stream);
}

/* Takes what is still in the pipe; an orphan that keeps it open delays nobody. False if a reader of the log who is late
 * is worth another wait. */
static bool drained(struct stream *stream)
{
    do {
        take_lines(stream);
        if (stream->begun < stream->end && clock_boot_ms() < stream->runner->drained_by)
            return false;
        while (stream->begun < stream->end)
            take_line(stream);
    } while (stream->poll && read_more(stream) && stream->end);
    if (stream->length)
        pass_line(stream);
    close_watched(&stream->poll, stream->fd);
    return true;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void finish(struct runner *runner)
{
    if (!runner->drained_by)
        runner->drained_by = clock_boot_ms() + DRAIN_MS;
    close_watched(&runner->control, runner->leash.control);
    bool out = drained(&runner->out), errors = drained(&runner->errors);
    if (!out || !errors)
        return; /* on_unstalled comes back */
    later_cancel(runner->later);
    runner->later = NULL;
    runner->running = false;
    runner->ended(runner->user, runner->status);
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
    uv_poll_stop(runner->control);
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

static void on_news(uv_poll_t *poll, int status, int events)
{
    struct runner *runner = poll->data;
    struct leash_news news;
    (void)status;
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

static uv_poll_t *watch(struct runner *runner, int fd, void *data, uv_poll_cb callback)
{
    uv_poll_t *poll = calloc(1, sizeof *poll);
    if (!poll || uv_poll_init(runner->loop, poll, fd) != 0)
        abort(); /* out of memory while a migration runs: the leash ends it */
    poll->data = data;
    uv_poll_start(poll, UV_READABLE, callback);
    return poll;
}

static void on_not_started(void *user)
{
    struct runner *runner = user;
    runner->later = NULL;
    runner->ended(runner->user, runner->status);
}

static void not_started(struct runner *runner, int status, const struct err *err)
{
    log_say(LOG_LEVEL_ERROR, EVENT_ERROR, LOG_NO_FIELDS, "the --%s command: %s", command_names[runner->kind],
            err->text);
    tail_add(runner->tail, err->text);
    runner->status = status;
    runner->later = later_call(runner->loop, 0, on_not_started, runner);
}

static void keep_output(struct runner *runner, bool again)
{
    if (again)
        return;
    free(runner->tail);
    runner->tail = calloc(1, sizeof *runner->tail);
    if (!runner->tail)
        abort(); /* nothing runs yet */
}

void runner_start(struct runner *runner, const struct runner_job *job)
{
    char path[LAUNCH_PATH_CAPACITY];
    struct err err;
    keep_output(runner, job->again);
    runner->kind = job->kind;
    runner->quiet = job->quiet;
    runner->told_end = false;
    runner->drained_by = 0;
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
        not_started(runner, status, &err);
        return;
    }
    runner->running = true;
    runner->lease_kill = job->kill_at;
    runner->stop_kill = INT64_MAX;
    runner->out.fd = runner->leash.out;
    runner->errors.fd = runner->leash.errors;
    runner->control = watch(runner, runner->leash.control, runner, on_news);
    runner->out.poll = watch(runner, runner->out.fd, &runner->out, on_stream);
    runner->errors.poll = watch(runner, runner->errors.fd, &runner->errors, on_stream);
}

void runner_free(struct runner *runner)
{
    if (!runner)
        return;
    later_cancel(runner->later);
    close_watched(&runner->control, runner->leash.control);
    close_watched(&runner->out.poll, runner->out.fd);
    close_watched(&runner->errors.poll, runner->errors.fd);
    free(runner->tail);
    free(runner);
}
