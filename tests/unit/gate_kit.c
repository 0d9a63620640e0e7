#include "gate_kit.h"

#include "unit.h"

struct bench bench_new(void)
{
    struct bench b = {
        .config =
            {
                .mode = GATE_MODE_MIGRATE,
                .times = times_from_lease(25000),
                .wait_timeout = 3600000,
                .connect_timeout = 60000,
                .stop_grace = 8000,
                .retry_delay = 5000,
                .poll = 2000,
                .seed = 42,
            },
        .now = BENCH_BEGAN,
        .look = {.tail = "", .last_failure_status = -1, .last = {.exit_status = -1}},
    };
    return b;
}

static void step(struct bench *b, struct gate_event event)
{
    if (event.kind == GATE_REPLY && event.op == OP_LOOK && event.result == OP_OK)
        event.look = &b->look;
    gate_step(&b->gate, b->now, &event, &b->out);
}

void bench_begin(struct bench *b)
{
    gate_begin(&b->gate, &b->config, b->now, &b->out);
}

void bench_tick(struct bench *b)
{
    step(b, (struct gate_event){.kind = GATE_TICK});
}

void bench_reply(struct bench *b, enum op op, enum op_result result)
{
    step(b, (struct gate_event){.kind = GATE_REPLY, .op = op, .result = result});
}

void bench_signal(struct bench *b, int signal)
{
    step(b, (struct gate_event){.kind = GATE_SIGNALLED, .signal = signal});
}

void bench_ended(struct bench *b, int status)
{
    step(b, (struct gate_event){.kind = GATE_COMMAND_ENDED, .status = status});
}

void bench_migrated(struct bench *b)
{
    step(b, (struct gate_event){.kind = GATE_COMMAND_ENDED, .migrated = true});
}

void bench_refused(struct bench *b, int status)
{
    step(b, (struct gate_event){.kind = GATE_COMMAND_ENDED, .status = status, .final = true});
}

void bench_event(struct bench *b, enum gate_event_kind kind)
{
    step(b, (struct gate_event){.kind = kind});
}

void bench_wake(struct bench *b)
{
    int64_t due = gate_due(&b->gate);
    assert_true(due != GATE_NEVER);
    if (due > b->now)
        b->now = due;
    bench_tick(b);
}

static bool quiet(const struct bench *b)
{
    for (int i = 0; i < b->out.count; i++) {
        const struct gate_action *action = &b->out.list[i];
        bool beat = action->kind == GATE_ASK && action->op == OP_BEAT;
        bool told = action->kind == GATE_SAY && action->event == EVENT_PROGRESS;
        if (!beat && !told && action->kind != GATE_EXTEND)
            return false;
    }
    return true;
}

void bench_pass(struct bench *b, int64_t ms)
{
    int64_t end = b->now + ms;
    b->out.count = 0;
    while (quiet(b)) {
        if (bench_asked(b, OP_BEAT)) {
            bench_reply(b, OP_BEAT, OP_OK);
            continue;
        }
        if (gate_due(&b->gate) > end) {
            b->now = end;
            b->out.count = 0;
            return;
        }
        bench_wake(b);
    }
}

/* The answers that lead from one state to the next; each comes from the state before it. */
static void reach_held(struct bench *b, enum gate_state state)
{
    bench_reach(b, AT_CONTEND);
    bench_reply(b, OP_LOCK, OP_OK);
    if (state == AT_HOLD_LOOK)
        return;
    if (state == AT_QUARANTINE)
        bench_other_run(b, RUN_RUNNING);
    b->look.applied = state == AT_LEAVE;
    bench_reply(b, OP_LOOK, state == AT_HOLD_AGAIN ? OP_UNAVAILABLE : OP_OK);
    if (state == AT_HOLD_AGAIN || state == AT_QUARANTINE || state == AT_LEAVE || state == AT_MARK)
        return;
    bench_reply(b, OP_MARK, OP_OK);
    if (state == AT_FENCE)
        return;
    bench_reply(b, OP_FENCE, OP_OK);
    if (state != AT_MIGRATE)
        bench_ended(b, state == AT_PAUSE ? 1 : 0);
}

static void reach(struct bench *b, enum gate_state state)
{
    if (state > AT_RECONNECT) {
        reach_held(b, state);
        return;
    }
    bench_begin(b);
    if (state == AT_LOOK)
        return;
    b->look.not_before_ms = state == AT_BACK_OFF ? 5000 : 0;
    bench_reply(b, OP_LOOK, state == AT_RECONNECT ? OP_UNAVAILABLE : OP_OK);
    if (state != AT_SUBSCRIBE && state != AT_WAIT)
        return;
    bench_reply(b, OP_LOCK, OP_BUSY);
    if (state == AT_SUBSCRIBE)
        return;
    bench_reply(b, OP_LISTEN, OP_OK);
    bench_other_run(b, RUN_RUNNING); /* who is waited for */
    bench_reply(b, OP_LOOK, OP_OK);
}

void bench_reach(struct bench *b, enum gate_state state)
{
    reach(b, state);
    assert_int_equal(b->gate.state, state);
}

const struct gate_action *bench_find(const struct bench *b, enum gate_action_kind kind)
{
    for (int i = 0; i < b->out.count; i++)
        if (b->out.list[i].kind == kind)
            return &b->out.list[i];
    return NULL;
}

const struct gate_action *bench_asked(const struct bench *b, enum op op)
{
    for (int i = 0; i < b->out.count; i++)
        if (b->out.list[i].kind == GATE_ASK && b->out.list[i].op == op)
            return &b->out.list[i];
    return NULL;
}

const struct gate_action *bench_said(const struct bench *b, enum event event)
{
    for (int i = 0; i < b->out.count; i++)
        if (b->out.list[i].kind == GATE_SAY && b->out.list[i].event == event)
            return &b->out.list[i];
    return NULL;
}

bool bench_failed(const struct bench *b, enum gate_reason reason, int status)
{
    const struct gate_action *action = bench_find(b, GATE_FAIL);
    return action && action->reason == reason && action->status == status;
}

void bench_other_run(struct bench *b, enum run_state state)
{
    b->look.last = (struct run){.token = BENCH_OTHER, .state = state, .exit_status = -1};
    b->look.last_is_mine = false;
    b->look.last_is_same_target = true;
}

void bench_own_run(struct bench *b, uint64_t token, enum run_state state)
{
    b->look.last = (struct run){.token = token, .state = state, .exit_status = -1};
    b->look.last_is_mine = true;
    b->look.last_is_same_target = true;
    b->look.own_state = state;
}
