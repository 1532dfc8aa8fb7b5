/* The table of facts: found again, forgotten by age of use, never over its bound. */
#include "webhook/facts/cache.h"

#include "tests/unit/check.h"

#include <malloc.h>

static struct slice key_of(size_t i, char *text, size_t size)
{
    return slice_of(text,
                    (size_t)snprintf(text, size, "docker-hub-proxy/team/app-%zu:1.%zu", i, i));
}

static void check_list(const struct fact_cache *cache)
{
    size_t forward = 0, backward = 0, chained = 0;
    for (const struct fact_entry *e = cache->newest; e; e = e->older)
        forward++;
    for (const struct fact_entry *e = cache->oldest; e; e = e->newer)
        backward++;
    for (size_t i = 0; i < cache->bucket_count; i++)
        for (const struct fact_entry *e = cache->buckets[i]; e; e = e->chain)
            chained++;
    assert_int_equal(forward, cache->count);
    assert_int_equal(backward, cache->count);
    assert_int_equal(chained, cache->count);
}

static void test_find_and_add(void **state)
{
    (void)state;
    struct fact_cache cache;
    fact_cache_init(&cache, 3);
    assert_null(fact_cache_find(&cache, SLICE("a")));
    struct fact_entry *a = fact_cache_add(&cache, SLICE("a")),
                      *b = fact_cache_add(&cache, SLICE("b"));
    assert_ptr_not_equal(a, b);
    assert_false(a->known || a->asking || a->failed);
    assert_ptr_equal(fact_cache_add(&cache, SLICE("a")), a);
    assert_ptr_equal(fact_cache_find(&cache, SLICE("a")), a);
    assert_null(fact_cache_find(&cache, SLICE("aa")));
    assert_null(fact_cache_find(&cache, SLICE("")));
    assert_int_equal(cache.count, 2);
    check_list(&cache);
    fact_cache_done(&cache);
    assert_int_equal(cache.count, 0);
}

/* What was longest unused goes; being found is a use. */
static void test_forgets_by_use(void **state)
{
    (void)state;
    struct fact_cache cache;
    fact_cache_init(&cache, 3);
    fact_cache_add(&cache, SLICE("a"));
    fact_cache_add(&cache, SLICE("b"));
    fact_cache_add(&cache, SLICE("c"));
    fact_cache_find(&cache, SLICE("a"));
    fact_cache_add(&cache, SLICE("d"));
    assert_null(fact_cache_find(&cache, SLICE("b")));
    assert_non_null(fact_cache_find(&cache, SLICE("c")));
    assert_non_null(fact_cache_find(&cache, SLICE("a")));
    assert_non_null(fact_cache_find(&cache, SLICE("d")));
    assert_int_equal(cache.count, 3);
    check_list(&cache);
    fact_cache_done(&cache);
}

/* Somebody waits for an entry that is asked for. */
static void test_keeps_what_is_asked(void **state)
{
    (void)state;
    struct fact_cache cache;
    fact_cache_init(&cache, 2);
    struct fact_entry *a = fact_cache_add(&cache, SLICE("a"));
    a->asking = FACT_PRESENT;
    struct fact_entry *b = fact_cache_add(&cache, SLICE("b"));
    assert_non_null(fact_cache_add(&cache, SLICE("c"))); /* in place of b, though a is older */
    assert_ptr_equal(fact_cache_find(&cache, SLICE("a")), a);
    assert_null(fact_cache_find(&cache, SLICE("b")));
    b = fact_cache_find(&cache, SLICE("c"));
    b->asking = FACT_PRESENT;
    assert_null(fact_cache_add(&cache, SLICE("d")));
    assert_int_equal(cache.count, 2);
    a->asking = 0;
    assert_non_null(fact_cache_add(&cache, SLICE("d")));
    assert_null(fact_cache_find(&cache, SLICE("a")));
    check_list(&cache);
    fact_cache_done(&cache);
}

static void test_long_keys(void **state)
{
    (void)state;
    static char longest[1025];
    struct fact_cache cache;
    memset(longest, 'x', sizeof(longest));
    fact_cache_init(&cache, 2);
    struct slice fits = copy_exact(slice_of(longest, 1024));
    assert_non_null(fact_cache_add(&cache, fits));
    assert_non_null(fact_cache_find(&cache, fits));
    assert_null(fact_cache_add(&cache, slice_of(longest, 1025)));
    assert_int_equal(cache.count, 1);
    free((char *)fits.base);
    fact_cache_done(&cache);
}

/* Whoever writes images chooses how long the keys are. */
static void test_long_keys_take_no_more_memory(void **state)
{
    (void)state;
    struct fact_cache cache;
    char text[ARTIFACT_KEY_MAX];
    memset(text, 'x', sizeof(text));
    fact_cache_init(&cache, FACT_CACHE_MAX);
    for (size_t i = 0; i < FACT_CACHE_MAX; i++) {
        snprintf(text, 10, "%09zu", i);
        text[9] = 'x';
        assert_non_null(fact_cache_add(&cache, slice_of(text, sizeof(text))));
        assert_true(cache.entry_bytes <= FACT_CACHE_ENTRY_BYTES);
    }
    assert_true(cache.count > 20000 && cache.count < FACT_CACHE_MAX);
    check_list(&cache);
    fact_cache_done(&cache);
    assert_int_equal(cache.count, 0);
}

static void test_expire(void **state)
{
    (void)state;
    struct fact_cache cache;
    fact_cache_init(&cache, 4);
    fact_entry_live_until(fact_cache_add(&cache, SLICE("p/a:1")), 900);
    fact_entry_live_until(fact_cache_add(&cache, SLICE("p/a:2")), 900);
    fact_entry_live_until(fact_cache_add(&cache, SLICE("p/ab:1")), 900);
    fact_cache_expire(&cache, SLICE("p/a"));
    assert_false(fact_entry_lives(fact_cache_find(&cache, SLICE("p/a:1")), 899));
    assert_false(fact_entry_lives(fact_cache_find(&cache, SLICE("p/a:2")), 899));
    assert_true(fact_entry_lives(fact_cache_find(&cache, SLICE("p/ab:1")), 899));
    assert_false(fact_entry_lives(fact_cache_find(&cache, SLICE("p/ab:1")), 900));
    fact_cache_done(&cache);
}

static bool is_expired(struct fact_cache *cache, const char *key)
{
    return !fact_entry_lives(fact_cache_find(cache, slice_from(key)), 899);
}

/* Which artifacts belong to a repository; what was forgotten in between is not looked at. */
static void test_repositories(void **state)
{
    (void)state;
    static const char *const own[] = {"p/a:1", "p/a@sha256:01", "p/a:v1.2"};
    static const char *const others[] = {"p/a/b:1", "p/ab:1", "q/a:1", "p/a-b@sha256:01", "p/b:a"};
    struct fact_cache cache;
    fact_cache_init(&cache, 8); /* few buckets: repositories share them */
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT(own); i++)
            fact_entry_live_until(fact_cache_add(&cache, slice_from(own[i])), 900);
        for (size_t i = 0; i < COUNT(others); i++)
            fact_entry_live_until(fact_cache_add(&cache, slice_from(others[i])), 900);
        fact_cache_expire(&cache, SLICE("p/a"));
        fact_cache_expire(&cache, SLICE("p"));
        fact_cache_expire(&cache, SLICE(""));
        for (size_t i = 0; i < COUNT(own); i++)
            assert_true(is_expired(&cache, own[i]));
        for (size_t i = 0; i < COUNT(others); i++)
            assert_false(is_expired(&cache, others[i]));
        for (int i = 0; i < 3; i++) { /* they make room in the middle of the lists */
            char text[64];
            fact_cache_add(&cache, key_of((size_t)(round * 3 + i), text, sizeof(text)));
        }
    }
    fact_cache_expire_all(&cache);
    for (const struct fact_entry *entry = cache.newest; entry; entry = entry->older)
        assert_false(fact_entry_lives(entry, 1));
    fact_cache_done(&cache);
}

/* Among 100,000 artifacts of others an event looks at its own repository's only. */
static void test_an_event_is_short(void **state)
{
    (void)state;
    struct fact_cache cache;
    char text[64];
    fact_cache_init(&cache, FACT_CACHE_MAX);
    for (size_t i = 0; i < FACT_CACHE_MAX; i++) {
        snprintf(text, sizeof(text), "docker-hub-proxy/team/app-%zu:1", i);
        fact_entry_live_until(fact_cache_add(&cache, slice_from(text)), 900);
    }
    size_t longest = 0;
    for (size_t i = 0; i < cache.bucket_count; i++) {
        size_t chain = 0;
        for (const struct fact_entry *e = cache.repositories[i]; e; e = e->sibling)
            chain++;
        longest = chain > longest ? chain : longest;
    }
    assert_true(longest <= 12);
    fact_cache_done(&cache);
}

/* A million images: never more entries than the bound, nor more memory than 40 MiB (issue 7). */
static void test_a_million_keys(void **state)
{
    (void)state;
    enum { KEYS = 1000000, MEMORY = 40 * 1024 * 1024 };
    struct fact_cache cache;
    char text[64];
    size_t before = mallinfo2().uordblks;
    fact_cache_init(&cache, FACT_CACHE_MAX);
    for (size_t i = 0; i < KEYS; i++) {
        struct fact_entry *entry = fact_cache_add(&cache, key_of(i, text, sizeof(text)));
        assert_non_null(entry);
        entry->known = true;
        assert_true(cache.count <= FACT_CACHE_MAX);
        if (i % 7 == 0) /* one that is always in use stays */
            assert_non_null(fact_cache_add(&cache, SLICE("docker-hub-proxy/library/busy:1")));
    }
    assert_int_equal(cache.count, FACT_CACHE_MAX);
    size_t used = mallinfo2().uordblks - before; /* 0 under a sanitizer's allocator */
    if (used > MEMORY)
        CHECK_FAIL("%zu bytes for %d entries, expected at most %d", used, FACT_CACHE_MAX, MEMORY);
    assert_non_null(fact_cache_find(&cache, SLICE("docker-hub-proxy/library/busy:1")));
    assert_non_null(fact_cache_find(&cache, key_of(KEYS - 1, text, sizeof(text))));
    assert_null(fact_cache_find(&cache, key_of(0, text, sizeof(text))));
    check_list(&cache);
    size_t longest = 0;
    for (size_t i = 0; i < cache.bucket_count; i++) {
        size_t chain = 0;
        for (const struct fact_entry *e = cache.buckets[i]; e; e = e->chain)
            chain++;
        longest = chain > longest ? chain : longest;
    }
    assert_true(longest <= 12); /* names that differ in digits only do not fall together */
    fact_cache_done(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_and_add),
        cmocka_unit_test(test_forgets_by_use),
        cmocka_unit_test(test_keeps_what_is_asked),
        cmocka_unit_test(test_long_keys),
        cmocka_unit_test(test_long_keys_take_no_more_memory),
        cmocka_unit_test(test_expire),
        cmocka_unit_test(test_repositories),
        cmocka_unit_test(test_an_event_is_short),
        cmocka_unit_test(test_a_million_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
