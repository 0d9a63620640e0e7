#include "tail.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

static struct tail tail; /* too big for a stack */
static char copied[TAIL_CAPACITY];
static char line[TAIL_CAPACITY + 2];

static void add_line(char c, size_t length)
{
    memset(line, c, length);
    line[length] = '\0';
    tail_add(&tail, line);
}

static void ring_at_its_border(void **state)
{
    static const struct {
        const char *row;
        size_t second;   /* length of the second line; the first one is "a\n" */
        size_t expected; /* bytes kept */
        char first;      /* first of them */
    } rows[] = {
        {"1 byte free", TAIL_CAPACITY - 4, TAIL_CAPACITY - 1, 'a'},
        {"exactly full", TAIL_CAPACITY - 3, TAIL_CAPACITY, 'a'},
        {"1 byte over", TAIL_CAPACITY - 2, TAIL_CAPACITY - 1, 'b'},
        {"a whole line over", TAIL_CAPACITY - 1, TAIL_CAPACITY, 'b'},
        {"a line longer than all", TAIL_CAPACITY, TAIL_CAPACITY, 'b'},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        tail = (struct tail){.start = 0};
        tail_add(&tail, "a");
        add_line('b', rows[i].second);
        CHECK_NUMBER(rows[i].row, tail_copy(&tail, copied), rows[i].expected);
        CHECK_NUMBER(rows[i].row, copied[0], rows[i].first);
        CHECK_NUMBER(rows[i].row, copied[rows[i].expected - 1], '\n');
    }
}

static void ring_of_many_lines_begins_with_a_whole_one(void **state)
{
    (void)state;
    tail = (struct tail){.start = 0};
    for (size_t i = 0; i < 10000; i++)
        add_line((char)('a' + i % 26), 100);
    size_t length = tail_copy(&tail, copied);
    assert_in_range(length, TAIL_CAPACITY - 101, TAIL_CAPACITY);
    assert_int_equal(length % 101, 0);
    assert_int_equal(copied[99], copied[0]);
    assert_int_equal(copied[100], '\n');
    assert_int_equal(copied[length - 2], 'a' + 9999 % 26);
}

static void last_line(void **state)
{
    static const struct {
        const char *row, *lines[3], *expected;
    } rows[] = {
        {"none", {NULL}, ""},
        {"one", {"a"}, "a"},
        {"the later one", {"a", "b"}, "b"},
        {"empty ones do not count", {"a", ""}, "a"},
        {"nor blank ones", {"a", " \t "}, "a"},
        {"UTF-8", {"gr\xc3\xbc\xc3\x9f"}, "gr\xc3\xbc\xc3\x9f"},
        {"not UTF-8", {"gr\xfc"}, "gr?"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        tail = (struct tail){.start = 0};
        for (int n = 0; n < 3 && rows[i].lines[n]; n++)
            tail_add(&tail, rows[i].lines[n]);
        CHECK_TEXT(rows[i].row, tail.last_line, rows[i].expected);
    }
    add_line('x', 5000);
    assert_int_equal(strlen(tail.last_line), LINE_CAPACITY - 1);
}

static const struct {
    const char *row, *text, *expected;
} clean[] = {
    {"ASCII", "a b~", "a b~"},
    {"tab", "a\tb", "a\tb"},
    {"two bytes", "\xc2\xa0\xdf\xbf", "\xc2\xa0\xdf\xbf"},
    {"three bytes", "\xe0\xa0\x80\xef\xbf\xbf", "\xe0\xa0\x80\xef\xbf\xbf"},
    {"below the surrogates", "\xed\x9f\xbf", "\xed\x9f\xbf"},
    {"above the surrogates", "\xee\x80\x80", "\xee\x80\x80"},
    {"four bytes", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
    {"line feed", "a\nb", "a?b"},
    {"carriage return", "a\rb", "a?b"},
    {"escape sequence", "\x1b[31mred", "?[31mred"},
    {"delete", "a\x7f", "a?"},
    {"C1 control", "a\xc2\x9b\x33\x31m", "a?31m"},
    {"lone continuation", "a\x80z", "a?z"},
    {"overlong, two bytes", "\xc0\xaf", "??"},
    {"overlong, c1", "\xc1\xbf", "??"},
    {"overlong, three bytes", "\xe0\x9f\xbf", "???"},
    {"overlong, four bytes", "\xf0\x8f\xbf\xbf", "????"},
    {"surrogate", "\xed\xa0\x80", "???"},
    {"last surrogate", "\xed\xbf\xbf", "???"},
    {"over U+10FFFF", "\xf4\x90\x80\x80", "????"},
    {"f5", "\xf5\x80\x80\x80", "????"},
    {"fe ff", "\xfe\xff", "??"},
    {"cut, two bytes", "a\xc3", "a?"},
    {"cut, three bytes", "a\xe2\x82", "a??"},
    {"cut, four bytes", "a\xf0\x9f\x98", "a???"},
    {"cut by a letter", "\xe2\x82z", "??z"},
    {"cut by another character", "\xe2\xc3\xbc", "?\xc3\xbc"},
};

static void cleaning(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(clean); i++) {
        char *text = strdup(clean[i].text), out[64]; /* AddressSanitizer sees a read behind its end */
        utf8_clean(text, out, sizeof out);
        free(text);
        CHECK_TEXT(clean[i].row, out, clean[i].expected);
    }
}

static void cleaning_cuts_between_characters(void **state)
{
    static const char text[] = "a\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80z";
    static const size_t lengths[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11}; /* by capacity - 1 */
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(lengths); i++) {
        char *out = malloc(i + 1);
        utf8_clean(text, out, i + 1);
        assert_int_equal(strlen(out), lengths[i]);
        assert_memory_equal(out, text, lengths[i]);
        free(out);
    }
}

int unit_tail(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_at_its_border),
        cmocka_unit_test(ring_of_many_lines_begins_with_a_whole_one),
        cmocka_unit_test(last_line),
        cmocka_unit_test(cleaning),
        cmocka_unit_test(cleaning_cuts_between_characters),
    };
    return UNIT_RUN("tail", tests);
}
