#include "places.h"

#include "backend.h"
#include "log.h"
#include "tail.h"
#include "url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_CAPACITY 512

/* What a URL of Postgres says that nobody would see otherwise. */
static int look_at(const char *text, const char *what, bool *pooled, char shown[SHOWN_CAPACITY], struct err *err)
{
    struct url url;
    if (url_parse(&url, text, what, err) != 0)
        return -1;
    if (url.dropped[0])
        log_say(LOG_LEVEL_DEBUG, EVENT_STARTING, LOG_NO_FIELDS, "%s: not for lockstep, and left out: %s", what,
                url.dropped);
    *pooled = url.pooled;
    url_show(&url, shown, SHOWN_CAPACITY);
    url_free(&url);
    return 0;
}

/* Which variable it was is not obvious where none of lockstep's names the place. */
static int say_what_was_found(const struct options *options, struct err *err)
{
    char database[SHOWN_CAPACITY], lock[SHOWN_CAPACITY];
    bool pooled = false, lock_pooled = false, has_database = options->database && url_is_postgres(options->database);
    bool same = options->database == options->lock;
    if (has_database && !same && look_at(options->database, options->database_what, &pooled, database, err) != 0)
        return -1;
    if (url_is_postgres(options->lock) && look_at(options->lock, options->lock_what, &lock_pooled, lock, err) != 0)
        return -1;
    if (has_database && options->database_found)
        log_say(LOG_LEVEL_INFO, EVENT_STARTING, LOG_NO_FIELDS, "the database is the one that %s names, %s",
                options->database_what, same ? lock : database);
    if (options->direct && options->lock == options->direct && !same)
        log_say(LOG_LEVEL_INFO, EVENT_STARTING, LOG_NO_FIELDS,
                "meeting at %s, %s: a direct connection is better for that than %s", options->direct_what, lock,
                options->database_what);
    if (lock_pooled)
        log_say(LOG_LEVEL_INFO, EVENT_STARTING, LOG_NO_FIELDS,
                "%s leads through a pooler: that works, but waiting replicas poll instead of being woken; a direct URL "
                "may be given as DIRECT_URL or with --lock (LOCKSTEP_LOCK)",
                options->lock_what);
    return 0;
}

int places_check(const struct options *options, char *place, size_t capacity, struct err *err)
{
    char shown[SHOWN_CAPACITY];
    const char *database = options_records_database(options);
    if (backend_check_url(options->lock, options->lock_what, place, capacity, err) != 0)
        return -1;
    bool is_split = backend_is_split(options->lock, database);
    if (is_split && backend_check_url(database, options->database_what, shown, sizeof shown, err) != 0)
        return -1;
    size_t used = strlen(place);
    if (is_split)
        snprintf(place + used, capacity - used, ", with the records in %s", shown);
    struct err ignored;
    bool needed = is_split || strcmp(options->lock_what, options->database_what) == 0 || options->direct;
    return say_what_was_found(options, needed ? err : &ignored) != 0 && needed ? -1 : 0;
}

struct backend_config places_config(const struct options *o, const char *target, const struct history_plan *history)
{
    return (struct backend_config){
        .url = o->lock,
        .name = o->name,
        .target = target,
        .schema = o->schema,
        .database_url = options_records_database(o),
        .version = LOCKSTEP_VERSION,
        .allow_eviction = o->allow_eviction,
        .history = history,
        .times = times_from_lease(o->lease),
        .connect_timeout = o->connect_timeout,
        .ca = {.file = getenv("SSL_CERT_FILE"), .directory = getenv("SSL_CERT_DIR"), .home = getenv("HOME")},
    };
}

void places_command(const char *raw, const struct mask *mask, char text[PLACES_COMMAND_CAPACITY])
{
    char masked[PLACES_COMMAND_CAPACITY];
    mask_text(mask, raw, masked, sizeof masked);
    utf8_clean(masked, text, PLACES_COMMAND_CAPACITY); /* Postgres refuses half a character */
}
