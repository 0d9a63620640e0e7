#include "redis_url.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *row, *text;
    struct redis_url url; /* what it comes to; hosts are counted by their names */
} good[] = {
    {"all parts",
     "redis://ann:pass@cache.example:7000/3",
     {.user = "ann", .password = "pass", .hosts = {{"cache.example", 7000}}, .database = 3}},
    {"host only", "redis://h", {.hosts = {{"h", 6379}}}},
    {"trailing slash", "redis://h/", {.hosts = {{"h", 6379}}}},
    {"scheme in capitals", "REDISS://h", {.tls = true, .hosts = {{"h", 6379}}}},
    {"nothing but the scheme", "redis://", {.hosts = {{"localhost", 6379}}}},
    {"no host", "redis:///2", {.hosts = {{"localhost", 6379}}, .database = 2}},
    {"port without a host", "redis://:7000", {.hosts = {{"localhost", 7000}}}},
    {"password and no host", "redis://:pass@/1", {.password = "pass", .hosts = {{"localhost", 6379}}, .database = 1}},
    {"empty port", "redis://h:/1", {.hosts = {{"h", 6379}}, .database = 1}},
    {"password alone", "redis://:pass@h", {.password = "pass", .hosts = {{"h", 6379}}}},
    {"neither user nor password", "redis://:@h", {.hosts = {{"h", 6379}}}},
    {"raw @ in password", "redis://:s@cret@h", {.password = "s@cret", .hosts = {{"h", 6379}}}},
    {"raw @ at the end of the password", "redis://:secret@@h", {.password = "secret@", .hosts = {{"h", 6379}}}},
    {"raw # : , [ in password", "redis://u:s#:,[t@h", {.user = "u", .password = "s#:,[t", .hosts = {{"h", 6379}}}},
    {"encoded password", "redis://:%2f%3F%23%40%3a%25@h", {.password = "/?#@:%", .hosts = {{"h", 6379}}}},
    {"encoded user", "redis://a%3Ab:pass@h", {.user = "a:b", .password = "pass", .hosts = {{"h", 6379}}}},
    {"lone % in password", "redis://:50%@h", {.password = "50%", .hosts = {{"h", 6379}}}},
    {"+ is a plus", "redis://:a+b@h", {.password = "a+b", .hosts = {{"h", 6379}}}},
    {"IPv4", "redis://127.0.0.1:1", {.hosts = {{"127.0.0.1", 1}}}},
    {"IPv6", "redis://[::1]/1", {.hosts = {{"::1", 6379}}, .database = 1}},
    {"IPv6 and port", "rediss://[2001:db8::1]:65535", {.tls = true, .hosts = {{"2001:db8::1", 65535}}}},
    {"several hosts", "redis://a,b:2,[::1]:3/4", {.hosts = {{"a", 6379}, {"b", 2}, {"::1", 3}}, .database = 4}},
    {"database as a parameter", "redis://h?db=5", {.hosts = {{"h", 6379}}, .database = 5}},
    {"the same database twice", "redis://h/5?db=5", {.hosts = {{"h", 6379}}, .database = 5}},
    {"leading zeros", "redis://h/005?db=5", {.hosts = {{"h", 6379}}, .database = 5}},
    {"encoded database", "redis://h/%31", {.hosts = {{"h", 6379}}, .database = 1}},
    {"great database", "redis://h/999999999", {.hosts = {{"h", 6379}}, .database = 999999999}},
    {"redis-py's parameters for the user",
     "redis://h?username=ann&password=p%26q",
     {.user = "ann", .password = "p&q", .hosts = {{"h", 6379}}}},
    {"ignored parameters", "redis://h?family=4&protocol=3", {.hosts = {{"h", 6379}}}},
    {"trailing ?", "redis://h/1?", {.hosts = {{"h", 6379}}, .database = 1}},
    {"empty pairs", "redis://h?&db=1&&", {.hosts = {{"h", 6379}}, .database = 1}},
    {"the last one counts", "rediss://h?cacert=a&cacert=b", {.tls = true, .cacert = "b", .hosts = {{"h", 6379}}}},
    {"TLS files",
     "rediss://h?cacert=/etc/ca%20s.pem&cert=/c=d&key=/k@l",
     {.tls = true, .cacert = "/etc/ca s.pem", .cert = "/c=d", .key = "/k@l", .hosts = {{"h", 6379}}}},
    {"TLS files, redis-py",
     "rediss://h?ssl_ca_certs=/ca&ssl_certfile=/c&ssl_keyfile=/k",
     {.tls = true, .cacert = "/ca", .cert = "/c", .key = "/k", .hosts = {{"h", 6379}}}},
    {"empty file", "rediss://h?cacert=", {.tls = true, .hosts = {{"h", 6379}}}},
    {"ssl_cert_reqs=none", "rediss://h?ssl_cert_reqs=none", {.tls = true, .insecure = true, .hosts = {{"h", 6379}}}},
    {"as Celery has it", "rediss://h?ssl_cert_reqs=CERT_NONE", {.tls = true, .insecure = true, .hosts = {{"h", 6379}}}},
    {"ssl_cert_reqs=required", "rediss://h?ssl_cert_reqs=required", {.tls = true, .hosts = {{"h", 6379}}}},
    {"redis+unix", "redis+unix:///run/redis.sock", {.socket = "/run/redis.sock"}},
    {"unix", "unix:///run/redis.sock?db=2", {.socket = "/run/redis.sock", .database = 2}},
    {"unix, user", "unix://ann:pass@/r", {.user = "ann", .password = "pass", .socket = "/r"}},
    {"unix, redis-py", "unix://ann@/r?password=pass", {.user = "ann", .password = "pass", .socket = "/r"}},
    {"unix, encoded", "unix:///a%40b%3Fc", {.socket = "/a@b?c"}},
    {"sentinel", "redis+sentinel://h/mymaster", {.master = "mymaster", .hosts = {{"h", 26379}}}},
    {"sentinel, empty database", "redis+sentinel://h/mymaster/", {.master = "mymaster", .hosts = {{"h", 26379}}}},
    {"sentinel, encoded master", "redis+sentinel://h/a%2Fb", {.master = "a/b", .hosts = {{"h", 26379}}}},
    {"sentinel, database as a parameter",
     "redis+sentinel://h/m?db=2",
     {.master = "m", .hosts = {{"h", 26379}}, .database = 2}},
    {"sentinels",
     "rediss+sentinel://ann:pa@ss@h1,h2:5,[::1]/m/2?sentinel_username=sue&sentinel_password=s%40l&cacert=/ca",
     {.tls = true,
      .user = "ann",
      .password = "pa@ss",
      .sentinel_user = "sue",
      .sentinel_password = "s@l",
      .cacert = "/ca",
      .master = "m",
      .hosts = {{"h1", 26379}, {"h2", 5}, {"::1", 26379}},
      .database = 2}},
    {"sentinel's password alone",
     "redis+sentinel://h/m?sentinel_password=s&sentinel_username=",
     {.sentinel_password = "s", .master = "m", .hosts = {{"h", 26379}}}},
};

static void check_url(const char *row, const struct redis_url *url, const struct redis_url *expected)
{
    int hosts = 0;
    for (; hosts < REDIS_HOSTS_MAX && expected->hosts[hosts].name; hosts++) {
        CHECK_TEXT(row, url->hosts[hosts].name, expected->hosts[hosts].name);
        CHECK_NUMBER(row, url->hosts[hosts].port, expected->hosts[hosts].port);
    }
    CHECK_NUMBER(row, url->host_count, hosts);
    CHECK_NUMBER(row, url->tls, expected->tls);
    CHECK_NUMBER(row, url->insecure, expected->insecure);
    CHECK_NUMBER(row, url->database, expected->database);
    CHECK_TEXT(row, url->socket, expected->socket);
    CHECK_TEXT(row, url->master, expected->master);
    CHECK_TEXT(row, url->user, expected->user);
    CHECK_TEXT(row, url->password, expected->password);
    CHECK_TEXT(row, url->sentinel_user, expected->sentinel_user);
    CHECK_TEXT(row, url->sentinel_password, expected->sentinel_password);
    CHECK_TEXT(row, url->cacert, expected->cacert);
    CHECK_TEXT(row, url->cert, expected->cert);
    CHECK_TEXT(row, url->key, expected->key);
}

static void plain_urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(good); i++) {
        struct redis_url url;
        struct err err = {.code = ERR_NONE};
        CHECK(good[i].row, redis_url_is(good[i].text));
        int result = redis_url_parse(&url, good[i].text, "--lock", &err);
        CHECK_TEXT(good[i].row, result == 0 ? "" : err.text, "");
        check_url(good[i].row, &url, &good[i].url);
        redis_url_free(&url);
        CHECK(good[i].row, !url.storage);
    }
}

static void wrong_urls(void **state)
{
    static const struct {
        const char *row, *text, *says;
    } rows[] = {
        {"empty", "", "redis://"},
        {"postgres", "postgres://h", "redis://"},
        {"user without password", "redis://ann@h", ":PASSWORD@HOST"},
        {"user with empty password", "redis://ann:@h", ":PASSWORD@HOST"},
        {"user without password, socket", "unix://ann@/r", ":PASSWORD@HOST"},
        {"port with letters", "redis://h:63a", "port"},
        {"port 0", "redis://h:0", "port"},
        {"port too great", "redis://h:65536", "port"},
        {"long port", "redis://h:006379", "port"},
        {"IPv6 without brackets", "redis://::1", "port"},
        {"open bracket", "redis://[::1", "bracket"},
        {"something behind the bracket", "redis://[::1]6379", "bracket"},
        {"empty host in a list", "redis://a,,b", "empty item"},
        {"empty host first", "redis://,b", "empty item"},
        {"empty host last", "redis://a,", "empty item"},
        {"port without a host in a list", "redis://a,:1", "empty item"},
        {"too many hosts", "redis://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "more than 16"},
        {"database with letters", "redis://h/1a", "redis://HOST/3"},
        {"negative database", "redis://h/-1", "redis://HOST/3"},
        {"database too great", "redis://h/2147483648", "redis://HOST/3"},
        {"empty db", "redis://h?db=", "redis://HOST/3"},
        {"db with letters", "redis://h?db=one", "redis://HOST/3"},
        {"two databases", "redis://h/1?db=2", "two databases"},
        {"two databases, one of them 0", "redis://h/1?db=0", "two databases"},
        {"more path", "redis://h/1/2", "behind its database"},
        {"more path, empty", "redis://h/1/", "behind its database"},
        {"more path, sentinel", "redis+sentinel://h/m/1/2", "behind its database"},
        {"unknown parameter", "redis://h?timeout=1", "\"timeout\"; known are db, "},
        {"unknown encoded parameter", "redis://h?%74imeout=1", "\"timeout\""},
        {"the list of parameters is whole", "redis://h?timeout=1", ", family, protocol"},
        {"parameter without a value", "redis://h?insecure", "without a value"},
        {"no flag", "rediss://h?insecure=maybe", "insecure"},
        {"empty flag", "rediss://h?insecure=", "insecure"},
        {"unknown ssl_cert_reqs", "rediss://h?ssl_cert_reqs=optional", "ssl_cert_reqs"},
        {"cert without key", "rediss://h?cert=/c", "cert and key"},
        {"key without cert", "rediss://h?key=/k&cert=", "cert and key"},
        {"cacert without TLS", "redis://h?cacert=/ca", "rediss://"},
        {"insecure without TLS", "redis://h?insecure=1", "rediss://"},
        {"ssl_cert_reqs without TLS", "redis://h?ssl_cert_reqs=none", "rediss://"},
        {"cert and key without TLS", "redis+sentinel://h/m?cert=/c&key=/k", "rediss+sentinel://"},
        {"cacert on a socket", "unix:///r?cacert=/ca", "rediss://"},
        {"sentinel's password without sentinels", "redis://h?sentinel_password=s", "redis+sentinel://"},
        {"sentinel's user without password", "redis+sentinel://h/m?sentinel_username=s", "sentinel_password"},
        {"sentinel without master", "redis+sentinel://h1,h2", "/mymaster/0"},
        {"sentinel with a slash", "redis+sentinel://h1,h2/", "/mymaster/0"},
        {"sentinel with an empty master", "redis+sentinel://h1,h2//0", "/mymaster/0"},
        {"socket without a path", "unix://", "unix:///run/redis.sock"},
        {"socket named by a slash", "unix:///", "unix:///run/redis.sock"},
        {"relative socket", "unix://run/redis.sock", "unix:///run/redis.sock"},
        {"raw / in password", "redis://:pass/word@h", "%2F"},
        {"raw / behind digits in password", "redis://:12/word@h", "%2F"},
        {"raw / in a socket's password", "unix://:pa/ss@/r", "%2F"},
        {"raw @ and / in password", "redis://:p@ss/word@h", "%2F"},
        {"raw ? in password", "redis://:pass?word@h", "%3F"},
        {"raw ? and = behind digits", "redis://:12?word=1@h", "%3F"},
        {"raw & in sentinel_password", "redis+sentinel://h/m?sentinel_password=a&b=c", "%26"},
        {"%00 in the password", "redis://:pass%00word@h", "%00"},
        {"%00 in a parameter", "rediss://h?cacert=/ca%00", "%00"},
        {"%00 in a socket", "unix:///r%00", "%00"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct redis_url url;
        struct err err = {.code = ERR_NONE};
        CHECK_NUMBER(rows[i].row, redis_url_parse(&url, rows[i].text, "--lock", &err), -1);
        CHECK_NUMBER(rows[i].row, err.code, ERR_USAGE);
        if (!strstr(err.text, rows[i].says))
            CHECK_TEXT(rows[i].row, err.text, rows[i].says);
        CHECK(rows[i].row, strncmp(err.text, "--lock", 6) == 0);
    }
}

static void flags(void **state)
{
    static const struct {
        const char *value;
        bool on;
    } rows[] = {
        {"1", true},  {"true", true},   {"yes", true}, {"on", true},   {"YES", true},
        {"0", false}, {"false", false}, {"no", false}, {"off", false}, {"False", false},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct redis_url url;
        struct err err;
        char text[64];
        snprintf(text, sizeof text, "rediss://h?insecure=%s", rows[i].value);
        CHECK_NUMBER(rows[i].value, redis_url_parse(&url, text, "--lock", &err), 0);
        CHECK_NUMBER(rows[i].value, url.insecure, rows[i].on);
        redis_url_free(&url);
    }
}

static void as_many_hosts_as_fit(void **state)
{
    struct redis_url url;
    struct err err;
    (void)state;
    assert_int_equal(redis_url_parse(&url, "redis://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "--lock", &err), 0);
    assert_int_equal(url.host_count, REDIS_HOSTS_MAX);
    assert_string_equal(url.hosts[REDIS_HOSTS_MAX - 1].name, "16");
    redis_url_free(&url);
}

static void other_schemes_are_not_ours(void **state)
{
    static const char *const rows[] = {
        "",
        "redis",
        "redis:",
        "redis:/h",
        "redi://h",
        "redisss://h",
        "redis+tls://h",
        "valkey:x",
        "unix:/r",
        "redis+unixs://",
        "rediss+unix://",
        "postgres://h",
        "sentinel://h/m/0",
        " redis://h",
        "file:/r",
        "redis+://",
        "xredis://h",
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++)
        CHECK(rows[i], !redis_url_is(rows[i]));
}

static void no_part_of_a_password_is_said(void **state)
{
    static const struct {
        const char *row, *text, *password;
    } rows[] = {
        {"shown", "redis://ann:Xq7zKw9v@h/0", "Xq7zKw9v"},
        {"shown, alone", "rediss://:Xq7zKw9v@h", "Xq7zKw9v"},
        {"shown, socket", "unix://:Xq7zKw9v@/r", "Xq7zKw9v"},
        {"shown, sentinels", "redis+sentinel://:Xq7z@Kw9v@h/m?sentinel_password=Xq7z@Kw9v", "Xq7z@Kw9v"},
        {"shown, parameter", "redis://h?password=Xq7zKw9v", "Xq7zKw9v"},
        {"without the colon", "redis://Xq7zKw9v@h", "Xq7zKw9v"},
        {"unknown scheme", "redist://:Xq7zKw9v@h", "Xq7zKw9v"},
        {"unknown parameter", "redis://:Xq7zKw9v@h?nonsense=1", "Xq7zKw9v"},
        {"wrong port", "redis://:Xq7zKw9v@h:bad", "Xq7zKw9v"},
        {"wrong database", "redis://:Xq7zKw9v@h/bad", "Xq7zKw9v"},
        {"no master", "redis+sentinel://:Xq7zKw9v@h", "Xq7zKw9v"},
        {"TLS parameter", "redis://:Xq7zKw9v@h?cacert=/ca", "Xq7zKw9v"},
        {"cert without key", "rediss://:Xq7zKw9v@h?cert=/c", "Xq7zKw9v"},
        {"%00", "redis://:%00Xq7zKw9v@h", "Xq7zKw9v"},
        {"raw /", "redis://:Xq7z/Kw9v@h", "Xq7z/Kw9v"},
        {"raw / behind digits", "redis://:4711/Kw9v@h", "4711/Kw9v"},
        {"raw / behind digits, sentinels", "redis+sentinel://:4711/Kw9v@h/m", "4711/Kw9v"},
        {"raw / in a socket's", "unix://:Xq7z/Kw9v@/r", "Xq7z/Kw9v"},
        {"raw ? in a socket's", "unix://:Xq7z?Kw9v@/r", "Xq7z?Kw9v"},
        {"raw ?", "redis://:Xq7z?Kw9v@h", "Xq7z?Kw9v"},
        {"raw ? behind digits", "redis://:4711?Kw9v@h", "4711?Kw9v"},
        {"raw ? and = behind digits", "redis://ann:4711?Kw9v=Bn5m@h", "4711?Kw9v=Bn5m"},
        {"raw ? and a known name", "redis://ann:4711?db=Bn5m@h", "4711?db=Bn5m"},
        {"raw ? and a known flag", "rediss://ann:4711?insecure=Bn5m@h", "Bn5m"},
        {"raw ? & = behind digits", "redis://ann:4711?db=1&Kw9v=Bn5m@h", "4711?db=1&Kw9v=Bn5m"},
        {"raw @ ? =", "redis://ann:Xq7z@Kw?Bn5m=1@h", "Xq7z@Kw?Bn5m=1"},
        {"raw @ /", "redis://ann:Xq7z@Kw9v/Bn5m@h", "Xq7z@Kw9v/Bn5m"},
        {"raw @ / digits", "redis://ann:Xq7z@Kw9v/4711?Bn5m@h", "Xq7z@Kw9v/4711?Bn5m"},
        {"raw [", "redis://ann:[Xq7z/Kw9v@h", "[Xq7z/Kw9v"},
        {"raw ,", "redis://ann:Xq7z,/Kw9v@h", "Xq7z,/Kw9v"},
        {"raw & in a parameter", "redis+sentinel://h/m?sentinel_password=Xq7z&Kw9v=Bn5m", "Xq7z&Kw9v=Bn5m"},
        {"raw & in redis-py's parameter", "redis://h?password=Xq7z&Kw9v", "Xq7z&Kw9v"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct redis_url url;
        struct err err = {.code = ERR_NONE};
        char said[sizeof err.text];
        if (redis_url_parse(&url, rows[i].text, "--lock", &err) == 0) {
            redis_url_show(&url, said, sizeof said);
            redis_url_free(&url);
        } else {
            strcpy(said, err.text);
        }
        CHECK_NO_PART(rows[i].row, said, rows[i].password);
    }
}

static void shown_urls(void **state)
{
    static const struct {
        const char *row, *text, *shown;
    } rows[] = {
        {"all parts", "redis://ann:pass@h:1/2?family=4", "redis://ann@h:1/2"},
        {"defaults", "REDISS://", "rediss://localhost:6379/0"},
        {"several hosts", "redis://a,[::1]:2", "redis://a:6379,[::1]:2/0"},
        {"socket", "redis+unix://ann:pass@/run/redis.sock?db=2", "unix:/run/redis.sock"},
        {"sentinels", "redis+sentinel://:pass@h1,h2:3/m/4", "redis+sentinel://h1:26379,h2:3/m/4"},
        {"sentinels, TLS", "rediss+sentinel://ann:pass@h1/m", "rediss+sentinel://ann@h1:26379/m/0"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct redis_url url;
        struct err err;
        char shown[64];
        CHECK_NUMBER(rows[i].row, redis_url_parse(&url, rows[i].text, "--lock", &err), 0);
        redis_url_show(&url, shown, sizeof shown);
        CHECK_TEXT(rows[i].row, shown, rows[i].shown);
        for (size_t capacity = 1; capacity <= strlen(rows[i].shown); capacity++) {
            char cut[64];
            memset(cut, 'x', sizeof cut);
            redis_url_show(&url, cut, capacity);
            CHECK_NUMBER(rows[i].row, strlen(cut), capacity - 1);
            CHECK(rows[i].row, strncmp(cut, shown, capacity - 1) == 0 && cut[capacity] == 'x');
        }
        redis_url_free(&url);
    }
}

int unit_redis_url(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_urls),
        cmocka_unit_test(wrong_urls),
        cmocka_unit_test(flags),
        cmocka_unit_test(as_many_hosts_as_fit),
        cmocka_unit_test(other_schemes_are_not_ours),
        cmocka_unit_test(no_part_of_a_password_is_said),
        cmocka_unit_test(shown_urls),
    };
    return UNIT_RUN("redis_url", tests);
}
