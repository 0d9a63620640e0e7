/* Our run: its steps (--before, the migration, --after), one command after the other under one lock and one lease. */
#include "passage_internal.h"

#include "clock.h"
#include "environment.h"
#include "exitcodes.h"

bool passage_has(const struct passage *p, enum command_kind kind)
{
    return p->config->commands[kind].argv[0] != NULL;
}

static void order(struct passage *p, const struct leash_order *order)
{
    if (order->kind == LEASH_EXTEND) {
        p->term_at = order->term_at;
        p->kill_at = order->kill_at;
    }
    runner_order(p->runner, order);
}

void passage_order(struct passage *p, enum leash_order_kind kind, const struct gate_action *action)
{
    order(p, &(struct leash_order){
                 .kind = kind,
                 .signal = action->signal,
                 .term_at = action->deadline,
                 .kill_at = kind == LEASH_STOP ? action->deadline : action->kill_at,
             });
}

static void start(struct passage *p, enum command_kind kind)
{
    p->step = kind;
    struct runner_job job = {
        .kind = kind,
        .argv = p->config->commands[kind].argv,
        .environment = p->run_environment,
        .quiet = kind == COMMAND_APPLIED_IF,
        .again = p->output_begun,
        .term_at = p->term_at,
        .kill_at = p->kill_at,
        .lock_fd = p->backend->ops->lock_fd(p->backend),
        .inherited = p->config->inherited,
    };
    p->output_begun = true;
    runner_start(p->runner, &job);
    if (p->gate.jumped_at) /* between two steps there was nobody to freeze */
        order(p, &(struct leash_order){.kind = LEASH_FREEZE});
}

void passage_start_run(struct passage *p, const struct gate_action *action)
{
    const struct passage_config *c = p->config;
    bool repeat = p->gate.tries > 1;
    p->words.migrating_since = p->pulse_boot = clock_boot_ms();
    p->pulse_wall = clock_wall_ms();
    uv_timer_again(&p->pulse);
    p->term_at = action->deadline;
    p->kill_at = action->kill_at;
    p->output_begun = repeat;
    p->before_done = p->before_done && repeat;
    p->migrated = false;
    p->run_environment = environment_of_command(c->options, c->environment, user_home(c->who), c->target, action->token,
                                                action->attempt, action->state);
    p->refused = p->blocked != NULL;
    if (p->refused) {
        p->step = COMMAND_MIGRATE;
        runner_refuse(p->runner, COMMAND_MIGRATE, EXIT_CANNOT_GO_ON, p->blocked);
        return;
    }
    start(p, passage_has(p, COMMAND_BEFORE) && !p->before_done ? COMMAND_BEFORE : COMMAND_MIGRATE);
}

/* The step that follows one that ended well; COMMANDS = none. Whether the app agrees is asked for the warning's sake
 * (DESIGN section 2, rule 6). */
static enum command_kind next_step(const struct passage *p)
{
    if (p->step == COMMAND_BEFORE)
        return COMMAND_MIGRATE;
    if (p->step == COMMAND_MIGRATE && passage_has(p, COMMAND_AFTER))
        return COMMAND_AFTER;
    return p->step != COMMAND_APPLIED_IF && passage_has(p, COMMAND_APPLIED_IF) ? COMMAND_APPLIED_IF : COMMANDS;
}

static void say_step_failed(const struct passage *p, int status)
{
    const struct log_field *fields =
        LOG_FIELDS(LOG_TEXT("command", command_names[p->step]), LOG_NUMBER("status", status));
    if (p->step == COMMAND_AFTER)
        log_say(LOG_LEVEL_WARNING, EVENT_ERROR, fields,
                "--after failed with status %d; the version is applied all the same", status);
    else if (p->gate.stop != GATE_STOP_NONE)
        return; /* it was told to end */
    else if (p->step == COMMAND_BEFORE)
        log_say(LOG_LEVEL_ERROR, EVENT_ERROR, fields, "--before failed with status %d; nothing was migrated", status);
    else if (p->step == COMMAND_APPLIED_IF)
        passage_say_still_pending(p->runner, status);
}

void passage_step_ended(void *user, int status)
{
    struct passage *p = user;
    bool may_go_on = p->gate.holding && p->gate.stop == GATE_STOP_NONE;
    p->migrated = p->migrated || (p->step == COMMAND_MIGRATE && status == 0 && may_go_on);
    p->before_done = p->before_done || (p->step == COMMAND_BEFORE && status == 0);
    if (status != 0)
        say_step_failed(p, status);
    enum command_kind next = next_step(p);
    if (may_go_on && next != COMMANDS && (status == 0 || p->migrated)) {
        start(p, next);
        return;
    }
    uv_timer_stop(&p->pulse);
    environment_free(p->run_environment);
    p->run_environment = NULL;
    passage_step(p, &(struct gate_event){.kind = GATE_COMMAND_ENDED,
                                         .status = p->migrated ? 0 : status,
                                         .migrated = p->migrated,
                                         .final = p->refused});
}
