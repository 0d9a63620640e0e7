/* The folders that a configuration names: where its key is, which literals are behind it, how they are spelt. */
#include "tool_config_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS "[], \t\n"

bool config_append(char *text, size_t capacity, const char *more, size_t length)
{
    size_t used = strlen(text);
    if (length >= capacity - used)
        return false;
    memcpy(text + used, more, length);
    text[used + length] = '\0';
    return true;
}

/* Writes `value` with the folders that tools have marks for; false if more of it stands for something. */
static bool replace_mark(const struct config_reader *reader, const char *value, char *path, size_t capacity)
{
    static const char *const marks[] = {"%kernel.project_dir%", "${process.cwd()}", "%(here)s",
                                        "%%PHINX_CONFIG_DIR%%", "${__dirname}",     "${import.meta.dirname}"};
    const char *before = reader->key->is_beside && !reader->is_placed && *value != '/' ? reader->here : "";
    const char *between = *before ? "/" : "";
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (strncmp(value, marks[i], strlen(marks[i])) == 0) {
            before = i < 2 ? "." : reader->here;
            between = "";
            value += strlen(marks[i]);
            break;
        }
    return !strpbrk(value, "%$") && *value != '@' &&
           (size_t)snprintf(path, capacity, "%s%s%s", before, between, value) < capacity;
}

static void spell_package(char *path)
{
    char *colon = strchr(path, ':');
    if (!colon)
        return;
    *colon = '/';
    while (colon > path)
        if (*--colon == '.')
            *colon = '/';
}

/* Leaves the folder that a glob is of, or the tree; false if there are, or may be, several. */
static bool cut_glob(char *path, bool is_pattern)
{
    char *glob = strpbrk(path, "*?{[(");
    if (!glob)
        return true;
    bool is_tree = strncmp(glob, "**/", 3) == 0; /* tool_configured_recursive() says so too */
    if (!is_pattern || strchr(glob + (is_tree ? 3 : 0), '/'))
        return false;
    while (glob > path && *glob != '/')
        glob--;
    if (glob == path)
        *glob++ = '.';
    *glob = '\0';
    return true;
}

/* Where the last name of [path, end) begins; `end` itself if it cannot be taken back: there is none, or it is "..". */
static char *last_name(char *path, char *end)
{
    char *name = end;
    while (name > path && name[-1] != '/')
        name--;
    return end - name == 2 && strncmp(name, "..", 2) == 0 ? end : name;
}

/* "./a//b/../c" is "a/c", as path.join() has it. */
static void normalize(char *path)
{
    char *begin = path + (*path == '/'), *out = begin;
    for (const char *name = begin; *name;) {
        size_t length = strcspn(name, "/");
        const char *next = name + length + (name[length] == '/');
        bool is_up = length == 2 && strncmp(name, "..", 2) == 0;
        char *parent = is_up ? last_name(begin, out) : out;
        if (is_up && parent != out) {
            out = parent > begin ? parent - 1 : begin;
        } else if (length > 0 && (length > 1 || *name != '.') && !(is_up && begin > path)) {
            if (out > begin)
                *out++ = '/';
            memmove(out, name, length);
            out += length;
        }
        name = next;
    }
    if (out == path)
        *out++ = '.';
    *out = '\0';
}

bool config_keep(struct config_reader *reader, const char *value)
{
    char path[VALUE_CAPACITY];
    const char *below = reader->key->below;
    if (!*value || !replace_mark(reader, value, path, sizeof path))
        return false;
    if (reader->key->is_package)
        spell_package(path);
    if (!cut_glob(path, reader->key->is_pattern) ||
        (below &&
         (!config_append(path, sizeof path, "/", 1) || !config_append(path, sizeof path, below, strlen(below)))))
        return false;
    normalize(path);
    if (migrations_is_listed(reader->folders, path))
        return true;
    return (!*reader->folders || config_append(reader->folders, reader->capacity, ",", 1)) &&
           config_append(reader->folders, reader->capacity, path, strlen(path));
}

/* Behind the key and its colon or equals sign, NULL if it is nowhere; with how far it is indented. */
static const char *find_line(const char *text, const char *name, size_t *indent)
{
    char expression[160];
    regex_t compiled;
    regmatch_t groups[2];
    snprintf(expression, sizeof expression, "\n([ \t]*)[\"']?(%s)[\"']?[ \t]*[:=]", name);
    if (regcomp(&compiled, expression, REG_EXTENDED) != 0)
        return NULL;
    int failed = regexec(&compiled, text, 2, groups, 0);
    regfree(&compiled);
    *indent = failed ? 0 : (size_t)(groups[1].rm_eo - groups[1].rm_so);
    return failed ? NULL : text + groups[0].rm_eo;
}

/* Writes the next value before `end`; false if there is none. */
static bool next_value(struct config_reader *reader, const char *end, char *text, size_t capacity)
{
    const char *separators = reader->key->by_colons ? ":" SEPARATORS : SEPARATORS;
    const char *begin = reader->at + strspn(reader->at, separators);
    if (begin >= end)
        return false;
    bool is_quoted = strchr(CONFIG_QUOTES, *begin);
    size_t length = is_quoted              ? (size_t)(config_skip_string(begin) - begin)
                    : reader->key->is_list ? strcspn(begin, separators)
                                           : strcspn(begin, "\n");
    reader->at = begin + length;
    if (is_quoted) /* the second quote may lack */
        length -= length > 1 && begin[length - 1] == *begin ? 2 : 1;
    begin += is_quoted;
    while (length > 0 && strchr(CONFIG_BLANKS, begin[length - 1]))
        length--;
    snprintf(text, capacity, "%.*s", (int)length, begin);
    return true;
}

/* YAML: a list's dash, or the name in a map. */
static bool is_mark(const struct config_reader *reader, const char *value)
{
    size_t length = strlen(value);
    return reader->key->is_list && !reader->key->by_colons &&
           (strcmp(value, "-") == 0 || (length > 0 && value[length - 1] == ':') || *reader->at == ':');
}

static enum tool_configured read_lines(struct config_reader *reader, const char *text)
{
    char value[VALUE_CAPACITY];
    size_t indent;
    reader->at = find_line(text, reader->key->name, &indent);
    if (!reader->at)
        return TOOL_CONFIGURED_NOT;
    const char *end =
        reader->key->is_list ? config_end_of_lines(reader->at, indent) : reader->at + strcspn(reader->at, "\n");
    while (next_value(reader, end, value, sizeof value))
        if (!is_mark(reader, value) && !config_keep(reader, value))
            return TOOL_CONFIGURED_UNCLEAR;
    return *reader->folders ? TOOL_CONFIGURED_NAMED : TOOL_CONFIGURED_NOT;
}

enum tool_configured config_folders(const struct config_key *key, const char *path, const char *text, char *folders,
                                    size_t capacity)
{
    struct config_reader reader = {.key = key, .here = ".", .folders = folders, .capacity = capacity};
    const char *slash = strrchr(path, '/');
    if (slash)
        snprintf(reader.here, sizeof reader.here, "%.*s", (int)(slash - path), path);
    *folders = '\0';
    return config_language(path) == CONFIG_LINES ? read_lines(&reader, text) : config_read_script(&reader, text);
}
