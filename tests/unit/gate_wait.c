/* The gate before it has the lock: looking, contending, waiting, watching others (DESIGN section 2). */
#include "gate_kit.h"
#include "unit.h"

static void first_look_asks_nothing_else(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_begin(&b);
    assert_int_equal(b.out.count, 1);
    assert_non_null(bench_asked(&b, OP_LOOK));
    assert_int_equal(b.out.list[0].look.own, 0);
    assert_int_equal(b.out.list[0].look.watch_from, 0);
}

/* Rule 1: set membership, not equality. */
static void rule_1_version_in_the_set_passes(void **state)
{
    static const struct {
        const char *row;
        bool ahead;
        enum run_state last;
        int failures;
        enum gate_mode mode;
    } rows[] = {
        {"applied", false, RUN_SUCCEEDED, 0, GATE_MODE_MIGRATE},
        {"applied, the database is ahead", true, RUN_SUCCEEDED, 0, GATE_MODE_MIGRATE},
        {"applied, somebody runs a newer one", true, RUN_RUNNING, 0, GATE_MODE_MIGRATE},
        {"applied, newest run failed", true, RUN_FAILED, 3, GATE_MODE_MIGRATE},
        {"applied, wait", false, RUN_SUCCEEDED, 0, GATE_MODE_WAIT},
        {"applied, check", false, RUN_SUCCEEDED, 0, GATE_MODE_CHECK},
        {"applied, check, ahead", true, RUN_RUNNING, 0, GATE_MODE_CHECK},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        b.config.mode = rows[i].mode;
        b.config.max_attempts = 1;
        bench_begin(&b);
        bench_other_run(&b, rows[i].last);
        b.look.applied = true;
        b.look.ahead = rows[i].ahead;
        b.look.failures = rows[i].failures;
        b.look.not_before_ms = 1000;
        bench_reply(&b, OP_LOOK, OP_OK);
        CHECK(rows[i].row, bench_find(&b, GATE_PASS));
        CHECK(rows[i].row, bench_said(&b, EVENT_SATISFIED));
        CHECK(rows[i].row, !bench_said(&b, EVENT_AHEAD) == !rows[i].ahead);
        CHECK(rows[i].row, !bench_asked(&b, OP_LOCK) && !bench_find(&b, GATE_START));
        CHECK_NUMBER(rows[i].row, gate_due(&b.gate), GATE_NEVER);
    }
}

/* Rule 2: look before the lock, and again under it. */
static void rule_2_looks_before_and_under_the_lock(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_CONTEND);
    assert_non_null(bench_asked(&b, OP_LOCK));
    bench_reply(&b, OP_LOCK, OP_OK);
    assert_non_null(bench_said(&b, EVENT_LOCKED));
    assert_non_null(bench_asked(&b, OP_LOOK));
    b.look.applied = true;
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_non_null(bench_asked(&b, OP_RELEASE));
    assert_null(bench_find(&b, GATE_PASS));
    bench_reply(&b, OP_RELEASE, OP_OK);
    assert_non_null(bench_find(&b, GATE_PASS));
}

/* Rule 5: a waiter never waits inside a server's lock call. */
static void rule_5_busy_means_subscribe_read_wait(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_CONTEND);
    bench_reply(&b, OP_LOCK, OP_BUSY);
    assert_non_null(bench_asked(&b, OP_LISTEN));
    bench_reply(&b, OP_LISTEN, OP_OK);
    assert_non_null(bench_asked(&b, OP_LOOK));
    bench_other_run(&b, RUN_RUNNING);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(b.gate.state, AT_WAIT);
    assert_null(bench_asked(&b, OP_LOCK));
    assert_int_equal(bench_said(&b, EVENT_WAITING)->token, BENCH_OTHER);
    bench_event(&b, GATE_WOKEN);
    assert_non_null(bench_asked(&b, OP_LOOK));
}

static void waking_while_the_look_is_under_way_is_not_forgotten(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_SUBSCRIBE);
    bench_reply(&b, OP_LISTEN, OP_OK);
    bench_event(&b, GATE_WOKEN);
    bench_other_run(&b, RUN_RUNNING);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(b.gate.state, AT_WAIT);
    assert_true(gate_due(&b.gate) <= b.now);
}

/* Subscribe, read, wait: whoever had the lock may have left before we listened, and then nobody wakes us. */
static void listener_who_finds_nobody_tries_the_lock(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_SUBSCRIBE);
    bench_reply(&b, OP_LISTEN, OP_OK);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_non_null(bench_asked(&b, OP_LOCK));
    bench_reply(&b, OP_LOCK, OP_BUSY);
    assert_int_equal(b.gate.state, AT_WAIT);
}

static void listeners_poll_as_well_every_2_s_or_so(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct bench b = bench_new();
        b.config.seed = seed;
        bench_reach(&b, AT_WAIT);
        int64_t sleep = gate_due(&b.gate) - b.now;
        assert_in_range(sleep, 1000, 3000);
        bench_wake(&b);
        assert_non_null(bench_asked(&b, OP_LOOK));
    }
}

static void who_cannot_listen_polls_without_a_connection_ever_more_rarely(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_SUBSCRIBE);
    bench_reply(&b, OP_LISTEN, OP_BUSY);
    int64_t longest = 0, first = gate_due(&b.gate) - b.now;
    assert_in_range(first, 1000, 3000);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(b.gate.state, AT_WAIT);
        assert_non_null(bench_find(&b, GATE_RESET));
        while (b.gate.state == AT_WAIT) {
            int64_t before = b.now;
            bench_wake(&b);
            longest = b.now - before > longest ? b.now - before : longest;
        }
        bench_reply(&b, OP_LOOK, OP_OK);
        bench_reply(&b, OP_LOCK, OP_BUSY);
        assert_null(bench_asked(&b, OP_LISTEN));
    }
    assert_in_range(longest, 7500, 22500);
}

static void closed_listening_connection_means_another_look(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_WAIT);
    bench_event(&b, GATE_DISCONNECTED);
    assert_non_null(bench_find(&b, GATE_RESET));
    assert_non_null(bench_asked(&b, OP_LOOK));
    bench_reply(&b, OP_LOOK, OP_OK);
    bench_reply(&b, OP_LOCK, OP_BUSY);
    assert_non_null(bench_asked(&b, OP_LISTEN));
}

static void waiting_is_said_once_a_holder(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_begin(&b);
    bench_other_run(&b, RUN_RUNNING);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(bench_said(&b, EVENT_WAITING)->token, BENCH_OTHER);
    bench_reply(&b, OP_LOCK, OP_BUSY);
    bench_reply(&b, OP_LISTEN, OP_OK);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_null(bench_said(&b, EVENT_WAITING));
    b.look.last.token++;
    bench_event(&b, GATE_WOKEN);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(bench_said(&b, EVENT_WAITING)->token, BENCH_OTHER + 1);
}

/* A failure counts for those who watched the run: from the one that is going on when they come. */
static void watched_failure_ends_the_wait(void **state)
{
    static const struct {
        const char *row;
        enum run_state last;
        uint64_t watch_from;
    } rows[] = {
        {"a run is going on", RUN_RUNNING, BENCH_OTHER},
        {"the last one failed before we came", RUN_FAILED, BENCH_OTHER + 1},
        {"the last one was interrupted", RUN_INTERRUPTED, BENCH_OTHER + 1},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        bench_begin(&b);
        bench_other_run(&b, rows[i].last);
        bench_reply(&b, OP_LOOK, OP_OK);
        CHECK(rows[i].row, !bench_find(&b, GATE_FAIL));
        bench_reply(&b, OP_LOCK, OP_BUSY);
        bench_reply(&b, OP_LISTEN, OP_OK);
        CHECK_NUMBER(rows[i].row, bench_asked(&b, OP_LOOK)->look.watch_from, rows[i].watch_from);
        b.look.failed = (struct run){.token = rows[i].watch_from, .state = RUN_FAILED, .exit_status = 42};
        bench_reply(&b, OP_LOOK, OP_OK);
        CHECK(rows[i].row, bench_failed(&b, GATE_RUN_FAILED, 42));
    }
}

static void check_mode_is_one_look(void **state)
{
    static const struct {
        const char *row;
        enum op_result result;
        enum run_state last;
        enum gate_reason reason;
        int status;
    } rows[] = {
        {"pending", OP_OK, RUN_NONE, GATE_PENDING, 1},
        {"pending, somebody migrates", OP_OK, RUN_RUNNING, GATE_PENDING, 1},
        {"pending, failed before", OP_OK, RUN_FAILED, GATE_PENDING, 1},
        {"unreachable", OP_UNAVAILABLE, RUN_NONE, GATE_UNREACHABLE, 0},
        {"crowded", OP_CROWDED, RUN_NONE, GATE_UNREACHABLE, 0},
        {"refused", OP_REFUSED, RUN_NONE, GATE_REFUSED, 0},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        b.config.mode = GATE_MODE_CHECK;
        bench_begin(&b);
        bench_other_run(&b, rows[i].last);
        b.look.not_before_ms = 4000;
        bench_reply(&b, OP_LOOK, rows[i].result);
        CHECK(rows[i].row, bench_failed(&b, rows[i].reason, rows[i].status));
        CHECK(rows[i].row, !bench_find(&b, GATE_ASK));
    }
}

static void wait_mode_never_asks_for_the_lock(void **state)
{
    static const enum run_state lasts[] = {RUN_NONE, RUN_RUNNING, RUN_FAILED, RUN_INTERRUPTED, RUN_LOST};
    (void)state;
    struct bench b = bench_new();
    b.config.mode = GATE_MODE_WAIT;
    bench_begin(&b);
    for (int i = 0; i < 200; i++) {
        bench_other_run(&b, lasts[i % 5]);
        b.look.not_before_ms = i % 3 ? 0 : 2000;
        assert_null(bench_asked(&b, OP_LOCK));
        if (bench_asked(&b, OP_LISTEN))
            bench_reply(&b, OP_LISTEN, i % 2 ? OP_OK : OP_BUSY);
        else if (bench_asked(&b, OP_LOOK))
            bench_reply(&b, OP_LOOK, i % 7 ? OP_OK : OP_UNAVAILABLE);
        else
            bench_wake(&b);
        assert_null(bench_find(&b, GATE_FAIL));
    }
}

/* Rule 4 and --max-attempts. */
static void rule_4_too_many_attempts(void **state)
{
    static const struct {
        const char *row;
        int limit, failures;
        enum run_state last;
        bool ends;
    } rows[] = {
        {"no limit", 0, 99, RUN_FAILED, false},
        {"below the limit", 3, 2, RUN_FAILED, false},
        {"at the limit", 3, 3, RUN_FAILED, true},
        {"over the limit", 3, 4, RUN_LOST, true},
        {"at the limit, but the last one is still going on", 3, 3, RUN_RUNNING, false},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        b.config.max_attempts = rows[i].limit;
        bench_begin(&b);
        bench_other_run(&b, rows[i].last);
        b.look.failures = rows[i].failures;
        b.look.last_failure_status = 17;
        bench_reply(&b, OP_LOOK, OP_OK);
        CHECK_NUMBER(rows[i].row, bench_failed(&b, GATE_EXHAUSTED, 17), rows[i].ends);
        CHECK_NUMBER(rows[i].row, bench_asked(&b, OP_LOCK) != NULL, !rows[i].ends);
    }
}

/* Rule 8: nobody tries before the last failure's not-before. */
static void rule_8_backoff(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_begin(&b);
    bench_other_run(&b, RUN_FAILED);
    b.look.not_before_ms = 4000;
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(b.gate.state, AT_BACK_OFF);
    const struct gate_action *said = bench_said(&b, EVENT_BACKOFF);
    assert_int_equal(said->token, BENCH_OTHER);
    assert_int_equal(said->deadline, b.now + 4000);
    assert_null(bench_find(&b, GATE_ASK));
    assert_in_range(gate_due(&b.gate), b.now + 4000, b.now + 4500);
    bench_wake(&b);
    assert_non_null(bench_asked(&b, OP_LOOK));
}

static void long_backoff_is_looked_at_in_between(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_begin(&b);
    b.look.not_before_ms = 300000;
    bench_reply(&b, OP_LOOK, OP_OK);
    bench_wake(&b);
    while (b.gate.state == AT_BACK_OFF)
        bench_wake(&b);
    assert_true(b.now <= BENCH_BEGAN + 15000);
    assert_non_null(bench_asked(&b, OP_LOOK));
}

static void waking_ends_the_backoff(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_BACK_OFF);
    bench_event(&b, GATE_WOKEN);
    assert_non_null(bench_asked(&b, OP_LOOK));
}

int unit_gate_wait(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_look_asks_nothing_else),
        cmocka_unit_test(rule_1_version_in_the_set_passes),
        cmocka_unit_test(rule_2_looks_before_and_under_the_lock),
        cmocka_unit_test(rule_5_busy_means_subscribe_read_wait),
        cmocka_unit_test(waking_while_the_look_is_under_way_is_not_forgotten),
        cmocka_unit_test(listener_who_finds_nobody_tries_the_lock),
        cmocka_unit_test(listeners_poll_as_well_every_2_s_or_so),
        cmocka_unit_test(who_cannot_listen_polls_without_a_connection_ever_more_rarely),
        cmocka_unit_test(closed_listening_connection_means_another_look),
        cmocka_unit_test(waiting_is_said_once_a_holder),
        cmocka_unit_test(watched_failure_ends_the_wait),
        cmocka_unit_test(check_mode_is_one_look),
        cmocka_unit_test(wait_mode_never_asks_for_the_lock),
        cmocka_unit_test(rule_4_too_many_attempts),
        cmocka_unit_test(rule_8_backoff),
        cmocka_unit_test(long_backoff_is_looked_at_in_between),
        cmocka_unit_test(waking_ends_the_backoff),
    };
    return UNIT_RUN("gate: before the lock", tests);
}
