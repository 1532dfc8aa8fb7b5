/* glob_set: the first of many patterns, compared with trying them one by one. */
#include "tests/unit/check.h"

#include "image/glob_set.h"

enum { PATTERNS = 40, ROUNDS = 400, TEXTS = 60, LENGTH = 6 };

static unsigned long state_of_random = 1;

static unsigned next_random(unsigned below)
{
    state_of_random = state_of_random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state_of_random >> 33) % below;
}

static struct slice random_text(struct arena *arena, const char *alphabet)
{
    char text[LENGTH];
    size_t len = next_random(LENGTH + 1);
    for (size_t i = 0; i < len; i++)
        text[i] = alphabet[next_random((unsigned)strlen(alphabet))];
    return arena_copy(arena, slice_of(text, len));
}

static void test_as_one_by_one(void **state)
{
    (void)state;
    size_t found = 0, missed = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct arena arena = {0};
        struct glob_set set = {0};
        struct slice patterns[PATTERNS];
        size_t count = next_random(PATTERNS);
        for (size_t i = 0; i < count; i++)
            patterns[i] = random_text(&arena, "ab/*?");
        for (size_t i = count; i-- > 0;) /* in an order of its own */
            if (i % 2)
                glob_set_add(&set, patterns[i], i, &arena);
        for (size_t i = 0; i < count; i += 2)
            glob_set_add(&set, patterns[i], i, &arena);
        for (int t = 0; t < TEXTS; t++) {
            struct slice text = random_text(&arena, "ab/");
            size_t expected = 0, got = SIZE_MAX;
            while (expected < count && !glob_match(patterns[expected], text))
                expected++;
            bool matched = glob_set_match(&set, text, &got);
            assert_int_equal(matched, expected < count);
            if (matched)
                assert_int_equal(got, expected);
            found += matched;
            missed += !matched;
        }
        glob_set_done(&set);
        arena_done(&arena);
    }
    assert_true(found > 1000 && missed > 1000); /* else the texts test nothing */
}

static void test_empty(void **state)
{
    (void)state;
    struct glob_set set = {0};
    size_t order;
    assert_false(glob_set_match(&set, SLICE("a"), &order));
    assert_false(glob_set_match(&set, (struct slice){0}, &order));
    glob_set_done(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_one_by_one),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
