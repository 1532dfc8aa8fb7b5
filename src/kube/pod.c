/* Reads a Pod from JSON. */
#include "kube/pod.h"

#include "base/map.h"

struct pod_reader {
    struct json_scanner *s;
    struct arena *arena;
    struct pod *pod;
    size_t image_capacity, secret_capacity, annotation_capacity;
};

typedef void member_reader(struct pod_reader *r, struct json_string key, void *context);

/* Calls `read` for each member of the object that comes next; anything else is passed over. */
static enum presence read_object(struct pod_reader *r, member_reader *read, void *context)
{
    if (json_peek(r->s) != JSON_OBJECT) {
        json_skip(r->s);
        return PRESENCE_OTHER;
    }
    struct json_string key;
    json_object_begin(r->s);
    while (json_object_next(r->s, &key))
        read(r, key, context);
    return PRESENCE_HERE;
}

/* The decoded string that comes next; anything else is passed over and gives the empty slice. */
static enum presence read_text(struct pod_reader *r, struct slice *ret)
{
    struct json_string string;
    *ret = (struct slice){0};
    if (json_peek(r->s) != JSON_STRING) {
        json_skip(r->s);
        return PRESENCE_OTHER;
    }
    if (json_read_string(r->s, &string))
        *ret = json_string_decode(string, r->arena);
    return PRESENCE_HERE;
}

static bool read_truth(struct pod_reader *r)
{
    bool value = false;
    enum json_type type = json_peek(r->s);
    if (type == JSON_TRUE || type == JSON_FALSE)
        json_read_bool(r->s, &value);
    else
        json_skip(r->s);
    return value;
}

static void read_label(struct pod_reader *r, struct json_string key, void *context)
{
    (void)context;
    if (json_string_is(key, SLICE("pod-template-hash")))
        read_text(r, &r->pod->template_hash);
    else
        json_skip(r->s);
}

static void read_annotation(struct pod_reader *r, struct json_string key, void *context)
{
    (void)context;
    struct pod *pod = r->pod;
    struct slice name = json_string_decode(key, r->arena), value;
    enum presence has_value = read_text(r, &value);
    pod->annotations = arena_grow(r->arena, pod->annotations, pod->annotation_count,
                                  &r->annotation_capacity, sizeof(*pod->annotations));
    pod->annotations[pod->annotation_count++] = (struct annotation){name, value.len};
    if (slice_equal(name, SLICE(ANNOTATION_ORIGINAL_IMAGES))) {
        pod->has_original_images = has_value;
        pod->original_images = value;
    } else if (slice_equal(name, SLICE(ANNOTATION_MODE))) {
        pod->opted_out = slice_equal(value, SLICE("disabled"));
    } else if (slice_equal(name, SLICE("kubernetes.io/config.mirror"))) {
        pod->mirror = true;
    }
}

struct owner_reference {
    struct owner owner;
    bool controller;
};

static void read_owner_member(struct pod_reader *r, struct json_string key, void *context)
{
    struct owner_reference *reference = context;
    struct slice version;
    if (json_string_is(key, SLICE("apiVersion"))) {
        read_text(r, &version);
        size_t slash = slice_find(version, '/');
        reference->owner.group = slash < version.len ? slice_head(version, slash)
                                                     : (struct slice){0};
    } else if (json_string_is(key, SLICE("kind"))) {
        read_text(r, &reference->owner.kind);
    } else if (json_string_is(key, SLICE("name"))) {
        read_text(r, &reference->owner.name);
    } else if (json_string_is(key, SLICE("controller"))) {
        reference->controller = read_truth(r);
    } else {
        json_skip(r->s);
    }
}

static void read_owners(struct pod_reader *r)
{
    r->pod->has_controller = false;
    if (json_peek(r->s) != JSON_ARRAY) {
        json_skip(r->s);
        return;
    }
    json_array_begin(r->s);
    while (json_array_next(r->s)) {
        struct owner_reference reference = {0};
        read_object(r, read_owner_member, &reference);
        if (reference.controller && !r->pod->has_controller) {
            r->pod->has_controller = true;
            r->pod->controller = reference.owner;
        }
    }
}

static void read_metadata_member(struct pod_reader *r, struct json_string key, void *context)
{
    (void)context;
    struct pod *pod = r->pod;
    if (json_string_is(key, SLICE("name"))) {
        read_text(r, &pod->name);
    } else if (json_string_is(key, SLICE("generateName"))) {
        read_text(r, &pod->generate_name);
    } else if (json_string_is(key, SLICE("namespace"))) {
        read_text(r, &pod->namespace_);
    } else if (json_string_is(key, SLICE("labels"))) {
        pod->template_hash = (struct slice){0};
        read_object(r, read_label, NULL);
    } else if (json_string_is(key, SLICE("annotations"))) {
        pod->annotation_count = 0;
        pod->has_original_images = PRESENCE_ABSENT;
        pod->opted_out = pod->mirror = false;
        pod->has_annotations = read_object(r, read_annotation, NULL);
    } else if (json_string_is(key, SLICE("ownerReferences"))) {
        read_owners(r);
    } else {
        json_skip(r->s);
    }
}

static void read_volume_image_member(struct pod_reader *r, struct json_string key, void *context)
{
    struct image_field *field = context;
    if (json_string_is(key, SLICE("reference")))
        read_text(r, &field->image);
    else if (json_string_is(key, SLICE("pullPolicy")))
        field->has_pull_policy = read_text(r, &field->pull_policy);
    else
        json_skip(r->s);
}

static void read_volume_member(struct pod_reader *r, struct json_string key, void *context)
{
    struct image_field *field = context;
    if (json_string_is(key, SLICE("name"))) {
        read_text(r, &field->name);
    } else if (json_string_is(key, SLICE("image"))) {
        field->image = (struct slice){0};
        field->has_pull_policy = PRESENCE_ABSENT;
        read_object(r, read_volume_image_member, field);
    } else {
        json_skip(r->s);
    }
}

static void read_container_member(struct pod_reader *r, struct json_string key, void *context)
{
    struct image_field *field = context;
    if (json_string_is(key, SLICE("name")))
        read_text(r, &field->name);
    else if (json_string_is(key, SLICE("image")))
        read_text(r, &field->image);
    else if (json_string_is(key, SLICE("imagePullPolicy")))
        field->has_pull_policy = read_text(r, &field->pull_policy);
    else
        json_skip(r->s);
}

static void add_image(struct pod_reader *r, const struct image_field *field)
{
    struct pod *pod = r->pod;
    if (field->image.len == 0)
        return;
    if (pod->image_count == POD_MAX_IMAGES) {
        pod->too_many_images = true;
        return;
    }
    pod->images = arena_grow(r->arena, pod->images, pod->image_count, &r->image_capacity,
                             sizeof(*pod->images));
    pod->images[pod->image_count++] = *field;
}

/* A list that stands twice counts as it stands last: forget the first. */
static void forget_images(struct pod *pod, enum image_kind kind)
{
    size_t kept = 0;
    for (size_t i = 0; i < pod->image_count; i++)
        if (pod->images[i].kind != kind)
            pod->images[kept++] = pod->images[i];
    pod->image_count = kept;
}

static void read_images(struct pod_reader *r, enum image_kind kind)
{
    member_reader *read = kind == IMAGE_VOLUME ? read_volume_member : read_container_member;
    forget_images(r->pod, kind);
    if (json_peek(r->s) != JSON_ARRAY) {
        json_skip(r->s);
        return;
    }
    json_array_begin(r->s);
    for (size_t index = 0; json_array_next(r->s); index++) {
        struct image_field field = {.kind = kind, .index = index};
        read_object(r, read, &field);
        add_image(r, &field);
    }
}

static void read_secret_member(struct pod_reader *r, struct json_string key, void *context)
{
    struct slice *name = context;
    if (json_string_is(key, SLICE("name")))
        read_text(r, name);
    else
        json_skip(r->s);
}

static void read_pull_secrets(struct pod_reader *r)
{
    struct pod *pod = r->pod;
    pod->pull_secret_count = 0;
    if (json_peek(r->s) != JSON_ARRAY) {
        json_skip(r->s);
        pod->has_pull_secrets = PRESENCE_OTHER;
        return;
    }
    pod->has_pull_secrets = PRESENCE_HERE;
    json_array_begin(r->s);
    while (json_array_next(r->s)) {
        struct slice name = {0};
        read_object(r, read_secret_member, &name);
        pod->pull_secrets = arena_grow(r->arena, pod->pull_secrets, pod->pull_secret_count,
                                       &r->secret_capacity, sizeof(*pod->pull_secrets));
        pod->pull_secrets[pod->pull_secret_count++] = name;
    }
}

static void read_spec_member(struct pod_reader *r, struct json_string key, void *context)
{
    (void)context;
    if (json_string_is(key, SLICE("containers")))
        read_images(r, IMAGE_CONTAINER);
    else if (json_string_is(key, SLICE("initContainers")))
        read_images(r, IMAGE_INIT_CONTAINER);
    else if (json_string_is(key, SLICE("ephemeralContainers")))
        read_images(r, IMAGE_EPHEMERAL_CONTAINER);
    else if (json_string_is(key, SLICE("volumes")))
        read_images(r, IMAGE_VOLUME);
    else if (json_string_is(key, SLICE("imagePullSecrets")))
        read_pull_secrets(r);
    else
        json_skip(r->s);
}

static void read_pod_member(struct pod_reader *r, struct json_string key, void *context)
{
    (void)context;
    struct pod *pod = r->pod;
    if (json_string_is(key, SLICE("metadata"))) {
        struct pod without = {.has_pull_secrets = pod->has_pull_secrets,
                              .pull_secrets = pod->pull_secrets,
                              .pull_secret_count = pod->pull_secret_count,
                              .images = pod->images,
                              .image_count = pod->image_count,
                              .too_many_images = pod->too_many_images};
        *pod = without;
        r->annotation_capacity = 0;
        pod->has_metadata = read_object(r, read_metadata_member, NULL);
    } else if (json_string_is(key, SLICE("spec"))) {
        pod->has_pull_secrets = PRESENCE_ABSENT;
        pod->image_count = pod->pull_secret_count = 0;
        pod->too_many_images = false;
        read_object(r, read_spec_member, NULL);
    } else {
        json_skip(r->s);
    }
}

void pod_read(struct json_scanner *s, struct arena *arena, struct pod *ret)
{
    *ret = (struct pod){0};
    struct pod_reader r = {.s = s, .arena = arena, .pod = ret};
    read_object(&r, read_pod_member, NULL);
}

size_t pod_annotations_size(const struct pod *pod)
{
    struct map last = {0};
    size_t size = 0;
    for (size_t i = 0; i < pod->annotation_count; i++)
        *map_put(&last, pod->annotations[i].name) = &pod->annotations[i];
    for (size_t i = 0; i < last.capacity; i++) {
        const struct annotation *annotation = last.entries[i].value;
        if (annotation)
            size += annotation->name.len + annotation->value_size;
    }
    map_done(&last);
    return size;
}

struct slice pod_field_pointer(const struct image_field *field, struct arena *arena)
{
    static const char *const lists[] = {
        [IMAGE_CONTAINER] = "containers",
        [IMAGE_INIT_CONTAINER] = "initContainers",
        [IMAGE_EPHEMERAL_CONTAINER] = "ephemeralContainers",
        [IMAGE_VOLUME] = "volumes",
    };
    const char *member = field->kind == IMAGE_VOLUME ? "image/reference" : "image";
    return arena_format(arena, "/spec/%s/%zu/%s", lists[field->kind], field->index, member);
}
