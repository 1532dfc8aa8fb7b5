/* Counts what is passed over, and knows the kinds that have to be rendered first. */
#include "webhook/cli/passed_over.h"

#include "image/reference.h"

struct passed_kind {
    struct slice group, kind;
    size_t objects, images;
    const char *remedy; /* or NULL */
};

/* Kinds that stand for manifests which are made of them elsewhere. */
static const struct {
    const char *group, *kind, *remedy;
} rendered_elsewhere[] = {
    {"helm.toolkit.fluxcd.io", "HelmRelease",
     "helm template NAME CHART -n NAMESPACE -f VALUES.yaml | harbor-pilot plan -n NAMESPACE …"},
    {"kustomize.toolkit.fluxcd.io", "Kustomization",
     "flux build kustomization NAME --path DIRECTORY --dry-run | harbor-pilot plan …"},
    {"kustomize.config.k8s.io", "Kustomization", "kustomize build DIRECTORY | harbor-pilot plan …"},
    {"argoproj.io", "Application", "argocd app manifests NAME | harbor-pilot plan …"},
    {"argoproj.io", "ApplicationSet",
     "argocd appset generate FILE, then argocd app manifests NAME | harbor-pilot plan …"},
    {"helm.cattle.io", "HelmChart",
     "helm template NAME CHART -n NAMESPACE -f VALUES.yaml | harbor-pilot plan -n NAMESPACE …"},
    {"helm.k0sproject.io", "Chart",
     "helm template NAME CHART -n NAMESPACE -f VALUES.yaml | harbor-pilot plan -n NAMESPACE …"},
};

static const char *remedy_of(const struct object *object)
{
    for (size_t i = 0; i < sizeof(rendered_elsewhere) / sizeof(*rendered_elsewhere); i++)
        if (slice_equal(object->group, slice_from(rendered_elsewhere[i].group)) &&
            slice_equal(object->kind, slice_from(rendered_elsewhere[i].kind)))
            return rendered_elsewhere[i].remedy;
    return NULL;
}

/* Kubernetes' own groups are known to hold no Pods but where plan reads them; policies of other
 * programs name images that they allow. */
static bool may_make_pods(struct slice group)
{
    static const char *const others[] = {
        "kyverno.io",    "gatekeeper.sh",           "sigstore.dev",
        "kubewarden.io", "portieris.cloud.ibm.com", "harbor-pilot.io"};
    struct slice own = SLICE(".k8s.io");
    if (slice_find(group, '.') == group.len) /* core, apps, batch, policy, autoscaling */
        return false;
    if (group.len >= own.len && slice_equal(slice_from_index(group, group.len - own.len), own))
        return false;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        struct slice other = slice_from(others[i]);
        if (group.len >= other.len &&
            slice_equal(slice_from_index(group, group.len - other.len), other))
            return false;
    }
    return true;
}

static size_t count_images(struct json_scanner *s, struct arena *arena);

static size_t count_in_object(struct json_scanner *s, struct arena *arena)
{
    struct json_string key;
    struct slice text;
    struct reference reference;
    size_t count = 0;
    json_object_begin(s);
    while (json_object_next(s, &key))
        if (json_string_is(key, SLICE("image")) && json_peek(s) == SCAN_STRING)
            count += json_read_text(s, arena, &text) && reference_parse(text, arena, &reference);
        else
            count += count_images(s, arena);
    return count;
}

/* Members `image` that hold a reference, at any depth. */
static size_t count_images(struct json_scanner *s, struct arena *arena)
{
    size_t count = 0;
    switch (json_peek(s)) {
    case SCAN_OBJECT:
        return count_in_object(s, arena);
    case SCAN_ARRAY:
        json_array_begin(s);
        while (json_array_next(s))
            count += count_images(s, arena);
        return count;
    case SCAN_ERROR:
    case SCAN_NULL:
    case SCAN_FALSE:
    case SCAN_TRUE:
    case SCAN_NUMBER:
    case SCAN_STRING:
        break;
    }
    json_skip(s);
    return 0;
}

static struct passed_kind *find_kind(struct passed_over *passed, struct slice group,
                                     struct slice kind, struct arena *arena)
{
    struct slice key = arena_join(arena, (struct slice[]){kind, SLICE("."), group}, 3);
    struct passed_kind *known = map_get(&passed->by_kind, key);
    if (!known) {
        key = arena_copy(&passed->arena, key);
        struct passed_kind *row = arena_allocate(&passed->arena, sizeof(*row));
        *row = (struct passed_kind){.group = slice_from_index(key, kind.len + 1),
                                    .kind = slice_head(key, kind.len)};
        *map_put(&passed->by_kind, key) = known = row;
        passed->kinds = arena_grow(&passed->arena, passed->kinds, passed->count, &passed->capacity,
                                   sizeof(*passed->kinds));
        passed->kinds[passed->count++] = row;
    }
    return known;
}

void passed_over_add(struct passed_over *passed, const struct object *object, struct arena *arena)
{
    struct passed_kind *row = find_kind(passed, object->group, object->kind, arena);
    row->objects++;
    row->remedy = remedy_of(object);
    if (row->remedy || !may_make_pods(object->group))
        return;
    struct json_scanner s;
    json_scanner_init(&s, object->json);
    row->images += count_images(&s, arena);
}

void passed_over_add_nameless(struct passed_over *passed, size_t count, struct arena *arena)
{
    if (count)
        find_kind(passed, (struct slice){0}, (struct slice){0}, arena)->objects += count;
}

/* --- output --- */

/* A list of words that goes on in a further line, below its first word. */
struct wrapped {
    struct buffer *out;
    size_t width, indent, column;
};

static void append_word(struct wrapped *w, struct slice word)
{
    bool first = w->column == w->indent;
    if (!first && w->column + strlen(", ") + word.len + strlen(",") > w->width) {
        buffer_append_format(w->out, ",\n%*s", (int)w->indent, "");
        w->column = w->indent;
        first = true;
    }
    if (!first)
        buffer_append_text(w->out, ", ");
    for (size_t i = 0; i < word.len; i++) { /* an author's text: no control characters */
        unsigned char c = (unsigned char)word.base[i];
        buffer_append_char(w->out, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
    w->column += word.len + (first ? 0 : strlen(", "));
}

static void print_all(struct passed_over *passed, struct wrapped *w)
{
    static const char title[] = "passed over: ";
    buffer_append_format(w->out, "\n%s", title);
    w->indent = w->column = strlen(title);
    for (size_t i = 0; i < passed->count; i++) {
        const struct passed_kind *row = passed->kinds[i];
        append_word(
            w, row->kind.len
                   ? arena_format(&passed->arena, "%zu %.*s", row->objects, SLICE_ARGS(row->kind))
                   : arena_format(&passed->arena, "%zu without `kind`", row->objects));
    }
    buffer_append_char(w->out, '\n');
}

static void print_images(struct passed_over *passed, struct wrapped *w)
{
    size_t images = 0, objects = 0;
    for (size_t i = 0; i < passed->count; i++)
        if (passed->kinds[i]->images) {
            images += passed->kinds[i]->images;
            objects += passed->kinds[i]->objects;
        }
    if (images == 0)
        return;
    struct slice title = arena_format(&passed->arena, "%zu image%s in %zu ", images,
                                      images == 1 ? "" : "s", objects);
    buffer_append(w->out, title);
    w->indent = w->column = title.len;
    for (size_t i = 0; i < passed->count; i++)
        if (passed->kinds[i]->images)
            append_word(w, passed->kinds[i]->kind);
    buffer_append_text(w->out, ": their operator makes the Pods\n"
                               "  (plan those: kubectl get pods -A -o json, or say where the Pod "
                               "template is: --template)\n");
}

void passed_over_print(struct passed_over *passed, size_t width, struct buffer *out)
{
    struct wrapped w = {.out = out, .width = width};
    if (passed->count == 0)
        return;
    print_all(passed, &w);
    for (size_t i = 0; i < passed->count; i++)
        if (passed->kinds[i]->remedy)
            buffer_append_format(out, "%.*s: render it first:\n  %s\n",
                                 SLICE_ARGS(passed->kinds[i]->kind), passed->kinds[i]->remedy);
    print_images(passed, &w);
}

void passed_over_write(struct passed_over *passed, struct json_writer *w)
{
    json_key(w, "passedOver");
    json_begin_array(w);
    for (size_t i = 0; i < passed->count; i++) {
        const struct passed_kind *row = passed->kinds[i];
        json_begin_object(w);
        json_member(w, "kind", row->kind);
        json_member(w, "group", row->group);
        json_member_number(w, "objects", (long long)row->objects);
        json_member_number(w, "images", (long long)row->images);
        if (row->remedy)
            json_member_text(w, "remedy", row->remedy);
        json_end_object(w);
    }
    json_end_array(w);
}

void passed_over_done(struct passed_over *passed)
{
    map_done(&passed->by_kind);
    arena_done(&passed->arena);
    *passed = (struct passed_over){0};
}
