/* Reads Namespaces and Secrets, and keeps names. */
#include "webhook/cli/surroundings.h"

#include "kube/pod_kinds.h"
#include "json/pointer.h"

static const int here; /* what sets have for a value */

static void keep(struct surroundings *s, struct map *set, struct slice namespace_,
                 struct slice name, struct arena *arena)
{
    struct slice key = arena_join(arena, (struct slice[]){namespace_, SLICE("/"), name}, 3);
    if (!map_get(set, key))
        *map_put(set, arena_copy(&s->arena, key)) = (void *)&here;
}

struct known_namespace *surroundings_namespace(struct surroundings *s, struct slice name)
{
    struct known_namespace *known = map_get(&s->namespaces, name);
    if (known)
        return known;
    known = arena_allocate(&s->arena, sizeof(*known));
    *known = (struct known_namespace){.name = arena_copy(&s->arena, name)};
    *map_put(&s->namespaces, known->name) = known;
    s->list = arena_grow(&s->arena, s->list, s->count, &s->capacity, sizeof(*s->list));
    s->list[s->count++] = known;
    return known;
}

/* --- the label --- */

/* The first member of a map whose key looks like the label's and is not it: a capital, another
 * domain, or an annotation in its place. */
static struct slice find_lookalike(struct slice map, struct arena *arena, struct arena *kept)
{
    struct json_scanner s;
    struct json_string key;
    struct slice value;
    json_scanner_init(&s, map);
    if (json_peek(&s) != SCAN_OBJECT || !json_object_begin(&s))
        return (struct slice){0};
    while (json_object_next(&s, &key) && json_skip_slice(&s, &value)) {
        struct slice name = json_string_decode(key, arena);
        if (memmem(name.base, name.len, "harbor-pilot", strlen("harbor-pilot")) ||
            memmem(name.base, name.len, "harborpilot", strlen("harborpilot")))
            return arena_format(kept, "%.*s: %.*s", SLICE_ARGS(name),
                                SLICE_ARGS(slice_head(value, 80)));
    }
    return (struct slice){0};
}

static void read_label(struct known_namespace *known, struct slice json, struct arena *arena,
                       struct arena *kept)
{
    struct slice label, map;
    if (json_find(json, SLICE("/metadata/labels/harbor-pilot.io~1mode"), &label)) {
        known->label = slice_equal(label, SLICE("\"audit\"")) ? LABEL_AUDIT
                       : slice_equal(label, SLICE("\"enforce\""))
                           ? LABEL_ENFORCE
                           : LABEL_MISSPELLED; /* nobody is called */
        if (known->label == LABEL_MISSPELLED)
            known->written =
                arena_format(kept, ANNOTATION_MODE ": %.*s", SLICE_ARGS(slice_head(label, 80)));
        return;
    }
    known->label = LABEL_MISSING;
    if (json_find(json, SLICE("/metadata/labels"), &map))
        known->written = find_lookalike(map, arena, kept);
    if (known->written.len == 0 && json_find(json, SLICE("/metadata/annotations"), &map))
        known->written = find_lookalike(map, arena, kept);
}

/* By when the label was there: the last change by any who owns it (managedFields, which kubectl
 * shows with --show-managed-fields), the earliest of those. */
static void read_time(struct known_namespace *known, struct slice json, struct arena *arena,
                      struct arena *kept)
{
    struct json_scanner s;
    struct slice list, entry, owned;
    if (!json_find(json, SLICE("/metadata/managedFields"), &list))
        return;
    json_scanner_init(&s, list);
    if (json_peek(&s) != SCAN_ARRAY || !json_array_begin(&s))
        return;
    while (json_array_next(&s) && json_skip_slice(&s, &entry)) {
        struct slice time = json_find_text(entry, "/time", arena);
        if (time.len == 0 ||
            !json_find(entry, SLICE("/fieldsV1/f:metadata/f:labels/f:harbor-pilot.io~1mode"),
                       &owned))
            continue;
        if (known->labelled.len == 0 || slice_compare(time, known->labelled) < 0)
            known->labelled = arena_copy(kept, time);
    }
}

/* --- objects --- */

static void note_workload(struct surroundings *s, const struct object *object,
                          struct slice namespace_, struct arena *arena)
{
    struct slice name =
        arena_join(arena, (struct slice[]){object->kind, SLICE("/"), object->name}, 3);
    if (workload_is_built_in(object->group, object->kind) || pod_kinds_knows(object))
        keep(s, &s->workloads, namespace_, name, arena);
}

void surroundings_note(struct surroundings *s, const struct object *object, struct slice namespace_,
                       struct arena *arena)
{
    bool core = object->group.len == 0;
    if (core && slice_equal(object->kind, SLICE("Namespace"))) {
        struct known_namespace *known = surroundings_namespace(s, object->name);
        read_label(known, object->json, arena, &s->arena);
        read_time(known, object->json, arena, &s->arena);
    } else if (core && slice_equal(object->kind, SLICE("Secret"))) {
        keep(s, &s->secrets, namespace_, object->name, arena);
    } else {
        note_workload(s, object, namespace_, arena);
    }
}

bool surroundings_have_secret(const struct surroundings *s, struct slice namespace_,
                              struct slice name)
{
    CLEANUP_ARENA struct arena arena = {0};
    struct slice key = arena_join(&arena, (struct slice[]){namespace_, SLICE("/"), name}, 3);
    return map_get(&s->secrets, key) != NULL;
}

bool surroundings_have_workload(const struct surroundings *s, struct slice name)
{
    return map_get(&s->workloads, name) != NULL;
}

void surroundings_done(struct surroundings *s)
{
    map_done(&s->namespaces);
    map_done(&s->secrets);
    map_done(&s->workloads);
    arena_done(&s->arena);
    *s = (struct surroundings){0};
}
