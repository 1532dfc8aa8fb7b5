/* The JSON writer. */
#include "json/writer.h"

#include <stdint.h>
#include <stdio.h>

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

/* Length of the UTF-8 sequence (RFC 3629) that begins at `at`, or 0 where there is none. */
static size_t utf8_length(const unsigned char *at, size_t left)
{
    unsigned char c = at[0];
    if (c < 0x80)
        return 1;
    size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || left < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) || (c == 0xf0 && at[1] < 0x90) ||
        (c == 0xf4 && at[1] > 0x8f))
        return 0;
    return len;
}

/* Writes the byte or sequence at `at` in the form JSON needs; `len` is its length, 0 for no UTF-8. */
static void append_escaped(struct buffer *out, const unsigned char *at, size_t len)
{
    if (len == 0)
        buffer_append(out, SLICE("\xef\xbf\xbd"));
    else if (len > 1)
        buffer_append_format(out, "\\u20%02x", at[2] == 0xa8 ? 0x28u : 0x29u);
    else if (*at == '"' || *at == '\\')
        buffer_append(out, slice_of((char[]){'\\', (char)*at}, 2));
    else if (*at == '\n')
        buffer_append(out, SLICE("\\n"));
    else if (*at == '\t')
        buffer_append(out, SLICE("\\t"));
    else if (*at == '\r')
        buffer_append(out, SLICE("\\r"));
    else
        buffer_append_format(out, "\\u%04x", (unsigned)*at);
}

/* Whether the character stands in JSON as it is; U+2028 and U+2029 end lines for some readers. */
static bool is_plain(const unsigned char *at, size_t len)
{
    if (len == 1)
        return *at >= 0x20 && *at != '"' && *at != '\\' && *at != 0x7f;
    return len != 0 && !(len == 3 && at[0] == 0xe2 && at[1] == 0x80 && (at[2] | 1) == 0xa9);
}

static void append_string(struct buffer *out, struct slice s)
{
    const unsigned char *text = (const unsigned char *)s.base;
    size_t plain = 0, at = 0; /* from `plain` to `at` all stands as it is */
    if (s.len == 0) { /* its base may be NULL, which nothing may be added to */
        buffer_append(out, SLICE("\"\""));
        return;
    }
    buffer_append_char(out, '"');
    while (at < s.len) {
        size_t len = utf8_length(text + at, s.len - at);
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
    buffer_append_number(w->out, value < 0 ? 0 - (unsigned long long)value
                                           : (unsigned long long)value);
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
