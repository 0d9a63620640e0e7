/* bare_redis: the least that hiredis can do of what lockstep does, to compare with. The server is
 * REDIS_ADDRESS:REDIS_PORT; REDIS_USER logs in with REDIS_PASSWORD, if it is set.
 *
 *   bare_redis ask NAME TARGET                            connect, HMGET, disconnect, end
 *   bare_redis look NAME TARGET PROGRAM [ARG...]          the same, then execute PROGRAM
 *   bare_redis listen NAME TARGET PROGRAM [ARG...]        connect, SUBSCRIBE, HMGET, sleep until a message comes,
 *                                                         HMGET, execute PROGRAM
 *   bare_redis commit NAME TARGET FIFO PROGRAM [ARG...]   connect, wait for the end of FIFO, record TARGET and
 *                                                         publish in one script, execute PROGRAM
 *
 * Nothing is retried and no error is told apart: it ends with status 1. */
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Records what waiters look at and when that was, as lockstep's own script does (src/redis_scripts.c, REDIS_END). */
static const char commit_lua[] =
    "local time = redis.call('TIME')\n"
    "redis.call('HSET', KEYS[2], '1.finished_at', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))\n"
    "redis.call('HSET', KEYS[1], ARGV[1], '1', '', '1')\n"
    "redis.call('PUBLISH', KEYS[3], '1')\n"
    "return 1\n";

static redisContext *redis;
static char applied[128], runs[128], wake[128];

static void die(const char *what)
{
    fprintf(stderr, "bare_redis: %s: %s\n", what, redis ? redis->errstr : "out of memory");
    exit(1);
}

static redisReply *receive(const char *what)
{
    void *reply = NULL;
    if (redisGetReply(redis, &reply) != REDIS_OK || !reply || ((redisReply *)reply)->type == REDIS_REPLY_ERROR)
        die(what);
    return reply;
}

static void receive_nothing(const char *what)
{
    freeReplyObject(receive(what));
}

/* Sends nothing yet: the password travels with the first command, and is answered before that. */
static bool begin(void)
{
    redisOptions options = {.options = REDIS_OPT_NO_PUSH_AUTOFREE};
    const char *address = getenv("REDIS_ADDRESS"), *port = getenv("REDIS_PORT");
    const char *user = getenv("REDIS_USER"), *password = getenv("REDIS_PASSWORD");
    REDIS_OPTIONS_SET_TCP(&options, address ? address : "", port ? atoi(port) : 0);
    redis = redisConnectWithOptions(&options);
    if (!redis || redis->err)
        die("connecting");
#ifdef WITH_TLS
    if (getenv("REDIS_TLS") &&
        redisInitiateSSLWithContext(redis, redisCreateSSLContext(NULL, NULL, NULL, NULL, NULL, NULL)))
        die("TLS");
#endif
    if (user && password)
        redisAppendCommand(redis, "AUTH %s %s", user, password);
    return user && password;
}

static void ask(const char *target)
{
    redisAppendCommand(redis, "HMGET %s %s %s", applied, target, "");
}

static bool receive_answer(void)
{
    redisReply *reply = receive("HMGET");
    bool there = reply->elements == 2 && reply->element[0]->str;
    freeReplyObject(reply);
    return there;
}

static void look(const char *target)
{
    bool authenticates = begin();
    ask(target);
    if (authenticates)
        receive_nothing("AUTH");
    if (!receive_answer())
        die(target);
}

/* With RESP3 one connection can listen and ask. */
static void wait_for_target(const char *target)
{
    bool authenticates = begin();
    redisAppendCommand(redis, "HELLO 3");
    redisAppendCommand(redis, "SUBSCRIBE %s", wake);
    ask(target);
    if (authenticates)
        receive_nothing("AUTH");
    receive_nothing("HELLO");
    receive_nothing("SUBSCRIBE");
    while (!receive_answer()) {
        receive_nothing("message");
        ask(target);
    }
}

static void wait_for_end_of(const char *fifo)
{
    char byte;
    int fd = open(fifo, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, &byte, 1) != 0)
        die(fifo);
}

static void commit(const char *target, const char *fifo)
{
    if (begin())
        receive_nothing("AUTH");
    wait_for_end_of(fifo);
    redisAppendCommand(redis, "EVAL %s 3 %s %s %s %s", commit_lua, applied, runs, wake, target);
    receive_nothing("EVAL");
}

static const struct {
    const char *word;
    int words; /* before PROGRAM */
} modes[] = {{"ask", 4}, {"look", 4}, {"listen", 4}, {"commit", 5}};

int main(int argc, char **argv)
{
    size_t mode = 0, count = sizeof modes / sizeof modes[0];
    while (argc > 1 && mode < count && strcmp(modes[mode].word, argv[1]) != 0)
        mode++;
    if (argc < 4 || mode == count || (mode == 0 ? argc != 4 : argc <= modes[mode].words))
        return 2;
    snprintf(applied, sizeof applied, "lockstep:{%s}:applied", argv[2]);
    snprintf(runs, sizeof runs, "lockstep:{%s}:runs", argv[2]);
    snprintf(wake, sizeof wake, "lockstep:{%s}:wake", argv[2]);
    if (mode <= 1)
        look(argv[3]);
    else if (mode == 2)
        wait_for_target(argv[3]);
    else
        commit(argv[3], argv[4]);
    redisFree(redis);
    if (mode == 0)
        return 0;
    execv(argv[modes[mode].words], argv + modes[mode].words);
    return 1;
}
