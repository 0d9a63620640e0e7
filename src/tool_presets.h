/* The two tables of presets that tool.c puts together; each is in the order of its names and ends with one that has
 * none. */
#ifndef LOCKSTEP_TOOL_PRESETS_H
#define LOCKSTEP_TOOL_PRESETS_H

#include "tool.h"

extern const struct tool tool_presets_node[];  /* what npm installs */
extern const struct tool tool_presets_other[]; /* everything else */

#endif
