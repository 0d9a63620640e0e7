#include "options_table.h"

#include "options_places.h"
#include "record.h"
#include "times.h"

#include <string.h>

#define AT(member) offsetof(struct options, member)

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
    {"--tool", "LOCKSTEP_TOOL", "NAME", OPTION_TEXT, AT(tool), NULL, 0, 0, NULL, false,
     "the migration tool, whose own files and table say what is pending: prisma, alembic, rails, ...; auto finds it "
     "out, "
     "and is the default if nothing else says what the image needs"},
    {"--migrations", "LOCKSTEP_MIGRATIONS", "DIR", OPTION_TEXT, AT(migrations), NULL, 0, 0, NULL, false,
     "where the image's migrations are; default: where the tool has them"},
    {"--migrations-pattern", "LOCKSTEP_MIGRATIONS_PATTERN", "RE", OPTION_TEXT, AT(migrations_pattern), NULL, 0, 0, NULL,
     false, "which files there are migrations; the first group of this POSIX extended expression is the id"},
    {"--applied-sql", "LOCKSTEP_APPLIED_SQL", "SQL", OPTION_TEXT, AT(applied_sql), NULL, 0, 0, NULL, false,
     "query for the ids that the database has; a row <=N stands for all up to N"},
    {"--failed-sql", "LOCKSTEP_FAILED_SQL", "SQL", OPTION_TEXT, AT(failed_sql), NULL, 0, 0, NULL, false,
     "query for what stands in the way of the tool: ids, and perhaps why; nothing is started then"},
    {"--target", "LOCKSTEP_TARGET", "V", OPTION_TEXT, AT(target), NULL, 0, 0, NULL, false,
     "the version that this image needs"},
    {"--target-files", "LOCKSTEP_TARGET_FILES", "GLOB", OPTION_LIST, AT(target_files), NULL, 0, 0, NULL, false,
     "the version is a hash over these files (repeatable)"},
    {"--applied-if", "LOCKSTEP_APPLIED_IF", "CMD", OPTION_TEXT, AT(commands[COMMAND_APPLIED_IF]), NULL, 0, 0, NULL,
     false, "the app's own check, exit 0 = nothing is pending; a version beside it is a name only"},
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
