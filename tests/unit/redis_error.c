/* The error words of Redis servers, as versions 6 to 8 and Valkey say them, and what becomes of them. */
#include "redis_error.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

#define PASSWORD "x7q-9zk"
#define SCRIPT6  "ERR Error running script (call to f_1a2b): @user_script:7: @user_script: 7: "
#define ACL      "ACL SETUSER me ~lockstep:{orders}:* &lockstep:{orders}:* +"

static redisReply reply_of(const char *text, int type)
{
    return (redisReply){.type = type, .str = (char *)(uintptr_t)text, .len = strlen(text)};
}

static void turn(const char *said, const char *user, struct err *err)
{
    const struct redis_url url = {.user = user, .password = PASSWORD};
    redisReply reply = reply_of(said, REDIS_REPLY_ERROR);
    redis_error_of_reply(&reply, &(struct redis_error_context){&url, "orders", "db1:6379"}, err);
}

static void meanings(void **state)
{
    static const struct {
        const char *said;
        enum err_code code;
        const char *remedy;
    } rows[] = {
        {"READONLY You can't write against a read only replica.", ERR_UNAVAILABLE, "redis+sentinel://"},
        {SCRIPT6 "-READONLY You can't write against a read only replica.", ERR_UNAVAILABLE, "redis+sentinel://"},
        {"NOREPLICAS Not enough good replicas to write.", ERR_UNAVAILABLE, "min-replicas-to-write"},
        {SCRIPT6 "-NOREPLICAS Not enough good replicas to write.", ERR_UNAVAILABLE, "min-replicas-to-write"},
        {"LOADING Redis is loading the dataset in memory", ERR_UNAVAILABLE, "still loading"},
        {"LOADING Valkey is loading the dataset in memory", ERR_UNAVAILABLE, "still loading"},
        {"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", ERR_UNAVAILABLE,
         "slow script"},
        {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", ERR_UNAVAILABLE,
         "name the master"},
        {"CLUSTERDOWN The cluster is down", ERR_UNAVAILABLE, "not whole"},
        {"CLUSTERDOWN Hash slot not served", ERR_UNAVAILABLE, "not whole"},
        {"TRYAGAIN Multiple keys request during rehashing of slot", ERR_UNAVAILABLE, "moving our slot"},
        {"ASK 3999 127.0.0.1:6381", ERR_UNAVAILABLE, "moving our slot"},
        {"MOVED 3999 127.0.0.1:6381", ERR_UNAVAILABLE, "in a circle"},
        {"OOM command not allowed when used memory > 'maxmemory'.", ERR_UNAVAILABLE, "raise maxmemory"},
        {SCRIPT6 "-OOM command not allowed when used memory > 'maxmemory'.", ERR_UNAVAILABLE, "raise maxmemory"},
        {"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
         ERR_UNAVAILABLE, "stop-writes-on-bgsave-error"},
        {"MISCONF Errors writing to the AOF file: No space left on device", ERR_UNAVAILABLE, "mend its disk"},
        {"ERR max number of clients reached", ERR_CROWDED, "maxclients"},
        {"ERR max number of clients + cluster connections reached", ERR_CROWDED, "maxclients"},
        {"NOAUTH Authentication required.", ERR_REFUSED, "USER:PASSWORD@HOST"},
        {"WRONGPASS invalid username-password pair or user is disabled.", ERR_REFUSED, "is wrong"},
        {"ERR invalid password", ERR_REFUSED, "is wrong"},
        {"ERR AUTH <password> called without any password configured for the default user. Are you sure your "
         "configuration is correct?",
         ERR_REFUSED, "the server has none"},
        {"DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
         "default user.",
         ERR_REFUSED, "protected-mode no"},
        {"ERR DB index is out of range", ERR_REFUSED, "mend the end of the URL"},
        {"ERR SELECT is not allowed in cluster mode", ERR_REFUSED, "only database 0"},
        {"NOPERM this user has no permissions to run the 'evalsha' command", ERR_REFUSED, ACL},
        {"NOPERM this user has no permissions to access one of the keys used as arguments", ERR_REFUSED, ACL},
        {"NOPERM User me has no permissions to access the 'lockstep:{orders}:wake' channel", ERR_REFUSED, ACL},
        {"ERR The user executing the script can't run this command or subcommand script: 1a2b, on @user_script:7.",
         ERR_REFUSED, ACL},
        {"ERR ACL failure in script: User me has no permissions to run the 'incr' command script: 1a2b", ERR_REFUSED,
         ACL},
        {"ERR unknown command 'EVALSHA', with args beginning with: ", ERR_REFUSED, "unknown command"},
        {"NOSCRIPT No matching script. Please use EVAL.", ERR_REFUSED, "NOSCRIPT"},
        {"WRONGTYPE Operation against a key holding the wrong kind of value", ERR_REFUSED, "WRONGTYPE"},
        {"", ERR_REFUSED, "Redis at db1:6379"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct err err;
        turn(rows[i].said, "me", &err);
        CHECK_NUMBER(rows[i].said, err.code, rows[i].code);
        if (!strstr(err.text, rows[i].remedy))
            CHECK_TEXT(rows[i].said, err.text, rows[i].remedy);
        CHECK(rows[i].said, strstr(err.text, "Redis at db1:6379: ") != NULL);
        CHECK_NO_PART(rows[i].said, err.text, PASSWORD);
    }
}

/* Some longer word that begins alike, or the same word elsewhere, means nothing of the kind. */
static void alike_is_not_equal(void **state)
{
    static const char *const rows[] = {
        "ERR no READONLY here",       "ERR value -OOM is no integer", "ERR it is LOADING", "readonly",
        "ERR the cluster MOVED away",
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct err err;
        turn(rows[i], NULL, &err);
        CHECK_NUMBER(rows[i], err.code, ERR_REFUSED);
        CHECK(rows[i], strstr(err.text, rows[i]));
    }
}

static void the_remedy_names_the_right_user(void **state)
{
    struct err err;
    (void)state;
    turn("NOPERM no", NULL, &err);
    assert_non_null(strstr(err.text, "ACL SETUSER default ~lockstep:{orders}:* &lockstep:{orders}:* +"));
    turn("NOPERM no", "worker", &err);
    assert_non_null(strstr(err.text, "ACL SETUSER worker ~lockstep"));
}

/* A server may say what it likes: one line, cut. */
static void long_words_are_cut(void **state)
{
    char said[4096] = "OOM ";
    struct err err;
    (void)state;
    memset(said + 4, 'x', sizeof said - 5);
    turn(said, "me", &err);
    assert_non_null(strstr(err.text, "raise maxmemory"));
    memcpy(said, "YES\n", 4);
    turn(said, "me", &err);
    assert_null(strchr(err.text, '\n'));
}

static void only_errors_are_errors(void **state)
{
    redisReply word = reply_of("NOSCRIPT", REDIS_REPLY_STATUS), text = reply_of("MOVED 1 a:1", REDIS_REPLY_STRING);
    redisReply error = reply_of("NOSCRIPT No matching script.", REDIS_REPLY_ERROR);
    (void)state;
    assert_false(redis_error_is(&word, "NOSCRIPT"));
    assert_false(redis_error_is(&text, "MOVED"));
    assert_true(redis_error_is(&error, "NOSCRIPT"));
    assert_false(redis_error_is(&error, "MOVED"));
}

int unit_redis_error(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(meanings),
        cmocka_unit_test(alike_is_not_equal),
        cmocka_unit_test(the_remedy_names_the_right_user),
        cmocka_unit_test(long_words_are_cut),
        cmocka_unit_test(only_errors_are_errors),
    };
    return UNIT_RUN("redis errors", tests);
}
