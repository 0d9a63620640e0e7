#include "ca_bundle.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Alpine, Arch, distroless */
    "/etc/pki/tls/certs/ca-bundle.crt",                  /* Red Hat, Fedora, Amazon */
    "/etc/ssl/ca-bundle.pem",                            /* SUSE */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Red Hat, where the link to it is missing */
    "/etc/ssl/cert.pem",                                 /* Alpine without its package ca-certificates */
};

static bool is_there(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 && access(path, R_OK) == 0;
}

int ca_bundle_find(struct ca_bundle *bundle, const struct ca_variables *variables, struct err *err)
{
    bool named = variables->file && *variables->file;
    *bundle = (struct ca_bundle){.directory = "/etc/ssl/certs"};
    if (variables->directory && *variables->directory)
        bundle->directory = variables->directory;
    if (named && access(variables->file, R_OK) != 0)
        return err_set(err, ERR_USAGE, "SSL_CERT_FILE: %s cannot be read: %s; it should be a file of PEM certificates",
                       variables->file, strerror(errno));
    if (named)
        bundle->file = variables->file;
    for (size_t i = 0; !bundle->file && i < sizeof bundles / sizeof bundles[0]; i++)
        if (is_there(bundles[i]))
            bundle->file = bundles[i];
    return 0;
}
