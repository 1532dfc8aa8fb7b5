/* Fuzzes the JSON scanner with jansson as the oracle: both must accept and reject the same texts,
 * and a walk with the cursor, rebuilt as jansson's values, must equal what jansson read. Also
 * json_skip must agree with the walk, and calls in no sensible order must stay inside the text.
 *
 * Where jansson 2.14 differs by design it is met half-way, so that such texts are still compared:
 *   - it refuses lone surrogates: it is given \ufffd in their place, as which we decode them;
 *   - it refuses NUL in keys: for \u0000 it is given \u0001, and so are its values built here;
 *   - it refuses numbers beyond long long and double: expected from the number's text;
 *   - it loses a NUL byte behind a number or a literal (`true\0` is true for it) and is not asked
 *     about texts with one: no JSON text has any;
 *   - it takes 2048 levels, we JSON_MAX_DEPTH: only the place of our error is checked then.
 * Of equal keys both keep the last. */
#include "json/scanner.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text as jansson takes it. */

static long hex4(struct slice text)
{
    char digits[5] = "";
    if (text.len < 4 || strspn(memcpy(digits, text.base, 4), "0123456789abcdefABCDEF") != 4)
        return -1;
    return strtol(digits, NULL, 16);
}

/* The code unit of the \uXXXX at `at`; -1 where there is none. */
static long unit_at(struct slice text, size_t at)
{
    struct slice rest = slice_from_index(text, at);
    return slice_starts_with(rest, SLICE("\\u")) ? hex4(slice_from_index(rest, 2)) : -1;
}

static struct slice text_for_jansson(struct slice text, struct arena *arena)
{
    struct slice copy = arena_copy(arena, text);
    char *bytes = (char *)copy.base;
    for (size_t at = 0; at < text.len;) {
        long unit = unit_at(text, at), next = unit_at(text, at + 6);
        if (unit >= 0xd800 && unit <= 0xdbff && next >= 0xdc00 && next <= 0xdfff) {
            at += 12;
        } else if (unit >= 0) {
            if (unit >= 0xd800 && unit <= 0xdfff)
                memcpy(bytes + at + 2, "fffd", 4);
            if (unit == 0)
                memcpy(bytes + at + 2, "0001", 4);
            at += 6;
        } else {
            at += text.base[at] == '\\' ? 2 : 1;
        }
    }
    return copy;
}

/* The walk */

struct walk {
    struct json_scanner s;
    struct arena arena;
    bool overflow; /* a number was beyond what jansson holds */
};

static struct slice decode(struct walk *w, struct json_string string)
{
    struct slice decoded = json_string_decode(string, &w->arena);
    CHECK(json_string_is(string, decoded));
    CHECK(decoded.len <= string.raw.len);
    CHECK(string.escaped == (slice_find(string.raw, '\\') < string.raw.len));
    CHECK(decoded.len == 0 || !json_string_is(string, slice_head(decoded, decoded.len - 1)));
    struct slice copy = arena_copy(&w->arena, decoded);
    for (size_t i = 0; i < copy.len; i++)
        if (copy.base[i] == '\0')
            ((char *)copy.base)[i] = '\1';
    return copy;
}

static json_t *number(struct walk *w, struct slice text)
{
    const char *terminated = arena_copy(&w->arena, text).base;
    errno = 0;
    if (strcspn(terminated, ".eE") == text.len) {
        long long integer = strtoll(terminated, NULL, 10);
        w->overflow |= errno == ERANGE;
        return json_integer(integer);
    }
    double real = strtod(terminated, NULL);
    w->overflow |= isinf(real) != 0;
    return json_real(isinf(real) ? 0 : real);
}

static json_t *value(struct walk *w);

static json_t *object(struct walk *w)
{
    json_t *result = json_object();
    struct json_string key;
    json_object_begin(&w->s);
    while (json_object_next(&w->s, &key)) {
        struct slice name = decode(w, key);
        json_object_setn_new_nocheck(result, name.base, name.len, value(w));
    }
    return result;
}

static json_t *array(struct walk *w)
{
    json_t *result = json_array();
    json_array_begin(&w->s);
    while (json_array_next(&w->s))
        json_array_append_new(result, value(w));
    return result;
}

/* Reads the next value; nonsense after an error. */
static json_t *value(struct walk *w)
{
    struct json_string string;
    struct slice text = {0};
    bool truth = false;
    switch (json_peek(&w->s)) {
    case SCAN_OBJECT:
        return object(w);
    case SCAN_ARRAY:
        return array(w);
    case SCAN_STRING:
        if (!json_read_string(&w->s, &string))
            break;
        text = decode(w, string);
        return json_stringn_nocheck(text.base, text.len);
    case SCAN_NUMBER:
        return json_skip_slice(&w->s, &text) ? number(w, text) : json_pack("n");
    case SCAN_TRUE:
        json_read_bool(&w->s, &truth);
        return json_boolean(truth);
    case SCAN_FALSE:
        truth = true;
        json_read_bool(&w->s, &truth);
        return json_boolean(truth);
    case SCAN_NULL:
        json_skip(&w->s);
        break;
    case SCAN_ERROR:
        break;
    }
    return json_pack("n");
}

/* The checks */

static void compare_with_jansson(struct walk *w, const json_t *walked, struct slice text)
{
    if (slice_find(text, '\0') < text.len) {
        CHECK(w->s.error_at);
        return;
    }
    struct slice theirs_text = text_for_jansson(text, &w->arena);
    json_error_t error;
    json_t *theirs =
        json_loadb(theirs_text.base, theirs_text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!w->s.error_at && !w->overflow) {
        CHECK(theirs);
        CHECK(json_equal(walked, theirs));
    } else if (w->s.error_at && strncmp(w->s.expected, "at most", 7) == 0) {
        CHECK(*w->s.error_at == '[' || *w->s.error_at == '{');
        CHECK(w->s.error_at - w->s.begin >= JSON_MAX_DEPTH);
    } else {
        CHECK(!theirs);
    }
    json_decref(theirs);
}

static void compare_with_skip(const struct json_scanner *walked, struct slice text)
{
    struct json_scanner s;
    struct slice whole;
    json_scanner_init(&s, text);
    bool skipped = json_skip_slice(&s, &whole), finished = json_finish(&s);
    CHECK(finished == !walked->error_at);
    CHECK(skipped || !finished);
    CHECK(s.error_at == walked->error_at);
    CHECK(s.error_at ? strcmp(s.expected, walked->expected) == 0 : !s.expected);
    if (finished) {
        CHECK(whole.len > 0 && !strchr(" \t\r\n", whole.base[0]));
        CHECK(!strchr(" \t\r\n", whole.base[whole.len - 1]));
    }
}

/* Calls in an order that the text itself decides. */
static void call_at_random(struct slice text)
{
    uint32_t random = 2166136261u;
    for (size_t i = 0; i < text.len; i++)
        random = (random ^ (unsigned char)text.base[i]) * 16777619u;
    struct json_scanner s;
    struct json_string string;
    struct slice slice;
    bool truth;
    json_scanner_init(&s, text);
    for (int calls = 0; calls < 32; calls++) {
        random = random * 1664525u + 1013904223u;
        bool failed = s.error_at, ok = false;
        switch (random >> 28) {
        case 0:
        case 1:
            ok = json_object_begin(&s);
            break;
        case 2:
        case 3:
            ok = json_array_begin(&s);
            break;
        case 4:
        case 5:
        case 6:
            ok = json_object_next(&s, &string);
            break;
        case 7:
        case 8:
        case 9:
            ok = json_array_next(&s);
            break;
        case 10:
            ok = json_read_string(&s, &string);
            break;
        case 11:
            ok = json_read_bool(&s, &truth);
            break;
        case 12:
            ok = json_skip(&s);
            break;
        case 13:
            ok = json_skip_slice(&s, &slice);
            break;
        default:
            ok = json_peek(&s) != SCAN_ERROR;
            break;
        }
        CHECK(!ok || !failed);
        CHECK(s.at >= s.begin && s.at <= s.end && s.depth <= JSON_MAX_DEPTH);
        CHECK(!s.error_at || (s.error_at >= s.begin && s.error_at <= s.end && s.expected));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size); /* a heap copy of exactly this size */
    struct walk w = {.overflow = false};
    json_scanner_init(&w.s, text);
    json_t *walked = value(&w);
    CHECK(json_finish(&w.s) == !w.s.error_at);
    compare_with_jansson(&w, walked, text);
    compare_with_skip(&w.s, text);
    call_at_random(text);
    json_decref(walked);
    arena_done(&w.arena);
    return 0;
}
