/* The small things below everything: slices, arenas, maps, errors, findings, digests. */
#include "base/diagnostics.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/slice.h"

#include "tests/unit/check.h"

static void test_slices(void **state)
{
    (void)state;
    struct slice none = {0}, s = SLICE("abcb");
    assert_true(slice_equal(none, SLICE("")));
    assert_true(slice_equal(slice_from(NULL), none));
    assert_true(slice_equal(s, slice_from("abcb")));
    assert_false(slice_equal(s, SLICE("abcd")));
    assert_false(slice_equal(s, SLICE("abc")));
    assert_true(slice_starts_with(s, none));
    assert_true(slice_starts_with(s, SLICE("ab")));
    assert_false(slice_starts_with(s, SLICE("abcbx")));
    assert_true(slice_starts_with(none, none));
    assert_int_equal(slice_find(s, 'b'), 1);
    assert_int_equal(slice_find_last(s, 'b'), 3);
    assert_int_equal(slice_find(s, 'x'), 4);
    assert_int_equal(slice_find_last(s, 'x'), 4);
    assert_int_equal(slice_find(none, 'x') + slice_find_last(none, 'x'), 0);
    check_text("slice", "from 2", slice_from_index(s, 2), "cb");
    assert_int_equal(slice_from_index(s, 4).len + slice_from_index(s, 9).len, 0);
    check_text("slice", "head 2", slice_head(s, 2), "ab");
    assert_int_equal(slice_head(s, 9).len, 4);
    assert_true(slice_compare(SLICE("a"), SLICE("b")) < 0);
    assert_true(slice_compare(SLICE("b"), SLICE("ab")) > 0);
    assert_true(slice_compare(SLICE("a"), SLICE("ab")) < 0);
    assert_true(slice_compare(SLICE("ab"), SLICE("a")) > 0);
    assert_int_equal(slice_compare(s, s), 0);
    assert_int_equal(slice_compare(none, none), 0);
    assert_true(slice_compare(SLICE("\x7f"), SLICE("\x80")) < 0); /* bytes, not chars */
}

static void test_arena(void **state)
{
    (void)state;
    struct arena arena = {0};
    unsigned char *seen[200];
    for (size_t i = 0; i < 200; i++) {
        size_t size = i * 211 % 40000;
        seen[i] = arena_allocate(&arena, size);
        assert_int_equal((uintptr_t)seen[i] % 16, 0);
        for (size_t j = 0; j < size; j++)
            assert_int_equal(seen[i][j], 0);
        memset(seen[i], (int)i, size); /* the next ones must not see it */
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t j = 0; j < i * 211 % 40000; j++)
            if (seen[i][j] != (unsigned char)i)
                CHECK_FAIL("allocation %zu was written over", i);
    arena_clear(&arena);
    unsigned char *again = arena_allocate(&arena, 4096);
    for (size_t j = 0; j < 4096; j++)
        assert_int_equal(again[j], 0); /* zeroed although the block was used */
    arena_done(&arena);
    assert_null(arena.blocks);
    arena_done(&arena);
    arena_clear(&arena);
}

/* What it keeps from one request to the next: its first block, unless one request made that larger.
 */
static void test_arena_kept(void **state)
{
    (void)state;
    enum { FIRST = 64 * 1024 };
    struct arena arena = {.first_block = FIRST};
    for (int round = 0; round < 3; round++) {
        void *first = arena_allocate(&arena, 100);
        for (int i = 0; i < 50; i++)
            arena_allocate(&arena, 10000);
        arena_clear(&arena);
        assert_ptr_equal(arena_allocate(&arena, FIRST), first);
        arena_allocate(&arena, 10 * FIRST);
        arena_clear(&arena);
        assert_ptr_equal(arena_allocate(&arena, 1), first);
        arena_clear(&arena);
    }
    arena_done(&arena);
    arena_allocate(&arena, FIRST + 1);
    arena_clear(&arena);
    assert_null(arena.blocks);
}

static void test_arena_resize(void **state)
{
    (void)state;
    struct arena arena = {0};
    unsigned char *small = arena_resize(&arena, NULL, 0, 10);
    memset(small, 'a', 10);
    unsigned char *larger = arena_resize(&arena, small, 10, 1000);
    assert_ptr_equal(larger, small); /* nothing came after it */
    assert_memory_equal(larger, "aaaaaaaaaa", 11);
    assert_ptr_equal(arena_resize(&arena, larger, 1000, 20), small); /* the rest is free again */
    assert_ptr_equal(arena_allocate(&arena, 1), small + 32);
    arena_clear(&arena);
    larger = arena_resize(&arena, NULL, 0, 1000);
    memset(larger, 'b', 1000);
    unsigned char *next = arena_allocate(&arena, 100);
    memset(next, 'n', 100);
    unsigned char *moved = arena_resize(&arena, larger, 1000, 2000);
    assert_ptr_not_equal(moved, larger);
    unsigned char *huge = arena_resize(&arena, moved, 2000, 1000000); /* no block has so much */
    for (size_t i = 0; i < 1000000; i++)
        assert_int_equal(huge[i], i < 1000 ? 'b' : 0);
    assert_int_equal(next[0], 'n');
    assert_int_equal(next[99], 'n');
    arena_done(&arena);
}

static void test_arena_texts(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice copy = arena_copy(&arena, SLICE("abc"));
    check_text("arena", "copy", copy, "abc");
    assert_int_equal(copy.base[3], '\0');
    struct slice joined = arena_join(
        &arena, (struct slice[]){SLICE("a"), (struct slice){0}, SLICE("bc"), SLICE("")}, 4);
    check_text("arena", "join", joined, "abc");
    assert_int_equal(joined.base[3], '\0');
    assert_int_equal(arena_join(&arena, NULL, 0).len, 0);
    check_text("arena", "format", arena_format(&arena, "%d-%s", 7, "x"), "7-x");
    assert_int_equal(arena_format(&arena, "%s", "").len, 0);
    size_t capacity = 0, count = 0;
    int *numbers = NULL;
    for (int i = 0; i < 1000; i++) {
        numbers = arena_grow(&arena, numbers, count, &capacity, sizeof(*numbers));
        numbers[count++] = i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(numbers[i], i);
    assert_true(capacity >= 1000);
    arena_done(&arena);
}

static void test_memory(void **state)
{
    (void)state;
    char *copy = memory_copy_slice(slice_of("abcdef", 3));
    assert_string_equal(copy, "abc");
    free(copy);
    copy = memory_copy_string("xyz");
    assert_string_equal(copy, "xyz");
    copy = memory_resize(copy, 100);
    assert_string_equal(copy, "xyz");
    free(copy);
    int *zeros = memory_allocate_zeroed(10, sizeof(int));
    for (int i = 0; i < 10; i++)
        assert_int_equal(zeros[i], 0);
    free(zeros);
    void *nothing = memory_allocate(0), *none = memory_allocate_zeroed(0, 8);
    assert_non_null(nothing);
    assert_non_null(none);
    free(nothing);
    free(none);
}

static void test_map(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    static char keys[MANY][16];
    static int values[MANY];
    struct map map = {0};
    assert_null(map_get(&map, SLICE("x")));
    for (int i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof(keys[i]), "key-%d", i);
        void **slot = map_put(&map, slice_from(keys[i]));
        assert_null(*slot);
        *slot = &values[i];
    }
    assert_int_equal(map.count, MANY);
    for (int i = 0; i < MANY; i++) {
        char key[16]; /* by its bytes, not by its place */
        snprintf(key, sizeof(key), "key-%d", i);
        assert_ptr_equal(map_get(&map, slice_from(key)), &values[i]);
        assert_ptr_equal(*map_put(&map, slice_from(key)), &values[i]);
    }
    assert_int_equal(map.count, MANY);
    assert_null(map_get(&map, SLICE("key-5000")));
    assert_null(map_get(&map, SLICE("key-")));
    assert_null(map_get(&map, (struct slice){0}));
    *map_put(&map, (struct slice){0}) = &values[0]; /* the empty key is a key */
    assert_ptr_equal(map_get(&map, SLICE("")), &values[0]);
    map_done(&map);
    assert_null(map_get(&map, SLICE("key-1")));
    assert_int_not_equal(map_hash(SLICE("a"), 0), map_hash(SLICE("b"), 0));
    assert_int_not_equal(map_hash(SLICE("a"), 0), map_hash(SLICE("a"), 1));
    assert_int_equal(map_hash(SLICE("a"), 7), map_hash(SLICE("a"), 7));
}

static void test_error(void **state)
{
    (void)state;
    struct error error;
    assert_false(error_set(&error, "`%s`: %d", "a\nb\x7f\x1b", 5));
    assert_string_equal(error.text, "`a?b??`: 5");
    assert_false(error_set(NULL, "nobody %s", "listens"));
    char text[ERROR_TEXT_SIZE * 2];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    error_set(&error, "%s", text);
    assert_int_equal(strlen(error.text), ERROR_TEXT_SIZE - 1);
}

static void test_diagnostics(void **state)
{
    (void)state;
    struct diagnostics d = {0};
    struct arena arena = {0};
    diagnostics_error(&d, (struct position){SLICE("b"), 1, 1}, "third");
    diagnostics_error(&d, (struct position){SLICE("a"), 10, 2}, "second");
    diagnostics_warning(&d, (struct position){SLICE("a"), 9, 20}, "first\nline");
    diagnostics_error(&d, (struct position){SLICE("b"), 1, 1}, "fourth %d", 4);
    diagnostics_error(&d, (struct position){SLICE("b"), 0, 0}, "of the file");
    diagnostics_sort(&d);
    assert_int_equal(d.errors, 4);
    assert_int_equal(d.warnings, 1);
    check_text("findings", "in order", all_findings(&d, &arena),
               "a:9:20: warning: first?line\na:10:2: second\nb: of the file\nb:1:1: fourth 4\n"
               "b:1:1: third\n");
    diagnostics_done(&d);
    assert_int_equal(d.count + d.errors + d.warnings, 0);
    diagnostics_sort(&d);
    arena_done(&arena);
}

static void test_diagnostics_limit(void **state)
{
    (void)state;
    struct diagnostics d = {0};
    for (int i = 0; i < DIAGNOSTICS_MAX + 10; i++)
        diagnostics_warning(&d, (struct position){SLICE("f"), i, 1}, "w");
    assert_int_equal(d.count, DIAGNOSTICS_MAX_WARNINGS); /* there is room left for errors */
    assert_int_equal(d.warnings, DIAGNOSTICS_MAX + 10);
    for (int i = 0; i < DIAGNOSTICS_MAX + 10; i++)
        diagnostics_error(&d, (struct position){SLICE("f"), i, 1}, "e");
    assert_int_equal(d.count, DIAGNOSTICS_MAX);
    assert_int_equal(d.errors, DIAGNOSTICS_MAX + 10);
    diagnostics_done(&d);
}

/* FIPS 180-4's examples. */
static void test_digest(void **state)
{
    (void)state;
    char hex[DIGEST_SHA256_HEX_SIZE];
    unsigned char bytes[DIGEST_SHA256_SIZE];
    digest_sha256_hex((struct slice){0}, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    digest_sha256_hex(SLICE("abc"), hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_sha256(SLICE("abc"), bytes);
    assert_int_equal(bytes[0], 0xba);
    assert_int_equal(bytes[31], 0xad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices),      cmocka_unit_test(test_arena),
        cmocka_unit_test(test_arena_kept),  cmocka_unit_test(test_arena_resize),
        cmocka_unit_test(test_arena_texts), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_map),         cmocka_unit_test(test_error),
        cmocka_unit_test(test_diagnostics), cmocka_unit_test(test_diagnostics_limit),
        cmocka_unit_test(test_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
