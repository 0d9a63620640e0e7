#include "later.h"

#include <stdlib.h>

struct later {
    uv_timer_t timer;
    void (*call)(void *user);
    void *user;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_timer(uv_timer_t *timer)
{
    struct later *later = timer->data;
    uv_close((uv_handle_t *)timer, on_closed);
    later->call(later->user);
}

struct later *later_call(uv_loop_t *loop, unsigned delay, void (*call)(void *user), void *user)
{
    struct later *later = calloc(1, sizeof *later);
    if (!later)
        return NULL;
    later->call = call;
    later->user = user;
    later->timer.data = later;
    uv_timer_init(loop, &later->timer);
    uv_timer_start(&later->timer, on_timer, delay, 0);
    return later;
}

void later_cancel(struct later *later)
{
    if (later)
        uv_close((uv_handle_t *)&later->timer, on_closed);
}
