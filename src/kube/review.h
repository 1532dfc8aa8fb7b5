/* AdmissionReview, the request side: admission.k8s.io/v1 and v1beta1 (Kubernetes 1.30 to 1.36). */
#pragma once

#include "base/error.h"
#include "base/memory.h"
#include "base/slice.h"
#include "kube/pod.h"

#include <stdbool.h>

struct review {
    struct slice api_version; /* to be answered in kind: "admission.k8s.io/v1" or "…/v1beta1" */
    struct slice uid;         /* of the call, not of the Pod */
    struct slice group, kind; /* of the object, as request.kind has them; group is empty for core */
    struct slice sub_resource; /* empty: the object itself */
    struct slice namespace_;
    struct slice name;      /* empty where the API server will make one from generateName */
    struct slice operation; /* CREATE, UPDATE, DELETE, CONNECT */
    struct slice user_name; /* userInfo.username: who asks */
    bool dry_run;
    struct slice object, old_object; /* request.object and oldObject as text; empty: not there */
    struct pod pod;                  /* of request.object; of a workload only what metadata says */
    struct pod old_pod;              /* of request.oldObject */
};

/* What a review asks us to look at. */
enum review_subject {
    REVIEW_OTHER,                /* nothing of ours: allowed unchanged */
    REVIEW_POD_CREATE,           /* all images of the Pod */
    REVIEW_EPHEMERAL_CONTAINERS, /* those ephemeral containers that the old Pod does not have */
    REVIEW_POD_UPDATE,           /* images that the old Pod does not have; they are only judged */
    REVIEW_WORKLOAD,             /* images of the Pod template that the old object does not have */
};

/* Reads the body of an admission call. Slices point into `body` or the arena. False, with a text
 * that says where and what was expected, for what is no AdmissionReview: bad JSON or UTF-8, another
 * version, no request, a request without uid. */
MUST_CHECK bool review_parse(struct slice body, struct arena *arena, struct review *ret,
                             struct error *reterr);

enum review_subject review_subject(const struct review *review);

/* The Pods that the templates of a REVIEW_WORKLOAD make, of the object and of the old one, as
 * workload_read has them; without images where there is none. `ret_pointer` is the JSON Pointer of
 * the object's template. In the arena and the body. */
void review_templates(const struct review *review, struct arena *arena, struct pod *ret,
                      struct pod *ret_old, struct slice *ret_pointer);
