#include "log.h"

#include "clock.h"
#include "tail.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192
#define STALL_MS       50 /* what a reader may be late before lines are lost */

static const char *const event_names[] = {
#define X(id, name) [EVENT_##id] = name,
    EVENTS(X)
#undef X
};
static const char *const level_names[] = {"debug", "info", "warning", "error"};
static const char *const level_prefixes[] = {"debug: ", "", "warning: ", "error: "};

static bool as_json;
static enum log_level lowest = LOG_LEVEL_INFO;
static const struct mask *secrets;
static int lost_lines;  /* since the reader stopped */
static bool refreshing; /* the terminal's cursor stands behind a progress line */

void log_configure(bool json, enum log_level level)
{
    as_json = json;
    lowest = level;
}

void log_mask(const struct mask *mask)
{
    secrets = mask;
}

/* Whoever reads the log may have stopped reading. Nothing of ours may wait for him: a signal must end us, a heartbeat
 * must go out. What is said meanwhile is lost, and that is said. */
static bool is_writable(int fd)
{
    struct pollfd target = {.fd = fd, .events = POLLOUT};
    return poll(&target, 1, lost_lines ? 0 : STALL_MS) != 0; /* an error counts: the write will tell */
}

static void write_line(int fd, const char *line, size_t length)
{
    while (length > 0) {
        if (!is_writable(fd)) {
            lost_lines++;
            return;
        }
        ssize_t n = write(fd, line, length < PIPE_BUF ? length : PIPE_BUF);
        if (n < 0 && errno != EINTR)
            return; /* nobody reads it, and nobody is left to be told */
        if (n > 0) {
            line += n;
            length -= (size_t)n;
        }
    }
}

static void mask_into(const char *text, char *out, size_t capacity)
{
    static const struct mask none;
    mask_text(secrets ? secrets : &none, text, out, capacity);
}

static void write_json(int fd, enum log_level level, enum event event, const struct log_field *fields,
                       const char *message)
{
    char now[CLOCK_TEXT_CAPACITY], text[LINE_MAX_BYTES];
    clock_text(clock_wall_ms(), now);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "time", now);
    cJSON_AddStringToObject(object, "level", level_names[level]);
    cJSON_AddStringToObject(object, "event", event_names[event]);
    if (message)
        cJSON_AddStringToObject(object, "message", message);
    for (; fields->name; fields++) {
        if (fields->text) {
            char masked[LINE_MAX_BYTES];
            mask_into(fields->text, masked, sizeof masked);
            utf8_clean(masked, text, sizeof text);
            cJSON_AddStringToObject(object, fields->name, text);
        } else {
            cJSON_AddNumberToObject(object, fields->name, (double)fields->number);
        }
    }
    char *line = cJSON_PrintUnformatted(object);
    if (line) {
        size_t length = strlen(line);
        line[length] = '\n'; /* in place of the terminator: one write */
        write_line(fd, line, length + 1);
    }
    free(line);
    cJSON_Delete(object);
}

static void write_text(int fd, bool in_place, const char *prefix, const char *message)
{
    char line[LINE_MAX_BYTES + 64];
    static const char clear[] = "\r\033[K";
    if (refreshing)
        write_line(STDERR_FILENO, clear, sizeof clear - 1);
    struct winsize size;
    int n = snprintf(line, sizeof line - 1, "%s%s%s", prefix, message, in_place ? "" : "\n");
    if (in_place && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 && n >= size.ws_col)
        n = size.ws_col - 1; /* a wrapped line could not be replaced in place */
    size_t length = (size_t)n < sizeof line - 1 ? (size_t)n : sizeof line - 2;
    write_line(fd, line, length);
    refreshing = in_place;
}

static void say_message(enum log_level level, enum event event, const struct log_field *fields, bool in_place,
                        const char *message)
{
    char prefix[32];
    snprintf(prefix, sizeof prefix, "lockstep: %s", level_prefixes[level]);
    if (as_json)
        write_json(STDERR_FILENO, level, event, fields, message);
    else
        write_text(STDERR_FILENO, in_place && isatty(STDERR_FILENO), prefix, message);
}

static void say_lost_lines(void)
{
    char message[80];
    if (!lost_lines || !is_writable(STDERR_FILENO))
        return;
    snprintf(message, sizeof message, "%d lines of this log were lost, as nobody read it", lost_lines);
    lost_lines = 0;
    say_message(LOG_LEVEL_WARNING, EVENT_ERROR, LOG_NO_FIELDS, false, message);
}

static void say(enum log_level level, enum event event, const struct log_field *fields, bool in_place,
                const char *format, va_list args)
{
    int saved = errno;
    char message[LINE_MAX_BYTES], masked[LINE_MAX_BYTES];
    if (level >= lowest) {
        vsnprintf(message, sizeof message, format, args);
        mask_into(message, masked, sizeof masked);
        utf8_clean(masked, message, sizeof message);
        say_lost_lines();
        say_message(level, event, fields, in_place, message);
    }
    errno = saved;
}

void log_say(enum log_level level, enum event event, const struct log_field *fields, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(level, event, fields, false, format, args);
    va_end(args);
}

void log_progress(const struct log_field *fields, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(LOG_LEVEL_INFO, EVENT_PROGRESS, fields, true, format, args);
    va_end(args);
}

void log_output(enum log_level level, const char *name, bool to_stderr, const char *line)
{
    int fd = to_stderr ? STDERR_FILENO : STDOUT_FILENO;
    char prefix[32];
    if (level < LOG_LEVEL_INFO && level < lowest)
        return;
    snprintf(prefix, sizeof prefix, "%s | ", name);
    if (as_json)
        write_json(fd, level, EVENT_OUTPUT,
                   LOG_FIELDS(LOG_TEXT("stream", to_stderr ? "stderr" : "stdout"), LOG_TEXT("command", name),
                              LOG_TEXT("line", line)),
                   NULL);
    else
        write_text(fd, false, prefix, line);
}
