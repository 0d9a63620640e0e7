/* The file meeting place: ends of runs, backoff, and what a look says of them. */
#include "clock.h"
#include "file_state_kit.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static const struct look_ask nothing = {.own = 0};

static void only_the_last_running_run_can_be_ended(void **state)
{
    static const struct {
        const char *row;
        uint64_t token;
        int done;
    } rows[] = {
        {"no such run", 9, 0}, {"an ended one", 1, 0}, {"one marked lost", 2, 0}, {"ours", 3, 1}, {"token 0", 0, 0}};
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        cJSON *gate = kit_gate();
        kit_run(gate, "v0", 1, RUN_FAILED, 1);
        kit_mark(gate, "v1", 2, 1, false);
        kit_mark(gate, "v1", 3, 2, false);
        CHECK_NUMBER(rows[i].row, kit_end(gate, rows[i].token, RUN_SUCCEEDED, 0, ""), rows[i].done);
        CHECK_NUMBER(rows[i].row, kit_look(gate, &nothing).applied, rows[i].done);
        if (rows[i].done)
            CHECK_NUMBER(rows[i].row, kit_end(gate, rows[i].token, RUN_SUCCEEDED, 0, ""), 0);
        cJSON_Delete(gate);
    }
}

static void what_a_look_says_of_an_end(void **state)
{
    static const struct {
        const char *row;
        enum run_state ended;
        int status;
        bool applied;
        int failures;
    } rows[] = {
        {"succeeded", RUN_SUCCEEDED, 0, true, 0},
        {"failed", RUN_FAILED, 7, false, 1},
        {"interrupted", RUN_INTERRUPTED, 143, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        cJSON *gate = kit_gate();
        kit_run(gate, "v1", 4, rows[i].ended, rows[i].status);
        struct look look = kit_look(gate, &(struct look_ask){.own = 1});
        CHECK_NUMBER(rows[i].row, look.own_state, rows[i].ended);
        CHECK_NUMBER(rows[i].row, look.last.state, rows[i].ended);
        CHECK_NUMBER(rows[i].row, look.last.exit_status, rows[i].status);
        CHECK_TEXT(rows[i].row, look.last.last_line, "last");
        CHECK_TEXT(rows[i].row, look.last.target, "v1");
        CHECK_TEXT(rows[i].row, look.last.host, "here");
        CHECK_NUMBER(rows[i].row, look.applied, rows[i].applied);
        CHECK_NUMBER(rows[i].row, look.failures, rows[i].failures);
        CHECK_NUMBER(rows[i].row, look.attempts, rows[i].applied ? 0 : 4); /* a success begins the count anew */
        CHECK_NUMBER(rows[i].row, look.last_failure_status, rows[i].failures ? rows[i].status : -1);
        CHECK_TEXT(rows[i].row, look.tail, rows[i].failures ? "some\noutput\n" : "");
        CHECK_NUMBER(rows[i].row, look.tail_length, strlen(look.tail));
        CHECK_NUMBER(rows[i].row, look.not_before_ms > 0, rows[i].failures > 0);
        cJSON_Delete(gate);
    }
}

/* Rule 1: the version is there when it is in the set. */
static void rule_1_set_of_versions(void **state)
{
    static const struct {
        const char *row, *first, *second;
        bool applied, ahead;
    } rows[] = {
        {"ours is the newest", "v0", "v1", true, false}, {"a newer one came", "v1", "v2", true, true},
        {"another one", "v0", "v2", false, false},       {"ours twice", "v1", "v1", true, false},
        {"nearly ours", "v1.0", "V1", false, false},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        cJSON *gate = kit_gate();
        kit_run(gate, rows[i].first, 1, RUN_SUCCEEDED, 0);
        kit_run(gate, rows[i].second, 1, RUN_SUCCEEDED, 0);
        struct look look = kit_look(gate, &nothing);
        CHECK_NUMBER(rows[i].row, look.applied, rows[i].applied);
        CHECK_NUMBER(rows[i].row, look.ahead, rows[i].ahead);
        cJSON_Delete(gate);
    }
}

/* Rule 8: now + min(1 s * 2^failures, 5 min), the failure just recorded counted. */
static void rule_8_not_before(void **state)
{
    static const int64_t seconds[] = {2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300};
    (void)state;
    cJSON *gate = kit_gate();
    for (size_t i = 0; i < UNIT_COUNT(seconds); i++) {
        kit_run(gate, "v1", (int)i + 1, RUN_FAILED, 1);
        struct look look = kit_look(gate, &nothing);
        assert_int_equal(look.failures, i + 1);
        assert_in_range(look.not_before_ms, seconds[i] * 1000 - 900, seconds[i] * 1000);
    }
    kit_run(gate, "v2", 1, RUN_FAILED, 1); /* another target's failures are its own */
    kit_config.target = "v2";
    assert_int_equal(kit_look(gate, &nothing).failures, 1);
    assert_in_range(kit_look(gate, &nothing).not_before_ms, 1100, 2000);
    cJSON_Delete(gate);
}

static void rule_8_lost_runs_count_as_failures(void **state)
{
    (void)state;
    cJSON *gate = kit_gate();
    kit_mark(gate, "v1", 1, 1, false);
    kit_mark(gate, "v1", 2, 2, false);
    kit_end(gate, 2, RUN_FAILED, 1, "");
    struct look look = kit_look(gate, &nothing);
    assert_int_equal(look.failures, 2);
    assert_in_range(look.not_before_ms, 3100, 4000);
    cJSON_Delete(gate);
}

/* Rule 8: the backoff is bounded by 5 min, also when the wall clock was set back meanwhile. */
static void rule_8_backoff_is_bounded_whatever_the_clock_does(void **state)
{
    (void)state;
    cJSON *gate = kit_gate();
    kit_run(gate, "v1", 1, RUN_FAILED, 1);
    kit_set(gate, 1, "not_before", (double)(clock_wall_ms() - 1000));
    assert_true(kit_look(gate, &nothing).not_before_ms <= 0);
    kit_set(gate, 1, "not_before", (double)(clock_wall_ms() + 86400000));
    assert_true(kit_look(gate, &nothing).not_before_ms <= 300000);
    cJSON_Delete(gate);
}

static void watched_failures(void **state)
{
    static const struct {
        const char *row;
        uint64_t watch_from, found;
    } rows[] = {
        {"none yet", 0, 0}, {"from the first", 1, 3}, {"from the last failure", 3, 3}, {"from behind it", 4, 0}};
    (void)state;
    cJSON *gate = kit_gate();
    kit_run(gate, "v1", 1, RUN_FAILED, 11);
    kit_run(gate, "v1", 2, RUN_INTERRUPTED, 143);
    kit_run(gate, "v1", 3, RUN_FAILED, 13);
    kit_run(gate, "v2", 1, RUN_FAILED, 14);
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct look look = kit_look(gate, &(struct look_ask){.watch_from = rows[i].watch_from});
        CHECK_NUMBER(rows[i].row, look.failed.token, rows[i].found);
        CHECK(rows[i].row, !rows[i].found || (look.failed.exit_status == 13 && look.failed.state == RUN_FAILED));
    }
    cJSON_Delete(gate);
}

/* Whose was the last run? DESIGN section 3: this very container before its restart, provably. */
static void whose_run_it_was(void **state)
{
    static const struct {
        const char *row, *nonce, *container, *root;
        int64_t marker; /* pid of who marked it */
        bool pid1, mine, restarted;
    } rows[] = {
        {"this container, restarted", "f", "c1", "r1", 1, true, false, true},
        {"another container", "f", "c2", "r1", 1, true, false, false},
        {"another root filesystem", "f", "c1", "r2", 1, true, false, false},
        {"unknown root filesystem", "f", "c1", "", 1, true, false, false},
        {"no container", "f", "", "r1", 1, true, false, false},
        {"we are not PID 1", "f", "c1", "r1", 1, false, false, false},
        {"it was not PID 1", "f", "c1", "r1", 77, true, false, false},
        {"the same process", "0123456789abcdef0123456789abcdef", "c1", "r1", 77, false, true, false},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        cJSON *gate = kit_gate();
        kit_mark(gate, "v1", 1, 1, false);
        kit_set(gate, 1, "pid", (double)rows[i].marker);
        strcpy(kit_holder.nonce, rows[i].nonce);
        strcpy(kit_holder.container, rows[i].container);
        strcpy(kit_holder.root, rows[i].root);
        kit_holder.pid1 = rows[i].pid1;
        struct look look = kit_look(gate, &nothing);
        CHECK_NUMBER(rows[i].row, look.last_is_mine, rows[i].mine);
        CHECK_NUMBER(rows[i].row, look.last_is_restarted, rows[i].restarted);
        cJSON_Delete(gate);
    }
}

static void output_is_made_utf8_line_by_line(void **state)
{
    (void)state;
    cJSON *gate = kit_gate();
    kit_mark(gate, "v1", 1, 1, false);
    kit_end(gate, 1, RUN_FAILED, 1, "gr\xfc\xdf\n\nna\xc3\xafve\x1b[0m\nno end");
    assert_string_equal(kit_look(gate, &nothing).tail, "gr??\n\nna\xc3\xafve?[0m\nno end");
    cJSON_Delete(gate);
}

static void progress_is_the_last_line(void **state)
{
    (void)state;
    cJSON *gate = kit_gate();
    kit_mark(gate, "v1", 1, 1, false);
    file_state_progress(gate, 1, "half way");
    file_state_progress(gate, 5, "of nobody");
    assert_string_equal(kit_look(gate, &nothing).last.last_line, "half way");
    cJSON_Delete(gate);
}

int unit_file_state_end(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_last_running_run_can_be_ended),
        cmocka_unit_test(what_a_look_says_of_an_end),
        cmocka_unit_test(rule_1_set_of_versions),
        cmocka_unit_test(rule_8_not_before),
        cmocka_unit_test(rule_8_lost_runs_count_as_failures),
        cmocka_unit_test(rule_8_backoff_is_bounded_whatever_the_clock_does),
        cmocka_unit_test(watched_failures),
        cmocka_unit_test(whose_run_it_was),
        cmocka_unit_test(output_is_made_utf8_line_by_line),
        cmocka_unit_test(progress_is_the_last_line),
    };
    return UNIT_RUN("file state: ends", tests);
}
