/* What is known of artifacts, for a while: a bounded table. Each caller has a share of it, and
 * where there is no room the one who has most forgets what of his was longest unused: nobody,
 * however much he asks for, makes the table forget what others need who ask for less. Not
 * thread-safe; its owner has the lock. */
#pragma once

#include "harbor/fact.h"

#include <stddef.h>
#include <stdint.h>

enum {
    FACT_CACHE_MAX = 100000,                   /* entries; usually about 140 bytes each */
    FACT_CACHE_ENTRY_BYTES = 24 * 1024 * 1024, /* of all entries: Pods' authors choose the keys */
    FACT_CACHE_SCAN_BYTES = 16 * 1024 * 1024,  /* of all scans */
    FACT_SHARES = 256,                         /* callers fall together where there are more */
};

struct fact_waiter_link;
struct scan_memory;

/* In bits: very many are kept. */
struct fact_entry {
    struct fact_entry *chain;                 /* of its hash bucket */
    struct fact_entry *sibling, **sibling_at; /* of its repository's, with others of that bucket */
    struct fact_entry *newer, *older;         /* of its share, by last use */
    struct scan_memory *scan; /* what its scan says, also while it is not known any more */
    struct fact_waiter_link *waiters;
    uint32_t hash;
    uint32_t expires;                   /* monotonic, in tenths of a second: see fact_entry_lives */
    uint32_t upstream_until;            /* the same of what its upstream said of a stored tag: */
    unsigned upstream_has : 2;          /* enum truth, like */
    unsigned present : 2, servable : 2; /* these */
    unsigned unauthorized : 1, outside_filter : 1, refused_by_pull_gate : 1;
    unsigned known : 1, failed : 1; /* failed: asked a moment ago, without an answer */
    unsigned started : 1;           /* Harbor is being asked */
    unsigned outdated : 1;          /* it changed while the question was under way: ask again */
    unsigned knows : 3;             /* fact_needs */
    unsigned asking : 3; /* fact_needs that somebody waits for: never forgotten; 0: nobody does */
    unsigned hints : 4;  /* how often a "not there" is believed for a moment only, after a hint */
    unsigned key_length : 11;
    uint8_t share; /* whose it is */
    char key[];    /* "PROJECT/REPOSITORY:REFERENCE" of one Harbor */
};

/* Whether what an entry says, that it is known or that it failed, still counts; and until when it
 * does from now on (monotonic ms). */
static inline bool fact_entry_lives(const struct fact_entry *entry, long long now_ms)
{
    return now_ms / 100 < (long long)entry->expires;
}

static inline void fact_entry_live_until(struct fact_entry *entry, long long ms)
{
    entry->expires = (uint32_t)((ms + 99) / 100);
}

/* What an upstream said of a tag outlives what else is known of it: it is seldom asked. */
static inline void fact_entry_keep_upstream(struct fact_entry *entry, enum truth has, long long ms)
{
    entry->upstream_has = has & 3;
    entry->upstream_until = (uint32_t)(ms / 100);
}

static inline long long fact_entry_upstream_ms(const struct fact_entry *entry)
{
    return 100LL * entry->upstream_until;
}

struct fact_share {
    struct fact_entry *newest, *oldest;
    size_t entry_bytes, scan_bytes;
};

struct fact_cache {
    struct fact_entry **buckets;
    struct fact_entry **repositories; /* by the hash of the repository, as many */
    size_t bucket_count, count, limit, entry_bytes, scan_bytes;
    struct fact_share shares[FACT_SHARES];
    uint64_t seed; /* of its hash: Pods' authors choose the keys */
};

void fact_cache_init(struct fact_cache *cache, size_t limit);
void fact_cache_done(struct fact_cache *cache);

/* The entry of a key, used now; NULL where there is none. */
struct fact_entry *fact_cache_find(struct fact_cache *cache, struct slice key);

/* The share of a caller, by his address. */
uint8_t fact_cache_share(const struct fact_cache *cache, struct slice caller);

/* The entry, made in that share where there is none; one that is there is taken over from a share
 * that has more. NULL where the key is longer than an image reference can be, or all entries are
 * being asked. */
struct fact_entry *fact_cache_add(struct fact_cache *cache, uint8_t share, struct slice key);

/* Keeps a fact; `knows` says what of it is known. Its scan is copied where `knows` has FACT_SCAN. A
 * scan that is under way, or a scanner that is away, hides the verdict before it, which stands
 * until there is a new one (docs/contracts.md#scan): the former scan of the same digest is kept. */
void fact_cache_set(struct fact_cache *cache, struct fact_entry *entry, fact_needs knows,
                    const struct artifact_fact *fact);

/* The fact of an entry; findings are copied into the arena. What is known of its project is not in
 * it. */
void fact_cache_get(const struct fact_entry *entry, struct arena *arena, struct artifact_fact *ret);

/* Monotonic ms before which Harbor is not asked to scan it again; where its scan is known, else
 * NULL.
 */
long long *fact_entry_scan_again(struct fact_entry *entry);

/* A hint that all artifacts of "PROJECT/REPOSITORY" changed: they count as not known, and what is
 * not there for some time yet, for a moment only: Harbor tells of a proxied image when it has
 * stored it, and gives it its tag up to 10 s later. Looks at that repository's entries only. */
void fact_cache_expire(struct fact_cache *cache, struct slice repository);

/* The same for all that is kept. */
void fact_cache_expire_all(struct fact_cache *cache);
