/* What the files of the Postgres meeting place share: postgres.c (connections, the lock, listening), postgres_look.c
 * and postgres_run.c (the records), postgres_shared.c. */
#ifndef LOCKSTEP_POSTGRES_INTERNAL_H
#define LOCKSTEP_POSTGRES_INTERNAL_H

#include "backend.h"
#include "later.h"
#include "pg_link.h"
#include "pg_records.h"

#include <stdbool.h>

/* Two connections (DESIGN section 4): `lock` holds the transaction with the advisory lock, or listens; the clerk, used
 * while the lock is held, writes what must be visible while that transaction stays open. */
struct postgres {
    struct backend base;
    struct url url;
    struct pg_records records;
    struct pg_link *lock, *clerk;
    char application_name[64];
    char database[64]; /* name of the one that the command migrates, "" = that of the URL */
    char channel[32];
    uint64_t key;
    bool holding;
    bool pooled;     /* a pooler is in between: nobody can wake us */
    bool introduced; /* handlers.connected was told */
    struct later *later;
    /* Parameters of the statement in flight point into these. */
    char token_text[24], attempt_text[24], status_text[24], pid_text[24];
    char line[LINE_CAPACITY];
    struct look_ask asked_look;
    backend_rows *asked_rows;
    void *asked_rows_user;
    bool applied, ahead; /* what the first statement of the look found */
    struct mark asked_mark;
    int mark_tries, beat_tries;
    bool telling, mark_waits; /* the clerk is busy with progress; a mark follows */
};

static inline struct postgres *postgres_of(struct backend *b)
{
    return (struct postgres *)b;
}

/* Answers `op`. */
void postgres_reply(struct postgres *p, enum op op, enum op_result result, const struct look *look,
                    const struct err *err);

/* Answers `op` with the result that `err` stands for. */
void postgres_reply_error(struct postgres *p, enum op op, const struct err *err);

/* Answers `op` with a refusal if `standby`; true if it did. */
bool postgres_refuse_standby(struct postgres *p, enum op op, bool standby);

/* Works out p->key and p->channel, once. -1 with `err` if libcrypto fails. */
int postgres_derive_key(struct postgres *p, struct err *err);

/* Compares what the server says is its process id with what the connection said (postgres_shared.c tells why). */
void postgres_learn_pid(struct postgres *p, const char *backend_pid);

/* Adds to `err` the remedy for a missing permission, with the names in place. */
void postgres_explain_permission(struct postgres *p, struct pg_link *link, struct err *err, const char *sqlstate);

/* The statements that make schema and tables. The caller frees them. NULL if memory is out. */
char *postgres_all_ddl(const struct pg_records *records);

/* Whether `sqlstate` says that the record tables are not there. */
bool postgres_is_missing_table(const char *sqlstate);

static inline struct pg_param postgres_text(const char *value)
{
    return (struct pg_param){.value = value};
}

/* The number as a parameter; `text` must live as long as the statement. */
struct pg_param postgres_number(char text[24], long long number);

/* The ops that live in the other files; backend.h has their contract. */
void postgres_look(struct backend *b, const struct look_ask *ask);
void postgres_query(struct backend *b, const char *sql, backend_rows *done, void *user);
void postgres_mark(struct backend *b, const struct mark *mark);
void postgres_fence(struct backend *b, uint64_t below);
void postgres_progress(struct backend *b, uint64_t token, const char *last_line);
void postgres_end(struct backend *b, const struct ending *ending);

#endif
