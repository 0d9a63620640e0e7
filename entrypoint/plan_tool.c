/* The plan of a migration tool: the image's migrations, the query for those of the database, the command. */
#include "plan_internal.h"

#include "backend.h"
#include "log.h"
#include "url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *variable(const char *name)
{
    return getenv(name);
}

static int need_postgres(const struct options *options, struct err *err)
{
    if (options->database && url_is_postgres(options->database))
        return 0;
    return err_set(
        err, ERR_USAGE,
        "%s: the history of %s is read in Postgres, and %s%s; right would be DATABASE_URL=postgres://... or --database "
        "(LOCKSTEP_DATABASE), or for another kind of database --applied-if CMD or --target-files GLOB instead of "
        "--tool",
        options->tool ? "--tool (LOCKSTEP_TOOL)" : "the tool that was found", options->preset->title,
        options->database ? options->database_what : "neither DATABASE_URL nor PGHOST, DB_HOST or the like names it",
        options->database ? " names another kind" : "");
}

static void say_preset(const struct plan *plan, const struct options *options)
{
    const struct migrations *image = &plan->migrations;
    bool is_found = options->preset_why[0];
    log_say(is_found ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, EVENT_STARTING,
            LOG_FIELDS(LOG_TEXT("tool", options->preset->name), LOG_TEXT("migrations", image->folder),
                       LOG_NUMBER("count", image->count), LOG_TEXT("table", plan->history.table)),
            "taking the tool to be %s%s%s: %zu migration%s in %s, history in %s", options->preset->title,
            is_found ? ", because of " : "", options->preset_why, image->count, image->count == 1 ? "" : "s",
            image->folder, plan->history.table[0] ? plan->history.table : "what --applied-sql says");
    if (image->doubt[0])
        log_say(LOG_LEVEL_WARNING, EVENT_STARTING, LOG_NO_FIELDS, "%s", image->doubt);
    if (image->remark[0])
        log_say(LOG_LEVEL_INFO, EVENT_STARTING, LOG_NO_FIELDS, "%s", image->remark);
    if (image->count == 0)
        log_say(LOG_LEVEL_WARNING, EVENT_STARTING, LOG_NO_FIELDS, "%s holds no migrations, so the image needs none",
                image->folder);
}

int plan_tool(struct plan *plan, const struct options *options, struct err *err)
{
    const struct tool *tool = options->preset;
    struct migrations_ask ask = {
        .tool = tool,
        .folder = options->migrations,
        .folder_what = "--migrations (LOCKSTEP_MIGRATIONS)",
        .pattern = options->migrations_pattern,
        .variable = variable,
    };
    if (!ask.folder && tool->folder_variable) {
        const char *folder = variable(tool->folder_variable);
        ask.folder = folder && *folder ? folder : NULL;
        ask.folder_what = tool->folder_variable;
    }
    struct history_words words = {options->applied_sql, options->failed_sql, variable};
    if (need_postgres(options, err) != 0 || migrations_read(&plan->migrations, &ask, err) != 0)
        return -1;
    bool is_direct = options->direct && options->lock == options->direct; /* another way to the same database */
    bool is_shared = is_direct || strcmp(options->lock, options->database) == 0;
    int result = history_plan_make(&plan->history, tool, &plan->migrations, &words,
                                   is_direct ? options->direct : options->database,
                                   is_direct ? options->direct_what : options->database_what, is_shared, err);
    plan->has_history = result == 0;
    migrations_target(&plan->migrations, tool->name, plan->target);
    if (result == 0)
        say_preset(plan, options);
    return result;
}

void plan_say_check(const struct options *options)
{
    bool is_found = options->preset_why[0];
    log_say(is_found ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, EVENT_STARTING,
            LOG_FIELDS(LOG_TEXT("tool", options->preset->name)),
            "taking the tool to be %s%s%s: its own check says whether something is pending", options->preset->title,
            is_found ? ", because of " : "", options->preset_why);
}

static bool is_found(const char *program, char *const environment[])
{
    char path[LAUNCH_PATH_CAPACITY];
    struct err unused;
    return launch_find(program, environment, path, &unused) == 0;
}

/* Puts `word` before the command's others. */
static void put_first(struct command *command, const char *word)
{
    int count = 0;
    while (command->argv[count])
        count++;
    if (count == COMMAND_WORDS_MAX)
        return;
    memmove(command->argv + 1, command->argv, (size_t)(count + 1) * sizeof command->argv[0]);
    command->argv[0] = strdup(word);
}

/* A tool of another language that npm has too (dbmate). */
static void find_in_node_modules(struct command *command, char *const environment[])
{
    char *program, *name = command->argv[0];
    if (is_found(name, environment) || asprintf(&program, TOOL_NODE_BIN "%s", name) < 0)
        return;
    if (access(program, X_OK) != 0) {
        free(program);
        return;
    }
    free(name);
    command->argv[0] = program;
}

void plan_adapt_command(struct command *command, char *const environment[])
{
    size_t length = strlen(TOOL_NODE_BIN);
    if (command->argv[0] && !strchr(command->argv[0], '/'))
        find_in_node_modules(command, environment);
    char *program = command->argv[0];
    if (!program || strncmp(program, TOOL_NODE_BIN, length) != 0)
        return;
    if (access(program, F_OK) != 0 && is_found(program + length, environment))
        memmove(program, program + length, strlen(program + length) + 1);
    else if (!is_found("node", environment) && is_found("bun", environment))
        put_first(command, "bun");
}
