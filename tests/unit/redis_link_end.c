/* How connections end, seen from the link: told once, told to the right one,
 * and nothing afterwards; whatever the callbacks do meanwhile. */
#include "redis_kit.h"
#include "redis_link.h"
#include "unit.h"

#include <sanitizer/lsan_interface.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS  1000
#define URL     "redis://me:pw@127.0.0.1:%d/3"
#define BY_NAME "redis://me:pw@localhost:%d/3"
#define MESSAGE "*3\r\n$7\r\nmessage\r\n$4\r\nwake\r\n$1\r\n7\r\n"

/* ---- what a callback may do
 * -------------------------------------------------------------------------------------
 */

static void break_it(struct caller *c)
{
    redis_link_break(c->link, "a test does not like it");
}

static void get_once_more(struct caller *c)
{
    if (c->done < 2)
        caller_get(c);
}

static void drop_and_get_once_more(struct caller *c)
{
    caller_drop(c);
    get_once_more(c);
}

static void drop_and_free(struct caller *c)
{
    caller_drop(c);
    caller_free(c);
}

typedef void manner(struct caller *);

static manner *const manners[] = {
    NULL, caller_drop, caller_free, break_it, get_once_more, drop_and_get_once_more, drop_and_free,
};

/* ---- how far a connection gets
 * ----------------------------------------------------------------------------------
 */

static const struct stage {
    const char *name, *url;
    const char *word; /* whose answer is not the usual one */
    enum fake_way way;
    const char *reply;
    const char *heard; /* NULL = the stage is reached at once */
    bool done;         /* ... when the command is done */
} stages[] = {
    {"resolving", BY_NAME, NULL, 0, NULL, NULL, false},
    {"connecting", URL, NULL, 0, NULL, NULL, false},
    {"greeting", URL, "AUTH", FAKE_NEVER, "", "AUTH", false},
    {"in a greeting's answer", BY_NAME, "SELECT", FAKE_HALF, "+OK\r\n", "GET", false},
    {"in single bytes", URL, "AUTH", FAKE_IN_BYTES, "+OK\r\n", "AUTH", false},
    {"waiting for the reply", URL, "GET", FAKE_NEVER, "", "GET", false},
    {"in the reply", BY_NAME, "GET", FAKE_HALF, "$5\r\nhello\r\n", "GET", false},
    {"idle", URL, NULL, 0, NULL, NULL, true},
    {"refused", URL, "AUTH", FAKE_WHOLE, "-WRONGPASS no\r\n", NULL, true},
    {"refused and closed", URL, FAKE_ACCEPTING, FAKE_AND_CLOSES, "-DENIED no\r\n", NULL, true},
    {"closed by accepting", BY_NAME, FAKE_ACCEPTING, FAKE_AND_CLOSES, "", NULL, true},
    {"closed in the reply", URL, "GET", FAKE_HALF_AND_CLOSES, "$5\r\nhello\r\n", NULL, true},
};

static void reach(struct caller *c, const struct stage *stage)
{
    fake_redis_reset(c->fake);
    c->done = c->closed = c->messages = 0;
    caller_url(c, stage->url);
    if (stage->word)
        fake_redis_answer(c->fake, stage->word, stage->way, stage->reply);
    caller_get(c);
    CALLER_UNTIL(c, !stage->heard || strstr(fake_redis_heard(c->fake), stage->heard));
    CALLER_UNTIL(c, !stage->done || c->done > 0);
}

/* ---- how it ends
 * ------------------------------------------------------------------------------------------------
 */

enum ending { DROPPED, DROPPED_TWICE, FREED, BROKEN, BROKEN_AND_DROPPED, HUNG_UP, ENDINGS };

/* Whether somebody is to be told of this ending. */
static bool end(struct caller *c, enum ending ending)
{
    bool owed = c->link && (c->running || redis_link_connected(c->link));
    if (ending == HUNG_UP)
        fake_redis_hang_up(c->fake);
    if (ending == FREED)
        caller_free(c);
    if (!c->link)
        return false;
    if (ending == BROKEN || ending == BROKEN_AND_DROPPED)
        break_it(c);
    if (ending == DROPPED || ending == DROPPED_TWICE || ending == BROKEN_AND_DROPPED)
        caller_drop(c);
    if (ending == DROPPED_TWICE)
        caller_drop(c);
    return owed && (ending == BROKEN || ending == HUNG_UP);
}

static int told(const struct caller *c)
{
    return c->done + c->closed + c->messages;
}

/* Nothing is there any more, nobody is told anything, and the link is as good
 * as new. */
static void assert_over(struct caller *c)
{
    int before = told(c);
    caller_settle(c);
    CALLER_UNTIL(c, fake_redis_open(c->fake) == 0);
    assert_int_equal(told(c), before);
    fake_redis_reset(c->fake);
    c->in_done = c->in_closed = NULL;
    if (!c->link)
        caller_new_link(c);
    caller_get(c);
    CALLER_UNTIL(c, told(c) > before);
    assert_true(c->replied && c->done > 0 && redis_link_connected(c->link));
    caller_drop(c);
    CALLER_UNTIL(c, fake_redis_open(c->fake) == 0);
}

static void a_round(struct caller *c, const struct stage *stage, enum ending ending, manner *in_callback)
{
    c->in_done = c->in_closed = in_callback;
    reach(c, stage);
    int before = told(c);
    if (end(c, ending))
        CALLER_UNTIL(c, told(c) > before);
    else
        assert_int_equal(told(c), before);
    if (ending == BROKEN || ending == HUNG_UP)
        caller_drop(c); /* what callbacks have begun anew */
    assert_over(c);
}

/* Every stage with every ending and every manner of the callbacks, some of them
 * more than once. */
static void a_thousand_rounds(void **state)
{
    const int ways = (int)UNIT_COUNT(stages) * ENDINGS * (int)UNIT_COUNT(manners);
    struct caller c;
    (void)state;
    assert_true(ways <= ROUNDS);
    caller_begin(&c, URL);
    a_round(&c, &stages[0], DROPPED, NULL); /* the loop opens what it needs, for ever */
    int descriptors = caller_descriptors();
    for (int round = 0; round < ROUNDS; round++) {
        int way = round % ways;
        const struct stage *stage = &stages[way % (int)UNIT_COUNT(stages)];
        way /= (int)UNIT_COUNT(stages);
        a_round(&c, stage, (enum ending)(way % ENDINGS), manners[way / ENDINGS]);
        CHECK_NUMBER(stage->name, caller_descriptors(), descriptors);
    }
    caller_end(&c);
    assert_int_equal(__lsan_do_recoverable_leak_check(), 0);
}

/* ---- who is told, and what
 * --------------------------------------------------------------------------------------
 */

static void a_break_is_told_to_whom_it_concerns(void **state)
{
    struct caller c;
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(stages); i++) {
        bool idle = strcmp(stages[i].name, "idle") == 0, over = stages[i].done && !idle;
        caller_begin(&c, URL);
        reach(&c, &stages[i]);
        int done = c.done;
        break_it(&c);
        break_it(&c);
        CHECK_NUMBER(stages[i].name, c.done, done); /* never from within the call */
        for (int turn = 0; turn < 5; turn++)
            caller_turn(&c);
        CHECK_NUMBER(stages[i].name, c.done, done + (!idle && !over));
        CHECK_NUMBER(stages[i].name, c.closed, idle);
        if (!over)
            CHECK_TEXT(stages[i].name, c.text, "a test does not like it");
        caller_end(&c);
    }
}

static void a_connection_that_closes_while_idle(void **state)
{
    struct caller c;
    (void)state;
    caller_begin(&c, URL);
    reach(&c, &stages[7]);
    fake_redis_hang_up(c.fake);
    CALLER_UNTIL(&c, c.closed > 0);
    assert_false(redis_link_connected(c.link));
    assert_int_equal(c.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(c.text, "the server closed the connection"));
    caller_get(&c);
    CALLER_UNTIL(&c, c.done == 2);
    assert_true(c.replied);
    assert_int_equal(c.closed, 1);
    assert_int_equal(fake_redis_accepted(c.fake), 2);
    caller_end(&c);
}

/* ---- what comes unasked
 * -----------------------------------------------------------------------------------------
 */

static void subscribe(struct caller *c)
{
    fake_redis_answer(c->fake, "SUBSCRIBE", FAKE_WHOLE, "*3\r\n$9\r\nsubscribe\r\n$4\r\nwake\r\n:1\r\n");
    redis_link_run(c->link, 2, (const char *const[]){"SUBSCRIBE", "wake"}, NULL, caller_done);
}

static void messages_in_order(void **state)
{
    struct caller c;
    (void)state;
    caller_begin(&c, URL);
    subscribe(&c);
    CALLER_UNTIL(&c, c.done == 1);
    fake_redis_say(c.fake, MESSAGE);
    CALLER_UNTIL(&c, c.messages == 1);
    assert_string_equal(c.text, "7");
    fake_redis_say(c.fake, MESSAGE MESSAGE "+last\r\n");
    CALLER_UNTIL(&c, c.messages == 4);
    assert_string_equal(c.text, "last");
    assert_int_equal(c.done, 1);
    caller_end(&c);
}

/* Three messages in one packet, with the reply to the subscription: what the
 * callbacks of the first of them do holds. */
static void messages_and_whoever_has_enough_of_them(void **state)
{
    struct caller c;
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(manners); i++) {
        for (int in_done = 0; in_done < 2; in_done++) {
            caller_begin(&c, URL);
            if (in_done)
                c.in_done = manners[i];
            else
                c.in_message = manners[i];
            fake_redis_answer(c.fake, "SUBSCRIBE", FAKE_WHOLE,
                              "*3\r\n$9\r\nsubscribe\r\n$4\r\nwake\r\n:1\r\n" MESSAGE MESSAGE MESSAGE);
            redis_link_run(c.link, 2, (const char *const[]){"SUBSCRIBE", "wake"}, NULL, caller_done);
            CALLER_UNTIL(&c, in_done ? c.done : c.messages);
            c.in_done = c.in_message = NULL;
            for (int turn = 0; turn < 5; turn++)
                caller_turn(&c);
            if (!manners[i])
                assert_int_equal(c.messages, 3);
            else if (manners[i] != get_once_more) /* there a message is taken for the reply: nobody
                                                     asks on such a link */
                assert_int_equal(c.messages, !in_done);
            caller_end(&c);
        }
    }
}

/* A callback was on the stack when this connection was lost; a later drop must
 * not write to where that was. */
static void a_drop_after_a_refusal(void **state)
{
    struct caller c;
    (void)state;
    caller_begin(&c, URL);
    reach(&c, &stages[8]);
    caller_drop(&c);
    reach(&c, &stages[8]);
    caller_free(&c);
    caller_end(&c);
}

int unit_redis_link_end(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_break_is_told_to_whom_it_concerns),
        cmocka_unit_test(a_connection_that_closes_while_idle),
        cmocka_unit_test(messages_in_order),
        cmocka_unit_test(messages_and_whoever_has_enough_of_them),
        cmocka_unit_test(a_drop_after_a_refusal),
        cmocka_unit_test(a_thousand_rounds),
    };
    return UNIT_RUN("redis link's end", tests);
}
