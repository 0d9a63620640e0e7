#include "resolve.h"

#include "later.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

struct resolve {
    uv_getaddrinfo_t request;
    struct later *later; /* tells of a failure that was there at once */
    resolved *done;      /* NULL = cancelled */
    void *user;
    char host[256];
    struct err failure;
};

bool resolve_needed(const char *host)
{
    unsigned char address[16];
    return host[0] && host[0] != '/' && host[0] != '@' && inet_pton(AF_INET, host, address) != 1 &&
           inet_pton(AF_INET6, host, address) != 1;
}

static void on_addresses(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct resolve *r = request->data;
    char texts[RESOLVE_ADDRESSES_MAX][INET6_ADDRSTRLEN];
    const char *addresses[RESOLVE_ADDRESSES_MAX];
    int count = 0;
    for (struct addrinfo *ai = status == 0 ? found : NULL; ai && count < RESOLVE_ADDRESSES_MAX; ai = ai->ai_next) {
        const void *raw = ai->ai_family == AF_INET ? (const void *)&((struct sockaddr_in *)ai->ai_addr)->sin_addr
                                                   : (const void *)&((struct sockaddr_in6 *)ai->ai_addr)->sin6_addr;
        addresses[count] = inet_ntop(ai->ai_family, raw, texts[count], sizeof texts[count]);
        count += addresses[count] != NULL;
    }
    uv_freeaddrinfo(found);
    if (count == 0)
        err_set(&r->failure, ERR_UNAVAILABLE, "could not resolve the host name \"%s\": %s", r->host,
                status ? uv_strerror(status) : "it has no address");
    if (r->done)
        r->done(r->user, addresses, count, count ? NULL : &r->failure);
    free(r);
}

static void on_failed(void *user)
{
    struct resolve *r = user;
    r->done(r->user, NULL, 0, &r->failure);
    free(r);
}

struct resolve *resolve_start(uv_loop_t *loop, const char *host, resolved *done, void *user)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct resolve *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->done = done;
    r->user = user;
    r->request.data = r;
    snprintf(r->host, sizeof r->host, "%s", host);
    int failed = uv_getaddrinfo(loop, &r->request, on_addresses, r->host, NULL, &hints);
    if (failed) {
        err_set(&r->failure, ERR_UNAVAILABLE, "could not resolve \"%s\": %s", r->host, uv_strerror(failed));
        r->later = later_call(loop, 0, on_failed, r);
    }
    return r;
}

void resolve_cancel(struct resolve *r)
{
    if (!r)
        return;
    r->done = NULL;
    if (r->later) {
        later_cancel(r->later);
        free(r);
    } else {
        uv_cancel((uv_req_t *)&r->request); /* the callback still comes, and frees */
    }
}
