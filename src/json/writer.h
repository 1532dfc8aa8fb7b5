/* JSON text, appended to a buffer. The writer puts commas; the caller keeps begin and end in pairs
 * and gives a key before each value inside an object. Output is compact, keys in the order given.
 */
#pragma once

#include "base/buffer.h"
#include "base/slice.h"

#include <stdbool.h>

struct json_writer {
    struct buffer *out;
    bool comma; /* something stands before the next value on this level */
};

void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);

/* A member's name, of plain ASCII: one of the program's own. The next call writes its value. */
void json_key_plain(struct json_writer *w, struct slice key);

/* The same; the length of a literal is known to the compiler. */
static inline void json_key(struct json_writer *w, const char *key)
{
    json_key_plain(w, slice_from(key));
}

/* A member's name that may need escapes. */
void json_key_slice(struct json_writer *w, struct slice key);

/* Escapes quotes, backslashes and what utf8_is_control names; bytes that are no UTF-8 become
 * U+FFFD, so that what a Pod's author wrote cannot break the document or a log's lines. */
void json_slice(struct json_writer *w, struct slice value);
void json_text(struct json_writer *w, const char *value);
void json_number(struct json_writer *w, long long value);
void json_decimal(struct json_writer *w, double value); /* %.6g; must be finite */
void json_bool(struct json_writer *w, bool value);
void json_write_null(struct json_writer *w);

/* A value that is JSON already. */
void json_raw(struct json_writer *w, struct slice json);

/* A member in one line; its name as in json_key. */
static inline void json_member(struct json_writer *w, const char *key, struct slice value)
{
    json_key(w, key);
    json_slice(w, value);
}

static inline void json_member_text(struct json_writer *w, const char *key, const char *value)
{
    json_member(w, key, slice_from(value));
}

static inline void json_member_number(struct json_writer *w, const char *key, long long value)
{
    json_key(w, key);
    json_number(w, value);
}

static inline void json_member_bool(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_bool(w, value);
}
