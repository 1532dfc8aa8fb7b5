/* A strict, one-pass JSON reader (RFC 8259): a cursor that its user drives through the text.
 *
 * It validates every byte it passes (grammar, UTF-8 as RFC 3629, numbers, escapes), also what is
 * skipped; it allocates nothing and hands out slices of the text. It builds no tree: the user asks
 * what comes next and reads or skips it. After the first error every call fails quickly, so a user
 * may check once, at the end.
 *
 *     json_object_begin(&s);
 *     while (json_object_next(&s, &key))
 *         if (json_string_is(key, SLICE("name")))
 *             json_read_string(&s, &name);
 *         else
 *             json_skip(&s);
 *     if (!json_finish(&s)) … s.error_at, s.expected
 *
 * A number is read with json_skip_slice.
 */
#pragma once

#include "base/memory.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

enum { JSON_MAX_DEPTH = 512 }; /* of nested objects and arrays; deeper text is an error */

enum scan_type {
    SCAN_ERROR, /* no value can begin here */
    SCAN_NULL,
    SCAN_FALSE,
    SCAN_TRUE,
    SCAN_NUMBER,
    SCAN_STRING,
    SCAN_ARRAY,
    SCAN_OBJECT,
};

/* A string as it stands between its quotes. `raw` points into the text. Only the scanner makes one:
 * decoding relies on its having seen that every escape is whole. */
struct json_string {
    struct slice raw;
    bool escaped; /* raw holds at least one backslash and has to be decoded before use */
};

struct json_scanner {
    const char *begin, *at, *end; /* after an error, at == end: nothing is left to read */
    unsigned depth;
    bool first;           /* just inside a '{' or '[': no comma is expected */
    const char *error_at; /* where the first error is; NULL: none so far */
    const char *expected; /* what was expected there, for a person; static text */
};

/* Starts at the beginning of the text, which must outlive the scanner and all it hands out. */
void json_scanner_init(struct json_scanner *s, struct slice text);

/* The type of the value that comes next, without passing it. SCAN_ERROR (and the error is recorded)
 * where none can begin. */
enum scan_type json_peek(struct json_scanner *s);

/* Enters the object (array) that comes next. False, and an error, where something else does. */
bool json_object_begin(struct json_scanner *s);
bool json_array_begin(struct json_scanner *s);

/* To the next member: passes its key and colon, so that its value comes next, which must then be
 * read or skipped exactly once. False at the end of the object, which is passed, and on error. */
bool json_object_next(struct json_scanner *s, struct json_string *ret_key);

/* To the next element, which must be read or skipped once; only that tells whether there is a value
 * (`[1,]`). False as above. */
bool json_array_next(struct json_scanner *s);

/* Reads a string; false, and an error, where something else comes next. */
bool json_read_string(struct json_scanner *s, struct json_string *ret);

/* Reads a string and decodes it; passes over anything else, without an error, and gives the empty
 * slice. Whether it was a string. */
bool json_read_text(struct json_scanner *s, struct arena *arena, struct slice *ret);

/* Reads true or false. */
bool json_read_bool(struct json_scanner *s, bool *ret);

/* Passes any value, validating it, with all that is inside. */
bool json_skip(struct json_scanner *s);

/* As json_skip, and hands out the text of the value, white space around it left out. */
bool json_skip_slice(struct json_scanner *s, struct slice *ret);

/* True when no error occurred and nothing but white space is left; else false, with the error. */
bool json_finish(struct json_scanner *s);

/* True when the string, decoded, is `text`. Allocates nothing. */
bool json_escaped_string_is(struct json_string string, struct slice text);
static inline bool json_string_is(struct json_string string, struct slice text)
{
    return string.escaped ? json_escaped_string_is(string, text) : slice_equal(string.raw, text);
}

/* The decoded string: `raw` itself where nothing is escaped, else a copy in the arena. A lone
 * surrogate (\ud800) becomes U+FFFD, as Go reads it. May hold NUL (\u0000). */
struct slice json_string_decode(struct json_string string, struct arena *arena);
