/* --tool auto: the command's words tell, or else the project's files. */
#include "tool.h"

#include <cjson/cJSON.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEPARATORS " \t\r\n;&|()<>\"'`"

/* The words of a shell line, of an array, and of a shell line within one ("sh", "-c", "..."), all as one list. */
static char *spell(const char *command)
{
    cJSON *array = cJSON_Parse(command);
    const cJSON *word;
    size_t capacity = strlen(command) + 1;
    char *line = calloc(1, capacity + 1);
    if (line && cJSON_IsArray(array)) {
        cJSON_ArrayForEach(word, array)
        {
            if (cJSON_IsString(word)) /* unescaped it is not longer than it was */
                strcat(strcat(line, word->valuestring), " ");
        }
    } else if (line) {
        strcpy(line, command);
    }
    cJSON_Delete(array);
    return line;
}

/* The program's name: no option, no URL, no setting of a variable; its path and quotes do not count. */
static const char *base_name(const char *word)
{
    const char *slash = strrchr(word, '/');
    if (*word == '-' || strstr(word, "://") || strchr(word, '='))
        return "";
    return slash ? slash + 1 : word;
}

/* The words of the line, without `cd` and the folder behind it. */
static char **split(char *line, size_t *count)
{
    char *state;
    char **words = calloc(strlen(line) / 2 + 2, sizeof *words);
    *count = 0;
    for (char *word = strtok_r(line, SEPARATORS, &state); words && word; word = strtok_r(NULL, SEPARATORS, &state))
        if (*count > 0 && strcmp(words[*count - 1], "cd") == 0)
            --*count;
        else
            words[(*count)++] = word;
    return words;
}

/* Whether the programs of `phrase`, "a" or "a b", are among the words in that order. */
static bool has_phrase(char *const *words, size_t count, const char *phrase)
{
    for (size_t i = 0; i < count && *phrase; i++) {
        size_t length = strcspn(phrase, " ");
        const char *name = base_name(words[i]);
        if (strlen(name) == length && memcmp(name, phrase, length) == 0)
            phrase += length + (phrase[length] == ' ');
    }
    return !*phrase;
}

/* Whether a command may begin behind `word`: in a shell, after a variable's setting, or nowhere before it. */
static bool begins_command(const char *word)
{
    return !word || strcmp(word, "-c") == 0 || strcmp(word, "exec") == 0 || (*word != '-' && strchr(word, '='));
}

static bool is_option_of_golang_migrate(const char *word)
{
    static const char *const options[] = {"path", "source", "database"};
    const char *name = word + strspn(word, "-");
    for (size_t i = 0; name > word && i < sizeof options / sizeof options[0]; i++) {
        size_t length = strlen(options[i]);
        if (strncmp(name, options[i], length) == 0 && (name[length] == '\0' || name[length] == '='))
            return true;
    }
    return false;
}

/* Its program is called as a hundred other things are (`npm run migrate`, `artisan migrate`): it must begin a command,
 * and have one of its options. */
static bool is_golang_migrate(char *const *words, size_t count)
{
    bool has_begun = false;
    for (size_t i = 0; i < count; i++) {
        if (has_begun && is_option_of_golang_migrate(words[i]))
            return true;
        has_begun |= strcmp(base_name(words[i]), "migrate") == 0 && begins_command(i ? words[i - 1] : NULL);
    }
    return false;
}

static const char *told_by_words(const struct tool *tool, char *const *words, size_t count)
{
    for (int i = 0; i < TOOL_WORDS_MAX && tool->words[i]; i++)
        if (strcmp(tool->words[i], "migrate") == 0 ? is_golang_migrate(words, count)
                                                   : has_phrase(words, count, tool->words[i]))
            return tool->words[i];
    return NULL;
}

/* Whether all the patterns of `mark` match a file. */
static bool has_files(const char *mark)
{
    char pattern[256];
    bool found = true;
    while (found && *mark) {
        glob_t files = {.gl_pathc = 0};
        size_t length = strcspn(mark, " ");
        snprintf(pattern, sizeof pattern, "%.*s", (int)length, mark);
        found = glob(pattern, 0, NULL, &files) == 0;
        globfree(&files);
        mark += length + strspn(mark + length, " ");
    }
    return found;
}

static const char *told_by_files(const struct tool *tool)
{
    for (int i = 0; i < TOOL_WORDS_MAX && tool->marks[i]; i++)
        if (has_files(tool->marks[i]))
            return tool->marks[i];
    return NULL;
}

/* The tool that something tells of, and what did; a second one is one too many. */
struct found {
    const struct tool *tool, *other;
    const char *what, *other_what;
};

static void find(struct found *found, char *const *words, size_t count)
{
    const struct tool *tool;
    *found = (struct found){.tool = NULL};
    for (size_t i = 0; (tool = tool_at(i)) && !found->other; i++) {
        const char *what = words ? told_by_words(tool, words, count) : told_by_files(tool);
        if (!what)
            continue;
        *(found->tool ? &found->other : &found->tool) = tool;
        *(found->what ? &found->other_what : &found->what) = what;
    }
}

#define NOTHING_TELLS(folder)                                                                                          \
    "neither the command nor a file in " folder " tells the tool; say --tool NAME (LOCKSTEP_TOOL), --target V "        \
    "(LOCKSTEP_TARGET), --target-files 'migrations/*.sql' or --applied-if CMD (LOCKSTEP_APPLIED_IF); NAME: %s"

/* The current directory in at most `room` bytes: of a longer one the end, which tells more. */
static const char *name_here(char here[PATH_MAX], size_t room)
{
    static const char left_out[] = "\xe2\x80\xa6";
    const char *path = getcwd(here, PATH_MAX) ? here : ".";
    size_t length = strlen(path);
    if (length <= room)
        return path;
    char *end = here + length - room + strlen(left_out);
    while ((*end & 0xc0) == 0x80)
        end++;
    end -= strlen(left_out);
    memcpy(end, left_out, strlen(left_out)); /* NOLINT(bugprone-not-null-terminated-result): the path goes on */
    return end;
}

static const struct tool *refuse(const struct found *found, struct err *err)
{
    char names[400], here[PATH_MAX];
    tool_names(names, sizeof names);
    size_t room = sizeof err->text - sizeof NOTHING_TELLS("") - strlen(names);
    if (found->tool)
        err_set(err, ERR_USAGE,
                "it may be %s (by %s) or %s (by %s) that migrates; say which with --tool NAME (LOCKSTEP_TOOL)",
                found->tool->name, found->what, found->other->name, found->other_what);
    else
        err_set(err, ERR_USAGE, NOTHING_TELLS("%s"), name_here(here, room), names);
    return NULL;
}

const struct tool *tool_detect(const char *command, char *why, size_t capacity, struct err *err)
{
    struct found found = {.tool = NULL};
    size_t count = 0;
    char *line = command ? spell(command) : NULL;
    char **words = line ? split(line, &count) : NULL;
    if (words)
        find(&found, words, count);
    const char *by = "the command's";
    if (!found.tool) {
        find(&found, NULL, 0);
        by = "the file";
    }
    free(words);
    free(line);
    if (!found.tool || found.other)
        return refuse(&found, err);
    snprintf(why, capacity, "%s %s", by, found.what);
    return found.tool;
}
