#include "identity.h"

#include "digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define CONTAINER_ID_LENGTH 64

/* Docker, Podman and containerd mount the container's own files from a directory that is named by its id; the cgroup
 * path says it only with cgroup v1 (https://docs.docker.com/engine/containers/runmetrics/). */
static void find_container(char container[65])
{
    char line[4096];
    container[0] = '\0';
    FILE *file = fopen("/proc/self/mountinfo", "re");
    while (file && !container[0] && fgets(line, sizeof line, file)) {
        if (!strstr(line, " /etc/hostname ") && !strstr(line, " /etc/hosts ") && !strstr(line, " /etc/resolv.conf "))
            continue;
        for (char *part = strtok(line, "/ "); part && !container[0]; part = strtok(NULL, "/ "))
            if (strlen(part) == CONTAINER_ID_LENGTH && strspn(part, "0123456789abcdef") == CONTAINER_ID_LENGTH)
                strcpy(container, part);
    }
    if (file)
        fclose(file);
}

int identity_find(struct holder *holder, struct err *err)
{
    unsigned char random[16];
    *holder = (struct holder){.pid = getpid(), .pid1 = getpid() == 1};
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_set(err, ERR_SYSTEM, "getrandom: %s", strerror(errno));
    digest_hex(random, sizeof random, holder->nonce);
    if (gethostname(holder->host, sizeof holder->host - 1) != 0)
        strcpy(holder->host, "unknown");
    find_container(holder->container);
    return 0;
}
