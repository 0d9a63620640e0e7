#include "url_kit.h"

#include "unit.h"
#include "url.h"

#include <string.h>

/* How many keywords the URL has that only a newer libpq than this test's may know; they have libpq's own words. */
static int known_to_newer(const struct url *url)
{
    static const char *const newer[][2] = {
        {"load_balance_hosts", "random disable"}, {"sslnegotiation", "direct"}, {"require_auth", "scram-sha-256,md5"}};
    int count = 0;
    for (size_t i = 0; i < UNIT_COUNT(newer); i++) {
        const char *value = url_get(url, newer[i][0]);
        if (value)
            CHECK(newer[i][0], strstr(newer[i][1], value));
        count += value != NULL;
    }
    return count;
}

void check_url_rows(const struct url_row rows[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct url_row *row = &rows[i];
        struct url url;
        struct err err = {.code = ERR_NONE};
        CHECK(row->row, url_is_postgres(row->text));
        int result = url_parse(&url, row->text, "DATABASE_URL", &err);
        CHECK_TEXT(row->row, result == 0 ? "" : err.text, "");
        int pairs = 0;
        for (const char *const *pair = row->pairs; *pair; pair += 2, pairs++)
            CHECK_TEXT(row->row, url_get(&url, pair[0]), pair[1]);
        CHECK_TEXT(row->row, url.schema, row->schema);
        CHECK_TEXT(row->row, url.dropped, row->dropped ? row->dropped : "");
        CHECK_NUMBER(row->row, url.pooled, row->pooled);
        CHECK_NUMBER(row->row, url.count - known_to_newer(&url), pairs);
        url_free(&url);
    }
}
