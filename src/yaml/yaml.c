/* Builds position-keeping trees from libyaml's documents. */
#include "yaml/yaml.h"

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

/* YAML 1.2 core schema: what an unquoted scalar says when it says nothing. */
static bool is_null(struct slice text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof(nulls) / sizeof(*nulls); i++)
        if (slice_equal(text, slice_from(nulls[i])))
            return true;
    return false;
}

static void convert_scalar(struct yaml_reader *reader, const yaml_node_t *node,
                           struct yaml_value *value)
{
    struct slice text =
        slice_of((const char *)node->data.scalar.value, node->data.scalar.length);
    bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    value->text = arena_copy(reader->arena, text);
    value->kind = !plain ? YAML_QUOTED : is_null(text) ? YAML_NULL : YAML_PLAIN;
}

static void convert_list(struct yaml_reader *reader, const yaml_node_t *node,
                         struct yaml_value *all, struct yaml_value *value)
{
    value->kind = YAML_LIST;
    value->count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    value->items = arena_allocate(reader->arena, value->count * sizeof(*value->items));
    for (size_t i = 0; i < value->count; i++)
        value->items[i] = &all[node->data.sequence.items.start[i] - 1];
}

static void convert_map(struct yaml_reader *reader, const yaml_node_t *node,
                        struct yaml_value *all, struct yaml_value *value)
{
    value->kind = YAML_MAP;
    value->count = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
    value->pairs = arena_allocate(reader->arena, value->count * sizeof(*value->pairs));
    for (size_t i = 0; i < value->count; i++) {
        const yaml_node_pair_t *pair = &node->data.mapping.pairs.start[i];
        value->pairs[i] = (struct yaml_pair){&all[pair->key - 1], &all[pair->value - 1]};
    }
}

static struct yaml_value *convert(struct yaml_reader *reader, const yaml_document_t *document)
{
    size_t count = (size_t)(document->nodes.top - document->nodes.start);
    struct yaml_value *all = arena_allocate(reader->arena, count * sizeof(*all));
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *node = &document->nodes.start[i];
        all[i].at = place(reader, node->start_mark);
        if (node->type == YAML_SCALAR_NODE)
            convert_scalar(reader, node, &all[i]);
        else if (node->type == YAML_SEQUENCE_NODE)
            convert_list(reader, node, all, &all[i]);
        else if (node->type == YAML_MAPPING_NODE)
            convert_map(reader, node, all, &all[i]);
    }
    return &all[0]; /* libyaml's first node is the root */
}

static void report(struct yaml_reader *reader, struct diagnostics *diagnostics)
{
    const yaml_parser_t *parser = &reader->parser;
    struct position at = place(reader, parser->problem_mark);
    const char *problem = parser->problem ? parser->problem : "out of memory";
    if (parser->error == YAML_READER_ERROR) { /* has no mark, only the byte */
        at.line = at.column = 0;
        diagnostics_error(diagnostics, at, "no YAML: %s (at byte %zu), expected UTF-8 text",
                          problem, parser->problem_offset);
    } else if (parser->context) {
        diagnostics_error(diagnostics, at, "no YAML: %s (%s from line %d on)", problem,
                          parser->context, place(reader, parser->context_mark).line);
    } else {
        diagnostics_error(diagnostics, at, "no YAML: %s", problem);
    }
}

bool yaml_next(struct yaml_reader *reader, struct diagnostics *diagnostics,
               struct yaml_value **ret)
{
    while (!reader->ended) {
        yaml_document_t document;
        if (!yaml_parser_load(&reader->parser, &document)) {
            report(reader, diagnostics);
            reader->ended = true;
            return false;
        }
        struct yaml_value *root = NULL;
        if (document.nodes.start < document.nodes.top)
            root = convert(reader, &document);
        else
            reader->ended = true; /* the end of the stream is a document without nodes */
        yaml_document_delete(&document);
        if (root && root->kind != YAML_NULL) {
            *ret = root;
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
