#include "relay.h"

static void on_disconnected(void *user, const struct err *err)
{
    const struct backend *before = user;
    before->config.handlers.disconnected(before->config.user, err);
}

static void on_woken(void *user)
{
    const struct backend *before = user;
    before->config.handlers.woken(before->config.user);
}

static void on_connected(void *user, bool pooled)
{
    const struct backend *before = user;
    before->config.handlers.connected(before->config.user, pooled);
}

static void on_warned(void *user, enum event event, const char *text)
{
    const struct backend *before = user;
    before->config.handlers.warned(before->config.user, event, text);
}

struct backend_handlers relay_handlers(void (*reply)(void *user, enum op op, enum op_result result,
                                                     const struct look *look, const struct err *err))
{
    return (struct backend_handlers){
        .reply = reply,
        .disconnected = on_disconnected,
        .woken = on_woken,
        .connected = on_connected,
        .warned = on_warned,
    };
}
