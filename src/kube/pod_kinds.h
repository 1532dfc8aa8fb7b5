/* Kinds besides Kubernetes' own that hold Pod templates: where, and whose Pods come of them. */
#pragma once

#include "kube/workload.h"

/* What stands at a pointer. */
enum pod_holder {
    HOLDS_TEMPLATE,   /* an object with the Pod's `spec` */
    HOLDS_SPEC,       /* the Pod's spec itself */
    HOLDS_CONTAINERS, /* a list of containers */
    HOLDS_CONTAINER,
    HOLDS_OBJECT, /* a whole object of another kind */
};

struct pod_kind {
    const char *group, *kind;
    const char *pointer; /* JSON Pointer; a part that is `*` stands for each item or member */
    enum pod_holder holds;
    const char
        *owner; /* of the Pods, "apps/ReplicaSet", `core` for the empty group; NULL: the object */
};
extern const struct pod_kind pod_kinds[];
extern const size_t pod_kinds_count;

/* A Pod template, or for HOLDS_OBJECT an object, that was found in another object. */
struct found_pod {
    struct pod pod;       /* as the API server would see it */
    struct slice pointer; /* of what is there */
    size_t skip;          /* so many bytes of a pod_field_pointer stand for what is not there */
    bool is_object;
    struct slice json; /* a text that holds it, */
    struct slice
        template_pointer; /* here, with its `spec`; of an object: nowhere, it is the text */
};

/* Calls `handle` for each that the table finds in the object, and says how many there were. What it
 * is given lives in the arena. */
size_t pod_kinds_each(const struct object *object, struct arena *arena,
                      void (*handle)(void *context, const struct found_pod *found,
                                     struct arena *arena),
                      void *context);

/* Makes the controller of a Pod that comes of the object's template the one that the table says,
 * where it knows the kind. */
void pod_kinds_set_owner(const struct object *object, struct pod *pod);

/* Whether the table has a row for the object's kind. */
bool pod_kinds_knows(const struct object *object);
