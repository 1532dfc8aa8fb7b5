/* The files that -f names, in memory, so that they can be gone through twice. */
#pragma once

#include "base/buffer.h"
#include "webhook/cli/manifests.h"
#include "webhook/options.h"

struct input;

struct inputs {
    struct arena arena;
    struct input *items;
    size_t count, capacity;
};

/* Reads each: a file, a directory's *.yaml, *.yml and *.json, or `-`, standard input. What cannot
 * be read is an error, and left out. */
void inputs_read(struct inputs *inputs, const struct text_list *names,
                 struct diagnostics *diagnostics);

/* manifests_read of all. A file that holds only text, and all of them together where none holds an
 * object of Kubernetes, are errors: `kubectl get` without `-o json`. Empty ones are not. */
void inputs_each(const struct inputs *inputs, struct diagnostics *diagnostics,
                 manifest_handler *handle, void *context, struct manifests_seen *ret_seen);

void inputs_done(struct inputs *inputs);
