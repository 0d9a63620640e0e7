// hear: an app that says which signals it gets, in the order in which it takes them.
//
//   hear            says "ready PID", then "got N" for each signal; only KILL ends it
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ready %d\n", (int)getpid());
    for (;;) {
        int signal = sigwaitinfo(&all, NULL);
        if (signal > 0)
            printf("got %d\n", signal);
    }
}
