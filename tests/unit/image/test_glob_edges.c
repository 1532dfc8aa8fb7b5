/* Globs at their last byte: what stands after a pattern in memory is no part of it; and examples
 * that a person can read. */
#include "image/glob.h"

#include "tests/unit/check.h"

static void test_nothing_behind_the_pattern_counts(void **state)
{
    (void)state;
    static const struct {
        const char *memory; /* the pattern is all but its last character */
        const char *text;
        bool matches;
    } cases[] = {
        {"a*", "a", true},     {"a*", "ab", false},      {"a?", "a", true},
        {"a?", "ab", false},   {"ab", "a", true},        {"ab", "ab", false},
        {"*a*", "xaxa", true}, {"*a*", "xax", false},    {"*aa", "aa", true},
        {"*ab", "aba", true},  {"*ab", "ab", false},     {"*a?", "aba", true},
        {"*?*", "abc", true},  {"?b", "b", true},        {"?b", "ab", false},
        {"**", "", true},      {"**", "anything", true}, {"*", "a", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].memory) - 1;
        struct slice inside = slice_of(cases[i].memory, len), exact = copy_exact(inside);
        struct slice text = copy_exact(slice_from(cases[i].text));
        check_number(cases[i].memory, "glob_match", glob_match(inside, text), cases[i].matches);
        check_number(cases[i].memory, "glob_match", glob_match(exact, text), cases[i].matches);
        /* a text without wildcards is covered by what matches it */
        check_number(cases[i].memory, "glob_covers", glob_covers(inside, text), cases[i].matches);
        check_number(cases[i].memory, "glob_covers", glob_covers(exact, text), cases[i].matches);
        free((char *)exact.base);
        free((char *)text.base);
    }
}

/* docs/policies.md: the message about two Policies shows an example of a namespace that both
 * claim. It is a
 * name, so nothing in it is a wildcard. */
static void test_an_example_is_no_pattern(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *example;
    } cases[] = {
        {"?", "?", "a"},    {"?", "*", "a"},          {"team-?", "team-*", "team-a"},
        {"*?", "?*", "a"},  {"team-*", "*", "team-"}, {"team-*", "*-prod", "team-prod"},
        {"b?", "?c", "bc"}, {"a??", "?b?", "aba"},    {"", "", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice a = copy_exact(slice_from(cases[i].a)), b = copy_exact(slice_from(cases[i].b));
        struct slice example = {0};
        assert_true(glob_overlap(a, b, &arena, &example));
        check_text(cases[i].a, "the example", example, cases[i].example);
        assert_true(glob_overlap(b, a, &arena, &example));
        check_text(cases[i].b, "the example", example, cases[i].example);
        free((char *)a.base);
        free((char *)b.base);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_behind_the_pattern_counts),
        cmocka_unit_test(test_an_example_is_no_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
