/* The registry map of a Harbor: who proxies a domain, and the reference that an image becomes. */
#include "harbor/harbor.h"

#include <stdlib.h>

static int compare_domain(const void *domain, const void *registry)
{
    return slice_compare(*(const struct slice *)domain,
                         ((const struct registry *)registry)->domain);
}

size_t harbor_find_registry(const struct harbor *harbor, struct slice domain)
{
    const struct registry *found =
        harbor->registry_count ? bsearch(&domain, harbor->registries, harbor->registry_count,
                                         sizeof(*harbor->registries), compare_domain)
                               : NULL;
    return found ? (size_t)(found - harbor->registries) : harbor->registry_count;
}

struct slice harbor_rewrite(const struct harbor *harbor, const struct registry *registry,
                            const struct reference *reference, struct arena *arena)
{
    return arena_join(arena,
                      (struct slice[]){harbor->host, SLICE("/"), registry->project, SLICE("/"),
                                       reference->path, reference->suffix},
                      6);
}
