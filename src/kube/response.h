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
    struct slice message;         /* for the person who is refused; only where it is not allowed */
    const struct slice *warnings; /* each without control characters, 256 characters at most */
    size_t warning_count;
    struct slice patch; /* the JSON Patch; empty: nothing changes, and neither patch nor patchType
                         * is written (an API server refuses one without the other) */
    const struct audit_annotation *annotations;
    size_t annotation_count;
};

/* Appends the whole AdmissionReview. */
void response_write(const struct review *review, const struct response *response,
                    struct buffer *out);
