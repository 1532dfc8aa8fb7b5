/* YAML documents as a tree whose every node remembers its place, read by libyaml. */
#pragma once

#include "base/diagnostics.h"
#include "base/memory.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

enum { YAML_MAX_DEPTH = 200 }; /* of nested lists and maps; deeper text is an error */

enum yaml_kind {
    YAML_NULL,   /* nothing, ~ or null, unquoted */
    YAML_PLAIN,  /* an unquoted scalar: a number, true, or text */
    YAML_QUOTED, /* a quoted or block scalar, or one tagged !!str: always text */
    YAML_LIST,
    YAML_MAP,
};

struct yaml_pair;

struct yaml_value {
    enum yaml_kind kind;
    struct position at;
    struct slice text;         /* of scalars, in the arena, NUL-terminated */
    struct yaml_value **items; /* of lists */
    struct yaml_pair *pairs;   /* of maps, in order; keys may repeat */
    size_t count;              /* of items or pairs */
};

struct yaml_pair {
    struct yaml_value *key, *value;
};

/* One document after the other, from text in memory. */
struct yaml_reader;

/* Starts reading; `file` names the text in positions, whose lines count from `first_line` (1 for a
 * whole file). `text` and `arena` (which takes the trees)
 * must outlive the reader. Free with yaml_reader_free. */
struct yaml_reader *yaml_reader_new(struct slice text, struct slice file, int first_line,
                                    struct arena *arena);
void yaml_reader_free(struct yaml_reader *reader);

/* The next document that is not empty. False at the end, and on a syntax error, which is added to
 * `diagnostics` and ends the text. A node with an alias to itself makes a cyclic tree: walk only as
 * deep as you expect. */
bool yaml_next(struct yaml_reader *reader, struct diagnostics *diagnostics,
               struct yaml_value **ret);

/* "a list", "a map", "text"…: for messages that say what was there instead. */
const char *yaml_kind_name(const struct yaml_value *value);
