#include "identity.h"

#include "digest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define CONTAINER_ID_LENGTH 64

/* Docker and Podman mount the container's own /etc/hostname from a directory that is named by its id; the cgroup path
 * says it only with cgroup v1. */
static void find_container(const char *line, char container[65])
{
    if (container[0] || !strstr(line, " /etc/hostname "))
        return;
    for (const char *part = strchr(line, '/'); part; part = strchr(part + 1, '/')) {
        if (strspn(part + 1, "0123456789abcdef") == CONTAINER_ID_LENGTH) {
            memcpy(container, part + 1, CONTAINER_ID_LENGTH);
            container[CONTAINER_ID_LENGTH] = '\0';
            return;
        }
    }
}

/* That file may be shared (a pod, network_mode: container:...), so the id alone does not prove that we are the
 * container which left a run behind. The writable layer of the root is nobody else's, and stays over a restart. */
static void find_root(const char *line, char root[33])
{
    const char *layer = strstr(line, "upperdir=");
    struct digest *digest = layer && strstr(line, " / / ") ? digest_begin() : NULL;
    if (!digest)
        return;
    unsigned char hash[DIGEST_SIZE];
    digest_add(digest, layer, strcspn(layer, ",\n"));
    digest_end(digest, hash);
    digest_hex(hash, 16, root);
}

void identity_find_container(struct holder *holder)
{
    if (holder->container_found)
        return;
    holder->container_found = true;
    char *line = NULL;
    size_t capacity = 0;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    while (file && getline(&line, &capacity, file) > 0) {
        find_container(line, holder->container);
        find_root(line, holder->root);
    }
    free(line);
    if (file)
        fclose(file);
}

bool identity_is_restarted(const struct holder *me, const char *container, const char *root, int64_t pid)
{
    return me->pid1 && pid == 1 && me->container[0] && strcmp(me->container, container) == 0 && me->root[0] &&
           strcmp(me->root, root) == 0;
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
    return 0;
}
