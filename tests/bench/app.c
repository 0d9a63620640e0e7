/* app: what the benchmark starts behind the gate, as small as a program can be.
 *
 *   app               ends at once with status 0
 *   app stamp FILE    first appends the time to FILE: CLOCK_BOOTTIME in nanoseconds, one write, one line
 *   app hold FIFO     a migration: lasts until whoever opened FIFO for writing closes it */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int stamp(const char *path)
{
    struct timespec now;
    char line[32];
    clock_gettime(CLOCK_BOOTTIME, &now);
    int length = snprintf(line, sizeof line, "%lld\n", (long long)now.tv_sec * 1000000000LL + now.tv_nsec);
    int fd = open(path, O_WRONLY | O_APPEND);
    return fd >= 0 && write(fd, line, (size_t)length) == length ? 0 : 1;
}

static int hold(const char *path)
{
    char byte;
    int fd = open(path, O_RDONLY);
    return fd >= 0 && read(fd, &byte, 1) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "stamp") == 0)
        return stamp(argv[2]);
    if (argc == 3 && strcmp(argv[1], "hold") == 0)
        return hold(argv[2]);
    return argc == 1 ? 0 : 2;
}
