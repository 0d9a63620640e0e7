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

/* libpq's word for a mode, or NULL. */
static const char *mode_of(const char *value)
{
    static const char *const modes[][2] = {
        {"disable", "disable"},   {"allow", "allow"},         {"prefer", "prefer"},
        {"require", "require"},   {"verify-ca", "verify-ca"}, {"verify-full", "verify-full"},
        {"no-verify", "require"}, {"required", "require"},    {"verify-identity", "verify-full"},
        {"preferred", "prefer"},  {"disabled", "disable"},
    };
    for (size_t i = 0; i < COUNT(modes); i++)
        if (url_name_is(value, modes[i][0]))
            return modes[i][1];
    return NULL;
}

static int refuse_mode(const struct url_parser *p, const char *name)
{
    return err_set(p->reader.err, ERR_USAGE,
                   "%s has an %s that is none of disable, allow, prefer, require, verify-ca, verify-full, no-verify%s",
                   p->reader.what, name, strcmp(name, "ssl") == 0 ? ", true, false" : "");
}

int url_set_sslmode(struct url_parser *p, const char *value)
{
    const char *mode = mode_of(value);
    return mode ? url_add(p, "sslmode", mode) : refuse_mode(p, "sslmode");
}

int url_set_ssl(struct url_parser *p, const char *value)
{
    static const char *const no[] = {"0", "false", "no", "off", "f"};
    p->ssl = url_is_yes(value) ? "require" : url_is_one_of(value, no, COUNT(no)) ? "disable" : mode_of(value);
    return p->ssl ? 0 : refuse_mode(p, "ssl");
}

/* We need the primary in any case; JDBC's wishes for a standby are the app's. */
int url_set_server_type(struct url_parser *p, const char *value)
{
    bool primary = url_name_is(value, "primary") || url_name_is(value, "master");
    return primary ? url_add(p, "target_session_attrs", "primary") : 0;
}

int url_set_balance(struct url_parser *p, const char *value)
{
    const char *keyword = url_known_keyword("load_balance_hosts"); /* since libpq 16 */
    return keyword ? url_add(p, keyword,
                             url_is_yes(value)             ? "random"
                             : url_name_is(value, "false") ? "disable"
                                                           : value)
                   : 0;
}

int url_set_attributes(struct url_parser *p, const char *value)
{
    static const char *const known[] = {"any", "read-write", "read-only", "primary", "standby", "prefer-standby"};
    if (url_name_is(value, "prefer-primary"))
        return 0;
    for (size_t i = 0; i < COUNT(known); i++)
        if (url_name_is(value, known[i]))
            return url_add(p, "target_session_attrs", known[i]);
    return url_add(p, "target_session_attrs", value);
}

/* ---- what depends on several ------------------------------------------------------------------------------------ */

/* In Prisma's URL sslcert is the authority, not the client's certificate, which always has an sslkey; but a URL can be
 * told to be Prisma's only by another parameter. */
static int finish_tls(struct url_parser *p)
{
    struct url *url = p->url;
    const char *mode = url_get(url, "sslmode");
    if (!mode && p->ssl && url_add(p, "sslmode", p->ssl) != 0)
        return -1;
    if (p->prisma_strict && mode && strcmp(mode, "require") == 0)
        return url_add(p, "sslmode", "verify-full");
    return 0;
}

static void move_prisma_certificate(struct url_parser *p)
{
    if (!p->prisma || url_get(p->url, "sslkey"))
        return;
    for (int i = 0; i < p->url->count; i++)
        if (strcmp(p->url->keywords[i], "sslcert") == 0)
            p->url->keywords[i] = "sslrootcert";
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
    return finish_tls(p) == 0 ? finish_options(p) : -1;
}
