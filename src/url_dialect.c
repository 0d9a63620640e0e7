#include "url_values.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum meaning {
    DROPPED,
    KEYWORD,     /* libpq's, under the name in `to` */
    SETTING,     /* the server's, under the name in `to` */
    SEARCH_PATH, /* as SQL has it: a list, and names without quotes are folded */
    SCHEMA,      /* one name as it is */
    SSL,         /* yes, no, or a mode */
    SSLMODE,
    HOSTS,
    BALANCE,      /* libpq's load_balance_hosts, or JDBC's, which is yes or no */
    ATTRIBUTES,   /* target_session_attrs */
    SSLACCEPT,    /* Prisma's */
    POOLED,       /* a flag: a pooler is in between */
    TABLE,        /* golang-migrate's */
    TABLE_QUOTED, /* ... a flag */
};

/* Names are compared by url_name_is, so each stands for its spellings. */
static const struct rule {
    const char *name;
    enum meaning meaning;
    const char *to;
    bool prisma; /* only Prisma has it */
} rules[] = {
    {"schema", SCHEMA, NULL, true},
    {"sslaccept", SSLACCEPT, NULL, true},
    {"sslidentity", DROPPED, NULL, true}, /* PKCS #12, which libpq cannot read */
    {"pgbouncer", POOLED, NULL, true},
    {"connection_limit", DROPPED, NULL, true},
    {"pool_timeout", DROPPED, NULL, false}, /* Ecto has it too */
    {"ssl", SSL, NULL, false},
    {"sslmode", SSLMODE, NULL, false},
    {"tls", SSL, NULL, false},
    {"search_path", SEARCH_PATH, NULL, false},
    {"schema_search_path", SEARCH_PATH, NULL, false},
    {"currentSchema", SEARCH_PATH, NULL, false},
    {"ssl-root-cert", KEYWORD, "sslrootcert", false},
    {"ssl-ca", KEYWORD, "sslrootcert", false},
    {"host", HOSTS, NULL, false},
    {"socket", HOSTS, NULL, false},
    {"socket_dir", HOSTS, NULL, false},
    {"loginTimeout", KEYWORD, "connect_timeout", false},
    {"targetServerType", ATTRIBUTES, NULL, false},
    {"target_session_attrs", ATTRIBUTES, NULL, false},
    {"load_balance_hosts", BALANCE, NULL, false},
    {"require_auth", KEYWORD, "require_auth", false},
    {"sslnegotiation", KEYWORD, "sslnegotiation", false},
    {"sslcertmode", KEYWORD, "sslcertmode", false},
    {"gss_encryption_mode", KEYWORD, "gssencmode", false},
    {"kerberosServerName", KEYWORD, "krbsrvname", false},
    {"x-migrations-table", TABLE, NULL, false},
    {"x-migrations-table-quoted", TABLE_QUOTED, NULL, false},
    {"TimeZone", SETTING, "TimeZone", false},
    {"DateStyle", SETTING, "DateStyle", false},
    {"IntervalStyle", SETTING, "IntervalStyle", false},
    {"role", SETTING, "role", false},
    {"row_security", SETTING, "row_security", false},
    {"client_min_messages", SETTING, "client_min_messages", false},
    {"extra_float_digits", SETTING, "extra_float_digits", false},
    {"lc_messages", SETTING, "lc_messages", false},
    {"default_tablespace", SETTING, "default_tablespace", false},
    {"temp_tablespaces", SETTING, "temp_tablespaces", false},
};

/* Remembers that a parameter means nothing to us, for a line that says so. */
static void drop(struct url_parser *p, const char *name)
{
    char *dropped = p->url->dropped;
    size_t used = strlen(dropped);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.- []");
    if (name[good] || good == 0 || good > 40)
        name = "another one";
    if (used + strlen(name) + 3 <= URL_DROPPED_CAPACITY)
        snprintf(dropped + used, URL_DROPPED_CAPACITY - used, "%s%s", used ? ", " : "", name);
}

/* ---- parameters ------------------------------------------------------------------------------------------------- */

/* We need the primary in any case; the wish for a standby, or for any server, is the app's. */
static int set_attributes(struct url_parser *p, const char *name, const char *value)
{
    const char *word = url_word("target_session_attrs", value);
    if (!word)
        return url_refuse_word(p, name, "target_session_attrs", "");
    if (url_wants_primary(word))
        return url_add(p, "target_session_attrs", word);
    drop(p, name);
    return 0;
}

static int take(struct url_parser *p, const struct rule *rule, const char *value)
{
    p->prisma = p->prisma || rule->prisma;
    switch (rule->meaning) {
    case DROPPED:
        drop(p, rule->name);
        return 0;
    case KEYWORD:
        return url_add_checked(p, rule->to, value);
    case SETTING:
        return url_add_setting(p, rule->to, value);
    case SEARCH_PATH:
        return url_set_search_path(p, value);
    case SCHEMA:
        return url_set_schema(p, value);
    case SSL:
        return url_set_ssl(p, value);
    case SSLMODE:
        return url_set_sslmode(p, value);
    case HOSTS:
        return url_add_hosts(p, value);
    case BALANCE:
        return url_set_balance(p, value);
    case ATTRIBUTES:
        return set_attributes(p, rule->name, value);
    case SSLACCEPT:
        p->prisma_strict = url_name_is(value, "strict");
        return 0;
    case POOLED:
        p->url->pooled = p->url->pooled || url_is_yes(value);
        return 0;
    case TABLE:
        p->url->migrations_table = *value ? value : NULL;
        return 0;
    case TABLE_QUOTED:
        p->url->migrations_table_quoted = url_is_yes(value);
        return 0;
    }
    return 0;
}

/* What nobody knows. It may be the end of a password whose ? or & was not encoded. */
static int take_unknown(struct url_parser *p, const char *name, const char *rest)
{
    const char *what = p->reader.what;
    if (rest && strchr(rest, '@'))
        return err_set(p->reader.err, ERR_USAGE,
                       "%s has an unknown parameter, and an @ behind it; in a password ? must be written as %%3F",
                       what);
    if (p->behind_password)
        return err_set(p->reader.err, ERR_USAGE,
                       "%s has an unknown parameter behind the password; %s; if it is a parameter, write the password "
                       "last",
                       what, rest ? "in a password & must be %26" : "a password with ; must be in quotes");
    drop(p, name);
    return 0;
}

static const struct rule *find_rule(const char *name)
{
    for (size_t i = 0; i < COUNT(rules); i++)
        if (url_name_is(name, rules[i].name))
            return &rules[i];
    return NULL;
}

/* options[name]=value of sqlx. Returns the name, kept beside the others, or NULL. */
static const char *setting_of_sqlx(struct url_parser *p, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(name, "options[", 8) != 0 || name[length - 1] != ']' ||
        strspn(name + 8, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") != length - 9)
        return NULL;
    char *setting = url_keep(p, name + 8);
    setting[length - 9] = '\0';
    return setting;
}

/* A setting of an extension or of the app has a dot in its name. */
static bool is_custom_setting(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot && dot > name && dot[1] &&
           !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")];
}

int url_take_parameter(struct url_parser *p, const char *name, const char *value, const char *rest)
{
    const struct rule *rule = find_rule(name);
    const char *keyword = rule || url_is_ignored(name) ? NULL : url_known_keyword(name);
    if (!value && rule && rule->meaning == SSL)
        value = "true"; /* so JDBC */
    if (!value)
        return err_set(p->reader.err, ERR_USAGE, "%s has a parameter without a value", p->reader.what);
    const char *setting = setting_of_sqlx(p, name);
    bool behind_password = p->behind_password;
    p->behind_password = keyword && strcmp(keyword, "password") == 0;
    if (rule)
        return take(p, rule, value);
    if (keyword)
        return url_add_checked(p, keyword, value);
    if (url_is_ignored(setting ? setting : name)) {
        drop(p, name);
        return 0;
    }
    rule = setting ? find_rule(setting) : NULL;
    if (rule && rule->meaning == SEARCH_PATH)
        return url_set_search_path(p, value);
    if (setting || is_custom_setting(name))
        return url_add_setting(p, setting ? setting : name, value);
    p->behind_password = behind_password;
    return take_unknown(p, name, rest);
}
