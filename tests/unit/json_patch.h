/* Applies a JSON Patch as an API server would, and takes only what harbor-pilot may write:
 * `replace` of a member that is there and `add` where the parent is there. For tests and fuzzing.
 * Texts and numbers keep their bytes; of keys that stand twice the last counts, and is the one that
 * is left. */
#pragma once

#include "base/buffer.h"
#include "json/scanner.h"

#include <stdlib.h>

struct json_node {
    enum scan_type type;
    struct slice raw, text;    /* of scalars: as written; of strings also decoded */
    struct slice raw_key, key; /* of members: with its quotes, and decoded */
    struct json_node *first, *last, *next;
};

static inline struct json_node *node_read(struct json_scanner *s, struct arena *arena)
{
    struct json_node *node = arena_allocate(arena, sizeof(*node));
    struct json_string key = {0};
    node->type = json_peek(s);
    if (node->type != SCAN_OBJECT && node->type != SCAN_ARRAY) {
        if (json_skip_slice(s, &node->raw) && node->type == SCAN_STRING) {
            struct json_string string = {slice_of(node->raw.base + 1, node->raw.len - 2), true};
            node->text = json_string_decode(string, arena);
        }
        return node;
    }
    bool object = node->type == SCAN_OBJECT;
    for (object ? json_object_begin(s) : json_array_begin(s);
         object ? json_object_next(s, &key) : json_array_next(s);) {
        struct json_node *child = node_read(s, arena);
        if (object) {
            child->raw_key = slice_of(key.raw.base - 1, key.raw.len + 2);
            child->key = json_string_decode(key, arena);
        }
        *(node->last ? &node->last->next : &node->first) = child;
        node->last = child;
    }
    return node;
}

/* The tree of a text in the arena; NULL for what is no JSON. */
static inline struct json_node *node_parse(struct slice text, struct arena *arena)
{
    struct json_scanner s;
    json_scanner_init(&s, text);
    struct json_node *node = node_read(&s, arena);
    return json_finish(&s) ? node : NULL;
}

static inline void node_write(const struct json_node *node, struct buffer *out)
{
    if (node->type != SCAN_OBJECT && node->type != SCAN_ARRAY) {
        buffer_append(out, node->raw);
        return;
    }
    buffer_append_char(out, node->type == SCAN_OBJECT ? '{' : '[');
    for (const struct json_node *child = node->first; child; child = child->next) {
        if (node->type == SCAN_OBJECT) {
            buffer_append(out, child->raw_key);
            buffer_append_char(out, ':');
        }
        node_write(child, out);
        if (child->next)
            buffer_append_char(out, ',');
    }
    buffer_append_char(out, node->type == SCAN_OBJECT ? '}' : ']');
}

static inline struct json_node *node_member(const struct json_node *node, struct slice key)
{
    struct json_node *found = NULL;
    for (struct json_node *child = node && node->type == SCAN_OBJECT ? node->first : NULL; child;
         child = child->next)
        if (slice_equal(child->key, key))
            found = child;
    return found;
}

/* The decoded text of a member that is a string; empty for anything else. */
static inline struct slice node_member_text(const struct json_node *node, const char *key)
{
    const struct json_node *member = node_member(node, slice_from(key));
    return member ? member->text : (struct slice){0};
}

static inline void node_append(struct json_node *node, struct json_node *child)
{
    child->next = NULL;
    *(node->last ? &node->last->next : &node->first) = child;
    node->last = child;
}

static inline void node_set_member(struct json_node *node, struct slice raw_key, struct slice key,
                                   struct json_node *value)
{
    struct json_node *child = node->first;
    node->first = node->last = NULL;
    while (child) {
        struct json_node *next = child->next;
        if (!slice_equal(child->key, key))
            node_append(node, child);
        child = next;
    }
    value->raw_key = raw_key;
    value->key = key;
    node_append(node, value);
}

/* The element of a list, or the member of an object, that a part of a JSON Pointer names. */
static inline struct json_node *node_child(const struct json_node *node, struct slice part)
{
    size_t index = 0;
    if (node->type != SCAN_ARRAY)
        return node_member(node, part);
    if (part.len == 0 || part.len > 9 || (part.len > 1 && part.base[0] == '0'))
        return NULL;
    for (size_t i = 0; i < part.len; i++) {
        if (part.base[i] < '0' || part.base[i] > '9')
            return NULL;
        index = index * 10 + (size_t)(part.base[i] - '0');
    }
    struct json_node *child = node->first;
    while (child && index--)
        child = child->next;
    return child;
}

/* Takes the next part of a JSON Pointer, decoded (RFC 6901). */
static inline struct slice take_pointer_part(struct slice *pointer, struct arena *arena)
{
    struct slice part = slice_from_index(*pointer, 1);
    part = slice_head(part, slice_find(part, '/'));
    *pointer = slice_from_index(*pointer, 1 + part.len);
    char *to = arena_allocate(arena, part.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < part.len; i++) {
        char c = part.base[i];
        if (c == '~' && i + 1 < part.len)
            c = part.base[++i] == '1' ? '/' : '~';
        to[len++] = c;
    }
    return slice_of(to, len);
}

/* Applies one operation; NULL, or what does not fit. */
static inline const char *json_patch_apply_one(struct json_node *document,
                                               const struct json_node *operation,
                                               struct arena *arena)
{
    const struct json_node *op = node_member(operation, SLICE("op"));
    const struct json_node *path = node_member(operation, SLICE("path"));
    struct json_node *value = node_member(operation, SLICE("value")), *parent = document;
    size_t members = 0;
    for (const struct json_node *child = operation->first; child; child = child->next)
        members++;
    if (!op || !path || !value || members != 3 || path->text.len == 0 || path->text.base[0] != '/')
        return "an operation has not exactly op, path and value";
    bool replace = slice_equal(op->text, SLICE("replace"));
    if (!replace && !slice_equal(op->text, SLICE("add")))
        return "an operation is neither replace nor add";
    struct slice pointer = path->text, part = take_pointer_part(&pointer, arena);
    while (pointer.len) {
        parent = node_child(parent, part);
        if (!parent)
            return "a parent is not there";
        part = take_pointer_part(&pointer, arena);
    }
    if (replace && !node_child(parent, part))
        return "what is to be replaced is not there";
    struct json_node *copy = arena_allocate(arena, sizeof(*copy));
    *copy = *value;
    if (parent->type == SCAN_ARRAY && !replace && slice_equal(part, SLICE("-"))) {
        node_append(parent, copy);
        return NULL;
    }
    if (parent->type != SCAN_OBJECT)
        return "an element of a list is changed, or a parent is no object";
    struct slice raw_key = /* our patches name no member that needs an escape */
        arena_join(arena, (struct slice[]){SLICE("\""), part, SLICE("\"")}, 3);
    node_set_member(parent, raw_key, part, copy);
    return NULL;
}

/* Applies all to `document`; NULL, or what does not fit. */
static inline const char *json_patch_apply(struct json_node *document,
                                           const struct json_node *patch, struct arena *arena)
{
    if (!document || !patch || patch->type != SCAN_ARRAY || !patch->first)
        return "the patch is no list of operations";
    const char *problem = NULL;
    for (const struct json_node *child = patch->first; child && !problem; child = child->next)
        problem = json_patch_apply_one(document, child, arena);
    return problem;
}

/* The bytes of padded standard base64 in the arena; false for anything else. */
static inline bool base64_decode(struct slice text, struct arena *arena, struct slice *ret)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (text.len % 4)
        return false;
    char *bytes = arena_allocate(arena, text.len / 4 * 3 + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i += 4) {
        unsigned bits = 0, padding = 0;
        for (size_t j = 0; j < 4; j++) {
            char c = text.base[i + j];
            const char *at = c ? strchr(alphabet, c) : NULL;
            bool pad = c == '=' && i + 4 == text.len && j >= 2;
            if ((!at && !pad) || (at && padding))
                return false;
            padding += pad;
            bits = bits << 6 | (at ? (unsigned)(at - alphabet) : 0);
        }
        if ((padding == 1 && (bits & 0xff)) || (padding == 2 && (bits & 0xffff)))
            return false;
        for (size_t j = 0; j < 3 - padding; j++)
            bytes[len++] = (char)(bits >> (16 - 8 * j) & 0xff);
    }
    *ret = slice_of(bytes, len);
    return true;
}
