/* lockstep: one replica migrates, the others wait, each then executes its command. This file is the story. */
#include "backend.h"
#include "doctor.h"
#include "exitcodes.h"
#include "init.h"
#include "options.h"
#include "passage.h"
#include "plan.h"
#include "resident.h"
#include "secrets.h"

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

static int become_app(const struct options *options, const struct plan *plan, struct inherited *inherited)
{
    struct err err;
    log_say(LOG_LEVEL_INFO, EVENT_EXEC, LOG_FIELDS(LOG_TEXT("command", options->command[0])), "executing %s",
            options->command[0]);
    if (options->init && init_fork(inherited, plan->app_environment, &err) != 0)
        return fail(EXIT_CANNOT_GO_ON, &err);
    int status = fail(
        launch_become(plan->app_path, options->command, plan->app_environment, &plan->app_who, inherited, &err), &err);
    if (options->init)
        _exit(status); /* libuv would wait for threads that a child does not have */
    return status;
}

static int pass_and_become(const struct options *options, struct mask *mask, struct inherited *inherited)
{
    struct err err;
    struct plan plan;
    int status = plan_make(&plan, options, environ, &err);
    if (status != 0) {
        fail(status, &err);
    } else if (options->verb == VERB_DOCTOR) {
        process_restore(inherited, true); /* a signal ends it */
        status = doctor(options, &plan, mask, inherited);
    } else {
        bool start_despite = false;
        status = passage_go(&(struct passage_config){.options = options,
                                                     .inherited = inherited,
                                                     .mask = mask,
                                                     .target = plan.target,
                                                     .place = plan.place,
                                                     .migrate = plan.migrate,
                                                     .commands = plan.commands,
                                                     .who = &plan.who,
                                                     .environment = environ,
                                                     .history = plan.has_history ? &plan.history : NULL},
                            &start_despite);
        if (options->command && (status == 0 || start_despite))
            status = become_app(options, &plan, inherited);
    }
    plan_free(&plan);
    return status;
}

int main(int argc, char **argv)
{
    static struct options options;
    static struct mask mask;
    struct inherited inherited;
    struct err err;

    resident_start(argc, argv);
    process_begin(&inherited);
    if (options_read(&options, argc, argv, &err) != 0)
        return fail(EXIT_WRONG_USAGE, &err);
    if (options.verb == VERB_HELP)
        return print(options_help());
    if (options.verb == VERB_VERSION)
        return print(strdup("lockstep " LOCKSTEP_VERSION "\n"));
    if (options.verb == VERB_SCHEMA)
        return print(backend_ddl(options.schema));
    secrets_learn(&mask, &options);
    int status = pass_and_become(&options, &mask, &inherited);
    if (status > EXIT_SIGNAL)
        _exit(status); /* exit() would wait for libuv's thread, and that perhaps for a slow DNS */
    mask_free(&mask);
    return status;
}
