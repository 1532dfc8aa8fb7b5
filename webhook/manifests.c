/* Splits input into objects. YAML documents are converted to JSON one at a time; JSON is read in
 * place, so that a large `kubectl get -o json` costs no copy. */
#include "webhook/manifests.h"

#include "json/pointer.h"
#include "yaml/convert.h"

struct reading {
    struct diagnostics *diagnostics;
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
    *ret_item = (struct object){.group = object->group, .kind = slice_head(kind, kind.len - list.len)};
    return true;
}

static void read_object(struct reading *r, struct slice json, const struct object *otherwise,
                        struct position at, unsigned depth)
{
    struct manifest manifest = {.at = at};
    struct object item_kind;
    struct slice items, item;
    struct json_scanner s;
    if (!object_read(json, otherwise, &r->arena, &manifest.object))
        return;
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
    if (json_peek(&s) == JSON_ARRAY && json_array_begin(&s))
        while (json_array_next(&s) && json_skip_slice(&s, &item)) {
            if (r->counted)
                at.line = line_of(r, item.base);
            read_object(r, item, &item_kind, at, depth + 1);
        }
    arena_done(&names);
}

/* --- JSON --- */

/* One document after the other, as some tools write them. */
static void read_json(struct reading *r, struct slice text, struct slice file)
{
    static const struct object none;
    r->counted = text.base;
    r->line = 1;
    while (text.len) {
        struct json_scanner s;
        struct slice json;
        json_scanner_init(&s, text);
        if (!json_skip_slice(&s, &json)) {
            const char *line = s.error_at;
            while (line > text.base && line[-1] != '\n')
                line--;
            struct position at = {file, line_of(r, s.error_at), (int)(s.error_at - line) + 1};
            diagnostics_error(r->diagnostics, at, "no JSON: expected %s", s.expected);
            return;
        }
        read_object(r, json, &none, (struct position){file, line_of(r, json.base), 1}, 0);
        text = slice_from_index(text, (size_t)(json.base - text.base) + json.len);
        while (text.len && (text.base[0] == '\n' || text.base[0] == '\r' || text.base[0] == ' ' ||
                            text.base[0] == '\t'))
            text = slice_from_index(text, 1);
    }
}

/* --- YAML --- */

static void read_yaml_document(struct reading *r, const struct yaml_value *root)
{
    static const struct object none;
    struct buffer json = {0};
    struct position at = root->at;
    struct error error;
    if (!yaml_to_json(root, &json, &at, &error))
        diagnostics_error(r->diagnostics, at, "%s", error.text);
    else
        read_object(r, buffer_slice(&json), &none, root->at, 0);
    buffer_done(&json);
}

/* True where a line separates documents: "---", alone or followed by white space. Kubernetes splits
 * so before it reads YAML (apimachinery pkg/util/yaml), so that one broken document is one error. */
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

static void read_yaml(struct reading *r, struct slice text, struct slice file)
{
    int first_line = 1, lines;
    r->counted = NULL;
    while (text.len) {
        struct slice document = next_document(text, &lines);
        struct arena arena = {0};
        struct yaml_reader *reader = yaml_reader_new(document, file, first_line, &arena);
        struct yaml_value *root;
        while (yaml_next(reader, r->diagnostics, &root))
            read_yaml_document(r, root);
        yaml_reader_free(reader);
        arena_done(&arena);
        text = slice_from_index(text, document.len);
        first_line += lines;
    }
}

/* JSON begins with a brace and then a quote or the end of the object; `{{` is a template, `{a: b}` is
 * YAML. */
static bool looks_like_json(struct slice text)
{
    size_t i = 0;
    while (i < text.len && strchr(" \t\r\n", text.base[i]))
        i++;
    if (i == text.len || text.base[i] != '{')
        return false;
    for (i++; i < text.len && strchr(" \t\r\n", text.base[i]);)
        i++;
    return i < text.len && (text.base[i] == '"' || text.base[i] == '}');
}

void manifests_read(struct slice text, struct slice file, struct diagnostics *diagnostics,
                    manifest_handler *handle, void *context)
{
    struct reading r = {.diagnostics = diagnostics, .handle = handle, .context = context};
    if (slice_starts_with(text, SLICE("\xef\xbb\xbf")))
        text = slice_from_index(text, 3); /* a BOM, as some editors write it */
    if (looks_like_json(text))
        read_json(&r, text, file);
    else
        read_yaml(&r, text, file);
    arena_done(&r.arena);
}
