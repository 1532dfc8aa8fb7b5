/* The table of facts. */
#include "webhook/fact_cache.h"

#include "base/map.h"
#include "base/memory.h"

#include <stdlib.h>
#include <sys/random.h>

enum { KEY_MAX = 1024 };

void fact_cache_init(struct fact_cache *cache, size_t limit)
{
    *cache = (struct fact_cache){.limit = limit, .bucket_count = 1};
    if (getrandom(&cache->seed, sizeof(cache->seed), GRND_NONBLOCK) < 0)
        cache->seed = (uint64_t)(uintptr_t)cache; /* better than nothing */
    while (cache->bucket_count < limit)
        cache->bucket_count *= 2;
    cache->buckets = memory_allocate_zeroed(cache->bucket_count, sizeof(*cache->buckets));
}

void fact_cache_done(struct fact_cache *cache)
{
    for (struct fact_entry *entry = cache->newest, *older; entry; entry = older) {
        older = entry->older;
        free(entry);
    }
    free(cache->buckets);
    *cache = (struct fact_cache){0};
}

static void unlink_use(struct fact_cache *cache, struct fact_entry *entry)
{
    *(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void link_newest(struct fact_cache *cache, struct fact_entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static struct fact_entry **bucket_of(const struct fact_cache *cache, uint64_t hash)
{
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

struct fact_entry *fact_cache_find(struct fact_cache *cache, struct slice key)
{
    uint64_t hash = map_hash(key, cache->seed);
    struct fact_entry *entry = *bucket_of(cache, hash);
    while (entry &&
           !(entry->hash == hash && slice_equal(slice_of(entry->key, entry->key_length), key)))
        entry = entry->chain;
    if (entry && entry != cache->newest) {
        unlink_use(cache, entry);
        link_newest(cache, entry);
    }
    return entry;
}

static void forget(struct fact_cache *cache, struct fact_entry *entry)
{
    struct fact_entry **at = bucket_of(cache, entry->hash);
    while (*at != entry)
        at = &(*at)->chain;
    *at = entry->chain;
    unlink_use(cache, entry);
    cache->count--;
    free(entry);
}

/* Frees one place. An entry that is being asked has somebody waiting for it. */
static bool make_room(struct fact_cache *cache)
{
    struct fact_entry *entry = cache->oldest;
    while (entry && entry->asking)
        entry = entry->newer;
    if (entry)
        forget(cache, entry);
    return entry != NULL;
}

struct fact_entry *fact_cache_add(struct fact_cache *cache, struct slice key)
{
    struct fact_entry *entry = fact_cache_find(cache, key);
    if (entry)
        return entry;
    if (key.len > KEY_MAX || (cache->count == cache->limit && !make_room(cache)))
        return NULL;
    entry = memory_allocate_zeroed(1, sizeof(*entry) + key.len);
    entry->hash = map_hash(key, cache->seed);
    entry->key_length = (unsigned short)key.len;
    memcpy(entry->key, key.base, key.len);
    struct fact_entry **bucket = bucket_of(cache, entry->hash);
    entry->chain = *bucket;
    *bucket = entry;
    link_newest(cache, entry);
    cache->count++;
    return entry;
}

void fact_cache_expire(struct fact_cache *cache, struct slice prefix)
{
    for (struct fact_entry *entry = cache->newest; entry; entry = entry->older)
        if (slice_starts_with(slice_of(entry->key, entry->key_length), prefix))
            entry->expires_ms = 0;
}
