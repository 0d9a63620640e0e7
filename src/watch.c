#include "watch.h"

#include <stdlib.h>
#include <unistd.h>

struct watch {
    uv_poll_t poll;
    int fd;
    watch_ready *ready;
    void *user;
};

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    watch->ready(watch->user, status < 0 ? UV_READABLE | UV_WRITABLE : events);
}

struct watch *watch_new(uv_loop_t *loop, int fd, watch_ready *ready, void *user)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch || fd < 0 || uv_poll_init(loop, &watch->poll, fd) != 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    watch->fd = fd;
    watch->ready = ready;
    watch->user = user;
    return watch;
}

int watch_for(struct watch *watch, int events)
{
    return events ? uv_poll_start(&watch->poll, events, on_poll) : uv_poll_stop(&watch->poll);
}

struct watch *watch_readable(uv_loop_t *loop, int fd, watch_ready *ready, void *user)
{
    struct watch *watch = watch_new(loop, fd, ready, user);
    if (!watch || watch_for(watch, UV_READABLE) == 0)
        return watch;
    watch_free(watch);
    return NULL;
}

int watch_fd(const struct watch *watch)
{
    return watch->fd;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void watch_free(struct watch *watch)
{
    if (watch)
        uv_close((uv_handle_t *)&watch->poll, on_closed);
}

void watch_close(struct watch **watch)
{
    if (!*watch)
        return;
    int fd = watch_fd(*watch);
    watch_free(*watch);
    close(fd);
    *watch = NULL;
}
