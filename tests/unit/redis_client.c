/* The way to the right server: scripts by hash or by text, a cluster's redirections, and their bounds. */
#include "redis_client.h"

#include "redis_kit.h"
#include "redis_scripts.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define URL "redis://127.0.0.1:%d"

static char *const keys[REDIS_KEYS] = {"k:lock", "k:fence",   "k:gate",    "k:applied",
                                       "k:runs", "k:outputs", "k:targets", "k:tokens"};

/* A caller with a client in place of a link. */
static struct redis_client *begin(struct caller *c)
{
    caller_begin(c, URL);
    struct redis_client *client = redis_client_new(&c->config, keys);
    assert_non_null(client);
    return client;
}

static void end(struct caller *c, struct redis_client *client)
{
    redis_client_free(client);
    caller_end(c);
}

static void beat(struct redis_client *client)
{
    struct redis_words arguments = {.count = 0};
    redis_add(&arguments, "mine 1");
    redis_add(&arguments, "3000");
    redis_client_script(client, REDIS_BEAT, &arguments, caller_done);
}

static void get(struct redis_client *client)
{
    struct redis_words words = {.count = 0};
    redis_add(&words, "GET");
    redis_add(&words, "key");
    redis_client_command(client, &words, caller_done);
}

static int count(const char *heard, const char *word)
{
    int found = 0;
    for (const char *at = heard; (at = strstr(at, word)); at++)
        found += at == heard || at[-1] == ' ';
    return found;
}

/* ---- scripts ---------------------------------------------------------------------------------------------------- */

static void a_script_is_asked_for_by_its_hash(void **state)
{
    struct caller c;
    struct err err;
    char sha[41], heard[256];
    struct redis_client *client = begin(&c);
    (void)state;
    assert_int_equal(redis_script_sha(REDIS_BEAT, sha, &err), 0);
    snprintf(heard, sizeof heard,
             "EVALSHA %s 8 k:lock k:fence k:gate k:applied k:runs k:outputs k:targets k:tokens mine 1 3000", sha);
    beat(client);
    CALLER_UNTIL(&c, c.done == 1);
    assert_true(c.replied);
    assert_string_equal(fake_redis_heard(c.fake), heard);
    end(&c, client);
}

static void an_unknown_script_is_sent_once(void **state)
{
    struct caller c;
    struct redis_client *client = begin(&c);
    (void)state;
    fake_redis_answer(c.fake, "EVALSHA", FAKE_WHOLE, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
    fake_redis_answer(c.fake, "EVAL", FAKE_WHOLE, ":1\r\n");
    beat(client);
    CALLER_UNTIL(&c, c.done == 1);
    assert_true(c.replied);
    assert_int_equal(c.type, REDIS_REPLY_INTEGER);
    const char *eval = strstr(fake_redis_heard(c.fake), "; EVAL local lock, fence");
    assert_non_null(eval);
    assert_non_null(strstr(eval, " 8 k:lock k:fence k:gate k:applied k:runs k:outputs k:targets k:tokens mine 1 3000"));
    beat(client); /* the next one is asked for by its hash again */
    CALLER_UNTIL(&c, c.done == 2);
    assert_int_equal(count(fake_redis_heard(c.fake), "EVALSHA"), 2);
    assert_int_equal(fake_redis_accepted(c.fake), 1);
    end(&c, client);
}

/* Some proxies know neither. */
static void no_second_time(void **state)
{
    struct caller c;
    struct redis_client *client = begin(&c);
    (void)state;
    fake_redis_answer(c.fake, "EVALSHA", FAKE_WHOLE, "-NOSCRIPT No matching script.\r\n");
    fake_redis_answer(c.fake, "EVAL", FAKE_WHOLE, "-NOSCRIPT No matching script.\r\n");
    beat(client);
    CALLER_UNTIL(&c, c.done == 1);
    assert_false(c.replied);
    assert_int_equal(c.code, ERR_REFUSED);
    assert_int_equal(count(fake_redis_heard(c.fake), "EVAL "), 1);
    end(&c, client);
}

static void noscript_to_a_plain_command_is_an_error(void **state)
{
    struct caller c;
    struct redis_client *client = begin(&c);
    (void)state;
    fake_redis_answer(c.fake, "GET", FAKE_WHOLE, "-NOSCRIPT what?\r\n");
    get(client);
    CALLER_UNTIL(&c, c.done == 1);
    assert_false(c.replied);
    assert_string_equal(fake_redis_heard(c.fake), "GET key");
    end(&c, client);
}

static void an_error_reply_is_an_error(void **state)
{
    struct caller c;
    struct redis_client *client = begin(&c);
    (void)state;
    fake_redis_answer(c.fake, "EVALSHA", FAKE_WHOLE, "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    beat(client);
    CALLER_UNTIL(&c, c.done == 1);
    assert_false(c.replied);
    assert_int_equal(c.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(c.text, "maxmemory"));
    assert_true(redis_link_connected(redis_client_link(client)));
    end(&c, client);
}

/* A master no more: the connection is of no use, its name is asked for again. */
static void a_read_only_server_is_left(void **state)
{
    struct caller c;
    struct redis_client *client = begin(&c);
    (void)state;
    fake_redis_answer(c.fake, "EVALSHA", FAKE_WHOLE, "-READONLY You can't write against a read only replica.\r\n");
    beat(client);
    CALLER_UNTIL(&c, c.done == 1);
    assert_false(c.replied || redis_link_connected(redis_client_link(client)));
    end(&c, client);
}

/* ---- redirections ----------------------------------------------------------------------------------------------- */

static void moved(struct fake_redis *from, const char *word, const char *host, const struct fake_redis *to,
                  char text[64])
{
    snprintf(text, 64, "-MOVED 3999 %s:%d\r\n", host, fake_redis_port(to));
    fake_redis_answer(from, word, FAKE_WHOLE, text);
}

static void moved_is_followed_and_remembered(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", ""}; /* "" = the one that says so */
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(hosts); i++) {
        struct caller c;
        char text[64];
        struct redis_client *client = begin(&c);
        struct fake_redis *other = fake_redis_new(&c.loop, NULL);
        moved(c.fake, "GET", hosts[i], other, text);
        get(client);
        CALLER_UNTIL(&c, c.done == 1);
        CHECK(hosts[i], c.replied);
        get(client);
        CALLER_UNTIL(&c, c.done == 2);
        CHECK_TEXT(hosts[i], fake_redis_heard(c.fake), "GET key");
        CHECK_TEXT(hosts[i], fake_redis_heard(other), "GET key; GET key");
        CHECK_NUMBER(hosts[i], fake_redis_accepted(other), 1);
        CALLER_UNTIL(&c, fake_redis_open(c.fake) == 0);
        fake_redis_free(other);
        end(&c, client);
    }
}

/* A script may be unknown where it is moved to. */
static void moved_to_where_the_script_is_unknown(void **state)
{
    struct caller c;
    char text[64];
    struct redis_client *client = begin(&c);
    struct fake_redis *other = fake_redis_new(&c.loop, NULL);
    (void)state;
    moved(c.fake, "EVALSHA", "127.0.0.1", other, text);
    fake_redis_answer(other, "EVALSHA", FAKE_WHOLE, "-NOSCRIPT No matching script.\r\n");
    beat(client);
    CALLER_UNTIL(&c, c.done == 1);
    assert_true(c.replied);
    assert_int_equal(count(fake_redis_heard(other), "EVALSHA "), 1);
    assert_int_equal(count(fake_redis_heard(other), "EVAL "), 1);
    fake_redis_free(other);
    end(&c, client);
}

static void not_in_a_circle(void **state)
{
    struct caller c;
    char there[64], back[64];
    struct redis_client *client = begin(&c);
    struct fake_redis *other = fake_redis_new(&c.loop, NULL);
    (void)state;
    moved(c.fake, "GET", "127.0.0.1", other, there);
    moved(other, "GET", "127.0.0.1", c.fake, back);
    get(client);
    CALLER_UNTIL(&c, c.done == 1);
    assert_false(c.replied);
    assert_int_equal(c.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(c.text, "circle"));
    assert_int_equal(fake_redis_accepted(c.fake) + fake_redis_accepted(other), 1 + 5);
    fake_redis_answer(c.fake, "GET", FAKE_WHOLE, "+here\r\n");
    get(client); /* and the next command may follow again */
    CALLER_UNTIL(&c, c.done == 2);
    assert_true(c.replied);
    fake_redis_free(other);
    end(&c, client);
}

/* The node that has the slot dies: the URL's own hosts are asked again. */
static void back_to_the_url_when_the_other_is_gone(void **state)
{
    struct caller c;
    char text[64];
    struct redis_client *client = begin(&c);
    struct fake_redis *other = fake_redis_new(&c.loop, NULL);
    (void)state;
    moved(c.fake, "GET", "127.0.0.1", other, text);
    fake_redis_answer(other, "GET", FAKE_AND_CLOSES, "");
    get(client);
    CALLER_UNTIL(&c, c.done == 1);
    assert_false(c.replied);
    fake_redis_reset(c.fake);
    get(client);
    CALLER_UNTIL(&c, c.done == 2);
    assert_true(c.replied);
    assert_string_equal(fake_redis_heard(c.fake), "GET key");
    fake_redis_free(other);
    end(&c, client);
}

static void redirections_that_lead_nowhere(void **state)
{
    static const char *const rows[] = {
        "-MOVED\r\n",
        "-MOVED 3999\r\n",
        "-MOVED 3999 nowhere\r\n",
        "-MOVED 3999 a:b 7\r\n",
        "-MOVED 3999 :\r\n",
        "-MOVED 3999 127.0.0.1:0\r\n",
        "-MOVED 3999 127.0.0.1:99999999999\r\n",
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct caller c;
        struct redis_client *client = begin(&c);
        fake_redis_answer(c.fake, "GET", FAKE_WHOLE, rows[i]);
        get(client);
        CALLER_UNTIL(&c, c.done == 1);
        CHECK(rows[i], !c.replied);
        CHECK_NUMBER(rows[i], c.code, ERR_UNAVAILABLE);
        end(&c, client);
    }
}

/* ---- dropping --------------------------------------------------------------------------------------------------- */

static void nothing_after_a_drop(void **state)
{
    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        struct caller c;
        char text[64];
        struct redis_client *client = begin(&c);
        struct fake_redis *other = fake_redis_new(&c.loop, NULL);
        moved(c.fake, "EVALSHA", "localhost", other, text);
        fake_redis_answer(other, "EVALSHA", FAKE_WHOLE, "-NOSCRIPT No matching script.\r\n");
        fake_redis_answer(other, "EVAL", FAKE_NEVER, "");
        beat(client);
        for (int turn = 0; turn < turns; turn++)
            caller_turn(&c);
        redis_client_drop(client);
        caller_settle(&c);
        assert_int_equal(c.done + c.closed, 0);
        fake_redis_reset(c.fake);
        get(client);
        CALLER_UNTIL(&c, c.done == 1);
        assert_true(c.replied);
        fake_redis_free(other);
        end(&c, client);
    }
}

int unit_redis_client(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_script_is_asked_for_by_its_hash),
        cmocka_unit_test(an_unknown_script_is_sent_once),
        cmocka_unit_test(no_second_time),
        cmocka_unit_test(noscript_to_a_plain_command_is_an_error),
        cmocka_unit_test(an_error_reply_is_an_error),
        cmocka_unit_test(a_read_only_server_is_left),
        cmocka_unit_test(moved_is_followed_and_remembered),
        cmocka_unit_test(moved_to_where_the_script_is_unknown),
        cmocka_unit_test(not_in_a_circle),
        cmocka_unit_test(back_to_the_url_when_the_other_is_gone),
        cmocka_unit_test(redirections_that_lead_nowhere),
        cmocka_unit_test(nothing_after_a_drop),
    };
    return UNIT_RUN("redis client", tests);
}
