#include "mask.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_CAPACITY 512

/* `learned` are URLs whose passwords are known; NULL = none. */
static const struct {
    const char *row, *learned[2], *text, *expected;
} rows[] = {
    {"nothing to hide", {NULL}, "ready in 5 s", "ready in 5 s"},
    {"empty", {NULL}, "", ""},
    {"URL alone", {NULL}, "postgres://ann:pass@h/d", "postgres://ann:***@h/d"},
    {"URL in a text", {NULL}, "at postgres://ann:pass@h/d now", "at postgres://ann:***@h/d now"},
    {"any scheme", {NULL}, "rediss://:pass@h:1", "rediss://:***@h:1"},
    {"two in a line", {NULL}, "a://u:one@h b://v:two@i", "a://u:***@h b://v:***@i"},
    {"two joined by a comma", {NULL}, "a://u:one@h,b://v:two@i", "a://u:***@h,b://v:***@i"},
    {"three in a line, one without", {NULL}, "a://u:one@h b://h/x c://w:three@j", "a://u:***@h b://h/x c://w:***@j"},
    {"in quotes", {NULL}, "url \"a://u:one@h\" bad", "url \"a://u:***@h\" bad"},
    {"no password", {NULL}, "a://u@h:1/x", "a://u@h:1/x"},
    {"no user info", {NULL}, "a://h:1/x", "a://h:1/x"},
    {"raw @ in it", {NULL}, "a://u:o@ne@h/x", "a://u:***@h/x"},
    {"raw / in it", {NULL}, "a://u:o/ne@h/x", "a://u:***@h/x"},
    {"raw # in it", {NULL}, "a://u:o#ne@h/x", "a://u:***@h/x"},
    {"short in a URL", {NULL}, "a://u:p@h/x", "a://u:***@h/x"},
    {"conninfo", {NULL}, "host=h password=pass user=u", "host=h password=*** user=u"},
    {"conninfo, quoted", {NULL}, "password='a b' user=u", "password='***' user=u"},
    {"conninfo, escaped quote", {NULL}, "password='a\\'b' user=u", "password='***' user=u"},
    {"conninfo, spaces", {NULL}, "password = pass user=u", "password = *** user=u"},
    {"conninfo, open quote", {NULL}, "password='a b", "password='***"},
    {"conninfo, escape at the end", {NULL}, "password='a\\", "password='***"},
    {"no value", {NULL}, "password=", "password="},
    {"no value, text behind", {NULL}, "password authentication failed", "password authentication failed"},
    {"variable", {NULL}, "PGPASSWORD=pass psql", "PGPASSWORD=*** psql"},
    {"variable in a list", {NULL}, "A=1;PGPASSWORD=pass;B=2", "A=1;PGPASSWORD=***;B=2"},
    {"parameter of a URL", {NULL}, "a://h/d?password=pass&x=1", "a://h/d?password=***&x=1"},
    {"both kinds", {NULL}, "a://u:one@h PGPASSWORD=two", "a://u:***@h PGPASSWORD=***"},
    {"learned, in the open", {"postgres://ann:hunter22@h/d"}, "hunter22, hunter22!", "***, ***!"},
    {"learned, encoded: raw form", {"postgres://ann:hun%74er22@h/d"}, "is hun%74er22", "is ***"},
    {"learned, encoded: decoded form", {"postgres://ann:hun%74er22@h/d"}, "is hunter22", "is ***"},
    {"learned, lone %", {"postgres://ann:hunter%2@h/d"}, "is hunter%2", "is ***"},
    {"learned from conninfo", {"host=h password='hunter 22'"}, "is hunter 22.", "is ***."},
    {"learned, too short", {"postgres://ann:abc@h/d"}, "abc in abcde", "abc in abcde"},
    {"learned, too short, in its URL", {"postgres://ann:abc@h/d"}, "postgres://ann:abc@h/d", "postgres://ann:***@h/d"},
    {"equal to the user", {"postgres://shop:shop@h/d"}, "no role shop", "no role shop"},
    {"equal to the database", {"postgres://ann:shop@h/shop"}, "no database shop", "no database shop"},
    {"equal to the user, in its URL",
     {"postgres://shop:shop@h/d"},
     "postgres://shop:shop@h/d",
     "postgres://shop:***@h/d"},
    {"two learned", {"postgres://a:hunter22@h/d", "redis://:tiger33@h"}, "hunter22tiger33", "******"},
    {"two learned, one begins the other",
     {"postgres://a:hunter22@h/d", "redis://:hunter22more@h"},
     "hunter22more",
     "***"},
    {"a learned one begins an unknown one", {"postgres://a:hunter22@h/d"}, "b://u:hunter22more@h", "b://u:***@h"},
    {"a learned one begins a named one", {"postgres://a:hunter22@h/d"}, "PGPASSWORD=hunter22more", "PGPASSWORD=***"},
    {"a learned one in an unknown one", {"postgres://a:hunter22@h/d"}, "b://u:myhunter22more@h", "b://u:***@h"},
    {"learned, @ in a parameter", {"postgres://ann:hunter22@h/d?user=a@b"}, "is hunter22", "is ***"},
    {"learned, quote in it", {"postgres://ann:hun'ter22@h/d"}, "is hun'ter22", "is ***"},
    {"learned, double quote in it", {"postgres://ann:hun\"ter22@h/d"}, "is hun\"ter22", "is ***"},
    {"learned, Redis, password alone", {"redis://:hunter22@h/0"}, "is hunter22", "is ***"},
    {"learned, Redis, raw @", {"rediss://ann:hunt@er22@h:1,i"}, "is hunt@er22", "is ***"},
    {"learned, socket", {"unix://ann:hunter22@/run/redis.sock?db=1"}, "is hunter22", "is ***"},
    {"learned, parameter", {"unix://ann@/run/redis.sock?db=1&password=hunter22"}, "is hunter22", "is ***"},
    {"learned, sentinels",
     {"redis+sentinel://:hunter22@h1:1,h2/m/0?sentinel_username=sue&sentinel_password=tiger333"},
     "hunter22 and tiger333",
     "*** and ***"},
    {"learned, both of a URL as parameters",
     {"redis+sentinel://h/m?password=hunter22&sentinel_password=tiger333"},
     "hunter22 and tiger333",
     "*** and ***"},
    {"learned, one for servers and sentinels",
     {"redis+sentinel://:hunter22@h/m?sentinel_password=hunter22"},
     "is hunter22",
     "is ***"},
    {"learned, one for both, encoded once",
     {"redis+sentinel://:hunter22@h/m?sentinel_password=hun%74er22"},
     "hun%74er22 is hunter22",
     "*** is ***"},
    {"learned, parameter, encoded",
     {"redis+sentinel://h/m?sentinel_password=hun%26er22"},
     "hun%26er22 is hun&er22",
     "*** is ***"},
    {"learned, encoded name", {"redis+sentinel://h/m?sentinel%5Fpass%77ord=hunter22"}, "is hunter22", "is ***"},
    {"learned, parameter with ; ' and space",
     {"redis+sentinel://h/m?sentinel_password='h';unter 22&db=1"},
     "is 'h';unter 22",
     "is ***"},
    {"learned, parameter with @", {"redis+sentinel://h:1/m?sentinel_password=hunt@er22"}, "is hunt@er22", "is ***"},
    {"learned, equal to the master",
     {"redis+sentinel://h/shop?sentinel_password=shop"},
     "no master shop",
     "no master shop"},
    {"learned, second URL of a variable",
     {"CACHES=redis://:hunter22@h,redis://:tiger333@i"},
     "hunter22 and tiger333",
     "*** and ***"},
    {"not learned, sentinels",
     {NULL},
     "redis+sentinel://:pass@h1:1,h2/m?sentinel_password=word&db=1",
     "redis+sentinel://:***@h1:1,h2/m?sentinel_password=***&db=1"},
    {"not learned, socket", {NULL}, "unix://ann:pass@/run/redis.sock", "unix://ann:***@/run/redis.sock"},
    {"learned, keyword form", {"Host=h;Username=ann;Password=hunter22;Database=d"}, "is hunter22", "is ***"},
    {"learned, keyword form, quoted", {"Host=h;Pwd=\"hun;\"\"ter22\""}, "is hun;\"ter22", "is ***"},
    {"learned, keyword form, quoted, as written", {"Host=h;Pwd='hun''ter22'"}, "is hun''ter22", "is ***"},
    {"keyword form, equal to the user",
     {"Host=\"h\";Username=\"shop\";Password=\"shop\""},
     "no role shop",
     "no role shop"},
    {"learned, JDBC", {"jdbc:postgresql://h/d?user=ann&password=hunter22"}, "is hunter22", "is ***"},
    {"learned, JDBC, no host", {"jdbc:postgresql:d?user=ann&password=hunter22"}, "is hunter22", "is ***"},
    {"learned, JDBC, a + is a space", {"jdbc:postgresql://h/d?password=hun+ter22"}, "is hun ter22", "is ***"},
    {"learned, quotes around the URL", {"\"postgres://h/d?password=hunter22\"\n"}, "is hunter22", "is ***"},
    {"Prisma's key",
     {NULL},
     "prisma://accelerate.example/?api_key=eyJh.b&x=1",
     "prisma://accelerate.example/?api_key=***&x=1"},
    {"a key and a password", {NULL}, "api_key=one PGPASSWORD=two", "api_key=*** PGPASSWORD=***"},
    {"a password and a key", {NULL}, "PGPASSWORD=one api_key=two", "PGPASSWORD=*** api_key=***"},
    {"learned, Prisma's key", {"prisma+postgres://localhost:51213/?api_key=hunter22"}, "is hunter22", "is ***"},
    {"learned, < in it", {"postgres://ann:hun<ter22@h/d"}, "is hun<ter22", "is ***"},
};

static void secrets_are_masked(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct mask mask = {.count = 0};
        char out[TEXT_CAPACITY];
        for (int n = 0; n < 2 && rows[i].learned[n]; n++)
            mask_learn(&mask, rows[i].learned[n]);
        mask_text(&mask, rows[i].text, out, sizeof out);
        CHECK_TEXT(rows[i].row, out, rows[i].expected);
        mask_free(&mask);
        CHECK_NUMBER(rows[i].row, mask.count, 0);
    }
}

/* Text and result in blocks of their exact size: AddressSanitizer sees a byte too many. */
static void cuts_at_every_capacity(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct mask mask = {.count = 0};
        char *text = strdup(rows[i].text), full[TEXT_CAPACITY];
        for (int n = 0; n < 2 && rows[i].learned[n]; n++)
            mask_learn(&mask, rows[i].learned[n]);
        mask_text(&mask, text, full, sizeof full);
        for (size_t capacity = 1; capacity <= strlen(full) + 8; capacity++) {
            char *out = malloc(capacity);
            mask_text(&mask, text, out, capacity);
            CHECK(rows[i].row, strlen(out) < capacity);
            CHECK(rows[i].row, strncmp(out, full, strlen(out)) == 0);
            CHECK(rows[i].row, capacity < strlen(full) + 8 || strcmp(out, full) == 0);
            free(out);
        }
        free(text);
        mask_free(&mask);
    }
}

static void more_secrets_than_fit_are_no_overrun(void **state)
{
    char url[] = "postgres://u:secret00@h/d", out[64];
    struct mask mask = {.count = 0};
    (void)state;
    for (int i = 0; i < MASK_SECRETS_MAX + 4; i++) {
        url[19] = (char)('a' + i);
        mask_learn(&mask, url);
    }
    assert_int_equal(mask.count, MASK_SECRETS_MAX);
    mask_text(&mask, "secreta0", out, sizeof out);
    assert_string_equal(out, "***");
    mask_free(&mask);
}

int unit_mask(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_masked),
        cmocka_unit_test(cuts_at_every_capacity),
        cmocka_unit_test(more_secrets_than_fit_are_no_overrun),
    };
    return UNIT_RUN("mask", tests);
}
