/* Reads `podSelector` of a Policy. What Kubernetes would refuse of a selector is an error here. */
#include "policy/fields.h"

static bool read_name(struct field_parser *p, const struct yaml_value *value, struct slice *ret)
{
    struct slice name;
    if (!field_text(p, value, "a label's name", &name))
        return false;
    if (!label_is_name(name)) {
        FIELD_ERROR(p, value,
                    "`%.*s` is not a label's name, expected NAME or PREFIX/NAME: at most 63 "
                    "letters, digits and inner `-`, `_` and `.` after a DNS name",
                    SLICE_ARGS(slice_head(name, 100)));
        return false;
    }
    *ret = name;
    return true;
}

static bool read_value(struct field_parser *p, const struct yaml_value *value, struct slice *ret)
{
    struct slice text = {0};
    bool empty = value->kind == YAML_QUOTED && value->text.len == 0;
    if (!empty && !field_text(p, value, "a label's value", &text))
        return false;
    if (!label_is_value(text)) {
        FIELD_ERROR(p, value,
                    "`%.*s` is not a label's value, expected at most 63 letters, digits and inner "
                    "`-`, `_` and `.`",
                    SLICE_ARGS(slice_head(text, 100)));
        return false;
    }
    *ret = text;
    return true;
}

/* A selector while it is read, into memory that grows. */
struct selector_reader {
    struct selector *selector;
    size_t capacity;
};

static void add(struct field_parser *p, struct selector_reader *r, const struct requirement *item)
{
    struct selector *s = r->selector;
    s->items = arena_grow(p->arena, s->items, s->count, &r->capacity, sizeof(*s->items));
    s->items[s->count++] = *item;
}

static void read_match_labels(struct field_parser *p, const struct yaml_value *value, void *target)
{
    if (!field_is_map(p, value, "`matchLabels`"))
        return;
    for (size_t i = 0; i < value->count; i++) {
        const struct yaml_value *key = value->pairs[i].key;
        struct requirement item = {.operator_ = SELECTOR_IN, .value_count = 1};
        item.values = arena_allocate(p->arena, sizeof(*item.values));
        if (!read_name(p, key, &item.key) || !read_value(p, value->pairs[i].value, item.values))
            continue;
        if (field_has_key(value, i, item.key))
            FIELD_ERROR(p, key, "`%.*s` is here a second time, expected once",
                        SLICE_ARGS(item.key));
        else
            add(p, target, &item);
    }
}

static void read_key(struct field_parser *p, const struct yaml_value *value, void *target)
{
    read_name(p, value, &((struct requirement *)target)->key);
}

static void read_operator(struct field_parser *p, const struct yaml_value *value, void *target)
{
    int index = field_word(p, value, "`operator`", selector_operator_names, SELECTOR_OPERATORS);
    ((struct requirement *)target)->operator_ =
        index < 0 ? SELECTOR_OPERATORS : (enum selector_operator)index;
}

static void read_values(struct field_parser *p, const struct yaml_value *value, void *target)
{
    struct requirement *item = target;
    if (!field_is_list(p, value, "`values`"))
        return;
    item->values = arena_allocate(p->arena, value->count * sizeof(*item->values));
    for (size_t i = 0; i < value->count; i++)
        item->value_count += read_value(p, value->items[i], &item->values[item->value_count]);
}

static const struct field expression_fields[] = {
    REQUIRED_FIELD("key", read_key),
    REQUIRED_FIELD("operator", read_operator),
    FIELD("values", read_values),
};
static const struct field_table expression_table = FIELD_TABLE(expression_fields);

static void read_match_expressions(struct field_parser *p, const struct yaml_value *value,
                                   void *target)
{
    if (!field_is_list(p, value, "`matchExpressions`"))
        return;
    for (size_t i = 0; i < value->count; i++) {
        struct requirement item = {.operator_ = SELECTOR_OPERATORS};
        size_t errors = p->diagnostics->errors;
        fields_read(p, value->items[i], "an expression", &expression_table, &item);
        if (p->diagnostics->errors > errors)
            continue;
        bool wants = item.operator_ == SELECTOR_IN || item.operator_ == SELECTOR_NOT_IN;
        if (wants != (item.value_count > 0))
            FIELD_ERROR(p, value->items[i], "`%s` has %s, expected %s",
                        selector_operator_names[item.operator_], wants ? "no `values`" : "`values`",
                        wants ? "one or more" : "none");
        else
            add(p, target, &item);
    }
}

static const struct field selector_field_list[] = {
    FIELD("matchLabels", read_match_labels),
    {.key = "matchExpressions", .read = read_match_expressions, .fields = &expression_table},
};
const struct field_table selector_fields = FIELD_TABLE(selector_field_list);

void selector_read(struct field_parser *p, const struct yaml_value *value, void *target)
{
    struct policy_document *document = target;
    struct selector_reader reader = {.selector = &document->policy.selector};
    reader.selector->at = value->at;
    fields_read(p, value, "`podSelector`", &selector_fields, &reader);
    selector_finish(reader.selector);
}
