/* Many patterns at once: finding the first that matches costs the same with ten as with ten
 * thousand, as long as most begin with something else than a wildcard. */
#pragma once

#include "base/map.h"
#include "image/glob.h"

struct glob_set_entry;

/* Zero-initialised is empty. Patterns must outlive it. */
struct glob_set {
    struct map by_prefix; /* what stands before the first wildcard → struct glob_set_entry * */
    size_t *lengths;      /* of the prefixes that occur, rising */
    size_t length_count, length_capacity;
};

/* Adds a pattern; `order` tells which of several that match is the first. */
void glob_set_add(struct glob_set *set, struct slice pattern, size_t order, struct arena *arena);

/* Whether the pattern of that order may be the one that is found. */
typedef bool glob_filter(const void *context, size_t order);

/* The smallest `order` of a pattern that matches, and that the filter lets pass; false where there
 * is none. */
bool glob_set_find(const struct glob_set *set, struct slice text, glob_filter *filter,
                   const void *context, size_t *ret_order);

/* The same without a filter. */
bool glob_set_match(const struct glob_set *set, struct slice text, size_t *ret_order);

void glob_set_done(struct glob_set *set);
