/* Writes the JSON Patch. */
#include "kube/patch.h"

#include "json/writer.h"

static void begin_operation(struct json_writer *w, bool replace, struct slice path)
{
    json_begin_object(w);
    json_member_text(w, "op", replace ? "replace" : "add");
    json_member(w, "path", path);
    json_key(w, "value");
}

static void write_text(struct json_writer *w, bool replace, struct slice path, struct slice value)
{
    begin_operation(w, replace, path);
    json_slice(w, value);
    json_end_object(w);
}

/* The pointer of the pull policy beside an image. */
static struct slice pull_policy_pointer(const struct image_field *field, struct slice image,
                                        struct arena *arena)
{
    struct slice parent = slice_head(image, slice_find_last(image, '/'));
    struct slice member = image_kinds[field->kind].pull_policy;
    return arena_join(arena, (struct slice[]){parent, SLICE("/"), member}, 3);
}

static void write_image(struct json_writer *w, const struct pod_image_change *change,
                        struct arena *arena)
{
    const struct image_field *field = change->field;
    struct slice path = pod_field_pointer(field, arena);
    write_text(w, true, path, change->image);
    bool here = field->has_pull_policy == PRESENCE_HERE;
    if (change->pull_policy.len == 0 ||
        (here && slice_equal(field->pull_policy, change->pull_policy)))
        return;
    write_text(w, here, pull_policy_pointer(field, path, arena), change->pull_policy);
}

static void write_pull_secret(struct json_writer *w, const struct pod *pod, struct slice name)
{
    bool list = pod->has_pull_secrets == PRESENCE_HERE;
    begin_operation(w, false,
                    list ? SLICE("/spec/imagePullSecrets/-") : SLICE("/spec/imagePullSecrets"));
    if (!list)
        json_begin_array(w);
    json_begin_object(w);
    json_member(w, "name", name);
    json_end_object(w);
    if (!list)
        json_end_array(w);
    json_end_object(w);
}

static void write_original_images(struct json_writer *w, const struct pod *pod, struct slice value)
{
    if (pod->has_annotations == PRESENCE_HERE) {
        write_text(w, pod->has_original_images == PRESENCE_HERE,
                   SLICE("/metadata/annotations/harbor-pilot.io~1original-images"), value);
    } else {
        begin_operation(w, false, SLICE("/metadata/annotations"));
        json_begin_object(w);
        json_member(w, ANNOTATION_ORIGINAL_IMAGES, value);
        json_end_object(w);
        json_end_object(w);
    }
}

void patch_write(const struct pod_changes *changes, struct arena *arena, struct buffer *out)
{
    const struct pod *pod = changes->pod;
    bool annotate = changes->set_original_images && pod->has_metadata == PRESENCE_HERE;
    if (changes->image_count == 0 && changes->pull_secret.len == 0 && !annotate)
        return;
    struct json_writer w = {.out = out};
    json_begin_array(&w);
    for (size_t i = 0; i < changes->image_count; i++)
        write_image(&w, &changes->images[i], arena);
    if (changes->pull_secret.len)
        write_pull_secret(&w, pod, changes->pull_secret);
    if (annotate)
        write_original_images(&w, pod, changes->original_images);
    json_end_array(&w);
}
