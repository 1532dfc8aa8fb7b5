/* Follows a JSON Pointer through text, without a tree. */
#include "json/pointer.h"

#include "json/scanner.h"

enum { TOKEN_MAX = 256 };

bool json_is_pointer(struct slice pointer)
{
    if (pointer.len && pointer.base[0] != '/')
        return false;
    for (size_t i = 0; i < pointer.len; i++)
        if (pointer.base[i] == '~' &&
            (i + 1 == pointer.len || (pointer.base[i + 1] != '0' && pointer.base[i + 1] != '1')))
            return false;
    return true;
}

/* Decodes ~0 and ~1 of one token; false where it is too long to be a key that anybody names. */
static bool decode(struct slice token, char *text, struct slice *ret)
{
    size_t len = 0;
    for (size_t i = 0; i < token.len; i++) {
        if (len == TOKEN_MAX)
            return false;
        char c = token.base[i];
        if (c == '~' && i + 1 < token.len)
            c = token.base[++i] == '0' ? '~' : '/';
        text[len++] = c;
    }
    *ret = slice_of(text, len);
    return true;
}

static bool find_member(struct json_scanner *s, struct slice name, struct slice *ret)
{
    struct json_string key;
    bool found = false;
    json_object_begin(s);
    while (json_object_next(s, &key)) {
        if (!json_string_is(key, name))
            json_skip(s);
        else
            found = json_skip_slice(s, ret);
    }
    return found && !s->error_at;
}

static bool find_element(struct json_scanner *s, struct slice token, struct slice *ret)
{
    size_t index = 0;
    for (size_t i = 0; i < token.len; i++) {
        if (token.base[i] < '0' || token.base[i] > '9' || index > 1000000)
            return false;
        index = index * 10 + (size_t)(token.base[i] - '0');
    }
    json_array_begin(s);
    for (size_t i = 0; json_array_next(s); i++) {
        if (i == index)
            return token.len && json_skip_slice(s, ret);
        json_skip(s);
    }
    return false;
}

bool json_find(struct slice json, struct slice pointer, struct slice *ret)
{
    struct slice at = json;
    if (!json_is_pointer(pointer))
        return false;
    while (pointer.len) {
        char text[TOKEN_MAX];
        struct json_scanner s;
        struct slice token;
        pointer = slice_from_index(pointer, 1);
        size_t end = slice_find(pointer, '/');
        if (!decode(slice_head(pointer, end), text, &token))
            return false;
        pointer = slice_from_index(pointer, end);
        json_scanner_init(&s, at);
        enum scan_type type = json_peek(&s);
        if (!(type == SCAN_OBJECT  ? find_member(&s, token, &at)
              : type == SCAN_ARRAY ? find_element(&s, token, &at)
                                   : false))
            return false;
    }
    *ret = at;
    return true;
}

struct slice json_find_text(struct slice json, const char *pointer, struct arena *arena)
{
    struct slice value, text;
    struct json_scanner s;
    if (!json_find(json, slice_from(pointer), &value))
        return (struct slice){0};
    json_scanner_init(&s, value);
    json_read_text(&s, arena, &text);
    return text;
}
