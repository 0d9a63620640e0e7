/* The smallest parts: errors, hashes, times, the words for run states. */
#include "digest.h"
#include "err.h"
#include "record.h"
#include "times.h"
#include "unit.h"

#include <string.h>

static void errors_are_one_line(void **state)
{
    static const struct {
        const char *row, *text, *expected;
    } rows[] = {
        {"plain", "no way", "no way"},
        {"empty", "", ""},
        {"line feed in the middle", "FATAL: a\nDETAIL: b", "FATAL: a; DETAIL: b"},
        {"line feed at the end", "FATAL: a\n", "FATAL: a"},
        {"both", "a\nb\nc\n", "a; b; c"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct err err = {.code = ERR_NONE};
        CHECK_NUMBER(rows[i].row, err_set(&err, ERR_LOST, "%s", rows[i].text), -1);
        CHECK_NUMBER(rows[i].row, err.code, ERR_LOST);
        CHECK_TEXT(rows[i].row, err.text, rows[i].expected);
    }
}

static void errors_may_quote_themselves(void **state)
{
    struct err err;
    (void)state;
    err_set(&err, ERR_SYSTEM, "inner %d", 5);
    err_set(&err, ERR_USAGE, "outer: %s", err.text);
    assert_string_equal(err.text, "outer: inner 5");
}

static void errors_are_cut(void **state)
{
    char text[2048];
    struct err err;
    (void)state;
    for (int odd = 0; odd < 3; odd++) {
        memset(text, 'x', sizeof text);
        for (size_t i = (size_t)odd; i < sizeof text; i += 3)
            text[i] = '\n';
        text[sizeof text - 1] = '\0';
        err_set(&err, ERR_USAGE, "%s", text);
        assert_true(strlen(err.text) < sizeof err.text && strlen(err.text) >= 400);
        assert_null(strchr(err.text, '\n'));
    }
}

int unit_err(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_one_line),
        cmocka_unit_test(errors_may_quote_themselves),
        cmocka_unit_test(errors_are_cut),
    };
    return UNIT_RUN("err", tests);
}

/* FIPS 180-4's examples. */
static void known_hashes(void **state)
{
    static const struct {
        const char *row, *parts[2], *hash;
    } rows[] = {
        {"empty", {"", ""}, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", {"abc", ""}, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abc in parts", {"a", "bc"}, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"two blocks",
         {"abcdbcdecdefdefgefghfghighij", "hijkijkljklmklmnlmnomnopnopq"},
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        unsigned char hash[DIGEST_SIZE];
        char text[2 * DIGEST_SIZE + 1];
        struct digest *digest = digest_begin();
        CHECK(rows[i].row, digest);
        for (int n = 0; n < 2; n++)
            digest_add(digest, rows[i].parts[n], strlen(rows[i].parts[n]));
        digest_end(digest, hash);
        digest_hex(hash, sizeof hash, text);
        CHECK_TEXT(rows[i].row, text, rows[i].hash);
    }
}

int unit_digest(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_hashes)};
    return UNIT_RUN("digest", tests);
}

/* DESIGN section 3: all three inequalities, for every lease from 3 s to 1 h. */
static void inequalities(void **state)
{
    (void)state;
    for (int64_t lease = TIMES_LEASE_MIN; lease <= 3600000; lease += lease < 60000 ? 1 : 997) {
        struct times t = times_from_lease(lease);
        int64_t dead = t.deadline + t.grace + t.kill + 100;
        assert_int_equal(t.lease, lease);
        assert_true(1000 * dead <= 999 * lease);
        assert_true(3 * t.heartbeat + lease / 10 <= t.deadline); /* a tenth of the lease for the round trip */
        assert_true(1000 * t.quarantine > 1001 * dead);
        assert_true(t.heartbeat > 0 && t.kill > 0);
    }
}

static void default_and_shortest_lease(void **state)
{
    static const struct {
        const char *row;
        struct times times;
    } rows[] = {
        {"3 s", {3000, 250, 1200, 1200, 300, 4000}},
        {"25 s", {25000, 2083, 10000, 10000, 2500, 26000}},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct times times = times_from_lease(rows[i].times.lease);
        CHECK_NUMBER(rows[i].row, times.heartbeat, rows[i].times.heartbeat);
        CHECK_NUMBER(rows[i].row, times.deadline, rows[i].times.deadline);
        CHECK_NUMBER(rows[i].row, times.grace, rows[i].times.grace);
        CHECK_NUMBER(rows[i].row, times.kill, rows[i].times.kill);
        CHECK_NUMBER(rows[i].row, times.quarantine, rows[i].times.quarantine);
    }
}

static void run_state_words(void **state)
{
    static const char *const words[] = {
        [RUN_NONE] = "none",     [RUN_RUNNING] = "running",         [RUN_SUCCEEDED] = "succeeded",
        [RUN_FAILED] = "failed", [RUN_INTERRUPTED] = "interrupted", [RUN_LOST] = "lost",
    };
    static const char *const strange[] = {"", "Running", "succeeded ", "fail", "unknown"};
    (void)state;
    for (enum run_state s = RUN_NONE; s <= RUN_LOST; s++) {
        CHECK_TEXT(words[s], run_state_name(s), words[s]);
        CHECK_NUMBER(words[s], run_state_named(words[s]), s);
    }
    for (size_t i = 0; i < UNIT_COUNT(strange); i++)
        CHECK_NUMBER(strange[i], run_state_named(strange[i]), RUN_NONE);
}

int unit_times(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inequalities),
        cmocka_unit_test(default_and_shortest_lease),
        cmocka_unit_test(run_state_words),
    };
    return UNIT_RUN("times and records", tests);
}
