/* Builds position-keeping trees from libyaml's events. */
#include "yaml/yaml.h"

#include "base/map.h"

#include <stdlib.h>
#include <yaml.h>

struct yaml_reader {
    yaml_parser_t parser;
    struct slice file;
    int first_line;
    struct arena *arena;
    bool ended;
};

struct yaml_reader *yaml_reader_new(struct slice text, struct slice file, int first_line,
                                    struct arena *arena)
{
    struct yaml_reader *reader = memory_allocate_zeroed(1, sizeof(*reader));
    reader->file = file;
    reader->first_line = first_line;
    reader->arena = arena;
    if (!yaml_parser_initialize(&reader->parser))
        abort(); /* it fails only where memory is out */
    yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text.base, text.len);
    return reader;
}

void yaml_reader_free(struct yaml_reader *reader)
{
    if (!reader)
        return;
    yaml_parser_delete(&reader->parser);
    free(reader);
}

static struct position place(const struct yaml_reader *reader, yaml_mark_t mark)
{
    return (struct position){reader->file, (int)mark.line + reader->first_line,
                             (int)mark.column + 1};
}

static void report(struct yaml_reader *reader, struct diagnostics *diagnostics)
{
    const yaml_parser_t *parser = &reader->parser;
    struct position at = place(reader, parser->problem_mark);
    const char *problem = parser->problem ? parser->problem : "out of memory";
    if (parser->error == YAML_READER_ERROR) { /* has no mark, only the byte */
        at.line = reader->first_line;
        at.column = 1;
        diagnostics_error(diagnostics, at, "not YAML: %s (at byte %zu), expected UTF-8 text",
                          problem, parser->problem_offset);
    } else if (parser->context) {
        diagnostics_error(diagnostics, at, "not YAML: %s (%s from line %d on)", problem,
                          parser->context, place(reader, parser->context_mark).line);
    } else {
        diagnostics_error(diagnostics, at, "not YAML: %s", problem);
    }
}

/* --- one document --- */

/* A list or map that is not closed yet. */
struct frame {
    struct yaml_value *value, *key; /* key: of a map, waits for its value */
    size_t capacity;
};

struct building {
    struct yaml_reader *reader;
    struct diagnostics *diagnostics;
    struct map anchors; /* name → struct yaml_value * */
    struct frame stack[YAML_MAX_DEPTH];
    size_t depth;
    struct yaml_value *root;
};

/* YAML 1.2 core schema: what an unquoted scalar says when it says nothing. */
static bool is_null(struct slice text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof(nulls) / sizeof(*nulls); i++)
        if (slice_equal(text, slice_from(nulls[i])))
            return true;
    return false;
}

/* Puts a value where it belongs: into the innermost open list or map, or at the root. */
static void place_value(struct building *b, struct yaml_value *value)
{
    struct arena *arena = b->reader->arena;
    if (b->depth == 0) {
        b->root = value;
        return;
    }
    struct frame *frame = &b->stack[b->depth - 1];
    struct yaml_value *parent = frame->value;
    if (parent->kind == YAML_LIST) {
        parent->items = arena_grow(arena, parent->items, parent->count, &frame->capacity,
                                   sizeof(*parent->items));
        parent->items[parent->count++] = value;
    } else if (!frame->key) {
        frame->key = value;
    } else {
        parent->pairs = arena_grow(arena, parent->pairs, parent->count, &frame->capacity,
                                   sizeof(*parent->pairs));
        parent->pairs[parent->count++] = (struct yaml_pair){frame->key, value};
        frame->key = NULL;
    }
}

static struct yaml_value *add_value(struct building *b, const yaml_event_t *event,
                                    enum yaml_kind kind, const yaml_char_t *anchor)
{
    struct arena *arena = b->reader->arena;
    struct yaml_value *value = arena_allocate(arena, sizeof(*value));
    value->kind = kind;
    value->at = place(b->reader, event->start_mark);
    if (anchor)
        *map_put(&b->anchors, arena_copy(arena, slice_from((const char *)anchor))) = value;
    place_value(b, value);
    return value;
}

static void add_scalar(struct building *b, const yaml_event_t *event)
{
    struct slice text = slice_of((const char *)event->data.scalar.value, event->data.scalar.length);
    bool text_by_tag =
        event->data.scalar.tag && strcmp((const char *)event->data.scalar.tag, YAML_STR_TAG) == 0;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !text_by_tag;
    enum yaml_kind kind = !plain ? YAML_QUOTED : is_null(text) ? YAML_NULL : YAML_PLAIN;
    struct yaml_value *value = add_value(b, event, kind, event->data.scalar.anchor);
    value->text = arena_copy(b->reader->arena, text);
}

static bool add_alias(struct building *b, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct yaml_value *value = map_get(&b->anchors, slice_from(name));
    if (value)
        place_value(b, value);
    else
        diagnostics_error(
            b->diagnostics, place(b->reader, event->start_mark),
            "not YAML: the alias `*%.100s` has no anchor, expected `&%.100s` before it", name,
            name);
    return value != NULL;
}

static bool open_value(struct building *b, const yaml_event_t *event, enum yaml_kind kind,
                       const yaml_char_t *anchor)
{
    if (b->depth == YAML_MAX_DEPTH) {
        diagnostics_error(b->diagnostics, place(b->reader, event->start_mark),
                          "nested deeper than %d levels", YAML_MAX_DEPTH);
        return false;
    }
    struct yaml_value *value = add_value(b, event, kind, anchor);
    b->stack[b->depth++] = (struct frame){.value = value};
    return true;
}

enum step { STEP_ON, STEP_DOCUMENT_ENDED, STEP_STREAM_ENDED, STEP_FAILED };

static enum step take_event(struct building *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_STREAM_END_EVENT:
        return STEP_STREAM_ENDED;
    case YAML_DOCUMENT_END_EVENT:
        return STEP_DOCUMENT_ENDED;
    case YAML_ALIAS_EVENT:
        return add_alias(b, event) ? STEP_ON : STEP_FAILED;
    case YAML_SCALAR_EVENT:
        add_scalar(b, event);
        return STEP_ON;
    case YAML_SEQUENCE_START_EVENT:
        return open_value(b, event, YAML_LIST, event->data.sequence_start.anchor) ? STEP_ON
                                                                                  : STEP_FAILED;
    case YAML_MAPPING_START_EVENT:
        return open_value(b, event, YAML_MAP, event->data.mapping_start.anchor) ? STEP_ON
                                                                                : STEP_FAILED;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return STEP_ON;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_START_EVENT:
        break;
    }
    return STEP_ON;
}

/* Reads one document to its end. */
static enum step build(struct building *b)
{
    enum step step = STEP_ON;
    while (step == STEP_ON) {
        yaml_event_t event;
        if (!yaml_parser_parse(&b->reader->parser, &event)) {
            report(b->reader, b->diagnostics);
            return STEP_FAILED;
        }
        step = take_event(b, &event);
        yaml_event_delete(&event);
    }
    return step;
}

bool yaml_next(struct yaml_reader *reader, struct diagnostics *diagnostics, struct yaml_value **ret)
{
    while (!reader->ended) {
        struct building b = {.reader = reader, .diagnostics = diagnostics};
        enum step step = build(&b);
        map_done(&b.anchors);
        reader->ended = step != STEP_DOCUMENT_ENDED;
        if (step == STEP_DOCUMENT_ENDED && b.root && b.root->kind != YAML_NULL) {
            *ret = b.root;
            return true;
        }
    }
    return false;
}

const char *yaml_kind_name(const struct yaml_value *value)
{
    switch (value->kind) {
    case YAML_NULL:
        return "nothing";
    case YAML_PLAIN:
    case YAML_QUOTED:
        return "a single value";
    case YAML_LIST:
        return "a list";
    case YAML_MAP:
        return "a map";
    }
    return "?";
}
