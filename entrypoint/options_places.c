#include "options_places.h"

#include "app_database.h"
#include "redis_url.h"
#include "url.h"
#include "variables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

const char *const options_app_urls[APP_URLS] = {[APP_DATABASE_URL] = "DATABASE_URL", [APP_REDIS_URL] = "REDIS_URL"};

static enum origin origin_of(const enum origin origins[], const char *flag)
{
    int i = 0;
    while (strcmp(options_table[i].flag, flag) != 0)
        i++;
    return origins[i];
}

static bool skip(const char **text, const char *word)
{
    size_t length = strlen(word);
    if (strncasecmp(*text, word, length) != 0)
        return false;
    *text += length;
    return true;
}

/* Whether `database` is a URL of another kind: scheme://, scheme+driver://, jdbc:scheme:, or a file's name behind its
 * scheme. */
static bool is_other_database(const char *database)
{
    static const char *const others[] = {"mysql",   "mysql2",    "mariadb", "trilogy", "sqlite", "sqlite3",
                                         "mongodb", "sqlserver", "mssql",   "oracle",  "libsql", "file"};
    static const char *const files[] = {"file:", "sqlite:", "sqlite3:"};
    const char *url = url_trim(database).from, *c;
    bool java = skip(&url, "jdbc:") || skip(&url, "r2dbc:");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strncasecmp(url, files[i], strlen(files[i])) == 0)
            return true;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        c = url;
        if (!skip(&c, others[i]))
            continue;
        if (*c == '+')
            c += strcspn(c, ":/?@");
        if (java ? *c == ':' : strncmp(c, "://", 3) == 0)
            return true;
    }
    return false;
}

/* The database as a place to meet, or NULL if it is of another kind. An unknown scheme is an error: silently meeting in
 * a local directory instead would let every host migrate by itself. */
static int database_as_lock(const char *database, const char *what, bool *usable, struct err *err)
{
    *usable = url_is_postgres(database);
    if (*usable || is_other_database(database))
        return 0;
    struct url url;
    return url_parse(&url, database, what, err); /* which says what is known */
}

/* The embedded place: /var/lib/lockstep, or the user's own state directory if that may not be written. */
static const char *local_directory(void)
{
    static char url[4096];
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    bool ours = access("/var/lib/lockstep", W_OK) == 0 || (errno == ENOENT && access("/var/lib", W_OK) == 0);
    if (ours || (!state && !home))
        return "file:/var/lib/lockstep";
    if (state && state[0] == '/')
        snprintf(url, sizeof url, "file:%s/lockstep", state);
    else
        snprintf(url, sizeof url, "file:%s/.local/state/lockstep", home ? home : "");
    return url;
}

/* REDIS_URL as the place to meet, if the app has one. */
static int redis_as_lock(const char *redis_url, struct err *err)
{
    if (redis_url && !redis_url_is(redis_url))
        return err_set(
            err, ERR_USAGE,
            "REDIS_URL is not a Redis URL that lockstep knows; right would be redis://HOST:6379, or say where "
            "to meet with --lock (LOCKSTEP_LOCK)");
    return 0;
}

static bool is_prisma_proxy(const char *database)
{
    const char *url = url_trim(database).from;
    return url_has_scheme(url, "prisma") || url_has_scheme(url, "prisma+postgres");
}

/* What the user said, else DATABASE_URL, else what the app's other variables say. */
static int find_database(struct options *options, const enum origin origins[], const char *const app_urls[],
                         struct err *err)
{
    options->database_what = origin_of(origins, "--database") == ORIGIN_FLAG ? "--database" : "LOCKSTEP_DATABASE";
    if (options->database)
        return 0;
    options->database = app_urls[APP_DATABASE_URL];
    options->database_what = "DATABASE_URL";
    if (app_database_direct(&options->direct, &options->direct_what, err) != 0)
        return -1;
    const char *database = options->database, *what;
    if (database && (!options->direct || !is_prisma_proxy(database)))
        return 0;
    if (database) { /* Prisma's proxy is no place to meet or look, but the URL beside it is */
        database = NULL;
    } else if (app_database_find(&database, &what, !app_urls[APP_REDIS_URL], err) != 0) {
        return -1;
    }
    if (!database) {
        database = options->direct;
        what = options->direct_what;
    }
    if (database) {
        options->database = database;
        options->database_what = what;
        options->database_found = true;
    }
    return 0;
}

/* A database that was said is said for the tool too; one that was found in other variables, for those who cannot read
 * them. */
static int set_tool_database(struct options *options, bool has_url, struct err *err)
{
    struct url url;
    if (has_url || !options->preset || !options->database)
        return 0;
    if (!options->database_found) {
        options->tool_database = options->database;
        return 0;
    }
    if (!options->preset->reads_url)
        return 0;
    if (url_parse(&url, options->database, options->database_what, err) != 0)
        return -1;
    url_complete(&url);
    options->tool_database = url_write(&url);
    url_free(&url);
    return options->tool_database ? 0 : err_set(err, ERR_SYSTEM, "out of memory");
}

static int find_lock(struct options *options, const enum origin origins[], struct err *err)
{
    const char *app_urls[APP_URLS];
    for (int i = 0; i < APP_URLS; i++)
        if (variables_read(options_app_urls[i], &app_urls[i], &options->app_urls_from_file[i], err) != 0)
            return -1;
    if (find_database(options, origins, app_urls, err) != 0 ||
        set_tool_database(options, app_urls[APP_DATABASE_URL] != NULL, err) != 0)
        return -1;
    const char *redis_url = app_urls[APP_REDIS_URL];
    options->lock_what = origin_of(origins, "--lock") == ORIGIN_FLAG ? "--lock" : "LOCKSTEP_LOCK";
    bool usable = false;
    bool asked_for = !options->lock || (options->database != app_urls[APP_DATABASE_URL] && !options->database_found);
    if (options->database && asked_for && /* otherwise it is the app's own */
        database_as_lock(options->database, options->database_what, &usable, err) != 0)
        return -1;
    if (options->lock) {
        options->direct = NULL;
        return 0;
    }
    if (usable && options->direct) {
        options->lock_what = options->direct_what;
        options->lock = options->direct;
        return 0;
    }
    options->lock_what = usable ? options->database_what : redis_url ? "REDIS_URL" : OPTIONS_DEFAULT_PLACE;
    options->lock = usable ? options->database : redis_url ? redis_url : local_directory();
    return usable ? 0 : redis_as_lock(redis_url, err);
}

const char *options_records_database(const struct options *options)
{
    return options->database_found && redis_url_is(options->lock) ? NULL : options->database;
}

/* Another app may share a Redis, and would have its "default" too; a database is one app's own more often than not. */
static int check_redis_name(const struct options *options, const enum origin origins[], struct err *err)
{
    if (!redis_url_is(options->lock) || origin_of(origins, "--name") != ORIGIN_PRESET)
        return 0;
    return err_set(
        err, ERR_USAGE,
        "--name (LOCKSTEP_NAME) is missing, which a Redis lock (%s) needs, as other apps may meet in the same "
        "Redis; right would be --name shop, or another place with --lock (LOCKSTEP_LOCK)",
        options->lock_what);
}

int options_find_places(struct options *options, const enum origin origins[], struct err *err)
{
    return find_lock(options, origins, err) != 0 ? -1 : check_redis_name(options, origins, err);
}
