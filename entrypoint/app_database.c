#include "app_database.h"

#include "log.h"
#include "url.h"
#include "variables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAMES_MAX    3

/* The first of these that is set. */
struct names {
    const char *names[NAMES_MAX];
};

static const char *value_of(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* Kubernetes sets NAME_PORT=tcp://ADDRESS:PORT for every service that is called name: that is nobody's setting. */
static const char *port_of(const char *name)
{
    const char *value = value_of(name);
    return value && strncmp(value, "tcp://", 6) == 0 ? NULL : value;
}

/* A copy of the value of one of `names`, or of a file that NAME_FILE names; NULL = none. */
static int read_one(const struct names *names, char **value, struct err *err)
{
    const char *found = NULL;
    *value = NULL;
    for (int i = 0; i < NAMES_MAX && names->names[i] && !found; i++)
        found = value_of(names->names[i]);
    if (found) {
        *value = strdup(found);
        return *value ? 0 : err_set(err, ERR_SYSTEM, "out of memory");
    }
    for (int i = 0; i < NAMES_MAX && names->names[i] && !*value; i++)
        if (variables_read(names->names[i], &found, value, err) != 0)
            return -1;
    return 0;
}

/* ---- texts for url_parse ---------------------------------------------------------------------------------------- */

/* A value as the keyword form of .NET quotes it. */
static void put_keyword(FILE *out, const char *keyword, const char *value)
{
    if (!value)
        return;
    fprintf(out, "%s=\"", keyword);
    for (; *value; value++)
        fprintf(out, *value == '"' ? "\"\"" : "%c", *value);
    fputs("\";", out);
}

static void put_parameter(FILE *out, bool *any, const char *name, const char *value)
{
    if (!value)
        return;
    fprintf(out, "%c%s=", *any ? '&' : '?', name);
    *any = true;
    url_encode(out, value);
}

static int finish(FILE *out, char **text, struct err *err)
{
    bool failed = !out || ferror(out);
    if (out && fclose(out) == 0 && !failed)
        return 0;
    free(*text);
    *text = NULL;
    return err_set(err, ERR_SYSTEM, "out of memory");
}

/* The URL with what it does not say itself. A wrong one stays as it is, for whoever reads it to say so. */
static int with_credentials(const char *url, const char *user, const char *password, const char **database,
                            struct err *err)
{
    struct url parsed;
    struct err later;
    *database = url;
    if (url_parse(&parsed, url, "", &later) != 0)
        return 0;
    user = url_get(&parsed, "user") ? NULL : user;
    password = url_get(&parsed, "password") ? NULL : password;
    url_free(&parsed);
    if (!user && !password)
        return 0;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct url_span span = url_trim(url);
    bool has_query = memchr(span.from, '?', (size_t)(span.to - span.from)) != NULL;
    bool is_keywords = !strstr(span.from, "://") && !strcasestr(span.from, "dbc:");
    if (out)
        fprintf(out, "%.*s%s", (int)(span.to - span.from), span.from, is_keywords ? ";" : "");
    if (out && is_keywords) {
        put_keyword(out, "Username", user);
        put_keyword(out, "Password", password);
    } else if (out) {
        put_parameter(out, &has_query, "user", user);
        put_parameter(out, &has_query, "password", password);
    }
    if (finish(out, &text, err) != 0)
        return -1;
    *database = text;
    return 0;
}

/* ---- whose variables -------------------------------------------------------------------------------------------- */

/* A URL, with the user and the password beside it. */
static const struct {
    const char *url;
    struct names user, password;
} urls[] = {
    {"SPRING_DATASOURCE_URL", {{"SPRING_DATASOURCE_USERNAME"}}, {{"SPRING_DATASOURCE_PASSWORD"}}},
    {"FLYWAY_URL", {{"FLYWAY_USER"}}, {{"FLYWAY_PASSWORD"}}},
    {"LIQUIBASE_COMMAND_URL", {{"LIQUIBASE_COMMAND_USERNAME"}}, {{"LIQUIBASE_COMMAND_PASSWORD"}}},
    {"ConnectionStrings__DefaultConnection", {{NULL}}, {{NULL}}},
    {"DB_URL", {{"DB_USERNAME", "DB_USER"}}, {{"DB_PASSWORD", "DB_PASS"}}},
};

/* A host, with everything beside it. */
static const struct parts {
    const char *host, *port;
    struct names database, user, password;
    const char *mode;
} hosts[] = {
    {"DB_HOST",
     "DB_PORT",
     {{"DB_DATABASE", "DB_NAME"}},
     {{"DB_USERNAME", "DB_USER"}},
     {{"DB_PASSWORD", "DB_PASS"}},
     "DB_SSLMODE"},
    {"POSTGRES_HOST",
     "POSTGRES_PORT",
     {{"POSTGRES_DB", "POSTGRES_DATABASE"}},
     {{"POSTGRES_USER"}},
     {{"POSTGRES_PASSWORD"}},
     "POSTGRES_SSLMODE"},
};

/* Those that say where, and not only who or how: libpq reads them, and what belongs to them, itself. */
static const char *const libpqs[] = {"PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE"};

enum kind { KIND_UNKNOWN, KIND_POSTGRES, KIND_OTHER };

static bool has_variables_of_mysql(void)
{
    for (char **entry = environ; *entry; entry++)
        if (strncmp(*entry, "MYSQL_", 6) == 0 || strncmp(*entry, "MARIADB_", 8) == 0)
            return true;
    return false;
}

/* DB_HOST is anybody's. What stands beside it says whose. */
static enum kind kind_of_db_host(void)
{
    static const char *const said[] = {"DB_CONNECTION", "DB_DIALECT", "DB_DRIVER", "DB_ENGINE",
                                       "DB_ADAPTER",    "DB_CLIENT",  "DB_TYPE"};
    static const char *const others[] = {"3306", "3307", "33060", "1433", "1521", "27017", "50000"};
    const char *port = port_of("DB_PORT");
    for (size_t i = 0; i < COUNT(said); i++) {
        const char *value = value_of(said[i]);
        if (value)
            return strcasestr(value, "postg") || strcasestr(value, "pgsql") || strcasestr(value, "psycopg") ||
                           strcasecmp(value, "pg") == 0
                       ? KIND_POSTGRES
                       : KIND_OTHER;
    }
    for (size_t i = 0; port && i < COUNT(others); i++)
        if (strcmp(port, others[i]) == 0)
            return KIND_OTHER;
    if ((port && strcmp(port, "5432") == 0) || value_of("DB_SSLMODE"))
        return KIND_POSTGRES;
    return has_variables_of_mysql() ? KIND_OTHER : KIND_UNKNOWN;
}

/* The values of a database's parts; NULL = not said. */
struct values {
    const char *host, *port, *database, *user, *password, *mode;
};

static int compose(const struct values *values, char **text, struct err *err)
{
    size_t size;
    *text = NULL;
    FILE *out = open_memstream(text, &size);
    if (out) {
        put_keyword(out, "Host", values->host);
        put_keyword(out, "Port", values->port);
        put_keyword(out, "Database", values->database);
        put_keyword(out, "Username", values->user);
        put_keyword(out, "Password", values->password);
        put_keyword(out, "SSL Mode", values->mode);
    }
    return finish(out, text, err);
}

static bool is_wrong(const struct values *values)
{
    struct url url;
    struct err err;
    char *text;
    if (compose(values, &text, &err) != 0)
        return false;
    bool wrong = url_parse(&url, text, "", &err) != 0;
    free(text);
    if (!wrong)
        url_free(&url);
    return wrong;
}

/* The variable that names the database; of the host and what stands beside it the one that is wrong, for messages. */
static const char *name_of(const struct parts *parts)
{
    if (is_wrong(&(struct values){.host = "any", .port = port_of(parts->port)}))
        return parts->port;
    return is_wrong(&(struct values){.host = "any", .mode = value_of(parts->mode)}) ? parts->mode : parts->host;
}

static int read_parts(const struct parts *parts, const char **database, struct err *err)
{
    char *name = NULL, *user = NULL, *password = NULL, *text = NULL;
    int result = read_one(&parts->database, &name, err);
    if (result == 0)
        result = read_one(&parts->user, &user, err);
    if (result == 0)
        result = read_one(&parts->password, &password, err);
    if (result == 0)
        result = compose(
            &(struct values){value_of(parts->host), port_of(parts->port), name, user, password, value_of(parts->mode)},
            &text, err);
    if (result == 0)
        *database = text;
    free(name);
    free(user);
    free(password);
    return result;
}

static int read_url(const char *url, const struct names *users, const struct names *passwords, const char **database,
                    struct err *err)
{
    char *user = NULL, *password = NULL;
    int result = read_one(users, &user, err);
    if (result == 0)
        result = read_one(passwords, &password, err);
    if (result == 0)
        result = with_credentials(url, user, password, database, err);
    free(user);
    free(password);
    return result;
}

/* Whether the URL in `name` is Postgres'; of another one only a debug line says that it was looked at. */
static bool is_ours(const char *name, const char *value)
{
    if (!value || url_is_postgres(value))
        return value != NULL;
    log_say(LOG_LEVEL_DEBUG, EVENT_STARTING, LOG_NO_FIELDS, "%s names no Postgres that lockstep knows", name);
    return false;
}

int app_database_find(const char **database, const char **what, bool doubtful_too, struct err *err)
{
    *database = NULL;
    for (size_t i = 0; i < COUNT(libpqs); i++) {
        if (value_of(libpqs[i])) {
            *what = libpqs[i];
            *database = "postgres://";
            return 0;
        }
    }
    for (size_t i = 0; i < COUNT(urls); i++) {
        const char *url = value_of(urls[i].url);
        *what = urls[i].url;
        if (is_ours(*what, url))
            return read_url(url, &urls[i].user, &urls[i].password, database, err);
    }
    for (size_t i = 0; i < COUNT(hosts); i++) {
        enum kind kind = strcmp(hosts[i].host, "DB_HOST") == 0 ? kind_of_db_host() : KIND_POSTGRES;
        if (!value_of(hosts[i].host) || kind == KIND_OTHER || (kind == KIND_UNKNOWN && !doubtful_too))
            continue;
        *what = name_of(&hosts[i]);
        return read_parts(&hosts[i], database, err);
    }
    return 0;
}

int app_database_direct(const char **database, const char **what, struct err *err)
{
    static const struct names names[] = {{{"DIRECT_URL"}}, {{"DIRECT_DATABASE_URL"}}, {{"MIGRATION_DATABASE_URL"}}};
    for (size_t i = 0; i < COUNT(names); i++) {
        char *value;
        *what = names[i].names[0];
        if (read_one(&names[i], &value, err) != 0)
            return -1;
        if (is_ours(*what, value)) {
            *database = value;
            return 0;
        }
        free(value);
    }
    *database = NULL;
    return 0;
}
