/* The registry map of a Harbor: who proxies a domain, and the reference that an image becomes. */
#include "harbor/harbor.h"

size_t harbor_find_registry(const struct harbor *harbor, struct slice domain)
{
    size_t low = 0, high = harbor->registry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = slice_compare(harbor->registries[middle].domain, domain);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return harbor->registry_count;
}

struct slice harbor_rewrite(const struct harbor *harbor, const struct registry *registry,
                            const struct reference *reference, struct arena *arena)
{
    return arena_join(arena,
                      (struct slice[]){harbor->host, SLICE("/"), registry->project, SLICE("/"),
                                       reference->path, reference->suffix},
                      6);
}
