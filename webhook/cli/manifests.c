/* Splits input into objects. YAML documents are converted to JSON one at a time; JSON is read in
 * place, so that a large `kubectl get -o json` costs no copy. */
#include "webhook/cli/manifests.h"

#include "yaml/convert.h"
#include "json/pointer.h"

/* How many values and bytes aliases may add to those that a document has itself. */
enum { MANIFESTS_ALIAS_BUDGET = 1000000 };

#define RENDER "expected what `helm template` or `kustomize build` makes of it"

struct reading {
    struct diagnostics *diagnostics;
    struct manifests_seen *seen;
    manifest_handler *handle;
    void *context;
    struct arena arena;  /* of one object */
    const char *counted; /* of JSON read in place: up to here lines are counted; else NULL */
    int line;            /* that `counted` is in */
};

/* The line of a place in JSON text; places must come in order. */
static int line_of(struct reading *r, const char *place)
{
    for (; r->counted < place; r->counted++)
        if (*r->counted == '\n')
            r->line++;
    return r->line;
}

/* PodList holds Pods, which do not say so; List holds objects that say what they are. */
static bool is_list(const struct object *object, struct slice *ret_items, struct object *ret_item)
{
    struct slice kind = object->kind, list = SLICE("List");
    if (kind.len < list.len || !slice_equal(slice_from_index(kind, kind.len - list.len), list) ||
        !json_find(object->json, SLICE("/items"), ret_items))
        return false;
    *ret_item =
        (struct object){.group = object->group, .kind = slice_head(kind, kind.len - list.len)};
    return true;
}

/* Counts a document that says nothing of a kind. */
static void note_other(struct reading *r, struct slice json, struct position at)
{
    bool map = json.base[0] == '{' || json.base[0] == '[';
    if (slice_equal(json, SLICE("null")) || (map && json.len == 2))
        return;
    if (r->seen->maps + r->seen->texts == 0)
        r->seen->first_other = at;
    if (map)
        r->seen->maps++;
    else
        r->seen->texts++;
}

/* Text between two pairs of braces: what Helm and others replace. */
static bool is_unrendered(const struct object *object, struct slice *ret)
{
    const struct slice texts[] = {object->name, object->namespace_, object->kind};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (texts[i].len && memmem(texts[i].base, texts[i].len, "{{", 2)) {
            *ret = texts[i];
            return true;
        }
    return false;
}

static void read_object(struct reading *r, struct slice json, const struct object *otherwise,
                        struct position at, unsigned depth)
{
    struct manifest manifest = {.at = at};
    struct object item_kind;
    struct slice items, item;
    struct json_scanner s;
    struct slice unrendered;
    if (!object_read(json, otherwise, &r->arena, &manifest.object)) {
        note_other(r, json, at);
        return;
    }
    r->seen->objects++;
    if (is_unrendered(&manifest.object, &unrendered)) {
        diagnostics_error(r->diagnostics, at, "`%.*s` is a template that was not rendered, " RENDER,
                          SLICE_ARGS(slice_head(unrendered, 100)));
        arena_clear(&r->arena);
        return;
    }
    if (!is_list(&manifest.object, &items, &item_kind)) {
        r->handle(r->context, &manifest, &r->arena);
        arena_clear(&r->arena);
        return;
    }
    if (depth == MANIFESTS_MAX_NESTED_LISTS) {
        diagnostics_error(r->diagnostics, at, "Lists are nested deeper than %d levels", depth);
        return;
    }
    struct arena names = {0}; /* outlives the items */
    item_kind.group = arena_copy(&names, item_kind.group);
    item_kind.kind = arena_copy(&names, item_kind.kind);
    json_scanner_init(&s, items);
    if (json_peek(&s) == SCAN_ARRAY && json_array_begin(&s))
        while (json_array_next(&s) && json_skip_slice(&s, &item)) {
            if (r->counted)
                at.line = line_of(r, item.base);
            read_object(r, item, &item_kind, at, depth + 1);
        }
    arena_done(&names);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* --- JSON --- */

/* One document after the other, as some tools write them. */
static void read_json(struct reading *r, struct slice text, struct slice file, int first_line)
{
    static const struct object none;
    r->counted = text.base;
    r->line = first_line;
    while (text.len) {
        struct json_scanner s;
        struct slice json;
        json_scanner_init(&s, text);
        if (!json_skip_slice(&s, &json)) {
            const char *line = s.error_at;
            while (line > text.base && line[-1] != '\n')
                line--;
            struct position at = {file, line_of(r, s.error_at), (int)(s.error_at - line) + 1};
            diagnostics_error(r->diagnostics, at, "not JSON: expected %s", s.expected);
            return;
        }
        read_object(r, json, &none, (struct position){file, line_of(r, json.base), 1}, 0);
        text = slice_from_index(text, (size_t)(json.base - text.base) + json.len);
        while (text.len && is_space(text.base[0]))
            text = slice_from_index(text, 1);
    }
}

/* --- YAML --- */

static void read_yaml_value(struct reading *r, const struct yaml_value *value, size_t budget,
                            const struct object *otherwise)
{
    struct buffer json = {0};
    struct position at = value->at;
    struct error error;
    if (!yaml_to_json(value, budget, &json, &at, &error))
        diagnostics_error(r->diagnostics, at, "%s", error.text);
    else
        read_object(r, buffer_slice(&json), otherwise, value->at, 0);
    buffer_done(&json);
}

static const struct yaml_value *find_value(const struct yaml_value *map, struct slice key)
{
    for (size_t i = 0; map->kind == YAML_MAP && i < map->count; i++)
        if (slice_equal(map->pairs[i].key->text, key))
            return map->pairs[i].value;
    return NULL;
}

/* The items of a List are read one by one: each has its own line, and errors of its own. */
static void read_yaml_document(struct reading *r, const struct yaml_value *root, size_t budget)
{
    static const struct object none;
    const struct yaml_value *kind = find_value(root, SLICE("kind"));
    const struct yaml_value *items = find_value(root, SLICE("items"));
    const struct yaml_value *version = find_value(root, SLICE("apiVersion"));
    struct slice list = SLICE("List");
    if (!kind || !items || items->kind != YAML_LIST || kind->text.len < list.len ||
        !slice_equal(slice_from_index(kind->text, kind->text.len - list.len), list)) {
        read_yaml_value(r, root, budget, &none);
        return;
    }
    struct slice group = version ? version->text : (struct slice){0};
    size_t slash = slice_find(group, '/');
    struct object item_kind = {
        .group = slash < group.len ? slice_head(group, slash) : (struct slice){0},
        .kind = slice_head(kind->text, kind->text.len - list.len),
    };
    for (size_t i = 0; i < items->count; i++)
        read_yaml_value(r, items->items[i], budget, &item_kind);
}

static void read_yaml(struct reading *r, struct slice text, struct slice file, int first_line)
{
    struct arena arena = {0};
    struct yaml_reader *reader = yaml_reader_new(text, file, first_line, &arena);
    struct yaml_value *root;
    r->counted = NULL;
    while (yaml_next(reader, r->diagnostics, &root))
        read_yaml_document(r, root, text.len + MANIFESTS_ALIAS_BUDGET);
    yaml_reader_free(reader);
    arena_done(&arena);
}

/* --- documents --- */

/* True where a line separates documents: "---", alone or followed by white space. Kubernetes splits
 * so before it reads either language (apimachinery pkg/util/yaml), so that one broken document is
 * one error. */
static bool is_separator(struct slice line)
{
    return slice_starts_with(line, SLICE("---")) &&
           (line.len == 3 || line.base[3] == ' ' || line.base[3] == '\t' || line.base[3] == '\r');
}

/* The text up to the next separator, which stands at the beginning of what comes after. */
static struct slice next_document(struct slice text, int *lines)
{
    size_t len = 0;
    *lines = 0;
    while (len < text.len) {
        struct slice rest = slice_from_index(text, len);
        struct slice line = slice_head(rest, slice_find(rest, '\n'));
        if (len > 0 && is_separator(line))
            break;
        len += line.len + 1;
        ++*lines;
    }
    return slice_head(text, len);
}

/* JSON begins with a brace and then a quote or the end of the object, perhaps after the separator's
 * line; `{{` is a template, `{a: b}` is YAML. `*ret_skip` is how much stands before it. */
static bool looks_like_json(struct slice text, size_t *ret_skip)
{
    size_t i = is_separator(slice_head(text, slice_find(text, '\n'))) ? 3 : 0;
    while (i < text.len && is_space(text.base[i]))
        i++;
    *ret_skip = i;
    if (i == text.len || text.base[i] != '{')
        return false;
    for (i++; i < text.len && is_space(text.base[i]);)
        i++;
    return i < text.len && (text.base[i] == '"' || text.base[i] == '}');
}

static int count_lines(struct slice text)
{
    int lines = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.base[i] == '\n';
    return lines;
}

void manifests_read(struct slice text, struct slice file, struct diagnostics *diagnostics,
                    manifest_handler *handle, void *context, struct manifests_seen *seen)
{
    struct manifests_seen unseen = {0};
    struct reading r = {.diagnostics = diagnostics,
                        .seen = seen ? seen : &unseen,
                        .handle = handle,
                        .context = context};
    int first_line = 1, lines;
    size_t skip;
    if (slice_starts_with(text, SLICE("\xef\xbb\xbf")))
        text = slice_from_index(text, 3); /* a BOM, as some editors write it */
    while (text.len) {
        struct slice document = next_document(text, &lines);
        if (looks_like_json(document, &skip))
            read_json(&r, slice_from_index(document, skip), file,
                      first_line + count_lines(slice_head(document, skip)));
        else
            read_yaml(&r, document, file, first_line);
        text = slice_from_index(text, document.len);
        first_line += lines;
    }
    arena_done(&r.arena);
}
