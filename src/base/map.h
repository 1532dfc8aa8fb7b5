/* A hash map from text to a pointer; open addressing, no removal. It owns its table, neither keys
 * nor values. Lookups of a map that nobody changes are thread-safe. */
#pragma once

#include "base/cleanup.h"
#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>

struct map_entry {
    struct slice key;
    void *value; /* NULL: the entry is free */
};

struct map {
    struct map_entry *entries;
    size_t count, capacity; /* capacity: a power of two, or 0 */
};

/* The value, or NULL. */
void *map_get(const struct map *map, struct slice key);

/* Where the key's value is kept; added with value NULL, which the caller must then set at once. The
 * pointer is good until the next call. The key's bytes must outlive the map. */
void **map_put(struct map *map, struct slice key);

void map_done(struct map *map);

/* A 64-bit hash of the bytes (FNV-1a), started from `seed`: for tables, not against an adversary.
 */
uint64_t map_hash(struct slice key, uint64_t seed);

#define CLEANUP_MAP CLEANUP(map_done)
