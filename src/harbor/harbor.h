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

/* A publisher that moved: what begins with one name is looked for under another. */
struct rename {
    struct reference_prefix from, to;
    struct position at;
};

struct harbor {
    struct slice name;
    struct position at;
    struct slice host;           /* with a port where it has one */
    struct registry *registries; /* in the order of reference_prefix_compare */
    size_t registry_count;
    size_t registry_longest; /* bytes of the longest path among them */
    struct rename *renames;  /* in the order of reference_prefix_compare of `from` */
    size_t rename_count;
    size_t rename_longest;
    struct pattern_list
        protected_; /* as written, or the default; policies_protects knows our own too */
    bool protected_by_default;
    bool nodes_have_credentials;
    struct name_list trusted_controllers;
    struct harbor_api api;
    bool discover;     /* registries are Harbor's own proxy projects, */
    bool undiscovered; /* which are not known yet */
};

/* The registry of an image: of those that its name begins with the longest; or NULL. */
const struct registry *harbor_find_registry(const struct harbor *harbor,
                                            const struct reference *reference);

/* The rename of an image, of those that its name begins with the longest; or NULL, also where
 * nothing would be left of the name but a registry. */
const struct rename *harbor_find_rename(const struct harbor *harbor,
                                        const struct reference *reference);

/* The image under its new name; all else as it was. In the arena. */
struct reference harbor_rename(const struct rename *rename, const struct reference *reference,
                               struct arena *arena);

/* Where an image is looked for: under its new name, if it has one, in the registry of that. */
struct mapping {
    const struct rename *rename; /* NULL: none */
    struct reference reference;
    const struct registry *registry; /* NULL: the Harbor has none for it */
};

struct mapping harbor_map(const struct harbor *harbor, const struct reference *reference,
                          struct arena *arena);

/* HOST/PROJECT/PATH and the suffix: what an image of that registry becomes. `reference` is only
 * read; nothing is checked, not even the length. */
struct slice harbor_rewrite(const struct harbor *harbor, const struct registry *registry,
                            const struct reference *reference, struct arena *arena);
