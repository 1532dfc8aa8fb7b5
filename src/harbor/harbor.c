/* The registry map of a Harbor: who proxies an image, and the reference that an image becomes. */
#include "harbor/harbor.h"

const struct registry *harbor_find_registry(const struct harbor *harbor,
                                            const struct reference *reference)
{
    return reference_find_prefix(reference, harbor->registries, harbor->registry_count,
                                 sizeof(*harbor->registries), harbor->registry_longest);
}

struct slice harbor_rewrite(const struct harbor *harbor, const struct registry *registry,
                            const struct reference *reference, struct arena *arena)
{
    return arena_join(arena,
                      (struct slice[]){harbor->host, SLICE("/"), registry->project, SLICE("/"),
                                       reference->path, reference->suffix},
                      6);
}
