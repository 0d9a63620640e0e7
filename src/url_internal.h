/* What the files that read the URLs of Postgres share: url_postgres.c (the parts), url_dialect.c (what the parameters
 * of all dialects mean), url_keywords.c (the keyword form of .NET). */
#ifndef LOCKSTEP_URL_INTERNAL_H
#define LOCKSTEP_URL_INTERNAL_H

#include "url.h"

#define URL_SETTINGS_CAPACITY 2048

/* A parse in progress: values are written one after the other into url->storage. */
struct url_parser {
    struct url_reader reader;
    struct url *url;
    char settings[URL_SETTINGS_CAPACITY]; /* what goes to libpq's options: "-c name=value -c ..." */
    const char *ssl;                      /* the mode that ssl= stands for, which counts where there is no sslmode */
    bool prisma;                          /* a parameter was one that only Prisma has */
    bool prisma_strict;                   /* sslaccept=strict */
    bool behind_password; /* the parameter before was a password, and an unknown one may be more of it */
};

/* Sets `keyword`, which must live as long as the process. The last one counts, as in libpq. */
int url_add(struct url_parser *parser, const char *keyword, const char *value);

/* Sets host and port from a list: host[:port],... */
int url_add_hosts(struct url_parser *parser, struct url_span rest);

/* libpq's own spelling of the keyword `name`, if the linked libpq knows it; otherwise NULL. */
const char *url_known_keyword(const char *name);

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
