#include "backend.h"

#include "file.h"
#include "postgres.h"
#include "url.h"

#include <stdio.h>
#include <string.h>

#define FILE_SCHEME   "file:"
#define PATH_CAPACITY 3000

static bool is_file(const char *url)
{
    return strncmp(url, FILE_SCHEME, strlen(FILE_SCHEME)) == 0;
}

static int check_file(const char *url, const char *what, char *shown, size_t capacity, struct err *err)
{
    const char *directory = url + strlen(FILE_SCHEME);
    if (directory[0] != '/' || directory[1] == '/')
        return err_set(err, ERR_USAGE, "%s: file: wants an absolute directory, as in file:/var/lib/lockstep", what);
    if (strlen(directory) >= PATH_CAPACITY)
        return err_set(err, ERR_USAGE, "%s: the directory's name is too long", what);
    snprintf(shown, capacity, "%s", url);
    return 0;
}

int backend_check_url(const char *url, const char *what, char *shown, size_t capacity, struct err *err)
{
    if (is_file(url))
        return check_file(url, what, shown, capacity, err);
    if (!url_has_scheme(url, "postgres") && !url_has_scheme(url, "postgresql"))
        return err_set(err, ERR_USAGE,
                       "%s names no place to meet that lockstep knows; known are postgres://..., and "
                       "file:/DIRECTORY",
                       what);
    struct url parsed;
    if (url_parse(&parsed, url, what, err) != 0)
        return -1;
    url_show(&parsed, shown, capacity);
    url_free(&parsed);
    return 0;
}

struct backend *backend_open(const struct backend_config *config, struct err *err)
{
    return is_file(config->url) ? file_open(config, err) : postgres_open(config, err);
}

char *backend_ddl(const char *schema)
{
    return postgres_ddl(schema);
}
