/* No message about a URL says any part of its password. */
#include "unit.h"
#include "url.h"

#include <string.h>

static const struct {
    const char *row, *text, *password;
} rows[] = {
    {"plain", "postgres://ann:Xq7zKw9v@h/d?nonsense=1", "Xq7zKw9v"},
    {"wrong port", "postgres://ann:Xq7zKw9v@h:bad/d", "Xq7zKw9v"},
    {"open bracket", "postgres://ann:Xq7zKw9v@[::1/d", "Xq7zKw9v"},
    {"unknown scheme", "mysql://ann:Xq7zKw9v@h/d", "Xq7zKw9v"},
    {"parameter without a value", "postgres://ann:Xq7zKw9v@h/d?sslmode", "Xq7zKw9v"},
    {"raw /", "postgres://ann:Xq7z/Kw9v@h/d", "Xq7z/Kw9v"},
    {"raw / behind digits", "postgres://ann:4711/Kw9v@h/d", "4711/Kw9v"},
    {"raw ?", "postgres://ann:Xq7z?Kw9v@h/d", "Xq7z?Kw9v"},
    {"raw ? behind digits", "postgres://ann:4711?Kw9v@h/d", "4711?Kw9v"},
    {"raw ? and = behind digits", "postgres://ann:4711?Kw9v=Bn5m@h/d", "4711?Kw9v=Bn5m"},
    {"raw ? & = behind digits", "postgres://ann:4711?a=b&Kw9v=Bn5m@h/d", "4711?a=b&Kw9v=Bn5m"},
    {"raw ? in a bare password", "postgres://ann:?Kw9v=Bn5m@h/d", "?Kw9v=Bn5m"},
    {"raw / ? = behind digits", "postgres://ann:4711/Xq?Kw9v=Bn5m@h/d", "4711/Xq?Kw9v=Bn5m"},
    {"raw @ ? =", "postgres://ann:Xq7z@Kw?Bn5m=1@h/d", "Xq7z@Kw?Bn5m=1"},
    {"raw @ /", "postgres://ann:Xq7z@Kw9v/Bn5m@h/d", "Xq7z@Kw9v/Bn5m"},
    {"raw [", "postgres://ann:[Xq7z/Kw9v@h/d", "[Xq7z/Kw9v"},
    {"as a parameter", "postgres://h/d?password=Xq7zKw9v&nonsense=1", "Xq7zKw9v"},
    {"encoded", "postgres://ann:%58q7zKw9v@h/d?nonsense=1", "%58q7zKw9v"},
};

static void errors_and_forms_for_people_have_no_part_of_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct url url;
        struct err err = {.code = ERR_NONE};
        char said[sizeof err.text];
        if (url_parse(&url, rows[i].text, "--lock", &err) == 0) {
            url_show(&url, said, sizeof said);
            url_free(&url);
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
    } shows[] = {
        {"all parts", "postgres://ann:pass@h:1/d?sslmode=require", "postgres://ann@h:1/d"},
        {"no user", "postgres://h/d", "postgres://h/d"},
        {"password as a parameter", "postgres://ann@h/d?password=pass", "postgres://ann@h/d"},
        {"nothing", "postgresql://", "postgres:///"},
        {"decoded", "postgres://a%40b:p%40ss@h/d", "postgres://a@b@h/d"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(shows); i++) {
        struct url url;
        struct err err;
        char shown[64], cut[9] = "xxxxxxxx";
        CHECK_NUMBER(shows[i].row, url_parse(&url, shows[i].text, "--lock", &err), 0);
        url_show(&url, shown, sizeof shown);
        CHECK_TEXT(shows[i].row, shown, shows[i].shown);
        url_show(&url, cut, 8);
        CHECK_TEXT(shows[i].row, cut, "postgre");
        url_free(&url);
    }
}

int unit_url_secret(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_and_forms_for_people_have_no_part_of_it),
        cmocka_unit_test(shown_urls),
    };
    return UNIT_RUN("url: secrets", tests);
}
