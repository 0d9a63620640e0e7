#include "pg_error.h"

#include "ca_bundle.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array)    (sizeof(array) / sizeof((array)[0]))
#define REMEDY_PASSWORD " (check user and password; in a URL special characters must be percent-encoded)"

/* What PgBouncer says with the SQLSTATE of any protocol error, 08P01, and trying again cannot mend. */
static const struct {
    const char *words, *remedy;
} of_bouncer[] = {
    {"statement pooling",
     " (the lock is a transaction: name a pool in transaction or session mode, or the server itself, with --lock)"},
    {"password authentication failed", REMEDY_PASSWORD},
    {"SASL authentication failed", REMEDY_PASSWORD},
    {"no such user", REMEDY_PASSWORD},
    {"no such database", " (the pooler must have it among its databases; or name another one)"},
};

/* The remedy for what PgBouncer says; NULL = it does not say it. */
static const char *remedy_of_bouncer(const char *sqlstate, const char *message)
{
    for (size_t i = 0; strcmp(sqlstate, "08P01") == 0 && i < COUNT(of_bouncer); i++)
        if (strstr(message, of_bouncer[i].words))
            return of_bouncer[i].remedy;
    return NULL;
}

/* Error classes of https://www.postgresql.org/docs/current/errcodes-appendix.html that trying again cannot mend. */
static bool is_refusal(const char *sqlstate)
{
    return strncmp(sqlstate, "28", 2) == 0 || /* wrong password, no pg_hba.conf entry */
           strncmp(sqlstate, "42", 2) == 0 || /* 42501: no permission */
           strcmp(sqlstate, "3D000") == 0 ||  /* no such database */
           strncmp(sqlstate, "0A", 2) == 0 || /* not supported */
           strncmp(sqlstate, "22", 2) == 0 || /* what we sent does not fit */
           strncmp(sqlstate, "23", 2) == 0 || /* somebody's constraint on the record tables */
           strncmp(sqlstate, "P0", 2) == 0 || /* somebody's trigger on them */
           strncmp(sqlstate, "54", 2) == 0 || /* a limit of the server */
           strcmp(sqlstate, "53100") == 0;    /* disk full */
}

/* The parts of libpq's own messages (it is built without translations) that tell of a setting, not of a moment. */
static bool is_client_refusal(const char *message)
{
    static const char *const signs[] = {"no password supplied",
                                        "does not support SSL",
                                        "certificate verify failed",
                                        "root certificate file",
                                        "server certificate for",
                                        "does not match host name",
                                        "invalid port number",
                                        "could not read certificate",
                                        "could not load private key",
                                        "but not private key file",
                                        "weak sslmode",
                                        "support is not compiled in",
                                        "could not match",
                                        "invalid integer value",
                                        " value: \"" /* of an option */};
    for (size_t i = 0; i < COUNT(signs); i++)
        if (strstr(message, signs[i]))
            return true;
    return false;
}

static enum err_code classify(const char *sqlstate, const char *message)
{
    if (strcmp(sqlstate, "53300") == 0)
        return ERR_CROWDED;
    if (remedy_of_bouncer(sqlstate, message))
        return ERR_REFUSED;
    if (sqlstate[0] ? is_refusal(sqlstate) : is_client_refusal(message))
        return ERR_REFUSED;
    return ERR_UNAVAILABLE;
}

static const char *remedy(const char *sqlstate, const char *message)
{
    const char *of_pooler = remedy_of_bouncer(sqlstate, message);
    if (of_pooler)
        return of_pooler;
    if (strcmp(sqlstate, "28P01") == 0)
        return REMEDY_PASSWORD;
    if (strcmp(sqlstate, "3D000") == 0)
        return " (create it; or, if the migration tool creates it, let --lock name another database of this server, "
               "such as postgres)";
    if (strcmp(sqlstate, "28000") == 0)
        return " (the server's pg_hba.conf must allow it; perhaps sslmode=require is needed)";
    return "";
}

/* The remedy where the role may not connect to the database, with the names in place. */
static void explain_connect(const PGconn *conn, const char *sqlstate, const char *message, struct err *err)
{
    if (conn && strcmp(sqlstate, "42501") == 0 && strstr(message, "permission denied for database"))
        err_set(err, ERR_REFUSED, "%s (GRANT CONNECT ON DATABASE \"%s\" TO \"%s\")", err->text, PQdb(conn),
                PQuser(conn));
}

/* In a verbose message of a failed connect, "SEVERITY:  SQLSTATE: words": the place of SQLSTATE, or NULL. */
static const char *find_sqlstate(const char *message)
{
    for (const char *c = strstr(message, ":  "); c; c = strstr(c + 1, ":  ")) {
        int n = 0;
        while (n < 5 && (isupper((unsigned char)c[3 + n]) || isdigit((unsigned char)c[3 + n])))
            n++;
        if (n == 5 && c[8] == ':')
            return c + 3;
    }
    return NULL;
}

/* What libpq says of certificates knows neither images nor the bundle that we gave it. Returns 0 if it says nothing. */
static int explain_certificate(const struct url *url, const char *shown, const char *message, struct err *err)
{
    const char *mode = url_or_default(url, "sslmode"), *root = url_or_default(url, "sslrootcert");
    bool is_system = root && strcmp(root, "system") == 0, fails = strstr(message, "certificate verify failed");
    if (fails && !is_system)
        return err_set(err, ERR_REFUSED,
                       "%s: the server's certificate cannot be verified with %s: another CA has signed it, or it has "
                       "expired; a CA is named with sslrootcert=FILE in the URL or with SSL_CERT_FILE",
                       shown, root && *root ? root : "~/.postgresql/root.crt");
    if (!fails && (!strstr(message, "root certificate file") || (root && *root && !is_system)))
        return 0;
    if (mode && strcmp(mode, "verify-ca") == 0)
        return err_set(err, ERR_REFUSED,
                       "%s: sslmode=verify-ca needs the server's CA: name it with sslrootcert=FILE in the URL; or "
                       "sslmode=verify-full verifies with the CA certificates of the image",
                       shown);
    return err_set(err, ERR_REFUSED,
                   "%s: sslmode=%s cannot verify the server, as " CA_BUNDLE_MISSING
                   " or with sslrootcert=FILE in the URL",
                   shown, mode ? mode : "");
}

void pg_error_of_connection(PGconn *conn, const struct url *url, struct err *err, char sqlstate[6])
{
    char shown[300];
    url_show(url, shown, sizeof shown);
    const char *message = conn ? PQerrorMessage(conn) : "out of memory";
    sqlstate[0] = '\0';
    const char *state = find_sqlstate(message);
    if (state) {
        memcpy(sqlstate, state, 5);
        sqlstate[5] = '\0';
        message = state + 7;
    }
    if (conn && PQconnectionNeedsPassword(conn)) {
        err_set(err, ERR_REFUSED,
                "%s: the server wants a password and there is none; put it into the URL or into a file "
                "named by the variable's _FILE form",
                shown);
        return;
    }
    if (!state && explain_certificate(url, shown, message, err) != 0)
        return;
    size_t length = strcspn(message, "\n"); /* what follows are LOCATION and the like */
    if (!state)
        length = strlen(message);
    err_set(err, classify(sqlstate, message), "%s: %.*s%s", shown, (int)length, length ? message : "connection closed",
            remedy(sqlstate, message));
    explain_connect(conn, sqlstate, message, err);
    if (length == 0)
        err_set(err, ERR_UNAVAILABLE, "%s: the server closed the connection", shown);
}

void pg_error_of_result(const PGresult *result, struct err *err, char sqlstate[6])
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    snprintf(sqlstate, 6, "%s", state ? state : "");
    if (!primary)
        primary = PQresultErrorMessage(result);
    err_set(err, classify(sqlstate, primary), "%s%s%s%s%s", primary, hint ? " (" : "", hint ? hint : "",
            hint ? ")" : "", remedy(sqlstate, primary));
}
