/* What a decision needs to know of a Pod, read from its JSON without building a tree. Everything
 * else in the Pod, also fields of Kubernetes versions to come, is passed over and never touched. */
#pragma once

#include "base/label.h"
#include "base/memory.h"
#include "base/slice.h"
#include "json/scanner.h"

#include <stdbool.h>
#include <stddef.h>

/* More than any real Pod has. A Pod with more images is left alone as a whole; one with more
 * annotations counts as having more bytes of them than Kubernetes takes; of pull secrets and labels
 * only the first are known. */
enum {
    POD_MAX_IMAGES = 4096,
    POD_MAX_ANNOTATIONS = 8192,
    POD_MAX_PULL_SECRETS = 1024,
    POD_MAX_LABELS = 1024,
};

/* The fields of a Pod that name images (Kubernetes 1.36: PodSpec, EphemeralContainerCommon,
 * ImageVolumeSource). `volumes[].rbd.image` is a Ceph image and none of them. */
enum image_kind {
    IMAGE_CONTAINER,
    IMAGE_INIT_CONTAINER,
    IMAGE_EPHEMERAL_CONTAINER,
    IMAGE_VOLUME,
    IMAGE_KINDS,
};

/* All that differs between them; a further kind is a line in the table. */
struct image_kind_traits {
    struct slice list;             /* in the Pod's `spec` */
    struct slice object;           /* in an item of the list: what has the image; empty: the item */
    struct slice image;            /* there: the image */
    struct slice pull_policy;      /* there: its pull policy */
    const char *noun;              /* of the item, for people and as a member of decisions */
    const char *key_prefix;        /* before the name, in the annotation of original images */
    const char *annotation_prefix; /* before the name, in the key of an audit annotation */
};
extern const struct image_kind_traits image_kinds[IMAGE_KINDS];

/* How an optional member stands in the JSON: what a patch must know before it adds or replaces. */
enum presence {
    PRESENCE_ABSENT,
    PRESENCE_OTHER, /* null, or not of the type that Kubernetes gives it */
    PRESENCE_HERE,
};

struct image_field {
    enum image_kind kind;
    size_t index;                  /* in its list */
    struct slice name;             /* of the container or volume */
    struct slice image;            /* as written, decoded; never empty */
    enum presence has_pull_policy; /* imagePullPolicy, or a volume's image.pullPolicy */
    struct slice pull_policy;
};

struct owner {
    struct slice group, kind, name; /* group is empty for the core group */
};

struct annotation {
    struct slice name;
    size_t value_size; /* bytes, decoded */
    size_t order;      /* in the JSON */
};

struct pod {
    struct slice name, generate_name, namespace_;
    enum presence has_metadata, has_annotations;
    struct annotation *annotations; /* in the order of the JSON, also those that come again */
    size_t annotation_count;
    bool too_many_annotations;
    enum presence has_original_images; /* the annotation of ours */
    struct slice original_images;
    bool opted_out;       /* harbor-pilot.io/mode: disabled */
    bool mirror;          /* kubernetes.io/config.mirror, whatever its value */
    struct label *labels; /* in the order of the JSON, also those that come again */
    size_t label_count;
    struct slice template_hash; /* label pod-template-hash; empty: none */
    struct slice rollout_hash;  /* rollouts-pod-template-hash, of Argo Rollouts; empty: none */
    bool has_controller;
    struct owner controller;        /* the ownerReference with controller: true */
    struct owner first_owner;       /* the first ownerReference, whatever it is */
    enum presence has_pull_secrets; /* spec.imagePullSecrets */
    struct slice *pull_secrets;
    size_t pull_secret_count;
    struct image_field *images; /* in the order of the JSON, by list; none where too many */
    size_t image_count;
    bool too_many_images;
};

#define ANNOTATION_MODE            "harbor-pilot.io/mode"
#define ANNOTATION_MIRROR          "kubernetes.io/config.mirror"
#define ANNOTATION_ORIGINAL_IMAGES "harbor-pilot.io/original-images"

/* Reads the value that comes next in the scanner as a Pod. Members of unexpected types are passed
 * over as if absent; what is not an object is a Pod with nothing in it. Of a key that stands twice
 * the last counts. Errors of JSON itself stay in the scanner. */
void pod_read(struct json_scanner *s, struct arena *arena, struct pod *ret);

/* The value of a label, or NULL. Of a key that stands twice the last counts. */
const struct slice *pod_label(const struct pod *pod, struct slice name);

/* Bytes of all annotations, keys and values: Kubernetes limits the sum. Of a key that stands twice
 * the last counts, as Go reads it. More than any limit where there are too many. */
size_t pod_annotations_size(const struct pod *pod, struct arena *arena);

/* The JSON Pointer (RFC 6901) of the field below the object that holds the Pod's `spec`, in the
 * arena: "/spec/containers/0/image". */
struct slice pod_field_pointer(const struct image_field *field, struct arena *arena);
