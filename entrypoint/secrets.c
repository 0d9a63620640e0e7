#include "secrets.h"

#include "log.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static bool is_password(const char *entry)
{
    static const char *const names[] = {"PGPASSWORD",
                                        "DB_PASSWORD",
                                        "DB_PASS",
                                        "POSTGRES_PASSWORD",
                                        "SPRING_DATASOURCE_PASSWORD",
                                        "FLYWAY_PASSWORD",
                                        "LIQUIBASE_COMMAND_PASSWORD"};
    size_t length = strcspn(entry, "=");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == length && strncmp(entry, names[i], length) == 0)
            return true;
    return false;
}

static bool ends_with(const char *entry, size_t length, const char *end)
{
    return length >= strlen(end) && strncmp(entry + length - strlen(end), end, strlen(end)) == 0;
}

/* A password that is also the name of a user or database is no secret; masked, no line could be read. */
static bool is_open(const char *value)
{
    static const char *const names[] = {"USER", "USERNAME", "DB", "DATABASE", "NAME", "HOST"};
    for (char **entry = environ; *entry; entry++) {
        size_t length = strcspn(*entry, "=");
        for (size_t i = 0; (*entry)[length] && i < sizeof names / sizeof names[0]; i++)
            if (ends_with(*entry, length, names[i]) && strcmp(*entry + length + 1, value) == 0)
                return true;
    }
    return false;
}

static void learn_entry(struct mask *mask, const char *entry)
{
    const char *equals = strchr(entry, '=');
    if (!equals)
        return;
    const char *value = equals + 1;
    if (is_password(entry) && !is_open(value))
        mask_learn_password(mask, value);
    else if (strstr(value, "://") || strcasestr(value, "password=") || strcasestr(value, "pwd="))
        mask_learn(mask, value);
}

void secrets_learn(struct mask *mask, const struct options *options)
{
    const char *const told[] = {options->lock, options->database, options->tool_database,
                                options->app_urls_from_file[APP_DATABASE_URL],
                                options->app_urls_from_file[APP_REDIS_URL]};
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        if (told[i])
            mask_learn(mask, told[i]);
    for (char **entry = environ; *entry; entry++)
        learn_entry(mask, *entry);
    log_mask(mask);
}
