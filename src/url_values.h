/* What the values of a parameter stand for, once url_dialect.c has found out which parameter it is. */
#ifndef LOCKSTEP_URL_VALUES_H
#define LOCKSTEP_URL_VALUES_H

#include "url_internal.h"

#define URL_LIST_CAPACITY 256

bool url_is_one_of(const char *value, const char *const words[], size_t count);
bool url_is_yes(const char *value);
bool url_wants_primary(const char *attributes); /* target_session_attrs that we can meet at */
bool url_is_ignored(const char *name);          /* means nothing to libpq and to us */

/* libpq's word for `value` of `keyword`, however a driver spells it; NULL = it is none. */
const char *url_word(const char *keyword, const char *value);

/* Refuses the value of `name`, which is a word of `keyword` or one of those `and_also`. */
int url_refuse_word(const struct url_parser *parser, const char *name, const char *keyword, const char *and_also);

/* Sets `keyword` to `value`, as libpq spells it. -1 if libpq would refuse the value; if it is older and does not know
 * the keyword, nothing happens. */
int url_add_checked(struct url_parser *parser, const char *keyword, const char *value);

/* -1 if a variable that counts, as the URL does not say it, has a value that libpq would refuse. */
int url_check_variables(struct url_parser *parser);

/* Each takes the value of one parameter. -1 with ERR_USAGE in the reader's err. */
int url_add_setting(struct url_parser *parser, const char *name, const char *value); /* of the server: -c name=value */
int url_set_search_path(struct url_parser *parser, const char *list);                /* as SQL has it */
int url_set_schema(struct url_parser *parser, const char *schema);                   /* one name, as it is */
int url_set_sslmode(struct url_parser *parser, const char *value);
int url_set_ssl(struct url_parser *parser, const char *value);     /* yes, no, or a mode */
int url_set_balance(struct url_parser *parser, const char *value); /* load_balance_hosts, or JDBC's yes or no */

#endif
