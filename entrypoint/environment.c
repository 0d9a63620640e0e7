#include "environment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDED_MAX 6

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

/* Copies the entries that stay; returns how many. */
static size_t copy_kept(const struct options *options, char *const environment[], bool for_app, char **out)
{
    size_t kept = 0;
    for (; *environment; environment++)
        if ((!is_consumed(*environment) ||
             (names(*environment, "DATABASE_URL_FILE") && !options->database_url_from_file)) &&
            !(for_app ? is_unset(options, *environment) : is_replaced(*environment)) &&
            !(options->database_url_from_file && names(*environment, "DATABASE_URL")))
            out[kept++] = *environment;
    return kept;
}

static char *entry_of(const char *format, const char *value)
{
    size_t capacity = strlen(format) + strlen(value) + 1;
    char *entry = malloc(capacity);
    if (!entry)
        abort(); /* a NULL here would end the environment early: no token, no database */
    snprintf(entry, capacity, "%s%s", format, value);
    return entry;
}

/* Entries to be filled, with room for `added` more than `environment` has. A slot in front counts the borrowed ones, so
 * that only the added ones are freed. */
static char **new_entries(char *const environment[], size_t added)
{
    char **slots = calloc(count_of(environment) + added + 2, sizeof *slots);
    if (!slots)
        abort();
    return slots + 1;
}

static void set_borrowed(char **entries, size_t count)
{
    memcpy(entries - 1, &count, sizeof count);
}

void environment_free(char **entries)
{
    if (!entries)
        return;
    size_t borrowed;
    memcpy(&borrowed, entries - 1, sizeof borrowed);
    for (char **entry = entries + borrowed; *entry; entry++)
        free(*entry);
    free(entries - 1);
}

char **environment_of_app(const struct options *options, char *const environment[])
{
    char **entries = new_entries(environment, 1);
    size_t n = copy_kept(options, environment, true, entries);
    set_borrowed(entries, n);
    if (options->database_url_from_file && !is_unset(options, "DATABASE_URL="))
        entries[n] = entry_of("DATABASE_URL=", options->database_url_from_file);
    return entries;
}

char **environment_of_command(const struct options *options, char *const environment[], const char *target,
                              uint64_t token, int attempt, enum run_state previous)
{
    char number[24], application[128];
    bool has_name = false;
    char **entries = new_entries(environment, ADDED_MAX);
    size_t n = copy_kept(options, environment, false, entries);
    for (size_t i = 0; i < n; i++)
        has_name = has_name || names(entries[i], "PGAPPNAME");
    set_borrowed(entries, n);
    if (options->database_url_from_file)
        entries[n++] = entry_of("DATABASE_URL=", options->database_url_from_file);
    snprintf(number, sizeof number, "%" PRIu64, token);
    entries[n++] = entry_of("LOCKSTEP_TOKEN=", number);
    entries[n++] = entry_of("LOCKSTEP_TARGET=", target);
    snprintf(application, sizeof application, "lockstep:%s:%" PRIu64, options->name, token);
    if (!has_name)
        entries[n++] = entry_of("PGAPPNAME=", application);
    snprintf(number, sizeof number, "%d", attempt);
    entries[n++] = entry_of("LOCKSTEP_ATTEMPT=", number);
    entries[n++] = entry_of("LOCKSTEP_PREVIOUS=", run_state_name(previous));
    return entries;
}
