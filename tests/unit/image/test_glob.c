/* Globs, against a slow and plain definition over all short patterns and texts of small alphabets.
 */
#include "image/glob.h"

#include "tests/unit/check.h"

static void test_match(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "a", true},
        {"a", "A", false},
        {"a", "aa", false},
        {"*", "", true},
        {"*", "a/b:c@d", true},
        {"**", "", true},
        {"?", "", false},
        {"?", "a", true},
        {"?", "/", true},
        {"a*", "a", true},
        {"a*b", "ab", true},
        {"a*b", "axxb", true},
        {"a*b", "axxbc", false},
        {"*/debug/*", "docker.io/debug/x", true},
        {"*/debug/*", "docker.io/debug", false},
        {"*.example.com/*", "a.b.example.com/x/y", true},
        {"*a*b*c", "xxaxxbxxbxxc", true},
        {"*a*b*c", "xxaxxcxxb", false},
        {"a.b", "axb", false}, /* a dot is a dot */
        {"[a]", "a", false},   /* and brackets are brackets */
        {"\\*", "*", false},
        {"a?", "a", false},
        {"?*", "", false},
        {"*?", "x", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct slice pattern = copy_exact(slice_from(cases[i].pattern));
        struct slice text = copy_exact(slice_from(cases[i].text));
        if (glob_match(pattern, text) != cases[i].matches)
            CHECK_FAIL("`%s` on `%s`: expected %d", cases[i].pattern, cases[i].text,
                       cases[i].matches);
        free((char *)pattern.base);
        free((char *)text.base);
    }
}

static void test_has_wildcard(void **state)
{
    (void)state;
    assert_true(glob_has_wildcard(SLICE("a*")));
    assert_true(glob_has_wildcard(SLICE("?")));
    assert_false(glob_has_wildcard(SLICE("a.b-c[d]")));
    assert_false(glob_has_wildcard((struct slice){0}));
}

/* --- the definition --- */

static bool plainly_matches(const char *pattern, const char *text)
{
    if (*pattern == '*')
        return plainly_matches(pattern + 1, text) || (*text && plainly_matches(pattern, text + 1));
    if (!*pattern || !*text)
        return !*pattern && !*text;
    return (*pattern == '?' || *pattern == *text) && plainly_matches(pattern + 1, text + 1);
}

/* All words up to a length, shortest first. */
struct words {
    char (*items)[8];
    size_t count;
};

static struct words all_words(const char *alphabet, size_t longest)
{
    size_t letters = strlen(alphabet), count = 1, of_this_length = 1;
    for (size_t i = 0; i < longest; i++)
        count += of_this_length *= letters;
    struct words words = {calloc(count, sizeof(*words.items)), 1};
    for (size_t from = 0; words.count < count; from++)
        for (size_t i = 0; i < letters; i++) {
            size_t len = strlen(words.items[from]);
            memcpy(words.items[words.count], words.items[from], len);
            words.items[words.count++][len] = alphabet[i];
        }
    return words;
}

static void test_match_by_definition(void **state)
{
    (void)state;
    struct words patterns = all_words("ab*?", 5), texts = all_words("ab", 6);
    for (size_t p = 0; p < patterns.count; p++)
        for (size_t t = 0; t < texts.count; t++) {
            const char *pattern = patterns.items[p], *text = texts.items[t];
            if (glob_match(slice_from(pattern), slice_from(text)) != plainly_matches(pattern, text))
                CHECK_FAIL("`%s` on `%s`: expected %d", pattern, text,
                           plainly_matches(pattern, text));
        }
    free(patterns.items);
    free(texts.items);
}

/* One bit for each text of up to seven characters. That is enough for patterns of four: a common
 * match has at most as many characters as both patterns have besides their stars, and two of four
 * are either without a star, and then as long as their match, or have at most six. The third letter
 * stands in no pattern: only wildcards match it. */
static void mark_matches(const char *pattern, const struct words *texts, uint64_t *bits)
{
    for (size_t t = 0; t < texts->count; t++)
        if (plainly_matches(pattern, texts->items[t]))
            bits[t / 64] |= 1ull << t % 64;
}

static void test_overlap_and_covers_by_definition(void **state)
{
    (void)state;
    struct words patterns = all_words("ab*?", 4), texts = all_words("abc", 7);
    size_t limbs = texts.count / 64 + 1;
    uint64_t *bits = calloc(patterns.count * limbs, sizeof(*bits));
    for (size_t p = 0; p < patterns.count; p++)
        mark_matches(patterns.items[p], &texts, bits + p * limbs);
    size_t covers = 0, found = 0;
    for (size_t p = 0; p < patterns.count; p++)
        for (size_t q = 0; q < patterns.count; q++) {
            struct arena arena = {0};
            struct slice a = slice_from(patterns.items[p]), b = slice_from(patterns.items[q]);
            struct slice example = SLICE("untouched");
            bool common = false, inside = true;
            for (size_t i = 0; i < limbs; i++) {
                common |= (bits[p * limbs + i] & bits[q * limbs + i]) != 0;
                inside &= (bits[q * limbs + i] & ~bits[p * limbs + i]) == 0;
            }
            bool overlap = glob_overlap(a, b, &arena, &example);
            if (overlap != common)
                CHECK_FAIL("`%s` and `%s`: overlap %d, expected %d", a.base, b.base, overlap,
                           common);
            if (overlap && (!glob_match(a, example) || !glob_match(b, example)))
                CHECK_FAIL("`%s` and `%s`: `%.*s` does not match both", a.base, b.base,
                           SLICE_ARGS(example));
            if (!overlap)
                check_text(a.base, "the example where there is none", example, "untouched");
            bool said = glob_covers(a, b);
            if (said && !inside)
                CHECK_FAIL("`%s` does not cover `%s`", a.base, b.base);
            covers += inside;
            found += said;
            arena_done(&arena);
        }
    free(bits);
    free(patterns.items);
    free(texts.items);
    /* it may miss some, but is of no use when it misses many: `*?` inside `?*`, for example */
    if (found * 10 < covers * 8)
        CHECK_FAIL("of %zu pairs where one covers the other %zu are seen", covers, found);
}

static void test_overlap(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *example; /* NULL: none */
    } cases[] = {
        {"team-*", "*-prod", "team-prod"},
        {"a", "a", "a"},
        {"a", "b", NULL},
        {"", "*", ""},
        {"", "?", NULL},
        {"*", "*", ""},
        {"?", "?", "a"}, /* a character that both leave open is 'a' */
        {"*x*", "*y*", "xy"},
        {"grafana-*", "grafana", NULL},
        {"ab*", "*ba", "aba"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice a = copy_exact(slice_from(cases[i].a)), b = copy_exact(slice_from(cases[i].b));
        for (int swap = 0; swap < 2; swap++) {
            struct slice example = {0};
            bool overlap = glob_overlap(swap ? b : a, swap ? a : b, &arena, &example);
            check_number(cases[i].a, "overlap", overlap, cases[i].example != NULL);
            if (!overlap)
                continue;
            check_number(cases[i].a, "the example's length", (long long)example.len,
                         (long long)strlen(cases[i].example));
            assert_true(glob_match(a, example) && glob_match(b, example));
        }
        free((char *)a.base);
        free((char *)b.base);
        arena_done(&arena);
    }
}

static void test_covers(void **state)
{
    (void)state;
    static const struct {
        const char *outer, *inner;
        bool covers;
    } cases[] = {
        {"*", "anything-*?", true},
        {"a*", "ab*", true},
        {"ab*", "a*", false},
        {"?", "a", true},
        {"a", "?", false},
        {"?", "?", true},
        {"?", "*", false},
        {"infra-*", "infra-dns-*", true},
        {"a", "a", true},
        {"a", "b", false},
        {"a*c", "abc", true},
        {"*b", "a*b", true},
        {"*", "", true},
        {"", "*", false},
        {"??*", "a?*", true},
        {"a?", "a*", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (glob_covers(slice_from(cases[i].outer), slice_from(cases[i].inner)) != cases[i].covers)
            CHECK_FAIL("`%s` and `%s`: expected %d", cases[i].outer, cases[i].inner,
                       cases[i].covers);
}

/* A pattern of many stars costs pattern × text, not an exponent of it. */
static void test_many_stars(void **state)
{
    (void)state;
    char pattern[401], text[2001];
    for (size_t i = 0; i < 400; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[399] = 'b';
    memset(text, 'a', 2000);
    assert_false(glob_match(slice_of(pattern, 400), slice_of(text, 2000)));
    text[1999] = 'b';
    assert_true(glob_match(slice_of(pattern, 400), slice_of(text, 2000)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_has_wildcard),
        cmocka_unit_test(test_match_by_definition),
        cmocka_unit_test(test_overlap_and_covers_by_definition),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_covers),
        cmocka_unit_test(test_many_stars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
