/* The table of facts. */
#include "webhook/facts/cache.h"

#include "base/map.h"
#include "base/memory.h"

#include <stdlib.h>
#include <sys/random.h>

enum { HINTS = 15 };

/* A scan in one piece of memory: the texts of its findings follow them. */
struct scan_memory {
    size_t size;
    long long project_id, scan_again_ms;
    struct slice digest;
    struct scan scan;
    struct finding findings[];
};

void fact_cache_init(struct fact_cache *cache, size_t limit)
{
    *cache = (struct fact_cache){.limit = limit, .bucket_count = 1};
    if (getrandom(&cache->seed, sizeof(cache->seed), GRND_NONBLOCK) < 0)
        cache->seed = (uint64_t)(uintptr_t)cache; /* better than nothing */
    while (cache->bucket_count < limit)
        cache->bucket_count *= 2;
    cache->buckets = memory_allocate_zeroed(cache->bucket_count, sizeof(*cache->buckets));
    cache->repositories = memory_allocate_zeroed(cache->bucket_count, sizeof(*cache->repositories));
}

void fact_cache_done(struct fact_cache *cache)
{
    for (int i = 0; i < FACT_SHARES; i++)
        for (struct fact_entry *entry = cache->shares[i].newest, *older; entry; entry = older) {
            older = entry->older;
            free(entry->scan);
            free(entry);
        }
    free(cache->buckets);
    free(cache->repositories);
    *cache = (struct fact_cache){0};
}

static void unlink_use(struct fact_cache *cache, struct fact_entry *entry)
{
    struct fact_share *share = &cache->shares[entry->share];
    *(entry->newer ? &entry->newer->older : &share->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &share->oldest) = entry->newer;
}

static void link_newest(struct fact_cache *cache, struct fact_entry *entry)
{
    struct fact_share *share = &cache->shares[entry->share];
    entry->newer = NULL;
    entry->older = share->newest;
    *(share->newest ? &share->newest->newer : &share->oldest) = entry;
    share->newest = entry;
}

static struct fact_entry **bucket_of(const struct fact_cache *cache, uint32_t hash)
{
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

/* "PROJECT/REPOSITORY" of an entry. */
static struct slice repository_of(const struct fact_entry *entry)
{
    struct slice key = slice_of(entry->key, entry->key_length);
    size_t at = slice_find(key, '@');
    return slice_head(key, at < key.len ? at : slice_find_last(key, ':'));
}

static struct fact_entry **siblings_of(const struct fact_cache *cache, struct slice repository)
{
    uint32_t hash = (uint32_t)map_hash(repository, cache->seed);
    return &cache->repositories[hash & (cache->bucket_count - 1)];
}

static void join_siblings(struct fact_cache *cache, struct fact_entry *entry)
{
    struct fact_entry **first = siblings_of(cache, repository_of(entry));
    entry->sibling = *first;
    entry->sibling_at = first;
    if (entry->sibling)
        entry->sibling->sibling_at = &entry->sibling;
    *first = entry;
}

static void leave_siblings(struct fact_entry *entry)
{
    *entry->sibling_at = entry->sibling;
    if (entry->sibling)
        entry->sibling->sibling_at = entry->sibling_at;
}

struct fact_entry *fact_cache_find(struct fact_cache *cache, struct slice key)
{
    uint32_t hash = (uint32_t)map_hash(key, cache->seed);
    struct fact_entry *entry = *bucket_of(cache, hash);
    while (entry &&
           !(entry->hash == hash && slice_equal(slice_of(entry->key, entry->key_length), key)))
        entry = entry->chain;
    if (entry && entry->newer) {
        unlink_use(cache, entry);
        link_newest(cache, entry);
    }
    return entry;
}

static void count_scan(struct fact_cache *cache, const struct fact_entry *entry, bool more)
{
    size_t size = entry->scan ? entry->scan->size : 0;
    struct fact_share *share = &cache->shares[entry->share];
    cache->scan_bytes += more ? size : -size;
    share->scan_bytes += more ? size : -size;
}

static void forget_scan(struct fact_cache *cache, struct fact_entry *entry)
{
    count_scan(cache, entry, false);
    free(entry->scan);
    entry->scan = NULL;
}

static size_t size_of(size_t key_length)
{
    enum { OF_MALLOC = 16 };
    return offsetof(struct fact_entry, key) + key_length + OF_MALLOC;
}

static void count_entry(struct fact_cache *cache, const struct fact_entry *entry, bool more)
{
    size_t size = size_of(entry->key_length);
    cache->entry_bytes += more ? size : -size;
    cache->shares[entry->share].entry_bytes += more ? size : -size;
}

static void forget(struct fact_cache *cache, struct fact_entry *entry)
{
    struct fact_entry **at = bucket_of(cache, entry->hash);
    while (*at != entry)
        at = &(*at)->chain;
    *at = entry->chain;
    unlink_use(cache, entry);
    leave_siblings(entry);
    cache->count--;
    count_entry(cache, entry, false);
    forget_scan(cache, entry);
    free(entry);
}

static bool has_room(const struct fact_cache *cache, size_t size)
{
    return cache->count < cache->limit && cache->entry_bytes + size <= FACT_CACHE_ENTRY_BYTES;
}

/* What a share can forget first. An entry that is being asked has somebody waiting for it. */
static struct fact_entry *oldest_of(const struct fact_share *share, bool scanned,
                                    const struct fact_entry *kept)
{
    struct fact_entry *entry = share->oldest;
    while (entry && (entry->asking || entry == kept || (scanned && !entry->scan)))
        entry = entry->newer;
    return entry;
}

/* What is to go: of the share that has most. `scanned`: most scans, and only such. */
static struct fact_entry *find_victim(const struct fact_cache *cache, bool scanned,
                                      const struct fact_entry *kept)
{
    struct fact_entry *victim = NULL;
    size_t most = 0;
    for (int i = 0; i < FACT_SHARES; i++) {
        const struct fact_share *share = &cache->shares[i];
        size_t bytes = scanned ? share->scan_bytes : share->entry_bytes;
        struct fact_entry *entry = bytes > most ? oldest_of(share, scanned, kept) : NULL;
        if (!entry)
            continue;
        victim = entry;
        most = bytes;
    }
    return victim;
}

/* Frees places until there is one for `size` more. */
static bool make_room(struct fact_cache *cache, size_t size)
{
    struct fact_entry *victim;
    while (!has_room(cache, size) && (victim = find_victim(cache, false, NULL)))
        forget(cache, victim);
    return has_room(cache, size);
}

uint8_t fact_cache_share(const struct fact_cache *cache, struct slice caller)
{
    return (uint8_t)(map_hash(caller, cache->seed) % FACT_SHARES);
}

/* So that a crowd's share going does not take what others need too. */
static void take_over(struct fact_cache *cache, struct fact_entry *entry, uint8_t share)
{
    if (cache->shares[share].entry_bytes >= cache->shares[entry->share].entry_bytes)
        return;
    unlink_use(cache, entry);
    count_entry(cache, entry, false);
    count_scan(cache, entry, false);
    entry->share = share;
    count_entry(cache, entry, true);
    count_scan(cache, entry, true);
    link_newest(cache, entry);
}

struct fact_entry *fact_cache_add(struct fact_cache *cache, uint8_t share, struct slice key)
{
    struct fact_entry *entry = fact_cache_find(cache, key);
    if (entry) {
        take_over(cache, entry, share);
        return entry;
    }
    if (key.len > ARTIFACT_KEY_MAX || !make_room(cache, size_of(key.len)))
        return NULL;
    entry = memory_allocate_zeroed(1, offsetof(struct fact_entry, key) + key.len);
    entry->hash = (uint32_t)map_hash(key, cache->seed);
    entry->key_length = key.len & 0x7ff;
    entry->share = share;
    memcpy(entry->key, key.base, key.len);
    struct fact_entry **bucket = bucket_of(cache, entry->hash);
    entry->chain = *bucket;
    *bucket = entry;
    link_newest(cache, entry);
    join_siblings(cache, entry);
    cache->count++;
    count_entry(cache, entry, true);
    return entry;
}

static void expire(struct fact_entry *entry)
{
    entry->expires = 0;
    entry->outdated = entry->asking != 0;
    entry->hints = HINTS;
}

void fact_cache_expire(struct fact_cache *cache, struct slice repository)
{
    for (struct fact_entry *e = *siblings_of(cache, repository); e; e = e->sibling)
        if (slice_equal(repository_of(e), repository))
            expire(e);
}

void fact_cache_expire_all(struct fact_cache *cache)
{
    for (int i = 0; i < FACT_SHARES; i++)
        for (struct fact_entry *entry = cache->shares[i].newest; entry; entry = entry->older)
            expire(entry);
}

/* --- facts --- */

static struct slice put(char **at, struct slice text)
{
    struct slice copy = slice_of(*at, text.len);
    if (text.len)
        memcpy(*at, text.base, text.len);
    *at += text.len;
    return copy;
}

static struct scan_memory *pack(const struct artifact_fact *fact)
{
    const struct scan *scan = &fact->scan;
    size_t list = scan->finding_count * sizeof(struct finding), texts = fact->digest.len;
    for (size_t i = 0; i < scan->finding_count; i++)
        texts +=
            scan->findings[i].id.len + scan->findings[i].package.len + scan->findings[i].fix.len;
    size_t size = sizeof(struct scan_memory) + list + texts;
    struct scan_memory *memory = memory_allocate_zeroed(1, size);
    char *at = (char *)memory->findings + list;
    memory->size = size;
    memory->project_id = fact->project_id;
    memory->digest = put(&at, fact->digest);
    memory->scan = *scan;
    memory->scan.findings = memory->findings;
    for (size_t i = 0; i < scan->finding_count; i++) {
        struct finding *finding = &memory->findings[i];
        *finding = scan->findings[i];
        finding->id = put(&at, finding->id);
        finding->package = put(&at, finding->package);
        finding->fix = put(&at, finding->fix);
    }
    return memory;
}

/* Forgets until all scans fit. */
static void bound_scans(struct fact_cache *cache, const struct fact_entry *kept)
{
    struct fact_entry *victim;
    while (cache->scan_bytes > FACT_CACHE_SCAN_BYTES && (victim = find_victim(cache, true, kept)))
        forget(cache, victim);
}

long long *fact_entry_scan_again(struct fact_entry *entry)
{
    return entry->scan ? &entry->scan->scan_again_ms : NULL;
}

static bool former_stands(const struct fact_entry *entry, const struct artifact_fact *fact)
{
    bool hidden = fact->scan.status == SCAN_RUNNING || fact->scan.status == SCAN_UNKNOWN;
    return hidden && entry->scan && entry->scan->scan.status == SCAN_DONE &&
           slice_equal(entry->scan->digest, fact->digest);
}

void fact_cache_set(struct fact_cache *cache, struct fact_entry *entry, fact_needs knows,
                    const struct artifact_fact *fact)
{
    entry->present = fact->present & 3;
    entry->servable = fact->servable & 3;
    entry->unauthorized = fact->unauthorized;
    entry->outside_filter = fact->outside_filter;
    entry->refused_by_pull_gate = fact->refused_by_pull_gate;
    entry->knows = knows & 7;
    entry->known = true;
    entry->failed = false;
    if (!(knows & FACT_SCAN) || former_stands(entry, fact))
        return;
    const long long *again = fact_entry_scan_again(entry);
    struct scan_memory *memory = pack(fact);
    memory->scan_again_ms = again ? *again : 0;
    forget_scan(cache, entry);
    entry->scan = memory;
    count_scan(cache, entry, true);
    bound_scans(cache, entry);
}

void fact_cache_get(const struct fact_entry *entry, struct arena *arena, struct artifact_fact *ret)
{
    *ret = (struct artifact_fact){
        .present = entry->present,
        .servable = entry->servable,
        .unauthorized = entry->unauthorized,
        .outside_filter = entry->outside_filter,
        .refused_by_pull_gate = entry->refused_by_pull_gate,
    };
    if (!(entry->knows & FACT_SCAN) || !entry->scan)
        return;
    const struct scan_memory *memory = entry->scan;
    ret->project_id = memory->project_id;
    ret->digest = arena_copy(arena, memory->digest);
    ret->scan = scan_copy(&memory->scan, arena);
}
