/* Words for what the trace tells. */
#include "checker.h"

#include <stdio.h>

const char *sim_op_name(enum op op)
{
    static const char *const names[] = {
        [OP_NONE] = "none",   [OP_LOOK] = "LOOK", [OP_LOCK] = "LOCK", [OP_LISTEN] = "LISTEN",   [OP_MARK] = "MARK",
        [OP_FENCE] = "FENCE", [OP_BEAT] = "BEAT", [OP_END] = "END",   [OP_RELEASE] = "RELEASE",
    };
    return names[op];
}

const char *sim_result_name(enum op_result result)
{
    static const char *const names[] = {
        [OP_OK] = " ok",           [OP_BUSY] = " busy",       [OP_LOST] = " lost", [OP_UNAVAILABLE] = " unavailable",
        [OP_CROWDED] = " crowded", [OP_REFUSED] = " refused",
    };
    return names[result];
}

const char *sim_state_name(enum gate_state state)
{
    static const char *const names[] = {
        [AT_LOOK] = "LOOK",           [AT_CONTEND] = "CONTEND",       [AT_SUBSCRIBE] = "SUBSCRIBE",
        [AT_WAIT] = "WAIT",           [AT_BACK_OFF] = "BACK_OFF",     [AT_RECONNECT] = "RECONNECT",
        [AT_HOLD_LOOK] = "HOLD_LOOK", [AT_HOLD_AGAIN] = "HOLD_AGAIN", [AT_QUARANTINE] = "QUARANTINE",
        [AT_MARK] = "MARK",           [AT_FENCE] = "FENCE",           [AT_MIGRATE] = "MIGRATE",
        [AT_PAUSE] = "PAUSE",         [AT_RECORD] = "RECORD",         [AT_LEAVE] = "LEAVE",
        [AT_DONE] = "DONE",
    };
    return names[state];
}

const char *sim_event_name(enum gate_event_kind kind)
{
    static const char *const names[] = {
        [GATE_TICK] = "tick",
        [GATE_REPLY] = "reply",
        [GATE_DISCONNECTED] = "disconnected",
        [GATE_WOKEN] = "woken",
        [GATE_SIGNALLED] = "signalled",
        [GATE_COMMAND_ENDED] = "command ended",
        [GATE_APP_ASKED] = "app asked",
        [GATE_CLOCK_JUMPED] = "clock jumped",
    };
    return names[kind];
}

const char *sim_reason_name(enum gate_reason reason)
{
    static const char *const names[] = {
        [GATE_PENDING] = "pending",     [GATE_RUN_FAILED] = "run failed",   [GATE_EXHAUSTED] = "exhausted",
        [GATE_TIMED_OUT] = "timed out", [GATE_UNREACHABLE] = "unreachable", [GATE_LOST_AGAIN] = "lost again",
        [GATE_REFUSED] = "refused",     [GATE_UNRECORDED] = "unrecorded",   [GATE_STOPPED] = "stopped",
    };
    return names[reason];
}

const char *sim_said_name(enum event event)
{
    static const char *const names[] = {
#define X(id, name) [EVENT_##id] = name,
        EVENTS(X)
#undef X
    };
    return names[event];
}

const char *sim_forgotten_name(enum forgetting what)
{
    static const char *const names[] = {
        [FORGET_ALL] = "everything",         [FORGET_LOCK] = "the lock", [FORGET_FENCE] = "the fence",
        [FORGET_GATE] = "the gate",          [FORGET_RUNS] = "the runs", [FORGET_APPLIED] = "what is applied",
        [FORGET_WRITES] = "the last writes",
    };
    return names[what];
}

static const char *kind_name(enum gate_action_kind kind)
{
    static const char *const names[] = {
        [GATE_ASK] = "ask",         [GATE_RESET] = "reset",   [GATE_RESET_CLERK] = "reset clerk",
        [GATE_START] = "start",     [GATE_EXTEND] = "extend", [GATE_STOP] = "stop",
        [GATE_FORWARD] = "forward", [GATE_FREEZE] = "freeze", [GATE_THAW] = "thaw",
        [GATE_SAY] = "say",         [GATE_PASS] = "PASS",     [GATE_FAIL] = "FAIL",
    };
    return names[kind];
}

const char *sim_action_text(const struct gate_action *action)
{
    static char text[160];
    const char *kind = kind_name(action->kind);
    unsigned long long token = action->token;
    switch (action->kind) {
    case GATE_ASK:
        snprintf(text, sizeof text, "%s %s token %llu %s status %d", kind, sim_op_name(action->op), token,
                 run_state_name(action->state), action->status);
        break;
    case GATE_START:
    case GATE_EXTEND:
        snprintf(text, sizeof text, "%s token %llu attempt %d deadline %lld kill at %lld", kind, token, action->attempt,
                 (long long)action->deadline, (long long)action->kill_at);
        break;
    case GATE_STOP:
    case GATE_FORWARD:
        snprintf(text, sizeof text, "%s signal %d kill at %lld", kind, action->signal, (long long)action->deadline);
        break;
    case GATE_SAY:
        snprintf(text, sizeof text, "%s %s token %llu", kind, sim_said_name(action->event), token);
        break;
    case GATE_FAIL:
        snprintf(text, sizeof text, "%s %s status %d", kind, sim_reason_name(action->reason), action->status);
        break;
    default:
        snprintf(text, sizeof text, "%s", kind);
        break;
    }
    return text;
}
