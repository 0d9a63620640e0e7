#include "environment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDED_MAX (7 + APP_URLS + TOOL_WORDS_MAX)

static bool names(const char *entry, const char *name)
{
    size_t length = strlen(name);
    return strncmp(entry, name, length) == 0 && entry[length] == '=';
}

static bool is_consumed(const char *entry)
{
    char name[80];
    size_t length = strcspn(entry, "=");
    if (entry[length] == '\0' || length >= sizeof name)
        return false;
    memcpy(name, entry, length);
    name[length] = '\0';
    return options_consumes(name);
}

/* Ours replace those of an outer lockstep, or of the image: a stale token would be worse than none. */
static bool is_replaced(const char *entry)
{
    static const char *const ours[] = {"LOCKSTEP_TOKEN", "LOCKSTEP_ATTEMPT", "LOCKSTEP_PREVIOUS"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (names(entry, ours[i]))
            return true;
    return false;
}

static bool is_unset(const struct options *options, const char *entry)
{
    for (int i = 0; i < options->unset.count; i++)
        if (names(entry, options->unset.items[i]))
            return true;
    return false;
}

static size_t count_of(char *const environment[])
{
    size_t count = 0;
    while (environment[count])
        count++;
    return count;
}

/* A NULL among the entries would end the environment early: no token, no database. */
static void *checked(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static char *entry_of(const char *name, const char *value)
{
    size_t capacity = strlen(name) + strlen(value) + 2;
    char *entry = checked(malloc(capacity));
    snprintf(entry, capacity, "%s=%s", name, value);
    return entry;
}

/* Whether another value takes the place of this one: from NAME_FILE, or for the tool where it is empty. */
static bool is_said_elsewhere(const struct options *options, const char *entry, bool for_app)
{
    if (options->tool_database && !for_app && names(entry, options_app_urls[APP_DATABASE_URL]))
        return true;
    for (int i = 0; i < APP_URLS; i++)
        if (options->app_urls_from_file[i] && names(entry, options_app_urls[i]))
            return true;
    return false;
}

/* Whether the entry is a NAME_FILE that nobody has read: the app's own affair. */
static bool is_own_file(const struct options *options, const char *entry)
{
    for (int i = 0; i < APP_URLS; i++) {
        size_t length = strlen(options_app_urls[i]);
        if (!options->app_urls_from_file[i] && strncmp(entry, options_app_urls[i], length) == 0 &&
            names(entry + length, "_FILE"))
            return true;
    }
    return false;
}

/* Begins an environment with the entries that stay, and room for some more; sets `count`. */
static char **copy_kept(const struct options *options, char *const environment[], const char *home, bool for_app,
                        size_t *count)
{
    char **entries = checked(calloc(count_of(environment) + ADDED_MAX + 1, sizeof *entries));
    *count = 0;
    for (; *environment; environment++)
        if ((!is_consumed(*environment) || is_own_file(options, *environment)) &&
            !(for_app ? is_unset(options, *environment) : is_replaced(*environment)) &&
            !is_said_elsewhere(options, *environment, for_app) && !(home && names(*environment, "HOME")))
            entries[(*count)++] = checked(strdup(*environment));
    return entries;
}

static size_t add(const struct options *options, bool for_app, const char *name, const char *value, char **entries,
                  size_t count)
{
    char *entry = value ? entry_of(name, value) : NULL;
    if (entry && !(for_app && is_unset(options, entry)))
        entries[count++] = entry;
    else
        free(entry);
    return count;
}

static size_t add_known(const struct options *options, const char *home, bool for_app, char **entries, size_t count)
{
    for (int i = 0; i < APP_URLS; i++)
        count = add(options, for_app, options_app_urls[i], options->app_urls_from_file[i], entries, count);
    if (!for_app)
        count = add(options, for_app, options_app_urls[APP_DATABASE_URL], options->tool_database, entries, count);
    return add(options, for_app, "HOME", home, entries, count);
}

void environment_follow_listen_pid(char **entries, pid_t from, pid_t to)
{
    char ours[32], theirs[16];
    snprintf(ours, sizeof ours, "LISTEN_PID=%d", (int)from);
    snprintf(theirs, sizeof theirs, "%d", (int)to);
    for (; *entries; entries++) {
        if (strcmp(*entries, ours) == 0) {
            free(*entries);
            *entries = entry_of("LISTEN_PID", theirs);
        }
    }
}

void environment_free(char **entries)
{
    for (char **entry = entries; entry && *entry; entry++)
        free(*entry);
    free(entries);
}

char **environment_of_app(const struct options *options, char *const environment[], const char *home)
{
    size_t count;
    char **entries = copy_kept(options, environment, home, true, &count);
    add_known(options, home, true, entries, count);
    return entries;
}

char **environment_of_check(const struct options *options, char *const environment[], const char *home)
{
    size_t count;
    char **entries = copy_kept(options, environment, home, false, &count);
    add_known(options, home, false, entries, count);
    return entries;
}

/* What the tool needs under our lock, unless the user has said otherwise. */
static size_t add_of_tool(const struct options *options, char **entries, size_t count)
{
    size_t before = count;
    for (int i = 0; options->preset && i < TOOL_WORDS_MAX && options->preset->environment[i]; i++) {
        const char *entry = options->preset->environment[i];
        size_t length = strcspn(entry, "="), n = 0;
        while (n < before && !(strncmp(entries[n], entry, length) == 0 && entries[n][length] == '='))
            n++;
        if (n == before)
            entries[count++] = checked(strdup(entry));
    }
    return count;
}

char **environment_of_command(const struct options *options, char *const environment[], const char *home,
                              const char *target, uint64_t token, int attempt, enum run_state previous)
{
    char number[24], application[128];
    bool has_name = false;
    size_t n;
    char **entries = copy_kept(options, environment, home, false, &n);
    for (size_t i = 0; i < n; i++)
        has_name = has_name || names(entries[i], "PGAPPNAME");
    n = add_known(options, home, false, entries, n);
    snprintf(number, sizeof number, "%" PRIu64, token);
    entries[n++] = entry_of("LOCKSTEP_TOKEN", number);
    entries[n++] = entry_of("LOCKSTEP_TARGET", target);
    snprintf(application, sizeof application, "lockstep:%s:%" PRIu64, options->name, token);
    if (!has_name)
        entries[n++] = entry_of("PGAPPNAME", application);
    n = add_of_tool(options, entries, n);
    snprintf(number, sizeof number, "%d", attempt);
    entries[n++] = entry_of("LOCKSTEP_ATTEMPT", number);
    entries[n++] = entry_of("LOCKSTEP_PREVIOUS", run_state_name(previous));
    return entries;
}
