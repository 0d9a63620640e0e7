#include "options_tool.h"

#include <string.h>

/* A tool that nobody knows: --migrations, --migrations-pattern and --applied-sql say it all. */
static const struct tool by_hand = {
    .name = "by-hand",
    .title = "the migration tool",
    .source = TOOL_FILES,
    .ids = TOOL_PLAIN,
};

/* One of the options that change a preset, NULL if there is none. */
static const char *change_of(const struct options *o)
{
    return o->migrations           ? "--migrations (LOCKSTEP_MIGRATIONS)"
           : o->migrations_pattern ? "--migrations-pattern (LOCKSTEP_MIGRATIONS_PATTERN)"
           : o->applied_sql        ? "--applied-sql (LOCKSTEP_APPLIED_SQL)"
           : o->failed_sql         ? "--failed-sql (LOCKSTEP_FAILED_SQL)"
                                   : NULL;
}

static bool is_said_otherwise(const struct options *o)
{
    return o->target || o->target_files.count || o->commands[COMMAND_APPLIED_IF];
}

static int find_named(struct options *o, struct err *err)
{
    char names[400];
    o->preset = tool_find(o->tool);
    if (o->preset)
        return 0;
    tool_names(names, sizeof names);
    return err_set(err, ERR_USAGE,
                   "--tool (LOCKSTEP_TOOL): %s is no tool that lockstep knows; known are auto, %s; for another one "
                   "--migrations, --migrations-pattern and --applied-sql say it all",
                   options_quoted(o->tool), names);
}

static int find_by_itself(struct options *o, struct err *err)
{
    o->preset = tool_detect(o->commands[COMMAND_MIGRATE], o->preset_why, sizeof o->preset_why, err);
    if (o->preset)
        return 0;
    const char *change = change_of(o);
    if (!change)
        return -1;
    return err_set(err, ERR_USAGE,
                   "%s needs a tool that it is about: add --tool NAME (LOCKSTEP_TOOL); for one that lockstep does not "
                   "know, --migrations, --migrations-pattern and --applied-sql say it all together",
                   change);
}

int options_choose_tool(struct options *o, struct err *err)
{
    const char *change = change_of(o);
    int result = 0;
    if (!o->tool && is_said_otherwise(o))
        return change ? err_set(err, ERR_USAGE, "%s goes with --tool (LOCKSTEP_TOOL), which reads the tool's own table",
                                change)
                      : 0;
    if (o->tool && strcmp(o->tool, "auto") != 0)
        result = find_named(o, err);
    else if (!o->tool && o->migrations && o->migrations_pattern && o->applied_sql)
        o->preset = &by_hand;
    else
        result = find_by_itself(o, err);
    if (result != 0)
        return -1;
    if (!o->commands[COMMAND_MIGRATE])
        o->commands[COMMAND_MIGRATE] = o->preset->migrate;
    if (o->preset->applied_if && !o->applied_sql && !o->commands[COMMAND_APPLIED_IF])
        o->commands[COMMAND_APPLIED_IF] = o->preset->applied_if;
    return 0;
}
