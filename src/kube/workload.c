/* Finds Pod templates, and gives each Pod the controller that it will have. */
#include "kube/workload.h"

#include "json/pointer.h"

/* A hash and a time that stand for whatever a Deployment and a CronJob will append to a name. */
#define ANY_HASH "0000000000"
#define ANY_TIME "00000000"

static const struct template_path built_in[] = {
    {{0}, {"Pod", 3}, {0}},
    {{0}, {"PodTemplate", 11}, {"/template", 9}},
    {{0}, {"ReplicationController", 21}, {"/spec/template", 14}},
    {{"apps", 4}, {"Deployment", 10}, {"/spec/template", 14}},
    {{"apps", 4}, {"ReplicaSet", 10}, {"/spec/template", 14}},
    {{"apps", 4}, {"StatefulSet", 11}, {"/spec/template", 14}},
    {{"apps", 4}, {"DaemonSet", 9}, {"/spec/template", 14}},
    {{"batch", 5}, {"Job", 3}, {"/spec/template", 14}},
    {{"batch", 5}, {"CronJob", 7}, {"/spec/jobTemplate/spec/template", 31}},
};

bool workload_is_built_in(struct slice group, struct slice kind)
{
    for (size_t i = 0; i < sizeof(built_in) / sizeof(*built_in); i++)
        if (built_in[i].pointer.len && slice_equal(built_in[i].group, group) &&
            slice_equal(built_in[i].kind, kind))
            return !slice_equal(kind, SLICE("PodTemplate")); /* nobody makes Pods of it */
    return false;
}

static bool read_is_controller(struct json_scanner *s)
{
    struct json_string key;
    bool controller = false;
    if (json_peek(s) != SCAN_OBJECT) {
        json_skip(s);
        return false;
    }
    json_object_begin(s);
    while (json_object_next(s, &key)) {
        if (json_string_is(key, SLICE("controller")) && json_peek(s) == SCAN_TRUE)
            json_read_bool(s, &controller);
        else
            json_skip(s);
    }
    return controller;
}

static bool read_has_controller(struct json_scanner *s)
{
    bool found = false;
    if (json_peek(s) != SCAN_ARRAY) {
        json_skip(s);
        return false;
    }
    json_array_begin(s);
    while (json_array_next(s))
        found |= read_is_controller(s);
    return found;
}

static void read_metadata(struct json_scanner *s, struct arena *arena, struct object *ret)
{
    struct json_string key;
    struct slice generate_name = {0};
    if (json_peek(s) != SCAN_OBJECT) {
        json_skip(s);
        return;
    }
    json_object_begin(s);
    while (json_object_next(s, &key)) {
        if (json_string_is(key, SLICE("name")))
            json_read_text(s, arena, &ret->name);
        else if (json_string_is(key, SLICE("generateName")))
            json_read_text(s, arena, &generate_name);
        else if (json_string_is(key, SLICE("namespace")))
            json_read_text(s, arena, &ret->namespace_);
        else if (json_string_is(key, SLICE("ownerReferences")))
            ret->has_controller = read_has_controller(s);
        else
            json_skip(s);
    }
    if (ret->name.len == 0)
        ret->name = generate_name;
}

bool object_read(struct slice json, const struct object *otherwise, struct arena *arena,
                 struct object *ret)
{
    struct json_scanner s;
    struct json_string key;
    struct object object = {.json = json};
    struct slice version = {0};
    json_scanner_init(&s, json);
    if (json_peek(&s) != SCAN_OBJECT)
        return false;
    json_object_begin(&s);
    while (json_object_next(&s, &key)) {
        if (json_string_is(key, SLICE("apiVersion")))
            json_read_text(&s, arena, &version);
        else if (json_string_is(key, SLICE("kind")))
            json_read_text(&s, arena, &object.kind);
        else if (json_string_is(key, SLICE("metadata")))
            read_metadata(&s, arena, &object);
        else
            json_skip(&s);
    }
    size_t slash = slice_find(version, '/');
    if (slash < version.len)
        object.group = slice_head(version, slash);
    if (object.kind.len == 0) {
        object.group = otherwise->group;
        object.kind = otherwise->kind;
    }
    if (object.kind.len == 0)
        return false;
    *ret = object;
    return true;
}

static const struct template_path *find_path(const struct object *object,
                                             const struct template_path *paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal(paths[i].group, object->group) && slice_equal(paths[i].kind, object->kind))
            return &paths[i];
    return NULL;
}

static struct slice append(struct arena *arena, struct slice name, const char *suffix)
{
    return arena_join(arena, (struct slice[]){name, slice_from(suffix)}, 2);
}

/* The controller that a Pod made from the object's template has. */
static void set_controller(const struct object *object, struct arena *arena, struct pod *pod)
{
    if (object->group.len == 0 && slice_equal(object->kind, SLICE("PodTemplate")))
        return; /* nobody makes Pods of it by itself */
    pod->has_controller = true;
    pod->controller = (struct owner){object->group, object->kind, object->name};
    if (slice_equal(object->group, SLICE("apps")) &&
        slice_equal(object->kind, SLICE("Deployment"))) {
        pod->controller.kind = SLICE("ReplicaSet");
        pod->controller.name = append(arena, object->name, "-" ANY_HASH);
        pod->template_hash = SLICE(ANY_HASH);
    } else if (slice_equal(object->group, SLICE("batch")) &&
               slice_equal(object->kind, SLICE("CronJob"))) {
        pod->controller.kind = SLICE("Job");
        pod->controller.name = append(arena, object->name, "-" ANY_TIME);
    } else if (slice_equal(object->group, SLICE("argoproj.io")) &&
               slice_equal(object->kind, SLICE("Rollout"))) {
        /* Argo Rollouts makes ReplicaSets, with a hash label of its own name */
        pod->controller = (struct owner){SLICE("apps"), SLICE("ReplicaSet"),
                                         append(arena, object->name, "-" ANY_HASH)};
        pod->rollout_hash = SLICE(ANY_HASH);
    }
}

bool workload_read(const struct object *object, const struct template_path *more, size_t count,
                   struct arena *arena, struct workload *ret, bool *ret_missing)
{
    const struct template_path *path =
        find_path(object, built_in, sizeof(built_in) / sizeof(*built_in));
    struct slice json;
    struct json_scanner s;
    if (!path)
        path = find_path(object, more, count);
    *ret_missing = path && !json_find(object->json, path->pointer, &json);
    if (!path || *ret_missing)
        return false;
    *ret = (struct workload){.object = *object, .pointer = path->pointer};
    json_scanner_init(&s, json);
    pod_read(&s, arena, &ret->pod);
    ret->pod.has_metadata = PRESENCE_HERE; /* the API server gives it a name at least */
    if (path->pointer.len) {
        /* a template's own name and owners are not the Pod's */
        ret->pod.name = ret->pod.generate_name = (struct slice){0};
        ret->pod.has_controller = false;
        ret->pod.first_owner = (struct owner){0};
        set_controller(object, arena, &ret->pod);
    }
    return true;
}
