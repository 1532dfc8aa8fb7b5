/* Readers of the values of policy documents. */
#include "policy/fields.h"

#include "base/buffer.h"
#include "image/glob.h"

#include <errno.h>
#include <stdlib.h>

/* --- maps and their keys --- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein distance, for keys of a reasonable length. */
static size_t distance(struct slice a, struct slice b)
{
    enum { LONGEST = 32 };
    size_t row[LONGEST + 1];
    if (a.len > LONGEST || b.len > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t above = row[j];
            size_t change = diagonal + (a.base[i - 1] != b.base[j - 1]);
            row[j] = smaller(change, smaller(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[b.len];
}

static void report_unknown(struct field_parser *p, const struct yaml_value *key,
                           const struct field_table *fields)
{
    const char *nearest = NULL;
    size_t best = smaller(4, key->text.len / 3 + 2); /* further away is no typing error */
    for (size_t i = 0; i < fields->count; i++) {
        size_t d = distance(key->text, slice_from(fields->fields[i].key));
        if (d < best && d < key->text.len) {
            best = d;
            nearest = fields->fields[i].key;
        }
    }
    if (nearest) {
        FIELD_ERROR(p, key, "unknown field `%.*s`, did you mean `%s`?",
                    SLICE_ARGS(slice_head(key->text, 100)), nearest);
        return;
    }
    struct buffer known = {0};
    for (size_t i = 0; i < fields->count; i++)
        buffer_append_format(&known, "%s`%s`", i ? ", " : "", fields->fields[i].key);
    FIELD_ERROR(p, key, "unknown field `%.*s`, expected one of %.*s",
                SLICE_ARGS(slice_head(key->text, 100)), SLICE_ARGS(buffer_slice(&known)));
    buffer_done(&known);
}

bool field_is_scalar(const struct yaml_value *value)
{
    return value->kind == YAML_PLAIN || value->kind == YAML_QUOTED;
}

bool field_has_key(const struct yaml_value *map, size_t before, struct slice key)
{
    for (size_t i = 0; i < before; i++)
        if (field_is_scalar(map->pairs[i].key) && slice_equal(map->pairs[i].key->text, key))
            return true;
    return false;
}

bool field_is_map(struct field_parser *p, const struct yaml_value *value, const char *what)
{
    if (value->kind == YAML_MAP)
        return true;
    FIELD_ERROR(p, value, "%s is %s, expected a map", what, yaml_kind_name(value));
    return false;
}

static const struct field *find_field(const struct field_table *table, struct slice key)
{
    for (size_t i = 0; i < table->count; i++)
        if (slice_equal(slice_from(table->fields[i].key), key))
            return &table->fields[i];
    return NULL;
}

static void read_field(struct field_parser *p, const struct field *field,
                       const struct yaml_value *value, void *target)
{
    if (field->read)
        field->read(p, value, target);
    else
        fields_read(p, value, arena_format(p->arena, "`%s`", field->key).base, field->fields,
                    target);
}

bool field_holds(const struct yaml_value *map, const char *key)
{
    for (size_t i = 0; i < map->count; i++)
        if (map->pairs[i].value->kind != YAML_NULL && field_is_scalar(map->pairs[i].key) &&
            slice_equal(map->pairs[i].key->text, slice_from(key)))
            return true;
    return false;
}

void fields_read(struct field_parser *p, const struct yaml_value *map, const char *what,
                 const struct field_table *fields, void *target)
{
    if (!field_is_map(p, map, what))
        return;
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_value *key = map->pairs[i].key, *value = map->pairs[i].value;
        if (!field_is_scalar(key)) {
            FIELD_ERROR(p, key, "a key of %s is %s, expected a name", what, yaml_kind_name(key));
            continue;
        }
        const struct field *field = find_field(fields, key->text);
        if (!field)
            report_unknown(p, key, fields);
        else if (field_has_key(map, i, key->text))
            FIELD_ERROR(p, key, "`%s` is here a second time, expected once", field->key);
        else if (value->kind != YAML_NULL)
            read_field(p, field, value, target);
    }
    for (const struct field *f = fields->fields; f < fields->fields + fields->count; f++)
        if (f->required && !field_holds(map, f->key))
            FIELD_ERROR(p, map, "%s has no `%s`, expected one", what, f->key);
}

/* --- scalars --- */

/* True for unquoted text that YAML tools read as a number or a truth value. */
static bool is_typed(struct slice text)
{
    static const char *const words[] = {"true", "false", "True", "False", "TRUE", "FALSE"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (slice_equal(text, slice_from(words[i])))
            return true;
    char *end;
    if (strspn(text.base, "+-.0123456789abcdefxABCDEFX") != text.len)
        return slice_equal(text, SLICE(".inf")) || slice_equal(text, SLICE(".nan"));
    strtod(text.base, &end); /* NUL-terminated by the reader */
    return text.len && end == text.base + text.len;
}

/* What stands there, for a message: "a list", "`25` in quotes", "`x`". */
static struct slice describe(struct field_parser *p, const struct yaml_value *value)
{
    if (!field_is_scalar(value))
        return slice_from(yaml_kind_name(value));
    return arena_format(p->arena, "`%.*s`%s", SLICE_ARGS(slice_head(value->text, 40)),
                        value->kind == YAML_QUOTED ? " in quotes" : "");
}

bool field_text(struct field_parser *p, const struct yaml_value *value, const char *what,
                struct slice *ret)
{
    if (!field_is_scalar(value)) {
        FIELD_ERROR(p, value, "%s is %s, expected text", what, yaml_kind_name(value));
        return false;
    }
    if (value->kind == YAML_PLAIN && is_typed(value->text)) {
        FIELD_ERROR(p, value,
                    "%s is %.*s, which YAML reads as a number or truth value; expected text: "
                    "put it in quotes",
                    what, SLICE_ARGS(slice_head(value->text, 40)));
        return false;
    }
    if (value->text.len == 0) {
        FIELD_ERROR(p, value, "%s is empty, expected text", what);
        return false;
    }
    *ret = value->text;
    return true;
}

bool field_integer(struct field_parser *p, const struct yaml_value *value, const char *what,
                   long least, long most, long *ret)
{
    char *end = NULL;
    errno = 0;
    long number = value->kind == YAML_PLAIN ? strtol(value->text.base, &end, 10) : 0;
    if (!end || end != value->text.base + value->text.len || errno || number < least ||
        number > most) {
        FIELD_ERROR(p, value, "%s is %.*s, expected a whole number from %ld to %ld", what,
                    SLICE_ARGS(describe(p, value)), least, most);
        return false;
    }
    *ret = number;
    return true;
}

bool field_truth(struct field_parser *p, const struct yaml_value *value, const char *what,
                 bool *ret)
{
    bool yes = value->kind == YAML_PLAIN && slice_equal(value->text, SLICE("true"));
    bool no = value->kind == YAML_PLAIN && slice_equal(value->text, SLICE("false"));
    if (yes || no)
        *ret = yes;
    else
        FIELD_ERROR(p, value, "%s is %.*s, expected `true` or `false`", what,
                    SLICE_ARGS(describe(p, value)));
    return yes || no;
}

/* The index of the value among `count` words, or -1 and an error that lists them. */
int field_word(struct field_parser *p, const struct yaml_value *value, const char *what,
               const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (field_is_scalar(value) && slice_equal(value->text, slice_from(words[i])))
            return (int)i;
    struct slice list = {0};
    for (size_t i = 0; i < count; i++)
        list = arena_format(p->arena, "%.*s%s`%s`", SLICE_ARGS(list),
                            i == 0           ? ""
                            : i + 1 == count ? " or "
                                             : ", ",
                            words[i]);
    if (field_is_scalar(value))
        FIELD_ERROR(p, value, "%s is `%.*s`, expected %.*s", what,
                    SLICE_ARGS(slice_head(value->text, 40)), SLICE_ARGS(list));
    else
        FIELD_ERROR(p, value, "%s is %s, expected %.*s", what, yaml_kind_name(value),
                    SLICE_ARGS(list));
    return -1;
}

bool field_name(struct field_parser *p, const struct yaml_value *value, const char *what,
                struct slice *ret)
{
    struct slice name;
    if (!field_text(p, value, what, &name))
        return false;
    if (!label_is_subdomain(name)) {
        FIELD_ERROR(p, value, "%s is `%.*s`, expected lower-case letters, digits, `-` and `.`",
                    what, SLICE_ARGS(slice_head(name, 100)));
        return false;
    }
    *ret = name;
    return true;
}

/* --- lists --- */

bool field_is_list(struct field_parser *p, const struct yaml_value *value, const char *what)
{
    if (value->kind == YAML_LIST)
        return true;
    FIELD_ERROR(p, value, "%s is %s, expected a list", what, yaml_kind_name(value));
    return false;
}

void field_patterns(struct field_parser *p, const struct yaml_value *value, const char *what,
                    struct pattern_list *ret)
{
    if (!field_is_list(p, value, what))
        return;
    ret->items = arena_allocate(p->arena, value->count * sizeof(*ret->items));
    ret->count = 0;
    for (size_t i = 0; i < value->count; i++) {
        const struct yaml_value *item = value->items[i];
        struct pattern pattern = {.at = item->at};
        if (!field_text(p, item, what, &pattern.text))
            continue;
        if (pattern.text.len > POLICY_MAX_PATTERN) {
            FIELD_ERROR(p, item, "%s: a pattern has %zu characters, expected at most %d", what,
                        pattern.text.len, POLICY_MAX_PATTERN);
            continue;
        }
        pattern.wildcard = glob_has_wildcard(pattern.text);
        ret->items[ret->count++] = pattern;
    }
}
