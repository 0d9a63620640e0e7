#include "pg_resolve.h"

#include "later.h"
#include "resolve.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_CAPACITY 4096

struct pg_resolve {
    struct resolve *resolve;
    struct later *later;
    uv_loop_t *loop;
    pg_resolved *done;
    void *user;
    const char *host_list, *port_list; /* what is still to be resolved */
    unsigned first;                    /* which of the addresses to begin with, modulo their count */
    unsigned count;                    /* of addresses */
    char host[256], port[16];
    char hosts[LIST_CAPACITY], addresses[LIST_CAPACITY], ports[LIST_CAPACITY];
    struct err failure;
};

static bool look_up_next(struct pg_resolve *r);

static void append(struct pg_resolve *r, char *list, const char *item)
{
    size_t used = strlen(list);
    snprintf(list + used, LIST_CAPACITY - used, "%s%s", r->count ? "," : "", item);
}

static void add_address(struct pg_resolve *r, const char *address)
{
    if (strlen(r->addresses) + 64 > LIST_CAPACITY || strlen(r->hosts) + strlen(r->host) + 2 > LIST_CAPACITY)
        return;
    append(r, r->hosts, r->host);
    append(r, r->addresses, address);
    append(r, r->ports, r->port);
    r->count++;
}

/* Takes the next item of a comma-separated list; a list that has run out, or NULL, gives "". */
static void take(const char **list, char *item, size_t capacity)
{
    size_t length = *list ? strcspn(*list, ",") : 0;
    snprintf(item, capacity, "%.*s", (int)length, *list ? *list : "");
    if (*list)
        *list = (*list)[length] ? *list + length + 1 : NULL;
}

/* Moves the first `items` of a list to its end. */
static void rotate(char *list, unsigned items)
{
    char rotated[LIST_CAPACITY];
    const char *rest = list;
    for (; items > 0; items--)
        rest += strcspn(rest, ",") + 1;
    if (rest == list)
        return;
    snprintf(rotated, sizeof rotated, "%s,%.*s", rest, (int)(rest - list - 1), list);
    strcpy(list, rotated);
}

static void deliver(void *user)
{
    struct pg_resolve *r = user;
    if (r->count > 0) {
        rotate(r->hosts, r->first % r->count);
        rotate(r->addresses, r->first % r->count);
        rotate(r->ports, r->first % r->count);
    }
    if (r->count == 0)
        r->done(r->user, NULL, NULL, NULL, &r->failure);
    else
        r->done(r->user, r->hosts, r->addresses, r->ports, NULL);
    free(r);
}

static void on_addresses(void *user, const char *const addresses[], int count, const struct err *err)
{
    struct pg_resolve *r = user;
    r->resolve = NULL;
    if (err)
        r->failure = *err;
    for (int i = 0; i < count; i++)
        add_address(r, addresses[i]);
    if (!look_up_next(r))
        deliver(r);
}

/* Takes hosts until one must be looked up; false if none is left. */
static bool look_up_next(struct pg_resolve *r)
{
    while (r->host_list) {
        take(&r->host_list, r->host, sizeof r->host);
        if (r->port_list) /* a single one is for all hosts */
            take(&r->port_list, r->port, sizeof r->port);
        if (resolve_needed(r->host)) {
            r->resolve = resolve_start(r->loop, r->host, on_addresses, r);
            if (r->resolve)
                return true;
            err_set(&r->failure, ERR_SYSTEM, "out of memory");
        } else {
            add_address(r, r->host[0] == '/' || r->host[0] == '@' ? "" : r->host);
        }
    }
    return false;
}

bool pg_resolve_needed(const struct url *url)
{
    const char *host = url_or_default(url, "host"), *addresses = url_or_default(url, "hostaddr");
    return !(addresses && *addresses) && host && (strchr(host, ',') || resolve_needed(host));
}

struct pg_resolve *pg_resolve_start(uv_loop_t *loop, const struct url *url, unsigned first, pg_resolved *done,
                                    void *user)
{
    struct pg_resolve *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->loop = loop;
    r->done = done;
    r->user = user;
    r->first = first;
    r->host_list = url_or_default(url, "host");
    r->port_list = url_or_default(url, "port");
    if (!look_up_next(r))
        r->later = later_call(loop, 0, deliver, r);
    return r;
}

void pg_resolve_cancel(struct pg_resolve *r)
{
    resolve_cancel(r->resolve);
    later_cancel(r->later);
    free(r);
}
