/* The CA certificates of the image that we run in. Each distribution has them elsewhere, and a static OpenSSL knows one
 * place only. */
#ifndef LOCKSTEP_CA_BUNDLE_H
#define LOCKSTEP_CA_BUNDLE_H

#include "err.h"

/* For an error, which goes on with how the URL names a CA. */
#define CA_BUNDLE_MISSING                                                                                              \
    "this image has no CA certificates: install the package ca-certificates, or COPY its bundle to "                   \
    "/etc/ssl/certs/ca-certificates.crt, or name one with SSL_CERT_FILE"

/* What the environment says of it: SSL_CERT_FILE, SSL_CERT_DIR, HOME. NULL or "" = not set. The strings must live as
 * long as what is found. */
struct ca_variables {
    const char *file, *directory, *home;
};

struct ca_bundle {
    const char *file;      /* PEM; NULL = there is none */
    const char *directory; /* one certificate a file, named by its hash; it need not be there */
};

/* Finds what verifies servers that no other CA is named for. -1 with ERR_USAGE if SSL_CERT_FILE cannot be read. */
int ca_bundle_find(struct ca_bundle *bundle, const struct ca_variables *variables, struct err *err);

#endif
