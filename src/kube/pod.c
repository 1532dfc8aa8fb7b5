/* Reads a Pod from JSON. */
#include "kube/pod.h"

#include <stdint.h>
#include <stdlib.h>

const struct image_kind_traits image_kinds[IMAGE_KINDS] = {
    [IMAGE_CONTAINER] = {SLICE("containers"), SLICE(""), SLICE("image"), SLICE("imagePullPolicy"),
                         "container", "", "image-"},
    [IMAGE_INIT_CONTAINER] = {SLICE("initContainers"), SLICE(""), SLICE("image"),
                              SLICE("imagePullPolicy"), "container", "", "image-"},
    [IMAGE_EPHEMERAL_CONTAINER] = {SLICE("ephemeralContainers"), SLICE(""), SLICE("image"),
                                   SLICE("imagePullPolicy"), "container", "", "image-"},
    [IMAGE_VOLUME] = {SLICE("volumes"), SLICE("image"), SLICE("reference"), SLICE("pullPolicy"),
                      "volume", "volume/", "volume-"},
};

/* One list of images while it is read; of a list that stands twice the last counts. */
struct image_list {
    struct image_field *items;
    size_t count, capacity, order; /* order: in which the lists came */
};

struct pod_reader {
    struct json_scanner *s;
    struct arena *arena;
    struct pod *pod;
    struct image_list lists[IMAGE_KINDS];
    size_t list_count; /* how many came, also those that came again */
    size_t secret_capacity, annotation_capacity, label_capacity;
};

typedef void member_reader(struct pod_reader *r, struct json_string key, void *context);

/* Calls `read` for each member of the object that comes next; anything else is passed over. */
static enum presence read_object(struct pod_reader *r, member_reader *read, void *context)
{
    if (json_peek(r->s) != SCAN_OBJECT) {
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
    return json_read_text(r->s, r->arena, ret) ? PRESENCE_HERE : PRESENCE_OTHER;
}

static bool read_truth(struct pod_reader *r)
{
    bool value = false;
    enum scan_type type = json_peek(r->s);
    if (type == SCAN_TRUE || type == SCAN_FALSE)
        json_read_bool(r->s, &value);
    else
        json_skip(r->s);
    return value;
}

static void read_label(struct pod_reader *r, struct json_string key, void *context)
{
    (void)context;
    struct pod *pod = r->pod;
    struct label label = {.name = json_string_decode(key, r->arena)};
    if (read_text(r, &label.value) != PRESENCE_HERE)
        return; /* the API server takes texts alone */
    if (slice_equal(label.name, SLICE("pod-template-hash")))
        pod->template_hash = label.value;
    else if (slice_equal(label.name, SLICE("rollouts-pod-template-hash")))
        pod->rollout_hash = label.value;
    if (pod->label_count == POD_MAX_LABELS)
        return;
    pod->labels = arena_grow(r->arena, pod->labels, pod->label_count, &r->label_capacity,
                             sizeof(*pod->labels));
    pod->labels[pod->label_count++] = label;
}

static void add_annotation(struct pod_reader *r, struct slice name, size_t value_size)
{
    struct pod *pod = r->pod;
    pod->annotations = arena_grow(r->arena, pod->annotations, pod->annotation_count,
                                  &r->annotation_capacity, sizeof(*pod->annotations));
    pod->annotations[pod->annotation_count] =
        (struct annotation){name, value_size, pod->annotation_count};
    pod->annotation_count++;
}

/* Those that decide something, whatever stands before them. */
static bool is_ours(struct json_string key)
{
    return json_string_is(key, SLICE(ANNOTATION_ORIGINAL_IMAGES)) ||
           json_string_is(key, SLICE(ANNOTATION_MODE)) ||
           json_string_is(key, SLICE(ANNOTATION_MIRROR));
}

static void read_annotation(struct pod_reader *r, struct json_string key, void *context)
{
    (void)context;
    struct pod *pod = r->pod;
    bool full = pod->annotation_count == POD_MAX_ANNOTATIONS;
    pod->too_many_annotations |= full;
    if (full && !is_ours(key)) {
        json_skip(r->s);
        return;
    }
    struct slice name = json_string_decode(key, r->arena), value;
    enum presence has_value = read_text(r, &value);
    if (!full)
        add_annotation(r, name, value.len);
    if (slice_equal(name, SLICE(ANNOTATION_ORIGINAL_IMAGES))) {
        pod->has_original_images = has_value;
        pod->original_images = value;
    } else if (slice_equal(name, SLICE(ANNOTATION_MODE))) {
        pod->opted_out = slice_equal(value, SLICE("disabled"));
    } else if (slice_equal(name, SLICE(ANNOTATION_MIRROR))) {
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
        reference->owner.group =
            slash < version.len ? slice_head(version, slash) : (struct slice){0};
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
    r->pod->first_owner = (struct owner){0};
    if (json_peek(r->s) != SCAN_ARRAY) {
        json_skip(r->s);
        return;
    }
    json_array_begin(r->s);
    for (bool first = true; json_array_next(r->s); first = false) {
        struct owner_reference reference = {0};
        read_object(r, read_owner_member, &reference);
        if (first)
            r->pod->first_owner = reference.owner;
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
        pod->template_hash = pod->rollout_hash = (struct slice){0};
        pod->label_count = 0;
        read_object(r, read_label, NULL);
    } else if (json_string_is(key, SLICE("annotations"))) {
        pod->annotation_count = 0;
        pod->too_many_annotations = false;
        pod->has_original_images = PRESENCE_ABSENT;
        pod->opted_out = pod->mirror = false;
        pod->has_annotations = read_object(r, read_annotation, NULL);
    } else if (json_string_is(key, SLICE("ownerReferences"))) {
        read_owners(r);
    } else {
        json_skip(r->s);
    }
}

/* Of the object that has the image. */
static void read_image_member(struct pod_reader *r, struct json_string key, void *context)
{
    struct image_field *field = context;
    const struct image_kind_traits *kind = &image_kinds[field->kind];
    if (json_string_is(key, kind->image))
        read_text(r, &field->image);
    else if (json_string_is(key, kind->pull_policy))
        field->has_pull_policy = read_text(r, &field->pull_policy);
    else
        json_skip(r->s);
}

/* Of an item of the list, which has a name and the image or the object that has it. */
static void read_item_member(struct pod_reader *r, struct json_string key, void *context)
{
    struct image_field *field = context;
    struct slice object = image_kinds[field->kind].object;
    if (json_string_is(key, SLICE("name"))) {
        read_text(r, &field->name);
    } else if (object.len == 0) {
        read_image_member(r, key, field);
    } else if (json_string_is(key, object)) {
        field->image = (struct slice){0};
        field->has_pull_policy = PRESENCE_ABSENT;
        read_object(r, read_image_member, field);
    } else {
        json_skip(r->s);
    }
}

static void add_image(struct pod_reader *r, const struct image_field *field)
{
    struct image_list *list = &r->lists[field->kind];
    if (field->image.len == 0)
        return;
    if (list->count == POD_MAX_IMAGES) {
        r->pod->too_many_images = true;
        return;
    }
    list->items =
        arena_grow(r->arena, list->items, list->count, &list->capacity, sizeof(*list->items));
    list->items[list->count++] = *field;
}

/* Puts the lists behind each other, in the order in which they came. */
static void join_lists(struct pod_reader *r)
{
    struct pod *pod = r->pod;
    size_t count = 0;
    for (size_t i = 0; i < IMAGE_KINDS; i++)
        count += r->lists[i].count;
    if (count > POD_MAX_IMAGES)
        pod->too_many_images = true;
    if (pod->too_many_images)
        return;
    pod->images = arena_allocate(r->arena, count * sizeof(*pod->images));
    for (size_t done = 0; done < IMAGE_KINDS; done++) {
        struct image_list *next = NULL;
        for (size_t i = 0; i < IMAGE_KINDS; i++)
            if (r->lists[i].count && (!next || r->lists[i].order < next->order))
                next = &r->lists[i];
        if (!next)
            break;
        memcpy(pod->images + pod->image_count, next->items, next->count * sizeof(*pod->images));
        pod->image_count += next->count;
        next->count = 0;
    }
}

static void read_images(struct pod_reader *r, enum image_kind kind)
{
    r->lists[kind].count = 0;
    r->lists[kind].order = r->list_count++;
    if (json_peek(r->s) != SCAN_ARRAY) {
        json_skip(r->s);
        return;
    }
    json_array_begin(r->s);
    for (size_t index = 0; json_array_next(r->s); index++) {
        struct image_field field = {.kind = kind, .index = index};
        read_object(r, read_item_member, &field);
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
    if (json_peek(r->s) != SCAN_ARRAY) {
        json_skip(r->s);
        pod->has_pull_secrets = PRESENCE_OTHER;
        return;
    }
    pod->has_pull_secrets = PRESENCE_HERE;
    json_array_begin(r->s);
    while (json_array_next(r->s)) {
        struct slice name = {0};
        read_object(r, read_secret_member, &name);
        if (pod->pull_secret_count == POD_MAX_PULL_SECRETS)
            continue;
        pod->pull_secrets = arena_grow(r->arena, pod->pull_secrets, pod->pull_secret_count,
                                       &r->secret_capacity, sizeof(*pod->pull_secrets));
        pod->pull_secrets[pod->pull_secret_count++] = name;
    }
}

static void read_spec_member(struct pod_reader *r, struct json_string key, void *context)
{
    (void)context;
    for (enum image_kind kind = 0; kind < IMAGE_KINDS; kind++)
        if (json_string_is(key, image_kinds[kind].list)) {
            read_images(r, kind);
            return;
        }
    if (json_string_is(key, SLICE("imagePullSecrets")))
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
                              .annotations = pod->annotations, /* its memory */
                              .labels = pod->labels,
                              .too_many_images = pod->too_many_images};
        *pod = without;
        pod->has_metadata = read_object(r, read_metadata_member, NULL);
    } else if (json_string_is(key, SLICE("spec"))) {
        pod->has_pull_secrets = PRESENCE_ABSENT;
        pod->pull_secret_count = 0;
        pod->too_many_images = false;
        for (size_t i = 0; i < IMAGE_KINDS; i++)
            r->lists[i].count = 0;
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
    join_lists(&r);
}

const struct slice *pod_label(const struct pod *pod, struct slice name)
{
    return label_find(pod->labels, pod->label_count, name);
}

static int compare_annotations(const void *x, const void *y)
{
    const struct annotation *a = x, *b = y;
    int order = slice_compare(a->name, b->name);
    return order ? order : (a->order > b->order) - (a->order < b->order);
}

size_t pod_annotations_size(const struct pod *pod, struct arena *arena)
{
    size_t count = pod->annotation_count, size = 0;
    if (pod->too_many_annotations)
        return SIZE_MAX / 2;
    struct annotation *sorted = arena_allocate(arena, count * sizeof(*sorted));
    if (count) {
        memcpy(sorted, pod->annotations, count * sizeof(*sorted));
        qsort(sorted, count, sizeof(*sorted), compare_annotations);
    }
    for (size_t i = 0; i < count; i++)
        if (i + 1 == count || !slice_equal(sorted[i].name, sorted[i + 1].name))
            size += sorted[i].name.len + sorted[i].value_size;
    return size;
}

struct slice pod_field_pointer(const struct image_field *field, struct arena *arena)
{
    const struct image_kind_traits *kind = &image_kinds[field->kind];
    char digits[24];
    size_t at = sizeof(digits), index = field->index;
    do {
        digits[--at] = (char)('0' + index % 10);
        index /= 10;
    } while (index);
    struct slice parts[] = {
        SLICE("/spec/"),
        kind->list,
        SLICE("/"),
        slice_of(digits + at, sizeof(digits) - at),
        kind->object.len ? SLICE("/") : (struct slice){0},
        kind->object,
        SLICE("/"),
        kind->image,
    };
    return arena_join(arena, parts, sizeof(parts) / sizeof(*parts));
}
