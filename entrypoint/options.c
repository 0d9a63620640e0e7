#include "options.h"

#include "options_table.h"
#include "tail.h"
#include "variables.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *word;
    enum verb verb;
} verbs[] = {
    {"run", VERB_RUN},       {"migrate", VERB_MIGRATE}, {"wait", VERB_WAIT},   {"check", VERB_CHECK},
    {"doctor", VERB_DOCTOR}, {"schema", VERB_SCHEMA},   {"--help", VERB_HELP}, {"--version", VERB_VERSION},
};

bool options_is_verb(const char *word)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(word, verbs[i].word) == 0)
            return true;
    return false;
}

int64_t options_duration(const char *text)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"", 1000}, {"m", 60000}, {"h", 3600000}};
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return -1;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].name) == 0 && errno == 0 && number <= INT64_C(31536000000) / units[i].ms * 10)
            return number * units[i].ms;
    return -1;
}

const char *options_quoted(const char *value)
{
    static char quoted[80];
    char clean[70];
    utf8_clean(value, clean, sizeof clean);
    bool cut = strlen(value) >= sizeof clean;
    /* Wherever a URL has strayed to, its password must not come out, whole or cut in two. */
    bool secret = strstr(value, "://") || strcasestr(value, "password");
    snprintf(quoted, sizeof quoted, secret ? "what stands there" : cut ? "\"%s...\"" : "\"%s\"", clean);
    return quoted;
}

static void *member(struct options *options, const struct option *option)
{
    return (char *)options + option->offset;
}

static int set_number(struct options *options, const struct option *option, const char *what, const char *value,
                      struct err *err)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end || errno || number > 1000000)
        return err_set(err, ERR_USAGE, "%s: %s is not a number; right would be 3, for example", what,
                       options_quoted(value));
    *(int64_t *)member(options, option) = number;
    return 0;
}

static int set_duration(struct options *options, const struct option *option, const char *what, const char *value,
                        struct err *err)
{
    int64_t ms = options_duration(value);
    if (ms < 0)
        return err_set(err, ERR_USAGE, "%s: %s is not a duration; right would be 500ms, 30s, 10m or 1h", what,
                       options_quoted(value));
    if (ms < option->minimum)
        return err_set(err, ERR_USAGE, "%s: %s is too short; at least %lldms", what, options_quoted(value),
                       (long long)option->minimum);
    if (option->maximum && ms > option->maximum)
        return err_set(err, ERR_USAGE, "%s: %s is too long; at most %lldms", what, options_quoted(value),
                       (long long)option->maximum);
    *(int64_t *)member(options, option) = ms;
    return 0;
}

static int set_choice(struct options *options, const struct option *option, const char *what, const char *value,
                      struct err *err)
{
    char all[128] = "";
    for (int i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], value) == 0) {
            *(int64_t *)member(options, option) = i;
            return 0;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", used ? ", " : "", option->choices[i]);
    }
    return err_set(err, ERR_USAGE, "%s: %s is not one of %s", what, options_quoted(value), all);
}

static int set_switch(struct options *options, const struct option *option, const char *what, const char *value,
                      struct err *err)
{
    static const char *const words[] = {"0", "1", "false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(words[i], value) == 0) {
            *(int64_t *)member(options, option) = i % 2;
            return 0;
        }
    }
    return err_set(err, ERR_USAGE, "%s: %s is neither yes nor no; right would be 1 true yes on, or 0 false no off",
                   what, options_quoted(value));
}

static int add_item(struct options *options, const struct option *option, const char *what, const char *item,
                    struct err *err)
{
    struct option_list *list = member(options, option);
    list->items[list->count++] = item;
    if (list->count == OPTION_LIST_MAX)
        return err_set(err, ERR_USAGE, "%s: more than %d items", what, OPTION_LIST_MAX - 1);
    return 0;
}

static int set_value(struct options *options, const struct option *option, const char *what, const char *value,
                     struct err *err)
{
    switch (option->kind) {
    case OPTION_TEXT:
        *(const char **)member(options, option) = value;
        return 0;
    case OPTION_LIST:
        return add_item(options, option, what, value, err);
    case OPTION_DURATION:
        return set_duration(options, option, what, value, err);
    case OPTION_NUMBER:
        return set_number(options, option, what, value, err);
    case OPTION_CHOICE:
        return set_choice(options, option, what, value, err);
    case OPTION_SWITCH:
        return set_switch(options, option, what, value, err);
    }
    return 0;
}

/* A list's variable holds one item a line. */
static int set_lines(struct options *options, const struct option *option, const char *value, struct err *err)
{
    struct option_list *list = member(options, option);
    char *rest = list->lines = strdup(value);
    if (!rest)
        return err_set(err, ERR_SYSTEM, "out of memory");
    for (char *line; (line = strtok_r(rest, "\n", &rest)) != NULL;) {
        line[strcspn(line, "\r")] = '\0';
        if (*line && add_item(options, option, option->variable, line, err) != 0)
            return -1;
    }
    return 0;
}

static int read_variable(struct options *options, const struct option *option, enum origin *origin, struct err *err)
{
    const char *value = getenv(option->variable);
    if (option->secret && variables_read(option->variable, &value, NULL, err) != 0)
        return -1;
    if (!value || !*value) /* an empty one is how compose files spell "not set" */
        return 0;
    *origin = ORIGIN_VARIABLE;
    return option->kind == OPTION_LIST ? set_lines(options, option, value, err)
                                       : set_value(options, option, option->variable, value, err);
}

/* Reads all of them, also behind a wrong one, whose error is kept: the format of the log may come later. */
static int read_variables(struct options *options, enum origin origins[], struct err *err)
{
    struct err later;
    int result = 0;
    for (int i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (origins[i] == ORIGIN_FLAG)
            continue;
        if (read_variable(options, option, &origins[i], result == 0 ? err : &later) != 0)
            result = -1;
    }
    return result;
}

static int find_option(const char *word, size_t length)
{
    for (int i = 0; i < options_count; i++)
        if (strlen(options_table[i].flag) == length && strncmp(options_table[i].flag, word, length) == 0)
            return i;
    return -1;
}

/* Reads options from argv[at] on; returns the index of the first word that is none, -1 on error. */
static int read_flags(struct options *options, int argc, char **argv, int at, enum origin origins[], struct err *err)
{
    for (; at < argc && argv[at][0] == '-' && argv[at][1]; at++) {
        if (strcmp(argv[at], "--") == 0)
            return at + 1;
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            options->verb = VERB_HELP;
            return argc;
        }
        size_t length = strcspn(argv[at], "=");
        int index = find_option(argv[at], length);
        if (index < 0)
            return err_set(err, ERR_USAGE,
                           "%s is not an option of lockstep; lockstep --help lists them, and a command "
                           "that begins with - goes behind --",
                           options_quoted(argv[at]));
        const struct option *option = &options_table[index];
        const char *value = argv[at][length] == '='         ? argv[at] + length + 1
                            : option->kind == OPTION_SWITCH ? "1"
                            : at + 1 < argc                 ? argv[++at]
                                                            : NULL;
        if (!value || !*value)
            return err_set(err, ERR_USAGE, "%s needs a value: %s %s", option->flag, option->flag, option->value_name);
        if (origins[index] && option->offset == offsetof(struct options, target))
            return err_set(err, ERR_USAGE, "%s is given twice; right would be one version", option->flag);
        if (set_value(options, option, option->flag, value, err) != 0)
            return -1;
        origins[index] = ORIGIN_FLAG;
    }
    return at;
}

static void set_defaults(struct options *options)
{
    struct err unused;
    for (int i = 0; i < options_count; i++)
        if (options_table[i].preset)
            set_value(options, &options_table[i], options_table[i].flag, options_table[i].preset, &unused);
}

static void set_verb(struct options *options, int argc, char **argv, int *at)
{
    options->verb = VERB_RUN;
    options->first_word = *at < argc ? argv[*at] : NULL;
    for (size_t i = 0; *at < argc && i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(argv[*at], verbs[i].word) == 0) {
            options->verb = verbs[i].verb;
            ++*at;
            return;
        }
    }
}

int options_read(struct options *options, int argc, char **argv, struct err *err)
{
    enum origin origins[OPTIONS_MAX] = {ORIGIN_PRESET};
    int at = 1;
    *options = (struct options){.verb = VERB_RUN};
    set_defaults(options);
    set_verb(options, argc, argv, &at);
    if (options->verb == VERB_VERSION || options->verb == VERB_HELP)
        return 0;
    int flags = read_flags(options, argc, argv, at, origins, err);
    if (options->verb == VERB_HELP)
        return 0;
    struct err variables_err;
    int variables = read_variables(options, origins, &variables_err);
    log_configure(options->log_json, (enum log_level)options->log_level);
    if (flags < 0)
        return -1;
    if (variables != 0) {
        *err = variables_err;
        return -1;
    }
    options->command = flags < argc ? argv + flags : NULL;
    return options_check(options, origins, err);
}

char *options_help(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs("lockstep " LOCKSTEP_VERSION ": one replica migrates, the others wait, each then executes its command\n\n"
          "  lockstep [run] [OPTIONS] [--] COMMAND [ARG...]   pass the gate (migrating if needed), then exec COMMAND\n"
          "  lockstep migrate [OPTIONS]                       pass the gate, then exit 0\n"
          "  lockstep wait [OPTIONS] [[--] COMMAND [ARG...]]  never migrate: wait, then exec COMMAND or exit 0\n"
          "  lockstep check [OPTIONS]                         one look: exit 0 = version there, 1 = pending\n"
          "  lockstep doctor [OPTIONS]                        try everything a start would need, say what is wrong\n"
          "  lockstep schema [OPTIONS]                        print the DDL of the record tables\n"
          "  lockstep --help | --version\n\nOptions, each also a variable (the flag wins):\n\n",
          out);
    for (int i = 0; i < options_count; i++) {
        const struct option *o = &options_table[i];
        char flag[64];
        snprintf(flag, sizeof flag, "%s%s%s", o->flag, *o->value_name ? " " : "", o->value_name);
        fprintf(out, "  %-26s %-26s %s%s%s%s\n", flag, o->variable, o->help, o->preset ? " [" : "",
                o->preset ? o->preset : "", o->preset ? "]" : "");
    }
    fputs("\nDurations: 500ms 30s 10m 1h, a bare number is seconds. A variable of a repeatable option holds one item a "
          "line.\n"
          "LOCKSTEP_LOCK, LOCKSTEP_DATABASE, DATABASE_URL and REDIS_URL may come from a file: NAME_FILE names it.\n"
          "Exit status: 0 done, 1 check: pending, 64 usage, 124 timed out, 125 lockstep could not go on, 126/127 "
          "COMMAND not\n"
          "executable/not found, 128+n ended by signal n; a failed migration's own status otherwise.\n",
          out);
    fclose(out);
    return text;
}
