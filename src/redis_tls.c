#include "redis_tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct redis_tls {
    SSL_CTX *context;
    bool has_authorities; /* those of the URL or of the image */
};

/* The first error in OpenSSL's queue is the cause of the others. */
static const char *openssl_reason(void)
{
    unsigned long code = ERR_peek_error();
    if (ERR_SYSTEM_ERROR(code))
        return strerror(ERR_GET_REASON(code));
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : "it cannot be read";
}

/* Nobody is there to be asked; without this OpenSSL would ask whoever sits at the terminal. */
static int no_passphrase(char *buffer, int size, int writes, void *asked)
{
    (void)buffer, (void)size, (void)writes;
    *(bool *)asked = true;
    return -1;
}

static int load_key(SSL_CTX *context, const char *key, struct err *err)
{
    bool asked = false;
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(context, &asked);
    bool loaded =
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1 && SSL_CTX_check_private_key(context) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
    if (loaded)
        return 0;
    return err_set(err, ERR_USAGE,
                   "key=%s of the Redis URL: %s; it should be the PEM key of cert, without a passphrase", key,
                   asked ? "it has a passphrase" : openssl_reason());
}

static int load_authorities(struct redis_tls *tls, const char *cacert, const struct ca_variables *variables,
                            struct err *err)
{
    struct ca_bundle bundle = {.file = cacert};
    if (!cacert && ca_bundle_find(&bundle, variables, err) != 0)
        return -1;
    tls->has_authorities = bundle.file;
    if ((!bundle.file || SSL_CTX_load_verify_locations(tls->context, bundle.file, NULL) == 1) &&
        (!bundle.directory || SSL_CTX_load_verify_locations(tls->context, NULL, bundle.directory) == 1))
        return 0;
    return err_set(err, ERR_USAGE, "%s%s%s: %s; it should be a file of PEM certificates", cacert ? "cacert=" : "",
                   bundle.file ? bundle.file : bundle.directory, cacert ? " of the Redis URL" : "", openssl_reason());
}

static int load(struct redis_tls *tls, const struct redis_url *url, const struct ca_variables *variables,
                struct err *err)
{
    SSL_CTX *context = tls->context;
    if ((url->cacert || !url->insecure) && load_authorities(tls, url->cacert, variables, err) != 0)
        return -1;
    if (url->cert && SSL_CTX_use_certificate_chain_file(context, url->cert) != 1)
        return err_set(err, ERR_USAGE, "cert=%s of the Redis URL: %s; it should be a PEM certificate", url->cert,
                       openssl_reason());
    return url->key ? load_key(context, url->key, err) : 0;
}

struct redis_tls *redis_tls_new(const struct redis_url *url, const struct ca_variables *variables, struct err *err)
{
    struct redis_tls *tls = calloc(1, sizeof *tls);
    if (tls)
        tls->context = SSL_CTX_new(TLS_client_method());
    if (!tls || !tls->context) {
        err_set(err, ERR_SYSTEM, "TLS cannot be set up");
        redis_tls_free(tls);
        return NULL;
    }
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls->context, url->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    ERR_clear_error();
    SSL_CTX_set_app_data(tls->context, tls);
    if (load(tls, url, variables, err) != 0) {
        redis_tls_free(tls);
        return NULL;
    }
    return tls;
}

SSL *redis_tls_session(const struct redis_tls *tls, const char *host)
{
    unsigned char address[16];
    bool is_address = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    SSL *session = SSL_new(tls->context);
    if (!session)
        return NULL;
    int set = is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host)
                         : SSL_set1_host(session, host) && SSL_set_tlsext_host_name(session, host);
    if (!set) {
        SSL_free(session);
        return NULL;
    }
    SSL_set_connect_state(session);
    return session;
}

/* An alert is the server's word on why it wants no TLS with us. Everything else of OpenSSL's counts in the handshake
 * only: later it is a connection that broke, which may be tried again, and so is one that just ended. */
static int explain_failure(const SSL *session, const char *where, struct err *err)
{
    unsigned long code = ERR_peek_last_error();
    int reason = ERR_GET_REASON(code);
    bool alert = reason >= SSL_AD_REASON_OFFSET;
    const char *words = ERR_reason_error_string(code);
    if (code == 0 || ERR_GET_LIB(code) != ERR_LIB_SSL || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING ||
        (SSL_is_init_finished(session) && !alert))
        return 0;
    if (reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED)
        return err_set(err, ERR_REFUSED,
                       "Redis at %s demands a client certificate: add cert=FILE&key=FILE to the parameters of the URL",
                       where);
    if (reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION)
        return err_set(err, ERR_REFUSED, "Redis at %s knows neither TLS 1.2 nor 1.3 (tls-protocols)", where);
    if (alert)
        return err_set(
            err, ERR_REFUSED,
            "Redis at %s refuses TLS with us: %s; if it demands a client certificate, cert=FILE&key=FILE of the "
            "URL must be one that its CA has signed",
            where, words ? words : "no reason given");
    return err_set(err, ERR_REFUSED,
                   "TLS with %s: %s; does that port speak TLS? Without TLS the URL begins with redis://", where,
                   words ? words : "no reason given");
}

/* Nobody vouches for the certificate. */
static int explain_distrust(const SSL *session, const char *where, const char *why, struct err *err)
{
    const struct redis_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(session));
    if (!tls->has_authorities)
        return err_set(
            err, ERR_REFUSED,
            "the certificate of %s cannot be verified, as " CA_BUNDLE_MISSING " or with cacert=FILE in the URL", where);
    return err_set(err, ERR_REFUSED,
                   "the certificate of %s cannot be verified: %s; name its CA by cacert=FILE in the URL or by "
                   "SSL_CERT_FILE",
                   where, why);
}

int redis_tls_explain(const SSL *session, const char *where, struct err *err)
{
    bool verifies = SSL_get_verify_mode(session) != SSL_VERIFY_NONE;
    long verified = verifies ? SSL_get_verify_result(session) : X509_V_OK;
    const char *why = X509_verify_cert_error_string(verified);
    switch (verified) {
    case X509_V_OK:
        return explain_failure(session, where, err);
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return err_set(err, ERR_REFUSED,
                       "the certificate of %s is for another name: %s; connect by the name that it carries", where,
                       why);
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return err_set(err, ERR_REFUSED, "the certificate of %s is not valid now: %s", where, why);
    default:
        return explain_distrust(session, where, why, err);
    }
}

void redis_tls_free(struct redis_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}
