#include "options_table.h"

#include "options_places.h"
#include "record.h"
#include "times.h"

#include <string.h>

#define SCHEMA_LENGTH_MAX 63
#define AT(member)        offsetof(struct options, member)

static const char *const failure_choices[] = {"exit", "start", NULL};
static const char *const format_choices[] = {"text", "json", NULL};
static const char *const level_choices[] = {"debug", "info", "warning", "error", NULL};

const struct option options_table[] = {
    {"--name", "LOCKSTEP_NAME", "NAME", OPTION_TEXT, AT(name), "default", 0, 0, NULL, false,
     "which gate; images that migrate different schemas need different names; required with Redis"},
    {"--lock", "LOCKSTEP_LOCK", "URL", OPTION_TEXT, AT(lock), NULL, 0, 0, NULL, true,
     "where replicas meet: postgres://..., redis://..., file:/DIRECTORY; default: the database (by DIRECT_URL if there "
     "is "
     "one), else REDIS_URL, else a local directory"},
    {"--database", "LOCKSTEP_DATABASE", "URL", OPTION_TEXT, AT(database), NULL, 0, 0, NULL, true,
     "the database that is migrated; default: DATABASE_URL, else what the app's other variables say (PGHOST, DB_HOST, "
     "...)"},
    {"--migrate", "LOCKSTEP_MIGRATE", "CMD", OPTION_TEXT, AT(commands[COMMAND_MIGRATE]), NULL, 0, 0, NULL, false,
     "the migration command; a JSON array is executed, anything else runs by /bin/sh -c"},
    {"--target", "LOCKSTEP_TARGET", "V", OPTION_TEXT, AT(target), NULL, 0, 0, NULL, false,
     "the version that this image needs"},
    {"--target-files", "LOCKSTEP_TARGET_FILES", "GLOB", OPTION_LIST, AT(target_files), NULL, 0, 0, NULL, false,
     "the version is a hash over these files (repeatable)"},
    {"--applied-if", "LOCKSTEP_APPLIED_IF", "CMD", OPTION_TEXT, AT(commands[COMMAND_APPLIED_IF]), NULL, 0, 0, NULL,
     false, "instead of a version: the app's own check, exit 0 = nothing is pending"},
    {"--before", "LOCKSTEP_BEFORE", "CMD", OPTION_TEXT, AT(commands[COMMAND_BEFORE]), NULL, 0, 0, NULL, false,
     "run by the winner under the lock before it migrates (a backup); if it fails, nothing is migrated"},
    {"--after", "LOCKSTEP_AFTER", "CMD", OPTION_TEXT, AT(commands[COMMAND_AFTER]), NULL, 0, 0, NULL, false,
     "run by the winner under the lock once it has migrated (a cache warm-up); if it fails, the version is applied"},
    {"--wait-timeout", "LOCKSTEP_WAIT_TIMEOUT", "D", OPTION_DURATION, AT(wait_timeout), "1h", 0, 0, NULL, false,
     "whole time at the gate, 0 = for ever"},
    {"--connect-timeout", "LOCKSTEP_CONNECT_TIMEOUT", "D", OPTION_DURATION, AT(connect_timeout), "60s", 1, 0, NULL,
     false, "how long, at a stretch, the server may be unreachable"},
    {"--migrate-timeout", "LOCKSTEP_MIGRATE_TIMEOUT", "D", OPTION_DURATION, AT(migrate_timeout), "0", 0, 0, NULL, false,
     "the command is stopped after this long, 0 = never"},
    {"--stop-grace", "LOCKSTEP_STOP_GRACE", "D", OPTION_DURATION, AT(stop_grace), "8s", 0, 0, NULL, false,
     "on SIGTERM: time between the forwarded signal and SIGKILL"},
    {"--lease", "LOCKSTEP_LEASE", "D", OPTION_DURATION, AT(lease), "25s", TIMES_LEASE_MIN, TIMES_LEASE_MAX, NULL, false,
     "how long the lock outlives the last sign of life of its holder"},
    {"--retries", "LOCKSTEP_RETRIES", "N", OPTION_NUMBER, AT(retries), "0", 0, 0, NULL, false,
     "how often the winner repeats a failing command in place"},
    {"--retry-delay", "LOCKSTEP_RETRY_DELAY", "D", OPTION_DURATION, AT(retry_delay), "5s", 0, 0, NULL, false,
     "pause before each of them"},
    {"--max-attempts", "LOCKSTEP_MAX_ATTEMPTS", "N", OPTION_NUMBER, AT(max_attempts), "0", 0, 0, NULL, false,
     "recorded failures of one target after which nobody tries again, 0 = no limit"},
    {"--on-failure", "LOCKSTEP_ON_FAILURE", "exit|start", OPTION_CHOICE, AT(on_failure), "exit", 0, 0, failure_choices,
     false, "start = exec the app although the migration failed"},
    {"--init", "LOCKSTEP_INIT", "", OPTION_SWITCH, AT(init), "off", 0, 0, NULL, false,
     "stay as PID 1 after the gate: forward signals, reap"},
    {"--user", "LOCKSTEP_USER", "USER[:GROUP]", OPTION_TEXT, AT(user), NULL, 0, 0, NULL, false,
     "who the app and the migration command run as, by name or number; lockstep itself runs as it was started"},
    {"--migrate-user", "LOCKSTEP_MIGRATE_USER", "USER[:GROUP]", OPTION_TEXT, AT(migrate_user), NULL, 0, 0, NULL, false,
     "who the migration command runs as, if that is somebody else"},
    {"--unset", "LOCKSTEP_UNSET", "NAME", OPTION_LIST, AT(unset), NULL, 0, 0, NULL, false,
     "variable that the app does not get (repeatable)"},
    {"--log-format", "LOCKSTEP_LOG_FORMAT", "text|json", OPTION_CHOICE, AT(log_json), "text", 0, 0, format_choices,
     false, "how lockstep's lines look"},
    {"--log-level", "LOCKSTEP_LOG_LEVEL", "LEVEL", OPTION_CHOICE, AT(log_level), "info", 0, 0, level_choices, false,
     "debug, info, warning or error"},
    {"--allow-eviction", "LOCKSTEP_ALLOW_EVICTION", "", OPTION_SWITCH, AT(allow_eviction), "off", 0, 0, NULL, false,
     "meet in a Redis that may evict any key"},
    {"--schema", "LOCKSTEP_SCHEMA", "NAME", OPTION_TEXT, AT(schema), "lockstep", 0, 0, NULL, false,
     "Postgres schema of the record tables"},
};

const int options_count = (int)(sizeof options_table / sizeof options_table[0]);

bool options_consumes(const char *name)
{
    for (int i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        size_t length = strlen(option->variable);
        if (strncmp(name, option->variable, length) == 0 &&
            (name[length] == '\0' || (option->secret && strcmp(name + length, "_FILE") == 0)))
            return true;
    }
    for (int i = 0; i < APP_URLS; i++) {
        size_t length = strlen(options_app_urls[i]);
        if (strncmp(name, options_app_urls[i], length) == 0 && strcmp(name + length, "_FILE") == 0)
            return true;
    }
    return false;
}

static int check_name(const char *name, struct err *err)
{
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (name[good] || good >= NAME_CAPACITY)
        return err_set(err, ERR_USAGE,
                       "--name (LOCKSTEP_NAME): %s is not a name for a gate; right would be 1 to %d "
                       "letters, digits, dots, hyphens and underscores",
                       options_quoted(name), NAME_CAPACITY - 1);
    return 0;
}

static int check_target(const struct options *options, struct err *err)
{
    const char *said[3];
    int count = 0;
    if (options->target)
        said[count++] = "--target (LOCKSTEP_TARGET)";
    if (options->target_files.count)
        said[count++] = "--target-files (LOCKSTEP_TARGET_FILES)";
    if (options->commands[COMMAND_APPLIED_IF])
        said[count++] = "--applied-if (LOCKSTEP_APPLIED_IF)";
    if (count > 1)
        return err_set(err, ERR_USAGE, "%s and %s both say what the image needs; right would be one of them", said[0],
                       said[1]);
    if (count == 0)
        return err_set(err, ERR_USAGE,
                       "nothing says what version the image needs; add --target VERSION (LOCKSTEP_TARGET), "
                       "--target-files GLOB (LOCKSTEP_TARGET_FILES), such as --target-files 'migrations/*.sql', or "
                       "--applied-if CMD (LOCKSTEP_APPLIED_IF)");
    if (options->target && strlen(options->target) >= TARGET_CAPACITY)
        return err_set(err, ERR_USAGE, "--target (LOCKSTEP_TARGET) is longer than %d bytes", TARGET_CAPACITY - 1);
    return 0;
}

static int check_verb(const struct options *options, struct err *err)
{
    static const char *const reserved[] = {"status", "logs", "retry", "doctor"};
    for (size_t i = 0; options->first_word && i < sizeof reserved / sizeof reserved[0]; i++)
        if (strcmp(options->first_word, reserved[i]) == 0)
            return err_set(err, ERR_USAGE,
                           "%s is not in this version of lockstep; a program of that name goes behind --", reserved[i]);
    bool migrates = options->verb == VERB_RUN || options->verb == VERB_MIGRATE;
    if (options->verb == VERB_RUN && !options->command)
        return err_set(err, ERR_USAGE,
                       "run needs the COMMAND to execute once the version is there; right would be lockstep "
                       "run [OPTIONS] COMMAND, or one of migrate, wait, check, schema, --help");
    if (options->command && (options->verb == VERB_MIGRATE || options->verb == VERB_CHECK))
        return err_set(err, ERR_USAGE,
                       "%s: %s takes no COMMAND; the migration's goes into --migrate "
                       "(LOCKSTEP_MIGRATE)",
                       options_quoted(options->command[0]), options->verb == VERB_CHECK ? "check" : "migrate");
    if (migrates && !options->commands[COMMAND_MIGRATE])
        return err_set(err, ERR_USAGE,
                       "--migrate (LOCKSTEP_MIGRATE) is missing; right would be --migrate 'npm run migrate', "
                       "or the verb wait for a container that never migrates");
    return 0;
}

int options_check(struct options *options, const enum origin origins[], struct err *err)
{
    if (strlen(options->schema) > SCHEMA_LENGTH_MAX)
        return err_set(err, ERR_USAGE, "--schema (LOCKSTEP_SCHEMA) is longer than %d bytes, where Postgres cuts names",
                       SCHEMA_LENGTH_MAX);
    if (options->verb == VERB_SCHEMA)
        return options->command
                   ? err_set(err, ERR_USAGE, "%s: schema takes no COMMAND", options_quoted(options->command[0]))
                   : 0;
    if (check_verb(options, err) != 0 || check_name(options->name, err) != 0 || check_target(options, err) != 0)
        return -1;
    return options_find_places(options, origins, err);
}
