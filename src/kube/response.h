/* AdmissionReview, the answer (admission.k8s.io/v1 and v1beta1). */
#pragma once

#include "base/buffer.h"
#include "kube/review.h"

struct audit_annotation {
    struct slice key; /* a qualified name's part: at most 63 characters, no '/' */
    struct slice value;
};

struct response {
    bool allowed;
    struct slice patch; /* the JSON Patch; empty: nothing changes, and neither patch nor patchType
                         * is written (an API server refuses one without the other) */
    const struct audit_annotation *annotations;
    size_t annotation_count;
};

/* Appends the whole AdmissionReview. */
void response_write(const struct review *review, const struct response *response,
                    struct buffer *out);
