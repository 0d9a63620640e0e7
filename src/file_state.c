#include "file_state.h"

#include "clock.h"
#include "identity.h"
#include "tail.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEP_RUNS    100 /* a container that restarts for weeks must not fill a disk */
#define KEEP_OUTPUTS 10

static char *read_all(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return NULL;
    char *text = malloc((size_t)status.st_size + 1);
    size_t length = 0;
    for (ssize_t n; text && length < (size_t)status.st_size; length += (size_t)n) {
        n = read(fd, text + length, (size_t)status.st_size - length);
        if (n <= 0)
            break;
    }
    if (text)
        text[length] = '\0';
    return text;
}

static cJSON *empty_state(void)
{
    cJSON *state = cJSON_CreateObject();
    cJSON_AddNumberToObject(state, "token", 0);
    cJSON_AddArrayToObject(state, "applied");
    cJSON_AddArrayToObject(state, "runs");
    return state;
}

cJSON *file_state_read(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return empty_state();
    char *text = fd >= 0 ? read_all(fd) : NULL;
    if (!text)
        err_set(err, ERR_REFUSED, "%s cannot be read: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (!text)
        return NULL;
    cJSON *state = cJSON_ParseWithOpts(text, NULL, 1);
    free(text);
    if (!cJSON_IsNumber(cJSON_GetObjectItem(state, "token")) || cJSON_GetObjectItem(state, "token")->valuedouble < 0 ||
        !cJSON_IsArray(cJSON_GetObjectItem(state, "applied")) || !cJSON_IsArray(cJSON_GetObjectItem(state, "runs"))) {
        cJSON_Delete(state);
        err_set(err, ERR_REFUSED,
                "%s is not a record that lockstep wrote; restore it, or move it away, which forgets what "
                "is applied",
                path);
        return NULL;
    }
    return state;
}

static int write_all(int fd, const char *text)
{
    for (size_t length = strlen(text); length > 0;) {
        ssize_t n = write(fd, text, length);
        if (n < 0)
            return -1;
        text += n;
        length -= (size_t)n;
    }
    return fsync(fd);
}

static void sync_directory_of(const char *path)
{
    char copy[4096];
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

int file_state_write(const char *path, const cJSON *state, struct err *err)
{
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.new", path);
    char *text = cJSON_Print(state);
    int fd = text ? open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    int result = fd >= 0 ? write_all(fd, text) : -1;
    if (fd >= 0 && close(fd) != 0)
        result = -1;
    if (result == 0)
        result = rename(temporary, path);
    if (result == 0)
        sync_directory_of(path);
    else
        err_set(err, ERR_REFUSED, "%s cannot be written: %s", path, strerror(errno));
    free(text);
    return result;
}

static const char *string(const cJSON *object, const char *name)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
    return value ? value : "";
}

static double number(const cJSON *object, const char *name, double if_absent)
{
    const cJSON *item = cJSON_GetObjectItem(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : if_absent;
}

static uint64_t token_of(const cJSON *object)
{
    return (uint64_t)number(object, "token", 0);
}

static cJSON *find_run(const cJSON *state, uint64_t token)
{
    cJSON *run;
    cJSON_ArrayForEach(run, cJSON_GetObjectItem(state, "runs")) if (token_of(run) == token) return run;
    return NULL;
}

#define COPY(to, object, name) snprintf(to, sizeof(to), "%s", string(object, name))

static void look_at_applied(const cJSON *state, const char *target, struct look *look)
{
    uint64_t mine = 0, newest = 0;
    const cJSON *applied;
    cJSON_ArrayForEach(applied, cJSON_GetObjectItem(state, "applied"))
    {
        newest = token_of(applied);
        if (strcmp(string(applied, "target"), target) == 0)
            mine = newest;
    }
    look->applied = mine > 0;
    look->ahead = mine > 0 && newest > mine;
}

static void look_at_last(const cJSON *state, const struct backend_config *config, struct look *look)
{
    look->last.token = token_of(state);
    const cJSON *last = find_run(state, look->last.token);
    look->last.exit_status = (int)number(last, "exit_status", -1);
    look->last.state = run_state_named(string(last, "state"));
    COPY(look->last.target, last, "target");
    COPY(look->last.host, last, "host");
    COPY(look->last.container, last, "container");
    COPY(look->last.since, last, "started_at");
    COPY(look->last.last_line, last, "last_line");
    const struct holder *me = config->holder;
    look->last_is_mine = strcmp(string(last, "holder"), me->nonce) == 0;
    look->last_is_same_target = strcmp(look->last.target, config->target) == 0;
    look->last_is_restarted =
        identity_is_restarted(me, look->last.container, string(last, "root"), (int64_t)number(last, "pid", 0));
}

static int failures_of(const cJSON *state, const char *target)
{
    int failures = 0;
    const cJSON *run;
    cJSON_ArrayForEach(run, cJSON_GetObjectItem(state, "runs"))
    {
        enum run_state ended = run_state_named(string(run, "state"));
        if (strcmp(string(run, "target"), target) != 0)
            continue;
        if (ended == RUN_SUCCEEDED) /* what failed before is mended; only --applied-if comes back to such a target */
            failures = 0;
        failures += ended == RUN_FAILED || ended == RUN_LOST;
    }
    return failures;
}

void file_state_look(const cJSON *state, const struct backend_config *config, const struct look_ask *ask,
                     struct look *look)
{
    *look = (struct look){.tail = "", .last_failure_status = -1};
    look_at_applied(state, config->target, look);
    look_at_last(state, config, look);
    look->failures = failures_of(state, config->target);
    look->own_state = ask->own ? run_state_named(string(find_run(state, ask->own), "state")) : RUN_NONE;
    const cJSON *run;
    cJSON_ArrayForEach(run, cJSON_GetObjectItem(state, "runs"))
    {
        if (strcmp(string(run, "target"), config->target) != 0)
            continue;
        enum run_state ended = run_state_named(string(run, "state"));
        int attempt = (int)number(run, "attempt", 0);
        look->attempts = attempt > look->attempts ? attempt : look->attempts;
        if (ended == RUN_SUCCEEDED) {
            look->attempts = 0;
            look->not_before_ms = 0;
        }
        if (ended != RUN_FAILED)
            continue;
        look->last_failure_status = (int)number(run, "exit_status", -1);
        look->not_before_ms = (int64_t)number(run, "not_before", 0) - clock_wall_ms();
        if (look->not_before_ms > 300000)
            look->not_before_ms = 300000;
        look->tail = string(run, "output");
        look->tail_length = strlen(look->tail);
        if (ask->watch_from && token_of(run) >= ask->watch_from)
            look->failed =
                (struct run){.token = token_of(run), .state = RUN_FAILED, .exit_status = look->last_failure_status};
    }
}

static void set(cJSON *object, const char *name, cJSON *value)
{
    cJSON_DeleteItemFromObject(object, name);
    cJSON_AddItemToObject(object, name, value);
}

static void set_time(cJSON *object, const char *name)
{
    char text[CLOCK_TEXT_CAPACITY];
    clock_text(clock_wall_ms(), text);
    set(object, name, cJSON_CreateString(text));
}

static void forget_old_runs(cJSON *state)
{
    cJSON *runs = cJSON_GetObjectItem(state, "runs");
    while (cJSON_GetArraySize(runs) >= KEEP_RUNS)
        cJSON_DeleteItemFromArray(runs, 0);
    int outputs = cJSON_GetArraySize(runs) - KEEP_OUTPUTS;
    for (int i = 0; i < outputs; i++)
        cJSON_DeleteItemFromObject(cJSON_GetArrayItem(runs, i), "output");
}

static cJSON *new_run(const struct backend_config *config, const struct mark *mark)
{
    const struct holder *me = config->holder;
    cJSON *run = cJSON_CreateObject();
    cJSON_AddNumberToObject(run, "token", (double)mark->token);
    cJSON_AddStringToObject(run, "target", config->target);
    cJSON_AddStringToObject(run, "state", run_state_name(RUN_RUNNING));
    cJSON_AddNumberToObject(run, "attempt", mark->attempt);
    cJSON_AddStringToObject(run, "host", me->host);
    cJSON_AddStringToObject(run, "container", me->container);
    cJSON_AddNumberToObject(run, "pid", (double)me->pid);
    cJSON_AddStringToObject(run, "holder", me->nonce);
    cJSON_AddStringToObject(run, "root", me->root);
    cJSON_AddStringToObject(run, "command", config->command);
    cJSON_AddStringToObject(run, "lockstep_version", config->version);
    set_time(run, "started_at");
    return run;
}

int file_state_mark(cJSON *state, const struct backend_config *config, const struct mark *mark)
{
    if (mark->repeat) {
        cJSON *run = find_run(state, mark->token);
        if (!run || token_of(state) != mark->token)
            return 0;
        set(run, "attempt", cJSON_CreateNumber(mark->attempt));
        return 1;
    }
    if (token_of(state) + 1 != mark->token)
        return 0;
    cJSON *run;
    cJSON_ArrayForEach(run, cJSON_GetObjectItem(state, "runs"))
    {
        if (run_state_named(string(run, "state")) == RUN_RUNNING) {
            set(run, "state", cJSON_CreateString(run_state_name(RUN_LOST)));
            set_time(run, "finished_at");
        }
    }
    forget_old_runs(state);
    set(state, "token", cJSON_CreateNumber((double)mark->token));
    cJSON_AddItemToArray(cJSON_GetObjectItem(state, "runs"), new_run(config, mark));
    return 1;
}

void file_state_progress(cJSON *state, uint64_t token, const char *last_line)
{
    cJSON *run = find_run(state, token);
    if (!run)
        return;
    set(run, "last_line", cJSON_CreateString(last_line));
    set_time(run, "beat_at");
}

static void set_output(cJSON *run, const struct ending *ending)
{
    char *line = strndup(ending->output, ending->output_length); /* JSON must be UTF-8, a tool's output need not be */
    char *clean = malloc(ending->output_length + 1), *next = clean;
    for (char *rest = line; clean && rest && *rest;) {
        size_t length = strcspn(rest, "\n");
        bool ended = rest[length] == '\n';
        rest[length] = '\0';
        utf8_clean(rest, next, ending->output_length + 1 - (size_t)(next - clean));
        next += strlen(next);
        if (ended)
            *next++ = '\n';
        rest += length + ended;
    }
    if (clean) {
        *next = '\0';
        set(run, "output", cJSON_CreateString(clean));
    }
    free(clean);
    free(line);
}

int file_state_end(cJSON *state, const struct ending *ending)
{
    cJSON *run = find_run(state, ending->token);
    if (!run || token_of(state) != ending->token || run_state_named(string(run, "state")) != RUN_RUNNING)
        return 0;
    set(run, "state", cJSON_CreateString(run_state_name(ending->state)));
    set(run, "exit_status", cJSON_CreateNumber(ending->exit_status));
    set(run, "last_line", cJSON_CreateString(ending->last_line));
    set_output(run, ending);
    set_time(run, "finished_at");
    const char *target = string(run, "target");
    if (ending->state == RUN_FAILED) {
        int failures = failures_of(state, target);
        int64_t delay = failures >= 9 ? 300 : (int64_t)1 << failures; /* DESIGN section 2, rule 8 */
        set(run, "not_before", cJSON_CreateNumber((double)(clock_wall_ms() + 1000 * (delay > 300 ? 300 : delay))));
    }
    struct look look = {.applied = false};
    look_at_applied(state, target, &look);
    if (ending->state == RUN_SUCCEEDED && !look.applied) {
        cJSON *applied = cJSON_CreateObject();
        cJSON_AddStringToObject(applied, "target", target);
        cJSON_AddNumberToObject(applied, "token", (double)ending->token);
        set_time(applied, "at");
        cJSON_AddItemToArray(cJSON_GetObjectItem(state, "applied"), applied);
    }
    return 1;
}
