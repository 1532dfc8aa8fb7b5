/* The JSON writer. */
#include "json/writer.h"

#include "base/utf8.h"

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

/* Writes the character at `at` in the form JSON needs; `len` is its length, 0 for no UTF-8. */
static void append_escaped(struct buffer *out, const unsigned char *at, size_t len)
{
    unsigned char letter = escapes[*at];
    if (len == 0)
        buffer_append(out, SLICE("\xef\xbf\xbd"));
    else if (letter != NOT_ASCII && letter != HEXADECIMAL)
        buffer_append(out, slice_of((char[]){'\\', (char)letter}, 2));
    else
        buffer_append_format(out, "\\u%04x", utf8_decode(at, len)); /* none is past U+FFFF */
}

/* Whether the character, not a plain byte, stands in JSON as it is. */
static bool is_plain(const unsigned char *at, size_t len)
{
    return len > 1 && !utf8_is_control(utf8_decode(at, len));
}

/* How many bytes from `at` on are plain ASCII, found eight at a time. */
static size_t plain_length(const unsigned char *at, size_t left)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    size_t len = 0;
    for (; left - len >= sizeof(uint64_t); len += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, at + len, sizeof(word));
        uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\',
                 del = word ^ ones * 0x7f;
        uint64_t stop =
            (word - ones * 0x20) | (quote - ones) | (backslash - ones) | (del - ones) | word;
        if (stop & high)
            break; /* one of the eight may be special: the caller looks at them one by one */
    }
    return len;
}

static void append_string(struct buffer *out, struct slice s)
{
    const unsigned char *text = (const unsigned char *)s.base;
    size_t plain = 0, at = 0; /* from `plain` to `at` all stands as it is */
    if (s.len == 0) {         /* its base may be NULL, which nothing may be added to */
        buffer_append(out, SLICE("\"\""));
        return;
    }
    buffer_append_char(out, '"');
    while (at < s.len) {
        at += plain_length(text + at, s.len - at);
        while (at < s.len && escapes[text[at]] == PLAIN)
            at++;
        if (at == s.len)
            break;
        size_t len = escapes[text[at]] != NOT_ASCII ? 1 : utf8_length(text + at, s.len - at);
        if (is_plain(text + at, len)) {
            at += len;
            continue;
        }
        buffer_append(out, slice_of(s.base + plain, at - plain));
        append_escaped(out, text + at, len);
        at += len ? len : 1;
        plain = at;
    }
    buffer_append(out, slice_of(s.base + plain, at - plain));
    buffer_append_char(out, '"');
}

void json_key_slice(struct json_writer *w, struct slice key)
{
    separate(w);
    append_string(w->out, key);
    buffer_append_char(w->out, ':');
    w->comma = false;
}

void json_key(struct json_writer *w, const char *key)
{
    json_key_slice(w, slice_from(key));
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

void json_member(struct json_writer *w, const char *key, struct slice value)
{
    json_key(w, key);
    json_slice(w, value);
}

void json_member_text(struct json_writer *w, const char *key, const char *value)
{
    json_member(w, key, slice_from(value));
}

void json_member_number(struct json_writer *w, const char *key, long long value)
{
    json_key(w, key);
    json_number(w, value);
}

void json_member_bool(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_bool(w, value);
}
