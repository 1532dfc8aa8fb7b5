/* Builds the annotation of original images. */
#include "admit/originals.h"

#include "base/map.h"
#include "json/scanner.h"

#include <stdlib.h>

/* The key of an image in the annotation: a container's name, or volume/NAME. */
static struct slice entry_key(const struct image_field *field, struct arena *arena)
{
    struct slice prefix = slice_from(image_kinds[field->kind].key_prefix);
    return prefix.len ? arena_join(arena, (struct slice[]){prefix, field->name}, 2) : field->name;
}

/* An entry of the annotation that is there. */
struct entry {
    struct slice key, image;
    size_t order;
};

struct entries {
    struct entry *items; /* in the order of their keys */
    size_t count, capacity;
};

static int compare_entries(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    int order = slice_compare(a->key, b->key);
    return order ? order : (a->order > b->order) - (a->order < b->order);
}

/* What is no object of texts, or larger than any annotation can be, has no entries. Sorted, not
 * hashed: the Pod's author chose the keys. */
static struct entries read_entries(const struct pod *pod, struct arena *arena)
{
    struct json_scanner s;
    struct json_string key, value;
    struct entries entries = {0};
    if (pod->has_original_images != PRESENCE_HERE ||
        pod->original_images.len > ANNOTATIONS_MAX_SIZE)
        return entries;
    json_scanner_init(&s, pod->original_images);
    if (json_peek(&s) != SCAN_OBJECT)
        return entries;
    json_object_begin(&s);
    while (json_object_next(&s, &key)) {
        if (!json_read_string(&s, &value))
            break;
        entries.items = arena_grow(arena, entries.items, entries.count, &entries.capacity,
                                   sizeof(*entries.items));
        entries.items[entries.count] = (struct entry){
            json_string_decode(key, arena), json_string_decode(value, arena), entries.count};
        entries.count++;
    }
    if (!json_finish(&s))
        return (struct entries){0};
    if (entries.count)
        qsort(entries.items, entries.count, sizeof(*entries.items), compare_entries);
    size_t kept = 0; /* of a key that stands twice the last counts, as Go reads it */
    for (size_t i = 0; i < entries.count; i++)
        if (i + 1 == entries.count || !slice_equal(entries.items[i].key, entries.items[i + 1].key))
            entries.items[kept++] = entries.items[i];
    entries.count = kept;
    return entries;
}

static int compare_key(const void *key, const void *entry)
{
    return slice_compare(*(const struct slice *)key, ((const struct entry *)entry)->key);
}

/* The image of a key, or NULL. */
static const struct slice *find_entry(const struct entries *entries, struct slice key)
{
    const struct entry *entry = entries->count ? bsearch(&key, entries->items, entries->count,
                                                         sizeof(*entries->items), compare_key)
                                               : NULL;
    return entry ? &entry->image : NULL;
}

bool originals_explain(const struct harbor *harbor, struct slice original, struct slice image,
                       struct arena *arena)
{
    struct reference reference;
    if (!reference_parse(original, arena, &reference))
        return false;
    struct mapping mapping = harbor_map(harbor, &reference, arena);
    if (!mapping.registry)
        return false;
    if (reference.digest.len == 0)
        image = slice_head(image, slice_find(image, '@'));
    return slice_equal(harbor_rewrite(harbor, mapping.registry, &mapping.reference, arena), image);
}

struct slice originals_entry(const struct pod *pod, const struct image_field *field,
                             struct arena *arena)
{
    struct entries entries = read_entries(pod, arena);
    const struct slice *image = find_entry(&entries, entry_key(field, arena));
    return image ? *image : (struct slice){0};
}

bool originals_value(const struct decide_request *request, const struct decisions *decisions,
                     struct arena *arena, struct slice *ret, bool *ret_too_large)
{
    const struct pod *pod = request->pod;
    *ret_too_large = false;
    if (decisions->rewrites == 0 || request->subject == REVIEW_EPHEMERAL_CONTAINERS)
        return false;
    struct buffer out = {.arena = arena};
    struct json_writer w = {.out = &out};
    CLEANUP_MAP struct map written = {0}; /* at most POD_MAX_IMAGES */
    struct entries before = read_entries(pod, arena);
    json_begin_object(&w);
    for (size_t i = 0; i < decisions->count; i++) {
        const struct decision *decision = &decisions->items[i];
        struct slice key = entry_key(decision->field, arena);
        const struct slice *entry = &decision->field->image;
        if (decision->reason != REASON_REWRITTEN) {
            entry = find_entry(&before, key);
            if (!entry || !originals_explain(decisions->policy->harbor, *entry,
                                             decision->field->image, arena))
                continue;
        }
        void **slot = map_put(&written, key);
        if (*slot) /* a second container of that name: the API server will refuse the Pod */
            continue;
        *slot = (void *)entry;
        json_key_slice(&w, key);
        json_slice(&w, *entry);
    }
    json_end_object(&w);
    *ret = buffer_take(&out);

    size_t size = pod_annotations_size(pod, arena);
    if (pod->has_original_images != PRESENCE_ABSENT)
        size -= SLICE(ANNOTATION_ORIGINAL_IMAGES).len + pod->original_images.len;
    *ret_too_large = size + SLICE(ANNOTATION_ORIGINAL_IMAGES).len + ret->len > ANNOTATIONS_MAX_SIZE;
    return !*ret_too_large;
}
