/* The command line and its variables: every option once, in the table of options_table.c. Parsing, --help and README's
 * table come from it or are checked against it. */
#ifndef LOCKSTEP_OPTIONS_H
#define LOCKSTEP_OPTIONS_H

#include "command.h"
#include "err.h"
#include "log.h"
#include "tool.h"

#include <stdbool.h>
#include <stdint.h>

#define OPTION_LIST_MAX 64

enum verb { VERB_RUN, VERB_MIGRATE, VERB_WAIT, VERB_CHECK, VERB_DOCTOR, VERB_SCHEMA, VERB_HELP, VERB_VERSION };

struct option_list {
    const char *items[OPTION_LIST_MAX];
    int count;
    char *lines; /* what the items of a variable point into; NULL for those of argv */
};

/* Variables of the app's own that lockstep reads too. */
enum app_url { APP_DATABASE_URL, APP_REDIS_URL, APP_URLS };
extern const char *const options_app_urls[APP_URLS];

enum on_failure { ON_FAILURE_EXIT, ON_FAILURE_START };

/* lock_what of a place that nobody named. */
#define OPTIONS_DEFAULT_PLACE "the default place"

/* What the user said, checked. Strings live as long as argv and the environment, or the process. */
struct options {
    enum verb verb;
    const char *first_word; /* of argv; NULL = there is none */
    const char *name;
    const char *lock;      /* with its default resolved */
    const char *lock_what; /* what the user called it: option, variable, "the default" */
    const char *database;  /* NULL = none */
    const char *database_what;
    bool database_found; /* in variables of the app that are not DATABASE_URL */
    const char *direct;  /* the app's direct URL to the database, where that is the place to meet; NULL = none */
    const char *direct_what;
    const char *tool_database;      /* DATABASE_URL of the tool, where the environment has none; NULL = as it is */
    const char *commands[COMMANDS]; /* NULL = not given */
    const char *target;
    const char *tool;                                                       /* NULL = not given */
    const char *migrations, *migrations_pattern, *applied_sql, *failed_sql; /* NULL = the preset's */
    const struct tool *preset;                                              /* that was named or found; NULL = none */
    char preset_why[160];                                                   /* what gave it away; "" = it was named */
    const char *schema;
    const char *user, *migrate_user; /* NULL = whoever lockstep runs as; NULL = user */
    struct option_list target_files, unset;
    int64_t wait_timeout, connect_timeout, migrate_timeout, stop_grace, lease, retry_delay; /* ms */
    int64_t retries, max_attempts;
    int64_t on_failure; /* enum on_failure */
    int64_t log_json, log_level;
    int64_t allow_eviction, init; /* 0 or 1 */
    char **command;               /* the app's argv; NULL = none */
    /* What NAME_FILE of the app's own variables held, for the environment of app and command; NULL = it was not set. */
    char *app_urls_from_file[APP_URLS];
};

/* Reads argv and the environment. Returns -1 with ERR_USAGE: one line that names the option or variable, what was wrong
 * and what would be right. The log format is set as soon as it is known, so that even this error is in it. */
int options_read(struct options *options, int argc, char **argv, struct err *err);

/* Whether `word` is a verb, if it comes first. */
bool options_is_verb(const char *word);

/* The database that has the records beside a lock in Redis. That is not one that was only found: who has named the lock
 * had the records there before lockstep knew of those variables, and they may lead to a database of another kind. */
const char *options_records_database(const struct options *options);

/* What --help prints; the caller frees it. */
char *options_help(void);

/* Whether the app must not see the variable `name`: an option's, or a _FILE helper that was read. */
bool options_consumes(const char *name);

/* `value` as an error may quote it: short, printable, and nothing of a URL. Valid until the next call. */
const char *options_quoted(const char *value);

/* Parses "500ms", "30s", "10m", "1h" or a bare number of seconds to ms. -1 if it is none of these. */
int64_t options_duration(const char *text);

#endif
