#include "runner.h"

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
#define ORPHANS_MS     20
#define OVERDUE_MS     1000

struct stream {
    struct runner *runner;
    uv_poll_t *poll; /* NULL = not open */
    int fd;
    bool is_errors;
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
    bool running, told_end;
    int status;
    int64_t lease_kill, stop_kill; /* what the leash was told, ms on CLOCK_BOOTTIME */
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
    if (!runner->running)
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
    if (runner->running && !runner->told_end && now > due + OVERDUE_MS)
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
    log_output(stream->is_errors, masked);
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

static void take_bytes(struct stream *stream, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i] ? bytes[i] : '?';
        if (c == '\n')
            pass_line(stream);
        else
            stream->line[stream->length++] = c;
        if (stream->length == sizeof stream->line - 1)
            pass_part(stream);
    }
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

static void on_unstalled(void *user)
{
    struct runner *runner = user;
    runner->later = NULL;
    struct stream *streams[] = {&runner->out, &runner->errors};
    for (size_t i = 0; i < 2; i++)
        if (streams[i]->poll)
            uv_poll_start(streams[i]->poll, UV_READABLE, on_stream);
}

/* Whoever reads the container's log may be slow. The migration waits for him then, as it would without us; the loop,
 * and with it the heartbeat, must not. */
static bool stalled(struct stream *stream)
{
    if (writable(stream->is_errors ? STDERR_FILENO : STDOUT_FILENO))
        return false;
    uv_poll_stop(stream->poll);
    if (!stream->runner->later)
        stream->runner->later = later_call(stream->runner->loop, STALL_MS, on_unstalled, stream->runner);
    return true;
}

static void on_stream(uv_poll_t *poll, int status, int events)
{
    struct stream *stream = poll->data;
    char bytes[LINE_BYTES_MAX / 2];
    (void)status;
    (void)events;
    if (stalled(stream))
        return;
    ssize_t n = read(stream->fd, bytes, sizeof bytes);
    if (n > 0)
        take_bytes(stream, bytes, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        close_watched(&stream->poll, stream->fd);
}

/* What is still in the pipe; an orphan that keeps it open delays nobody. */
static void finish_stream(struct stream *stream)
{
    char bytes[LINE_BYTES_MAX];
    ssize_t n;
    while (stream->poll && (n = read(stream->fd, bytes, sizeof bytes)) > 0)
        take_bytes(stream, bytes, (size_t)n);
    if (stream->length)
        pass_line(stream);
    close_watched(&stream->poll, stream->fd);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void finish(struct runner *runner)
{
    later_cancel(runner->later);
    runner->later = NULL;
    finish_stream(&runner->out);
    finish_stream(&runner->errors);
    close_watched(&runner->control, runner->leash.control);
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
    log_say(LOG_LEVEL_ERROR, EVENT_ERROR, LOG_NO_FIELDS,
            "the process that holds the migration was killed; ending the migration");
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
            log_say(LOG_LEVEL_ERROR, EVENT_ERROR, LOG_NO_FIELDS, "the migration command cannot %s%s%s: %s",
                    news.kind == LEASH_CANNOT_BECOME ? "begin" : "be executed", who ? " as " : "", who ? who : "",
                    strerror(news.number));
        } else if (news.kind == LEASH_LEFTOVERS) {
            log_say(LOG_LEVEL_WARNING, EVENT_STOPPING, LOG_FIELDS(LOG_NUMBER("processes", news.number)),
                    "the migration has ended but left %d process%s behind; ending %s", news.number,
                    news.number == 1 ? "" : "es", news.number == 1 ? "it" : "them");
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
    log_say(LOG_LEVEL_ERROR, EVENT_ERROR, LOG_NO_FIELDS, "the migration command: %s", err->text);
    tail_add(runner->tail, err->text);
    runner->status = status;
    runner->later = later_call(runner->loop, 0, on_not_started, runner);
}

void runner_start(struct runner *runner, char *const argv[], char *const environment[], int64_t term_at,
                  int64_t kill_at, int lock_fd, const struct inherited *inherited, bool again)
{
    char path[LAUNCH_PATH_CAPACITY];
    struct err err;
    if (!again) {
        free(runner->tail);
        runner->tail = calloc(1, sizeof *runner->tail);
        if (!runner->tail)
            abort(); /* nothing runs yet */
    }
    runner->told_end = false;
    int status = launch_find(argv[0], environment, path, &err);
    struct leash_config config = {
        .path = path,
        .argv = argv,
        .environment = environment,
        .term_at = term_at,
        .kill_at = kill_at,
        .lock_fd = lock_fd,
        .who = runner->who,
        .inherited = inherited,
    };
    if (status == 0 && leash_start(&runner->leash, &config, &err) != 0)
        status = EXIT_NOT_EXECUTABLE;
    if (status != 0) {
        not_started(runner, status, &err);
        return;
    }
    runner->running = true;
    runner->lease_kill = kill_at;
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
