/* What the files that read the URLs of Postgres share: url_postgres.c (the parts), url_hosts.c (the hosts among them),
 * url_dialect.c (what the parameters of all dialects mean), url_keywords.c (the keyword form of .NET). */
#ifndef LOCKSTEP_URL_INTERNAL_H
#define LOCKSTEP_URL_INTERNAL_H

#include "url.h"

#define URL_SETTINGS_CAPACITY 2048
#define URL_HOSTS_CAPACITY    1024
#define URL_HOSTS_MAX         100 /* a port has 7 characters at most, so that theirs fit into URL_HOSTS_CAPACITY */

/* A list of hosts being read, as libpq has it: a name and a port of each, with commas between. */
struct url_hosts {
    char names[URL_HOSTS_CAPACITY], ports[URL_HOSTS_CAPACITY];
    int count;
    bool any_port;
};

/* A parse in progress: values are written one after the other into url->storage. */
struct url_parser {
    struct url_reader reader;
    struct url *url;
    struct url_hosts hosts;
    char settings[URL_SETTINGS_CAPACITY]; /* what goes to libpq's options: "-c name=value -c ..." */
    const char *ssl;                      /* the mode that ssl= stands for, which counts where there is no sslmode */
    bool is_url;                          /* not the keyword form */
    bool java;                            /* jdbc: or r2dbc: */
    bool prisma;                          /* a parameter was one that only Prisma has */
    bool prisma_strict;                   /* sslaccept=strict */
    bool behind_password; /* the parameter before was a password, and an unknown one may be more of it */
};

/* Sets `keyword`, which must live as long as the process. The last one counts, as in libpq. */
int url_add(struct url_parser *parser, const char *keyword, const char *value);

/* Sets host and port from those of reader.parts. */
int url_add_authority(struct url_parser *parser);

/* Appends the decoded `list`, host[:port],..., to the hosts that url_finish_hosts is to set: these instead of what is
 * set, the port that is set only where a host has none of its own. */
int url_add_hosts(struct url_parser *parser, const char *list);
int url_finish_hosts(struct url_parser *parser);

/* libpq's own spelling of the keyword `name`, if the linked libpq knows it; otherwise NULL. */
const char *url_known_keyword(const char *name);

/* The variable that libpq reads for `keyword`; NULL = none. */
const char *url_variable(const char *keyword);

/* Copies `text` to where the parser's next value goes. */
char *url_keep(struct url_parser *parser, const char *text);

/* What a parameter means, whoever's it is. `name` and `value` live as long as the URL; a value may be NULL (there is no
 * =). `rest` is what follows the name in the text, NULL in the keyword form. */
int url_take_parameter(struct url_parser *parser, const char *name, const char *value, const char *rest);

/* Once all of them are taken: what depends on several. */
int url_finish_parameters(struct url_parser *parser);

/* Whether `text` is of the keyword form of .NET and for Postgres: SQL Server and MySQL have the same form and some of
 * the names. */
bool url_is_keywords(struct url_span text);

int url_parse_keywords(struct url_parser *parser, struct url_span text);

#endif
