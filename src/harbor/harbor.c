/* The registry map of a Harbor: who proxies an image, and the reference that an image becomes. */
#include "harbor/harbor.h"

const struct registry *harbor_find_registry(const struct harbor *harbor,
                                            const struct reference *reference)
{
    return reference_find_prefix(reference, harbor->registries, harbor->registry_count,
                                 sizeof(*harbor->registries), harbor->registry_longest);
}

const struct rename *harbor_find_rename(const struct harbor *harbor,
                                        const struct reference *reference)
{
    const struct rename *found =
        reference_find_prefix(reference, harbor->renames, harbor->rename_count,
                              sizeof(*harbor->renames), harbor->rename_longest);
    bool nothing_left =
        found && found->to.path.len == 0 && found->from.path.len == reference->path.len;
    return nothing_left ? NULL : found;
}

struct reference harbor_rename(const struct rename *rename, const struct reference *reference,
                               struct arena *arena)
{
    struct reference renamed = *reference;
    struct slice new = rename->to.path, old = rename->from.path;
    struct slice rest = slice_from_index(reference->path, old.len ? old.len + 1 : 0);
    struct slice slash = new.len &&rest.len ? SLICE("/") : (struct slice){0};
    renamed.domain = rename->to.domain;
    renamed.path = arena_join(arena, (struct slice[]){new, slash, rest}, 3);
    if (slice_equal(renamed.domain, SLICE("docker.io")) &&
        slice_find(renamed.path, '/') == renamed.path.len)
        renamed.path = arena_join(arena, (struct slice[]){SLICE("library/"), renamed.path}, 2);
    return renamed;
}

struct mapping harbor_map(const struct harbor *harbor, const struct reference *reference,
                          struct arena *arena)
{
    struct mapping mapping = {.rename = harbor_find_rename(harbor, reference),
                              .reference = *reference};
    if (mapping.rename)
        mapping.reference = harbor_rename(mapping.rename, reference, arena);
    mapping.registry = harbor_find_registry(harbor, &mapping.reference);
    return mapping;
}

struct slice harbor_rewrite(const struct harbor *harbor, const struct registry *registry,
                            const struct reference *reference, struct arena *arena)
{
    return arena_join(arena,
                      (struct slice[]){harbor->host, SLICE("/"), registry->project, SLICE("/"),
                                       reference->path, reference->suffix},
                      6);
}
