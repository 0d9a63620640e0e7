#include "url.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define PAIRS_MAX 8
#define PRIMARY   "target_session_attrs", "primary"

/* Rows of the URL table of the research notes, as far as plain libpq URLs go. */
static const struct {
    const char *row, *text;
    const char *pairs[2 * PAIRS_MAX]; /* every keyword and its value, in any order; NULL-ended */
} good[] = {
    {"all parts",
     "postgres://ann:pass@db.example:6543/shop",
     {"user", "ann", "password", "pass", "host", "db.example", "port", "6543", "dbname", "shop"}},
    {"postgresql", "postgresql://h/d", {"host", "h", "dbname", "d"}},
    {"scheme in capitals", "POSTGRESQL://h/d", {"host", "h", "dbname", "d"}},
    {"nothing but the scheme", "postgres://", {NULL}},
    {"no host", "postgres:///d", {"dbname", "d"}},
    {"no database", "postgres://h", {"host", "h"}},
    {"no database, slash", "postgres://h/", {"host", "h"}},
    {"user without password", "postgres://ann@h/d", {"user", "ann", "host", "h", "dbname", "d"}},
    {"user with empty password", "postgres://ann:@h/d", {"user", "ann", "host", "h", "dbname", "d"}},
    {"user and no host", "postgres://ann:pass@/d", {"user", "ann", "password", "pass", "dbname", "d"}},
    {"raw @ in password",
     "postgres://ann:s@cret@h/d",
     {"user", "ann", "password", "s@cret", "host", "h", "dbname", "d"}},
    {"raw # in password", "postgres://ann:s#cr@h/d", {"user", "ann", "password", "s#cr", "host", "h", "dbname", "d"}},
    {"raw : in password", "postgres://ann:s:cr@h/d", {"user", "ann", "password", "s:cr", "host", "h", "dbname", "d"}},
    {"encoded password",
     "postgres://ann:%2f%3F%23%40%3a%25@h/d",
     {"user", "ann", "password", "/?#@:%", "host", "h", "dbname", "d"}},
    {"encoded user and database", "postgres://a%40b@h/d%20e", {"user", "a@b", "host", "h", "dbname", "d e"}},
    {"lone % in password", "postgres://ann:50%@h/d", {"user", "ann", "password", "50%", "host", "h", "dbname", "d"}},
    {"half an escape", "postgres://ann:a%4@h/d", {"user", "ann", "password", "a%4", "host", "h", "dbname", "d"}},
    {"no hex digits", "postgres://ann:a%zz@h/d", {"user", "ann", "password", "a%zz", "host", "h", "dbname", "d"}},
    {"+ is a plus", "postgres://ann:a+b@h/d", {"user", "ann", "password", "a+b", "host", "h", "dbname", "d"}},
    {"IPv4", "postgres://127.0.0.1:5433/d", {"host", "127.0.0.1", "port", "5433", "dbname", "d"}},
    {"IPv6", "postgres://[::1]/d", {"host", "::1", "dbname", "d"}},
    {"IPv6 and port",
     "postgres://ann:pass@[2001:db8::1]:5433/d",
     {"user", "ann", "password", "pass", "host", "2001:db8::1", "port", "5433", "dbname", "d"}},
    {"several hosts", "postgres://a,b,c/d", {"host", "a,b,c", "dbname", "d", PRIMARY}},
    {"several hosts and ports", "postgres://a:1,b:2/d", {"host", "a,b", "port", "1,2", "dbname", "d", PRIMARY}},
    {"several hosts, one port", "postgres://a,b:2,c/d", {"host", "a,b,c", "port", ",2,", "dbname", "d", PRIMARY}},
    {"several hosts, IPv6", "postgres://[::1]:1,b/d", {"host", "::1,b", "port", "1,", "dbname", "d", PRIMARY}},
    {"several, the first one local", "postgres://,b/d", {"host", ",b", "dbname", "d", PRIMARY}},
    {"empty port", "postgres://h:/d", {"host", "h", "dbname", "d"}},
    {"folder",
     "postgres://ann@%2Fvar%2Frun:5433/d",
     {"user", "ann", "host", "/var/run", "port", "5433", "dbname", "d"}},
    {"folder as a parameter", "postgres:///d?host=/var/run", {"dbname", "d", "host", "/var/run"}},
    {"trailing ?", "postgres://h/d?", {"host", "h", "dbname", "d"}},
    {"trailing ? without a path", "postgres://h?", {"host", "h"}},
    {"empty pairs", "postgres://h/d?&application_name=b&&", {"host", "h", "dbname", "d", "application_name", "b"}},
    {"parameter", "postgres://h/d?sslmode=require", {"host", "h", "dbname", "d", "sslmode", "require"}},
    {"parameter without a path", "postgres://h?sslmode=require", {"host", "h", "sslmode", "require"}},
    {"encoded parameter",
     "postgres://h/d?options=-csearch_path%3Dfoo",
     {"host", "h", "dbname", "d", "options", "-csearch_path=foo"}},
    {"= in a value", "postgres://h/d?options=-c a=b", {"host", "h", "dbname", "d", "options", "-c a=b"}},
    {"the last one counts", "postgres://h/d?dbname=e&dbname=f", {"host", "h", "dbname", "f"}},
    {"@ in a parameter", "postgres://h/d?user=ann@server", {"host", "h", "dbname", "d", "user", "ann@server"}},
    {"passed through",
     "postgres://h/d?channel_binding=require&target_session_attrs=read-write&fallback_application_name=b",
     {"host", "h", "dbname", "d", "channel_binding", "require", "target_session_attrs", "read-write",
      "fallback_application_name", "b"}},
    {"encodings are not for us",
     "postgres://h/d?client_encoding=latin1&clientEncoding=x",
     {"host", "h", "dbname", "d"}},
    {"any server is not for us", "postgres://h/d?target_session_attrs=any", {"host", "h", "dbname", "d"}},
    {"a standby is not for us", "postgres://h/d?target_session_attrs=standby", {"host", "h", "dbname", "d"}},
    {"several hosts, any of them",
     "postgres://a,b/d?target_session_attrs=any",
     {"host", "a,b", "dbname", "d", PRIMARY}},
    {"several hosts, one that can write",
     "postgres://a,b/d?target_session_attrs=read-write",
     {"host", "a,b", "dbname", "d", "target_session_attrs", "read-write"}},
    {"several addresses",
     "postgres:///d?hostaddr=127.0.0.1,127.0.0.2",
     {"dbname", "d", "hostaddr", "127.0.0.1,127.0.0.2", PRIMARY}},
    {"hosts as a list", "postgres:///d?host=a,b&port=1,2", {"dbname", "d", "host", "a,b", "port", "1,2", PRIMARY}},
    {"SQLAlchemy's hosts",
     "postgresql+psycopg2://ann@/d?host=127.0.0.1:1&host=b:2&host=c",
     {"user", "ann", "dbname", "d", "host", "127.0.0.1,b,c", "port", "1,2,", PRIMARY}},
    {"... one", "postgresql://ann@/d?host=b:2", {"user", "ann", "dbname", "d", "host", "b", "port", "2"}},
    {"... instead of the other one", "postgresql://a:1/d?host=b:2", {"dbname", "d", "host", "b", "port", "2"}},
    {"another host, the same port", "postgresql://a:1/d?host=b", {"dbname", "d", "host", "b", "port", "1"}},
    {"... and a port for the rest",
     "postgresql:///d?host=b:2&port=9&host=c&host=d:3",
     {"dbname", "d", "host", "b,c,d", "port", "2,9,3", PRIMARY}},
    {"... and ports for each",
     "postgresql:///d?host=b:2,c&port=8,9",
     {"dbname", "d", "host", "b,c", "port", "2,9", PRIMARY}},
    {"a socket with colons", "postgresql:///d?host=/cloudsql/a:b:c", {"dbname", "d", "host", "/cloudsql/a:b:c"}},
    {"IPv6 as a parameter", "postgresql:///d?host=2001:db8::1", {"dbname", "d", "host", "2001:db8::1"}},
    {"IPv6 in brackets as a parameter",
     "postgresql:///d?host=[2001:db8::1]:7",
     {"dbname", "d", "host", "2001:db8::1", "port", "7"}},
    {"numbers",
     "postgres://h/d?connect_timeout=9&keepalives_idle=%207",
     {"host", "h", "dbname", "d", "connect_timeout", "9", "keepalives_idle", " 7"}},
    {"libpq's words in capitals",
     "postgres://h/d?channel_binding=Prefer&ssl_min_protocol_version=tlsv1.2",
     {"host", "h", "dbname", "d", "channel_binding", "prefer", "ssl_min_protocol_version", "TLSv1.2"}},
    {"an empty value is the default",
     "postgres://h/d?channel_binding=&port=",
     {"host", "h", "dbname", "d", "channel_binding", "", "port", ""}},
};

static void plain_urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(good); i++) {
        struct url url;
        struct err err = {.code = ERR_NONE};
        int result = url_parse(&url, good[i].text, "--lock", &err);
        CHECK_TEXT(good[i].row, result == 0 ? "" : err.text, "");
        int pairs = 0;
        for (const char *const *pair = good[i].pairs; *pair; pair += 2, pairs++)
            CHECK_TEXT(good[i].row, url_get(&url, pair[0]), pair[1]);
        CHECK_NUMBER(good[i].row, url.count, pairs);
        CHECK(good[i].row, url.keywords[pairs] == NULL && url.values[pairs] == NULL);
        url_free(&url);
        CHECK_NUMBER(good[i].row, url.count, 0);
    }
}

static void wrong_urls(void **state)
{
    static const struct {
        const char *row, *text, *says;
    } rows[] = {
        {"empty", "", "postgres://"},
        {"no URL", "shop", "postgres://"},
        {"mysql", "mysql://h/d", "postgres://"},
        {"prisma", "prisma://accelerate.example/?api_key=hunter22", "DIRECT_URL"},
        {"prisma+postgres", "prisma+postgres://localhost:51213/?api_key=hunter22", "Accelerate"},
        {"known ones are listed", "postgre://h/d", "unknown scheme postgre://; known are postgres://"},
        {"scheme without slashes", "postgres:h/d", "postgres://"},
        {"conninfo", "host=h dbname=d", "postgres://"},
        {"unknown parameter, @ behind it", "postgres://h/d?nonsense=x&user=a@b", "%3F"},
        {"unknown parameter behind the password", "postgres://h/d?password=x&nonsense=x", "%26"},
        {"wrong sslmode", "postgres://h/d?sslmode=maybe", "verify-full"},
        {"wrong ssl", "postgres://h/d?ssl=maybe", "true, false"},
        {"channel_binding", "postgres://h/d?channel_binding=foo",
         "--lock: channel_binding must be one of disable, prefer"},
        {"target_session_attrs", "postgres://h/d?target_session_attrs=foo", "read-write"},
        {"targetServerType", "jdbc:postgresql://h/d?targetServerType=foo", "targetServerType must be one of any"},
        {"require_auth", "postgres://h/d?require_auth=md5,foo", "must be a list of password, md5"},
        {"require_auth, nothing in it", "postgres://h/d?require_auth=md5,,gss", "require_auth"},
        {"sslnegotiation", "postgres://h/d?sslnegotiation=foo", "postgres, direct"},
        {"gssencmode", "postgres://h/d?gssencmode=foo", "disable, prefer, require"},
        {"load_balance_hosts", "postgres://h/d?load_balance_hosts=foo", "disable, random"},
        {"sslcertmode", "postgres://h/d?sslcertmode=foo", "disable, allow, require"},
        {"ssl_max_protocol_version", "postgres://h/d?ssl_max_protocol_version=1.2", "TLSv1.2"},
        {"port as a parameter", "postgres://h/d?port=abc", "--lock: port must be a number from 1 to 65535"},
        {"... beyond all", "postgres://h/d?port=65536", "1 to 65535"},
        {"... one of several", "postgres://a,b/d?port=1,x", "1 to 65535"},
        {"port of a host as a parameter", "postgres:///d?host=a:x", "port"},
        {"keepalives_idle", "postgres://h/d?keepalives_idle=x", "keepalives_idle must be a whole number"},
        {"connect_timeout", "postgres://h/d?connect_timeout=1s", "connect_timeout must be a whole number"},
        {"loginTimeout", "jdbc:postgresql://h/d?loginTimeout=99999999999", "connect_timeout must be a whole number"},
        {"parameter without a value", "postgres://h/d?sslmode", "without a value"},
        {"port with letters", "postgres://h:54a/d", "port"},
        {"open bracket", "postgres://[::1/d", "bracket"},
        {"something behind the bracket", "postgres://[::1]5433/d", ""},
        {"raw / in password", "postgres://ann:pass/word@h/d", "%2F"},
        {"raw / behind digits in password", "postgres://ann:12/word@h/d", "%2F"},
        {"raw @ and / in password", "postgres://ann:p@ss/word@h/d", "%2F"},
        {"raw ? in password", "postgres://ann:pass?word@h/d", "%3F"},
        {"%00 would cut the value", "postgres://ann:pass%00word@h/d", ""},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct url url;
        struct err err = {.code = ERR_NONE};
        CHECK_NUMBER(rows[i].row, url_parse(&url, rows[i].text, "--lock", &err), -1);
        CHECK_NUMBER(rows[i].row, err.code, ERR_USAGE);
        CHECK(rows[i].row, strstr(err.text, rows[i].says));
        CHECK(rows[i].row, strncmp(err.text, "--lock", 6) == 0);
    }
}

static void too_many_hosts(void **state)
{
    char text[4096] = "postgres://";
    struct url url;
    struct err err;
    (void)state;
    for (int i = 0; i < 1000; i++)
        strcat(text, "h,");
    assert_int_equal(url_parse(&url, text, "--lock", &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
}

static void written_urls(void **state)
{
    static const struct {
        const char *row, *text, *written;
    } rows[] = {
        {"as it is", "postgres://ann:pass@h:1/d?sslmode=require", "postgres://ann:pass@h:1/d?sslmode=require"},
        {"nothing", "postgresql://", "postgres:///"},
        {"encoded", "postgres://a%40b:p%2Fs%3Fs@h/d%20%25", "postgres://a%40b:p%2Fs%3Fs@h/d%20%25"},
        {"a password alone", "postgres://h/d?password=p", "postgres://:p@h/d"},
        {"several hosts", "postgres://h:1,[::1]:2/d", "postgres://h:1,[::1]:2/d"},
        {"a socket", "postgres:///d?host=/var/run&port=7", "postgres://%2Fvar%2Frun:7/d"},
        {"one port for all", "Host=h,g;Port=7;Database=d", "postgres://h:7,g:7/d"},
        {"what only some know", "jdbc:postgresql://h/d?user=ann&ApplicationName=x", "postgres://ann@h/d"},
        {"a search path", "postgres://h/d?schema=s", "postgres://h/d?options=-c%20search_path%3D%22s%22"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct url url;
        struct err err;
        CHECK_NUMBER(rows[i].row, url_parse(&url, rows[i].text, "--lock", &err), 0);
        char *written = url_write(&url);
        CHECK_TEXT(rows[i].row, written, rows[i].written);
        free(written);
        url_free(&url);
    }
}

static void schemes(void **state)
{
    static const struct {
        const char *row, *text;
        bool has;
    } rows[] = {
        {"same", "postgres://", true},
        {"capitals", "PostGres://h", true},
        {"longer", "postgresql://", false},
        {"shorter", "postgre://", false},
        {"one slash", "postgres:/", false},
        {"cut", "post", false},
        {"empty", "", false},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++)
        CHECK_NUMBER(rows[i].row, url_has_scheme(rows[i].text, "postgres"), rows[i].has);
}

int unit_url(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_urls),   cmocka_unit_test(wrong_urls), cmocka_unit_test(too_many_hosts),
        cmocka_unit_test(written_urls), cmocka_unit_test(schemes),
    };
    return UNIT_RUN("url", tests);
}
