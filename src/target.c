#include "target.h"

#include "digest.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A length before each part, so that no two different sets of files hash the same bytes. */
static void add_part(struct digest *digest, const void *bytes, uint64_t length)
{
    unsigned char prefix[8];
    for (int i = 0; i < 8; i++)
        prefix[i] = (unsigned char)(length >> (56 - 8 * i));
    digest_add(digest, prefix, sizeof prefix);
    digest_add(digest, bytes, length);
}

static int add_file(struct digest *digest, const char *path, struct err *err)
{
    unsigned char hash[DIGEST_SIZE];
    char buffer[16384];
    ssize_t n = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct digest *content = digest_begin();
    if (fd >= 0 && content)
        while ((n = read(fd, buffer, sizeof buffer)) > 0)
            digest_add(content, buffer, (size_t)n);
    int failure = errno;
    if (fd >= 0)
        close(fd);
    if (content)
        digest_end(content, hash);
    if (n < 0)
        return err_set(err, ERR_USAGE, "--target-files: %s cannot be read: %s", path, strerror(failure));
    add_part(digest, path, strlen(path));
    add_part(digest, hash, sizeof hash);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int find_files(const char *const *patterns, int count, glob_t *found, struct err *err)
{
    for (int i = 0; i < count; i++) {
        size_t before = found->gl_pathc;
        size_t files = 0;
        int failed = glob(patterns[i], i ? GLOB_APPEND : 0, NULL, found);
        for (size_t n = before; failed == 0 && n < found->gl_pathc; n++) {
            struct stat status;
            files += stat(found->gl_pathv[n], &status) == 0 && S_ISREG(status.st_mode);
        }
        if (files == 0)
            return err_set(err, ERR_USAGE,
                           "--target-files: no file matches %s; the pattern is relative to the working "
                           "directory of the container",
                           patterns[i]);
    }
    if (found->gl_pathc > 0)
        qsort(found->gl_pathv, found->gl_pathc, sizeof found->gl_pathv[0], by_name);
    return 0;
}

int target_of_files(const char *const *patterns, int count, char target[TARGET_CAPACITY], struct err *err)
{
    glob_t found = {.gl_pathc = 0};
    struct digest *digest = digest_begin();
    int result = digest ? find_files(patterns, count, &found, err) : err_set(err, ERR_SYSTEM, "out of memory");
    for (size_t i = 0; result == 0 && i < found.gl_pathc; i++) {
        struct stat status;
        bool twice = i > 0 && strcmp(found.gl_pathv[i], found.gl_pathv[i - 1]) == 0; /* two patterns, one file */
        if (!twice && stat(found.gl_pathv[i], &status) == 0 && S_ISREG(status.st_mode))
            result = add_file(digest, found.gl_pathv[i], err);
    }
    if (digest) {
        unsigned char hash[DIGEST_SIZE];
        digest_end(digest, hash);
        strcpy(target, "files-");
        digest_hex(hash, 16, target + strlen(target));
    }
    globfree(&found);
    return result;
}
