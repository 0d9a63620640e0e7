#include "url_values.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

bool url_is_one_of(const char *value, const char *const words[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (url_name_is(value, words[i]))
            return true;
    return false;
}

bool url_is_yes(const char *value)
{
    static const char *const yes[] = {"1", "true", "yes", "on", "t"};
    return url_is_one_of(value, yes, COUNT(yes));
}

/* ---- settings of the server ------------------------------------------------------------------------------------- */

/* Appends to libpq's options, where a backslash keeps the next character, white space above all, in the word. */
int url_add_setting(struct url_parser *p, const char *name, const char *value)
{
    size_t used = strlen(p->settings), room = sizeof p->settings - used;
    if (strlen(name) + 2 * strlen(value) + sizeof " -c =" > room)
        return err_set(p->reader.err, ERR_USAGE, "%s has too long a list of settings", p->reader.what);
    used += (size_t)snprintf(p->settings + used, room, "%s-c %s=", used ? " " : "", name);
    for (; *value; value++) {
        if (*value == '\\' || isspace((unsigned char)*value))
            p->settings[used++] = '\\';
        p->settings[used++] = *value;
    }
    p->settings[used] = '\0';
    return 0;
}

/* The first name of a list, as the server would read it. */
static const char *first_schema(struct url_parser *p, const char *list)
{
    char *name = p->reader.next, *end = name;
    list += strspn(list, " \t");
    if (*list == '"') {
        for (list++; *list && (*list != '"' || *++list == '"'); list++)
            *end++ = *list;
    } else {
        for (; *list && *list != ','; list++)
            *end++ = (char)tolower((unsigned char)*list);
        while (end > name && isspace((unsigned char)end[-1]))
            end--;
    }
    *end = '\0';
    p->reader.next = end + 1;
    return *name && strcmp(name, "$user") != 0 ? name : NULL;
}

static bool has_one_item(const char *list)
{
    bool quoted = false;
    for (; *list; list++) {
        quoted ^= *list == '"';
        if (*list == ',' && !quoted)
            return false;
    }
    return true;
}

int url_set_search_path(struct url_parser *p, const char *list)
{
    p->url->schema = first_schema(p, list);
    p->url->schema_is_alone = p->url->schema && has_one_item(list);
    return *list ? url_add_setting(p, "search_path", list) : 0;
}

int url_set_schema(struct url_parser *p, const char *schema)
{
    char *quoted = p->reader.next, *end = quoted;
    *end++ = '"';
    for (const char *c = schema; *c; c++) {
        if (*c == '"')
            *end++ = '"';
        *end++ = *c;
    }
    *end++ = '"';
    *end = '\0';
    p->reader.next = end + 1;
    return *schema ? url_set_search_path(p, quoted) : 0;
}

/* ---- TLS and hosts ---------------------------------------------------------------------------------------------- */

int url_set_sslmode(struct url_parser *p, const char *value)
{
    const char *mode = url_word("sslmode", value);
    return mode ? url_add(p, "sslmode", mode) : url_refuse_word(p, "sslmode", "sslmode", ", no-verify");
}

static bool is_no(const char *value)
{
    static const char *const no[] = {"0", "false", "no", "off", "f"};
    return url_is_one_of(value, no, COUNT(no));
}

int url_set_ssl(struct url_parser *p, const char *value)
{
    p->ssl = url_is_yes(value) ? "require" : is_no(value) ? "disable" : url_word("sslmode", value);
    return p->ssl ? 0 : url_refuse_word(p, "ssl", "sslmode", ", no-verify, true, false");
}

int url_set_balance(struct url_parser *p, const char *value)
{
    return url_add_checked(p, "load_balance_hosts", url_is_yes(value) ? "random" : is_no(value) ? "disable" : value);
}

bool url_wants_primary(const char *attributes)
{
    return attributes && (strcmp(attributes, "primary") == 0 || strcmp(attributes, "read-write") == 0);
}

/* ---- what depends on several ------------------------------------------------------------------------------------ */

/* Prisma's sslaccept=strict verifies what is encrypted. Where TLS is not asked for it forces none: libpq can verify a
 * server only if it insists on TLS, and a server for development has none. */
static int finish_tls(struct url_parser *p)
{
    const char *mode = url_get(p->url, "sslmode");
    if (!mode)
        mode = p->ssl;
    if (p->prisma_strict && mode && strcmp(mode, "require") == 0)
        mode = "verify-full";
    return mode ? url_add(p, "sslmode", mode) : 0;
}

/* In Prisma's URL sslcert is the authority, not the client's certificate, which always has an sslkey; but a URL can be
 * told to be Prisma's only by another parameter. */
static void move_prisma_certificate(struct url_parser *p)
{
    struct url *url = p->url;
    bool is_alone = url_get(url, "sslcert") && !url_get(url, "sslkey") && !url_get(url, "sslrootcert");
    url->certificate_is_alone = is_alone && !p->prisma && p->is_url && !p->java;
    if (is_alone && p->prisma)
        url_certificate_is_root(url);
}

/* Of several hosts any may be a standby, where nobody can meet. */
static int finish_attributes(struct url_parser *p)
{
    const char *hosts = url_or_default(p->url, "hostaddr");
    if (!hosts || !*hosts)
        hosts = url_or_default(p->url, "host");
    if (!hosts || !strchr(hosts, ',') || url_wants_primary(url_or_default(p->url, "target_session_attrs")))
        return 0;
    return url_add(p, "target_session_attrs", "primary");
}

static bool has_pooler_name(const struct url *url)
{
    const char *host = url_get(url, "host"), *port = url_get(url, "port");
    if (!host)
        return false;
    return strstr(host, "-pooler.") || strstr(host, ".pooler.") ||
           (strstr(host, ".supabase.") && port && strcmp(port, "6543") == 0);
}

/* The user's own options stay, and stay first. Poolers that say so get no settings: PgBouncer refuses a connection that
 * asks for a search path, and the lock needs none. */
static int finish_options(struct url_parser *p)
{
    struct url *url = p->url;
    const char *own = url_get(url, "options");
    url->plain_options = own ? own : "";
    if (!p->settings[0] || url->pooled)
        return 0;
    char *options = p->reader.next;
    p->reader.next += sprintf(options, "%s%s%s", url->plain_options, own ? " " : "", p->settings) + 1;
    url->has_settings = true;
    return url_add(p, "options", options);
}

int url_finish_parameters(struct url_parser *p)
{
    move_prisma_certificate(p);
    p->url->pooled = p->url->pooled || has_pooler_name(p->url);
    return finish_tls(p) == 0 && finish_attributes(p) == 0 && finish_options(p) == 0 ? url_check_variables(p) : -1;
}
