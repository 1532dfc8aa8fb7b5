/* The annotation harbor-pilot.io/original-images: which image each rewritten one was. */
#pragma once

#include "decide/decide.h"

/* Kubernetes refuses an object whose annotations, keys and values, have more bytes in all
 * (apimachinery TotalAnnotationSizeLimitB). */
enum { ANNOTATIONS_MAX_SIZE = 256 * 1024 };

/* The value that the annotation is to have after this request: the images that it rewrites, and of
 * the entries that were there before those whose rewriting gives the image that is there now (the
 * others were written by somebody else, or their image has changed since). False where nothing is
 * rewritten, where the request cannot carry it (ephemeral containers), or where the Pod's
 * annotations would be more than the API server takes: then `*ret_too_large` is true. */
bool originals_value(const struct decide_request *request, const struct decisions *decisions,
                     struct arena *arena, struct slice *ret, bool *ret_too_large);

/* What the annotation says that an image was; empty where it says nothing. Anybody may have written
 * it: ask originals_explain. */
struct slice originals_entry(const struct pod *pod, const struct image_field *field,
                             struct arena *arena);

/* Whether rewriting `original` gives the image that is there now, or that without a digest: others
 * in the admission chain pin what we have moved (k8s-digester). */
bool originals_explain(const struct harbor *harbor, struct slice original, struct slice image,
                       struct arena *arena);
