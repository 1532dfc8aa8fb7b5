/* A Pod that waits for an image at Harbor: which of its containers do, what they were before we
 * moved them, and the patch that puts that back. What is known of Harbor, and whether it is to be
 * done, is its caller's. */
#pragma once

#include "base/buffer.h"
#include "kube/pod.h"
#include "policy/policy.h"

#include <stdbool.h>

#define ANNOTATION_RESCUED "harbor-pilot.io/rescued"

enum rescue_wait {
    RESCUE_FAILED,  /* the kubelet says that the pull fails: ErrImagePull, ImagePullBackOff */
    RESCUE_PULLING, /* nothing has come yet, and nothing else is to be done before it */
    RESCUE_BEHIND,  /* an init container before it failed: its own pull has not begun */
};

/* What stands against putting an image back. */
enum rescue_obstacle {
    RESCUE_FREE,
    RESCUE_PROTECTED, /* the namespace is one that Harbor stands on */
    RESCUE_ENDING,    /* the Pod is being deleted */
    RESCUE_EPHEMERAL, /* an ephemeral container cannot be changed, */
    RESCUE_VOLUME,    /* nor can a volume */
    RESCUE_NOT_OURS,  /* neither the annotation nor the policies say that we moved it */
};

/* A container, or volume, that waits for an image at a Harbor of the policies. */
struct rescue_item {
    const struct image_field *field;
    const struct harbor *harbor;
    enum rescue_wait wait;
    enum rescue_obstacle obstacle;
    struct slice reason, message; /* the kubelet's */
    size_t status;                /* its index in the list of statuses of its kind */
    long long since;              /* Unix seconds, of RESCUE_PULLING */
    struct slice original;        /* what it was; empty: nothing says so */
    bool by_policies; /* it is what the policies, turned round, make of the image: the annotation
                         does not say it, */
    struct slice claimed; /* or says this, which is not how the image came to be */
    bool restore;         /* set by the caller: rescue_write_patch is to put it back */
};

struct rescue_pod {
    struct pod pod;
    struct slice uid, resource_version;
    struct rescue_item *items; /* in the order of the Pod's lists */
    size_t count;
};

/* Reads a Pod as the API server shows it. `namespace_` is its own, which an item of a list has,
 * too. Nothing in it that waits for a Harbor of the policies: `count` is 0. Texts are in `json`, in
 * the policies or in the arena. */
void rescue_read(const struct policies *policies, struct slice json, struct arena *arena,
                 struct rescue_pod *ret);

/* Appends the JSON Patch for the items that are to be restored. It holds only while the Pod is the
 * same, its images are, and none of the containers runs: else the API server refuses it as a whole
 * (422), since changing a running container restarts it. `why` is a word, `now` Unix seconds: for
 * the annotation harbor-pilot.io/rescued. */
void rescue_write_patch(const struct rescue_pod *rescue, struct slice why, long long now,
                        struct arena *arena, struct buffer *out);
