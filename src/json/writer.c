/* The JSON writer. */
#include "json/writer.h"

#include "base/utf8.h"

#include <endian.h>
#include <stdint.h>

static void separate(struct json_writer *w)
{
    if (w->comma)
        buffer_append_char(w->out, ',');
    w->comma = true;
}

static void begin(struct json_writer *w, char c)
{
    separate(w);
    buffer_append_char(w->out, c);
    w->comma = false;
}

static void end(struct json_writer *w, char c)
{
    buffer_append_char(w->out, c);
    w->comma = true;
}

void json_begin_object(struct json_writer *w)
{
    begin(w, '{');
}

void json_end_object(struct json_writer *w)
{
    end(w, '}');
}

void json_begin_array(struct json_writer *w)
{
    begin(w, '[');
}

void json_end_array(struct json_writer *w)
{
    end(w, ']');
}

enum { PLAIN, HEXADECIMAL = 'u', NOT_ASCII = 1 };

/* What becomes of each byte of a string: it stands as it is, or follows a backslash as this letter,
 * or is the beginning of a longer character. */
static const unsigned char escapes[256] = {
    [0 ... 8] = HEXADECIMAL,
    ['\t'] = 't',
    ['\n'] = 'n',
    [0xb ... 0xc] = HEXADECIMAL,
    ['\r'] = 'r',
    [0xe ... 0x1f] = HEXADECIMAL,
    ['"'] = '"',
    ['\\'] = '\\',
    [0x7f] = HEXADECIMAL,
    [0x80 ... 0xff] = NOT_ASCII,
};

enum { WORD = sizeof(uint64_t) };

/* How many of the bytes at `at` stand before the first of a word that is not plain. */
static inline size_t plain_in_word(const char *at)
{
    const uint64_t ones = UINT64_MAX / 255, highs = ones * 0x80;
    uint64_t word;
    memcpy(&word, at, WORD);
    word = le64toh(word);
    /* The highest bit of each byte tells; a borrow reaches only bytes behind the first hit. */
    uint64_t found = word | (word - ones * ' ') | ((word ^ ones * '"') - ones) |
                     ((word ^ ones * '\\') - ones) | ((word ^ ones * 0x7f) - ones);
    return (found & highs) ? (size_t)__builtin_ctzll(found & highs) / 8 : WORD;
}

/* Appends the bytes that `s` begins with as far as they are plain, and returns their number. There
 * is room for all of `s`: words are copied whole, also what is not plain in the last. */
static size_t append_plain(struct buffer *out, struct slice s)
{
    char *to = out->base + out->len;
    size_t len = 0, plain = WORD;
    while (plain == WORD && s.len - len >= WORD) {
        memcpy(to + len, s.base + len, WORD);
        plain = plain_in_word(s.base + len);
        len += plain;
    }
    for (; plain == WORD && len < s.len && escapes[(unsigned char)s.base[len]] == PLAIN; len++)
        to[len] = s.base[len];
    out->len += len;
    return len;
}

/* Appends the character that `s` begins with, which is not plain, and returns its length. */
static size_t append_special(struct buffer *out, struct slice s)
{
    const unsigned char *at = (const unsigned char *)s.base;
    unsigned char letter = escapes[*at];
    size_t len = letter == NOT_ASCII ? utf8_length(at, s.len) : 1;
    if (letter != NOT_ASCII && letter != HEXADECIMAL)
        buffer_append(out, slice_of((char[]){'\\', (char)letter}, 2));
    else if (len == 0)
        buffer_append(out, SLICE("\xef\xbf\xbd"));
    else if (utf8_is_control(utf8_decode(at, len)))
        buffer_append_format(out, "\\u%04x", utf8_decode(at, len)); /* none is past U+FFFF */
    else
        buffer_append(out, slice_head(s, len));
    return len ? len : 1;
}

static void append_string(struct buffer *out, struct slice s)
{
    buffer_append_char(out, '"');
    while (s.len > 0 && buffer_make_room(out, s.len)) {
        s = slice_from_index(s, append_plain(out, s));
        if (s.len > 0)
            s = slice_from_index(s, append_special(out, s));
    }
    buffer_append_char(out, '"');
}

void json_key_slice(struct json_writer *w, struct slice key)
{
    separate(w);
    append_string(w->out, key);
    buffer_append_char(w->out, ':');
    w->comma = false;
}

void json_key_plain(struct json_writer *w, struct slice key)
{
    separate(w);
    buffer_append_char(w->out, '"');
    buffer_append(w->out, key);
    buffer_append(w->out, SLICE("\":"));
    w->comma = false;
}

void json_slice(struct json_writer *w, struct slice value)
{
    separate(w);
    append_string(w->out, value);
}

void json_text(struct json_writer *w, const char *value)
{
    json_slice(w, slice_from(value));
}

void json_number(struct json_writer *w, long long value)
{
    separate(w);
    if (value < 0)
        buffer_append_char(w->out, '-');
    buffer_append_number(w->out,
                         value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value);
}

void json_decimal(struct json_writer *w, double value)
{
    separate(w);
    buffer_append_format(w->out, "%.6g", value);
}

void json_bool(struct json_writer *w, bool value)
{
    separate(w);
    buffer_append_text(w->out, value ? "true" : "false");
}

void json_write_null(struct json_writer *w)
{
    separate(w);
    buffer_append_text(w->out, "null");
}

void json_raw(struct json_writer *w, struct slice json)
{
    separate(w);
    buffer_append(w->out, json);
}
