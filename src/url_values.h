/* What the values of a parameter stand for, once url_dialect.c has found out which parameter it is. */
#ifndef LOCKSTEP_URL_VALUES_H
#define LOCKSTEP_URL_VALUES_H

#include "url_internal.h"

bool url_is_one_of(const char *value, const char *const words[], size_t count);
bool url_is_yes(const char *value);

/* Each takes the value of one parameter. -1 with ERR_USAGE in the reader's err. */
int url_add_setting(struct url_parser *parser, const char *name, const char *value); /* of the server: -c name=value */
int url_set_search_path(struct url_parser *parser, const char *list);                /* as SQL has it */
int url_set_schema(struct url_parser *parser, const char *schema);                   /* one name, as it is */
int url_set_sslmode(struct url_parser *parser, const char *value);
int url_set_ssl(struct url_parser *parser, const char *value);         /* yes, no, or a mode */
int url_set_server_type(struct url_parser *parser, const char *value); /* JDBC's targetServerType */
int url_set_balance(struct url_parser *parser, const char *value);     /* load_balance_hosts, or JDBC's yes or no */
int url_set_attributes(struct url_parser *parser, const char *value); /* target_session_attrs, or as Npgsql spells it */

#endif
