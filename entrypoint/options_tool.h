/* Which migration tool it is, and what its preset stands for (DESIGN section 6). */
#ifndef LOCKSTEP_OPTIONS_TOOL_H
#define LOCKSTEP_OPTIONS_TOOL_H

#include "options.h"

/* Sets options->preset by --tool, by detection if nothing says what the image needs, or by the options for a tool that
 * nobody knows; then the commands that the user left to it. -1 with ERR_USAGE. */
int options_choose_tool(struct options *options, struct err *err);

#endif
