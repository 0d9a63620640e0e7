/* What every part of the Postgres meeting place needs. */
#include "postgres_internal.h"

#include "digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void postgres_reply(struct postgres *p, enum op op, enum op_result result, const struct look *look,
                    const struct err *err)
{
    p->base.config.handlers.reply(p->base.config.user, op, result, look, err);
}

void postgres_reply_error(struct postgres *p, enum op op, const struct err *err)
{
    postgres_reply(p, op, backend_result(err), NULL, err);
}

/* The remedy for a missing permission, with the names in place. */
void postgres_explain_permission(struct postgres *p, struct pg_link *link, struct err *err, const char *sqlstate)
{
    PGconn *conn = pg_link_conn(link);
    if (strcmp(sqlstate, "42501") != 0 || !conn)
        return;
    const char *schema = p->base.config.schema, *user = PQuser(conn);
    err_set(
        err, ERR_REFUSED,
        "%s; either GRANT CREATE ON DATABASE \"%s\" TO \"%s\", or let a DBA apply what `lockstep schema` prints and "
        "GRANT USAGE ON SCHEMA \"%s\" TO \"%s\"; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \"%s\" "
        "TO \"%s\"",
        err->text, PQdb(conn), user, schema, user, schema, user);
}

bool postgres_is_missing_table(const char *sqlstate)
{
    return strcmp(sqlstate, "42P01") == 0 || strcmp(sqlstate, "3F000") == 0;
}

/* Whether the connection goes to the backend that answers: a pooler makes up the process id that it tells a client
 * (measured with PgBouncer; others are known to do so). Behind one, NOTIFY never arrives. */
void postgres_learn_pid(struct postgres *p, const char *backend_pid)
{
    if (p->holding || p->base.config.part == BACKEND_RECORDS)
        return;
    p->pooled = strtol(backend_pid, NULL, 10) != PQbackendPID(pg_link_conn(p->lock));
    if (!p->introduced)
        p->base.config.handlers.connected(p->base.config.user, p->pooled);
    p->introduced = true;
}

bool postgres_refuse_standby(struct postgres *p, enum op op, bool standby)
{
    if (!standby)
        return false;
    struct err err;
    char shown[256];
    url_show(&p->url, shown, sizeof shown);
    err_set(&err, ERR_UNAVAILABLE,
            "%s is a hot standby (read-only), where every standby gives its own locks; name the "
            "primary, or several hosts with target_session_attrs=read-write",
            shown);
    postgres_reply_error(p, op, &err);
    return true;
}

struct pg_param postgres_number(char text[24], long long number)
{
    snprintf(text, 24, "%lld", number);
    return postgres_text(text);
}

/* DESIGN section 4: the first 8 bytes of SHA-256("lockstep:" name), as the lock's key and in hex as the channel. */
int postgres_derive_key(struct postgres *p, struct err *err)
{
    unsigned char hash[DIGEST_SIZE];
    if (p->channel[0])
        return 0;
    struct digest *digest = digest_begin();
    if (!digest)
        return err_set(err, ERR_SYSTEM, "libcrypto has no SHA-256");
    digest_add(digest, "lockstep:", 9);
    digest_add(digest, p->base.config.name, strlen(p->base.config.name));
    digest_end(digest, hash);
    for (int i = 0; i < 8; i++)
        p->key = p->key << 8 | hash[i];
    strcpy(p->channel, "lockstep_");
    digest_hex(hash, 8, p->channel + strlen(p->channel));
    return 0;
}

char *postgres_all_ddl(const struct pg_records *records)
{
    size_t capacity = strlen(records->sql[PG_SCHEMA]) + strlen(records->sql[PG_TABLES]) + 1;
    char *ddl = malloc(capacity);
    if (ddl)
        snprintf(ddl, capacity, "%s%s", records->sql[PG_SCHEMA], records->sql[PG_TABLES]);
    return ddl;
}
