/* Questions to a loaded set: which Policy claims a namespace, what is protected, what an image
 * becomes, and shares of the set. */
#include "image/reference.h"
#include "policy/policy.h"

#include "tests/unit/check.h"

#define KIND(kind, name)                                                                           \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: " kind "\n"                                                                             \
    "metadata: {name: " name "}\n"
#define POLICY(name, spec) "---\n" KIND("Policy", name) "spec: {" spec "}\n"

static const char set_text[] = KIND(
    "Harbor",
    "h") "spec: {host: 'h.io:5000', registries: {docker.io: hub, quay.io: q}, "
         "protected: [storage, 'dns-*', kube-system]}\n"
         "---\n" KIND(
             "Harbor",
             "g") "spec: {host: g.io, registries: {}, protected: ['?x']}\n" POLICY("low-glob",
                                                                                   "harbor: h, "
                                                                                   "namespaces: "
                                                                                   "['*'], "
                                                                                   "priority: -5")
             POLICY("exact", "harbor: h, namespaces: [team-a, other]")
                 POLICY("glob", "harbor: h, namespaces: ['team-*', 'b?']")
                     POLICY("high-glob", "harbor: h, namespaces: ['team-x*'], priority: 10")
                         POLICY("high-exact",
                                "harbor: g, namespaces: [team-x1], priority: 10, mode: disabled")
                             POLICY("higher-glob", "harbor: h, namespaces: ['*-top'], priority: 11")
                                 POLICY("low-exact", "harbor: h, namespaces: [low], priority: -6");

static struct policies *load_set(const char *own_namespace)
{
    struct arena arena = {0};
    struct slice findings;
    struct policies *policies = load_text(set_text, own_namespace, &arena, &findings);
    struct slice expected = arena_format(
        &arena,
        "p.yaml:14:32: warning: `*` also matches %d protected namespaces, such as `kube-system`, which "
        "stay as they are\n%s",
        own_namespace ? 3 : 2,
        "p.yaml:41:1: warning: Policy `low-exact` can never match a namespace\n"
        "p.yaml:44:32: warning: `low` can never match: `*` of Policy `low-glob` (p.yaml:14) "
        "has a higher priority\n");
    check_slice("the set", "all findings", findings, expected);
    arena_done(&arena);
    return policies;
}

static void test_find(void **state)
{
    (void)state;
    static const struct {
        const char *namespace_, *policy; /* NULL: none */
    } cases[] = {
        {"team-a", "exact"}, /* exact before a glob of its priority */
        {"team-b", "glob"},
        {"other", "exact"},
        {"bz", "glob"},
        {"b", "low-glob"},
        {"bzz", "low-glob"},
        {"anything", "low-glob"},
        {"team-x", "high-glob"}, /* a higher glob before a lower one */
        {"team-x2", "high-glob"},
        {"team-x1", "high-exact"}, /* exact before glob also up there */
        {"team-x1-top", "higher-glob"},
        {"team-a-top", "higher-glob"}, /* and before any exact name of a lower priority */
        {"low", "low-glob"},
        {"", "low-glob"},
        {"kube-system", "low-glob"}, /* to find is not to move: it is protected */
    };
    struct policies *policies = load_set(NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct slice namespace_ = copy_exact(slice_from(cases[i].namespace_));
        const struct policy *policy = policies_find(policies, namespace_, NULL, 0);
        check_text(cases[i].namespace_, "the Policy", policy ? policy->name : SLICE("none"),
                   cases[i].policy ? cases[i].policy : "none");
        free((char *)namespace_.base);
    }
    policies_unref(policies);

    policies = load_right(
        KIND("Harbor", "h") "spec: {host: h.io, registries: {}}\n" POLICY("a", "namespaces: [a]"));
    assert_null(policies_find(policies, SLICE("b"), NULL, 0));
    assert_null(policies_find(policies, SLICE("aa"), NULL, 0));
    assert_null(policies_find(policies, (struct slice){0}, NULL, 0));
    policies_unref(policies);
}

/* First those that are looked at first: higher priority, then as loaded. */
static void test_order(void **state)
{
    (void)state;
    static const char *const names[] = {"higher-glob", "high-glob", "high-exact", "exact",
                                        "glob",        "low-glob",  "low-exact"};
    struct policies *policies = load_set(NULL);
    assert_int_equal(policies_count(policies), COUNT(names));
    for (size_t i = 0; i < COUNT(names); i++)
        check_text(names[i], "the Policy at its place", policies_at(policies, i)->name, names[i]);
    assert_int_equal(policies_harbor_count(policies), 2);
    check_text("high-exact", "its Harbor", policies_at(policies, 2)->harbor->name, "g");
    policies_unref(policies);
}

static void test_protected(void **state)
{
    (void)state;
    static const struct {
        const char *namespace_;
        bool protected_;
    } cases[] = {
        {"storage", true},
        {"dns-1", true},
        {"dns-", true},
        {"dns", false},
        {"kube-system", true},
        {"kube-public", false}, /* both lists leave it out */
        {"xx", true},
        {"xxx", false},
        {"team-a", false},
        {"ours", true},
        {"harbor-pilot", false},
        {"", false},
    };
    struct policies *policies = load_set("ours"); /* the union of both Harbors, and our own */
    for (size_t i = 0; i < COUNT(cases); i++)
        check_number(cases[i].namespace_, "protected",
                     policies_protects(policies, slice_from(cases[i].namespace_)),
                     cases[i].protected_);
    policies_unref(policies);
    policies = load_set(NULL);
    assert_false(policies_protects(policies, SLICE("ours")));
    policies_unref(policies);
}

static void test_rewrite(void **state)
{
    (void)state;
    static const struct {
        const char *image, *result;
        size_t registry;
    } cases[] = {
        {"postgres:16", "h.io:5000/hub/library/postgres:16", 0},
        {"docker.io/org/a/b", "h.io:5000/hub/org/a/b", 0},
        {"quay.io/x:1@sha256:0000000000000000000000000000000000000000000000000000000000000000",
         "h.io:5000/q/x:1@sha256:0000000000000000000000000000000000000000000000000000000000000000",
         1},
    };
    struct policies *policies = load_set(NULL);
    const struct harbor *harbor = policies_harbor_at(policies, 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct reference r;
        assert_true(reference_parse(slice_from(cases[i].image), &arena, &r));
        assert_ptr_equal(harbor_find_registry(harbor, &r), &harbor->registries[cases[i].registry]);
        check_text(cases[i].image, "the result",
                   harbor_rewrite(harbor, &harbor->registries[cases[i].registry], &r, &arena),
                   cases[i].result);
        arena_done(&arena);
    }
    policies_unref(policies);
}

/* The longest key by whole components has the image. */
static void test_parts_of_registries(void **state)
{
    (void)state;
    static const char text[] =
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\n"
        "spec:\n"
        "  host: h.io\n"
        "  registries:\n"
        "    ghcr.io/my-org: org\n"
        "    docker.io: hub\n"
        "    ghcr.io: gh\n"
        "    docker.io/library: official\n"
        "    docker.io/library/nginx: nginx\n"
        "    ghcr.io/my-org/team/a: a\n"
        "    quay.io/a/b: only\n";
    static const struct {
        const char *image, *result; /* NULL: none of them */
    } cases[] = {
        {"grafana/grafana", "h.io/hub/grafana/grafana"},
        {"redis:7", "h.io/official/library/redis:7"},
        {"docker.io/library/redis/x", "h.io/official/library/redis/x"},
        {"nginx:1", "h.io/nginx/library/nginx:1"},
        {"docker.io/library/nginx/sub", "h.io/nginx/library/nginx/sub"},
        {"nginx-x", "h.io/official/library/nginx-x"},
        {"docker.io/library-x/redis", "h.io/hub/library-x/redis"},
        {"docker.io/librar/y", "h.io/hub/librar/y"},
        {"ghcr.io/other/app", "h.io/gh/other/app"},
        {"ghcr.io/my-org/app", "h.io/org/my-org/app"},
        {"ghcr.io/my-org", "h.io/org/my-org"},
        {"ghcr.io/my-organ/app", "h.io/gh/my-organ/app"},
        {"ghcr.io/my-or", "h.io/gh/my-or"},
        {"ghcr.io/my-org/team/app", "h.io/org/my-org/team/app"},
        {"ghcr.io/my-org/team/a", "h.io/a/my-org/team/a"},
        {"ghcr.io/my-org/team/a/b/c/d/e", "h.io/a/my-org/team/a/b/c/d/e"},
        {"ghcr.io/my-org/team/ab/c", "h.io/org/my-org/team/ab/c"},
        {"ghcr.io/x/my-org/app", "h.io/gh/x/my-org/app"},
        {"quay.io/a/b", "h.io/only/a/b"},
        {"quay.io/a/b/c", "h.io/only/a/b/c"},
        {"quay.io/a", NULL},
        {"quay.io/a/bc", NULL},
        {"quay.io/x/a/b", NULL},
        {"ghcr.io:443/my-org/app", NULL},
    };
    struct policies *policies = load_right(text);
    const struct harbor *harbor = policies_harbor_at(policies, 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct reference r;
        assert_true(reference_parse(slice_from(cases[i].image), &arena, &r));
        const struct registry *found = harbor_find_registry(harbor, &r);
        check_text(cases[i].image, "the result",
                   found ? harbor_rewrite(harbor, found, &r, &arena) : SLICE("none"),
                   cases[i].result ? cases[i].result : "none");
        arena_done(&arena);
    }
    policies_unref(policies);
}

/* A new name is found by the longest old one, and is a whole name again. */
static void test_renames(void **state)
{
    (void)state;
    static const char text[] =
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\n"
        "spec:\n"
        "  host: h.io\n"
        "  registries: {docker.io: hub, ghcr.io/new: new}\n"
        "  renames:\n"
        "    docker.io/old/tool/sub: docker.io/tools\n"
        "    docker.io/bitnami: docker.io/bitnamilegacy\n"
        "    docker.io/old: ghcr.io/new/old\n"
        "    k8s.gcr.io: ghcr.io/new\n"
        "    mirror.io/one: docker.io/redis\n"
        "    gone.io: nowhere.io\n"
        "---\n"
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: g}\n"
        "spec:\n"
        "  host: g.io\n"
        "  registries: {docker.io: hub}\n"
        "  renames: {mirror.io: docker.io, mirror.io/hub: docker.io}\n";
    static const struct {
        const char *image, *renamed, *result; /* NULL: none */
    } cases[] = {
        {"bitnami/redis:7", "docker.io/bitnamilegacy/redis:7", "h.io/hub/bitnamilegacy/redis:7"},
        {"index.docker.io/bitnami/a/b", "docker.io/bitnamilegacy/a/b",
         "h.io/hub/bitnamilegacy/a/b"},
        {"bitnami-x/redis", NULL, "h.io/hub/bitnami-x/redis"},
        {"bitnami", NULL, "h.io/hub/library/bitnami"}, /* an official image */
        {"bitnamilegacy/redis", NULL, "h.io/hub/bitnamilegacy/redis"},
        {"old/tool/sub/x:1", "docker.io/tools/x:1", "h.io/hub/tools/x:1"},
        {"old/tool/sub", "docker.io/library/tools", "h.io/hub/library/tools"},
        {"old/tool/sup", "ghcr.io/new/old/tool/sup", "h.io/new/new/old/tool/sup"},
        {"k8s.gcr.io/pause:3.9@sha256:"
         "0000000000000000000000000000000000000000000000000000000000000000",
         "ghcr.io/new/pause:3.9@sha256:"
         "0000000000000000000000000000000000000000000000000000000000000000",
         "h.io/new/new/pause:3.9@sha256:"
         "0000000000000000000000000000000000000000000000000000000000000000"},
        {"mirror.io/one", "docker.io/library/redis", "h.io/hub/library/redis"},
        {"mirror.io/ones", NULL, NULL},
        {"gone.io/a:1", "nowhere.io/a:1", NULL},
        {"mirror.io/nginx", "docker.io/library/nginx", "g.io/hub/library/nginx"},
        {"mirror.io/org/app", "docker.io/org/app", "g.io/hub/org/app"},
        {"mirror.io/hub/nginx:1", "docker.io/library/nginx:1", "g.io/hub/library/nginx:1"},
        {"mirror.io/hub", NULL, NULL}, /* nothing would be left */
    };
    struct arena arena = {0};
    struct slice findings;
    struct policies *policies = load_text(text, NULL, &arena, &findings);
    assert_non_null(policies);
    size_t second = 12; /* from here on asked of the other Harbor */
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct harbor *harbor = policies_harbor_at(policies, i >= second);
        struct reference r;
        assert_true(reference_parse(slice_from(cases[i].image), &arena, &r));
        struct mapping m = harbor_map(harbor, &r, &arena);
        check_text(cases[i].image, "the new name",
                   m.rename ? reference_format(&m.reference, &arena) : SLICE("none"),
                   cases[i].renamed ? cases[i].renamed : "none");
        check_text(cases[i].image, "the result",
                   m.registry ? harbor_rewrite(harbor, m.registry, &m.reference, &arena)
                              : SLICE("none"),
                   cases[i].result ? cases[i].result : "none");
    }
    arena_done(&arena);
    policies_unref(policies);
}

static const struct policy *find(const struct policies *policies, const char *namespace_,
                                 const char *tier)
{
    const struct label labels[] = {{SLICE("x"), SLICE("y")}, {SLICE("tier"), slice_from(tier)}};
    return policies_find(policies, slice_from(namespace_), labels, tier ? 2 : 1);
}

/* By priority, then by name before by glob, then with a selector before without. */
static void test_find_by_labels(void **state)
{
    (void)state;
#define TIER(tier) "podSelector: {matchLabels: {tier: " tier "}}"
    static const char text[] =
        KIND("Harbor", "h") "spec: {host: h.io, registries: {}}\n" /* in no order */
        POLICY("glob", "namespaces: ['n*']") POLICY("name-web", "namespaces: [n], " TIER("web"))
            POLICY("glob-web", "namespaces: ['n*'], " TIER("web")) POLICY("name", "namespaces: [n]")
                POLICY("glob-db", "namespaces: ['n*'], " TIER("db"))
                    POLICY("name-db", "namespaces: [n], " TIER("db"))
                        POLICY("high", "namespaces: ['n*', n], priority: 1, " TIER("top"))
                            POLICY("high-q", "namespaces: ['n?', o], priority: 1, " TIER("q"))
                                POLICY("low", "namespaces: [o], " TIER("web"));
    static const struct {
        const char *namespace_, *tier, *policy; /* NULL: none */
    } cases[] = {
        {"n", NULL, "name"},    {"n", "other", "name"},    {"n", "web", "name-web"},
        {"n", "db", "name-db"}, {"n", "top", "high"},      {"n", "q", "name"},
        {"n2", NULL, "glob"},   {"n2", "web", "glob-web"}, {"n2", "db", "glob-db"},
        {"n2", "top", "high"},  {"n2", "q", "high-q"},     {"n22", "q", "glob"},
        {"o", "q", "high-q"},   {"o", "web", "low"},       {"o", NULL, NULL},
        {"o", "other", NULL},   {"p", "web", NULL},
    };
    struct policies *policies = load_right(text);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct policy *policy = find(policies, cases[i].namespace_, cases[i].tier);
        check_text(cases[i].tier ? cases[i].tier : "without", cases[i].namespace_,
                   policy ? policy->name : SLICE("none"),
                   cases[i].policy ? cases[i].policy : "none");
    }
    static const char *const claimed[] = {"n", "n2", "n22", "o"}, *const not [] = {"p", "", "an"};
    for (size_t i = 0; i < COUNT(claimed); i++)
        assert_true(policies_claim(policies, slice_from(claimed[i])));
    for (size_t i = 0; i < COUNT(not ); i++)
        assert_false(policies_claim(policies, slice_from(not [i])));
    policies_unref(policies);
}

static void test_shares(void **state)
{
    (void)state;
    struct policies *policies = load_set(NULL);
    assert_ptr_equal(policies_ref(policies), policies);
    policies_unref(policies); /* the address sanitizer sees whether the last one frees it */
    assert_int_equal(policies_count(policies), 7);
    policies_unref(policies);
    assert_null(policies_ref(NULL));
    policies_unref(NULL);
}

static void test_mode_names(void **state)
{
    (void)state;
    assert_string_equal(mode_name(MODE_DISABLED), "disabled");
    assert_string_equal(mode_name(MODE_AUDIT), "audit");
    assert_string_equal(mode_name(MODE_ENFORCE), "enforce");
    assert_true(MODE_DISABLED < MODE_AUDIT && MODE_AUDIT < MODE_ENFORCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_protected),
        cmocka_unit_test(test_rewrite),
        cmocka_unit_test(test_parts_of_registries),
        cmocka_unit_test(test_renames),
        cmocka_unit_test(test_find_by_labels),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_mode_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
