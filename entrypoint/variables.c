#include "variables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_CAPACITY 65536

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *value = file ? malloc(VALUE_CAPACITY) : NULL;
    size_t length = value ? fread(value, 1, VALUE_CAPACITY - 1, file) : 0;
    if (value && ferror(file)) {
        free(value);
        value = NULL;
    }
    int failure = errno;
    if (file)
        fclose(file);
    errno = failure;
    if (!value)
        return NULL;
    value[length] = '\0';
    while (length > 0 && (value[length - 1] == '\n' || value[length - 1] == '\r'))
        value[--length] = '\0';
    return value;
}

int variables_read(const char *name, const char **value, char **from_file, struct err *err)
{
    char file_name[80];
    snprintf(file_name, sizeof file_name, "%s_FILE", name);
    const char *direct = getenv(name), *path = getenv(file_name);
    *value = direct && *direct ? direct : NULL;
    if (!path || !*path)
        return 0;
    if (*value)
        return err_set(err, ERR_USAGE, "%s and %s are both set; right would be one of them", name, file_name);
    char *content = read_file(path);
    if (!content)
        return err_set(err, ERR_USAGE, "%s: %s cannot be read: %s", file_name, path, strerror(errno));
    if (!*content) {
        free(content);
        return err_set(err, ERR_USAGE, "%s: %s is empty; it should hold the value of %s", file_name, path, name);
    }
    *value = content;
    if (from_file)
        *from_file = content;
    return 0;
}
