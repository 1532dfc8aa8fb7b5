/* Builds the annotation of original images. */
#include "policy/originals.h"

#include "base/map.h"
#include "json/scanner.h"

/* The key of an image in the annotation: a container's name, or volume/NAME. */
static struct slice entry_key(const struct image_field *field, struct arena *arena)
{
    if (field->kind != IMAGE_VOLUME)
        return field->name;
    return arena_join(arena, (struct slice[]){SLICE("volume/"), field->name}, 2);
}

/* The entries that are there: name → struct slice. What is no object of texts has none. */
static void read_entries(const struct pod *pod, struct arena *arena, struct map *ret)
{
    struct json_scanner s;
    struct json_string key, value;
    struct map entries = {0};
    if (pod->has_original_images != PRESENCE_HERE)
        return;
    json_scanner_init(&s, pod->original_images);
    if (json_peek(&s) != JSON_OBJECT)
        return;
    json_object_begin(&s);
    while (json_object_next(&s, &key)) {
        if (!json_read_string(&s, &value))
            break;
        struct slice *entry = arena_allocate(arena, sizeof(*entry));
        *entry = json_string_decode(value, arena);
        *map_put(&entries, json_string_decode(key, arena)) = entry;
    }
    if (json_finish(&s))
        *ret = entries;
    else
        map_done(&entries);
}

/* Whether rewriting `original` gives the image that is there now. */
static bool explains(const struct harbor *harbor, struct slice original, struct slice image,
                     struct arena *arena)
{
    struct reference reference;
    if (!reference_parse(original, arena, &reference))
        return false;
    size_t index = harbor_find_registry(harbor, reference.domain);
    return index < harbor->registry_count &&
           slice_equal(harbor_rewrite(harbor, &harbor->registries[index], &reference, arena),
                       image);
}

bool originals_value(const struct decide_request *request, const struct decisions *decisions,
                     struct arena *arena, struct slice *ret, bool *ret_too_large)
{
    const struct pod *pod = request->pod;
    *ret_too_large = false;
    if (decisions->rewrites == 0 || request->subject != REVIEW_POD_CREATE)
        return false;
    struct buffer out = {0};
    struct json_writer w = {.out = &out};
    struct map before = {0}, written = {0};
    read_entries(pod, arena, &before);
    json_begin_object(&w);
    for (size_t i = 0; i < decisions->count; i++) {
        const struct decision *decision = &decisions->items[i];
        struct slice key = entry_key(decision->field, arena);
        const struct slice *entry = &decision->field->image;
        if (decision->reason != REASON_REWRITTEN) {
            entry = map_get(&before, key);
            if (!entry || !explains(decisions->policy->harbor, *entry, decision->field->image,
                                    arena))
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
    *ret = arena_copy(arena, buffer_slice(&out));
    map_done(&before);
    map_done(&written);
    buffer_done(&out);

    size_t size = pod_annotations_size(pod);
    if (pod->has_original_images != PRESENCE_ABSENT)
        size -= SLICE(ANNOTATION_ORIGINAL_IMAGES).len + pod->original_images.len;
    *ret_too_large = size + SLICE(ANNOTATION_ORIGINAL_IMAGES).len + ret->len > ANNOTATIONS_MAX_SIZE;
    return !*ret_too_large;
}
