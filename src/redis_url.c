#include "redis_url.h"

#include "url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define HOST_MAX 253 /* bytes of a name in the DNS */

enum kind { SERVERS, SOCKET, SENTINELS };

static const struct scheme {
    const char *name;
    enum kind kind;
    bool tls;
} schemes[] = {
    {"redis", SERVERS, false},
    {"rediss", SERVERS, true},
    {"redis+unix", SOCKET, false},
    {"unix", SOCKET, false},
    {"redis+sentinel", SENTINELS, false},
    {"rediss+sentinel", SENTINELS, true},
};

/* Those for TLS follow each other: CACERT to CERT_REQS. */
enum meaning {
    DATABASE,
    USER,
    PASSWORD,
    SENTINEL_USER,
    SENTINEL_PASSWORD,
    CACERT,
    CERT,
    KEY,
    INSECURE,
    CERT_REQS,
    IGNORED, /* says how a library talks, not to whom */
};

static const struct {
    const char *name;
    enum meaning meaning;
} parameters[] = {
    {"db", DATABASE},
    {"username", USER},
    {"password", PASSWORD},
    {"sentinel_username", SENTINEL_USER},
    {"sentinel_password", SENTINEL_PASSWORD},
    {"cacert", CACERT},
    {"cert", CERT},
    {"key", KEY},
    {"insecure", INSECURE},
    {"ssl_ca_certs", CACERT},
    {"ssl_certfile", CERT},
    {"ssl_keyfile", KEY},
    {"ssl_cert_reqs", CERT_REQS},
    {"family", IGNORED},
    {"protocol", IGNORED},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A parse in progress: values are written one after the other into url->storage, none is longer than in the text. */
struct parser {
    struct url_reader reader;
    struct redis_url *url;
    const struct scheme *scheme;
    bool has_database, has_tls_parameter, has_sentinel_parameter;
};

static const struct scheme *find_scheme(const char *text)
{
    for (size_t i = 0; i < COUNT(schemes); i++)
        if (url_has_scheme(text, schemes[i].name))
            return &schemes[i];
    return NULL;
}

bool redis_url_is(const char *text)
{
    return find_scheme(text);
}

/* `message` with its one %s for what the user called the URL. Values are never quoted: any may be a piece of a password
 * in which a raw / ? or & stands. */
#define REFUSE(p, message) err_set((p)->reader.err, ERR_USAGE, message, (p)->reader.what)

/* NULL for an empty piece: it stands for the default. */
static const char *value_or_none(struct parser *p, struct url_span piece)
{
    return piece.from < piece.to ? url_value(&p->reader, piece) : NULL;
}

static int set_database(struct parser *p, const char *value)
{
    size_t digits = strspn(value, "0123456789");
    int database = (int)strtol(value, NULL, 10);
    if (digits == 0 || digits > 9 || value[digits])
        return REFUSE(p, "%s has a database that is not a number, as in redis://HOST/3");
    if (p->has_database && p->url->database != database)
        return REFUSE(p, "%s names two databases");
    p->has_database = true;
    p->url->database = database;
    return 0;
}

static int parse_hosts(struct parser *p)
{
    struct redis_url *url = p->url;
    struct url_span rest = p->reader.parts.hosts, item;
    bool alone = !memchr(rest.from, ',', (size_t)(rest.to - rest.from));
    int default_port = p->scheme->kind == SENTINELS ? REDIS_SENTINEL_PORT : REDIS_PORT;
    while (url_next(&rest, ',', &item)) {
        struct url_host host;
        if (url_read_host(&p->reader, item, &host) != 0)
            return -1;
        const char *name = value_or_none(p, host.name);
        if (!name && !alone)
            return REFUSE(p, "%s has an empty item in its list of hosts");
        if (name && (strlen(name) > HOST_MAX || strpbrk(name, "# \t\r\n")))
            return REFUSE(p, "%s has a host that cannot be one: it is too long, or # or white space is in it");
        if (url->host_count == REDIS_HOSTS_MAX)
            return err_set(p->reader.err, ERR_USAGE, "%s has more than %d hosts", p->reader.what, REDIS_HOSTS_MAX);
        url->hosts[url->host_count++] =
            (struct redis_host){.name = name ? name : "localhost", .port = host.port ? host.port : default_port};
    }
    return 0;
}

static int parse_socket(struct parser *p)
{
    const struct url_parts *parts = &p->reader.parts;
    if (parts->hosts.from < parts->hosts.to || parts->path.to - parts->path.from < 2)
        return REFUSE(p, "%s wants the absolute path of a socket, as in unix:///run/redis.sock");
    p->url->socket = url_value(&p->reader, parts->path);
    if (strlen(p->url->socket) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return REFUSE(p, "%s has a path that is longer than that of a socket can be");
    return 0;
}

/* The path of TCP: /DATABASE, behind sentinels /MASTER/DATABASE. */
static int parse_path(struct parser *p)
{
    struct url_span rest = p->reader.parts.path, item;
    url_next(&rest, '/', &item); /* what is before the first slash: nothing */
    if (p->scheme->kind == SENTINELS) {
        p->url->master = url_next(&rest, '/', &item) ? value_or_none(p, item) : NULL;
        if (!p->url->master)
            return REFUSE(p, "%s wants the name of the master that the sentinels know, as in "
                             "redis+sentinel://HOST1,HOST2,HOST3/mymaster/0");
    }
    const char *database = url_next(&rest, '/', &item) ? value_or_none(p, item) : NULL;
    if (rest.from)
        return REFUSE(p, "%s has something behind its database; in a password / must be written as %%2F");
    return database ? set_database(p, database) : 0;
}

static int set_flag(struct parser *p, const char *value)
{
    static const char *const on[] = {"1", "true", "yes", "on"}, *const off[] = {"0", "false", "no", "off"};
    for (size_t i = 0; i < COUNT(on); i++) {
        if (strcasecmp(value, on[i]) == 0 || strcasecmp(value, off[i]) == 0) {
            p->url->insecure = strcasecmp(value, on[i]) == 0;
            return 0;
        }
    }
    return REFUSE(p, "%s has an insecure that is none of 1, true, yes, on, 0, false, no, off");
}

/* The names of redis-py, and those of Python's ssl that Celery takes. */
static int set_cert_reqs(struct parser *p, const char *value)
{
    value += strncasecmp(value, "cert_", 5) == 0 ? 5 : 0;
    p->url->insecure = strcasecmp(value, "none") == 0;
    if (!p->url->insecure && strcasecmp(value, "required") != 0)
        return REFUSE(p, "%s has an ssl_cert_reqs that is neither none nor required");
    return 0;
}

static int take(struct parser *p, enum meaning meaning, struct url_span piece)
{
    struct redis_url *url = p->url;
    const char *value = value_or_none(p, piece);
    p->has_tls_parameter = p->has_tls_parameter || (meaning >= CACERT && meaning <= CERT_REQS);
    p->has_sentinel_parameter = p->has_sentinel_parameter || meaning == SENTINEL_USER || meaning == SENTINEL_PASSWORD;
    switch (meaning) {
    case DATABASE:
        return set_database(p, value ? value : "");
    case USER:
        url->user = value;
        return 0;
    case PASSWORD:
        url->password = value;
        return 0;
    case SENTINEL_USER:
        url->sentinel_user = value;
        return 0;
    case SENTINEL_PASSWORD:
        url->sentinel_password = value;
        return 0;
    case CACERT:
        url->cacert = value;
        return 0;
    case CERT:
        url->cert = value;
        return 0;
    case KEY:
        url->key = value;
        return 0;
    case INSECURE:
        return set_flag(p, value ? value : "");
    case CERT_REQS:
        return set_cert_reqs(p, value ? value : "");
    case IGNORED:
        return 0;
    }
    return 0;
}

/* Lists the parameters that are known, for an error; writes "" if there is none. */
static void list_parameters(bool wanted, char *known, size_t capacity)
{
    known[0] = '\0';
    for (size_t i = 0; wanted && i < COUNT(parameters); i++)
        snprintf(known + strlen(known), capacity - strlen(known), "%s%s", i ? ", " : "", parameters[i].name);
}

static int parse_parameters(struct parser *p)
{
    struct url_span rest = p->reader.parts.query;
    struct url_parameter parameter;
    char known[256];
    while (url_next_parameter(&rest, &parameter)) {
        const char *name = url_value(&p->reader, parameter.name);
        size_t i = 0;
        while (i < COUNT(parameters) && strcmp(parameters[i].name, name) != 0)
            i++;
        list_parameters(i == COUNT(parameters), known, sizeof known);
        if (url_check_parameter(&p->reader, &parameter, name, i < COUNT(parameters), known) != 0 ||
            take(p, parameters[i].meaning, parameter.value) != 0)
            return -1;
    }
    return 0;
}

/* What each part allows but the whole does not. */
static int check_whole(const struct parser *p)
{
    const struct redis_url *url = p->url;
    if (p->reader.has_null)
        return REFUSE(p, "%s contains %%00, which no value can hold");
    if (url->user && !url->password)
        return REFUSE(
            p, "%s has a user without a password; behind redis:// a password alone is written as :PASSWORD@HOST");
    if (url->sentinel_user && !url->sentinel_password)
        return REFUSE(p, "%s has a sentinel_username without a sentinel_password");
    if (p->has_sentinel_parameter && !url->master)
        return REFUSE(p, "%s has parameters for sentinels, which need redis+sentinel://");
    if (p->has_tls_parameter && !url->tls)
        return REFUSE(p, "%s has parameters for TLS, which need rediss:// or rediss+sentinel://");
    if (!url->cert != !url->key)
        return REFUSE(p, "%s has one of cert and key without the other");
    return 0;
}

static int parse(struct parser *p, const char *text)
{
    const struct url_parts *parts = &p->reader.parts;
    url_split(&p->reader.parts, text);
    if (url_check_at(&p->reader) != 0)
        return -1;
    p->url->tls = p->scheme->tls;
    p->url->user = value_or_none(p, parts->user);
    p->url->password = value_or_none(p, parts->password);
    bool done = p->scheme->kind == SOCKET ? parse_socket(p) == 0 : parse_hosts(p) == 0 && parse_path(p) == 0;
    return done && parse_parameters(p) == 0 ? check_whole(p) : -1;
}

int redis_url_parse(struct redis_url *url, const char *text, const char *what, struct err *err)
{
    *url = (struct redis_url){.storage = NULL};
    const struct scheme *scheme = find_scheme(text);
    if (!scheme)
        return err_set(err, ERR_USAGE, "%s is not a redis:// URL", what);
    url->storage = malloc(strlen(text) + 1); /* behind each value is a separator or the end */
    if (!url->storage)
        return err_set(err, ERR_SYSTEM, "out of memory");
    struct parser parser = {.reader = {.what = what, .next = url->storage, .err = err}, .url = url, .scheme = scheme};
    int result = parse(&parser, text);
    if (result != 0)
        redis_url_free(url);
    return result;
}

/* Appends to a text that is cut at its capacity. */
#define APPEND(shown, capacity, ...) snprintf((shown) + strlen(shown), (capacity)-strlen(shown), __VA_ARGS__)

void redis_url_show(const struct redis_url *url, char *shown, size_t capacity)
{
    if (url->socket) {
        snprintf(shown, capacity, "unix:%s", url->socket);
    } else {
        snprintf(shown, capacity, "redis%s%s://%s%s", url->tls ? "s" : "", url->master ? "+sentinel" : "",
                 url->user ? url->user : "", url->user ? "@" : "");
        for (int i = 0; i < url->host_count; i++) {
            const struct redis_host *host = &url->hosts[i];
            bool v6 = strchr(host->name, ':');
            APPEND(shown, capacity, "%s%s%s%s:%d", i ? "," : "", v6 ? "[" : "", host->name, v6 ? "]" : "", host->port);
        }
        if (url->master)
            APPEND(shown, capacity, "/%s", url->master);
        APPEND(shown, capacity, "/%d", url->database);
    }
}

void redis_url_free(struct redis_url *url)
{
    free(url->storage);
    *url = (struct redis_url){.storage = NULL};
}
