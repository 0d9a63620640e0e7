/* Signals in every state of the gate (DESIGN section 2, rule 9, and section 5). */
#include "gate_kit.h"
#include "unit.h"

#include <signal.h>

static const struct {
    const char *row;
    enum gate_state state;
} at_once[] = {
    {"look", AT_LOOK},           {"contend", AT_CONTEND},
    {"subscribe", AT_SUBSCRIBE}, {"wait", AT_WAIT},
    {"back off", AT_BACK_OFF},   {"reconnect", AT_RECONNECT},
    {"hold look", AT_HOLD_LOOK}, {"hold again", AT_HOLD_AGAIN},
    {"mark", AT_MARK},           {"quarantine", AT_QUARANTINE},
    {"leave", AT_LEAVE},
};

static const int enders[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};

/* What may be asked before the end is to give the lock back, answered or not. */
static void rule_9_signal_ends_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(at_once); i++) {
        for (size_t s = 0; s < UNIT_COUNT(enders); s++) {
            for (int answered = 0; answered < 2; answered++) {
                struct bench b = bench_new();
                bench_reach(&b, at_once[i].state);
                bool held = b.gate.holding;
                bench_signal(&b, enders[s]);
                if (held && answered)
                    bench_reply(&b, OP_RELEASE, OP_OK);
                else if (held)
                    bench_wake(&b);
                CHECK(at_once[i].row, bench_failed(&b, GATE_STOPPED, 128 + enders[s]));
                CHECK(at_once[i].row, b.now <= BENCH_BEGAN + 100);
            }
        }
    }
}

static void rule_9_lock_is_given_back_first(void **state)
{
    static const enum gate_state held[] = {AT_HOLD_LOOK, AT_HOLD_AGAIN, AT_QUARANTINE, AT_MARK};
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(held); i++) {
        struct bench b = bench_new();
        bench_reach(&b, held[i]);
        bench_signal(&b, SIGTERM);
        assert_non_null(bench_asked(&b, OP_RELEASE));
    }
}

static void other_signals_mean_nothing_where_no_command_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(at_once); i++) {
        struct bench b = bench_new();
        bench_reach(&b, at_once[i].state);
        bench_signal(&b, SIGUSR1);
        CHECK_NUMBER(at_once[i].row, b.out.count, 0);
        bench_signal(&b, SIGUSR2);
        CHECK_NUMBER(at_once[i].row, b.out.count, 0);
        CHECK_NUMBER(at_once[i].row, b.gate.state, at_once[i].state);
    }
}

/* Marked, but nothing is alive: the run ends in order, so that others take over at once. */
static void rule_9_marked_run_without_a_command_is_recorded_interrupted(void **state)
{
    static const struct {
        const char *row;
        enum gate_state state;
    } rows[] = {{"fence", AT_FENCE}, {"pause", AT_PAUSE}};
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        b.config.retries = 1;
        bench_reach(&b, rows[i].state);
        bench_signal(&b, SIGTERM);
        CHECK_NUMBER(rows[i].row, bench_said(&b, EVENT_INTERRUPTED)->signal, SIGTERM);
        CHECK_NUMBER(rows[i].row, bench_asked(&b, OP_END)->state, RUN_INTERRUPTED);
        bench_reply(&b, OP_END, OP_OK);
        CHECK(rows[i].row, bench_failed(&b, GATE_STOPPED, 143));
    }
}

static void rule_9_migrate_stops_the_command_and_ends_in_order(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGQUIT};
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(signals); i++) {
        struct bench b = bench_new();
        bench_reach(&b, AT_MIGRATE);
        bench_pass(&b, 1000);
        bench_signal(&b, signals[i]);
        assert_int_equal(bench_find(&b, GATE_STOP)->signal, signals[i]);
        assert_int_equal(bench_find(&b, GATE_STOP)->deadline, b.now + b.config.stop_grace);
        assert_null(bench_find(&b, GATE_FAIL));
        bench_pass(&b, 7000); /* the lock is kept until the command is gone */
        assert_true(b.gate.holding);
        bench_ended(&b, 128 + signals[i]);
        assert_int_equal(bench_asked(&b, OP_END)->state, RUN_INTERRUPTED);
        bench_reply(&b, OP_END, OP_OK);
        assert_true(bench_failed(&b, GATE_STOPPED, 128 + signals[i]));
    }
}

static void migrate_forwards_the_others_and_repeated_ones(void **state)
{
    static const int signals[] = {SIGHUP, SIGUSR1, SIGUSR2};
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MIGRATE);
    for (size_t i = 0; i < UNIT_COUNT(signals); i++) {
        bench_signal(&b, signals[i]);
        assert_int_equal(b.out.count, 1);
        assert_int_equal(bench_find(&b, GATE_FORWARD)->signal, signals[i]);
    }
    bench_signal(&b, SIGTERM);
    assert_non_null(bench_find(&b, GATE_STOP));
    bench_signal(&b, SIGTERM);
    assert_null(bench_find(&b, GATE_STOP)); /* a second one does not give the command more time */
    assert_int_equal(bench_find(&b, GATE_FORWARD)->signal, SIGTERM);
}

static void signal_then_lost_lock_brings_the_kill_forward(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MIGRATE);
    bench_signal(&b, SIGTERM);
    b.now += 100;
    bench_event(&b, GATE_DISCONNECTED);
    assert_true(bench_find(&b, GATE_STOP)->deadline <= b.now + 2000);
    bench_ended(&b, 143);
    assert_null(bench_asked(&b, OP_END));
    assert_true(bench_failed(&b, GATE_STOPPED, 143));
}

static void lost_lock_then_signal_leaves_once_the_command_is_gone(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MIGRATE);
    bench_event(&b, GATE_DISCONNECTED);
    bench_signal(&b, SIGINT);
    assert_null(bench_find(&b, GATE_STOP)); /* its end is set already */
    assert_int_equal(bench_find(&b, GATE_FORWARD)->signal, SIGINT);
    assert_null(bench_find(&b, GATE_FAIL));
    bench_ended(&b, 143);
    assert_true(bench_failed(&b, GATE_STOPPED, 130));
}

static void rule_9_record_ends_in_order(void **state)
{
    static const struct {
        const char *row;
        enum op_result result;
    } rows[] = {{"recorded", OP_OK}, {"reply lost", OP_UNAVAILABLE}, {"lock lost", OP_LOST}, {"refused", OP_REFUSED}};
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        bench_reach(&b, AT_RECORD);
        bench_signal(&b, SIGTERM);
        CHECK_NUMBER(rows[i].row, b.out.count, 0);
        bench_reply(&b, OP_END, rows[i].result);
        CHECK(rows[i].row, bench_failed(&b, GATE_STOPPED, 143));
    }
}

static void after_the_end_nothing_matters(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_WAIT);
    bench_signal(&b, SIGTERM);
    for (enum gate_event_kind kind = GATE_TICK; kind <= GATE_CLOCK_JUMPED; kind++) {
        b.now += 100000;
        bench_event(&b, kind);
        assert_int_equal(b.out.count, 0);
    }
    assert_int_equal(gate_due(&b.gate), GATE_NEVER);
}

int unit_gate_signal(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_9_signal_ends_at_once),
        cmocka_unit_test(rule_9_lock_is_given_back_first),
        cmocka_unit_test(other_signals_mean_nothing_where_no_command_is),
        cmocka_unit_test(rule_9_marked_run_without_a_command_is_recorded_interrupted),
        cmocka_unit_test(rule_9_migrate_stops_the_command_and_ends_in_order),
        cmocka_unit_test(migrate_forwards_the_others_and_repeated_ones),
        cmocka_unit_test(signal_then_lost_lock_brings_the_kill_forward),
        cmocka_unit_test(lost_lock_then_signal_leaves_once_the_command_is_gone),
        cmocka_unit_test(rule_9_record_ends_in_order),
        cmocka_unit_test(after_the_end_nothing_matters),
    };
    return UNIT_RUN("gate: signals", tests);
}
