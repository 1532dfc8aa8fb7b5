/* The JSON writer: commas, escapes, and bytes that are no UTF-8. */
#include "json/writer.h"

#include "tests/unit/check.h"
#include "json/scanner.h"

static void test_shapes(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct json_writer w = {.out = &out};
    json_begin_object(&w);
    json_member(&w, "a", SLICE("b"));
    json_member_text(&w, "c", "d");
    json_member_number(&w, "n", -5);
    json_member_bool(&w, "t", true);
    json_key(&w, "list");
    json_begin_array(&w);
    json_number(&w, 0);
    json_bool(&w, false);
    json_decimal(&w, 0.000125);
    json_begin_object(&w);
    json_end_object(&w);
    json_begin_array(&w);
    json_end_array(&w);
    json_raw(&w, SLICE("{\"raw\":1}"));
    json_text(&w, "x");
    json_end_array(&w);
    json_key_slice(&w, SLICE("k\"\n"));
    json_begin_object(&w);
    json_member_text(&w, "e", "");
    json_end_object(&w);
    json_end_object(&w);
    check_text("shapes", "the text", buffer_slice(&out),
               "{\"a\":\"b\",\"c\":\"d\",\"n\":-5,\"t\":true,\"list\":[0,false,0.000125,{},[],"
               "{\"raw\":1},\"x\"],\"k\\\"\\n\":{\"e\":\"\"}}");
    buffer_done(&out);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        long long number;
        const char *text;
    } cases[] = {{0, "0"},
                 {-1, "-1"},
                 {9223372036854775807LL, "9223372036854775807"},
                 {-9223372036854775807LL - 1, "-9223372036854775808"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buffer out = {0};
        struct json_writer w = {.out = &out};
        json_number(&w, cases[i].number);
        check_text("number", "the text", buffer_slice(&out), cases[i].text);
        buffer_done(&out);
    }
}

#define LOST "\xef\xbf\xbd" /* U+FFFD */

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        struct slice text;
        const char *written;
    } cases[] = {
        {{"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
        {{"plain / text", 12}, "\"plain / text\""},
        {{"\"\\", 2}, "\"\\\"\\\\\""},
        {{"\n\t\r", 3}, "\"\\n\\t\\r\""},
        {{"\0\1\b\f\x1f\x7f", 6}, "\"\\u0000\\u0001\\u0008\\u000c\\u001f\\u007f\""},
        {{"\xc3\xbc \xe6\x97\xa5 \xf0\x9f\x98\x80", 11},
         "\"\xc3\xbc \xe6\x97\xa5 \xf0\x9f\x98\x80\""},
        {{"a\xe2\x80\xa8z\xe2\x80\xa9", 8},
         "\"a\\u2028z\\u2029\""}, /* end lines for some readers */
        {{"\xe2\x80\xa7\xe2\x80\xaf", 6}, "\"\xe2\x80\xa7\xe2\x80\xaf\""},
        {{"a\xff"
          "b",
          3},
         "\"a" LOST "b\""},
        {{"\x80\xbf", 2}, "\"" LOST LOST "\""},
        {{"\xc3", 1}, "\"" LOST "\""},
        {{"\xc3(", 2}, "\"" LOST "(\""},
        {{"\xc0\xaf", 2}, "\"" LOST LOST "\""},          /* overlong '/' */
        {{"\xed\xa0\x80", 3}, "\"" LOST LOST LOST "\""}, /* a surrogate */
        {{"\xf4\x90\x80\x80", 4}, "\"" LOST LOST LOST LOST "\""},
        {{"\xf0\x9f\x98", 3}, "\"" LOST LOST LOST "\""},
        {{"\xe2\x80", 2}, "\"" LOST LOST "\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buffer out = {0};
        struct json_writer w = {.out = &out};
        struct slice text = copy_exact(cases[i].text);
        json_slice(&w, cases[i].text.base ? text : cases[i].text);
        check_text(cases[i].written, "the text", buffer_slice(&out), cases[i].written);
        buffer_done(&out);
        free((char *)text.base);
    }
}

/* Whatever the bytes, what is written is one JSON text of one line, and reads back as the same
 * where it was UTF-8. */
static void test_any_bytes(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        char bytes[40]; /* several words, and what is left behind the last */
        size_t len = (size_t)round % (sizeof(bytes) + 1);
        unsigned special = (unsigned)round % 3 * 64; /* of 256: none, some or many */
        for (size_t i = 0; i < len; i++) {
            random = random * 1664525u + 1013904223u;
            static const char likely[] = "\"\\\n\x7f\xe2\x80\xa8\xa9\xf0\x9f\xed\xc3\xbf";
            unsigned pick = random >> 24;
            bytes[i] = pick < special ? likely[pick % (sizeof(likely) - 1)]
                       : special      ? (char)(random >> 16)
                                      : (char)('a' + (random >> 16) % 26);
        }
        struct buffer out = {0};
        struct json_writer w = {.out = &out};
        struct json_scanner s;
        struct json_string string;
        struct arena arena = {0};
        json_slice(&w, slice_of(bytes, len));
        json_scanner_init(&s, buffer_slice(&out));
        if (!json_read_string(&s, &string) || !json_finish(&s))
            CHECK_FAIL("round %d: no JSON: %.*s", round, SLICE_ARGS(buffer_slice(&out)));
        for (size_t i = 0; i < out.len; i++)
            assert_true((unsigned char)out.base[i] >= 0x20);
        struct slice back = json_string_decode(string, &arena);
        if (!memmem(back.base, back.len, LOST, 3))
            check_slice("any bytes", "read back", back, slice_of(bytes, len));
        buffer_done(&out);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
