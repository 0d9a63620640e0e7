/* The text of a configuration: without comments, and of one environment only. */
#include "tool_config_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum config_language config_language(const char *path)
{
    static const char *const scripts[] = {".js",  ".cjs",  ".mjs",         ".ts",   ".cts",
                                          ".mts", ".json", ".sequelizerc", ".gmrc", ".db-migraterc"};
    const char *end = strrchr(path, '.');
    for (size_t i = 0; end && i < sizeof scripts / sizeof scripts[0]; i++)
        if (strcmp(end, scripts[i]) == 0)
            return CONFIG_SCRIPT;
    return end && strcmp(end, ".php") == 0 ? CONFIG_PHP : CONFIG_LINES;
}

const char *config_skip_string(const char *c)
{
    char quote = *c++;
    for (; *c && *c != quote && (*c != '\n' || quote == '`'); c++)
        if (*c == '\\' && c[1])
            c++;
    return *c == quote ? c + 1 : c;
}

/* How long the comment at `c` is, 0 if none begins there; there is a character before. */
static size_t comment(const char *c, enum config_language language)
{
    const char *end;
    if (language != CONFIG_LINES && strncmp(c, "/*", 2) == 0)
        return (end = strstr(c + 2, "*/")) ? (size_t)(end - c) + 2 : 0;
    if (language != CONFIG_LINES && strncmp(c, "//", 2) == 0)
        return strcspn(c, "\n");
    if (*c == '#' && language == CONFIG_PHP)
        return strcspn(c, "\n");
    return strchr("#;", *c) && language == CONFIG_LINES && strchr(CONFIG_BLANKS, c[-1]) ? strcspn(c, "\n") : 0;
}

static void blank_out(char *c, size_t length)
{
    for (; length > 0; length--, c++)
        if (*c != '\n')
            *c = ' ';
}

/* How long the regular expression at `c` is, 0 if none begins there: a slash in the place of a value, and no comment.
 */
static size_t expression(const char *text, const char *c)
{
    const char *before = c;
    while (before > text && strchr(" \t", before[-1]))
        before--;
    if (*c != '/' || !strchr("(,=:[!&|?{};\n", before[-1]))
        return 0;
    bool is_class = false;
    const char *end = c + 1;
    for (; *end && *end != '\n' && (is_class || *end != '/'); end++) {
        end += *end == '\\' && end[1];
        is_class = *end == '[' || (is_class && *end != ']');
    }
    return *end == '/' ? (size_t)(end - c) + 1 : 0;
}

/* A backslash at the end of a line goes on in the next one (properties). */
static void join_lines(char *text)
{
    for (char *end = text; (end = strstr(end, "\\\n"));)
        end[0] = end[1] = ' ';
}

/* What was switched off is the likeliest second mention of a name. */
static void drop_comments(char *text, enum config_language language)
{
    const char *quotes = language == CONFIG_SCRIPT ? CONFIG_QUOTES : "\"'";
    for (char *c = text; *c;) {
        size_t length = comment(c, language);
        blank_out(c, length);
        if (strchr(quotes, *c))
            length = (size_t)(config_skip_string(c) - c);
        else if (length == 0 && language == CONFIG_SCRIPT)
            length = expression(text, c);
        c += length ? length : 1;
    }
}

static void drop_carriage_returns(char *text)
{
    char *out = text;
    for (; *text; text++)
        if (*text != '\r')
            *out++ = *text;
    *out = '\0';
}

char *config_load(const char *path, struct err *err)
{
    char *content = migrations_load(path, NULL, err);
    char *text = NULL;
    if (content && asprintf(&text, "\n%s", content) < 0)
        text = NULL;
    free(content);
    if (text) {
        drop_carriage_returns(text);
        drop_comments(text + 1, config_language(path));
        if (config_language(path) == CONFIG_LINES)
            join_lines(text);
    }
    return text;
}

int config_extract(const char *text, const char *expression, char *value, size_t capacity)
{
    regex_t compiled;
    regmatch_t groups[5];
    *value = '\0';
    if (!expression || regcomp(&compiled, expression, REG_EXTENDED) != 0)
        return 0;
    int failed = regexec(&compiled, text, 5, groups, 0);
    regfree(&compiled);
    size_t group = 1;
    while (!failed && groups[group].rm_so < 0)
        group++;
    size_t length = failed ? capacity : (size_t)(groups[group].rm_eo - groups[group].rm_so);
    if (length >= capacity)
        return 0;
    memcpy(value, text + groups[group].rm_so, length);
    value[length] = '\0';
    if (strstr(value, "${") || strstr(value, "%("))
        *value = '\0';
    return *value != '\0';
}

const char *config_end_of_brackets(const char *c)
{
    int depth = 0;
    while (*c) {
        if (strchr(CONFIG_QUOTES, *c)) {
            c = config_skip_string(c);
            continue;
        }
        depth += strchr("{[(", *c) ? 1 : strchr(")]}", *c) ? -1 : 0;
        if (depth == 0)
            break;
        c++;
    }
    return c;
}

const char *config_end_of_lines(const char *c, size_t indent)
{
    const char *line = c + strcspn(c, "\n");
    while (*line) {
        size_t deep = strspn(line + 1, " \t");
        if (deep <= indent && line[1 + deep] != '\n')
            break;
        line += 1 + strcspn(line + 1, "\n");
    }
    return line;
}

/* The end of the part that begins at `at`, behind its name and the colon: of the braces there, or of the lines that are
 * indented more than the name's, `indent`. NULL if it is no literal: `production: base`. */
static const char *end_of_block(const char *at, size_t indent)
{
    const char *line = at + strspn(at, " \t");
    if (at[strspn(at, CONFIG_BLANKS)] == '{')
        return config_end_of_brackets(at + strspn(at, CONFIG_BLANKS));
    if (*line == '&') /* YAML's name for the part */
        line += strcspn(line, CONFIG_BLANKS);
    if (line[strspn(line, " \t")] != '\n')
        return NULL;
    return config_end_of_lines(line, indent);
}

/* Where the part of the environment begins, NULL if there is none; with how far its name is indented. */
static const char *find_block(const char *text, const char *name, size_t *indent)
{
    char expression[128];
    regex_t compiled;
    regmatch_t groups[2];
    if (name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] ||
        (size_t)snprintf(expression, sizeof expression, "[\n{,]([ \t]*)[\"']?%s[\"']?[ \t]*:", name) >=
            sizeof expression ||
        regcomp(&compiled, expression, REG_EXTENDED) != 0)
        return NULL;
    int failed = regexec(&compiled, text, 2, groups, 0);
    regfree(&compiled);
    *indent = failed ? 0 : (size_t)(groups[1].rm_eo - groups[1].rm_so);
    return failed ? NULL : text + groups[0].rm_eo;
}

/* Whether the part says by a name what is elsewhere: ...shared, <<: *default, migrations: migrations. */
static bool takes_over(const char *part)
{
    char unused[16];
    return strstr(part, "...") || strstr(part, "<<:") ||
           config_extract(part, "[{, \t\n](migrations)[ \t\n]*(:[ \t\n]*[a-zA-Z_]|[,}]|$)", unused, sizeof unused);
}

char *config_narrow(char *text, const char *name)
{
    size_t indent;
    char *narrowed;
    const char *begin = find_block(text, name, &indent);
    const char *end = begin ? end_of_block(begin, indent) : NULL;
    if (!end)
        return text;
    size_t length = (size_t)(end - begin);
    if (asprintf(&narrowed, "%.*s", (int)length, begin) < 0)
        return text;
    char *both = NULL;
    if (takes_over(narrowed) && asprintf(&both, "%s%s", narrowed, text) >= 0) {
        free(narrowed);
        narrowed = both;
    }
    free(text);
    return narrowed;
}
