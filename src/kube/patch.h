/* A JSON Patch (RFC 6902) for a Pod: only `replace` on a member that was just seen, and `add` where
 * its parent was just seen; never `test`. A patch that does not apply would make the API server
 * refuse the Pod whatever the failurePolicy (docs/contracts.md#patches). */
#pragma once

#include "base/buffer.h"
#include "kube/pod.h"

struct pod_image_change {
    const struct image_field *field;
    struct slice image;
    struct slice pull_policy; /* empty: as it was */
};

/* What is to be changed in a Pod that was read by pod_read. */
struct pod_changes {
    const struct pod *pod;
    struct pod_image_change *images;
    size_t image_count;
    struct slice pull_secret; /* to be appended to imagePullSecrets; empty: none */
    bool set_original_images; /* the annotation is to have this value */
    struct slice original_images;
};

/* Appends the patch, a JSON array of operations, to `out`; nothing where nothing changes. The
 * annotation is left out where the Pod has no metadata to put it in. */
void patch_write(const struct pod_changes *changes, struct arena *arena, struct buffer *out);
