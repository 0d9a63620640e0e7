#include "passage_internal.h"

#include "clock.h"
#include "identity.h"

#include <string.h>

static void ask_end(struct passage *p, const struct gate_action *action)
{
    static char output[TAIL_CAPACITY]; /* must live until the reply */
    const struct tail *tail = runner_tail(p->runner);
    struct ending ending = {
        .token = action->token,
        .state = action->state,
        .exit_status = action->status,
        .last_line = tail->last_line,
        .output = output,
        .output_length = tail_copy(tail, output),
    };
    p->backend->ops->end(p->backend, &ending);
}

static void ask(struct passage *p, const struct gate_action *action)
{
    struct backend *b = p->backend;
    switch (action->op) {
    case OP_LOOK:
        p->applied_if.ask = action->look;
        p->applied_if.ask.whole = passage_has(p, COMMAND_APPLIED_IF);
        b->ops->look(b, &p->applied_if.ask);
        break;
    case OP_LOCK:
        identity_find_container(&p->me);
        b->ops->lock(b);
        break;
    case OP_LISTEN:
        b->ops->listen(b);
        break;
    case OP_MARK:
        b->ops->mark(b, &(struct mark){.token = action->token, .attempt = action->attempt, .repeat = action->repeat});
        break;
    case OP_FENCE:
        b->ops->fence(b, action->token);
        break;
    case OP_BEAT:
        b->ops->beat(b);
        break;
    case OP_END:
        ask_end(p, action);
        break;
    case OP_RELEASE:
        b->ops->release(b);
        break;
    case OP_NONE:
        break;
    }
}

static void say_silence(struct passage *p)
{
    struct err err;
    /* A plain Redis waits for the rest of what TLS begins with. */
    bool tls = strncmp(p->config->place, "rediss", strlen("rediss")) == 0;
    err_set(&err, ERR_UNAVAILABLE, "%s does not answer%s", p->config->place, tls ? "; does that port speak TLS?" : "");
    passage_problem(p, &err);
}

void passage_perform(struct passage *p, const struct gate_action *action)
{
    switch (action->kind) {
    case GATE_ASK:
        ask(p, action);
        break;
    case GATE_RESET:
        passage_forget_app(p);
        p->backend->ops->reset(p->backend);
        break;
    case GATE_RESET_CLERK:
        passage_forget_app(p);
        p->backend->ops->reset_clerk(p->backend);
        break;
    case GATE_START:
        passage_start_run(p, action);
        break;
    case GATE_EXTEND:
        passage_order(p, LEASH_EXTEND, action);
        break;
    case GATE_STOP:
        passage_order(p, LEASH_STOP, action);
        break;
    case GATE_FORWARD:
        passage_order(p, LEASH_FORWARD, action);
        break;
    case GATE_FREEZE:
        passage_order(p, LEASH_FREEZE, action);
        break;
    case GATE_THAW:
        passage_order(p, LEASH_THAW, action);
        break;
    case GATE_SAY:
        p->words.now = clock_boot_ms();
        if (action->event == EVENT_UNAVAILABLE)
            say_silence(p);
        else
            words_say(&p->words, &p->gate, action);
        break;
    case GATE_PASS:
    case GATE_FAIL:
        p->done = true;
        p->end = *action;
        uv_stop(&p->loop);
        break;
    }
}
