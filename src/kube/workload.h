/* Objects that hold a Pod or a Pod template: which kinds, where, and whose Pods they will be. */
#pragma once

#include "kube/pod.h"

/* Where a kind keeps its Pod template. */
struct template_path {
    struct slice group, kind; /* group is empty for the core group */
    struct slice pointer; /* JSON Pointer of the object that has `spec` of a Pod; empty: itself */
};

/* What can be said of any object. */
struct object {
    struct slice group, kind, name, namespace_;
    bool has_controller; /* an ownerReference with controller: true */
    struct slice json;
};

struct workload {
    struct object object;
    struct slice pointer; /* of the template, to be put before pod_field_pointer */
    struct pod pod;       /* as the API server would see it: with its controller, nameless where it
                           * comes from a template */
};

/* Whether the built-in controllers make Pods of such objects, directly or through others:
 * Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController, Job, CronJob. */
bool workload_is_built_in(struct slice group, struct slice kind);

/* Reads apiVersion, kind, metadata.name (or generateName), metadata.namespace and whether
 * it has a controller. Group and kind are those of `otherwise` (an item of a PodList does not name
 * its kind) where the text has no kind; false where neither has one. */
bool object_read(struct slice json, const struct object *otherwise, struct arena *arena,
                 struct object *ret);

/* Reads the Pod that an object is or makes: Pod, PodTemplate, ReplicationController (core),
 * Deployment, ReplicaSet, StatefulSet, DaemonSet (apps), Job, CronJob (batch; Kubernetes 1.36), and
 * the kinds of `more`. False for other kinds, and, with `*ret_missing`, where the template is not
 * there. */
bool workload_read(const struct object *object, const struct template_path *more, size_t count,
                   struct arena *arena, struct workload *ret, bool *ret_missing);
