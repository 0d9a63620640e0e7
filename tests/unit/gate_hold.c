/* The gate with the lock and before the command: quarantine, marking, fencing, retries (DESIGN section 2). */
#include "gate_kit.h"
#include "unit.h"

static void clean_start_marks_fences_starts(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_HOLD_LOOK);
    bench_other_run(&b, RUN_SUCCEEDED);
    b.look.attempts = 4;
    bench_reply(&b, OP_LOOK, OP_OK);
    const struct gate_action *mark = bench_asked(&b, OP_MARK);
    assert_int_equal(mark->token, BENCH_OTHER + 1);
    assert_int_equal(mark->attempt, 5);
    assert_false(mark->repeat);
    assert_null(bench_find(&b, GATE_START));
    bench_reply(&b, OP_MARK, OP_OK);
    assert_int_equal(bench_asked(&b, OP_FENCE)->token, BENCH_OTHER + 1);
    assert_null(bench_find(&b, GATE_START));
    bench_reply(&b, OP_FENCE, OP_OK);
    const struct gate_action *start = bench_find(&b, GATE_START);
    assert_int_equal(start->token, BENCH_OTHER + 1);
    assert_int_equal(start->attempt, 5);
    assert_int_equal(start->state, RUN_SUCCEEDED);
    assert_int_equal(bench_said(&b, EVENT_MIGRATING)->token, BENCH_OTHER + 1);
    assert_true(gate_command_alive(&b.gate));
}

/* Rule 3: `running` without a holder is unknown, and only an ended run is clean. */
static void rule_3_which_takeovers_are_dirty(void **state)
{
    static const struct {
        const char *row;
        enum run_state last;
        bool restarted, changed, quarantine;
        enum run_state previous;
    } rows[] = {
        {"nothing recorded", RUN_NONE, false, false, false, RUN_NONE},
        {"succeeded", RUN_SUCCEEDED, false, false, false, RUN_SUCCEEDED},
        {"failed", RUN_FAILED, false, false, false, RUN_FAILED},
        {"interrupted", RUN_INTERRUPTED, false, false, false, RUN_INTERRUPTED},
        {"lost", RUN_LOST, false, false, false, RUN_LOST},
        {"running", RUN_RUNNING, false, false, true, RUN_LOST},
        {"running, of this container before its restart", RUN_RUNNING, true, false, false, RUN_LOST},
        {"the server changed", RUN_SUCCEEDED, false, true, true, RUN_SUCCEEDED},
        {"the server changed and forgot all", RUN_NONE, false, true, true, RUN_NONE},
        {"the server changed, restarted container", RUN_RUNNING, true, true, true, RUN_LOST},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        bench_reach(&b, AT_HOLD_LOOK);
        if (rows[i].last != RUN_NONE)
            bench_other_run(&b, rows[i].last);
        b.look.last_is_restarted = rows[i].restarted;
        b.look.server_changed = rows[i].changed;
        bench_reply(&b, OP_LOOK, OP_OK);
        CHECK_NUMBER(rows[i].row, b.gate.state == AT_QUARANTINE, rows[i].quarantine);
        if (rows[i].quarantine) {
            bench_pass(&b, 60000);
            CHECK(rows[i].row, bench_asked(&b, OP_LOOK));
            CHECK_NUMBER(rows[i].row, b.now, BENCH_BEGAN + b.config.times.quarantine);
            bench_reply(&b, OP_LOOK, OP_OK);
        }
        CHECK(rows[i].row, bench_asked(&b, OP_MARK));
        CHECK_NUMBER(rows[i].row, bench_said(&b, EVENT_TAKEOVER) != NULL, rows[i].last == RUN_RUNNING);
        bench_reply(&b, OP_MARK, OP_OK);
        bench_reply(&b, OP_FENCE, OP_OK);
        CHECK_NUMBER(rows[i].row, bench_find(&b, GATE_START)->state, rows[i].previous);
    }
}

static void rule_3_quarantine_is_said_with_its_end_and_beats(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_QUARANTINE);
    const struct gate_action *said = bench_said(&b, EVENT_QUARANTINE);
    assert_int_equal(said->token, BENCH_OTHER);
    assert_int_equal(said->deadline, b.now + b.config.times.quarantine);
    assert_int_equal(gate_due(&b.gate), b.now + b.config.times.heartbeat);
    bench_wake(&b);
    assert_non_null(bench_asked(&b, OP_BEAT));
}

static void rule_3_dirt_is_sticky_over_a_winner_that_dies_in_quarantine(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_QUARANTINE);
    bench_event(&b, GATE_DISCONNECTED); /* our lock goes away in the middle of it */
    assert_non_null(bench_said(&b, EVENT_LOST));
    bench_reply(&b, OP_LOOK, OP_OK);
    bench_reply(&b, OP_LOCK, OP_OK);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(b.gate.state, AT_QUARANTINE);
    assert_int_equal(b.gate.due, b.now + b.config.times.quarantine);
}

static void rule_3_another_unended_run_is_waited_out_anew(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_QUARANTINE);
    bench_pass(&b, 60000);
    b.look.last.token++;
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(b.gate.state, AT_QUARANTINE);
}

static void rule_2_version_that_came_during_the_quarantine_passes(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_QUARANTINE);
    bench_pass(&b, 60000);
    b.look.applied = true;
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_non_null(bench_asked(&b, OP_RELEASE));
}

/* A mark whose reply was lost is ours, and nothing ran under it: no quarantine for it. */
static void own_unended_run_needs_no_quarantine(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MARK);
    bench_reply(&b, OP_MARK, OP_UNAVAILABLE);
    assert_non_null(bench_find(&b, GATE_RESET_CLERK));
    assert_null(bench_find(&b, GATE_RESET));
    bench_own_run(&b, 1, RUN_RUNNING);
    bench_pass(&b, 1000);
    assert_non_null(bench_asked(&b, OP_LOOK));
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(bench_asked(&b, OP_FENCE)->token, 1);
    assert_null(bench_said(&b, EVENT_TAKEOVER));
    bench_reply(&b, OP_FENCE, OP_OK);
    assert_int_equal(bench_find(&b, GATE_START)->token, 1);
}

/* Our own run lost its lock, and the place forgot or failed over: after the quarantine the command runs anew, under a
 * token of its own, which fences off what the first try may have left in the database. */
static void own_lost_run_is_not_gone_on_with_after_a_quarantine(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MIGRATE);
    bench_event(&b, GATE_DISCONNECTED);
    bench_ended(&b, 143);
    bench_wake(&b);
    bench_own_run(&b, 1, RUN_RUNNING);
    b.look.server_changed = true;
    bench_reply(&b, OP_LOOK, OP_OK);
    bench_reply(&b, OP_LOCK, OP_OK);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(b.gate.state, AT_QUARANTINE);
    bench_pass(&b, 60000);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(bench_asked(&b, OP_MARK)->token, 2);
}

/* Only the reply to our mark was lost, but then the place failed over, and may have lost who took over from us. */
static void own_marked_run_is_not_gone_on_with_where_something_was_forgotten(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MARK);
    bench_reply(&b, OP_MARK, OP_UNAVAILABLE);
    bench_own_run(&b, 1, RUN_RUNNING);
    b.look.server_changed = true;
    bench_pass(&b, 1000);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(b.gate.state, AT_QUARANTINE);
    bench_pass(&b, 60000);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(bench_asked(&b, OP_MARK)->token, 2);
}

/* A place that hands out the token with the lock (Redis) is taken at its word. */
static void token_is_the_fence_of_the_lock(void **state)
{
    (void)state;
    struct bench b = bench_new();
    b.look.fence = 1700000001;
    bench_reach(&b, AT_MARK);
    assert_int_equal(bench_asked(&b, OP_MARK)->token, 1700000001);
}

static void busy_mark_looks_again(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MARK);
    bench_reply(&b, OP_MARK, OP_BUSY);
    assert_non_null(bench_asked(&b, OP_BEAT)); /* is the lock ours at all? */
    assert_null(bench_asked(&b, OP_LOOK));
    bench_reply(&b, OP_BEAT, OP_OK);
    bench_wake(&b);
    assert_non_null(bench_asked(&b, OP_LOOK));
}

static void busy_fence_is_asked_again_until_the_sessions_are_gone(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_FENCE);
    for (int i = 0; i < 50; i++) {
        bench_reply(&b, OP_FENCE, OP_BUSY);
        assert_null(bench_find(&b, GATE_START));
        bench_pass(&b, 1000);
        assert_non_null(bench_asked(&b, OP_FENCE));
    }
    bench_reply(&b, OP_FENCE, OP_OK);
    assert_non_null(bench_find(&b, GATE_START));
}

/* Rule 4: attempts are counted when a run is marked, so one that got its container killed counts. */
static void rule_4_unended_run_counts_as_an_attempt(void **state)
{
    static const struct {
        const char *row;
        int failures;
        bool same_target, ends;
    } rows[] = {
        {"two failed, one was killed", 2, true, true},
        {"one failed, one was killed", 1, true, false},
        {"two failed, one of another target was killed", 2, false, false},
        {"three failed", 3, false, true},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        b.config.max_attempts = 3;
        bench_reach(&b, AT_HOLD_LOOK);
        bench_other_run(&b, RUN_RUNNING);
        b.look.last_is_same_target = rows[i].same_target;
        b.look.last_is_restarted = true;
        b.look.failures = rows[i].failures;
        b.look.last_failure_status = 9;
        bench_reply(&b, OP_LOOK, OP_OK);
        CHECK_NUMBER(rows[i].row, bench_asked(&b, OP_RELEASE) != NULL, rows[i].ends);
        if (rows[i].ends) {
            bench_reply(&b, OP_RELEASE, OP_OK);
            CHECK(rows[i].row, bench_failed(&b, GATE_EXHAUSTED, 9));
        }
    }
}

static void rule_8_failure_found_under_the_lock_backs_off_without_it(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_HOLD_LOOK);
    bench_other_run(&b, RUN_FAILED);
    b.look.not_before_ms = 2000;
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_non_null(bench_asked(&b, OP_RELEASE));
    bench_reply(&b, OP_RELEASE, OP_OK);
    assert_non_null(bench_asked(&b, OP_LOOK));
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(b.gate.state, AT_BACK_OFF);
}

static void retries_repeat_in_place_with_the_same_token(void **state)
{
    (void)state;
    struct bench b = bench_new();
    b.config.retries = 2;
    bench_reach(&b, AT_MIGRATE);
    for (int attempt = 2; attempt <= 3; attempt++) {
        bench_ended(&b, 5);
        assert_non_null(bench_said(&b, EVENT_FAILED));
        assert_null(bench_asked(&b, OP_END));
        int64_t from = b.now;
        bench_pass(&b, 60000);
        assert_int_equal(b.now - from, 5000);
        const struct gate_action *mark = bench_asked(&b, OP_MARK);
        assert_int_equal(mark->token, 1);
        assert_int_equal(mark->attempt, attempt);
        assert_true(mark->repeat);
        bench_reply(&b, OP_MARK, OP_OK);
        assert_int_equal(bench_asked(&b, OP_FENCE)->token, 2); /* also what this run's last try left running */
        bench_reply(&b, OP_FENCE, OP_OK);
        assert_int_equal(bench_find(&b, GATE_START)->token, 1);
        assert_int_equal(bench_find(&b, GATE_START)->attempt, attempt);
        assert_int_equal(bench_find(&b, GATE_START)->state, RUN_FAILED);
    }
    bench_ended(&b, 5);
    assert_int_equal(bench_asked(&b, OP_END)->state, RUN_FAILED);
    assert_int_equal(bench_asked(&b, OP_END)->status, 5);
    bench_reply(&b, OP_END, OP_OK);
    assert_true(bench_failed(&b, GATE_RUN_FAILED, 5));
}

/* The clerk's connection broke: the try that was due goes on where it was, and is not counted anew. */
static void retries_keep_the_token_when_a_reply_is_lost(void **state)
{
    static const enum op lost[] = {OP_MARK, OP_FENCE};
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(lost); i++) {
        struct bench b = bench_new();
        b.config.retries = 1;
        bench_reach(&b, AT_PAUSE);
        bench_pass(&b, 6000);
        if (lost[i] == OP_FENCE)
            bench_reply(&b, OP_MARK, OP_OK);
        bench_reply(&b, lost[i], OP_UNAVAILABLE);
        bench_own_run(&b, 1, RUN_RUNNING);
        bench_pass(&b, 1000);
        bench_reply(&b, OP_LOOK, OP_OK);
        if (bench_asked(&b, OP_MARK)) {
            assert_int_equal(bench_asked(&b, OP_MARK)->token, 1);
            bench_reply(&b, OP_MARK, OP_OK);
        }
        bench_reply(&b, OP_FENCE, OP_OK);
        assert_int_equal(bench_find(&b, GATE_START)->token, 1);
        assert_int_equal(bench_find(&b, GATE_START)->attempt, 2);
        bench_ended(&b, 5);
        assert_int_equal(bench_asked(&b, OP_END)->state, RUN_FAILED);
    }
}

static void what_would_fail_again_is_not_retried(void **state)
{
    (void)state;
    struct bench b = bench_new();
    b.config.retries = 2;
    bench_reach(&b, AT_MIGRATE);
    bench_refused(&b, 125);
    assert_int_equal(bench_asked(&b, OP_END)->state, RUN_FAILED);
    assert_int_equal(bench_asked(&b, OP_END)->status, 125);
}

static void success_of_a_retry_is_a_success(void **state)
{
    (void)state;
    struct bench b = bench_new();
    b.config.retries = 1;
    bench_reach(&b, AT_PAUSE);
    bench_pass(&b, 6000);
    bench_reply(&b, OP_MARK, OP_OK);
    bench_reply(&b, OP_FENCE, OP_OK);
    bench_ended(&b, 0);
    assert_int_equal(bench_asked(&b, OP_END)->state, RUN_SUCCEEDED);
}

/* The clerk cannot look: the lock is kept meanwhile, but not for ever; its own heartbeats prove nothing about that. */
static void clerk_that_never_answers_ends_by_connect_timeout(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_HOLD_LOOK);
    bench_reply(&b, OP_LOOK, OP_UNAVAILABLE);
    while (b.now < BENCH_BEGAN + 75000 && !bench_asked(&b, OP_RELEASE)) {
        bench_pass(&b, 1000);
        if (bench_asked(&b, OP_LOOK))
            bench_reply(&b, OP_LOOK, OP_UNAVAILABLE);
    }
    assert_non_null(bench_asked(&b, OP_RELEASE));
    bench_reply(&b, OP_RELEASE, OP_OK);
    assert_true(bench_failed(&b, GATE_UNREACHABLE, 0));
}

static void clerk_of_a_crowded_server_never_ends_by_connect_timeout(void **state)
{
    static const struct {
        const char *row;
        int64_t lease;
    } rows[] = {{"heartbeats every 2 s", 25000}, {"heartbeats every 5 min", 3600000}};
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        b.config.times = times_from_lease(rows[i].lease);
        bench_reach(&b, AT_HOLD_LOOK);
        bench_reply(&b, OP_LOOK, OP_CROWDED);
        while (b.now < BENCH_BEGAN + 180000) {
            bench_pass(&b, 1000);
            if (bench_asked(&b, OP_LOOK))
                bench_reply(&b, OP_LOOK, OP_CROWDED);
            CHECK(rows[i].row, !bench_asked(&b, OP_RELEASE) && !bench_find(&b, GATE_FAIL));
        }
    }
}

int unit_gate_hold(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_start_marks_fences_starts),
        cmocka_unit_test(rule_3_which_takeovers_are_dirty),
        cmocka_unit_test(rule_3_quarantine_is_said_with_its_end_and_beats),
        cmocka_unit_test(rule_3_dirt_is_sticky_over_a_winner_that_dies_in_quarantine),
        cmocka_unit_test(rule_3_another_unended_run_is_waited_out_anew),
        cmocka_unit_test(rule_2_version_that_came_during_the_quarantine_passes),
        cmocka_unit_test(own_unended_run_needs_no_quarantine),
        cmocka_unit_test(own_lost_run_is_not_gone_on_with_after_a_quarantine),
        cmocka_unit_test(own_marked_run_is_not_gone_on_with_where_something_was_forgotten),
        cmocka_unit_test(token_is_the_fence_of_the_lock),
        cmocka_unit_test(busy_mark_looks_again),
        cmocka_unit_test(busy_fence_is_asked_again_until_the_sessions_are_gone),
        cmocka_unit_test(rule_4_unended_run_counts_as_an_attempt),
        cmocka_unit_test(rule_8_failure_found_under_the_lock_backs_off_without_it),
        cmocka_unit_test(retries_repeat_in_place_with_the_same_token),
        cmocka_unit_test(retries_keep_the_token_when_a_reply_is_lost),
        cmocka_unit_test(what_would_fail_again_is_not_retried),
        cmocka_unit_test(success_of_a_retry_is_a_success),
        cmocka_unit_test(clerk_that_never_answers_ends_by_connect_timeout),
        cmocka_unit_test(clerk_of_a_crowded_server_never_ends_by_connect_timeout),
    };
    return UNIT_RUN("gate: under the lock", tests);
}
