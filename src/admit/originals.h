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
