#include "pg_trust.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_set(const char *value)
{
    return value && *value;
}

/* Whether the file of libpq's is in that home directory, which may be NULL. */
static bool has_at_home(const char *home, const char *file)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/.postgresql/%s", home ? home : "", file);
    return is_set(home) && access(path, F_OK) == 0;
}

int pg_trust(struct url *url, const struct ca_variables *variables, struct err *err)
{
    if (url->certificate_is_alone && !is_set(url_or_default(url, "sslkey")) &&
        !has_at_home(variables->home, "postgresql.key"))
        url_certificate_is_root(url); /* libpq would refuse a client's certificate without a key */
    const char *root = url_or_default(url, "sslrootcert"), *mode = url_or_default(url, "sslmode");
    bool is_system = root && strcmp(root, "system") == 0, is_full = mode && strcmp(mode, "verify-full") == 0;
    if (is_system ? (url_get(url, "sslmode") && !is_full) || (is_set(variables->directory) && !is_set(variables->file))
                  : !is_full || is_set(root) || url_get(url, "service") || has_at_home(variables->home, "root.crt"))
        return 0;
    struct ca_bundle bundle;
    if (ca_bundle_find(&bundle, variables, err) != 0)
        return -1;
    if (bundle.file) {
        url_set(url, "sslmode", "verify-full");
        url_set(url, "sslrootcert", bundle.file);
    }
    return 0;
}
