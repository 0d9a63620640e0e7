#include "words.h"

#include "clock.h"
#include "exitcodes.h"
#include "log.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define TAIL_LINES 40 /* of a failed run; `lockstep logs` has all of it */

static long long seconds(int64_t ms)
{
    return (long long)((ms + 500) / 1000);
}

static const char *signal_name(int signal)
{
    switch (signal) {
    case SIGTERM:
        return "SIGTERM";
    case SIGINT:
        return "SIGINT";
    case SIGQUIT:
        return "SIGQUIT";
    case SIGHUP:
        return "SIGHUP";
    default:
        return "a signal";
    }
}

void words_starting(const struct words *words)
{
    const struct options *o = words->options;
    bool local = strncmp(words->place, "file:", 5) == 0;
    bool by_default = local && strcmp(o->lock_what, OPTIONS_DEFAULT_PLACE) == 0; /* a database was not looked for */
    log_say(by_default && o->preset ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, EVENT_STARTING,
            LOG_FIELDS(LOG_TEXT("version", LOCKSTEP_VERSION), LOG_TEXT("name", o->name),
                       LOG_TEXT("target", words->target), LOG_TEXT("lock", words->place)),
            "gate %s wants version %s; meeting at %s%s%s", o->name, words->target, words->place,
            local ? ", which only replicas on this host share" : "",
            by_default && o->preset ? "; for others name the database: DATABASE_URL, --database, or --lock" : "");
}

static void say_waiting(const struct words *words)
{
    const struct run *run = &words->last;
    log_say(LOG_LEVEL_INFO, EVENT_WAITING,
            LOG_FIELDS(LOG_NUMBER("token", run->token), LOG_TEXT("host", run->host),
                       LOG_TEXT("container", run->container), LOG_TEXT("since", run->since)),
            "waiting for run %" PRIu64 " on %s, which migrates since %s", run->token, run->host, run->since);
}

static void say_progress(const struct words *words, const struct gate *gate)
{
    const struct run *run = &words->last;
    long long waited = seconds(words->now - words->began);
    const struct log_field *fields =
        LOG_FIELDS(LOG_NUMBER("token", run->token), LOG_NUMBER("seconds", waited), LOG_TEXT("line", run->last_line));
    if (gate->state == AT_QUARANTINE)
        log_progress(fields, "still waiting out the quarantine, %lld s so far", waited);
    else if (gate->state == AT_BACK_OFF)
        log_progress(fields, "still backing off after the failure of run %" PRIu64 ", %lld s so far", run->token,
                     waited);
    else if (gate->unreachable_since != GATE_NEVER)
        log_progress(fields, "still trying to reach %s, %lld s so far%s%s", words->place, waited,
                     words->problem[0] ? ": " : "", words->problem);
    else if (run->state == RUN_RUNNING)
        log_progress(fields, "still waiting for run %" PRIu64 " on %s, %lld s so far%s%s", run->token, run->host,
                     waited, run->last_line[0] ? ": " : "", run->last_line);
    else
        log_progress(fields, "still waiting for version %s, %lld s so far", words->target, waited);
}

static void say_deadline(const struct words *words, const struct gate_action *action)
{
    char until[CLOCK_TEXT_CAPACITY];
    int64_t left = action->deadline - words->now;
    clock_text(clock_wall_ms() + left, until);
    const struct log_field *fields =
        LOG_FIELDS(LOG_NUMBER("token", action->token), LOG_NUMBER("seconds", seconds(left)), LOG_TEXT("until", until));
    if (action->event == EVENT_BACKOFF)
        log_say(LOG_LEVEL_WARNING, EVENT_BACKOFF, fields,
                "run %" PRIu64 " of this version failed; nobody tries again before %s (%lld s)", action->token, until,
                seconds(left));
    else if (action->state != RUN_RUNNING)
        log_say(LOG_LEVEL_WARNING, EVENT_QUARANTINE, fields,
                "%s is new, was restarted or replaced since the last run, and may have forgotten one that is still at "
                "work; waiting it out for %lld s, until %s",
                words->place, seconds(left), until);
    else
        log_say(LOG_LEVEL_WARNING, EVENT_QUARANTINE, fields,
                "run %" PRIu64 " never ended, so it may still be at work; waiting it out for %lld s, until %s",
                action->token, seconds(left), until);
}

static void say_own_run(const struct words *words, const struct gate *gate, const struct gate_action *action)
{
    long long took = seconds(words->now - words->migrating_since);
    switch (action->event) {
    case EVENT_MIGRATING:
        log_say(LOG_LEVEL_INFO, EVENT_MIGRATING,
                LOG_FIELDS(LOG_NUMBER("token", action->token), LOG_NUMBER("attempt", gate->attempt),
                           LOG_TEXT("previous", run_state_name(gate->previous))),
                "run %" PRIu64 ": migrating to version %s (attempt %d)", action->token, words->target, gate->attempt);
        break;
    case EVENT_MIGRATED:
        log_say(LOG_LEVEL_INFO, EVENT_MIGRATED,
                LOG_FIELDS(LOG_NUMBER("token", action->token), LOG_NUMBER("seconds", took)),
                "run %" PRIu64 ": version %s is applied, after %lld s", action->token, words->target, took);
        break;
    case EVENT_FAILED:
        log_say(LOG_LEVEL_WARNING, EVENT_FAILED,
                LOG_FIELDS(LOG_NUMBER("token", action->token), LOG_NUMBER("status", action->status)),
                "run %" PRIu64 " failed with status %d; trying again in %lld s", action->token, action->status,
                seconds(words->options->retry_delay));
        break;
    case EVENT_INTERRUPTED:
        log_say(LOG_LEVEL_WARNING, EVENT_INTERRUPTED,
                LOG_FIELDS(LOG_NUMBER("token", action->token), LOG_NUMBER("signal", action->signal)),
                "run %" PRIu64 " was interrupted by %s; another replica takes over", action->token,
                signal_name(action->signal));
        break;
    case EVENT_STOPPING:
        log_say(LOG_LEVEL_WARNING, EVENT_STOPPING,
                LOG_FIELDS(LOG_NUMBER("token", action->token), LOG_NUMBER("signal", action->signal)),
                "run %" PRIu64 ": stopping the migration (%s)", action->token,
                gate->stop == GATE_STOP_LOST      ? "the lock is lost"
                : gate->stop == GATE_STOP_TIMEOUT ? "--migrate-timeout"
                                                  : signal_name(action->signal));
        break;
    default:
        break;
    }
}

void words_say(const struct words *words, const struct gate *gate, const struct gate_action *action)
{
    switch (action->event) {
    case EVENT_SATISFIED:
        log_say(LOG_LEVEL_INFO, EVENT_SATISFIED, LOG_FIELDS(LOG_TEXT("target", words->target)), "version %s is applied",
                words->target);
        break;
    case EVENT_AHEAD:
        log_say(LOG_LEVEL_INFO, EVENT_AHEAD, LOG_FIELDS(LOG_TEXT("target", words->target)),
                "the database is ahead: newer versions than this image needs are applied");
        break;
    case EVENT_WAITING:
        say_waiting(words);
        break;
    case EVENT_PROGRESS:
        say_progress(words, gate);
        break;
    case EVENT_LOCKED:
        log_say(LOG_LEVEL_DEBUG, EVENT_LOCKED, LOG_NO_FIELDS, "the lock is ours");
        break;
    case EVENT_QUARANTINE:
    case EVENT_BACKOFF:
        say_deadline(words, action);
        break;
    case EVENT_TAKEOVER:
        log_say(LOG_LEVEL_WARNING, EVENT_TAKEOVER, LOG_FIELDS(LOG_NUMBER("token", action->token)),
                "taking over from run %" PRIu64 ", which is lost", action->token);
        break;
    case EVENT_LOST:
        log_say(LOG_LEVEL_ERROR, EVENT_LOST,
                LOG_FIELDS(LOG_NUMBER("token", action->token), LOG_TEXT("reason", words->problem)),
                "the lock is lost: %s", action->status ? words->problem : "no heartbeat was answered in time");
        break;
    case EVENT_PASSING:
        log_say(LOG_LEVEL_DEBUG, EVENT_PASSING, LOG_NO_FIELDS, "passing the gate");
        break;
    default:
        say_own_run(words, gate, action);
        break;
    }
}

/* The last lines of the run that failed, as its own replica printed them. */
static void print_tail(const char *tail)
{
    size_t length = strlen(tail);
    const char *start = tail + length;
    for (int lines = 0; start > tail; start--)
        if (start[-1] == '\n' && start < tail + length && ++lines == TAIL_LINES)
            break;
    while (*start) {
        char line[1024];
        size_t end = strcspn(start, "\n");
        snprintf(line, sizeof line, "%.*s", (int)(end < sizeof line ? end : sizeof line - 1), start);
        log_output(LOG_LEVEL_INFO, command_names[COMMAND_MIGRATE], true, line);
        start += end + (start[end] == '\n');
    }
}

static int say_run_failed(const struct words *words, const struct gate *gate, const struct gate_action *action)
{
    bool own_run = action->token == gate->token && gate->token != 0;
    int status = action->status >= 0 ? action->status : EXIT_CANNOT_GO_ON;
    const struct log_field *fields = LOG_FIELDS(LOG_NUMBER("token", action->token), LOG_NUMBER("status", status));
    if (!own_run)
        print_tail(words->failed_tail);
    if (action->reason == GATE_EXHAUSTED)
        log_say(LOG_LEVEL_ERROR, EVENT_FAILED, fields,
                "version %s failed as often as --max-attempts allows%s; nobody tries again until a new version comes",
                words->target, action->status >= 0 ? ", its output is printed above" : "");
    else if (own_run)
        log_say(LOG_LEVEL_ERROR, EVENT_FAILED, fields, "the migration failed with status %d%s%s", status,
                words->problem[0] ? ", which could not be recorded: " : "", words->problem);
    else
        log_say(LOG_LEVEL_ERROR, EVENT_FAILED, fields,
                "run %" PRIu64 " of the migration failed with status %d%s%s; the end of its output is printed above",
                action->token, status, words->last.token == action->token ? " on " : "",
                words->last.token == action->token ? words->last.host : "");
    return status;
}

static int say_error(const struct words *words, int status, const char *what)
{
    log_say(LOG_LEVEL_ERROR, EVENT_ERROR, LOG_FIELDS(LOG_NUMBER("code", status)), "%s%s%s", what,
            words->problem[0] ? ": " : "", words->problem);
    return status;
}

int words_failed(const struct words *words, const struct gate *gate, const struct gate_action *action)
{
    char text[320];
    switch (action->reason) {
    case GATE_PENDING:
        log_say(LOG_LEVEL_INFO, EVENT_PASSING, LOG_FIELDS(LOG_TEXT("target", words->target)), "version %s is pending",
                words->target);
        return EXIT_PENDING;
    case GATE_RUN_FAILED:
    case GATE_EXHAUSTED:
        return say_run_failed(words, gate, action);
    case GATE_TIMED_OUT:
        snprintf(text, sizeof text, "version %.60s did not come within --wait-timeout (%lld s)", words->target,
                 seconds(words->options->wait_timeout));
        return say_error(words, EXIT_TIMED_OUT, text);
    case GATE_UNREACHABLE:
        snprintf(text, sizeof text, "gave up after --connect-timeout (%lld s)",
                 seconds(words->options->connect_timeout));
        return say_error(words, EXIT_CANNOT_GO_ON, words->options->verb == VERB_CHECK ? "cannot go on" : text);
    case GATE_REFUSED:
        return say_error(words, EXIT_CANNOT_GO_ON, "cannot go on");
    case GATE_LOST_AGAIN:
        snprintf(
            text, sizeof text,
            "the lock was lost again and again while the migration ran; is there a timeout for idle transactions or "
            "clients in a pooler, a proxy or the server that is shorter than the heartbeat of %lld ms",
            (long long)times_from_lease(words->options->lease).heartbeat);
        return say_error(words, EXIT_CANNOT_GO_ON, text);
    case GATE_UNRECORDED:
        return say_error(words, EXIT_CANNOT_GO_ON, "the migration succeeded, but that could not be recorded");
    case GATE_STOPPED:
        return action->status;
    }
    return EXIT_CANNOT_GO_ON;
}
