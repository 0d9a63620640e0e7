#include "plan_internal.h"

#include "environment.h"
#include "exitcodes.h"
#include "log.h"
#include "places.h"
#include "target.h"

#include <stdio.h>
#include <string.h>

static int parse_commands(struct plan *plan, const struct options *options, char *const environment[], struct err *err)
{
    const struct tool *preset = options->preset;
    for (int i = 0; i < COMMANDS; i++) {
        const char *text = options->commands[i];
        bool is_preset = preset && i == COMMAND_MIGRATE && text && text == preset->migrate;
        if (is_preset && tool_migrate(preset, plan->migrations.folder, plan->migrate, sizeof plan->migrate) != 0)
            return err_set(err, ERR_USAGE, "the folder of the migrations has too long a name for a command");
        if (is_preset)
            text = plan->migrate;
        else if (text && i == COMMAND_MIGRATE)
            snprintf(plan->migrate, sizeof plan->migrate, "%s", text);
        if (text && command_parse(&plan->commands[i], (enum command_kind)i, text, err) != 0)
            return -1;
        if (is_preset)
            plan_adapt_command(&plan->commands[i], environment);
    }
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
    bool runs_commands = options->verb == VERB_RUN || options->verb == VERB_MIGRATE || options->verb == VERB_DOCTOR ||
                         options->commands[COMMAND_APPLIED_IF];
    if (user_find(&plan->app_who, USER_ETC, options->user, "--user (LOCKSTEP_USER)", err) != 0 ||
        user_find(&plan->who, USER_ETC, options->migrate_user ? options->migrate_user : options->user,
                  "--migrate-user (LOCKSTEP_MIGRATE_USER)", err) != 0 ||
        (options->command && user_check(&plan->app_who, options->init, what, err) != 0) ||
        (runs_commands && user_check(&plan->who, true, commands_what, err) != 0))
        return -1;
    if (options->command)
        warn_of_group(&plan->app_who, what);
    if (runs_commands && (options->migrate_user || !options->command))
        warn_of_group(&plan->who, commands_what);
    return 0;
}

/* What the image needs, as far as a string can say it: the app's own check is asked later, and is one for all images.
 */
static int find_target(struct plan *plan, const struct options *options, struct err *err)
{
    if (options->preset && !options->commands[COMMAND_APPLIED_IF])
        return plan_tool(plan, options, err);
    if (options->preset)
        plan_say_check(options);
    if (options->target_files.count)
        return target_of_files(options->target_files.items, options->target_files.count, plan->target, err);
    snprintf(plan->target, sizeof plan->target, "%s", options->target ? options->target : "applied-if");
    return 0;
}

static int find_app(struct plan *plan, const struct options *options, char *const environment[], struct err *err)
{
    plan->app_environment = environment_of_app(options, environment, user_home(&plan->app_who));
    int status = launch_find(options->command[0], plan->app_environment, plan->app_path, err);
    if (status == EXIT_NOT_FOUND && options_is_verb(options->command[0]))
        err_set(err, ERR_USAGE, "%s: command not found; the verb would have to come first: lockstep %s [OPTIONS]",
                options->command[0], options->command[0]);
    return status ? status : launch_check_user(plan->app_path, &plan->app_who, err);
}

int plan_make(struct plan *plan, const struct options *options, char *const environment[], struct err *err)
{
    *plan = (struct plan){.app_environment = NULL};
    if (places_check(options, plan->place, sizeof plan->place, err) != 0 || find_users(plan, options, err) != 0 ||
        find_target(plan, options, err) != 0 || parse_commands(plan, options, environment, err) != 0)
        return err->code == ERR_USAGE ? EXIT_WRONG_USAGE : EXIT_CANNOT_GO_ON;
    return options->command ? find_app(plan, options, environment, err) : 0;
}

void plan_free(struct plan *plan)
{
    for (int i = 0; i < COMMANDS; i++)
        command_free(&plan->commands[i]);
    environment_free(plan->app_environment);
    history_plan_free(&plan->history);
    migrations_free(&plan->migrations);
    user_free(&plan->who);
    user_free(&plan->app_who);
}
