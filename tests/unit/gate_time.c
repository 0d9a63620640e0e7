/* The gate's limits: --wait-timeout, --connect-timeout, servers that are silent or full (DESIGN section 2, rule 8). */
#include "gate_kit.h"
#include "unit.h"

/* Answers every question with `result` until the gate ends or `ms` have passed; true if it ended. */
static bool endures(struct bench *b, enum op_result result, int64_t ms)
{
    int64_t end = b->now + ms;
    while (!bench_find(b, GATE_FAIL) && b->now < end) {
        const struct gate_action *asked = bench_find(b, GATE_ASK);
        if (asked)
            bench_reply(b, asked->op, result);
        else
            bench_wake(b);
    }
    return !bench_find(b, GATE_FAIL);
}

static void rule_8_wait_timeout_ends_every_state_of_the_queue(void **state)
{
    static const struct {
        const char *row;
        enum gate_state state;
    } rows[] = {
        {"look", AT_LOOK},         {"contend", AT_CONTEND},     {"subscribe", AT_SUBSCRIBE},  {"wait", AT_WAIT},
        {"back off", AT_BACK_OFF}, {"reconnect", AT_RECONNECT}, {"under lock", AT_HOLD_LOOK}, {"again", AT_HOLD_AGAIN},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        b.config.wait_timeout = 500;
        b.config.connect_timeout = 400000;
        bench_reach(&b, rows[i].state);
        CHECK(rows[i].row, gate_due(&b.gate) <= BENCH_BEGAN + 500);
        b.now = BENCH_BEGAN + 500;
        bench_tick(&b);
        if (bench_asked(&b, OP_RELEASE))
            bench_reply(&b, OP_RELEASE, OP_OK);
        CHECK(rows[i].row, bench_failed(&b, GATE_TIMED_OUT, 0));
    }
}

/* Cut short, each winner would begin it anew, and nobody ever migrate. */
static void wait_timeout_does_not_cut_our_quarantine(void **state)
{
    (void)state;
    struct bench b = bench_new();
    b.config.wait_timeout = 500;
    bench_reach(&b, AT_QUARANTINE);
    bench_pass(&b, 60000);
    assert_int_equal(b.now, BENCH_BEGAN + b.config.times.quarantine);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_non_null(bench_asked(&b, OP_MARK));
}

static void wait_timeout_0_is_for_ever(void **state)
{
    (void)state;
    struct bench b = bench_new();
    b.config.wait_timeout = 0;
    bench_reach(&b, AT_WAIT);
    b.now += INT64_C(1000) * 3600 * 24 * 365;
    bench_tick(&b);
    assert_null(bench_find(&b, GATE_FAIL));
}

static void wait_timeout_does_not_end_a_running_command(void **state)
{
    (void)state;
    struct bench b = bench_new();
    b.config.wait_timeout = 10000;
    bench_reach(&b, AT_MIGRATE);
    bench_pass(&b, 60000);
    assert_int_equal(b.gate.state, AT_MIGRATE);
    assert_int_equal(b.gate.stop, GATE_STOP_NONE);
}

/* gate.h: wait_timeout is "ms at the gate, our own migration not counted". */
static void wait_timeout_does_not_count_our_own_migration(void **state)
{
    (void)state;
    struct bench b = bench_new();
    b.config.wait_timeout = 10000;
    bench_reach(&b, AT_MIGRATE);
    bench_pass(&b, 20000);
    bench_event(&b, GATE_DISCONNECTED);
    bench_ended(&b, 143);
    b.now = b.gate.due;
    bench_tick(&b);
    assert_non_null(bench_asked(&b, OP_LOOK));
    assert_null(bench_find(&b, GATE_FAIL));
    b.now += 9000;
    bench_tick(&b);
    assert_null(bench_find(&b, GATE_FAIL));
    b.now += 1000;
    bench_tick(&b); /* the look is not answered ... */
    bench_tick(&b); /* ... and the time is over */
    assert_true(bench_failed(&b, GATE_TIMED_OUT, 0));
}

/* Rule 7 needs the look that follows a lost commit reply, however long the migration took. */
static void rule_7_long_migration_with_a_lost_commit_reply_still_looks(void **state)
{
    (void)state;
    struct bench b = bench_new();
    b.config.wait_timeout = 10000;
    bench_reach(&b, AT_MIGRATE);
    bench_pass(&b, 20000);
    bench_ended(&b, 0);
    bench_reply(&b, OP_END, OP_UNAVAILABLE);
    assert_non_null(bench_asked(&b, OP_LOOK));
    bench_tick(&b);
    assert_null(bench_find(&b, GATE_FAIL));
    bench_own_run(&b, 1, RUN_SUCCEEDED);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_non_null(bench_find(&b, GATE_PASS));
}

static void connect_timeout_ends_an_unreachable_place(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_begin(&b);
    assert_false(endures(&b, OP_UNAVAILABLE, 70000));
    assert_true(bench_failed(&b, GATE_UNREACHABLE, 0));
    assert_in_range(b.now - BENCH_BEGAN, 60000, 60100);
}

static void connect_timeout_counts_silence_at_a_stretch(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_begin(&b);
    for (int i = 0; i < 5; i++) {
        assert_true(endures(&b, OP_UNAVAILABLE, 50000));
        while (!bench_asked(&b, OP_LOOK))
            bench_wake(&b);
        b.look.not_before_ms = 100;
        bench_reply(&b, OP_LOOK, OP_OK);
    }
    assert_false(endures(&b, OP_UNAVAILABLE, 70000));
    assert_true(bench_failed(&b, GATE_UNREACHABLE, 0));
}

/* One lost LISTEN, then answered looks for minutes, then one lost look: that is no stretch of 60 s. */
static void connect_timeout_forgets_a_failure_once_the_place_has_answered(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_SUBSCRIBE);
    bench_reply(&b, OP_LISTEN, OP_UNAVAILABLE);
    b.look.not_before_ms = 300000;
    for (int i = 0; i < 20; i++) {
        while (!bench_asked(&b, OP_LOOK))
            bench_wake(&b);
        bench_reply(&b, OP_LOOK, OP_OK);
    }
    assert_true(b.now > BENCH_BEGAN + 60000);
    while (!bench_asked(&b, OP_LOOK))
        bench_wake(&b);
    bench_reply(&b, OP_LOOK, OP_UNAVAILABLE);
    assert_null(bench_find(&b, GATE_FAIL));
    assert_int_equal(b.gate.state, AT_RECONNECT);
}

/* A server that answers looks but never what waiters need is unreachable all the same. */
static void connect_timeout_answered_looks_do_not_excuse_what_always_fails(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_begin(&b);
    for (int i = 0; i < 1000 && !bench_find(&b, GATE_FAIL); i++) {
        if (bench_asked(&b, OP_LOOK))
            bench_reply(&b, OP_LOOK, OP_OK);
        else if (bench_asked(&b, OP_LOCK))
            bench_reply(&b, OP_LOCK, OP_UNAVAILABLE);
        else
            bench_wake(&b);
    }
    assert_true(bench_failed(&b, GATE_UNREACHABLE, 0));
    assert_in_range(b.now - BENCH_BEGAN, 60000, 62000);
}

static void silence_is_as_good_as_unreachable(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_begin(&b);
    assert_int_equal(gate_due(&b.gate), b.now + 10000);
    bench_wake(&b);
    assert_int_equal(b.gate.state, AT_RECONNECT);
    assert_non_null(bench_find(&b, GATE_RESET));
    bench_reply(&b, OP_LOOK, OP_OK); /* too late: it was reset */
    assert_int_equal(b.out.count, 0);
}

/* The place has answered; the app that is asked by --applied-if takes its time, and only --wait-timeout bounds it. */
static void an_app_that_is_asked_may_take_its_time(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_begin(&b);
    bench_event(&b, GATE_APP_ASKED);
    bench_pass(&b, 60000);
    assert_int_equal(b.gate.state, AT_LOOK);
    assert_null(bench_find(&b, GATE_RESET));
    b.look.applied = true;
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_non_null(bench_find(&b, GATE_PASS));
}

static void the_next_look_is_as_short_as_ever(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_begin(&b);
    bench_event(&b, GATE_APP_ASKED);
    bench_reply(&b, OP_LOOK, OP_OK);
    bench_reply(&b, OP_LOCK, OP_OK);
    assert_non_null(bench_asked(&b, OP_LOOK));
    bench_pass(&b, 20000);
    assert_non_null(bench_said(&b, EVENT_UNAVAILABLE));
    assert_in_range(b.now - BENCH_BEGAN, 9000, 11000);
}

static void retries_of_the_connection_begin_fast_and_stay_below_3_s(void **state)
{
    (void)state;
    struct bench b = bench_new();
    b.config.connect_timeout = 600000;
    bench_begin(&b);
    for (int i = 0; i < 100; i++) {
        bench_reply(&b, OP_LOOK, OP_UNAVAILABLE);
        assert_in_range(gate_due(&b.gate) - b.now, 0, i == 0 ? 150 : 3000);
        while (!bench_asked(&b, OP_LOOK))
            bench_wake(&b);
    }
}

static void crowded_never_ends_by_connect_timeout(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_begin(&b);
    assert_true(endures(&b, OP_CROWDED, 1800000));
    assert_false(endures(&b, OP_CROWDED, 1810000));
    assert_true(bench_failed(&b, GATE_TIMED_OUT, 0));
}

static void crowded_backs_off_and_does_not_listen(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_begin(&b);
    int64_t longest = 0;
    for (int i = 0; i < 60; i++) {
        bench_reply(&b, OP_LOOK, OP_CROWDED);
        assert_non_null(bench_find(&b, GATE_RESET));
        int64_t from = b.now;
        while (!bench_asked(&b, OP_LOOK))
            bench_wake(&b);
        longest = b.now - from > longest ? b.now - from : longest;
    }
    assert_in_range(longest, 7500, 22500);
    bench_reply(&b, OP_LOOK, OP_OK);
    bench_reply(&b, OP_LOCK, OP_BUSY);
    assert_null(bench_asked(&b, OP_LISTEN));
    assert_int_equal(b.gate.state, AT_WAIT);
}

static void progress_is_told_every_10_s(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_WAIT);
    int told = 0;
    for (int i = 0; i < 1000 && b.now < BENCH_BEGAN + 100000; i++) {
        if (bench_asked(&b, OP_LOOK))
            bench_reply(&b, OP_LOOK, OP_OK);
        else if (bench_asked(&b, OP_LOCK))
            bench_reply(&b, OP_LOCK, OP_BUSY);
        else
            bench_wake(&b);
        told += bench_said(&b, EVENT_PROGRESS) != NULL;
    }
    assert_in_range(told, 9, 10);
}

static void refusal_ends_at_once(void **state)
{
    static const struct {
        const char *row;
        enum gate_state state;
        enum op op;
    } rows[] = {
        {"look", AT_LOOK, OP_LOOK},          {"lock", AT_CONTEND, OP_LOCK},
        {"listen", AT_SUBSCRIBE, OP_LISTEN}, {"look under the lock", AT_HOLD_LOOK, OP_LOOK},
        {"mark", AT_MARK, OP_MARK},          {"fence", AT_FENCE, OP_FENCE},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        bench_reach(&b, rows[i].state);
        bench_reply(&b, rows[i].op, OP_REFUSED);
        if (bench_asked(&b, OP_END)) { /* marked, but it never ran */
            CHECK_NUMBER(rows[i].row, bench_asked(&b, OP_END)->state, RUN_INTERRUPTED);
            bench_reply(&b, OP_END, OP_OK);
        }
        if (bench_asked(&b, OP_RELEASE))
            bench_reply(&b, OP_RELEASE, OP_OK);
        CHECK(rows[i].row, bench_failed(&b, GATE_REFUSED, 0));
    }
}

int unit_gate_time(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_8_wait_timeout_ends_every_state_of_the_queue),
        cmocka_unit_test(wait_timeout_does_not_cut_our_quarantine),
        cmocka_unit_test(wait_timeout_0_is_for_ever),
        cmocka_unit_test(wait_timeout_does_not_end_a_running_command),
        cmocka_unit_test(wait_timeout_does_not_count_our_own_migration),
        cmocka_unit_test(rule_7_long_migration_with_a_lost_commit_reply_still_looks),
        cmocka_unit_test(connect_timeout_ends_an_unreachable_place),
        cmocka_unit_test(connect_timeout_counts_silence_at_a_stretch),
        cmocka_unit_test(connect_timeout_forgets_a_failure_once_the_place_has_answered),
        cmocka_unit_test(connect_timeout_answered_looks_do_not_excuse_what_always_fails),
        cmocka_unit_test(silence_is_as_good_as_unreachable),
        cmocka_unit_test(an_app_that_is_asked_may_take_its_time),
        cmocka_unit_test(the_next_look_is_as_short_as_ever),
        cmocka_unit_test(retries_of_the_connection_begin_fast_and_stay_below_3_s),
        cmocka_unit_test(crowded_never_ends_by_connect_timeout),
        cmocka_unit_test(crowded_backs_off_and_does_not_listen),
        cmocka_unit_test(progress_is_told_every_10_s),
        cmocka_unit_test(refusal_ends_at_once),
    };
    return UNIT_RUN("gate: limits", tests);
}
