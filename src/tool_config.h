/* What a project's own configuration says about a tool: only what stands there as a literal string. Code that works a
 * name out is not understood. */
#ifndef LOCKSTEP_TOOL_CONFIG_H
#define LOCKSTEP_TOOL_CONFIG_H

#include "tool.h"

#include <stddef.h>

/* Writes the names of the history table, raw and without quotes, that the project configures for `tool`, "" for one
 * that it does not. `folder` is where the migrations were found (Alembic's env.py is above it). Returns how many were
 * found. */
int tool_configured_table(const struct tool *tool, tool_variable *variable, const char *folder, char *schema,
                          size_t schema_capacity, char *table, size_t table_capacity);

enum tool_configured {
    TOOL_CONFIGURED_NOT,     /* nothing says where the migrations are: the tool's default counts */
    TOOL_CONFIGURED_NAMED,   /* `path` */
    TOOL_CONFIGURED_UNCLEAR, /* something does, and is not understood */
};

struct tool_folder {
    char said[512];  /* the file that says so, or why it is not understood; for people */
    char path[1024]; /* relative to the current directory, or several with commas between */
    bool may_lack;   /* of several, some need not be there */
};

/* Finds the folder of the migrations that the project configures for `tool`. */
enum tool_configured tool_configured_folder(const struct tool *tool, tool_variable *variable,
                                            struct tool_folder *folder);

/* Whether the folders below that folder count too (Alembic's recursive_version_locations, TypeORM's two stars). */
bool tool_configured_recursive(const struct tool *tool);

/* Writes the path of the plan that the project configures (Sqitch's core.plan_file); false if it configures none. */
bool tool_configured_plan(const struct tool *tool, char *path, size_t capacity);

#endif
