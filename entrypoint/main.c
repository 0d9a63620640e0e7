/* lockstep: one replica migrates, the others wait, each then executes its command. This file is the story. */
#include "backend.h"
#include "command.h"
#include "environment.h"
#include "exitcodes.h"
#include "launch.h"
#include "options.h"
#include "passage.h"
#include "target.h"
#include "user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(int status, const struct err *err)
{
    log_say(LOG_LEVEL_ERROR, EVENT_ERROR, LOG_FIELDS(LOG_NUMBER("code", status)), "%s", err->text);
    return status;
}

static int print(char *text)
{
    int failed = !text || fputs(text, stdout) == EOF || fflush(stdout) == EOF;
    free(text);
    return failed ? EXIT_CANNOT_GO_ON : EXIT_DONE;
}

/* Every secret that the environment or the command line tells us is masked in all that we say. */
static void learn_secrets(struct mask *mask, const struct options *options)
{
    const char *const told[] = {options->lock, options->database, options->app_urls_from_file[APP_DATABASE_URL],
                                options->app_urls_from_file[APP_REDIS_URL]};
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        if (told[i])
            mask_learn(mask, told[i]);
    for (char **entry = environ; *entry; entry++)
        if (strstr(*entry, "://") || strncmp(*entry, "PGPASSWORD=", 11) == 0)
            mask_learn(mask, *entry);
    log_mask(mask);
}

/* What the user's words come to. */
struct plan {
    struct command migration;
    char target[TARGET_CAPACITY];
    char place[512];                 /* the lock, for people */
    char path[LAUNCH_PATH_CAPACITY]; /* of the app's program */
    char **environment;              /* of the app */
    struct user app, commands;       /* run as */
};

static int become_app(const struct options *options, const struct plan *plan, const struct inherited *inherited)
{
    struct err err;
    log_say(LOG_LEVEL_INFO, EVENT_EXEC, LOG_FIELDS(LOG_TEXT("command", options->command[0])), "executing %s",
            options->command[0]);
    return fail(launch_become(plan->path, options->command, plan->environment, &plan->app, inherited, &err), &err);
}

static int check_places(struct plan *plan, const struct options *options, struct err *err)
{
    char database[sizeof plan->place];
    if (backend_check_url(options->lock, options->lock_what, plan->place, sizeof plan->place, err) != 0)
        return -1;
    if (!backend_is_split(options->lock, options->database))
        return 0;
    if (backend_check_url(options->database, options->database_what, database, sizeof database, err) != 0)
        return -1;
    size_t used = strlen(plan->place);
    snprintf(plan->place + used, sizeof plan->place - used, ", with the records in %s", database);
    return 0;
}

static void warn_of_group(const struct user *user, const char *what)
{
    if (user->keeps_group && !user->is_us && user->uid != 0 && user->gid == 0)
        log_say(LOG_LEVEL_WARNING, EVENT_STARTING, LOG_NO_FIELDS,
                "%s: /etc/passwd does not know the number %s, so its group stays root's; another would be given as "
                "%s %s:GROUP",
                what, user->spec, what, user->spec);
}

/* Those whom this verb runs nothing as need not be to be had: a health check may be run by anybody. */
static int find_users(struct plan *plan, const struct options *options, struct err *err)
{
    const char *what = "--user", *commands_what = options->migrate_user ? "--migrate-user" : what;
    bool runs_commands = options->verb == VERB_RUN || options->verb == VERB_MIGRATE;
    if (user_find(&plan->app, USER_ETC, options->user, "--user (LOCKSTEP_USER)", err) != 0 ||
        user_find(&plan->commands, USER_ETC, options->migrate_user ? options->migrate_user : options->user,
                  "--migrate-user (LOCKSTEP_MIGRATE_USER)", err) != 0 ||
        (options->command && user_check(&plan->app, false, what, err) != 0) ||
        (runs_commands && user_check(&plan->commands, true, commands_what, err) != 0))
        return -1;
    if (options->command)
        warn_of_group(&plan->app, what);
    if (runs_commands && (options->migrate_user || !options->command))
        warn_of_group(&plan->commands, commands_what);
    return 0;
}

static int find_app(struct plan *plan, const struct options *options, struct err *err)
{
    plan->environment = environment_of_app(options, environ, user_home(&plan->app));
    int status = launch_find(options->command[0], plan->environment, plan->path, err);
    return status ? status : launch_check_user(plan->path, &plan->app, err);
}

/* Everything that can be wrong with the user's words is found before anything is connected, let alone migrated. Returns
 * the exit status that follows from it. */
static int make_plan(struct plan *plan, const struct options *options, struct err *err)
{
    *plan = (struct plan){.environment = NULL};
    snprintf(plan->target, sizeof plan->target, "%s", options->target ? options->target : "");
    if ((options->migrate &&
         command_parse(&plan->migration, options->migrate, "--migrate (LOCKSTEP_MIGRATE)", err) != 0) ||
        check_places(plan, options, err) != 0 || find_users(plan, options, err) != 0 ||
        (!options->target &&
         target_of_files(options->target_files.items, options->target_files.count, plan->target, err) != 0))
        return err->code == ERR_USAGE ? EXIT_WRONG_USAGE : EXIT_CANNOT_GO_ON;
    return options->command ? find_app(plan, options, err) : 0;
}

static int pass_and_become(const struct options *options, struct mask *mask, const struct inherited *inherited)
{
    struct err err;
    struct plan plan;
    int status = make_plan(&plan, options, &err);
    if (status != 0) {
        fail(status, &err);
    } else {
        bool start_despite = false;
        status = passage_go(&(struct passage_config){.options = options,
                                                     .inherited = inherited,
                                                     .mask = mask,
                                                     .target = plan.target,
                                                     .place = plan.place,
                                                     .command = &plan.migration,
                                                     .who = &plan.commands,
                                                     .environment = environ},
                            &start_despite);
        if (options->command && (status == 0 || start_despite))
            status = become_app(options, &plan, inherited);
    }
    command_free(&plan.migration);
    environment_free(plan.environment);
    user_free(&plan.app);
    user_free(&plan.commands);
    return status;
}

int main(int argc, char **argv)
{
    static struct options options;
    static struct mask mask;
    struct inherited inherited;
    struct err err;

    process_begin(&inherited);
    if (options_read(&options, argc, argv, &err) != 0)
        return fail(EXIT_WRONG_USAGE, &err);
    if (options.verb == VERB_HELP)
        return print(options_help());
    if (options.verb == VERB_VERSION)
        return print(strdup("lockstep " LOCKSTEP_VERSION "\n"));
    if (options.verb == VERB_SCHEMA)
        return print(backend_ddl(options.schema));
    learn_secrets(&mask, &options);
    int status = pass_and_become(&options, &mask, &inherited);
    if (status > EXIT_SIGNAL)
        _exit(status); /* exit() would wait for libuv's thread, and that perhaps for a slow DNS */
    mask_free(&mask);
    return status;
}
