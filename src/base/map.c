/* The hash map. */
#include "base/map.h"

#include "base/memory.h"

#include <stdlib.h>

enum { MAP_FIRST_CAPACITY = 16 };

uint64_t map_hash(struct slice key, uint64_t seed)
{
    uint64_t hash = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.base[i]) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

static struct map_entry *find(const struct map *map, struct slice key)
{
    size_t mask = map->capacity - 1;
    size_t at = (size_t)map_hash(key, 0) & mask;
    while (map->entries[at].value && !slice_equal(map->entries[at].key, key))
        at = (at + 1) & mask;
    return &map->entries[at];
}

void *map_get(const struct map *map, struct slice key)
{
    return map->capacity ? find(map, key)->value : NULL;
}

static void grow(struct map *map)
{
    struct map old = *map;
    map->capacity = old.capacity ? old.capacity * 2 : MAP_FIRST_CAPACITY;
    map->entries = memory_allocate_zeroed(map->capacity, sizeof(*map->entries));
    for (size_t i = 0; i < old.capacity; i++)
        if (old.entries[i].value)
            *find(map, old.entries[i].key) = old.entries[i];
    free(old.entries);
}

void **map_put(struct map *map, struct slice key)
{
    if (map->count * 2 >= map->capacity)
        grow(map);
    struct map_entry *entry = find(map, key);
    if (!entry->value) {
        entry->key = key;
        map->count++;
    }
    return &entry->value;
}

void map_done(struct map *map)
{
    free(map->entries);
    *map = (struct map){0};
}
