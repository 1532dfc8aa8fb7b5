/* The JSON scanner. Every text is scanned twice, by json_skip and by a walk with the cursor, which
 * must agree on the outcome and on the error; and from a copy of exactly its size, so that the
 * address sanitizer sees a read past the end. */
#include "json/scanner.h"

#include "tests/unit/check.h"

/* The helpers */

/* Reads the next value with everything in it, by the functions that fit. */
static void walk(struct json_scanner *s)
{
    struct json_string string;
    bool truth;
    switch (json_peek(s)) {
    case SCAN_OBJECT:
        json_object_begin(s);
        while (json_object_next(s, &string))
            walk(s);
        break;
    case SCAN_ARRAY:
        json_array_begin(s);
        while (json_array_next(s))
            walk(s);
        break;
    case SCAN_STRING:
        json_read_string(s, &string);
        break;
    case SCAN_TRUE:
    case SCAN_FALSE:
        json_read_bool(s, &truth);
        break;
    case SCAN_NULL:
    case SCAN_NUMBER:
        json_skip(s);
        break;
    case SCAN_ERROR:
        break;
    }
}

struct outcome {
    long error_at; /* -1: accepted */
    const char *expected;
};

static struct outcome outcome_of(struct json_scanner *s)
{
    bool ok = json_finish(s);
    assert_int_equal(ok, s->error_at == NULL);
    if (ok)
        return (struct outcome){-1, NULL};
    assert_true(s->error_at >= s->begin && s->error_at <= s->end);
    assert_non_null(s->expected);
    return (struct outcome){s->error_at - s->begin, s->expected};
}

static struct outcome scan(struct slice text)
{
    struct slice copy = copy_exact(text);
    struct json_scanner skipping, walking;
    json_scanner_init(&skipping, copy);
    bool passed = json_skip(&skipping);
    assert_int_equal(passed, skipping.error_at == NULL);
    struct outcome skipped = outcome_of(&skipping);
    json_scanner_init(&walking, copy);
    walk(&walking);
    struct outcome walked = outcome_of(&walking);
    free((char *)copy.base);

    if (skipped.error_at != walked.error_at)
        CHECK_FAIL("`%.*s`: skip says %ld, the cursor %ld", SLICE_ARGS(text), skipped.error_at,
                   walked.error_at);
    if (skipped.expected != walked.expected)
        assert_string_equal(skipped.expected, walked.expected);
    return skipped;
}

struct text_case {
    struct slice text;
    long error_at;
    const char *expected;
};

#define GOOD(text)                                                                                 \
    {                                                                                              \
        {text, sizeof(text) - 1}, -1, NULL                                                         \
    }
#define BAD(text, at, expected)                                                                    \
    {                                                                                              \
        {text, sizeof(text) - 1}, at, expected                                                     \
    }

static void check_cases(const struct text_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct outcome o = scan(cases[i].text);
        if (o.error_at != cases[i].error_at)
            CHECK_FAIL("`%.*s`: error at %ld (%s), should be at %ld (%s)",
                       SLICE_ARGS(cases[i].text), o.error_at, o.expected ? o.expected : "-",
                       cases[i].error_at, cases[i].expected ? cases[i].expected : "-");
        if (o.expected)
            assert_string_equal(o.expected, cases[i].expected);
    }
}

/* What each production accepts and where it stops */

static void test_structure(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        GOOD("null"),
        GOOD(" \t\r\n[ \t\r\n] \t\r\n"),
        BAD("", 0, "a value"),
        BAD(" \n", 2, "a value"),
        BAD("\xef\xbb\xbf{}", 0, "a value"), /* a byte order mark */
        BAD("\f1", 0, "a value"),
        BAD("\v1", 0, "a value"),
        BAD("\xc2\xa0[]", 0, "a value"), /* U+00A0 */
        BAD("[\xe2\x81\xa0]", 1, "a value"),
        BAD("[]\f", 2, "the end of the text"),
        BAD("1 2", 2, "the end of the text"),
        BAD("{} {}", 3, "the end of the text"),
        BAD("[]]", 2, "the end of the text"),
        BAD("{}}", 2, "the end of the text"),
        BAD("\"\"\"", 2, "the end of the text"),
        BAD("[]\0", 2, "the end of the text"),
        BAD("\0", 0, "a value"),
        BAD("[\0]", 1, "a value"),
        BAD("[1\0]", 2, "',' or ']'"),
        BAD("{\0}", 1, "a string or '}'"),
        BAD("*", 0, "a value"),
        BAD("'a'", 0, "a value"),
        BAD("<null>", 0, "a value"),
        BAD("/**/1", 0, "a value"),
        BAD("1 // x", 2, "the end of the text"),
        BAD("1#", 1, "the end of the text"),
        BAD("]", 0, "a value"),
        BAD("}", 0, "a value"),
        BAD(",", 0, "a value"),
        BAD(":", 0, "a value"),
        BAD("\xff", 0, "a value"),
    };
    check_cases(cases, COUNT(cases));
}

static void test_array(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        GOOD("[]"),
        GOOD("[1]"),
        GOOD("[[]]"),
        GOOD("[[],[],{}]"),
        GOOD("[ 1 , \"a\" , null,[ ] ,{ } ]"),
        GOOD("[[[1],[2]],[[3]]]"),
        BAD("[", 1, "a value"),
        BAD("[ ", 2, "a value"),
        BAD("[,", 1, "a value"),
        BAD("[,1]", 1, "a value"),
        BAD("[1", 2, "',' or ']'"),
        BAD("[1,", 3, "a value"),
        BAD("[1,]", 3, "a value"),
        BAD("[1,\n]", 4, "a value"),
        BAD("[1,,2]", 3, "a value"),
        BAD("[1 2]", 3, "',' or ']'"),
        BAD("[1:2]", 2, "',' or ']'"),
        BAD("[1}", 2, "',' or ']'"),
        BAD("[}", 1, "a value"),
        BAD("[]1", 2, "the end of the text"),
        BAD("[[]1]", 3, "',' or ']'"),
        BAD("[\"a\"\"b\"]", 4, "',' or ']'"),
        BAD("[[1]", 4, "',' or ']'"),
        BAD("[{}", 3, "',' or ']'"),
        BAD("[\"\": 1]", 3, "',' or ']'"),
        BAD("[x]", 1, "a value"),
    };
    check_cases(cases, COUNT(cases));
}

static void test_object(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        GOOD("{}"),
        GOOD("{\"a\":1}"),
        GOOD("{\"a\":1,\"a\":2}"),
        GOOD("{\"\":{}}"),
        GOOD("{ \"a\" : [ ] , \"b\" : { \"c\" : \"d\" } }"),
        GOOD("{\"a\":{},\"b\":{\"c\":{}},\"d\":1}"),
        GOOD("{\"\\u0000\":0}"),
        BAD("{", 1, "a string or '}'"),
        BAD("{ ", 2, "a string or '}'"),
        BAD("{]", 1, "a string or '}'"),
        BAD("{,}", 1, "a string or '}'"),
        BAD("{a:1}", 1, "a string or '}'"),
        BAD("{'a':1}", 1, "a string or '}'"),
        BAD("{1:1}", 1, "a string or '}'"),
        BAD("{[]:1}", 1, "a string or '}'"),
        BAD("{null:1}", 1, "a string or '}'"),
        BAD("{:1}", 1, "a string or '}'"),
        BAD("{\"a\"", 4, "':'"),
        BAD("{\"a\" ", 5, "':'"),
        BAD("{\"a\"}", 4, "':'"),
        BAD("{\"a\",1}", 4, "':'"),
        BAD("{\"a\" 1}", 5, "':'"),
        BAD("{\"a\":", 5, "a value"),
        BAD("{\"a\":}", 5, "a value"),
        BAD("{\"a\"::1}", 5, "a value"),
        BAD("{\"a\":,\"b\":1}", 5, "a value"),
        BAD("{\"a\":1", 6, "',' or '}'"),
        BAD("{\"a\":1 ", 7, "',' or '}'"),
        BAD("{\"a\":1]", 6, "',' or '}'"),
        BAD("{\"a\":1 \"b\":2}", 7, "',' or '}'"),
        BAD("{\"a\":1;\"b\":2}", 6, "',' or '}'"),
        BAD("{\"a\":1:2}", 6, "',' or '}'"),
        BAD("{\"a\":1,", 7, "a string"),
        BAD("{\"a\":1,}", 7, "a string"),
        BAD("{\"a\":1,,\"b\":2}", 7, "a string"),
        BAD("{\"a\":1,b:2}", 7, "a string"),
        BAD("{\"a\":1,2}", 7, "a string"),
        BAD("{\"a\":{}", 7, "',' or '}'"),
        BAD("{\"a\":{}\"b\":1}", 7, "',' or '}'"),
        BAD("{\"a\":{\"b\":1}]", 12, "',' or '}'"),
        BAD("{\"a", 3, "'\"' at the end of the string"),
        BAD("{\"\\x\":1}", 3, "one of \"\\/bfnrtu after a backslash"),
        BAD("{\"\xff\":1}", 2, "valid UTF-8"),
    };
    check_cases(cases, COUNT(cases));
}

static void test_number(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        GOOD("0"),
        GOOD("-0"),
        GOOD("10"),
        GOOD("-123"),
        GOOD("0.0"),
        GOOD("0.10"),
        GOOD("1.5e10"),
        GOOD("1E5"),
        GOOD("1e+05"),
        GOOD("1e-00"),
        GOOD("0e0"),
        GOOD("-0.0E-0"),
        GOOD("123456789012345678901234567890.123e9999"),
        GOOD("[0,-0,1 ,2\n]"),
        GOOD("{\"a\":0}"),
        BAD("-", 1, "a digit"),
        BAD("--1", 1, "a digit"),
        BAD("- 1", 1, "a digit"),
        BAD("-a", 1, "a digit"),
        BAD("-.5", 1, "a digit"),
        BAD("-Infinity", 1, "a digit"),
        BAD("+1", 0, "a value"),
        BAD(".5", 0, "a value"),
        BAD("Infinity", 0, "a value"),
        BAD("NaN", 0, "a value"),
        BAD("01", 1, "the end of the text"),
        BAD("-01", 2, "the end of the text"),
        BAD("00", 1, "the end of the text"),
        BAD("[01]", 2, "',' or ']'"),
        BAD("0x1", 1, "the end of the text"),
        BAD("1.", 2, "a digit"),
        BAD("[1.]", 3, "a digit"),
        BAD("1.e5", 2, "a digit"),
        BAD("1.-5", 2, "a digit"),
        BAD("1.5.5", 3, "the end of the text"),
        BAD("1e", 2, "a digit"),
        BAD("1e+", 3, "a digit"),
        BAD("1E-", 3, "a digit"),
        BAD("1e+-1", 3, "a digit"),
        BAD("1ee1", 2, "a digit"),
        BAD("1e1.5", 3, "the end of the text"),
        BAD("1e1e1", 3, "the end of the text"),
        BAD("0e", 2, "a digit"),
        BAD("1_000", 1, "the end of the text"),
        BAD("1 000", 2, "the end of the text"),
        BAD("1a", 1, "the end of the text"),
        BAD("[1+2]", 2, "',' or ']'"),
        BAD("\xef\xbc\x91", 0, "a value"), /* a full-width 1 */
    };
    check_cases(cases, COUNT(cases));
}

static void test_literal(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        GOOD("null"),
        GOOD("true"),
        GOOD("false"),
        GOOD("[null,true,false]"),
        BAD("n", 0, "null"),
        BAD("nul", 0, "null"),
        BAD("nulL", 0, "null"),
        BAD("[nul]", 1, "null"),
        BAD("tru", 0, "true"),
        BAD("trUe", 0, "true"),
        BAD("fals", 0, "false"),
        BAD("falsy", 0, "false"),
        BAD("True", 0, "a value"),
        BAD("NULL", 0, "a value"),
        BAD("undefined", 0, "a value"),
        BAD("truee", 4, "the end of the text"),
        BAD("nullnull", 4, "the end of the text"),
        BAD("[truefalse]", 5, "',' or ']'"),
    };
    check_cases(cases, COUNT(cases));
}

static void test_string(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        GOOD("\"\""),
        GOOD("\" \""),
        GOOD("\"a'b/c\""),
        GOOD("\"\x7f\""), /* DEL may stand as it is */
        GOOD("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
        GOOD("\"\\u0000\\u12aB\\uFFFF\""),
        GOOD("\"\\ud800\""), /* lone surrogates are grammar */
        GOOD("\"\\udc00\\ud800\""),
        GOOD("\"\\ud83d\\ude00\""),
        GOOD("\"\\u00412\""),
        GOOD("\"0123456789abcdef0123456789abcdef\\n0123456789abcdef\""),
        GOOD("\"\xe2\x80\xa8\xe2\x80\xa9\""), /* U+2028 and U+2029 */
        BAD("\"", 1, "'\"' at the end of the string"),
        BAD("\"abc", 4, "'\"' at the end of the string"),
        BAD("[\"abc]", 6, "'\"' at the end of the string"),
        BAD("\"0123456789abcdef0123456789abcdef", 33, "'\"' at the end of the string"),
        BAD("\"\\", 2, "one of \"\\/bfnrtu after a backslash"),
        BAD("\"\\\0\"", 2, "one of \"\\/bfnrtu after a backslash"),
        BAD("\"\\a\"", 2, "one of \"\\/bfnrtu after a backslash"),
        BAD("\"\\'\"", 2, "one of \"\\/bfnrtu after a backslash"),
        BAD("\"\\x41\"", 2, "one of \"\\/bfnrtu after a backslash"),
        BAD("\"\\U0041\"", 2, "one of \"\\/bfnrtu after a backslash"),
        BAD("\"\\\n\"", 2, "one of \"\\/bfnrtu after a backslash"),
        BAD("\"\\\xc3\xa9\"", 2, "one of \"\\/bfnrtu after a backslash"),
        BAD("\"\\\"", 3, "'\"' at the end of the string"),
        BAD("\"\\u", 3, "four hexadecimal digits after \\u"),
        BAD("\"\\u\"", 3, "four hexadecimal digits after \\u"),
        BAD("\"\\u123", 6, "four hexadecimal digits after \\u"),
        BAD("\"\\u123\"", 6, "four hexadecimal digits after \\u"),
        BAD("\"\\u00g0\"", 5, "four hexadecimal digits after \\u"),
        BAD("\"\\u:000\"", 3, "four hexadecimal digits after \\u"),
        BAD("\"\\u/000\"", 3, "four hexadecimal digits after \\u"),
        BAD("\"\\u@000\"", 3, "four hexadecimal digits after \\u"),
        BAD("\"\\uG000\"", 3, "four hexadecimal digits after \\u"),
        BAD("\"\\u`000\"", 3, "four hexadecimal digits after \\u"),
        BAD("\"\\u-123\"", 3, "four hexadecimal digits after \\u"),
        BAD("\"\\u000\xc3\xa9\"", 6, "four hexadecimal digits after \\u"),
        BAD("\"\\ud800\\u\"", 9, "four hexadecimal digits after \\u"),
        BAD("\"\0\"", 1, "an escape such as \\n for a control character"),
        BAD("\"a\nb\"", 2, "an escape such as \\n for a control character"),
        BAD("\"\t\"", 1, "an escape such as \\n for a control character"),
        BAD("\"\x1f\"", 1, "an escape such as \\n for a control character"),
        BAD("'a\"", 0, "a value"),
        BAD("\"a\"b", 3, "the end of the text"),
    };
    check_cases(cases, COUNT(cases));
}

/* Every byte at every place of a string: the blocks and the tail of the search in it. */
static void test_string_each_byte_at_each_place(void **state)
{
    (void)state;
    enum { LEN = 40 };
    for (size_t len = 1; len <= LEN; len++)
        for (size_t place = 0; place < len; place++)
            for (unsigned byte = 0; byte < 256; byte++) {
                char text[LEN + 2];
                memset(text, 'a', sizeof(text));
                text[0] = text[len + 1] = '"';
                text[place + 1] = (char)byte;
                long at = (long)place + 1;
                long expected = byte < 0x20 || byte >= 0x80 ? at
                                : byte == '"'               ? at + 1
                                : byte != '\\'              ? -1
                                : place + 1 == len          ? at + 2 /* escapes the last quote */
                                                            : at + 1;
                struct outcome o = scan(slice_of(text, len + 2));
                if (o.error_at != expected)
                    CHECK_FAIL("byte 0x%02x at %zu of %zu: error at %ld", byte, place, len,
                               o.error_at);
            }
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        GOOD("\"\xc2\x80\""),         /* U+0080, the first of two bytes */
        GOOD("\"\xdf\xbf\""),         /* U+07FF, the last */
        GOOD("\"\xe0\xa0\x80\""),     /* U+0800, the first of three */
        GOOD("\"\xed\x9f\xbf\""),     /* U+D7FF, before the surrogates */
        GOOD("\"\xee\x80\x80\""),     /* U+E000, behind them */
        GOOD("\"\xef\xbf\xbf\""),     /* U+FFFF, the last of three; no character, but valid */
        GOOD("\"\xf0\x90\x80\x80\""), /* U+10000, the first of four */
        GOOD("\"\xf4\x8f\xbf\xbf\""), /* U+10FFFF, the last */
        GOOD("\"\xef\xbb\xbf\""),     /* U+FEFF inside a string is a character as others */
        GOOD("{\"gr\xc3\xbc\xc3\x9f\":\"\xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80!\"}"),
        GOOD("\"0123456789abcde\xc3\xbc\xc3\xbc 123456789abcde\xf0\x9f\x98\x80\""),
        BAD("\"\x80\"", 1, "valid UTF-8"), /* continues nothing */
        BAD("\"\xbf\"", 1, "valid UTF-8"),
        BAD("\"\xc3\xa9\xa9\"", 3, "valid UTF-8"), /* one byte more than the character has */
        BAD("\"\xc0\x80\"", 1, "valid UTF-8"),     /* NUL in two bytes */
        BAD("\"\xc1\xbf\"", 1, "valid UTF-8"),     /* overlong U+007F */
        BAD("\"\xe0\x80\x80\"", 1, "valid UTF-8"),
        BAD("\"\xe0\x9f\xbf\"", 1, "valid UTF-8"), /* overlong U+07FF */
        BAD("\"\xf0\x80\x80\x80\"", 1, "valid UTF-8"),
        BAD("\"\xf0\x8f\xbf\xbf\"", 1, "valid UTF-8"),         /* overlong U+FFFF */
        BAD("\"\xed\xa0\x80\"", 1, "valid UTF-8"),             /* U+D800 */
        BAD("\"\xed\xbf\xbf\"", 1, "valid UTF-8"),             /* U+DFFF */
        BAD("\"\xed\xa0\xbd\xed\xb8\x80\"", 1, "valid UTF-8"), /* CESU-8 */
        BAD("\"\xf4\x90\x80\x80\"", 1, "valid UTF-8"),         /* U+110000 */
        BAD("\"\xf5\x80\x80\x80\"", 1, "valid UTF-8"),
        BAD("\"\xf8\x88\x80\x80\x80\"", 1, "valid UTF-8"), /* five bytes, as RFC 2279 had */
        BAD("\"\xfe\"", 1, "valid UTF-8"),
        BAD("\"\xff\"", 1, "valid UTF-8"),
        BAD("\"ab\xc3\"", 3, "valid UTF-8"), /* the quote takes the place of a byte */
        BAD("\"\xe2\x82\"", 1, "valid UTF-8"),
        BAD("\"\xf0\x9f\x98\"", 1, "valid UTF-8"),
        BAD("\"\xc3\xc3\xa9\"", 1, "valid UTF-8"),
        BAD("\"\xe2\x28\xa1\"", 1, "valid UTF-8"),
        BAD("\"\xe2\x82\x28\"", 1, "valid UTF-8"),
        BAD("\"\xf0\x9f\x98\x28\"", 1, "valid UTF-8"),
        BAD("\"\xc3\xa9", 3, "'\"' at the end of the string"),
        BAD("\"\xf0\x9f\x98\x80", 5, "'\"' at the end of the string"),
        BAD("\"\xc3", 1, "valid UTF-8"), /* the text ends inside the character */
        BAD("\"\xe2\x82", 1, "valid UTF-8"),
        BAD("\"\xf0\x9f\x98", 1, "valid UTF-8"),
        BAD("\"\xe9\"", 1, "valid UTF-8"), /* Latin 1 */
        BAD("[1,{\"a\":[\"\xe9\"]}]", 10, "valid UTF-8"),
    };
    check_cases(cases, COUNT(cases));
}

static size_t encode(unsigned c, char ret[4])
{
    if (c < 0x800) {
        ret[0] = (char)(0xc0 | c >> 6);
        ret[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    size_t at = 0;
    if (c < 0x10000) {
        ret[at++] = (char)(0xe0 | c >> 12);
    } else {
        ret[at++] = (char)(0xf0 | c >> 18);
        ret[at++] = (char)(0x80 | (c >> 12 & 0x3f));
    }
    ret[at++] = (char)(0x80 | (c >> 6 & 0x3f));
    ret[at++] = (char)(0x80 | (c & 0x3f));
    return at;
}

/* Each character beyond ASCII is accepted as it is, and so is its escape, which decodes to it. */
static void test_utf8_every_character(void **state)
{
    (void)state;
    struct arena arena = {0};
    for (unsigned c = 0x80; c <= 0x10ffff; c++) {
        char text[8] = "\"", escape[16];
        size_t len = encode(c, text + 1);
        text[1 + len] = '"';
        struct json_scanner s;
        json_scanner_init(&s, slice_of(text, len + 2));
        bool surrogate = c >= 0xd800 && c <= 0xdfff;
        if (json_skip(&s) == surrogate)
            CHECK_FAIL("U+%04X", c);
        if (surrogate)
            continue;

        int size = c < 0x10000 ? snprintf(escape, sizeof(escape), "\\u%04X", c)
                               : snprintf(escape, sizeof(escape), "\\u%04x\\u%04X",
                                          0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
        struct json_string string = {slice_of(escape, (size_t)size), true};
        if (!json_string_is(string, slice_of(text + 1, len)))
            CHECK_FAIL("the escape of U+%04X", c);
        if (c % 4096 == 0)
            arena_clear(&arena);
        if (!slice_equal(json_string_decode(string, &arena), slice_of(text + 1, len)))
            CHECK_FAIL("the escape of U+%04X", c);
    }
    arena_done(&arena);
}

/* Table 3-7 of the Unicode standard, for every pair of bytes that may begin a character. */
static void test_utf8_every_beginning(void **state)
{
    (void)state;
    for (unsigned first = 0x80; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
            unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
            bool valid = first >= 0xc2 && first <= 0xf4 && second >= low && second <= high;
            char text[] = {'"', (char)first, (char)second, '\x80', '\xbf', '"'};
            size_t len = first < 0xe0 ? 3 : first < 0xf0 ? 4 : 5;
            text[len] = '"';
            if ((scan(slice_of(text, len + 1)).error_at < 0) != valid)
                CHECK_FAIL("0x%02x 0x%02x", first, second);
        }
}

/* Depth */

/* `depth` arrays (or objects, in turn with arrays) around nothing. */
static struct slice nested(struct arena *arena, size_t depth, bool objects)
{
    struct slice text = {0};
    char *base = arena_allocate(arena, depth * 6 + 1);
    text.base = base;
    for (size_t i = 0; i < depth; i++) {
        const char *piece = !objects || i % 2 ? "[" : i + 1 < depth ? "{\"\":" : "{";
        memcpy(base + text.len, piece, strlen(piece));
        text.len += strlen(piece);
    }
    for (size_t i = depth; i-- > 0;)
        base[text.len++] = !objects || i % 2 ? ']' : '}';
    return text;
}

static void test_depth(void **state)
{
    (void)state;
    struct arena arena = {0};
    for (int objects = 0; objects < 2; objects++) {
        struct outcome o = scan(nested(&arena, JSON_MAX_DEPTH, objects));
        assert_int_equal(o.error_at, -1);
        struct slice deeper = nested(&arena, JSON_MAX_DEPTH + 1, objects);
        o = scan(deeper);
        assert_int_equal(o.error_at, objects ? JSON_MAX_DEPTH / 2 * 5 : JSON_MAX_DEPTH);
        assert_string_equal(o.expected, "at most 512 nested objects and arrays");
        o = scan(nested(&arena, 100 * 1000, objects)); /* no stack is used up */
        assert_int_equal(o.error_at, objects ? JSON_MAX_DEPTH / 2 * 5 : JSON_MAX_DEPTH);
    }
    arena_done(&arena);
}

/* What the cursor entered counts for a json_skip inside. */
static void test_depth_is_shared_by_skip_and_cursor(void **state)
{
    (void)state;
    struct arena arena = {0};
    for (unsigned depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 1; depth++)
        for (unsigned entered = 0; entered <= JSON_MAX_DEPTH; entered += 64) {
            struct json_scanner s;
            json_scanner_init(&s, nested(&arena, depth, false));
            for (unsigned i = 0; i < entered; i++) {
                assert_true(json_array_begin(&s));
                if (i + 1 < JSON_MAX_DEPTH || depth > JSON_MAX_DEPTH)
                    assert_true(json_array_next(&s));
            }
            if (entered < depth)
                assert_int_equal(json_skip(&s), depth <= JSON_MAX_DEPTH);
            for (unsigned i = 0; i < entered; i++)
                assert_false(json_array_next(&s));
            assert_int_equal(json_finish(&s), depth <= JSON_MAX_DEPTH);
        }
    arena_done(&arena);
}

/* Side by side is not deep. */
static void test_width_is_no_depth(void **state)
{
    (void)state;
    enum { COPIES = 2000 };
    static char text[COPIES * 6 + 2];
    size_t len = 0;
    text[len++] = '[';
    for (int i = 0; i < COPIES; i++, len += 6)
        memcpy(text + len, "[],{},", 6);
    text[len - 1] = ']';
    assert_int_equal(scan(slice_of(text, len)).error_at, -1);
}

/* Truncation */

static const char *const documents[] = {
    "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{\"uid\":"
    "\"705ab4f5-6393-11e8-b7cc-42010a800002\",\"kind\":{\"group\":\"\",\"version\":\"v1\","
    "\"kind\":\"Pod\"},\"object\":{\"metadata\":{\"generateName\":\"grafana-7d9c8b5f6d-\","
    "\"annotations\":{\"note\":\"\\\"quoted\\\" \\u00e9\\ud83d\\ude00 \xc3\xa9\xe4\xbd\xa0"
    "\xf0\x9f\x98\x80\"}},\"spec\":{\"containers\":[{\"name\":\"grafana\",\"image\":"
    "\"docker.io/grafana/grafana:11.2.0\",\"ports\":[{\"containerPort\":3000}],\"resources\":{},"
    "\"args\":[]},{\"name\":\"sidecar\",\"tty\":false}],\"securityContext\":{\"runAsNonRoot\":true}"
    "}},\"oldObject\":null,\"dryRun\":false}}",
    "[0,-1,2.5,3e4,-5.6E-7,1e+0,true,false,null,\"\",[],{},[[]],{\"\":{}}]",
    " { \"a\" : [ 1 , { \"b\" : \"\\u0000\" } ] ,\r\n\t\"c\" : null } ",
    "\"a string of more than thirty-two bytes, alone\"",
};

static void test_every_truncation_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(documents); i++) {
        struct slice whole = slice_from(documents[i]);
        assert_int_equal(scan(whole).error_at, -1);
        if (whole.base[whole.len - 1] == ' ')
            whole.len--;
        for (size_t len = 0; len < whole.len; len++) {
            struct outcome o = scan(slice_head(whole, len));
            if (o.error_at < 0)
                CHECK_FAIL("the first %zu bytes are accepted: %.*s", len, (int)len, whole.base);
        }
    }
}

/* One byte of a document replaced by each other value: skip and cursor agree, nothing else. */
static void test_every_changed_byte_agrees(void **state)
{
    (void)state;
    for (size_t i = 1; i < COUNT(documents); i++)
        for (size_t at = 0; at < strlen(documents[i]); at++)
            for (int byte = 0; byte < 256; byte++) {
                char text[128];
                struct slice changed = slice_of(text, strlen(documents[i]));
                assert_true(changed.len <= sizeof(text));
                memcpy(text, documents[i], changed.len);
                text[at] = (char)byte;
                scan(changed);
            }
}

/* The cursor */

static struct json_scanner scanner_of(const char *text)
{
    struct json_scanner s;
    json_scanner_init(&s, slice_from(text));
    return s;
}

static void assert_slice(struct slice s, const char *expected)
{
    assert_int_equal(s.len, strlen(expected));
    assert_memory_equal(s.base, expected, s.len);
}

static void assert_error(const struct json_scanner *s, long at, const char *expected)
{
    assert_non_null(s->error_at);
    assert_int_equal(s->error_at - s->begin, at);
    assert_string_equal(s->expected, expected);
}

static void test_peek(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum scan_type type;
    } cases[] = {
        {"null", SCAN_NULL},  {" false", SCAN_FALSE}, {"\ttrue", SCAN_TRUE}, {"\r-1", SCAN_NUMBER},
        {"\n0", SCAN_NUMBER}, {"9", SCAN_NUMBER},     {"\"\"", SCAN_STRING}, {"[", SCAN_ARRAY},
        {" {", SCAN_OBJECT},  {"", SCAN_ERROR},       {" +1", SCAN_ERROR},   {"]", SCAN_ERROR},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_scanner s = scanner_of(cases[i].text);
        assert_int_equal(json_peek(&s), cases[i].type);
        assert_int_equal(json_peek(&s), cases[i].type); /* it passes nothing */
        assert_int_equal(s.error_at != NULL, cases[i].type == SCAN_ERROR);
    }
    struct json_scanner s = scanner_of(" +1");
    json_peek(&s);
    assert_error(&s, 1, "a value");
}

static void test_reading(void **state)
{
    (void)state;
    struct json_scanner s = scanner_of(" {\"name\":\"a\\n\", \"list\" : [ true,[],[[1],2] ,false "
                                       "], \"o\":{\"p\":{}}, \"z\":\"\"} ");
    struct json_string key, string;
    bool truth = false;
    assert_true(json_object_begin(&s));
    assert_true(json_object_next(&s, &key));
    assert_slice(key.raw, "name");
    assert_false(key.escaped);
    assert_true(json_read_string(&s, &string));
    assert_slice(string.raw, "a\\n");
    assert_true(string.escaped);
    assert_true(json_object_next(&s, &key));
    assert_slice(key.raw, "list");
    assert_true(json_array_begin(&s));
    assert_true(json_array_next(&s));
    assert_true(json_read_bool(&s, &truth));
    assert_true(truth);
    assert_true(json_array_next(&s));
    assert_true(json_array_begin(&s));
    assert_false(json_array_next(&s)); /* out of the empty one; next, a comma is due */
    assert_true(json_array_next(&s));
    assert_true(json_skip(&s));
    assert_true(json_array_next(&s));
    assert_true(json_read_bool(&s, &truth));
    assert_false(truth);
    assert_false(json_array_next(&s));
    assert_true(json_object_next(&s, &key));
    assert_true(json_object_begin(&s));
    assert_true(json_object_next(&s, &key));
    assert_slice(key.raw, "p");
    assert_true(json_object_begin(&s));
    assert_false(json_object_next(&s, &key));
    assert_false(json_object_next(&s, &key));
    assert_true(json_object_next(&s, &key));
    assert_slice(key.raw, "z");
    assert_true(json_read_string(&s, &string));
    assert_slice(string.raw, "");
    assert_false(json_object_next(&s, &key));
    assert_true(json_finish(&s));
    assert_true(json_finish(&s));
    assert_null(s.error_at);
}

static void test_skip_slice(void **state)
{
    (void)state;
    struct json_scanner s = scanner_of("[ {\"a\": [1 ]} , -1.5e3 ,\"\\\"\"\n,null]");
    static const char *const values[] = {"{\"a\": [1 ]}", "-1.5e3", "\"\\\"\"", "null"};
    struct slice value;
    assert_true(json_array_begin(&s));
    for (size_t i = 0; i < COUNT(values); i++) {
        assert_true(json_array_next(&s));
        assert_true(json_skip_slice(&s, &value));
        assert_slice(value, values[i]);
    }
    assert_false(json_array_next(&s));
    assert_true(json_finish(&s));

    s = scanner_of("[1");
    value = SLICE("untouched");
    assert_false(json_skip_slice(&s, &value));
    assert_slice(value, "untouched");
    assert_error(&s, 2, "',' or ']'");
}

static void test_another_type(void **state)
{
    (void)state;
    struct json_string string = {SLICE("untouched"), true};
    bool truth = true;

    struct json_scanner s = scanner_of(" []");
    assert_false(json_object_begin(&s));
    assert_error(&s, 1, "an object");
    s = scanner_of(" {}");
    assert_false(json_array_begin(&s));
    assert_error(&s, 1, "an array");
    s = scanner_of(" 1");
    assert_false(json_read_string(&s, &string));
    assert_error(&s, 1, "a string");
    s = scanner_of("\"\\q\"");
    assert_false(json_read_string(&s, &string));
    assert_slice(string.raw, "untouched");
    s = scanner_of(" null");
    assert_false(json_read_bool(&s, &truth));
    assert_error(&s, 1, "true or false");
    s = scanner_of("falsy");
    assert_false(json_read_bool(&s, &truth));
    assert_error(&s, 0, "false");
    assert_true(truth);
    s = scanner_of("{\"a\" 1}");
    assert_true(json_object_begin(&s));
    assert_false(json_object_next(&s, &string));
    assert_slice(string.raw, "untouched");
}

/* The first error stays, and every later call fails, also right behind a begin. */
static void test_after_an_error(void **state)
{
    (void)state;
    static const char *const texts[] = {"[tru, [1], {\"a\":1}, \"b\", true]", "[ tru"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct json_scanner s = scanner_of(texts[i]);
        struct json_string string = {SLICE("untouched"), false};
        struct slice value = SLICE("untouched");
        bool truth;
        assert_true(json_array_begin(&s));
        assert_false(json_object_begin(&s));
        for (int again = 0; again < 2; again++) {
            assert_false(json_array_next(&s));
            assert_false(json_object_next(&s, &string));
            assert_int_equal(json_peek(&s), SCAN_ERROR);
            assert_false(json_object_begin(&s));
            assert_false(json_array_begin(&s));
            assert_false(json_read_string(&s, &string));
            assert_false(json_read_bool(&s, &truth));
            assert_false(json_skip(&s));
            assert_false(json_skip_slice(&s, &value));
            assert_false(json_finish(&s));
        }
        assert_error(&s, i == 0 ? 1 : 2, "an object");
        assert_slice(string.raw, "untouched");
        assert_slice(value, "untouched");
    }
}

static void test_finish(void **state)
{
    (void)state;
    struct json_scanner s = scanner_of("[1]");
    assert_true(json_array_begin(&s));
    assert_true(json_array_next(&s));
    assert_true(json_skip(&s));
    assert_false(json_finish(&s));
    assert_error(&s, 2, "the end of all objects and arrays");

    s = scanner_of("[1");
    assert_true(json_array_begin(&s));
    assert_true(json_array_next(&s));
    assert_true(json_skip(&s));
    assert_false(json_finish(&s)); /* though the text is at its end */

    s = scanner_of("1");
    assert_false(json_finish(&s));
    assert_error(&s, 0, "the end of the text");

    json_scanner_init(&s, (struct slice){0}); /* no text at all, not even a pointer */
    assert_true(json_finish(&s));
    assert_false(json_skip(&s));
    assert_false(json_finish(&s));
    assert_error(&s, 0, "a value");
}

/* Wrong use is an error or nonsense, but stays inside the text. */
static void test_misuse(void **state)
{
    (void)state;
    struct json_string key;
    struct json_scanner s = scanner_of("{\"a\":1}");
    assert_true(json_object_begin(&s));
    assert_true(json_object_next(&s, &key));
    assert_false(json_object_next(&s, &key)); /* the value was not read */
    assert_error(&s, 5, "',' or '}'");

    s = scanner_of("[1,2]");
    assert_true(json_array_begin(&s));
    assert_true(json_array_next(&s));
    assert_false(json_array_next(&s));
    assert_error(&s, 1, "',' or ']'");

    s = scanner_of("[1 2]"); /* a value was read twice */
    assert_true(json_array_begin(&s));
    assert_true(json_array_next(&s));
    assert_true(json_skip(&s));
    assert_true(json_skip(&s));
    assert_false(json_array_next(&s));
    assert_true(json_finish(&s));

    s = scanner_of("]}"); /* nothing was begun */
    assert_false(json_array_next(&s));
    assert_error(&s, 0, "',' or ']'");
    s = scanner_of("}");
    assert_false(json_object_next(&s, &key));
    assert_error(&s, 0, "',' or '}'");

    s = scanner_of("[}"); /* the other kind */
    assert_true(json_array_begin(&s));
    assert_false(json_object_next(&s, &key));
}

/* Decoding */

static void test_decode(void **state)
{
    (void)state;
    static const struct {
        struct slice raw, decoded;
    } cases[] = {
#define DECODE(raw, decoded)                                                                       \
    {                                                                                              \
        {raw, sizeof(raw) - 1},                                                                    \
        {                                                                                          \
            decoded, sizeof(decoded) - 1                                                           \
        }                                                                                          \
    }
        DECODE("", ""),
        DECODE("plain", "plain"),
        DECODE("gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"),
        DECODE("\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"),
        DECODE("a\\nb", "a\nb"),
        DECODE("\\\\n", "\\n"),
        DECODE("\\\\u0041", "\\u0041"),
        DECODE("\\u0041", "A"),
        DECODE("\\u00e9\\u00E9", "\xc3\xa9\xc3\xa9"),
        DECODE("\\u0000", "\0"),
        DECODE("a\\u0000b", "a\0b"),
        DECODE("\\u001f\\u007f\\u0080", "\x1f\x7f\xc2\x80"),
        DECODE("\\u07ff\\u0800", "\xdf\xbf\xe0\xa0\x80"),
        DECODE("\\uabcd\\uABCD", "\xea\xaf\x8d\xea\xaf\x8d"),
        DECODE("\\ud7ff\\ue000\\uffff", "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"),
        DECODE("\\ud800\\udc00", "\xf0\x90\x80\x80"),
        DECODE("\\uDBFF\\uDFFF", "\xf4\x8f\xbf\xbf"),
        DECODE("x\\ud83d\\ude00y", "x\xf0\x9f\x98\x80y"),
        /* lone surrogates, as encoding/json reads them */
        DECODE("\\ud800", "\xef\xbf\xbd"),
        DECODE("\\udc00", "\xef\xbf\xbd"),
        DECODE("\\udfff\\ud800", "\xef\xbf\xbd\xef\xbf\xbd"),
        DECODE("\\ud800\\udbff", "\xef\xbf\xbd\xef\xbf\xbd"),
        DECODE("\\udc00\\udc00", "\xef\xbf\xbd\xef\xbf\xbd"),
        DECODE("\\ud800x", "\xef\xbf\xbdx"),
        DECODE("\\ud800\\n", "\xef\xbf\xbd\n"),
        DECODE("\\ud800\\u0041", "\xef\xbf\xbd"
                                 "A"),
        DECODE("\\ud800\\ud800\\udc00", "\xef\xbf\xbd\xf0\x90\x80\x80"),
        DECODE("\\ud800\\ue000", "\xef\xbf\xbd\xee\x80\x80"),
        DECODE("\\ud83d\\\\ude00", "\xef\xbf\xbd\\ude00"),
        DECODE("\\ud83d ude00", "\xef\xbf\xbd ude00"),
#undef DECODE
    };
    struct arena arena = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct slice decoded = cases[i].decoded;
        char *quoted = malloc(cases[i].raw.len + 2); /* as it stands at the very end of a text */
        quoted[0] = quoted[cases[i].raw.len + 1] = '"';
        memcpy(quoted + 1, cases[i].raw.base, cases[i].raw.len);
        struct json_scanner s;
        struct json_string string;
        json_scanner_init(&s, slice_of(quoted, cases[i].raw.len + 2));
        assert_true(json_read_string(&s, &string));
        assert_true(json_finish(&s));
        assert_true(slice_equal(string.raw, cases[i].raw));
        assert_int_equal(string.escaped, memchr(quoted, '\\', cases[i].raw.len + 1) != NULL);

        struct slice result = json_string_decode(string, &arena);
        if (!slice_equal(result, decoded))
            CHECK_FAIL("`%.*s` decodes to `%.*s`", SLICE_ARGS(string.raw), SLICE_ARGS(result));
        assert_int_equal(result.base == string.raw.base, !string.escaped);

        assert_true(json_string_is(string, decoded));
        char longer[64];
        memcpy(longer, decoded.base, decoded.len);
        longer[decoded.len] = 'x';
        assert_false(json_string_is(string, slice_of(longer, decoded.len + 1)));
        if (decoded.len > 0) {
            assert_false(json_string_is(string, slice_head(decoded, decoded.len - 1)));
            longer[decoded.len - 1] ^= 1;
            assert_false(json_string_is(string, slice_of(longer, decoded.len)));
        }
        free(quoted);
    }
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_array),
        cmocka_unit_test(test_object),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_string),
        cmocka_unit_test(test_string_each_byte_at_each_place),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_utf8_every_character),
        cmocka_unit_test(test_utf8_every_beginning),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_depth_is_shared_by_skip_and_cursor),
        cmocka_unit_test(test_width_is_no_depth),
        cmocka_unit_test(test_every_truncation_fails),
        cmocka_unit_test(test_every_changed_byte_agrees),
        cmocka_unit_test(test_peek),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_skip_slice),
        cmocka_unit_test(test_another_type),
        cmocka_unit_test(test_after_an_error),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
