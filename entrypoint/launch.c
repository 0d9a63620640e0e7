#include "launch.h"

#include "exitcodes.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" /* what Docker sets */

static const char *variable(char *const environment[], const char *name)
{
    size_t length = strlen(name);
    for (; *environment; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

static int not_found(struct err *err, const char *path, const char *interpreter)
{
    if (interpreter)
        err_set(err, ERR_USAGE, "%s wants the interpreter %s, which is not in this image", path, interpreter);
    else
        err_set(err, ERR_USAGE, "%s: command not found", path);
    return EXIT_NOT_FOUND;
}

static int not_executable(struct err *err, const char *path, const char *why)
{
    err_set(err, ERR_USAGE, "%s cannot be executed: %s", path, why);
    return EXIT_NOT_EXECUTABLE;
}

/* Copies the interpreter that a dynamic ELF file names; "" if it has none or is of another word size than ours. */
static void elf_interpreter(int fd, char interpreter[256])
{
    Elf64_Ehdr header;
    interpreter[0] = '\0';
    if (pread(fd, &header, sizeof header, 0) != sizeof header || header.e_ident[EI_CLASS] != ELFCLASS64)
        return;
    for (int i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        off_t at = (off_t)(header.e_phoff + (Elf64_Off)i * header.e_phentsize);
        if (pread(fd, &segment, sizeof segment, at) != sizeof segment)
            return;
        if (segment.p_type == PT_INTERP) {
            ssize_t n = pread(fd, interpreter, 255, (off_t)segment.p_offset);
            interpreter[n > 0 ? n : 0] = '\0';
            if (segment.p_filesz < 255)
                interpreter[segment.p_filesz] = '\0';
            return;
        }
    }
}

/* A script's first line or an ELF file's header names another program; the error for its absence must not look like
 * that for the file itself, which is there. */
static int check_content(const char *path, struct err *err)
{
    char head[256], interpreter[256] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0; /* executable but not readable: the kernel knows more than we do */
    ssize_t n = read(fd, head, sizeof head - 1);
    head[n > 0 ? n : 0] = '\0';
    bool elf = n >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
    if (elf)
        elf_interpreter(fd, interpreter);
    close(fd);
    if (strncmp(head, "#!", 2) == 0) {
        const char *word = head + 2 + strspn(head + 2, " \t");
        snprintf(interpreter, sizeof interpreter, "%.*s", (int)strcspn(word, " \t\r\n"), word);
        if (strchr(word, '\r') && strchr(word, '\r') < strchr(word, '\n'))
            return not_executable(err, path, "its first line ends with a carriage return (CRLF line ends)");
    } else if (!elf && n >= 0 && strlen(head) == (size_t)n) { /* text, or nothing: no kernel has a format for it */
        return not_executable(err, path, "it is neither a program nor a script that begins with #!");
    }
    if (interpreter[0] == '/' && access(interpreter, F_OK) != 0)
        return not_found(err, path, interpreter);
    return 0;
}

static int check_file(const char *path, struct err *err)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return errno == ENOENT || errno == ENOTDIR ? not_found(err, path, NULL)
                                                   : not_executable(err, path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return not_executable(err, path, "it is a directory");
    if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0)
        return not_executable(err, path, strerror(errno));
    return check_content(path, err);
}

int launch_find(const char *name, char *const environment[], char path[LAUNCH_PATH_CAPACITY], struct err *err)
{
    if (strchr(name, '/')) {
        snprintf(path, LAUNCH_PATH_CAPACITY, "%s", name);
        return check_file(path, err);
    }
    const char *list = variable(environment, "PATH");
    int result = *name ? 0 : not_found(err, "\"\"", NULL);
    for (const char *next = list ? list : DEFAULT_PATH; *name && next;) {
        size_t length = strcspn(next, ":");
        snprintf(path, LAUNCH_PATH_CAPACITY, "%.*s%s%s", (int)length, next, length ? "/" : "", name);
        next = next[length] ? next + length + 1 : NULL;
        if (access(path, F_OK) != 0)
            continue;
        result = check_file(path, err);
        if (result == 0)
            return 0;
    }
    return result ? result : not_found(err, name, NULL);
}

/* Why a program that we found is not to be had: mostly what `user` may do. */
static int refused(struct err *err, const char *path, const struct user *user, int failure)
{
    if (!user->spec)
        return not_executable(err, path, strerror(failure));
    err_set(err, ERR_USAGE, "%s cannot be executed as %s (uid %u, gid %u): %s", path, user->spec, user->uid, user->gid,
            strerror(failure));
    return EXIT_NOT_EXECUTABLE;
}

int launch_check_user(const char *path, const struct user *user, struct err *err)
{
    int failure = user_may_execute(user, path);
    return failure ? refused(err, path, user, failure) : 0;
}

int launch_become(const char *path, char *const argv[], char *const environment[], const struct user *user,
                  const struct inherited *inherited, struct err *err)
{
    int failure = user_become(user);
    if (failure) {
        err_set(err, ERR_SYSTEM, "cannot become %s (uid %u, gid %u): %s", user->spec, user->uid, user->gid,
                strerror(failure));
        return EXIT_CANNOT_GO_ON;
    }
    process_restore(inherited, true);
    execve(path, argv, environment);
    return errno == ENOENT ? not_found(err, path, NULL) : refused(err, path, user, errno);
}
