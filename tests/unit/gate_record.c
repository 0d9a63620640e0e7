/* The gate after the command: recording its end, and what follows if that is lost (DESIGN section 2, rule 7). */
#include "gate_kit.h"
#include "unit.h"

#include <signal.h>

static void ends_are_recorded_as_what_they_were(void **state)
{
    static const struct {
        const char *row;
        int status;
        enum run_state recorded;
    } rows[] = {
        {"exit 0", 0, RUN_SUCCEEDED},
        {"exit 1", 1, RUN_FAILED},
        {"exit 255", 255, RUN_FAILED},
        {"killed", 137, RUN_FAILED},
        {"terminated by somebody else", 143, RUN_FAILED},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        bench_reach(&b, AT_MIGRATE);
        bench_ended(&b, rows[i].status);
        CHECK(rows[i].row, !gate_command_alive(&b.gate));
        CHECK_NUMBER(rows[i].row, bench_asked(&b, OP_END)->token, 1);
        CHECK_NUMBER(rows[i].row, bench_asked(&b, OP_END)->state, rows[i].recorded);
        CHECK_NUMBER(rows[i].row, bench_asked(&b, OP_END)->status, rows[i].status);
        CHECK(rows[i].row, !bench_find(&b, GATE_PASS));
        bench_reply(&b, OP_END, OP_OK);
        CHECK(rows[i].row, !bench_asked(&b, OP_RELEASE)); /* recorded and released are one fact */
        CHECK_NUMBER(rows[i].row, bench_find(&b, GATE_PASS) != NULL, rows[i].status == 0);
        CHECK_NUMBER(rows[i].row, bench_said(&b, EVENT_MIGRATED) != NULL, rows[i].status == 0);
        CHECK_NUMBER(rows[i].row, bench_failed(&b, GATE_RUN_FAILED, rows[i].status), rows[i].status != 0);
    }
}

/* What a signal or --migrate-timeout ended was --after: the version is applied. */
static void a_migration_that_was_done_is_recorded_whatever_ended_the_rest(void **state)
{
    static const struct {
        const char *row;
        int signal; /* 0 = --migrate-timeout */
    } rows[] = {{"SIGTERM", SIGTERM}, {"--migrate-timeout", 0}};
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        b.config.migrate_timeout = 1000;
        bench_reach(&b, AT_MIGRATE);
        if (rows[i].signal)
            bench_signal(&b, rows[i].signal);
        else
            bench_pass(&b, 1000);
        CHECK(rows[i].row, bench_find(&b, GATE_STOP));
        bench_migrated(&b);
        CHECK_NUMBER(rows[i].row, bench_asked(&b, OP_END)->state, RUN_SUCCEEDED);
        bench_reply(&b, OP_END, OP_OK);
        if (rows[i].signal)
            CHECK(rows[i].row, bench_failed(&b, GATE_STOPPED, 128 + rows[i].signal));
        else
            CHECK(rows[i].row, bench_find(&b, GATE_PASS));
    }
}

static void end_waits_for_the_heartbeat_under_way(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_MIGRATE);
    bench_wake(&b);
    assert_non_null(bench_asked(&b, OP_BEAT));
    bench_ended(&b, 0);
    assert_null(bench_find(&b, GATE_ASK));
    bench_reply(&b, OP_BEAT, OP_OK);
    assert_int_equal(bench_asked(&b, OP_END)->state, RUN_SUCCEEDED);
}

/* Rule 7: the reply to the final commit is lost: read the run by its token, and only then decide. */
static void rule_7_lost_commit_reply_is_looked_up_by_our_token(void **state)
{
    static const struct {
        const char *row;
        int status;           /* of the command */
        enum run_state found; /* what the look by our token finds */
        bool applied, passes, fails, contends;
    } rows[] = {
        {"the success arrived", 0, RUN_SUCCEEDED, true, true, false, false},
        {"the success did not arrive", 0, RUN_RUNNING, false, false, false, true},
        {"applied by an older run, ours is unrecorded", 0, RUN_RUNNING, true, false, false, true},
        {"marked lost, the version is not there", 0, RUN_LOST, false, false, false, true},
        {"marked lost, the version is there", 0, RUN_LOST, true, true, false, false},
        {"the record is gone", 0, RUN_NONE, false, false, false, true},
        {"the failure arrived", 3, RUN_FAILED, false, false, true, false},
        {"the failure did not arrive", 3, RUN_RUNNING, false, false, false, true},
        {"failed and marked lost", 3, RUN_LOST, false, false, true, false},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        bench_reach(&b, AT_MIGRATE);
        bench_ended(&b, rows[i].status);
        bench_reply(&b, OP_END, i % 2 ? OP_UNAVAILABLE : OP_LOST);
        CHECK(rows[i].row, bench_find(&b, GATE_RESET));
        CHECK_NUMBER(rows[i].row, bench_asked(&b, OP_LOOK)->look.own, 1);
        CHECK(rows[i].row, !bench_find(&b, GATE_PASS) && !bench_find(&b, GATE_FAIL));
        bench_own_run(&b, 1, rows[i].found);
        b.look.applied = rows[i].applied;
        bench_reply(&b, OP_LOOK, OP_OK);
        CHECK_NUMBER(rows[i].row, bench_find(&b, GATE_PASS) != NULL, rows[i].passes);
        CHECK_NUMBER(rows[i].row, bench_failed(&b, GATE_RUN_FAILED, rows[i].status), rows[i].fails);
        CHECK_NUMBER(rows[i].row, bench_asked(&b, OP_LOCK) != NULL, rows[i].contends);
    }
}

static void rule_7_silence_after_the_commit_is_a_lost_reply(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_RECORD);
    bench_wake(&b);
    assert_int_equal(b.now, BENCH_BEGAN + 10000);
    assert_non_null(bench_find(&b, GATE_RESET));
    assert_int_equal(bench_asked(&b, OP_LOOK)->look.own, 1);
}

/* Leads to the look under a new lock, our success still unrecorded. */
static void reach_new_lock(struct bench *b, int status)
{
    bench_reach(b, AT_MIGRATE);
    bench_ended(b, status);
    bench_reply(b, OP_END, OP_UNAVAILABLE);
    bench_own_run(b, 1, RUN_RUNNING);
    bench_reply(b, OP_LOOK, OP_OK);
    assert_non_null(bench_asked(b, OP_LOCK));
    bench_reply(b, OP_LOCK, OP_OK);
    assert_int_equal(bench_asked(b, OP_LOOK)->look.own, 1);
}

static void rule_7_unrecorded_success_is_recorded_under_a_new_lock(void **state)
{
    (void)state;
    struct bench b = bench_new();
    reach_new_lock(&b, 0);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(bench_asked(&b, OP_END)->token, 1);
    assert_int_equal(bench_asked(&b, OP_END)->state, RUN_SUCCEEDED);
    assert_null(bench_find(&b, GATE_START));
    bench_reply(&b, OP_END, OP_OK);
    assert_non_null(bench_find(&b, GATE_PASS));
}

static void rule_7_unrecorded_failure_is_recorded_under_a_new_lock(void **state)
{
    (void)state;
    struct bench b = bench_new();
    reach_new_lock(&b, 4);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_int_equal(bench_asked(&b, OP_END)->state, RUN_FAILED);
    assert_int_equal(bench_asked(&b, OP_END)->status, 4);
    bench_reply(&b, OP_END, OP_OK);
    assert_true(bench_failed(&b, GATE_RUN_FAILED, 4));
}

static void rule_7_somebody_marked_since_means_just_another_look(void **state)
{
    static const struct {
        const char *row;
        enum run_state theirs, ours;
        bool applied;
        enum gate_state next;
    } rows[] = {
        {"theirs failed, ours is lost", RUN_FAILED, RUN_LOST, false, AT_MARK},
        {"theirs never ended", RUN_RUNNING, RUN_LOST, false, AT_QUARANTINE},
        {"theirs brought the version", RUN_SUCCEEDED, RUN_LOST, true, AT_LEAVE},
        {"ours was left as running", RUN_INTERRUPTED, RUN_RUNNING, false, AT_MARK},
        {"both are running", RUN_RUNNING, RUN_RUNNING, false, AT_QUARANTINE},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        reach_new_lock(&b, 0);
        bench_other_run(&b, rows[i].theirs);
        b.look.own_state = rows[i].ours;
        b.look.applied = rows[i].applied;
        bench_reply(&b, OP_LOOK, OP_OK);
        CHECK(rows[i].row, !bench_asked(&b, OP_END));
        CHECK_NUMBER(rows[i].row, b.gate.state, rows[i].next);
    }
}

static void rule_7_waiting_for_the_new_lock_ends_when_the_record_shows_up(void **state)
{
    (void)state;
    struct bench b = bench_new();
    bench_reach(&b, AT_RECORD);
    bench_reply(&b, OP_END, OP_UNAVAILABLE);
    bench_own_run(&b, 1, RUN_RUNNING);
    bench_reply(&b, OP_LOOK, OP_OK);
    bench_reply(&b, OP_LOCK, OP_BUSY); /* our own dead connection still has it */
    bench_reply(&b, OP_LISTEN, OP_OK);
    assert_int_equal(bench_asked(&b, OP_LOOK)->look.own, 1);
    bench_own_run(&b, 1, RUN_SUCCEEDED);
    bench_reply(&b, OP_LOOK, OP_OK);
    assert_non_null(bench_find(&b, GATE_PASS));
}

static void success_that_cannot_be_written_down_ends_so(void **state)
{
    static const struct {
        const char *row;
        int status;
        enum op_result answer; /* to everything after the command's end */
        enum gate_reason reason;
    } rows[] = {
        {"succeeded, refused", 0, OP_REFUSED, GATE_UNRECORDED},
        {"succeeded, unreachable", 0, OP_UNAVAILABLE, GATE_UNRECORDED},
        {"failed, refused", 6, OP_REFUSED, GATE_RUN_FAILED},
        {"failed, unreachable", 6, OP_UNAVAILABLE, GATE_RUN_FAILED},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct bench b = bench_new();
        bench_reach(&b, AT_MIGRATE);
        bench_ended(&b, rows[i].status);
        while (!bench_find(&b, GATE_FAIL) && b.now < BENCH_BEGAN + 70000) {
            const struct gate_action *asked = bench_find(&b, GATE_ASK);
            if (asked)
                bench_reply(&b, asked->op, rows[i].answer);
            else
                bench_wake(&b);
        }
        CHECK(rows[i].row, bench_failed(&b, rows[i].reason, rows[i].status));
    }
}

int unit_gate_record(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_are_recorded_as_what_they_were),
        cmocka_unit_test(a_migration_that_was_done_is_recorded_whatever_ended_the_rest),
        cmocka_unit_test(end_waits_for_the_heartbeat_under_way),
        cmocka_unit_test(rule_7_lost_commit_reply_is_looked_up_by_our_token),
        cmocka_unit_test(rule_7_silence_after_the_commit_is_a_lost_reply),
        cmocka_unit_test(rule_7_unrecorded_success_is_recorded_under_a_new_lock),
        cmocka_unit_test(rule_7_unrecorded_failure_is_recorded_under_a_new_lock),
        cmocka_unit_test(rule_7_somebody_marked_since_means_just_another_look),
        cmocka_unit_test(rule_7_waiting_for_the_new_lock_ends_when_the_record_shows_up),
        cmocka_unit_test(success_that_cannot_be_written_down_ends_so),
    };
    return UNIT_RUN("gate: the record", tests);
}
