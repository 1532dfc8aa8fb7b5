/* The JSON scanner: grammar (RFC 8259), UTF-8 (RFC 3629) and the decoding of strings.
 *
 * The functions named pass_… take a position in the text and return the position behind what they
 * passed, or NULL when it is not there; then the error is recorded. Positions are locals and not
 * s->at, so that they stay in a register. Nothing reads s->end or beyond: single bytes go through
 * byte_at(), blocks are loaded only where a whole one is left. */
#include "json/scanner.h"

#include "base/utf8.h"

#include <ctype.h>
#include <endian.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Records the first error. The scanner moves to the end of the text, where nothing can be read, so
 * that every later call fails without asking for the error. Returns NULL, which is false, too. */
static __attribute__((cold, noinline)) const char *fail(struct json_scanner *s, const char *at,
                                                        const char *expected)
{
    if (!s->error_at) {
        s->error_at = at;
        s->expected = expected;
    }
    s->at = s->end;
    s->first = false;
    return NULL;
}

/* The byte at `at`; NUL, which no rule outside strings accepts, at the end of the text. */
static inline char byte_at(const struct json_scanner *s, const char *at)
{
    return at < s->end ? *at : '\0';
}

static inline bool is_space(char c)
{
    return (unsigned char)c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
}

/* Passes white space; returns the byte behind it, NUL at the end of the text. */
static inline char pass_space(const struct json_scanner *s, const char **at)
{
    for (; *at < s->end; ++*at)
        if (!is_space(**at))
            return **at;
    return '\0';
}

/* Strings */

static inline bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

/* How many of the bytes at `at` stand before the first that needs a closer look inside a string: a
 * quote, a backslash, a control character or a byte beyond ASCII. Looks at BLOCK bytes. */
#ifdef __SSE2__
enum { BLOCK = 16 };

static inline size_t plain_in_block(const char *at)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i found = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                 _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    /* The highest bit of each byte tells. They are signed here, and do not wrap: less than a space
     * are those beyond ASCII, too. */
    found = _mm_or_si128(found, _mm_subs_epi8(bytes, _mm_set1_epi8(' ')));
    return (unsigned)__builtin_ctz((unsigned)_mm_movemask_epi8(found) | 1U << BLOCK);
}
#else
enum { BLOCK = 8 };

static inline size_t plain_in_block(const char *at)
{
    const uint64_t ones = UINT64_MAX / 255, highs = ones * 0x80;
    uint64_t bytes;
    memcpy(&bytes, at, sizeof(bytes));
    bytes = le64toh(bytes);
    /* The highest bit of each byte tells; a borrow reaches only bytes behind the first hit. */
    uint64_t found = bytes | (bytes - ones * ' ') | ((bytes ^ ones * '"') - ones) |
                     ((bytes ^ ones * '\\') - ones);
    return (found & highs) ? (size_t)__builtin_ctzll(found & highs) / 8 : BLOCK;
}
#endif

/* The first byte from `at` on that needs a closer look; `end` where there is none. */
static const char *pass_plain(const char *at, const char *end)
{
    while (end - at >= BLOCK) {
        size_t plain = plain_in_block(at);
        at += plain;
        if (plain < BLOCK)
            return at;
    }
    while (at < end && is_plain(*at))
        at++;
    return at;
}

/* Passes a backslash and what belongs to it. Surrogates need not come in pairs: that is grammar. */
static const char *pass_escape(struct json_scanner *s, const char *at)
{
    switch (byte_at(s, ++at)) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return at + 1;
    case 'u':
        at++;
        break;
    default:
        return fail(s, at, "one of \"\\/bfnrtu after a backslash");
    }
    for (int i = 0; i < 4; i++, at++)
        if (!isxdigit((unsigned char)byte_at(s, at)))
            return fail(s, at, "four hexadecimal digits after \\u");
    return at;
}

/* Passes one character beyond ASCII. */
static const char *pass_utf8(struct json_scanner *s, const char *at)
{
    size_t len = utf8_length((const unsigned char *)at, (size_t)(s->end - at));
    return len ? at + len : fail(s, at, "valid UTF-8");
}

/* Where a string ends, at its last quote; NULL where it does not. */
struct string_end {
    const char *at;
    bool escaped; /* a backslash is before it */
};

/* Finds the end of a string from `at` on, whatever stands there. */
static __attribute__((noinline)) struct string_end find_end(struct json_scanner *s, const char *at)
{
    bool escaped = false;
    while (at) {
        at = pass_plain(at, s->end);
        if (at == s->end) {
            at = fail(s, at, "'\"' at the end of the string");
        } else if (*at == '"') {
            break;
        } else if (*at == '\\') {
            escaped = true;
            at = pass_escape(s, at);
        } else if ((unsigned char)*at < 0x20) {
            at = fail(s, at, "an escape such as \\n for a control character");
        } else {
            at = pass_utf8(s, at);
        }
    }
    return (struct string_end){at, escaped};
}

/* Passes a string; its first quote is at `at`. `ret` may be NULL. Inline, since most are plain and
 * shorter than a block: then the call would take longer than the work. */
static inline __attribute__((always_inline)) const char *
pass_string(struct json_scanner *s, const char *at, struct json_string *ret)
{
    const char *from = at + 1;
    struct string_end end = {from, false};
    for (size_t plain = BLOCK; plain == BLOCK && s->end - end.at > BLOCK; end.at += plain)
        plain = plain_in_block(end.at);
    if (byte_at(s, end.at) != '"') {
        end = find_end(s, end.at);
        if (!end.at)
            return NULL;
    }
    if (ret)
        *ret = (struct json_string){slice_of(from, (size_t)(end.at - from)), end.escaped};
    return end.at + 1;
}

/* Other values */

static const char *pass_literal(struct json_scanner *s, const char *at, struct slice literal)
{
    if (!slice_starts_with(slice_of(at, (size_t)(s->end - at)), literal))
        return fail(s, at, literal.base);
    return at + literal.len;
}

/* Passes one digit or more. */
static const char *pass_digits(struct json_scanner *s, const char *at)
{
    if (byte_at(s, at) < '0' || byte_at(s, at) > '9')
        return fail(s, at, "a digit");
    do
        at++;
    while (byte_at(s, at) >= '0' && byte_at(s, at) <= '9');
    return at;
}

static const char *pass_number(struct json_scanner *s, const char *at)
{
    if (*at == '-')
        at++;
    at = byte_at(s, at) == '0' ? at + 1 : pass_digits(s, at); /* no digit follows a leading 0 */
    if (at && byte_at(s, at) == '.')
        at = pass_digits(s, at + 1);
    if (at && (byte_at(s, at) == 'e' || byte_at(s, at) == 'E')) {
        at++;
        if (byte_at(s, at) == '+' || byte_at(s, at) == '-')
            at++;
        at = pass_digits(s, at);
    }
    return at;
}

static inline enum scan_type type_of(char c)
{
    switch (c) {
    case '"':
        return SCAN_STRING;
    case '{':
        return SCAN_OBJECT;
    case '[':
        return SCAN_ARRAY;
    case 't':
        return SCAN_TRUE;
    case 'f':
        return SCAN_FALSE;
    case 'n':
        return SCAN_NULL;
    default:
        return c == '-' || (c >= '0' && c <= '9') ? SCAN_NUMBER : SCAN_ERROR;
    }
}

/* Passes a value that holds no others. */
static const char *pass_scalar(struct json_scanner *s, const char *at)
{
    switch (type_of(byte_at(s, at))) {
    case SCAN_STRING:
        return pass_string(s, at, NULL);
    case SCAN_NUMBER:
        return pass_number(s, at);
    case SCAN_TRUE:
        return pass_literal(s, at, SLICE("true"));
    case SCAN_FALSE:
        return pass_literal(s, at, SLICE("false"));
    case SCAN_NULL:
        return pass_literal(s, at, SLICE("null"));
    case SCAN_OBJECT:
    case SCAN_ARRAY:
    case SCAN_ERROR:
        break;
    }
    return fail(s, at, "a value");
}

/* Objects and arrays */

static const char too_deep[] = "at most 512 nested objects and arrays";
_Static_assert(JSON_MAX_DEPTH == 512, "the text says the number");

/* Passes a member's key and its colon. `first`: nothing stands before it in the object. `ret` may
 * be NULL. */
static inline __attribute__((always_inline)) const char *
pass_key(struct json_scanner *s, const char *at, bool first, struct json_string *ret)
{
    if (pass_space(s, &at) != '"')
        return fail(s, at, first ? "a string or '}'" : "a string");
    at = pass_string(s, at, ret);
    if (!at)
        return NULL;
    if (pass_space(s, &at) != ':')
        return fail(s, at, "':'");
    return at + 1;
}

static const char *fail_after_value(struct json_scanner *s, const char *at, char closer)
{
    return fail(s, at, closer == '}' ? "',' or '}'" : "',' or ']'");
}

/* Enters an object or array: `opener` is its bracket. */
static bool begin(struct json_scanner *s, char opener, const char *expected)
{
    const char *at = s->at;
    if (pass_space(s, &at) != opener)
        return fail(s, at, expected);
    if (s->depth >= JSON_MAX_DEPTH)
        return fail(s, at, too_deep);
    s->depth++;
    s->first = true;
    s->at = at + 1;
    return true;
}

/* Passes what stands before a member or an element. False on error and at the end, also passed. */
static inline bool next(struct json_scanner *s, char closer)
{
    const char *at = s->at;
    char c = pass_space(s, &at);
    if (c == closer && s->depth > 0) {
        s->depth--;
        s->first = false; /* the object or array was a value of the one around it */
        s->at = at + 1;
        return false;
    }
    if (!s->first && c != ',')
        return fail_after_value(s, at, closer);
    s->at = s->first ? at : at + 1;
    return true;
}

/* The public functions */

void json_scanner_init(struct json_scanner *s, struct slice text)
{
    const char *base = text.base ? text.base : ""; /* positions are never NULL */
    *s = (struct json_scanner){.begin = base, .at = base, .end = base + text.len};
}

enum scan_type json_peek(struct json_scanner *s)
{
    enum scan_type type = type_of(pass_space(s, &s->at));
    if (type == SCAN_ERROR)
        fail(s, s->at, "a value");
    return type;
}

bool json_object_begin(struct json_scanner *s)
{
    return begin(s, '{', "an object");
}

bool json_array_begin(struct json_scanner *s)
{
    return begin(s, '[', "an array");
}

bool json_object_next(struct json_scanner *s, struct json_string *ret_key)
{
    if (!next(s, '}'))
        return false;
    struct json_string key;
    const char *at = pass_key(s, s->at, s->first, &key);
    if (!at)
        return false;
    *ret_key = key;
    s->first = false;
    s->at = at;
    return true;
}

bool json_array_next(struct json_scanner *s)
{
    if (!next(s, ']'))
        return false;
    s->first = false;
    return true;
}

bool json_read_string(struct json_scanner *s, struct json_string *ret)
{
    struct json_string string;
    const char *at = s->at;
    if (pass_space(s, &at) != '"')
        return fail(s, at, "a string");
    at = pass_string(s, at, &string);
    if (!at)
        return false;
    *ret = string;
    s->at = at;
    return true;
}

bool json_read_bool(struct json_scanner *s, bool *ret)
{
    const char *at = s->at;
    char c = pass_space(s, &at);
    if (c != 't' && c != 'f')
        return fail(s, at, "true or false");
    at = pass_scalar(s, at);
    if (!at)
        return false;
    *ret = c == 't';
    s->at = at;
    return true;
}

bool json_skip(struct json_scanner *s)
{
    char closers[JSON_MAX_DEPTH]; /* of the objects and arrays entered here, the innermost last */
    unsigned open = 0;            /* how many they are */
    bool first = false, member = false; /* what comes next in them: with a key before it? */
    const char *at = s->at;
    for (;;) {
        if (member && !(at = pass_key(s, at, first, NULL)))
            return false;
        char c = pass_space(s, &at);
        if (c == '{' || c == '[') {
            if (s->depth + open >= JSON_MAX_DEPTH)
                return fail(s, at, too_deep);
            char closer = c == '{' ? '}' : ']';
            closers[open++] = closer;
            at++;
            if (pass_space(s, &at) != closer) {
                first = true;
                member = c == '{';
                continue;
            }
        } else if (!(at = c == '"' ? pass_string(s, at, NULL) : pass_scalar(s, at))) {
            return false;
        }

        /* Here a value has ended, or an empty object or array is about to. */
        for (; open > 0; open--, at++) {
            c = pass_space(s, &at);
            if (c == ',')
                break;
            if (c != closers[open - 1])
                return fail_after_value(s, at, closers[open - 1]);
        }
        if (open == 0) {
            s->at = at;
            return true;
        }
        at++;
        first = false;
        member = closers[open - 1] == '}';
    }
}

bool json_skip_slice(struct json_scanner *s, struct slice *ret)
{
    const char *from = s->at;
    pass_space(s, &from);
    if (!json_skip(s))
        return false;
    *ret = slice_of(from, (size_t)(s->at - from));
    return true;
}

bool json_finish(struct json_scanner *s)
{
    const char *at = s->at;
    pass_space(s, &at);
    if (s->depth > 0)
        return fail(s, at, "the end of all objects and arrays");
    if (at < s->end)
        return fail(s, at, "the end of the text");
    s->at = at;
    return !s->error_at;
}

/* Decoding. The scanner has validated the string: escapes are complete. */

static unsigned decode_hex4(const char *at)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned c = (unsigned char)at[i];
        value = value << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

static size_t encode_utf8(unsigned c, char ret[4])
{
    static const unsigned lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        ret[i] = (char)(0x80 | (c & 0x3f));
    ret[0] = (char)(lead[len] | c);
    return len;
}

/* Takes a \u escape, or two that make a surrogate pair, from the front of *raw. */
static unsigned take_unicode(struct slice *raw)
{
    unsigned c = decode_hex4(raw->base + 2);
    *raw = slice_from_index(*raw, 6);
    if (c < 0xd800 || c > 0xdfff)
        return c;
    if (c < 0xdc00 && slice_starts_with(*raw, SLICE("\\u"))) {
        unsigned low = decode_hex4(raw->base + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *raw = slice_from_index(*raw, 6);
            return 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
        }
    }
    return 0xfffd; /* a lone one */
}

/* Takes a byte or an escape from the front of *raw, which is not empty. Returns how many bytes it
 * stands for; never more than it took. */
static size_t take_decoded(struct slice *raw, char ret[4])
{
    if (slice_starts_with(*raw, SLICE("\\u")))
        return encode_utf8(take_unicode(raw), ret);
    size_t taken = 1;
    ret[0] = raw->base[0];
    if (ret[0] == '\\') {
        static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
        const char *name = strchr(names, raw->base[1]);
        ret[0] = name ? values[name - names] : '?';
        taken = 2;
    }
    *raw = slice_from_index(*raw, taken);
    return 1;
}

bool json_escaped_string_is(struct json_string string, struct slice text)
{
    while (string.raw.len > 0) {
        char decoded[4];
        size_t len = take_decoded(&string.raw, decoded);
        if (!slice_starts_with(text, slice_of(decoded, len)))
            return false;
        text = slice_from_index(text, len);
    }
    return text.len == 0;
}

struct slice json_string_decode(struct json_string string, struct arena *arena)
{
    if (!string.escaped)
        return string.raw;
    char *base = arena_allocate(arena, string.raw.len); /* decoded, it is shorter */
    size_t len = 0;
    while (string.raw.len > 0) {
        char decoded[4];
        size_t n = take_decoded(&string.raw, decoded);
        memcpy(base + len, decoded, n);
        len += n;
    }
    return slice_of(base, len);
}

bool json_read_text(struct json_scanner *s, struct arena *arena, struct slice *ret)
{
    struct json_string string;
    *ret = (struct slice){0};
    if (pass_space(s, &s->at) != '"') {
        json_skip(s);
        return false;
    }
    const char *at = pass_string(s, s->at, &string);
    if (at) {
        *ret = string.escaped ? json_string_decode(string, arena) : string.raw;
        s->at = at;
    }
    return true;
}
