#include "backend.h"

#include "file.h"
#include "history.h"
#include "postgres.h"
#include "redis.h"
#include "redis_url.h"
#include "split.h"
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

static int check_redis(const char *url, const char *what, char *shown, size_t capacity, struct err *err)
{
    struct redis_url parsed;
    if (redis_url_parse(&parsed, url, what, err) != 0)
        return -1;
    redis_url_show(&parsed, shown, capacity);
    redis_url_free(&parsed);
    return 0;
}

int backend_check_url(const char *url, const char *what, char *shown, size_t capacity, struct err *err)
{
    if (is_file(url))
        return check_file(url, what, shown, capacity, err);
    if (redis_url_is(url))
        return check_redis(url, what, shown, capacity, err);
    if (!url_is_postgres(url))
        return err_set(err, ERR_USAGE,
                       "%s names no place to meet that lockstep knows; known are postgres://..., redis://... (rediss, "
                       "redis+unix, redis+sentinel), and file:/DIRECTORY",
                       what);
    struct url parsed;
    if (url_parse(&parsed, url, what, err) != 0)
        return -1;
    url_show(&parsed, shown, capacity);
    url_free(&parsed);
    return 0;
}

bool backend_is_split(const char *url, const char *database)
{
    return redis_url_is(url) && database && url_is_postgres(database);
}

static struct backend *open_place(const struct backend_config *config, struct err *err)
{
    if (is_file(config->url))
        return file_open(config, err);
    if (backend_is_split(config->url, config->database_url))
        return split_open(config, redis_open, postgres_open, err);
    return redis_url_is(config->url) ? redis_open(config, err) : postgres_open(config, err);
}

struct backend *backend_open(const struct backend_config *config, struct err *err)
{
    return config->history ? history_open(config, open_place, err) : open_place(config, err);
}

enum op_result backend_result(const struct err *err)
{
    static const enum op_result results[] = {
        [ERR_UNAVAILABLE] = OP_UNAVAILABLE, [ERR_CROWDED] = OP_CROWDED,
        [ERR_REFUSED] = OP_REFUSED,         [ERR_LOST] = OP_LOST,
        [ERR_SYSTEM] = OP_REFUSED,          [ERR_USAGE] = OP_REFUSED,
    };
    return results[err->code];
}

char *backend_ddl(const char *schema)
{
    return postgres_ddl(schema);
}
