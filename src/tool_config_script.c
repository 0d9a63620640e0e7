/* The folders that a script or an object in JSON names: strings, lists and maps of them, and paths put together from
 * strings and the script's own folder. Anything else is code, and not understood. */
#include "tool_config_internal.h"

#include <ctype.h>
#include <string.h>

#define PHP_ARRAY "array("

static bool accept(struct config_reader *reader, const char *token)
{
    const char *at = reader->at + strspn(reader->at, CONFIG_BLANKS);
    if (strncmp(at, token, strlen(token)) != 0)
        return false;
    reader->at = at + strlen(token);
    return true;
}

static bool read_string(struct config_reader *reader, char *text, size_t capacity)
{
    const char *begin = reader->at;
    reader->at = config_skip_string(begin);
    for (const char *c = begin + 1; c < reader->at - 1; c++) {
        c += *c == '\\';
        if (!config_append(text, capacity, c, 1))
            return false;
    }
    return reader->at[-1] == *begin;
}

static bool read_sum(struct config_reader *reader, char *text, size_t capacity);

/* The parts of path.join(...), or of path.resolve(...), where one from the root takes the place of those before. */
static bool read_parts(struct config_reader *reader, bool is_resolve, char *text, size_t capacity)
{
    do {
        char part[VALUE_CAPACITY] = "";
        if (!read_sum(reader, part, sizeof part))
            return false;
        if (is_resolve && *part == '/')
            *text = '\0';
        else if (*text && !config_append(text, capacity, "/", 1))
            return false;
        if (!config_append(text, capacity, part, strlen(part)))
            return false;
    } while (accept(reader, ",") && reader->at[strspn(reader->at, CONFIG_BLANKS)] != ')');
    reader->is_placed |= is_resolve;
    return accept(reader, ")");
}

static bool is_in_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$';
}

/* path.join( and path.resolve(, also as compilers write them: (0, node_path_1.join)( */
static bool accept_join(struct config_reader *reader, bool *is_resolve)
{
    const char *begin = reader->at;
    bool is_compiled = accept(reader, "(0,");
    const char *name = reader->at += strspn(reader->at, CONFIG_BLANKS);
    while (is_in_name(*reader->at) || (*reader->at == '.' && reader->at > name))
        name = *reader->at++ == '.' ? reader->at : name;
    size_t length = (size_t)(reader->at - name);
    *is_resolve = length == 7 && strncmp(name, "resolve", 7) == 0;
    bool is_join = *is_resolve || (length == 4 && strncmp(name, "join", 4) == 0);
    if (is_join && (!is_compiled || accept(reader, ")")) && accept(reader, "("))
        return true;
    reader->at = begin;
    return false;
}

static bool read_term(struct config_reader *reader, char *text, size_t capacity)
{
    static const char *const here[] = {"__dirname", "import.meta.dirname", "__DIR__"};
    bool is_resolve;
    reader->at += strspn(reader->at, CONFIG_BLANKS);
    if (*reader->at && strchr(CONFIG_QUOTES, *reader->at))
        return read_string(reader, text, capacity);
    const char *place = accept(reader, "process.cwd()") ? "." : NULL;
    for (size_t i = 0; !place && i < sizeof here / sizeof here[0]; i++)
        place = accept(reader, here[i]) ? reader->here : NULL;
    if (place) {
        reader->is_placed = true;
        return config_append(text, capacity, place, strlen(place));
    }
    return accept_join(reader, &is_resolve) && read_parts(reader, is_resolve, text, capacity);
}

/* Literals, and what else is the same wherever the script runs, put together. */
static bool read_sum(struct config_reader *reader, char *text, size_t capacity)
{
    do {
        if (!read_term(reader, text, capacity))
            return false;
    } while (accept(reader, "+") || accept(reader, "."));
    return true;
}

static bool read_folder(struct config_reader *reader)
{
    char text[VALUE_CAPACITY] = "";
    reader->is_placed = false;
    return read_sum(reader, text, sizeof text) && config_keep(reader, text);
}

/* An item of a list, or of a map: the value that belongs to a namespace. */
static bool read_item(struct config_reader *reader)
{
    char name[VALUE_CAPACITY] = "";
    const char *begin = reader->at;
    if (!read_sum(reader, name, sizeof name) || (!accept(reader, "=>") && !accept(reader, ":")))
        reader->at = begin;
    return read_folder(reader);
}

static bool read_list(struct config_reader *reader, const char *end)
{
    while (!accept(reader, end))
        if (!read_item(reader) || (!accept(reader, ",") && reader->at[strspn(reader->at, CONFIG_BLANKS)] != *end))
            return false;
    return true;
}

/* Whether nothing more belongs to the value: the next line may begin a statement. */
static bool is_at_end(const struct config_reader *reader)
{
    const char *next = reader->at + strspn(reader->at, CONFIG_BLANKS);
    bool is_next_line = memchr(reader->at, '\n', (size_t)(next - reader->at));
    return strchr(",;)]}", *next) || (is_next_line && (isalpha((unsigned char)*next) || strchr("_\"'", *next)));
}

/* Behind the colon or equals sign at `c`, NULL if there is none. */
static const char *skip_assignment(const char *c)
{
    c += strspn(c, CONFIG_BLANKS);
    if (*c == ':' && c[1] != ':')
        return c + 1;
    return *c == '=' && c[1] != '=' ? c + 1 + (c[1] == '>') : NULL;
}

/* Whether the name before was of a parameter or a property of a type, or is declared only, as compilers do it. */
static bool is_type(const char *value)
{
    static const char *const words[] = {"string", "void 0", "undefined", "null", "exports."};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(value, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

/* The value of the first key `name` in [at, end), NULL if there is none. */
static const char *find_key(const char *at, const char *end, const char *name)
{
    size_t length = strlen(name);
    while (at < end) {
        const char *word = at;
        bool is_quoted = strchr(CONFIG_QUOTES, *at);
        if (is_quoted)
            at = config_skip_string(word++);
        else
            do
                at++;
            while (is_in_name(at[-1]) && is_in_name(*at));
        bool is_it = (size_t)(at - word) - is_quoted == length && strncmp(word, name, length) == 0;
        const char *value = is_it ? skip_assignment(at) : NULL;
        if (value && !is_type(value += strspn(value, CONFIG_BLANKS)))
            return value;
    }
    return NULL;
}

/* The value of the key in its object; of several such objects, the first that has it. */
static enum tool_configured find_value(const struct config_key *key, const char *text, const char **value)
{
    const char *end = text + strlen(text);
    bool is_unclear = false;
    *value = key->object ? NULL : find_key(text, end, key->name);
    for (const char *at = text; key->object && !*value && (at = find_key(at, end, key->object));) {
        at += strncmp(at, PHP_ARRAY, sizeof PHP_ARRAY - 1) == 0 ? sizeof PHP_ARRAY - 2 : 0;
        bool is_object = *at && strchr("{[(", *at);
        const char *close = is_object ? config_end_of_brackets(at) : at;
        *value = find_key(at, close, key->name);
        is_unclear |= !is_object || memmem(at, (size_t)(close - at), "...", 3);
    }
    return *value ? TOOL_CONFIGURED_NAMED : is_unclear ? TOOL_CONFIGURED_UNCLEAR : TOOL_CONFIGURED_NOT;
}

enum tool_configured config_read_script(struct config_reader *reader, const char *text)
{
    enum tool_configured found = find_value(reader->key, text, &reader->at);
    if (found != TOOL_CONFIGURED_NAMED)
        return found;
    bool is_understood = accept(reader, "[")         ? read_list(reader, "]")
                         : accept(reader, "{")       ? read_list(reader, "}")
                         : accept(reader, PHP_ARRAY) ? read_list(reader, ")")
                                                     : read_folder(reader);
    if (!is_understood || !is_at_end(reader))
        return TOOL_CONFIGURED_UNCLEAR;
    return *reader->folders ? TOOL_CONFIGURED_NAMED : TOOL_CONFIGURED_NOT;
}
