#include "doctor_internal.h"

#include "environment.h"
#include "exitcodes.h"
#include "tail.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A line a topic, also where the user's words are several. Masked before it is cut: half a password is none that the
 * mask knows. */
static void print(const struct doctor *d, const char *topic, const char *format, va_list list)
{
    char *text, masked[4096];
    if (vasprintf(&text, format, list) < 0)
        return;
    mask_text(d->mask, text, masked, sizeof masked);
    free(text);
    for (char *c = masked; (c = strpbrk(c, "\r\n\t")) != NULL;)
        *c = ' ';
    for (size_t n = strlen(masked); n && masked[n - 1] == ' '; n--)
        masked[n - 1] = '\0';
    printf("%-20s %s\n", topic, masked);
}

void doctor_say(struct doctor *d, const char *topic, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print(d, topic, format, list);
    va_end(list);
}

void doctor_fault(struct doctor *d, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print(d, "error", format, list);
    va_end(list);
    d->faults++;
}

void doctor_need(struct doctor *d, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print(d, d->applied ? "warning" : "error", format, list);
    va_end(list);
    d->faults += !d->applied;
}

/* ---- what a start would need ------------------------------------------------------------------------------------ */

void doctor_words(struct doctor *d)
{
    const struct options *o = d->options;
    const struct plan *plan = d->plan;
    doctor_say(d, "gate", "%s", o->name);
    doctor_say(d, "meeting at", "%s (%s)", plan->place, o->lock_what);
    doctor_say(d, "version", "%s", plan->target);
    if (o->preset)
        doctor_say(d, "tool", "%s%s%s", o->preset->title, o->preset_why[0] ? ", because of " : "", o->preset_why);
    if (!plan->has_history)
        return;
    const char *pattern = o->migrations_pattern ? o->migrations_pattern : plan->history.tool->pattern;
    doctor_say(d, "--migrations", "%s", plan->migrations.folder);
    if (pattern)
        doctor_say(d, "--migrations-pattern", "%s", pattern);
    doctor_say(d, "--applied-sql", "%s", plan->history.applied_words);
    if (plan->history.failed_words)
        doctor_say(d, "--failed-sql", "%s", plan->history.failed_words);
    doctor_say(d, "migrations", "%zu%s%s", plan->migrations.count, plan->migrations.count ? ", the newest " : "",
               plan->migrations.newest);
}

/* The command as it may be said again: a shell's line is one word of it. */
static char *spell(char *const *argv)
{
    bool is_line = strcmp(argv[0], "/bin/sh") == 0 && argv[1] && strcmp(argv[1], "-c") == 0;
    char *words = NULL;
    size_t size;
    FILE *out = open_memstream(&words, &size);
    for (char *const *word = argv + (is_line ? 2 : 0); out && *word; word++)
        fprintf(out, "%s%s", ftell(out) > 0 ? " " : "", *word);
    if (out)
        fclose(out);
    return words;
}

static void report_command(struct doctor *d, enum command_kind kind)
{
    char *const *argv = d->plan->commands[kind].argv;
    char option[32];
    char *words = argv[0] ? spell(argv) : NULL;
    snprintf(option, sizeof option, "--%s", command_names[kind]);
    if (words)
        doctor_say(d, option, "%s", words);
    free(words);
}

void doctor_commands(struct doctor *d)
{
    for (int i = 0; d->options->preset && i < TOOL_WORDS_MAX && d->options->preset->environment[i]; i++)
        doctor_say(d, "environment", "%s", d->options->preset->environment[i]);
    for (int kind = 0; kind < COMMANDS; kind++)
        report_command(d, (enum command_kind)kind);
}

static bool is_there(const struct doctor *d, const char *program, struct err *err)
{
    char path[LAUNCH_PATH_CAPACITY];
    return launch_find(program, environ, path, err) == 0 && launch_check_user(path, &d->plan->who, err) == 0;
}

/* A command that is not there keeps nobody from starting who does not need it. The check has been run by then. */
void doctor_missing(struct doctor *d)
{
    struct err err;
    if (!d->options->commands[COMMAND_MIGRATE])
        doctor_fault(d, "--migrate (LOCKSTEP_MIGRATE) is missing: run and migrate need it, wait and check do not");
    for (int kind = 0; kind < COMMANDS; kind++) {
        char *const *argv = d->plan->commands[kind].argv;
        if (!argv[0] || kind == COMMAND_APPLIED_IF || is_there(d, argv[0], &err))
            continue;
        if (d->applied)
            doctor_say(d, "warning", "--%s: %s, which the next migration will need", command_names[kind], err.text);
        else
            doctor_fault(d, "--%s: %s; install it in the image, or say another with --%s", command_names[kind],
                         err.text, command_names[kind]);
    }
}

/* ---- --applied-if ----------------------------------------------------------------------------------------------- */

static void become_check(const struct doctor *d, int output)
{
    char *const *argv = d->plan->commands[COMMAND_APPLIED_IF].argv;
    char path[LAUNCH_PATH_CAPACITY];
    struct err err;
    char **environment = environment_of_check(d->options, environ, user_home(&d->plan->who));
    dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    int status = launch_find(argv[0], environment, path, &err);
    if (status == 0)
        status = launch_become(path, argv, environment, &d->plan->who, d->inherited, &err);
    dprintf(STDERR_FILENO, "%s\n", err.text);
    _exit(status);
}

/* Runs the check as a start would. Returns its status, with the last line of what it printed. */
static int run_check(const struct doctor *d, struct tail *tail)
{
    int ends[2], status;
    char *line = NULL;
    size_t capacity = 0;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        become_check(d, ends[1]);
    close(ends[1]);
    FILE *output = fdopen(ends[0], "r");
    while (output && getline(&line, &capacity, output) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        tail_add(tail, line);
    }
    free(line);
    if (output)
        fclose(output);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void doctor_check(struct doctor *d)
{
    static struct tail tail;
    int status = run_check(d, &tail);
    d->applied = status == 0;
    if (status == EXIT_NOT_FOUND || status == EXIT_NOT_EXECUTABLE || status < 0) {
        doctor_fault(d,
                     "--applied-if cannot be executed (status %d%s%s); install it in the image, or say another with "
                     "--applied-if",
                     status, *tail.last_line ? ": " : "", tail.last_line);
        return;
    }
    doctor_say(d, d->applied ? "applied" : "pending", "--applied-if ended with %d%s%s", status,
               *tail.last_line ? ": " : "", tail.last_line);
}
