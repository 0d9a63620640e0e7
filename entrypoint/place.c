#include "place.h"

#include "tail.h"

#include <stdio.h>
#include <stdlib.h>

struct backend_config place_config(const struct options *o, const char *target, const struct history_plan *history)
{
    return (struct backend_config){
        .url = o->lock,
        .name = o->name,
        .target = target,
        .schema = o->schema,
        .database_url = o->database,
        .version = LOCKSTEP_VERSION,
        .allow_eviction = o->allow_eviction,
        .history = history,
        .times = times_from_lease(o->lease),
        .connect_timeout = o->connect_timeout,
        .ca = {.file = getenv("SSL_CERT_FILE"), .directory = getenv("SSL_CERT_DIR"), .home = getenv("HOME")},
    };
}

void place_command(const char *raw, const struct mask *mask, char text[PLACE_COMMAND_CAPACITY])
{
    char masked[PLACE_COMMAND_CAPACITY];
    mask_text(mask, raw, masked, sizeof masked);
    utf8_clean(masked, text, PLACE_COMMAND_CAPACITY); /* Postgres refuses half a character */
}
