#include "output.h"

#include "clock.h"
#include "later.h"
#include "log.h"
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES_MAX 4096 /* PIPE_BUF: a pipe that is writable takes so much without blocking */
#define PART_REST_MAX  256
#define STALL_MS       20
#define DRAIN_MS       2000 /* what a reader of the log may be late after the command's end, before lines are lost */

struct stream {
    struct output *output;
    struct watch *watch; /* NULL = not open */
    bool is_errors;
    char bytes[LINE_BYTES_MAX / 2]; /* read, */
    size_t begun, end;              /* ... and not yet taken from `begun` to `end` */
    char line[LINE_BYTES_MAX];
    size_t length;
};

struct output {
    uv_loop_t *loop;
    const struct mask *mask;
    output_ended *ended;
    void *user;
    enum command_kind kind;
    bool quiet;
    int64_t drained_by; /* ms on CLOCK_BOOTTIME; 0 = the command has not ended */
    struct stream out, errors;
    struct tail *tail; /* NULL: nothing was ever begun */
    struct later *later;
};

struct output *output_new(uv_loop_t *loop, const struct mask *mask, output_ended *ended, void *user)
{
    struct output *output = calloc(1, sizeof *output);
    if (!output)
        return NULL;
    output->loop = loop;
    output->mask = mask;
    output->ended = ended;
    output->user = user;
    output->out.output = output->errors.output = output;
    output->errors.is_errors = true;
    return output;
}

const struct tail *output_tail(const struct output *output)
{
    static const struct tail nothing;
    return output->tail ? output->tail : &nothing;
}

void output_keep(struct output *output, const char *line)
{
    tail_add(output->tail, line);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static void pass_line(struct stream *stream)
{
    const struct output *output = stream->output;
    char masked[LINE_BYTES_MAX + 256];
    stream->line[stream->length] = '\0';
    stream->length = 0;
    mask_text(output->mask, stream->line, masked, sizeof masked);
    tail_add(output->tail, masked);
    log_output(output->quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, command_names[output->kind], stream->is_errors,
               masked);
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

/* ---- pipes ------------------------------------------------------------------------------------------------------- */

/* Reads more once all is taken. False at the end of the stream. */
static bool read_more(struct stream *stream)
{
    ssize_t n = read(watch_fd(stream->watch), stream->bytes, sizeof stream->bytes);
    stream->begun = 0;
    stream->end = n > 0 ? (size_t)n : 0;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool writable(int fd)
{
    struct pollfd target = {.fd = fd, .events = POLLOUT};
    return poll(&target, 1, 0) != 0; /* an error counts: the write will tell */
}

static void on_unstalled(void *user);

/* Whoever reads the container's log may be slow. The migration waits for him then, as it would without us; the loop,
 * and with it the heartbeat, must not. */
static bool stalled(struct stream *stream)
{
    struct output *output = stream->output;
    if (writable(stream->is_errors ? STDERR_FILENO : STDOUT_FILENO))
        return false;
    if (stream->watch)
        watch_for(stream->watch, 0);
    if (!output->later)
        output->later = later_call(output->loop, STALL_MS, on_unstalled, output);
    return true;
}

static void take_lines(struct stream *stream)
{
    while (stream->begun < stream->end && !stalled(stream))
        take_line(stream);
}

static void on_unstalled(void *user)
{
    struct output *output = user;
    output->later = NULL;
    if (output->drained_by) {
        output_end(output);
        return;
    }
    struct stream *streams[] = {&output->out, &output->errors};
    for (size_t i = 0; i < 2; i++) {
        if (streams[i]->watch)
            watch_for(streams[i]->watch, UV_READABLE);
        take_lines(streams[i]);
    }
}

static void on_stream(void *user, int events)
{
    struct stream *stream = user;
    (void)events;
    if (stream->begun == stream->end && !stalled(stream) && !read_more(stream))
        watch_close(&stream->watch);
    take_lines(stream);
}

static void open_stream(struct stream *stream, int fd)
{
    stream->watch = watch_readable(stream->output->loop, fd, on_stream, stream);
    if (!stream->watch)
        abort(); /* out of memory while a migration runs: the leash ends it */
}

/* Takes what is still in the pipe; an orphan that keeps it open delays nobody. False if a reader of the log who is late
 * is worth another wait. */
static bool drained(struct stream *stream)
{
    do {
        take_lines(stream);
        if (stream->begun < stream->end && clock_boot_ms() < stream->output->drained_by)
            return false;
        while (stream->begun < stream->end)
            take_line(stream);
    } while (stream->watch && read_more(stream) && stream->end);
    if (stream->length)
        pass_line(stream);
    watch_close(&stream->watch);
    return true;
}

/* ---- a command's ------------------------------------------------------------------------------------------------- */

void output_begin(struct output *output, enum command_kind kind, bool quiet, bool again)
{
    output->kind = kind;
    output->quiet = quiet;
    output->drained_by = 0;
    if (again)
        return;
    free(output->tail);
    output->tail = calloc(1, sizeof *output->tail);
    if (!output->tail)
        abort(); /* nothing runs yet */
}

void output_read(struct output *output, int out, int errors)
{
    open_stream(&output->out, out);
    open_stream(&output->errors, errors);
}

void output_end(struct output *output)
{
    if (!output->drained_by)
        output->drained_by = clock_boot_ms() + DRAIN_MS;
    bool out = drained(&output->out), errors = drained(&output->errors);
    if (!out || !errors)
        return; /* on_unstalled comes back */
    later_cancel(output->later);
    output->later = NULL;
    output->ended(output->user);
}

void output_free(struct output *output)
{
    if (!output)
        return;
    later_cancel(output->later);
    watch_close(&output->out.watch);
    watch_close(&output->errors.watch);
    free(output->tail);
    free(output);
}
