/* Whom a TLS connection to Postgres trusts where the URL does not say. */
#ifndef LOCKSTEP_PG_TRUST_H
#define LOCKSTEP_PG_TRUST_H

#include "ca_bundle.h"
#include "url.h"

/* Sets the CA file of `url` where it has none. libpq verifies with ~/.postgresql/root.crt if nothing else is named, a
 * place that no image has, or with "system" by OpenSSL's default, a place that many images have not. In both cases it
 * gets the image's bundle; but not for verify-ca, where anybody whom any of these authorities has signed could pose as
 * the server. -1 with ERR_REFUSED if the variables name what is not there. */
int pg_trust(struct url *url, const struct ca_variables *variables, struct err *err);

#endif
