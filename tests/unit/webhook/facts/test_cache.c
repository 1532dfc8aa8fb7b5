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
    for (int i = 0; i < FACT_SHARES; i++) {
        for (const struct fact_entry *e = cache->shares[i].newest; e; e = e->older)
            forward++;
        for (const struct fact_entry *e = cache->shares[i].oldest; e; e = e->newer)
            backward++;
    }
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
    struct fact_entry *a = fact_cache_add(&cache, 0, SLICE("a")),
                      *b = fact_cache_add(&cache, 0, SLICE("b"));
    assert_ptr_not_equal(a, b);
    assert_false(a->known || a->asking || a->failed);
    assert_ptr_equal(fact_cache_add(&cache, 0, SLICE("a")), a);
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
    fact_cache_add(&cache, 0, SLICE("a"));
    fact_cache_add(&cache, 0, SLICE("b"));
    fact_cache_add(&cache, 0, SLICE("c"));
    fact_cache_find(&cache, SLICE("a"));
    fact_cache_add(&cache, 0, SLICE("d"));
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
    struct fact_entry *a = fact_cache_add(&cache, 0, SLICE("a"));
    a->asking = FACT_PRESENT;
    struct fact_entry *b = fact_cache_add(&cache, 0, SLICE("b"));
    assert_non_null(fact_cache_add(&cache, 0, SLICE("c"))); /* in place of b, though a is older */
    assert_ptr_equal(fact_cache_find(&cache, SLICE("a")), a);
    assert_null(fact_cache_find(&cache, SLICE("b")));
    b = fact_cache_find(&cache, SLICE("c"));
    b->asking = FACT_PRESENT;
    assert_null(fact_cache_add(&cache, 0, SLICE("d")));
    assert_int_equal(cache.count, 2);
    a->asking = 0;
    assert_non_null(fact_cache_add(&cache, 0, SLICE("d")));
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
    assert_non_null(fact_cache_add(&cache, 0, fits));
    assert_non_null(fact_cache_find(&cache, fits));
    assert_null(fact_cache_add(&cache, 0, slice_of(longest, 1025)));
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
        assert_non_null(fact_cache_add(&cache, 0, slice_of(text, sizeof(text))));
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
    fact_entry_live_until(fact_cache_add(&cache, 0, SLICE("p/a:1")), 900);
    fact_entry_live_until(fact_cache_add(&cache, 0, SLICE("p/a:2")), 900);
    fact_entry_live_until(fact_cache_add(&cache, 0, SLICE("p/ab:1")), 900);
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
            fact_entry_live_until(fact_cache_add(&cache, 0, slice_from(own[i])), 900);
        for (size_t i = 0; i < COUNT(others); i++)
            fact_entry_live_until(fact_cache_add(&cache, 0, slice_from(others[i])), 900);
        fact_cache_expire(&cache, SLICE("p/a"));
        fact_cache_expire(&cache, SLICE("p"));
        fact_cache_expire(&cache, SLICE(""));
        for (size_t i = 0; i < COUNT(own); i++)
            assert_true(is_expired(&cache, own[i]));
        for (size_t i = 0; i < COUNT(others); i++)
            assert_false(is_expired(&cache, others[i]));
        for (int i = 0; i < 3; i++) { /* they make room in the middle of the lists */
            char text[64];
            fact_cache_add(&cache, 0, key_of((size_t)(round * 3 + i), text, sizeof(text)));
        }
    }
    fact_cache_expire_all(&cache);
    for (const struct fact_entry *entry = cache.shares[0].newest; entry; entry = entry->older)
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
        fact_entry_live_until(fact_cache_add(&cache, 0, slice_from(text)), 900);
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
        struct fact_entry *entry = fact_cache_add(&cache, 0, key_of(i, text, sizeof(text)));
        assert_non_null(entry);
        entry->known = true;
        assert_true(cache.count <= FACT_CACHE_MAX);
        if (i % 7 == 0) /* one that is always in use stays */
            assert_non_null(fact_cache_add(&cache, 0, SLICE("docker-hub-proxy/library/busy:1")));
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

static struct slice name_of(const char *prefix, size_t i, char *text, size_t size)
{
    return slice_of(text, (size_t)snprintf(text, size, "%s%zu:1", prefix, i));
}

/* Strangers who ask for ever more images do not make the API server's be forgotten. */
static void test_shares(void **state)
{
    (void)state;
    enum { LIMIT = 1000, OURS = 100, THEIRS = 20000 };
    struct fact_cache cache;
    char text[64];
    uint8_t ours = 7, crowd = 9, other = 11;
    fact_cache_init(&cache, LIMIT);
    for (size_t i = 0; i < OURS; i++) /* which strangers have asked for before us */
        fact_cache_add(&cache, crowd, name_of("p/ours-", i, text, sizeof(text)));
    for (size_t i = 0; i < LIMIT; i++)
        fact_cache_add(&cache, crowd, name_of("p/flood-", i, text, sizeof(text)));
    for (size_t i = 0; i < OURS; i++)
        fact_cache_add(&cache, ours, name_of("p/ours-", i, text, sizeof(text)));
    for (size_t i = 0; i < THEIRS; i++)
        fact_cache_add(&cache, i % 2 ? crowd : other, name_of("p/more-", i, text, sizeof(text)));
    assert_int_equal(cache.count, LIMIT);
    for (size_t i = 0; i < OURS; i++)
        if (!fact_cache_find(&cache, name_of("p/ours-", i, text, sizeof(text))))
            CHECK_FAIL("%s is forgotten", text);
    check_list(&cache);
    size_t bytes = 0;
    for (int i = 0; i < FACT_SHARES; i++)
        bytes += cache.shares[i].entry_bytes;
    assert_int_equal(bytes, cache.entry_bytes);
    fact_cache_done(&cache);
}

/* An entry is taken over by who has less, never by who has more: or a crowd could take all. */
static void test_taking_over(void **state)
{
    (void)state;
    struct fact_cache cache;
    fact_cache_init(&cache, 10);
    struct fact_entry *a = fact_cache_add(&cache, 1, SLICE("p/a:1"));
    fact_cache_add(&cache, 1, SLICE("p/b:1"));
    fact_cache_add(&cache, 2, SLICE("p/a:1"));
    assert_int_equal(a->share, 2);
    fact_cache_add(&cache, 2, SLICE("p/c:1"));
    fact_cache_add(&cache, 1, SLICE("p/d:1"));
    fact_cache_add(&cache, 1, SLICE("p/e:1"));
    fact_cache_add(&cache, 1, SLICE("p/a:1"));
    assert_int_equal(a->share, 2);
    check_list(&cache);
    fact_cache_done(&cache);
}

/* Callers are told apart. */
static void test_share_of_a_caller(void **state)
{
    (void)state;
    struct fact_cache cache;
    char text[64];
    bool used[FACT_SHARES] = {false};
    size_t different = 0;
    fact_cache_init(&cache, 1);
    for (size_t i = 0; i < 100; i++) {
        uint8_t share = fact_cache_share(&cache, name_of("10.0.0.", i, text, sizeof(text)));
        different += !used[share];
        used[share] = true;
    }
    assert_true(different > 50);
    fact_cache_done(&cache);
}

/* Scans are what takes most memory: a crowd's make those of others go no more than their names. */
static void test_shares_of_scans(void **state)
{
    (void)state;
    enum { FINDINGS = 4000, CROWD = 200 };
    struct fact_cache cache;
    char text[64];
    struct finding *findings = calloc(FINDINGS, sizeof(*findings));
    struct artifact_fact fact = {.present = TRUTH_YES, .scan.status = SCAN_DONE};
    fact_cache_init(&cache, 1000);
    struct fact_entry *ours = fact_cache_add(&cache, 1, SLICE("p/ours:1"));
    fact.scan.findings = findings;
    fact.scan.finding_count = 10;
    fact_cache_set(&cache, ours, FACT_ALL, &fact);
    fact.scan.finding_count = FINDINGS;
    for (size_t i = 0; i < CROWD; i++) {
        struct slice key = name_of("p/x-", i, text, sizeof(text));
        fact_cache_set(&cache, fact_cache_add(&cache, 2, key), FACT_ALL, &fact);
        assert_true(cache.scan_bytes <= FACT_CACHE_SCAN_BYTES);
    }
    assert_true(cache.count < CROWD);
    assert_ptr_equal(fact_cache_find(&cache, SLICE("p/ours:1")), ours);
    assert_non_null(ours->scan);
    size_t bytes = 0;
    for (int i = 0; i < FACT_SHARES; i++)
        bytes += cache.shares[i].scan_bytes;
    assert_int_equal(bytes, cache.scan_bytes);
    fact_cache_done(&cache);
    free(findings);
}

/* A scanner that is away takes nothing back. */
static void test_the_last_verdict_stands(void **state)
{
    (void)state;
    struct fact_cache cache;
    struct arena arena = {0};
    struct artifact_fact fact = {.present = TRUTH_YES, .digest = SLICE("sha256:1")}, got;
    static const enum scan_status hidden[] = {SCAN_RUNNING, SCAN_UNKNOWN};
    fact_cache_init(&cache, 10);
    struct fact_entry *entry = fact_cache_add(&cache, 0, SLICE("p/a:1"));
    for (size_t i = 0; i < COUNT(hidden); i++) {
        fact.scan.status = SCAN_DONE;
        fact_cache_set(&cache, entry, FACT_ALL, &fact);
        fact.scan.status = hidden[i];
        fact_cache_set(&cache, entry, FACT_ALL, &fact);
        fact_cache_get(entry, &arena, &got);
        assert_int_equal(got.scan.status, SCAN_DONE);
    }
    fact.digest = SLICE("sha256:2"); /* but it is nothing about another image */
    fact_cache_set(&cache, entry, FACT_ALL, &fact);
    fact_cache_get(entry, &arena, &got);
    assert_int_equal(got.scan.status, SCAN_UNKNOWN);
    fact_cache_done(&cache);
    arena_done(&arena);
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
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_taking_over),
        cmocka_unit_test(test_share_of_a_caller),
        cmocka_unit_test(test_shares_of_scans),
        cmocka_unit_test(test_the_last_verdict_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
