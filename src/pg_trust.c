#include "pg_trust.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_set(const char *value)
{
    return value && *value;
}

static bool has_root_certificate(const char *home)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/.postgresql/root.crt", home);
    return access(path, F_OK) == 0;
}

int pg_trust(struct url *url, const struct ca_variables *variables, struct err *err)
{
    const char *root = url_or_default(url, "sslrootcert"), *mode = url_or_default(url, "sslmode");
    bool is_system = root && strcmp(root, "system") == 0, is_full = mode && strcmp(mode, "verify-full") == 0;
    if (is_system ? (url_get(url, "sslmode") && !is_full) || (is_set(variables->directory) && !is_set(variables->file))
                  : !is_full || is_set(root) || url_get(url, "service") ||
                        (is_set(variables->home) && has_root_certificate(variables->home)))
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
