/* TLS for Redis: hiredis' own context leaves the host name unverified, so the session is made here and handed to it. */
#ifndef LOCKSTEP_REDIS_TLS_H
#define LOCKSTEP_REDIS_TLS_H

#include "ca_bundle.h"
#include "err.h"
#include "redis_url.h"

#include <openssl/ssl.h>

struct redis_tls;

/* Reads the certificates that `url` names, or the image's. NULL with ERR_USAGE if a file of the URL or of `variables`
 * is wrong. `url` must live as long. */
struct redis_tls *redis_tls_new(const struct redis_url *url, const struct ca_variables *variables, struct err *err);

/* A session for a connection to `host`, a name or an address, which its certificate must carry unless the URL says
 * insecure. The caller frees it or hands it to hiredis. NULL if memory is out. */
SSL *redis_tls_session(const struct redis_tls *tls, const char *host);

/* Why the handshake of `session` failed, in words with the remedy; -1 with ERR_REFUSED, or 0 if TLS was not the reason.
 */
int redis_tls_explain(const SSL *session, const char *where, struct err *err);

void redis_tls_free(struct redis_tls *tls);

#endif
