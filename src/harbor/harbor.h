/* A Harbor as its document says: where it is, and which proxy-cache project stands for which
 * upstream registry. Immutable after loading. */
#pragma once

#include "base/memory.h"
#include "image/pattern.h"
#include "image/reference.h"

#include <stdbool.h>
#include <stddef.h>

/* Where Harbor's API is and who we are there. */
struct harbor_api {
    struct slice url; /* https://host[:port], without a path; empty: there is none */
    struct slice credentials_directory, ca_file; /* paths; empty: none */
};

/* An upstream registry, or a part of one, and the proxy-cache project that stands for it. */
struct registry {
    struct reference_prefix upstream;
    struct slice project;
    struct position at;
};

struct harbor {
    struct slice name;
    struct position at;
    struct slice host;           /* with a port where it has one */
    struct registry *registries; /* in the order of reference_prefix_compare */
    size_t registry_count;
    size_t registry_longest; /* bytes of the longest path among them */
    struct pattern_list
        protected_; /* as written, or the default; policies_protects knows our own too */
    bool nodes_have_credentials;
    struct name_list trusted_controllers;
    struct harbor_api api;
    bool discover;     /* registries are Harbor's own proxy projects, */
    bool undiscovered; /* which are not known yet */
};

/* The registry of an image: of those that its name begins with the longest; or NULL. */
const struct registry *harbor_find_registry(const struct harbor *harbor,
                                            const struct reference *reference);

/* HOST/PROJECT/PATH and the suffix: what an image of that registry becomes. `reference` is only
 * read; nothing is checked, not even the length. */
struct slice harbor_rewrite(const struct harbor *harbor, const struct registry *registry,
                            const struct reference *reference, struct arena *arena);
