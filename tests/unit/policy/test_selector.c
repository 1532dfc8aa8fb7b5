/* Selectors: what matches, and of two whether they have Pods in common and whether one holds the
 * other, compared with trying all Pods that can make a difference. */
#include "policy/selector.h"

#include "tests/unit/check.h"

#define POLICIES                                                                                   \
    "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\n"                    \
    "spec: {host: h.io, registries: {docker.io: hub}}\n"                                           \
    "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: a}\n"               \
    "spec: {namespaces: [a], podSelector: {%s}}\n"                                                 \
    "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: b}\n"               \
    "spec: {namespaces: [b], podSelector: {%s}}\n"

/* `other` stands for each value that no selector here names. */
static const char *const values[] = {NULL, "", "web", "db", "other"};
enum { VALUES = 5, KEYS = 2, PODS = VALUES * VALUES };

static size_t pod_of(size_t number, struct label *labels)
{
    static const char *const keys[KEYS] = {"app", "tier"};
    size_t count = 0;
    for (size_t i = 0; i < KEYS; i++, number /= VALUES)
        if (values[number % VALUES])
            labels[count++] =
                (struct label){slice_from(keys[i]), slice_from(values[number % VALUES])};
    return count;
}

static const char *const selectors[] = {
    "",
    "matchLabels: {tier: web}",
    "matchLabels: {tier: ''}",
    "matchLabels: {tier: web, app: db}",
    "matchExpressions: [{key: tier, operator: In, values: [web, db]}]",
    "matchExpressions: [{key: tier, operator: In, values: [db, '', db]}]",
    "matchExpressions: [{key: tier, operator: NotIn, values: [web]}]",
    "matchExpressions: [{key: tier, operator: NotIn, values: [web, db, '']}]",
    "matchExpressions: [{key: tier, operator: Exists}]",
    "matchExpressions: [{key: tier, operator: DoesNotExist}]",
    "matchExpressions: [{key: app, operator: DoesNotExist}]",
    "matchLabels: {app: web}, matchExpressions: [{key: app, operator: NotIn, values: [web]}]",
    "matchExpressions: [{key: tier, operator: Exists}, {key: tier, operator: NotIn, values: [db]}]",
    "matchExpressions: [{key: tier, operator: DoesNotExist}, {key: tier, operator: NotIn, values: "
    "[db]}]",
    "matchExpressions: [{key: tier, operator: Exists}, {key: tier, operator: DoesNotExist}]",
    "matchExpressions: [{key: tier, operator: In, values: [web, db]}, {key: tier, operator: In, "
    "values: [db, '']}]",
    "matchLabels: {app: db}, matchExpressions: [{key: tier, operator: NotIn, values: [web, db]}, "
    "{key: tier, operator: Exists}]",
};

/* The labels of an example, as a Pod. */
static size_t read_example(struct slice text, struct label *labels)
{
    size_t count = 0;
    while (text.len) {
        struct slice one = slice_head(text, slice_find(text, ','));
        size_t equals = slice_find(one, '=');
        labels[count++] =
            (struct label){slice_head(one, equals), slice_from_index(one, equals + 1)};
        text = slice_from_index(text, one.len + 1);
    }
    return count;
}

static void check_pair(const char *a_text, const char *b_text)
{
    struct arena arena = {0};
    struct slice findings, example;
    struct label labels[KEYS];
    struct slice text = arena_format(&arena, POLICIES, a_text, b_text);
    struct policies *policies = load_text(text.base, NULL, &arena, &findings);
    if (!policies)
        CHECK_FAIL("%.*s", SLICE_ARGS(findings));
    const struct selector *a = NULL, *b = NULL;
    for (size_t i = 0; i < 2; i++) {
        const struct policy *p = policies_at(policies, i);
        *(slice_equal(p->name, SLICE("a")) ? &a : &b) = &p->selector;
    }
    bool both = false, only_b = false;
    for (size_t i = 0; i < PODS; i++) {
        size_t count = pod_of(i, labels);
        bool in_a = selector_matches(a, labels, count), in_b = selector_matches(b, labels, count);
        both |= in_a && in_b;
        only_b |= in_b && !in_a;
    }
    check_number(text.base, "have a Pod in common", selector_overlap(a, b, &arena, &example), both);
    check_number(text.base, "the first holds the second", selector_covers(a, b), !only_b);
    if (both) {
        size_t count = read_example(example, labels);
        check_number(text.base, "the example matches the first", selector_matches(a, labels, count),
                     true);
        check_number(text.base, "the example matches the second",
                     selector_matches(b, labels, count), true);
    }
    policies_unref(policies);
    arena_done(&arena);
}

static void test_all_pairs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(selectors); i++)
        for (size_t j = 0; j < COUNT(selectors); j++)
            check_pair(selectors[i], selectors[j]);
}

static void test_matches(void **state)
{
    (void)state;
    static const struct {
        const char *selector, *labels;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "tier=web", true},
        {"matchLabels: {}, matchExpressions: []", "tier=web", true},
        {"matchLabels: {tier: web}", "tier=web", true},
        {"matchLabels: {tier: web}", "tier=web,x=y", true},
        {"matchLabels: {tier: web}", "tier=Web", false},
        {"matchLabels: {tier: web}", "tier=", false},
        {"matchLabels: {tier: web}", "", false},
        {"matchLabels: {tier: ''}", "tier=", true},
        {"matchLabels: {tier: ''}", "", false},
        {"matchLabels: {tier: web, a: b}", "tier=web", false},
        {"matchLabels: {tier: web, a: b}", "a=b,tier=web", true},
        {"matchLabels: {tier: web}, matchExpressions: [{key: a, operator: Exists}]", "tier=web",
         false},
        {"matchLabels: {tier: web}, matchExpressions: [{key: a, operator: Exists}]",
         "tier=web,a=", true},
        {"matchExpressions: [{key: a, operator: In, values: [z, b, m]}]", "a=b", true},
        {"matchExpressions: [{key: a, operator: In, values: [z, b, m]}]", "a=z", true},
        {"matchExpressions: [{key: a, operator: In, values: [z, b, m]}]", "a=c", false},
        {"matchExpressions: [{key: a, operator: NotIn, values: [z, b, m]}]", "a=m", false},
        {"matchExpressions: [{key: a, operator: NotIn, values: [z, b, m]}]", "a=c", true},
        {"matchExpressions: [{key: a, operator: NotIn, values: [z]}]", "b=z", true},
        {"matchExpressions: [{key: a, operator: DoesNotExist}]", "a=", false},
        {"matchExpressions: [{key: a, operator: DoesNotExist}]", "ab=a", true},
        {"matchLabels: {a.b/c: x}", "a.b/c=x", true},
        {"matchLabels: {a.b/c: x}", "c=x", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice findings;
        struct label labels[2];
        struct slice text = arena_format(&arena, POLICIES, cases[i].selector, "");
        struct policies *policies = load_text(text.base, NULL, &arena, &findings);
        if (!policies)
            CHECK_FAIL("%.*s", SLICE_ARGS(findings));
        size_t count = read_example(slice_from(cases[i].labels), labels);
        const struct policy *found = policies_find(policies, SLICE("a"), labels, count);
        if ((found != NULL) != cases[i].matches)
            CHECK_FAIL("{%s} of `%s`: expected %d", cases[i].selector, cases[i].labels,
                       cases[i].matches);
        policies_unref(policies);
        arena_done(&arena);
    }
}

static void test_examples(void **state)
{
    (void)state;
    static const struct {
        const char *selector, *example;
    } cases[] = {
        {"matchLabels: {tier: web, app: x}", "app=x,tier=web"},
        {"matchExpressions: [{key: a, operator: In, values: [z, b]}]", "a=b"},
        {"matchExpressions: [{key: a, operator: Exists}]", "a=x1"},
        {"matchExpressions: [{key: a, operator: Exists}, {key: a, operator: NotIn, values: [x1, "
         "x2]}]",
         "a=x3"},
        {"matchExpressions: [{key: a, operator: NotIn, values: [b]}]", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice findings, example = SLICE("none");
        struct slice text = arena_format(&arena, POLICIES, cases[i].selector, "");
        struct policies *policies = load_text(text.base, NULL, &arena, &findings);
        assert_non_null(policies);
        const struct selector *s = &policies_at(policies, 0)->selector;
        assert_true(selector_overlap(s, s, &arena, &example));
        check_text(cases[i].selector, "the example", example, cases[i].example);
        policies_unref(policies);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_pairs),
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
