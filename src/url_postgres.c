#include "url_values.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Schemes of drivers and frameworks; all of them may have a +driver behind. */
static const char *const schemes[] = {
    "postgres",    "postgresql",   "pg",        "pgsql",       "pdo-pgsql",     "psql",
    "pgx",         "pgx4",         "pgx5",      "ecto",        "postgis",       "timescale",
    "timescaledb", "timescalegis", "cockroach", "cockroachdb", "crdb-postgres",
};
#define KNOWN_SCHEMES                                                                                                  \
    "postgres://, postgresql:// (both with +driver), pg, pgsql, pdo-pgsql, psql, pgx, pgx4, pgx5, ecto, postgis, "     \
    "timescale, timescaledb, timescalegis, cockroach, cockroachdb, crdb-postgres, jdbc:postgresql, and "               \
    "Host=...;Username=..."

/* A URL without what stands before its "//". */
struct form {
    const char *rest, *end;
    bool java; /* jdbc: or r2dbc: */
};

static bool skip(const char **text, const char *word)
{
    size_t length = strlen(word);
    if (strncasecmp(*text, word, length) != 0)
        return false;
    *text += length;
    return true;
}

static bool is_scheme(const char *from, size_t length)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (strlen(schemes[i]) == length && strncasecmp(from, schemes[i], length) == 0)
            return true;
    return false;
}

/* Finds where the URL of Postgres in `text` goes on behind its scheme. Returns false if it is none. */
static bool find_form(struct form *form, const char *text)
{
    static const char *const wrappers[] = {"aws-wrapper:", "otel:", "p6spy:", "log4jdbc:", "pool:"};
    struct url_span whole = url_trim(text);
    const char *c = whole.from;
    *form = (struct form){.end = whole.to, .java = skip(&c, "jdbc:") || skip(&c, "r2dbc:")};
    for (size_t i = 0; form->java && i < sizeof wrappers / sizeof wrappers[0]; i++)
        skip(&c, wrappers[i]);
    size_t length = strcspn(c, "+:/");
    if (!is_scheme(c, length))
        return false;
    c += length;
    if (*c == '+')
        c += strcspn(c, ":/?@");
    if (*c != ':' || (!form->java && strncmp(c, "://", 3) != 0))
        return false;
    form->rest = c + 1;
    return form->rest <= whole.to;
}

bool url_is_postgres(const char *text)
{
    struct form form;
    return find_form(&form, text) || url_is_keywords(url_trim(text));
}

/* The URL as url_split takes it; the caller frees it. Java writes jdbc:postgresql:shop for a database on this host, and
 * a + in a parameter for a space. */
static char *plain_url(const struct form *form)
{
    size_t length = (size_t)(form->end - form->rest);
    char *url = malloc(length + sizeof "postgres:///");
    if (!url)
        return NULL;
    bool has_host = length >= 2 && strncmp(form->rest, "//", 2) == 0;
    size_t slash = !has_host && length >= 1 && *form->rest == '/';
    snprintf(url, length + sizeof "postgres:///", "postgres:%s%.*s", has_host ? "" : "///", (int)(length - slash),
             form->rest + slash);
    for (char *c = form->java ? strchr(url, '?') : NULL; c && *c; c++)
        if (*c == '+')
            *c = ' ';
    return url;
}

/* The scheme is quoted if it looks like one and not like a piece of something secret. */
static int refuse(const char *text, const char *what, struct err *err)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
    if (url_has_scheme(text, "prisma") || url_has_scheme(text, "prisma+postgres"))
        return err_set(err, ERR_USAGE,
                       "%s is a URL of Prisma Accelerate, which is no Postgres server: nobody can hold a lock there; "
                       "right would be the database's own postgres:// URL, in DIRECT_URL or with --lock "
                       "(LOCKSTEP_LOCK)",
                       what);
    if (length > 0 && length < 32 && strncmp(text + length, "://", 3) == 0)
        return err_set(err, ERR_USAGE, "%s has the unknown scheme %.*s://; known are " KNOWN_SCHEMES, what, (int)length,
                       text);
    return err_set(err, ERR_USAGE, "%s is not a database URL that lockstep knows; known are " KNOWN_SCHEMES, what);
}

/* ---- keywords --------------------------------------------------------------------------------------------------- */

/* Returns false if there is no room. */
static bool set(struct url *url, const char *keyword, const char *value)
{
    for (int i = 0; i < url->count; i++) {
        if (strcmp(url->keywords[i], keyword) == 0) {
            url->values[i] = value;
            return true;
        }
    }
    if (url->count == URL_OPTIONS_MAX)
        return false;
    url->keywords[url->count] = keyword;
    url->values[url->count++] = value;
    return true;
}

int url_add(struct url_parser *p, const char *keyword, const char *value)
{
    return set(p->url, keyword, value)
               ? 0
               : err_set(p->reader.err, ERR_USAGE, "%s has too many parameters", p->reader.what);
}

char *url_keep(struct url_parser *p, const char *text)
{
    char *value = strcpy(p->reader.next, text);
    p->reader.next += strlen(text) + 1;
    return value;
}

/* The options of the linked libpq, with the defaults that it takes from the environment. */
static const PQconninfoOption *known_options(void)
{
    static PQconninfoOption *known; /* built once; it is needed as long as the process lives */
    if (!known)
        known = PQconndefaults();
    return known;
}

const char *url_known_keyword(const char *name)
{
    for (const PQconninfoOption *option = known_options(); option && option->keyword; option++)
        if (url_name_is(name, option->keyword))
            return option->keyword;
    return NULL;
}

const char *url_variable(const char *keyword)
{
    for (const PQconninfoOption *option = known_options(); option && option->keyword; option++)
        if (strcmp(option->keyword, keyword) == 0)
            return option->envvar;
    return NULL;
}

const char *url_get(const struct url *url, const char *keyword)
{
    for (int i = 0; i < url->count; i++)
        if (strcmp(url->keywords[i], keyword) == 0)
            return url->values[i];
    return NULL;
}

const char *url_or_default(const struct url *url, const char *keyword)
{
    const char *value = url_get(url, keyword);
    for (const PQconninfoOption *option = known_options(); !value && option && option->keyword; option++)
        if (strcmp(option->keyword, keyword) == 0)
            return option->val;
    return value;
}

void url_set(struct url *url, const char *keyword, const char *value)
{
    set(url, keyword, value);
}

void url_certificate_is_root(struct url *url)
{
    for (int i = 0; i < url->count; i++)
        if (strcmp(url->keywords[i], "sslcert") == 0)
            url->keywords[i] = "sslrootcert";
}

/* ---- the parts -------------------------------------------------------------------------------------------------- */

/* The value of an empty piece is the default, so there is none to add. */
static int add_piece(struct url_parser *p, const char *keyword, struct url_span piece)
{
    return piece.from < piece.to ? url_add(p, keyword, url_value(&p->reader, piece)) : 0;
}

static int parse_parameters(struct url_parser *p)
{
    struct url_span rest = p->reader.parts.query;
    struct url_parameter parameter;
    while (url_next_parameter(&rest, &parameter)) {
        const char *name = url_value(&p->reader, parameter.name);
        const char *value = parameter.value.from ? url_value(&p->reader, parameter.value) : NULL;
        if (url_take_parameter(p, name, value, parameter.name.to) != 0)
            return -1;
    }
    return 0;
}

static int parse_url(struct url_parser *p, const char *text)
{
    struct url_parts *parts = &p->reader.parts;
    url_split(parts, text);
    struct url_span database = parts->path;
    database.from += database.from < database.to; /* its slash */
    bool done = url_check_at(&p->reader) == 0 && add_piece(p, "user", parts->user) == 0 &&
                add_piece(p, "password", parts->password) == 0 && url_add_authority(p) == 0 &&
                add_piece(p, "dbname", database) == 0 && parse_parameters(p) == 0 && url_finish_hosts(p) == 0;
    if (done && p->java && !url_get(p->url, "host")) /* where libpq would take a socket */
        return url_add(p, "host", "localhost");
    return done ? 0 : -1;
}

static int parse(struct url_parser *p, const char *text, char **copy)
{
    struct form form;
    p->is_url = find_form(&form, text);
    p->java = form.java;
    if (!p->is_url && !url_is_keywords(url_trim(text)))
        return refuse(url_trim(text).from, p->reader.what, p->reader.err);
    size_t length = strlen(text);
    *copy = p->is_url ? plain_url(&form) : NULL;
    /* Each byte is decoded, and kept in another form, at most twice; hosts and settings are kept again once joined. */
    p->reader.next = p->url->storage =
        malloc(6 * length + 2 * sizeof p->settings + 2 * sizeof p->hosts + URL_LIST_CAPACITY);
    if ((p->is_url && !*copy) || !p->url->storage)
        return err_set(p->reader.err, ERR_SYSTEM, "out of memory");
    if ((p->is_url ? parse_url(p, *copy) : url_parse_keywords(p, url_trim(text))) != 0)
        return -1;
    if (p->reader.has_null)
        return err_set(p->reader.err, ERR_USAGE, "%s contains %%00, which no value can hold", p->reader.what);
    return url_finish_parameters(p);
}

int url_parse(struct url *url, const char *text, const char *what, struct err *err)
{
    char *copy = NULL;
    struct url_parser parser = {.reader = {.what = what, .err = err}, .url = url};
    *url = (struct url){.count = 0};
    int result = parse(&parser, text, &copy);
    free(copy);
    if (result != 0)
        url_free(url);
    return result;
}

void url_show(const struct url *url, char *shown, size_t capacity)
{
    const char *user = url_get(url, "user"), *host = url_or_default(url, "host"), *port = url_get(url, "port");
    const char *database = url_or_default(url, "dbname");
    snprintf(shown, capacity, "postgres://%s%s%s%s%s/%s", user ? user : "", user ? "@" : "", host ? host : "",
             port ? ":" : "", port ? port : "", database ? database : "");
}

void url_complete(struct url *url)
{
    static const char *const keywords[] = {"user", "password", "host", "port"};
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (!url_get(url, keywords[i]) && url_or_default(url, keywords[i]))
            url_set(url, keywords[i], url_or_default(url, keywords[i]));
    const char *database = url_or_default(url, "dbname");
    if (!url_get(url, "dbname"))
        url_set(url, "dbname", database ? database : url_get(url, "user"));
    const char *mode = url_or_default(url, "sslmode");
    if (!url_get(url, "sslmode") && mode && strcmp(mode, "prefer") != 0) /* not every driver knows it */
        url_set(url, "sslmode", mode);
}

void url_encode(FILE *out, const char *value)
{
    for (; *value; value++)
        fprintf(out, isalnum((unsigned char)*value) || strchr("-._~", *value) ? "%c" : "%%%02X", (unsigned char)*value);
}

static void write_piece(FILE *out, const char *before, const char *value, const char *behind)
{
    if (!value)
        return;
    fputs(before, out);
    url_encode(out, value);
    fputs(behind, out);
}

/* host:port,[ipv6]:port. libpq's port may be one for all hosts. */
static void write_hosts(FILE *out, const char *hosts, const char *ports)
{
    while (hosts && *hosts) {
        size_t host = strcspn(hosts, ","), port = ports ? strcspn(ports, ",") : 0;
        bool is_ipv6 = memchr(hosts, ':', host) != NULL;
        for (size_t i = 0; i < host; i++)
            fprintf(out, hosts[i] == '/' ? "%%2F" : "%s%c", i == 0 && is_ipv6 ? "[" : "", hosts[i]);
        fprintf(out, "%s%s%.*s", is_ipv6 ? "]" : "", port ? ":" : "", (int)port, port ? ports : "");
        hosts += host + (hosts[host] == ',');
        if (*hosts)
            fputc(',', out);
        if (port && ports[port] == ',')
            ports += port + 1;
    }
}

char *url_write(const struct url *url)
{
    static const char *const parameters[] = {"sslmode", "sslrootcert", "sslcert", "sslkey", "options"};
    const char *user = url_get(url, "user"), *password = url_get(url, "password");
    char *text = NULL, separator[] = "?";
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs("postgres://", out);
    write_piece(out, "", user, "");
    write_piece(out, ":", password, "");
    fputs(user || password ? "@" : "", out);
    write_hosts(out, url_get(url, "host"), url_get(url, "port"));
    fputc('/', out);
    write_piece(out, "", url_get(url, "dbname"), "");
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        const char *value = url_get(url, parameters[i]);
        if (!value)
            continue;
        fprintf(out, "%s%s=", separator, parameters[i]);
        url_encode(out, value);
        separator[0] = '&';
    }
    fclose(out);
    return text;
}

void url_free(struct url *url)
{
    free(url->storage);
    *url = (struct url){.count = 0};
}
