#include "leash.h"

#include "leash_process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
}

int leash_start(struct leash *leash, const struct leash_config *config, struct err *err)
{
    int control[2] = {-1, -1}, out[2] = {-1, -1}, errors[2] = {-1, -1};
    pid_t pid = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) == 0 && pipe2(out, O_CLOEXEC) == 0 &&
        pipe2(errors, O_CLOEXEC) == 0)
        pid = fork();
    if (pid == 0) {
        close(control[0]);
        leash_process(config, control[1], out[1], errors[1]);
    }
    if (pid < 0) {
        err_set(err, ERR_SYSTEM, "the migration's process cannot be started: %s", strerror(errno));
        close_pair(control);
        close_pair(out);
        close_pair(errors);
        return -1;
    }
    close(control[1]);
    close(out[1]);
    close(errors[1]);
    *leash = (struct leash){.pid = pid, .control = control[0], .out = out[0], .errors = errors[0]};
    const int ours[] = {leash->control, leash->out, leash->errors};
    for (size_t i = 0; i < 3; i++)
        fcntl(ours[i], F_SETFL, fcntl(ours[i], F_GETFL) | O_NONBLOCK);
    return 0;
}

void leash_order(const struct leash *leash, const struct leash_order *order)
{
    (void)!send(leash->control, order, sizeof *order, MSG_NOSIGNAL);
}

int leash_news(const struct leash *leash, struct leash_news *news)
{
    ssize_t n = recv(leash->control, news, sizeof *news, 0);
    if (n == (ssize_t)sizeof *news)
        return 1;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}
