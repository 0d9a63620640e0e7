/* The link to one Redis: greetings, replies, refusals, and every way in which a
 * connection ends. */
#include "redis_link.h"

#include "redis_kit.h"
#include "unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define PLAIN   "redis://127.0.0.1:%d"
#define SECRET  "x7q-9zk"
#define GREETED "redis://me:" SECRET "@127.0.0.1:%d/3"

static void wait_done(struct caller *caller, int count)
{
    CALLER_UNTIL(caller, caller->done >= count);
    assert_int_equal(caller->done, count);
}

/* ---- what is said
 * -----------------------------------------------------------------------------------------------
 */

static void greetings_go_ahead_of_the_first_command(void **state)
{
    static const struct {
        const char *row, *url;
        enum redis_peer peer;
        const char *heard;
    } rows[] = {
        {"nothing to say", PLAIN, REDIS_PEER_SERVER, "GET key"},
        {"password", "redis://:pw@127.0.0.1:%d", REDIS_PEER_SERVER, "AUTH pw; GET key"},
        {"user, database", GREETED, REDIS_PEER_SERVER, "AUTH me " SECRET "; SELECT 3; GET key"},
        {"a sentinel's master", GREETED, REDIS_PEER_MASTER, "AUTH me " SECRET "; SELECT 3; ROLE; GET key"},
        {"a sentinel has no databases, and its own users",
         "redis+sentinel://me:pw@127.0.0.1:%d/mymaster/"
         "3?sentinel_username=s&sentinel_password=spw",
         REDIS_PEER_SENTINEL, "AUTH s spw; GET key"},
        {"by a name", "redis://localhost:%d", REDIS_PEER_SERVER, "GET key"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct caller c;
        caller_begin(&c, rows[i].url);
        c.config.peer = rows[i].peer;
        caller_new_link(&c);
        caller_get(&c);
        CHECK_NUMBER(rows[i].row, c.done, 0); /* never from within the call */
        CHECK(rows[i].row, !redis_link_connected(c.link));
        wait_done(&c, 1);
        CHECK(rows[i].row, c.replied && redis_link_connected(c.link));
        CHECK_TEXT(rows[i].row, c.text, "OK");
        CHECK_TEXT(rows[i].row, fake_redis_heard(c.fake), rows[i].heard);
        caller_get(&c);
        wait_done(&c, 2);
        CHECK_NUMBER(rows[i].row, fake_redis_accepted(c.fake), 1);
        CHECK_TEXT(rows[i].row, strrchr(fake_redis_heard(c.fake), ';'), "; GET key");
        caller_end(&c);
    }
}

static void replies_may_come_in_single_bytes(void **state)
{
    struct caller c;
    (void)state;
    caller_begin(&c, GREETED);
    fake_redis_answer(c.fake, "AUTH", FAKE_IN_BYTES, "+OK\r\n");
    fake_redis_answer(c.fake, "SELECT", FAKE_IN_BYTES, "+OK\r\n");
    fake_redis_answer(c.fake, "GET", FAKE_IN_BYTES, "*2\r\n:42\r\n$11\r\nhello\r\nthere\r\n");
    caller_get(&c);
    wait_done(&c, 1);
    assert_int_equal(c.type, REDIS_REPLY_ARRAY);
    assert_int_equal(strncmp(c.text, "hello\r\nther", 11), 0);
    caller_end(&c);
}

static void a_socket_of_the_file_system(void **state)
{
    struct caller c;
    struct fake_redis *other;
    char path[256], url[300];
    (void)state;
    assert_non_null(getcwd(path, sizeof path - 16));
    strcat(path, "/redis.sock");
    snprintf(url, sizeof url, "redis+unix://%s", path);
    caller_begin(&c, PLAIN);
    other = fake_redis_new(&c.loop, path);
    caller_url(&c, url);
    caller_get(&c);
    wait_done(&c, 1);
    assert_true(c.replied);
    assert_string_equal(redis_link_where(c.link), path);
    assert_string_equal(fake_redis_heard(other), "GET key");
    fake_redis_free(other);
    caller_end(&c);
}

/* More than the kernel takes at once, and more than one read brings. */
static void a_long_command_and_a_long_reply(void **state)
{
    enum { LENGTH = 8 << 20 };
    struct caller c;
    char *value = malloc(LENGTH + 1), *reply = malloc(LENGTH + 32);
    (void)state;
    assert_true(value && reply);
    memset(value, 'v', LENGTH);
    value[LENGTH] = '\0';
    caller_begin(&c, PLAIN);
    redis_link_run(c.link, 3, (const char *const[]){"SET", "key", value}, NULL, caller_done);
    wait_done(&c, 1);
    assert_string_equal(c.text, "OK");
    snprintf(reply, LENGTH + 32, "$%d\r\n%s\r\n", LENGTH, value);
    fake_redis_answer(c.fake, "GET", FAKE_WHOLE, reply);
    caller_get(&c);
    wait_done(&c, 2);
    assert_int_equal(c.length, LENGTH);
    caller_end(&c);
    free(value);
    free(reply);
}

/* ---- what the server does not like
 * ------------------------------------------------------------------------------
 */

static void refusals(void **state)
{
    static const struct {
        const char *row, *url, *word, *reply;
        enum fake_way way;
        enum err_code code;
        const char *said;
    } rows[] = {
        {"wrong password", GREETED, "AUTH", "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
         FAKE_WHOLE, ERR_REFUSED, "WRONGPASS"},
        {"wrong password, in bytes", GREETED, "AUTH", "-WRONGPASS invalid\r\n", FAKE_IN_BYTES, ERR_REFUSED,
         "WRONGPASS"},
        {"no such database", GREETED, "SELECT", "-ERR DB index is out of range\r\n", FAKE_WHOLE, ERR_REFUSED,
         "no database of that number"},
        {"no master", GREETED, "ROLE", "*5\r\n$5\r\nslave\r\n$1\r\nm\r\n:1\r\n$9\r\nconnected\r\n:1\r\n", FAKE_WHOLE,
         ERR_UNAVAILABLE, "no master"},
        {"an odd role", GREETED, "ROLE", "+master\r\n", FAKE_WHOLE, ERR_UNAVAILABLE, "no master"},
        {"a role that is no word", GREETED, "ROLE", "*1\r\n:1\r\n", FAKE_WHOLE, ERR_UNAVAILABLE, "no master"},
        {"role not permitted", GREETED, "ROLE", "-NOPERM User me has no permissions to run the 'role' command\r\n",
         FAKE_WHOLE, ERR_REFUSED, "ACL SETUSER me ~lockstep:{orders}:*"},
        {"loading", GREETED, "SELECT", "-LOADING Redis is loading the dataset in memory\r\n", FAKE_WHOLE,
         ERR_UNAVAILABLE, "still loading"},
        {"crowded", GREETED, FAKE_ACCEPTING, "-ERR max number of clients reached\r\n", FAKE_AND_CLOSES, ERR_CROWDED,
         "maxclients"},
        {"protected", GREETED, FAKE_ACCEPTING, "-DENIED Redis is running in protected mode\r\n", FAKE_AND_CLOSES,
         ERR_REFUSED, "protected-mode no"},
        {"closed at once", GREETED, FAKE_ACCEPTING, "", FAKE_AND_CLOSES, ERR_UNAVAILABLE,
         "connection to Redis at 127.0.0.1:"},
        {"closed in a greeting", GREETED, "SELECT", "+OK\r\n", FAKE_HALF_AND_CLOSES, ERR_UNAVAILABLE,
         "the server closed the connection"},
        {"closed instead of a reply", PLAIN, "GET", "", FAKE_AND_CLOSES, ERR_UNAVAILABLE,
         "the server closed the connection"},
        {"closed in a reply", PLAIN, "GET", "$5\r\nhello\r\n", FAKE_HALF_AND_CLOSES, ERR_UNAVAILABLE,
         "the server closed the connection"},
        {"another protocol", PLAIN, "GET", "HTTP/1.1 400 Bad Request\r\n\r\n", FAKE_AND_CLOSES, ERR_REFUSED,
         "does not speak the Redis protocol"},
        {"another protocol's greeting", GREETED, FAKE_ACCEPTING, "220 mail.example.org ESMTP\r\n", FAKE_WHOLE,
         ERR_REFUSED, "does not speak the Redis protocol"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct caller c;
        caller_begin(&c, rows[i].url);
        c.config.peer = REDIS_PEER_MASTER;
        caller_new_link(&c);
        fake_redis_answer(c.fake, rows[i].word, rows[i].way, rows[i].reply);
        for (int again = 1; again <= 2; again++) { /* the link is in order afterwards */
            caller_get(&c);
            wait_done(&c, again);
            CHECK(rows[i].row, !c.replied && !redis_link_connected(c.link));
            CHECK_NUMBER(rows[i].row, c.code, rows[i].code);
            if (!strstr(c.text, rows[i].said))
                CHECK_TEXT(rows[i].row, c.text, rows[i].said);
            CHECK_NO_PART(rows[i].row, c.text, SECRET);
            redis_link_drop(c.link);
            CALLER_UNTIL(&c, fake_redis_open(c.fake) == 0);
        }
        fake_redis_reset(c.fake);
        caller_get(&c);
        wait_done(&c, 3);
        CHECK(rows[i].row, c.replied);
        CHECK_NUMBER(rows[i].row, c.closed + c.messages, 0);
        caller_end(&c);
    }
}

/* The server has said no and closed before our first word: at a socket of the file system that word fails at once. */
static void a_refusal_that_is_there_already(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static const char refusal[] = "-ERR max number of clients reached\r\n";
    char url[300];
    struct caller c;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)state;
    assert_non_null(getcwd(address.sun_path, sizeof address.sun_path - 16));
    strcat(address.sun_path, "/redis.sock");
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    snprintf(url, sizeof url, "redis+unix://:pw@%s", address.sun_path);
    caller_begin(&c, PLAIN);
    caller_url(&c, url);
    caller_get(&c);
    int accepted = accept(listener, NULL, NULL);
    assert_int_equal(write(accepted, refusal, sizeof refusal - 1), sizeof refusal - 1);
    close(accepted);
    wait_done(&c, 1);
    assert_false(c.replied);
    assert_int_equal(c.code, ERR_CROWDED);
    caller_end(&c);
    close(listener);
}

static void an_error_to_the_command_is_its_reply(void **state)
{
    struct caller c;
    (void)state;
    caller_begin(&c, GREETED);
    fake_redis_answer(c.fake, "GET", FAKE_WHOLE, "-WRONGTYPE Operation against a key\r\n");
    caller_get(&c);
    wait_done(&c, 1);
    assert_true(c.replied && redis_link_connected(c.link));
    assert_int_equal(c.type, REDIS_REPLY_ERROR);
    assert_string_equal(c.text, "WRONGTYPE Operation against a key");
    caller_end(&c);
}

/* ---- where it goes
 * ----------------------------------------------------------------------------------------------
 */

/* A port of 127.0.0.1 that is taken but refuses. The descriptor keeps it so. */
static int refusing_port(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void nobody_there(void **state)
{
    static const struct {
        const char *row, *url, *said;
    } rows[] = {
        {"refused", "redis://127.0.0.1:%d", "could not connect to Redis at 127.0.0.1:"},
        {"refused, by a name", "redis://localhost:%d", "could not connect to Redis at localhost:"},
        {"no socket", "redis+unix:///nowhere/redis.sock",
         "could not connect to Redis at /nowhere/redis.sock: No such file"},
        {"no name",
         "redis://"
         "a-label-that-is-longer-than-sixty-three-characters-is-asked-of-nobody-"
         "at-all.example:%d",
         "could not resolve"},
    };
    int port, fd = refusing_port(&port);
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct caller c;
        char url[128];
        snprintf(url, sizeof url, "%.*s%d", (int)strcspn(rows[i].url, "%"), rows[i].url, port);
        caller_begin(&c, PLAIN);
        caller_url(&c, strchr(rows[i].url, '%') ? url : rows[i].url);
        for (int again = 1; again <= 2; again++) {
            caller_get(&c);
            CHECK_NUMBER(rows[i].row, c.done, again - 1); /* never from within the call */
            wait_done(&c, again);
            CHECK(rows[i].row, !c.replied);
            CHECK_NUMBER(rows[i].row, c.code, ERR_UNAVAILABLE);
            if (!strstr(c.text, rows[i].said))
                CHECK_TEXT(rows[i].row, c.text, rows[i].said);
        }
        CHECK_NUMBER(rows[i].row, c.closed, 0);
        caller_end(&c);
    }
    close(fd);
}

static void the_next_host_is_tried(void **state)
{
    struct caller c;
    char url[128];
    int port, fd = refusing_port(&port);
    (void)state;
    caller_begin(&c, PLAIN);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d,localhost:%d,127.0.0.1:%%d", port, port);
    caller_url(&c, url);
    caller_get(&c);
    wait_done(&c, 1);
    assert_true(c.replied);
    assert_int_equal(fake_redis_accepted(c.fake), 1);
    caller_end(&c);
    close(fd);
}

/* One that takes connections and says nothing must not be the only one ever
 * tried. */
static void after_a_silent_connect_another_host_comes_first(void **state)
{
    struct caller c;
    char url[128];
    int port, fd = refusing_port(&port);
    (void)state;
    caller_begin(&c, PLAIN);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d,127.0.0.1:%%d", port);
    caller_url(&c, url);
    caller_get(&c);
    redis_link_drop(c.link); /* the caller has lost patience before the connect was over */
    caller_get(&c);
    snprintf(url, sizeof url, "127.0.0.1:%d", fake_redis_port(c.fake));
    assert_string_equal(redis_link_where(c.link), url);
    wait_done(&c, 1);
    assert_true(c.replied);
    caller_end(&c);
    close(fd);
}

static void aimed_elsewhere_and_back(void **state)
{
    struct caller c;
    struct fake_redis *other;
    (void)state;
    caller_begin(&c, PLAIN);
    other = fake_redis_new(&c.loop, NULL);
    redis_link_aim(c.link, "localhost", fake_redis_port(other));
    caller_get(&c);
    wait_done(&c, 1);
    assert_int_equal(fake_redis_accepted(other), 1);
    assert_int_equal(fake_redis_accepted(c.fake), 0);
    redis_link_drop(c.link);
    redis_link_aim(c.link, NULL, 0);
    caller_get(&c);
    wait_done(&c, 2);
    assert_int_equal(fake_redis_accepted(c.fake), 1);
    fake_redis_free(other);
    caller_end(&c);
}

int unit_redis_link(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greetings_go_ahead_of_the_first_command),
        cmocka_unit_test(replies_may_come_in_single_bytes),
        UNIT_IN_DIRECTORY(a_socket_of_the_file_system),
        cmocka_unit_test(a_long_command_and_a_long_reply),
        cmocka_unit_test(refusals),
        UNIT_IN_DIRECTORY(a_refusal_that_is_there_already),
        cmocka_unit_test(an_error_to_the_command_is_its_reply),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(the_next_host_is_tried),
        cmocka_unit_test(after_a_silent_connect_another_host_comes_first),
        cmocka_unit_test(aimed_elsewhere_and_back),
    };
    return UNIT_RUN("redis link", tests);
}
