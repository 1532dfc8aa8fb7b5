/* What is known of artifacts, for a while: a bounded table that forgets what was longest unused.
 * Not thread-safe; its owner has the lock. */
#pragma once

#include "harbor/fact.h"

#include <stddef.h>
#include <stdint.h>

enum { FACT_CACHE_MAX = 100000 }; /* entries; about 300 bytes each */

struct fact_waiter_link;

struct fact_entry {
    struct fact_entry *chain;         /* of its hash bucket */
    struct fact_entry *newer, *older; /* by last use */
    uint64_t hash;
    long long expires_ms; /* monotonic; after it the fact counts as not known */
    struct artifact_fact fact;
    enum fact_depth depth; /* how deep it is known */
    bool known, failed;    /* failed: asked a moment ago, without an answer */
    bool asking;           /* a question is under way: never forgotten */
    enum fact_depth asking_depth;
    struct fact_waiter_link *waiters;
    unsigned short key_length;
    char key[]; /* "PROJECT/REPOSITORY:REFERENCE" of one Harbor */
};

struct fact_cache {
    struct fact_entry **buckets;
    size_t bucket_count, count, limit;
    struct fact_entry *newest, *oldest;
    uint64_t seed; /* of its hash: Pods' authors choose the keys */
};

void fact_cache_init(struct fact_cache *cache, size_t limit);
void fact_cache_done(struct fact_cache *cache);

/* The entry of a key, used now; NULL where there is none. */
struct fact_entry *fact_cache_find(struct fact_cache *cache, struct slice key);

/* The entry, made where there is none; the one longest unused makes room. NULL where the key is
 * longer than an image reference can be, or all entries are being asked. */
struct fact_entry *fact_cache_add(struct fact_cache *cache, struct slice key);

/* Makes all entries whose key starts with `prefix` count as not known (a hint that they changed).
 */
void fact_cache_expire(struct fact_cache *cache, struct slice prefix);
