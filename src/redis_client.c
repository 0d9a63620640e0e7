#include "redis_client.h"

#include "redis_error.h"
#include "redis_sentinel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOVES_MAX   5
#define SENTINEL_MS 2000 /* a silent one must not use up the time that the gate gives a call */

struct redis_client {
    struct redis_link_config config;
    struct redis_link *link;
    struct redis_sentinel *sentinel; /* NULL: the URL names the servers */
    char *const *keys;
    struct redis_words words; /* of the command that is run, in `storage` */
    char *storage;
    char sha[41];
    enum redis_script script; /* REDIS_SCRIPTS = none */
    int moves;                /* redirections that this command has followed */
    redis_done *done;
};

static void go(struct redis_client *client);

void redis_add_bytes(struct redis_words *words, const char *bytes, size_t length)
{
    words->words[words->count] = bytes;
    words->lengths[words->count++] = length;
}

void redis_add(struct redis_words *words, const char *word)
{
    redis_add_bytes(words, word, strlen(word));
}

void redis_add_number(struct redis_words *words, char text[24], int64_t number)
{
    snprintf(text, 24, "%" PRId64, number);
    redis_add(words, text);
}

static void finish(struct redis_client *client, redisReply *reply, const struct err *err)
{
    redis_done *done = client->done;
    client->done = NULL;
    free(client->storage);
    client->storage = NULL;
    done(client->config.user, reply, err);
}

/* "MOVED 3999 127.0.0.1:6381": the slot lives there. */
static bool follow(struct redis_client *client, const redisReply *reply)
{
    const char *address = strrchr(reply->str, ' '), *colon = strrchr(reply->str, ':');
    char host[256];
    if (!address || !colon || colon < address || colon - address > (long)sizeof host || ++client->moves > MOVES_MAX)
        return false;
    bool unnamed = colon == address + 1; /* the host that we are at, by the name that we know it by */
    snprintf(host, sizeof host, "%.*s", unnamed ? (int)sizeof host : (int)(colon - address - 1),
             unnamed ? redis_link_host(client->link) : address + 1);
    redis_link_drop(client->link);
    redis_link_aim(client->link, host, (int)strtol(colon + 1, NULL, 10));
    go(client);
    return true;
}

/* That led nowhere: the URL's hosts are tried anew, and of the sentinels another one first, as this one may know an old
 * master only, or say nothing for longer than there is time. */
static void begin_elsewhere(struct redis_client *client)
{
    redis_link_aim(client->link, NULL, 0);
    if (client->sentinel)
        redis_sentinel_doubt(client->sentinel);
}

static void on_reply(void *user, redisReply *reply, const struct err *err)
{
    struct redis_client *client = user;
    struct err words;
    if (err) {
        begin_elsewhere(client);
        finish(client, NULL, err);
        return;
    }
    if (redis_error_is(reply, "NOSCRIPT") && client->script < REDIS_SCRIPTS) {
        client->words.words[0] = "EVAL";
        client->words.lengths[0] = 4;
        client->words.words[1] = redis_script_text(client->script);
        client->words.lengths[1] = strlen(client->words.words[1]);
        client->script = REDIS_SCRIPTS;
        go(client);
        return;
    }
    if (redis_error_is(reply, "MOVED") && follow(client, reply))
        return;
    if (reply->type != REDIS_REPLY_ERROR) {
        finish(client, reply, NULL);
        return;
    }
    redis_error_of_reply(
        reply, &(struct redis_error_context){client->config.url, client->config.name, redis_link_where(client->link)},
        &words);
    if (redis_error_is(reply, "READONLY")) { /* a master no more: who is it now? */
        redis_link_drop(client->link);
        begin_elsewhere(client);
    }
    finish(client, NULL, &words);
}

static void run(struct redis_client *client)
{
    redis_link_run(client->link, client->words.count, client->words.words, client->words.lengths, on_reply);
}

static void on_master(void *user, const char *host, int port, const struct err *err)
{
    struct redis_client *client = user;
    if (err) {
        finish(client, NULL, err);
        return;
    }
    redis_link_aim(client->link, host, port);
    run(client);
}

static void go(struct redis_client *client)
{
    if (client->sentinel && !redis_link_connected(client->link))
        redis_sentinel_find(client->sentinel, SENTINEL_MS, on_master, client);
    else
        run(client);
}

/* Copies `words` behind those that are there already. */
static int keep(struct redis_client *client, const struct redis_words *words)
{
    size_t total = 1;
    for (int i = 0; i < words->count; i++)
        total += words->lengths[i];
    char *next = client->storage = malloc(total);
    if (!next)
        return -1;
    for (int i = 0; i < words->count; i++) {
        memcpy(next, words->words[i], words->lengths[i]);
        redis_add_bytes(&client->words, next, words->lengths[i]);
        next += words->lengths[i];
    }
    return 0;
}

static void start(struct redis_client *client, const struct redis_words *words, redis_done *done)
{
    client->done = done;
    client->moves = 0;
    if (keep(client, words) == 0)
        go(client);
    /* otherwise the time that the gate gives the call will run out */
}

void redis_client_command(struct redis_client *client, const struct redis_words *words, redis_done *done)
{
    if (!client)
        return;
    client->words.count = 0;
    client->script = REDIS_SCRIPTS;
    start(client, words, done);
}

void redis_client_script(struct redis_client *client, enum redis_script script, const struct redis_words *arguments,
                         redis_done *done)
{
    static const char *const number_of_keys = "8";
    _Static_assert(REDIS_KEYS == 8, "said in the word above");
    struct err unused;
    if (!client)
        return;
    client->words.count = 0;
    client->script = script;
    if (redis_script_sha(script, client->sha, &unused) != 0)
        memset(client->sha, '0', sizeof client->sha - 1); /* no script's: NOSCRIPT, and so EVAL */
    redis_add(&client->words, "EVALSHA");
    redis_add(&client->words, client->sha);
    redis_add(&client->words, number_of_keys);
    for (int i = 0; i < REDIS_KEYS; i++)
        redis_add(&client->words, client->keys[i]);
    start(client, arguments, done);
}

struct redis_link *redis_client_link(const struct redis_client *client)
{
    return client->link;
}

void redis_client_drop(struct redis_client *client)
{
    if (!client)
        return;
    if (client->sentinel)
        redis_sentinel_reset(client->sentinel);
    redis_link_drop(client->link);
    if (client->done)
        begin_elsewhere(client);
    else
        redis_link_aim(client->link, NULL, 0);
    free(client->storage);
    client->storage = NULL;
    client->done = NULL;
}

static void on_closed(void *user, const struct err *err)
{
    struct redis_client *client = user;
    if (client->config.closed)
        client->config.closed(client->config.user, err);
}

static void on_message(void *user, const redisReply *message)
{
    struct redis_client *client = user;
    if (client->config.message)
        client->config.message(client->config.user, message);
}

struct redis_client *redis_client_new(const struct redis_link_config *link, char *const keys[REDIS_KEYS])
{
    struct redis_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    struct redis_link_config config = *link;
    bool sentinels = link->url->master != NULL;
    client->config = *link;
    client->keys = keys;
    config.peer = sentinels ? REDIS_PEER_MASTER : REDIS_PEER_SERVER;
    config.closed = on_closed;
    config.message = on_message;
    config.user = client;
    client->link = redis_link_new(&config);
    if (sentinels)
        client->sentinel = redis_sentinel_new(link);
    if (client->link && (client->sentinel || !sentinels))
        return client;
    redis_client_free(client);
    return NULL;
}

void redis_client_free(struct redis_client *client)
{
    if (!client)
        return;
    redis_link_free(client->link);
    redis_sentinel_free(client->sentinel);
    free(client->storage);
    free(client);
}
