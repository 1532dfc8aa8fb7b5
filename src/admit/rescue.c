/* Reads what a Pod waits for, and writes the patch that puts its images back. */
#include "admit/rescue.h"

#include "admit/originals.h"
#include "base/rfc3339.h"
#include "decide/decide.h"
#include "json/pointer.h"
#include "json/writer.h"

/* In the Pod's status. */
static const char *const status_lists[IMAGE_KINDS] = {
    [IMAGE_CONTAINER] = "/containerStatuses",
    [IMAGE_INIT_CONTAINER] = "/initContainerStatuses",
    [IMAGE_EPHEMERAL_CONTAINER] = "/ephemeralContainerStatuses",
    [IMAGE_VOLUME] = NULL,
};

/* What the status says of one container. */
struct status {
    struct slice name, reason, message; /* reason: of its waiting; empty: it does not wait */
    bool running, ended;
    long long since; /* when it began to run, or ended; 0: not known */
};

struct statuses {
    struct status *items;
    size_t count, capacity;
};

struct reading {
    const struct policies *policies;
    struct slice json, status; /* the Pod, and of it its status */
    struct arena *arena;
    struct rescue_pod *ret;
    struct statuses statuses[IMAGE_KINDS];
    size_t capacity;
};

static long long time_at(struct slice json, const char *pointer, struct arena *arena)
{
    long long seconds;
    return rfc3339_parse(json_find_text(json, pointer, arena), &seconds) ? seconds : 0;
}

static struct status read_status(struct slice json, struct arena *arena)
{
    struct slice state;
    struct status status = {
        .name = json_find_text(json, "/name", arena),
        .reason = json_find_text(json, "/state/waiting/reason", arena),
        .message = json_find_text(json, "/state/waiting/message", arena),
        .running = json_find(json, SLICE("/state/running"), &state),
        .ended = json_find(json, SLICE("/state/terminated"), &state),
    };
    if (status.running)
        status.since = time_at(json, "/state/running/startedAt", arena);
    else if (status.ended)
        status.since = time_at(json, "/state/terminated/finishedAt", arena);
    return status;
}

static void read_statuses(struct reading *r, enum image_kind kind)
{
    struct statuses *all = &r->statuses[kind];
    struct slice list, item;
    struct json_scanner s;
    if (!json_find(r->status, slice_from(status_lists[kind]), &list))
        return;
    json_scanner_init(&s, list);
    if (json_peek(&s) != SCAN_ARRAY)
        return;
    json_array_begin(&s);
    while (json_array_next(&s) && json_skip_slice(&s, &item)) {
        all->items =
            arena_grow(r->arena, all->items, all->count, &all->capacity, sizeof(*all->items));
        all->items[all->count++] = read_status(item, r->arena);
    }
}

/* The index in the list of statuses, or its count: they come in an order of their own. */
static size_t find_status(const struct statuses *all, struct slice name)
{
    size_t i = 0;
    while (i < all->count && !slice_equal(all->items[i].name, name))
        i++;
    return i;
}

/* As the kubelet (1.36, pkg/kubelet/images/types.go) and the container runtime's interface name a
 * pull that did not succeed and will be tried again. */
static bool is_failed(struct slice reason)
{
    return slice_equal(reason, SLICE("ErrImagePull")) ||
           slice_equal(reason, SLICE("ImagePullBackOff")) ||
           slice_equal(reason, SLICE("RegistryUnavailable"));
}

static bool is_beginning(struct slice reason)
{
    return slice_equal(reason, SLICE("ContainerCreating")) ||
           slice_equal(reason, SLICE("PodInitializing"));
}

/* When the Pod's sandbox was ready: what its containers wait for since is their image. 0: it is
 * not. (PodReadyToStartContainers, on by default since Kubernetes 1.29.) */
static long long sandbox_ready(const struct reading *r)
{
    struct slice conditions, item;
    struct json_scanner s;
    if (!json_find(r->status, SLICE("/conditions"), &conditions))
        return 0;
    json_scanner_init(&s, conditions);
    if (json_peek(&s) != SCAN_ARRAY)
        return 0;
    json_array_begin(&s);
    while (json_array_next(&s) && json_skip_slice(&s, &item))
        if (slice_equal(json_find_text(item, "/type", r->arena),
                        SLICE("PodReadyToStartContainers")) &&
            slice_equal(json_find_text(item, "/status", r->arena), SLICE("True")))
            return time_at(item, "/lastTransitionTime", r->arena);
    return 0;
}

/* The kubelet starts containers one by one, init containers first. The image that it pulls now is
 * that of the first which has not begun; `*ret_since` is when what stands before it was done.
 * False where none is being pulled. */
static bool find_pulling(const struct reading *r, enum image_kind *ret_kind, size_t *ret_status,
                         long long *ret_since)
{
    static const enum image_kind order[] = {IMAGE_INIT_CONTAINER, IMAGE_CONTAINER};
    long long since = sandbox_ready(r);
    const struct pod *pod = &r->ret->pod;
    if (since == 0)
        return false;
    for (size_t k = 0; k < sizeof(order) / sizeof(*order); k++)
        for (size_t i = 0; i < pod->image_count; i++) {
            const struct statuses *all = &r->statuses[order[k]];
            size_t at = pod->images[i].kind == order[k] ? find_status(all, pod->images[i].name)
                                                        : all->count;
            if (at == all->count)
                continue;
            const struct status *status = &all->items[at];
            if (is_beginning(status->reason)) {
                *ret_kind = order[k];
                *ret_status = at;
                *ret_since = since;
                return true;
            }
            if (!status->running && !status->ended && order[k] == IMAGE_INIT_CONTAINER)
                return false; /* it waits for something else, and all others for it */
            if (status->since > since)
                since = status->since;
        }
    return false;
}

/* --- what an image was --- */

/* The image's own digest, where the original has none: somebody pinned what we had moved, and it is
 * the same content upstream. */
static struct slice pin(struct slice original, struct slice image, struct arena *arena)
{
    size_t at = slice_find(image, '@');
    if (at == image.len || slice_find(original, '@') < original.len)
        return original;
    return arena_join(arena, (struct slice[]){original, slice_from_index(image, at)}, 2);
}

/* The image at a registry, should rewriting it lead to that registry's project. */
static bool image_of(const struct harbor *harbor, const struct registry *registry,
                     const struct slice *path_and_suffix, struct arena *arena, struct slice *ret)
{
    struct reference reference;
    struct slice image = arena_join(arena,
                                    (struct slice[]){registry->upstream.domain, SLICE("/"),
                                                     path_and_suffix[0], path_and_suffix[1]},
                                    4);
    if (!reference_parse(image, arena, &reference) ||
        harbor_find_registry(harbor, &reference) != registry)
        return false;
    *ret = image;
    return true;
}

/* The image at the one registry whose project the image is in; false where there is none, or
 * several. */
static bool turn_round(const struct harbor *harbor, const struct reference *reference,
                       struct arena *arena, struct slice *ret)
{
    size_t slash = slice_find(reference->path, '/'), found = 0;
    const struct slice rest[] = {slice_from_index(reference->path, slash + 1), reference->suffix};
    for (size_t i = 0; i < harbor->registry_count && rest[0].len; i++)
        if (slice_equal(harbor->registries[i].project, slice_head(reference->path, slash)) &&
            image_of(harbor, &harbor->registries[i], rest, arena, ret))
            found++;
    return found == 1;
}

/* Whether the policies of now make the image of `original` in this Pod, in an enforced namespace:
 * then we did. */
static bool is_made_by_policies(const struct reading *r, const struct rescue_item *item,
                                struct slice original)
{
    const struct pod *pod = &r->ret->pod;
    size_t index = (size_t)(item->field - pod->images);
    struct pod before = *pod;
    before.images = arena_allocate(r->arena, pod->image_count * sizeof(*before.images));
    memcpy(before.images, pod->images, pod->image_count * sizeof(*before.images));
    before.images[index].image = original;
    const struct decide_request request = {
        .purpose = PURPOSE_PREVIEW,
        .mode = MODE_ENFORCE,
        .subject = REVIEW_POD_CREATE,
        .namespace_ = pod->namespace_,
        .pod = &before,
        .owned = pod->has_controller,
        .believe_object = true,
        .last_chance = true,
    };
    struct decisions decisions;
    decide(r->policies, &request, r->arena, &decisions);
    return decisions.mode == MODE_ENFORCE && index < decisions.count &&
           decisions.items[index].reason == REASON_REWRITTEN &&
           slice_equal(decisions.items[index].result, item->field->image);
}

/* What the image was: by the annotation, which anybody may have written, where rewriting what it
 * says gives the image; else by the policies. */
static void find_original(const struct reading *r, const struct reference *reference,
                          struct rescue_item *item)
{
    struct slice image = item->field->image, turned;
    struct slice entry = originals_entry(&r->ret->pod, item->field, r->arena);
    if (entry.len && originals_explain(item->harbor, entry, image, r->arena)) {
        item->original = pin(entry, image, r->arena);
        return;
    }
    item->claimed = entry;
    item->by_policies = true;
    if (turn_round(item->harbor, reference, r->arena, &turned) &&
        is_made_by_policies(r, item, turned))
        item->original = turned;
}

/* The Harbor at that host: the one of the Pod's Policy, where several documents name it. */
static const struct harbor *find_harbor(const struct reading *r, struct slice domain)
{
    const struct pod *pod = &r->ret->pod;
    const struct policy *policy =
        policies_find(r->policies, pod->namespace_, pod->labels, pod->label_count);
    if (policy && slice_equal(policy->harbor->host, domain))
        return policy->harbor;
    for (size_t i = 0; i < policies_harbor_count(r->policies); i++)
        if (slice_equal(policies_harbor_at(r->policies, i)->host, domain))
            return policies_harbor_at(r->policies, i);
    return NULL;
}

static enum rescue_obstacle obstacle_of(const struct reading *r, const struct rescue_item *item)
{
    struct slice deleted;
    if (policies_protects(r->policies, r->ret->pod.namespace_))
        return RESCUE_PROTECTED;
    if (json_find(r->json, SLICE("/metadata/deletionTimestamp"), &deleted))
        return RESCUE_ENDING;
    if (item->field->kind == IMAGE_EPHEMERAL_CONTAINER)
        return RESCUE_EPHEMERAL;
    if (item->field->kind == IMAGE_VOLUME)
        return RESCUE_VOLUME;
    return item->original.len ? RESCUE_FREE : RESCUE_NOT_OURS;
}

static void add_item(struct reading *r, struct rescue_item item)
{
    struct reference reference;
    if (!reference_parse(item.field->image, r->arena, &reference))
        return;
    item.harbor = find_harbor(r, reference.domain);
    if (!item.harbor)
        return;
    find_original(r, &reference, &item);
    item.obstacle = obstacle_of(r, &item);
    r->ret->items =
        arena_grow(r->arena, r->ret->items, r->ret->count, &r->capacity, sizeof(*r->ret->items));
    r->ret->items[r->ret->count++] = item;
}

/* --- the Pod --- */

static bool contains(struct slice text, struct slice part)
{
    return text.len && part.len && memmem(text.base, text.len, part.base, part.len);
}

/* The kubelet shows a volume's image that cannot be pulled as a failure of the containers, whose
 * own image the message then does not name. */
static const struct status *volume_failure(const struct reading *r, const struct image_field *field)
{
    for (size_t i = 0; i < r->statuses[IMAGE_CONTAINER].count; i++) {
        const struct status *status = &r->statuses[IMAGE_CONTAINER].items[i];
        if (is_failed(status->reason) && contains(status->message, field->image))
            return status;
    }
    return NULL;
}

static void read_image(struct reading *r, const struct image_field *field)
{
    const struct statuses *all = &r->statuses[field->kind];
    size_t at = find_status(all, field->name);
    const struct status *status = field->kind == IMAGE_VOLUME ? volume_failure(r, field)
                                  : at < all->count           ? &all->items[at]
                                                              : NULL;
    if (status && is_failed(status->reason))
        add_item(r, (struct rescue_item){.field = field,
                                         .wait = RESCUE_FAILED,
                                         .reason = status->reason,
                                         .message = status->message,
                                         .status = at});
}

static bool waits(const struct reading *r)
{
    for (int kind = 0; kind < IMAGE_KINDS; kind++)
        for (size_t i = 0; i < r->statuses[kind].count; i++)
            if (is_failed(r->statuses[kind].items[i].reason) ||
                is_beginning(r->statuses[kind].items[i].reason))
                return true;
    return false;
}

/* Whether an init container's pull fails: then no other image of the Pod is being pulled. */
static bool fails_at_the_beginning(const struct reading *r)
{
    for (size_t i = 0; i < r->ret->count; i++)
        if (r->ret->items[i].field->kind == IMAGE_INIT_CONTAINER)
            return true;
    return false;
}

static void read_behind(struct reading *r)
{
    const struct pod *pod = &r->ret->pod;
    for (size_t i = 0; i < pod->image_count; i++) {
        const struct statuses *all = &r->statuses[pod->images[i].kind];
        size_t at = find_status(all, pod->images[i].name);
        if (at < all->count && is_beginning(all->items[at].reason))
            add_item(r, (struct rescue_item){.field = &pod->images[i],
                                             .wait = RESCUE_BEHIND,
                                             .reason = all->items[at].reason,
                                             .status = at});
    }
}

static void read_pulling(struct reading *r)
{
    enum image_kind kind;
    size_t at;
    long long since;
    const struct pod *pod = &r->ret->pod;
    if (!find_pulling(r, &kind, &at, &since))
        return;
    const struct status *status = &r->statuses[kind].items[at];
    for (size_t i = 0; i < pod->image_count; i++)
        if (pod->images[i].kind == kind && slice_equal(pod->images[i].name, status->name))
            add_item(r, (struct rescue_item){.field = &pod->images[i],
                                             .wait = RESCUE_PULLING,
                                             .reason = status->reason,
                                             .status = at,
                                             .since = since});
}

void rescue_read(const struct policies *policies, struct slice json, struct arena *arena,
                 struct rescue_pod *ret)
{
    struct reading r = {.policies = policies, .json = json, .arena = arena, .ret = ret};
    struct json_scanner s;
    *ret = (struct rescue_pod){0};
    if (!json_find(json, SLICE("/status"), &r.status))
        return;
    for (int kind = 0; kind < IMAGE_KINDS; kind++)
        if (status_lists[kind])
            read_statuses(&r, (enum image_kind)kind);
    if (!waits(&r)) /* as nearly all Pods */
        return;
    json_scanner_init(&s, json);
    pod_read(&s, arena, &ret->pod);
    ret->uid = json_find_text(json, "/metadata/uid", arena);
    ret->resource_version = json_find_text(json, "/metadata/resourceVersion", arena);
    for (size_t i = 0; i < ret->pod.image_count; i++)
        read_image(&r, &ret->pod.images[i]);
    if (fails_at_the_beginning(&r))
        read_behind(&r);
    else
        read_pulling(&r);
}

/* --- the patch --- */

static void write_operation(struct json_writer *w, const char *op, struct slice path)
{
    json_begin_object(w);
    json_member_text(w, "op", op);
    json_member(w, "path", path);
    json_key(w, "value");
}

static void write_text(struct json_writer *w, const char *op, struct slice path, struct slice value)
{
    write_operation(w, op, path);
    json_slice(w, value);
    json_end_object(w);
}

/* A member that is not there is equal to null for the API server (evanphx/json-patch v4). */
static void write_absent(struct json_writer *w, struct slice path)
{
    write_operation(w, "test", path);
    json_write_null(w);
    json_end_object(w);
}

static void write_item(struct json_writer *w, const struct rescue_item *item, struct arena *arena)
{
    struct slice image = pod_field_pointer(item->field, arena);
    struct slice status =
        arena_format(arena, "/status%s/%zu", status_lists[item->field->kind], item->status);
    write_text(w, "test", image, item->field->image);
    write_text(w, "test", arena_join(arena, (struct slice[]){status, SLICE("/name")}, 2),
               item->field->name);
    write_absent(w, arena_join(arena, (struct slice[]){status, SLICE("/state/running")}, 2));
    write_text(w, "replace", image, item->original);
}

/* {"at":"…","reason":"harbor-down","images":{"app":"harbor.example.com/hub/library/nginx"}} */
static struct slice annotation(const struct rescue_pod *rescue, struct slice why, long long now,
                               struct arena *arena)
{
    CLEANUP_BUFFER struct buffer out = {0};
    struct json_writer w = {.out = &out};
    char at[RFC3339_SIZE];
    rfc3339_format(now, at);
    json_begin_object(&w);
    json_member_text(&w, "at", at);
    json_member(&w, "reason", why);
    json_key(&w, "images");
    json_begin_object(&w);
    for (size_t i = 0; i < rescue->count; i++)
        if (rescue->items[i].restore) {
            json_key_slice(&w, rescue->items[i].field->name);
            json_slice(&w, rescue->items[i].field->image);
        }
    json_end_object(&w);
    json_end_object(&w);
    return arena_copy(arena, buffer_slice(&out));
}

static void write_annotation(struct json_writer *w, const struct rescue_pod *rescue,
                             struct slice value)
{
    if (rescue->pod.has_annotations == PRESENCE_HERE) {
        write_text(w, "add", SLICE("/metadata/annotations/harbor-pilot.io~1rescued"), value);
        return;
    }
    write_absent(w, SLICE("/metadata/annotations"));
    write_operation(w, "add", SLICE("/metadata/annotations"));
    json_begin_object(w);
    json_member(w, ANNOTATION_RESCUED, value);
    json_end_object(w);
    json_end_object(w);
}

void rescue_write_patch(const struct rescue_pod *rescue, struct slice why, long long now,
                        struct arena *arena, struct buffer *out)
{
    struct json_writer w = {.out = out};
    json_begin_array(&w);
    write_text(&w, "test", SLICE("/metadata/uid"), rescue->uid);
    for (size_t i = 0; i < rescue->count; i++)
        if (rescue->items[i].restore)
            write_item(&w, &rescue->items[i], arena);
    write_annotation(&w, rescue, annotation(rescue, why, now, arena));
    json_end_array(&w);
}
