#include "tool.h"

#include "err.h"
#include "tool_presets.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const struct tool *tool_at(size_t index)
{
    const struct tool *node = tool_presets_node;
    const struct tool *other = tool_presets_other;
    for (;; index--) {
        bool node_first = node->name && (!other->name || strcmp(node->name, other->name) < 0);
        const struct tool *next = node_first ? node : other;
        if (!next->name || index == 0)
            return next->name ? next : NULL;
        node += node_first;
        other += !node_first;
    }
}

const struct tool *tool_find(const char *name)
{
    const struct tool *tool;
    for (size_t i = 0; (tool = tool_at(i)); i++)
        if (strcasecmp(tool->name, name) == 0)
            return tool;
    return NULL;
}

void tool_names(char *text, size_t capacity)
{
    const struct tool *tool;
    size_t length = 0;
    for (size_t i = 0; (tool = tool_at(i)) && length < capacity; i++)
        length += (size_t)snprintf(text + length, capacity - length, "%s%s", i ? ", " : "", tool->name);
}

static int append(char *text, size_t capacity, size_t *length, char c)
{
    if (*length + 2 > capacity)
        return -1;
    text[(*length)++] = c;
    return 0;
}

/* In the shell's and in JSON's double quotes a backslash takes a character's meaning away; only the shell's give a
 * meaning to $ and `. `between` stands for a comma. */
static int append_quoted(char *text, size_t capacity, size_t *length, const char *folder, bool is_shell,
                         const char *between)
{
    for (const char *c = folder; *c; c++) {
        if (between && *c == ',') {
            for (const char *b = between; *b; b++)
                if (append(text, capacity, length, *b) != 0)
                    return -1;
            c += strspn(c + 1, " ");
            continue;
        }
        if (strchr(is_shell ? "\"\\$`" : "\"\\", *c) && append(text, capacity, length, '\\') != 0)
            return -1;
        if (append(text, capacity, length, *c) != 0)
            return -1;
    }
    return 0;
}

int tool_migrate(const struct tool *tool, const char *folder, char *text, size_t capacity)
{
    static const char one[] = "{folder}", several[] = "{folders}";
    bool is_shell = *tool->migrate != '[';
    size_t length = 0;
    for (const char *c = tool->migrate; *c;) {
        bool is_several = strncmp(c, several, sizeof several - 1) == 0;
        if (is_several || strncmp(c, one, sizeof one - 1) == 0) {
            const char *between = is_shell ? "\" \"" : "\", \"";
            if (append_quoted(text, capacity, &length, folder, is_shell, is_several ? between : NULL) != 0)
                return -1;
            c += is_several ? sizeof several - 1 : sizeof one - 1;
        } else if (append(text, capacity, &length, *c++) != 0) {
            return -1;
        }
    }
    text[length] = '\0';
    return 0;
}
