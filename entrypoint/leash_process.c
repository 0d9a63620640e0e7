#include "leash_process.h"

#include "clock.h"
#include "exitcodes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEFTOVER_GRACE_MS 2000 /* DESIGN section 2, rule 0 */
#define KILL_AGAIN_MS     20   /* what was being forked while we killed shows in the next round */

struct hold {
    int control;  /* -1 once lockstep is gone */
    int children; /* signalfd */
    int timer;
    pid_t main; /* also its process group */
    int status;
    bool main_gone;
    bool told;                      /* it has been asked to end */
    int64_t lease_term, lease_kill; /* the lease, as last extended */
    int64_t stop_kill;              /* of an end for another reason; INT64_MAX = none */
    bool killing;
    bool frozen; /* until the lock is verified: no signal may wake it */
};

static void tell(struct hold *hold, enum leash_news_kind kind, int number)
{
    struct leash_news news = {.kind = kind, .number = number};
    if (hold->control >= 0)
        (void)!send(hold->control, &news, sizeof news, MSG_NOSIGNAL);
}

/* ---- the migration's first process ------------------------------------------------------------------------------- */

static _Noreturn void give_up(int report, enum leash_news_kind kind, int failure, int status)
{
    struct leash_news news = {.kind = kind, .number = failure};
    (void)!write(report, &news, sizeof news);
    _exit(status);
}

static void become_user(const struct leash_config *config, pid_t leash, int out, int errors, int report)
{
    if (config->who->spec) { /* the pipes are ours: without this the user could not open /dev/stdout by its name */
        (void)!fchown(out, config->who->uid, config->who->gid);
        (void)!fchown(errors, config->who->uid, config->who->gid);
    }
    int failure = user_become(config->who);
    if (failure)
        give_up(report, LEASH_CANNOT_BECOME, failure, EXIT_CANNOT_GO_ON);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* should somebody kill the leash, and lockstep with it; a new user clears it */
    if (getppid() != leash)
        _exit(EXIT_CANNOT_GO_ON);
}

static _Noreturn void become_migration(const struct leash_config *config, pid_t leash, int out, int errors, int report)
{
    setpgid(0, 0); /* the leash does it too: whoever comes first */
    become_user(config, leash, out, errors, report);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDIN_FILENO); /* a prompt must fail, not wait */
    else
        close(STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    if (config->lock_fd >= 0)
        fcntl(config->lock_fd, F_SETFD, 0);
    process_restore(config->inherited, false);
    execve(config->path, config->argv, config->environment);
    give_up(report, LEASH_CANNOT_EXEC, errno, errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

/* Returns once the program runs, or cannot: then lockstep is told. */
static void start_migration(struct hold *hold, const struct leash_config *config, int out, int errors)
{
    int report[2];
    struct leash_news failure = {.kind = LEASH_CANNOT_EXEC};
    pid_t leash = getpid();
    if (pipe2(report, O_CLOEXEC) != 0) {
        tell(hold, LEASH_CANNOT_EXEC, errno);
        return;
    }
    hold->main = fork();
    if (hold->main == 0)
        become_migration(config, leash, out, errors, report[1]);
    failure.number = hold->main < 0 ? errno : 0;
    if (hold->main > 0)
        setpgid(hold->main, hold->main);
    close(report[1]);
    if (hold->main > 0)
        while (read(report[0], &failure, sizeof failure) < 0 && errno == EINTR)
            ;
    close(report[0]);
    if (failure.number)
        tell(hold, failure.kind, failure.number);
}

/* ---- ending it --------------------------------------------------------------------------------------------------- */

/* Once the main process is reaped, its id may belong to somebody else. */
static void signal_group(const struct hold *hold, int signal)
{
    if (hold->main_gone && process_signal_below(getpid(), signal) == 0)
        kill(-hold->main,
             signal); /* no /proc? Its group keeps its id as long as it has members, and we have children */
    else if (hold->main_gone)
        return;
    else if (hold->main > 0 && kill(-hold->main, signal) != 0 && errno == ESRCH)
        kill(hold->main, signal);
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t kill_at(const struct hold *hold)
{
    return min64(hold->lease_kill, hold->stop_kill);
}

static void ask_to_end(const struct hold *hold, int signal)
{
    signal_group(hold, signal);
    if (process_wakes(signal))
        signal_group(hold, SIGCONT);
}

static void kill_all(struct hold *hold)
{
    hold->killing = true;
    signal_group(hold, SIGKILL);
    process_signal_below(getpid(), SIGKILL);
}

/* Reaps all that has ended; true when nobody is left. */
static bool reap(struct hold *hold)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != hold->main)
            continue;
        hold->main_gone = true;
        hold->status = WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
    }
    return pid < 0 && errno == ECHILD;
}

static void end_leftovers(struct hold *hold)
{
    tell(hold, LEASH_LEFTOVERS, process_signal_below(getpid(), 0));
    ask_to_end(hold, SIGTERM);
    hold->told = true;
    hold->stop_kill = min64(hold->stop_kill, clock_boot_ms() + LEFTOVER_GRACE_MS);
}

static void on_order(struct hold *hold, const struct leash_order *order)
{
    switch (order->kind) {
    case LEASH_EXTEND:
        hold->lease_term = order->term_at;
        hold->lease_kill = order->kill_at;
        break;
    case LEASH_STOP:
        if (order->signal)
            ask_to_end(hold, order->signal);
        hold->told = true;
        hold->stop_kill = min64(hold->stop_kill, order->kill_at);
        break;
    case LEASH_FORWARD:
        signal_group(hold, order->signal);
        if (!hold->frozen && process_wakes(order->signal))
            signal_group(hold, SIGCONT);
        break;
    case LEASH_FREEZE:
    case LEASH_THAW:
        hold->frozen = order->kind == LEASH_FREEZE;
        signal_group(hold, hold->frozen ? SIGSTOP : SIGCONT);
        break;
    }
}

static void read_orders(struct hold *hold)
{
    struct leash_order order;
    while (hold->control >= 0) {
        ssize_t n = recv(hold->control, &order, sizeof order, MSG_DONTWAIT);
        if (n == (ssize_t)sizeof order) {
            on_order(hold, &order);
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        } else { /* lockstep is gone */
            close(hold->control);
            hold->control = -1;
            int64_t grace = hold->told ? 0 : hold->lease_kill - hold->lease_term;
            hold->stop_kill = min64(hold->stop_kill, clock_boot_ms() + grace);
            hold->lease_term = clock_boot_ms();
        }
    }
}

static void on_time(struct hold *hold)
{
    int64_t now = clock_boot_ms();
    if (now >= kill_at(hold)) {
        kill_all(hold);
    } else if (!hold->told && now >= hold->lease_term) {
        hold->told = true;
        ask_to_end(hold, SIGTERM);
    }
}

static void set_timer(const struct hold *hold)
{
    int64_t at = hold->killing ? clock_boot_ms() + KILL_AGAIN_MS
                 : hold->told  ? kill_at(hold)
                               : min64(kill_at(hold), hold->lease_term);
    struct itimerspec when = {.it_value = {.tv_sec = at / 1000, .tv_nsec = (long)(at % 1000) * 1000000}};
    timerfd_settime(hold->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void drain(int fd)
{
    char buffer[sizeof(struct signalfd_siginfo)];
    while (read(fd, buffer, sizeof buffer) > 0)
        ;
}

static void hold_until_gone(struct hold *hold)
{
    bool leftovers_told = false;
    for (;;) {
        if (reap(hold))
            return;
        if (hold->main_gone && !leftovers_told) {
            leftovers_told = true;
            end_leftovers(hold);
        }
        set_timer(hold);
        struct pollfd fds[] = {{.fd = hold->children, .events = POLLIN},
                               {.fd = hold->timer, .events = POLLIN},
                               {.fd = hold->control, .events = POLLIN}};
        poll(fds, 3, -1);
        drain(hold->children);
        drain(hold->timer);
        read_orders(hold);
        on_time(hold);
    }
}

/* ---- the process ------------------------------------------------------------------------------------------------- */

_Noreturn void leash_process(const struct leash_config *config, int control, int out, int errors)
{
    const int kept[] = {control, out, errors, config->lock_fd};
    process_close_others(3, kept, 4); /* a copy of the lock's socket would keep the lock */
    sigset_t all, child;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL); /* ^C reaches the whole terminal; only lockstep decides what it means */
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &standard, NULL); /* ignored, it would reap before us */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct hold hold = {
        .control = control,
        .children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK),
        .timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK),
        .lease_term = config->term_at,
        .lease_kill = config->kill_at,
        .stop_kill = INT64_MAX,
    };
    start_migration(&hold, config, out, errors);
    close(out);
    close(errors);
    close(STDOUT_FILENO); /* a reader of the container's log must not wait for us */
    close(STDERR_FILENO);
    hold_until_gone(&hold);
    tell(&hold, LEASH_ENDED, hold.main > 0 ? hold.status : EXIT_NOT_EXECUTABLE);
    _exit(0);
}
