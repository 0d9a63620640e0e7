/* The gate's lease while the command runs: heartbeats, the lock's loss, clock jumps, --migrate-timeout
 * (DESIGN sections 2 and 3). */
#include "gate_kit.h"
#include "unit.h"

#include <signal.h>

static void start_carries_the_lease(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MIGRATE);
    const struct gate_action *start = bench_find(&b, GATE_START);
    assert_int_equal(start->deadline, BENCH_BEGAN + b.config.times.deadline);
    assert_int_equal(start->kill_at, BENCH_BEGAN + b.config.times.deadline + b.config.times.grace);
}

static void heartbeats_come_every_H_and_extend_the_lease_from_their_sending(void **state)
{
    (void)state;
    struct bench b = bench_new();
    int64_t sent = BENCH_BEGAN;
    bench_reach(&b, AT_MIGRATE);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(gate_due(&b.gate), sent + b.config.times.heartbeat);
        bench_wake(&b);
        assert_non_null(bench_asked(&b, OP_BEAT));
        sent = b.now;
        b.now += 700; /* the round trip */
        bench_reply(&b, OP_BEAT, OP_OK);
        const struct gate_action *extend = bench_find(&b, GATE_EXTEND);
        assert_int_equal(extend->deadline, sent + b.config.times.deadline);
        assert_int_equal(extend->kill_at, sent + b.config.times.deadline + b.config.times.grace);
    }
}

static void unanswered_heartbeats_lose_the_lock_at_s_plus_D(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MIGRATE);
    bench_wake(&b);
    assert_int_equal(gate_due(&b.gate), BENCH_BEGAN + b.config.times.deadline);
    b.now = BENCH_BEGAN + b.config.times.deadline - 1;
    bench_tick(&b);
    assert_null(bench_said(&b, EVENT_LOST));
    bench_wake(&b);
    assert_int_equal(bench_said(&b, EVENT_LOST)->status, false);
    const struct gate_action *stop = bench_find(&b, GATE_STOP);
    assert_int_equal(stop->signal, SIGTERM);
    assert_int_equal(stop->deadline, BENCH_BEGAN + b.config.times.deadline + b.config.times.grace);
    assert_null(bench_find(&b, GATE_RESET)); /* the connection's end could free the lock before the command's */
    assert_true(gate_command_alive(&b.gate));
}

static void late_heartbeat_reply_after_s_plus_D_is_ignored(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MIGRATE);
    bench_wake(&b);
    b.now = BENCH_BEGAN + b.config.times.deadline; /* no tick in between: we were paused */
    bench_reply(&b, OP_BEAT, OP_OK);
    assert_non_null(bench_said(&b, EVENT_LOST));
    assert_non_null(bench_find(&b, GATE_STOP));
    assert_null(bench_find(&b, GATE_EXTEND));
    bench_reply(&b, OP_BEAT, OP_OK);
    assert_int_equal(b.out.count, 0);
}

static void certain_loss_leaves_2_s_at_most(void **state)
{
    static const struct {
        const char *row;
        int64_t lease, ago, limit; /* the kill comes at most `limit` after the news that come `ago` after s */
    } rows[] = {
        {"default lease", 25000, 100, 2000},   {"long lease", 3600000, 100, 2000},
        {"grace below 2 s", 3000, 100, 1200},  {"just before s+D", 25000, 9999, 2000},
        {"s+D+G is nearer", 3000, 1199, 1201},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        for (int disconnected = 0; disconnected < 2; disconnected++) {
            struct bench b = bench_new();
            b.config.times = times_from_lease(rows[i].lease);
            bench_reach(&b, AT_MIGRATE);
            b.now += rows[i].ago;
            bench_tick(&b);
            if (disconnected)
                bench_event(&b, GATE_DISCONNECTED);
            else {
                b.gate.asked[0] = OP_BEAT;
                bench_reply(&b, OP_BEAT, OP_LOST);
            }
            CHECK(rows[i].row, bench_said(&b, EVENT_LOST)->status);
            CHECK(rows[i].row, bench_find(&b, GATE_STOP)->deadline <= b.now + rows[i].limit);
            CHECK(rows[i].row, bench_find(&b, GATE_STOP)->deadline > b.now);
        }
    }
}

static void lock_that_is_lost_again_and_again_ends_it(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MIGRATE);
    for (int losses = 1; losses <= 5; losses++) {
        b.gate.state = AT_MIGRATE;
        b.gate.holding = true;
        b.gate.sent = b.now;
        bench_event(&b, GATE_DISCONNECTED);
        bench_ended(&b, 143);
        assert_int_equal(bench_find(&b, GATE_FAIL) != NULL, losses == 5);
    }
    assert_int_equal(bench_find(&b, GATE_FAIL)->reason, GATE_LOST_AGAIN);
}

static void lost_run_is_not_recorded_and_its_end_is_another_look(void **state)
{
    static const int statuses[] = {0, 1, 143};
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(statuses); i++) {
        struct bench b = bench_new();
        bench_reach(&b, AT_MIGRATE);
        bench_event(&b, GATE_DISCONNECTED);
        bench_ended(&b, statuses[i]);
        assert_null(bench_asked(&b, OP_END));
        assert_null(bench_find(&b, GATE_FAIL));
        assert_non_null(bench_find(&b, GATE_RESET));
        b.now = b.gate.due; /* a pause that grows with every loss */
        bench_tick(&b);
        assert_int_equal(bench_asked(&b, OP_LOOK)->look.own, 0);
        bench_own_run(&b, 1, RUN_RUNNING); /* its own run needs no quarantine */
        bench_reply(&b, OP_LOOK, OP_OK);
        bench_reply(&b, OP_LOCK, OP_OK);
        bench_reply(&b, OP_LOOK, OP_OK);
        assert_int_equal(bench_asked(&b, OP_MARK)->token, 2);
    }
}

static void lost_lock_before_the_command_is_another_look(void **state)
{
    static const struct {
        const char *row;
        enum gate_state state;
    } rows[] = {{"hold look", AT_HOLD_LOOK},
                {"hold again", AT_HOLD_AGAIN},
                {"quarantine", AT_QUARANTINE},
                {"mark", AT_MARK},
                {"fence", AT_FENCE}};
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        bench_reach(&b, rows[i].state);
        b.now += b.config.times.deadline;
        bench_tick(&b);
        CHECK(rows[i].row, bench_said(&b, EVENT_LOST));
        CHECK(rows[i].row, bench_find(&b, GATE_RESET));
        CHECK(rows[i].row, bench_asked(&b, OP_LOOK));
        bench_reply(&b, OP_FENCE, OP_OK); /* of before the reset */
        CHECK(rows[i].row, !bench_find(&b, GATE_START));
    }
}

static void lock_lost_between_two_tries_counts_the_failure(void **state)
{
    (void)state;
    struct bench b = bench_new();
    b.config.retries = 3;
    bench_reach(&b, AT_PAUSE);
    bench_event(&b, GATE_DISCONNECTED);
    assert_int_equal(bench_asked(&b, OP_LOOK)->look.own, 1);
    bench_own_run(&b, 1, RUN_RUNNING);
    bench_reply(&b, OP_LOOK, OP_OK);
    bench_reply(&b, OP_LOCK, OP_OK);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(bench_asked(&b, OP_END)->state, RUN_FAILED);
}

/* DESIGN section 5: after a pause the lock is verified before anything goes on. */
static void clock_jump_freezes_verifies_thaws(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MIGRATE);
    b.now += 5000;
    bench_event(&b, GATE_CLOCK_JUMPED);
    assert_non_null(bench_find(&b, GATE_FREEZE));
    assert_non_null(bench_asked(&b, OP_BEAT));
    b.now += 10;
    bench_reply(&b, OP_BEAT, OP_OK);
    assert_non_null(bench_find(&b, GATE_THAW));
}

static void clock_jump_is_not_excused_by_a_heartbeat_of_before(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MIGRATE);
    bench_wake(&b);
    b.now += 1500;
    bench_event(&b, GATE_CLOCK_JUMPED);
    assert_non_null(bench_find(&b, GATE_FREEZE));
    bench_reply(&b, OP_BEAT, OP_OK);
    assert_null(bench_find(&b, GATE_THAW));
    assert_non_null(bench_asked(&b, OP_BEAT));
    bench_reply(&b, OP_BEAT, OP_OK);
    assert_non_null(bench_find(&b, GATE_THAW));
}

static void clock_jump_over_the_lease_stops_instead(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MIGRATE);
    b.now += b.config.times.deadline + 1;
    bench_event(&b, GATE_CLOCK_JUMPED);
    assert_non_null(bench_find(&b, GATE_STOP));
    assert_null(bench_find(&b, GATE_FREEZE));
}

static void migrate_timeout_stops_and_records_124(void **state)
{
    (void)state;
    struct bench b = bench_new();
    b.config.migrate_timeout = 30000;
    b.config.retries = 5;
    bench_reach(&b, AT_MIGRATE);
    bench_pass(&b, 60000);
    assert_int_equal(b.now, BENCH_BEGAN + 30000);
    assert_int_equal(bench_find(&b, GATE_STOP)->signal, SIGTERM);
    assert_int_equal(bench_find(&b, GATE_STOP)->deadline, b.now + 8000);
    bench_pass(&b, 4000); /* the lock is kept meanwhile */
    assert_int_equal(b.gate.state, AT_MIGRATE);
    assert_true(b.gate.holding);
    bench_ended(&b, 143);
    assert_int_equal(bench_asked(&b, OP_END)->state, RUN_FAILED);
    assert_int_equal(bench_asked(&b, OP_END)->status, GATE_STATUS_TIMEOUT);
    bench_reply(&b, OP_END, OP_OK);
    assert_true(bench_failed(&b, GATE_RUN_FAILED, GATE_STATUS_TIMEOUT));
}

int unit_gate_lease(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_carries_the_lease),
        cmocka_unit_test(heartbeats_come_every_H_and_extend_the_lease_from_their_sending),
        cmocka_unit_test(unanswered_heartbeats_lose_the_lock_at_s_plus_D),
        cmocka_unit_test(late_heartbeat_reply_after_s_plus_D_is_ignored),
        cmocka_unit_test(certain_loss_leaves_2_s_at_most),
        cmocka_unit_test(lock_that_is_lost_again_and_again_ends_it),
        cmocka_unit_test(lost_run_is_not_recorded_and_its_end_is_another_look),
        cmocka_unit_test(lost_lock_before_the_command_is_another_look),
        cmocka_unit_test(lock_lost_between_two_tries_counts_the_failure),
        cmocka_unit_test(clock_jump_freezes_verifies_thaws),
        cmocka_unit_test(clock_jump_is_not_excused_by_a_heartbeat_of_before),
        cmocka_unit_test(clock_jump_over_the_lease_stops_instead),
        cmocka_unit_test(migrate_timeout_stops_and_records_124),
    };
    return UNIT_RUN("gate: the lease", tests);
}
