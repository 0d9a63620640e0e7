/* The way to the one server that may be written to, which sentinels name, or a cluster's redirections, where there are
 * such. Runs commands, and scripts by their hash. */
#ifndef LOCKSTEP_REDIS_CLIENT_H
#define LOCKSTEP_REDIS_CLIENT_H

#include "redis_link.h"
#include "redis_scripts.h"

#define REDIS_WORDS_MAX 32

struct redis_client;

/* The words of a command or the arguments of a script, collected one by one. */
struct redis_words {
    int count;
    const char *words[REDIS_WORDS_MAX];
    size_t lengths[REDIS_WORDS_MAX];
};

/* Adds `word`, which must live until the command is run. */
void redis_add(struct redis_words *words, const char *word);
void redis_add_bytes(struct redis_words *words, const char *bytes, size_t length);

/* Adds `number`, written into `text`, which must live until the command is run. */
void redis_add_number(struct redis_words *words, char text[24], int64_t number);

/* `link` says whose callbacks get what; its peer is replaced. `keys`: those of the scripts, borrowed. NULL if memory is
 * out. */
struct redis_client *redis_client_new(const struct redis_link_config *link, char *const keys[REDIS_KEYS]);

/* Runs the command `words`, connecting first if need be. As redis_link_run, but an error that the server replied
 * arrives as `err` too. */
void redis_client_command(struct redis_client *client, const struct redis_words *words, redis_done *done);

/* Runs `script` with `arguments` (copied) behind the keys. */
void redis_client_script(struct redis_client *client, enum redis_script script, const struct redis_words *arguments,
                         redis_done *done);

/* The link, for redis_link_connected, redis_link_where and redis_link_break. */
struct redis_link *redis_client_link(const struct redis_client *client);

/* Drops the connection and forgets `done`; the next command finds its way anew. NULL is ignored. */
void redis_client_drop(struct redis_client *client);

/* NULL is ignored. */
void redis_client_free(struct redis_client *client);

#endif
