/* Manifests as people have them: YAML or JSON, several documents, Lists. */
#pragma once

#include "base/diagnostics.h"
#include "kube/workload.h"

enum {
    MANIFESTS_MAX_SIZE = 1024 * 1024 * 1024, /* of one input */
    MANIFESTS_MAX_NESTED_LISTS = 8,
};

/* One object of the input. */
struct manifest {
    struct object object;
    struct position at; /* of the object in its file */
};

/* Called for each object, in order; `arena` is emptied after each call. */
typedef void manifest_handler(void *context, const struct manifest *manifest, struct arena *arena);

/* What an input held, and where the first thing is that is no object of Kubernetes. */
struct manifests_seen {
    size_t objects;
    size_t maps;  /* documents without `kind` that are maps or lists, such as a Helm values file; */
    size_t texts; /* and that are text, as kubectl prints without `-o json`; empty ones count as
                     none */
    struct position first_other;
};

/* Calls `handle` for each object in the text, those inside Lists one by one. What cannot be read is
 * an error in `diagnostics` with its place; all other documents are still handled. Documents that
 * are maps without `kind` (a Helm values file) are passed over. `seen`, which may be NULL, is added
 * to. */
void manifests_read(struct slice text, struct slice file, struct diagnostics *diagnostics,
                    manifest_handler *handle, void *context, struct manifests_seen *seen);
