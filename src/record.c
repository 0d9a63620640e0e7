#include "record.h"

#include <string.h>

static const char *const names[] = {
    [RUN_NONE] = "none",     [RUN_RUNNING] = "running",         [RUN_SUCCEEDED] = "succeeded",
    [RUN_FAILED] = "failed", [RUN_INTERRUPTED] = "interrupted", [RUN_LOST] = "lost",
};

const char *run_state_name(enum run_state state)
{
    return names[state];
}

enum run_state run_state_named(const char *name)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return (enum run_state)i;
    return RUN_NONE;
}
