/* The growing buffer and base64. */
#include "base/buffer.h"

#include "base/base64.h"
#include "base/memory.h"
#include "tests/unit/check.h"

static void test_appends(void **state)
{
    (void)state;
    struct buffer b = {0};
    buffer_append(&b, (struct slice){0});
    assert_int_equal(b.len, 0);
    buffer_append_text(&b, "a");
    buffer_append_text(&b, NULL);
    buffer_append_char(&b, '\0');
    buffer_append_number(&b, 0);
    buffer_append_number(&b, 18446744073709551615ull);
    buffer_append_format(&b, "%s-%d", "x", -1);
    buffer_append_format(&b, "%s", "");
    check_slice("buffer", "all", buffer_slice(&b),
                slice_of("a\0"
                         "018446744073709551615x--1",
                         27));
    buffer_clear(&b);
    assert_int_equal(b.len, 0);
    assert_true(b.capacity > 0);
    buffer_done(&b);
    assert_null(b.base);
}

static void test_grows(void **state)
{
    (void)state;
    struct buffer b = {0};
    for (int i = 0; i < 10000; i++)
        buffer_append_format(&b, "%04d", i);
    assert_int_equal(b.len, 40000);
    for (int i = 0; i < 10000; i++) {
        char expected[5];
        snprintf(expected, sizeof(expected), "%04d", i);
        assert_memory_equal(b.base + 4 * i, expected, 4);
    }
    assert_false(b.truncated);
    buffer_done(&b);
}

/* Its memory is the arena's: what was taken of it stays when the buffer is done. */
static void test_in_an_arena(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct buffer b = {.arena = &arena};
    for (int i = 0; i < 10000; i++)
        buffer_append_format(&b, "%04d", i);
    struct slice all = buffer_take(&b);
    assert_int_equal(b.len, 0);
    assert_true(arena_allocate(&arena, 1) == all.base + 40016); /* it has no more than it needs */
    buffer_append_text(&b, "another");
    assert_int_equal(all.len, 40000);
    for (int i = 0; i < 10000; i++) {
        char expected[5];
        snprintf(expected, sizeof(expected), "%04d", i);
        assert_memory_equal(all.base + 4 * i, expected, 4);
    }
    check_text("buffer", "another", buffer_slice(&b), "another");
    arena_done(&arena);
}

/* Past the limit it takes nothing, remembers it, and is usable again when it was cleared. */
static void test_limit(void **state)
{
    (void)state;
    struct buffer b = {.limit = 4};
    buffer_append_text(&b, "1234");
    assert_false(b.truncated);
    buffer_append_text(&b, "");
    assert_false(b.truncated);
    buffer_append_char(&b, '5');
    assert_true(b.truncated);
    check_text("buffer", "all", buffer_slice(&b), "1234");
    buffer_clear(&b);
    assert_false(b.truncated);
    buffer_append_text(&b, "12345"); /* whole or nothing */
    assert_true(b.truncated);
    assert_int_equal(b.len, 0);
    buffer_append_format(&b, "%d", 12345);
    assert_int_equal(b.len, 0);
    buffer_append_number(&b, 1234);
    check_text("buffer", "all", buffer_slice(&b), "1234");
    buffer_done(&b);
    assert_int_equal(b.limit, 4);
    assert_false(b.truncated);
}

/* RFC 4648, section 10, and every byte value. */
static void test_base64(void **state)
{
    (void)state;
    static const struct {
        const char *text, *encoded;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"},
                 {"\xfb\xff\xfe", "+//+"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buffer b = {0};
        struct slice text = copy_exact(slice_from(cases[i].text));
        base64_append(&b, text);
        check_text(cases[i].text, "base64", buffer_slice(&b), cases[i].encoded);
        buffer_done(&b);
        free((char *)text.base);
    }
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned value = 0; value < 64; value++) {
        struct buffer b = {0};
        char in[3] = {(char)(value << 2), 0, (char)value};
        base64_append(&b, slice_of(in, 3));
        assert_int_equal(b.len, 4);
        assert_int_equal(b.base[0], digits[value]);
        assert_int_equal(b.base[3], digits[value]);
        buffer_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends),     cmocka_unit_test(test_grows),
        cmocka_unit_test(test_in_an_arena), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
