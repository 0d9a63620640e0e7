/* What concerns more than one option. */
#include "options_places.h"
#include "options_tool.h"

#include "record.h"

#include <string.h>

#define SCHEMA_LENGTH_MAX 63

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

/* --applied-if, which a tool may be, says whether; the others say what, and beside it only name the version. */
static int check_target(const struct options *options, struct err *err)
{
    const char *said[4];
    int count = 0;
    if (options->tool && !options->commands[COMMAND_APPLIED_IF])
        said[count++] = "--tool (LOCKSTEP_TOOL)";
    if (options->target)
        said[count++] = "--target (LOCKSTEP_TARGET)";
    if (options->target_files.count)
        said[count++] = "--target-files (LOCKSTEP_TARGET_FILES)";
    if (count > 1)
        return err_set(err, ERR_USAGE, "%s and %s both say what the image needs; right would be one of them", said[0],
                       said[1]);
    if (options->target && strlen(options->target) >= TARGET_CAPACITY)
        return err_set(err, ERR_USAGE, "--target (LOCKSTEP_TARGET) is longer than %d bytes", TARGET_CAPACITY - 1);
    return 0;
}

static int check_verb(const struct options *options, struct err *err)
{
    static const char *const reserved[] = {"status", "logs", "retry"};
    for (size_t i = 0; options->first_word && i < sizeof reserved / sizeof reserved[0]; i++)
        if (strcmp(options->first_word, reserved[i]) == 0)
            return err_set(err, ERR_USAGE,
                           "%s is not in this version of lockstep; a program of that name goes behind --", reserved[i]);
    if (options->verb == VERB_RUN && !options->command)
        return err_set(err, ERR_USAGE,
                       "run needs the COMMAND to execute once the version is there; right would be lockstep "
                       "run [OPTIONS] COMMAND, or one of migrate, wait, check, doctor, schema, --help");
    if (options->command && options->verb != VERB_RUN && options->verb != VERB_WAIT)
        return err_set(err, ERR_USAGE,
                       "%s: %s takes no COMMAND; the migration's goes into --migrate "
                       "(LOCKSTEP_MIGRATE)",
                       options_quoted(options->command[0]), options->first_word);
    return 0;
}

static int check_migrate(const struct options *options, struct err *err)
{
    bool migrates = options->verb == VERB_RUN || options->verb == VERB_MIGRATE;
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
    if (check_verb(options, err) != 0 || check_name(options->name, err) != 0 ||
        options_choose_tool(options, err) != 0 || check_target(options, err) != 0 || check_migrate(options, err) != 0)
        return -1;
    return options_find_places(options, origins, err);
}
