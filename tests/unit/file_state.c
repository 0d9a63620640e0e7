#include "file_state.h"

#include "file_state_kit.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void missing_file_is_an_empty_gate(void **state)
{
    struct err err;
    (void)state;
    cJSON *gate = file_state_read("gate.json", &err);
    assert_non_null(gate);
    struct look look = kit_look(gate, &(struct look_ask){.own = 0});
    assert_false(look.applied || look.ahead || look.last_is_mine || look.last_is_restarted || look.server_changed);
    assert_int_equal(look.last.token, 0);
    assert_int_equal(look.last.state, RUN_NONE);
    assert_int_equal(look.own_state, RUN_NONE);
    assert_int_equal(look.failures + look.attempts, 0);
    assert_int_equal(look.last_failure_status, -1);
    assert_string_equal(look.tail, "");
    cJSON_Delete(gate);
}

static void corrupt_files_are_refused(void **state)
{
    static const struct {
        const char *row, *content;
    } rows[] = {
        {"empty", ""},
        {"no JSON", "hello"},
        {"cut", "{\"token\":1,\"applied\":[],\"runs\":["},
        {"an array", "[]"},
        {"a string", "\"x\""},
        {"an empty object", "{}"},
        {"no token", "{\"applied\":[],\"runs\":[]}"},
        {"no applied", "{\"token\":1,\"runs\":[]}"},
        {"no runs", "{\"token\":1,\"applied\":[]}"},
        {"token is a text", "{\"token\":\"1\",\"applied\":[],\"runs\":[]}"},
        {"token is negative", "{\"token\":-1,\"applied\":[],\"runs\":[]}"},
        {"applied is an object", "{\"token\":1,\"applied\":{},\"runs\":[]}"},
        {"runs is null", "{\"token\":1,\"applied\":[],\"runs\":null}"},
        {"something behind it", "{\"token\":1,\"applied\":[],\"runs\":[]}{\"token\":2"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct err err = {.code = ERR_NONE};
        unit_file("gate.json", rows[i].content, 0644);
        cJSON *gate = file_state_read("gate.json", &err);
        CHECK(rows[i].row, !gate);
        CHECK_NUMBER(rows[i].row, err.code, ERR_REFUSED);
        CHECK(rows[i].row, strstr(err.text, "gate.json"));
    }
    struct err err = {.code = ERR_NONE};
    assert_int_equal(mkdir("directory.json", 0755), 0);
    assert_null(file_state_read("directory.json", &err));
    assert_int_equal(err.code, ERR_REFUSED);
}

static void written_state_is_read_again(void **state)
{
    struct err err;
    (void)state;
    cJSON *gate = kit_gate();
    kit_run(gate, "v1", 1, RUN_SUCCEEDED, 0);
    assert_int_equal(file_state_write("gate.json", gate, &err), 0);
    cJSON *again = file_state_read("gate.json", &err);
    assert_true(cJSON_Compare(gate, again, true));
    assert_int_equal(access("gate.json.new", F_OK), -1);
    cJSON_Delete(again);
    cJSON_Delete(gate);
}

static void check_old_file(const char *row)
{
    struct err err;
    cJSON *gate = file_state_read("gate.json", &err);
    CHECK(row, gate);
    struct look look = kit_look(gate, &(struct look_ask){.own = 0});
    cJSON_Delete(gate);
    CHECK_NUMBER(row, look.last.token, 1);
    CHECK(row, look.applied);
}

static int write_over_the_limit(const cJSON *gate, struct err *err)
{
    struct rlimit former, small;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &former);
    small = (struct rlimit){.rlim_cur = 100, .rlim_max = former.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small); /* the disk is full in the middle of it */
    int result = file_state_write("gate.json", gate, err);
    setrlimit(RLIMIT_FSIZE, &former);
    signal(SIGXFSZ, handler);
    return result;
}

static void failing_write_keeps_the_old_file(void **state)
{
    struct err err = {.code = ERR_NONE};
    (void)state;
    cJSON *gate = kit_gate();
    kit_run(gate, "v1", 1, RUN_SUCCEEDED, 0);
    assert_int_equal(file_state_write("gate.json", gate, &err), 0);
    kit_run(gate, "v2", 1, RUN_FAILED, 1);

    assert_int_equal(write_over_the_limit(gate, &err), -1);
    assert_int_equal(err.code, ERR_REFUSED);
    check_old_file("no space");

    unlink("gate.json.new");
    assert_int_equal(mkdir("gate.json.new", 0755), 0);
    assert_int_equal(file_state_write("gate.json", gate, &err), -1);
    check_old_file("no temporary file");
    assert_int_equal(file_state_write("nowhere/gate.json", gate, &err), -1);
    assert_non_null(strstr(err.text, "nowhere/gate.json"));
    cJSON_Delete(gate);
}

/* A reader never sees half a file: the new one has another inode. */
static void write_replaces_the_file_as_a_whole(void **state)
{
    struct err err;
    struct stat opened;
    (void)state;
    cJSON *gate = kit_gate();
    assert_int_equal(file_state_write("gate.json", gate, &err), 0);
    FILE *reader = fopen("gate.json", "re");
    kit_run(gate, "v1", 1, RUN_SUCCEEDED, 0);
    assert_int_equal(file_state_write("gate.json", gate, &err), 0);
    assert_int_equal(fstat(fileno(reader), &opened), 0);
    assert_int_equal(opened.st_nlink, 0);
    fclose(reader);
    cJSON_Delete(gate);
}

static void marking_is_compare_and_set(void **state)
{
    static const struct {
        const char *row;
        uint64_t token;
        int done;
    } rows[] = {{"an old token", 1, 0}, {"the present one", 2, 0}, {"the next one", 3, 1}, {"one too many", 4, 0}};
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        cJSON *gate = kit_gate();
        kit_run(gate, "v0", 1, RUN_SUCCEEDED, 0);
        kit_run(gate, "v0", 1, RUN_SUCCEEDED, 0);
        CHECK_NUMBER(rows[i].row, kit_mark(gate, "v1", rows[i].token, 1, false), rows[i].done);
        struct look look = kit_look(gate, &(struct look_ask){.own = rows[i].token});
        CHECK_NUMBER(rows[i].row, look.last.token, rows[i].done ? 3 : 2);
        CHECK_NUMBER(rows[i].row, look.last.state, rows[i].done ? RUN_RUNNING : RUN_SUCCEEDED);
        cJSON_Delete(gate);
    }
}

static void marking_marks_older_running_ones_lost(void **state)
{
    (void)state;
    cJSON *gate = kit_gate();
    assert_int_equal(kit_mark(gate, "v1", 1, 1, false), 1);
    assert_int_equal(kit_mark(gate, "v1", 2, 2, false), 1);
    struct look look = kit_look(gate, &(struct look_ask){.own = 1});
    assert_int_equal(look.own_state, RUN_LOST);
    assert_int_equal(look.failures, 1);
    assert_int_equal(look.attempts, 2);
    assert_int_equal(look.last.state, RUN_RUNNING);
    assert_true(look.last_is_mine && look.last_is_same_target);
    cJSON_Delete(gate);
}

static void repeating_keeps_the_run(void **state)
{
    (void)state;
    cJSON *gate = kit_gate();
    kit_mark(gate, "v1", 1, 1, false);
    assert_int_equal(kit_mark(gate, "v1", 1, 2, true), 1);
    struct look look = kit_look(gate, &(struct look_ask){.own = 1});
    assert_int_equal(look.last.token, 1);
    assert_int_equal(look.attempts, 2);
    assert_int_equal(look.failures, 0);
    assert_int_equal(look.own_state, RUN_RUNNING);
    cJSON_Delete(gate);
}

static void repeating_is_refused_once_another_has_marked(void **state)
{
    (void)state;
    cJSON *gate = kit_gate();
    kit_mark(gate, "v1", 1, 1, false);
    kit_mark(gate, "v1", 2, 2, false);
    assert_int_equal(kit_mark(gate, "v1", 1, 3, true), 0);
    assert_int_equal(kit_look(gate, &(struct look_ask){.own = 0}).attempts, 2);
    cJSON_Delete(gate);
}

static void very_old_runs_are_forgotten(void **state)
{
    struct err err;
    (void)state;
    cJSON *gate = kit_gate();
    for (int i = 0; i < 300; i++)
        kit_run(gate, "v1", i + 1, RUN_INTERRUPTED, 143);
    struct look look = kit_look(gate, &(struct look_ask){.own = 300});
    assert_int_equal(look.last.token, 300);
    assert_int_equal(look.attempts, 300);
    assert_int_equal(look.own_state, RUN_INTERRUPTED);
    assert_in_range(cJSON_GetArraySize(cJSON_GetObjectItem(gate, "runs")), 50, 150);
    assert_int_equal(file_state_write("gate.json", gate, &err), 0);
    cJSON_Delete(gate);
}

int unit_file_state(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_IN_DIRECTORY(missing_file_is_an_empty_gate),
        UNIT_IN_DIRECTORY(corrupt_files_are_refused),
        UNIT_IN_DIRECTORY(written_state_is_read_again),
        UNIT_IN_DIRECTORY(failing_write_keeps_the_old_file),
        UNIT_IN_DIRECTORY(write_replaces_the_file_as_a_whole),
        cmocka_unit_test(marking_is_compare_and_set),
        cmocka_unit_test(marking_marks_older_running_ones_lost),
        cmocka_unit_test(repeating_keeps_the_run),
        cmocka_unit_test(repeating_is_refused_once_another_has_marked),
        UNIT_IN_DIRECTORY(very_old_runs_are_forgotten),
    };
    return UNIT_RUN("file state", tests);
}
