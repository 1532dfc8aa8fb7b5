/* decide() at its bounds: names that end where memory does not, the longest result, and a bucket
 * that is just the share. */
#include "decide/decide.h"

#include "tests/unit/check.h"

#define SET(more)                                                                                  \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: Harbor\n"                                                                               \
    "metadata: {name: h}\n"                                                                        \
    "spec: {host: harbor.example.com, registries: {docker.io: hub}}\n"                             \
    "---\n"                                                                                        \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: Policy\n"                                                                               \
    "metadata: {name: p}\n"                                                                        \
    "spec: {namespaces: [apps], pullSecret: s" more "}\n"

static struct pod job(struct slice name)
{
    return (struct pod){.has_controller = true, .controller = {SLICE("batch"), SLICE("Job"), name}};
}

/* the man pages: a CronJob's Job is named NAME, `-` and 8 or more digits. What stands before and
 * after
 * a name in memory is no part of it. */
static void test_names_of_jobs(void **state)
{
    (void)state;
    static const struct {
        const char *before, *name, *after, *workload;
    } cases[] = {
        {"", "a-29380000", "", "apps/CronJob/a"},
        {"", "a-29380000", "1", "apps/CronJob/a"},
        {"", "a-2938000", "1", "apps/Job/a-2938000"},
        {"a-9", "29380000", "", "apps/Job/29380000"},
        {"", "backup-x2938000", "", "apps/Job/backup-x2938000"},
        {"", "backup-x29380000", "", "apps/Job/backup-x29380000"},
        {"", "backup-29380000x", "", "apps/Job/backup-29380000x"},
        {"", "backup-09090909", "", "apps/CronJob/backup"},
        {"", "backup-/2938000", "", "apps/Job/backup-/2938000"},
        {"", "backup-:2938000", "", "apps/Job/backup-:2938000"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct decide_request request;
        struct decisions decisions;
        struct slice whole =
            arena_format(&arena, "%s%s%s", cases[i].before, cases[i].name, cases[i].after);
        struct slice inside =
            slice_head(slice_from_index(whole, strlen(cases[i].before)), strlen(cases[i].name));
        struct slice exact = copy_exact(inside);
        struct pod pod = job(inside), exact_pod = job(exact);
        struct policies *policies = load_right(SET(""));
        request =
            (struct decide_request){.namespace_ = SLICE("apps"), .pod = &pod, .mode = MODE_ENFORCE};
        decide(policies, &request, &arena, &decisions);
        check_text(cases[i].name, "the workload", decisions.workload, cases[i].workload);
        request.pod = &exact_pod;
        decide(policies, &request, &arena, &decisions);
        check_text(cases[i].name, "the workload", decisions.workload, cases[i].workload);
        policies_unref(policies);
        free((char *)exact.base);
        arena_done(&arena);
    }
}

/* docs/policies.md: the result may have 255 characters of domain and path; tag and digest do not
 * count. */
static void test_the_longest_result(void **state)
{
    (void)state;
    const struct slice before = SLICE("harbor.example.com/hub/");
    struct policies *policies = load_right(SET(""));
    for (size_t length = 254; length <= 256; length++)
        for (int tagged = 0; tagged < 2; tagged++) {
            struct arena arena = {0};
            struct decisions decisions;
            size_t path = length - before.len;
            char *image = arena_allocate(&arena, path + sizeof(":tag"));
            memset(image, 'a', path);
            image[1] = '/';
            memcpy(image + path, ":tag", tagged ? sizeof(":tag") : 0);
            struct image_field field = {.name = SLICE("c"), .image = slice_from(image)};
            struct pod pod = {.images = &field, .image_count = 1};
            struct decide_request request = {.subject = REVIEW_POD_CREATE,
                                             .namespace_ = SLICE("apps"),
                                             .pod = &pod,
                                             .mode = MODE_ENFORCE};
            decide(policies, &request, &arena, &decisions);
            check_text(image, "the reason",
                       slice_from(decide_reason_name(decisions.items[0].reason)),
                       length <= 255 ? "rewritten" : "too-long");
            check_slice(image, "the result", decisions.items[0].result,
                        length <= 255 ? arena_join(&arena, (struct slice[]){before, field.image}, 2)
                                      : field.image);
            arena_done(&arena);
        }
    policies_unref(policies);
}

/* Only what the old Pod has is old: not what stands behind its images in memory. */
static void test_the_last_old_image(void **state)
{
    (void)state;
    struct image_field old[] = {
        {.kind = IMAGE_EPHEMERAL_CONTAINER, .name = SLICE("old"), .image = SLICE("x")},
        {.kind = IMAGE_EPHEMERAL_CONTAINER, .name = SLICE("new"), .image = SLICE("x")},
    };
    struct policies *policies = load_right(SET(""));
    for (size_t count = 0; count <= 2; count++) {
        struct arena arena = {0};
        struct decisions decisions;
        struct slice secret = SLICE("s");
        struct pod old_pod = {.images = old, .image_count = count};
        struct pod pod = {
            .images = old, .image_count = 2, .pull_secrets = &secret, .pull_secret_count = 1};
        struct decide_request request = {.subject = REVIEW_EPHEMERAL_CONTAINERS,
                                         .namespace_ = SLICE("apps"),
                                         .pod = &pod,
                                         .old_pod = &old_pod,
                                         .mode = MODE_ENFORCE};
        decide(policies, &request, &arena, &decisions);
        check_number("ephemeral", "the images that are new", (long long)decisions.count,
                     2 - (long long)count);
        check_number("ephemeral", "the rewrites", (long long)decisions.rewrites,
                     2 - (long long)count);
        arena_done(&arena);
    }
    policies_unref(policies);
}

/* A workload's images are known where the Policy that judges them has judged them before: not where
 * its labels belonged to another one, or to none. */
static void test_labels_that_change(void **state)
{
    (void)state;
    static const char text[] = SET(
        ", podSelector: {matchLabels: {tier: web}}") "---\n"
                                                     "apiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: q}\n"
                                                     "spec: {namespaces: [apps, more]}\n";
    static const struct {
        const char *namespace_, *old, *new, *policy;
        bool known;
    } cases[] = {
        {"apps", "web", "web", "p", true}, {"apps", "db", "web", "p", false},
        {"apps", "web", "db", "q", false}, {"apps", "db", "x", "q", true},
        {"more", "db", "web", "q", true},  {"none", "db", "web", "", true},
    };
    struct policies *policies = load_right(text);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct decisions decisions;
        struct image_field field = {.name = SLICE("c"), .image = SLICE("x")};
        struct label old_label = {SLICE("tier"), slice_from(cases[i].old)};
        struct label new_label = {SLICE("tier"), slice_from(cases[i].new)};
        struct pod pod = {
            .images = &field, .image_count = 1, .labels = &new_label, .label_count = 1};
        struct pod old_pod = {
            .images = &field, .image_count = 1, .labels = &old_label, .label_count = 1};
        struct decide_request request = {.subject = REVIEW_WORKLOAD,
                                         .purpose = PURPOSE_VALIDATE,
                                         .namespace_ = slice_from(cases[i].namespace_),
                                         .pod = &pod,
                                         .old_pod = &old_pod,
                                         .mode = MODE_ENFORCE};
        decide(policies, &request, &arena, &decisions);
        check_text(cases[i].new, "the Policy",
                   decisions.policy ? decisions.policy->name : SLICE(""), cases[i].policy);
        check_number(cases[i].new, "the images that are new", (long long)decisions.count,
                     !cases[i].known);
        arena_done(&arena);
    }
    policies_unref(policies);
}

/* the man pages: the bucket of apps/StatefulSet/postgres is 30; docs/policies.md: in when bucket <
 * rollout. What
 * is not in changes nothing, also where an image is Harbor's already. */
static void test_the_pull_secret_of_who_is_just_in(void **state)
{
    (void)state;
    static const struct {
        const char *set, *image;
        bool moved, added;
    } cases[] = {
        {SET(", rollout: 30"), "postgres", false, false},
        {SET(", rollout: 31"), "postgres", true, true},
        {SET(", rollout: 30"), "harbor.example.com/p/postgres", false, false},
        {SET(", rollout: 31"), "harbor.example.com/p/postgres", false, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct decisions decisions;
        struct policies *policies = load_right(cases[i].set);
        struct image_field field = {.name = SLICE("c"), .image = slice_from(cases[i].image)};
        struct pod pod = {.has_controller = true,
                          .controller = {SLICE("apps"), SLICE("StatefulSet"), SLICE("postgres")},
                          .images = &field,
                          .image_count = 1};
        struct decide_request request = {.subject = REVIEW_POD_CREATE,
                                         .namespace_ = SLICE("apps"),
                                         .pod = &pod,
                                         .mode = MODE_ENFORCE};
        decide(policies, &request, &arena, &decisions);
        check_number(cases[i].image, "the bucket", decisions.bucket, 30);
        check_number(cases[i].image, "moved", decisions.rewrites == 1, cases[i].moved);
        check_number(cases[i].image, "the secret is added",
                     decide_adds_pull_secret(&request, &decisions), cases[i].added);
        policies_unref(policies);
        arena_done(&arena);
    }
}

/* decide.h: the registry of the image's domain, where the Harbor has one: metrics count the others
 * as `other`. */
static void test_the_registry_of_an_image(void **state)
{
    (void)state;
    static const struct {
        const char *image, *registry; /* NULL: none */
    } cases[] = {
        {"x", "docker.io"}, {"a.io/x", NULL}, {"quay.io/x", NULL},
        {"A", NULL},        {"z.io/x", NULL}, {"harbor.example.com/hub/x", NULL},
    };
    struct policies *policies = load_right(SET(""));
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct decisions decisions;
        struct image_field field = {.name = SLICE("c"), .image = slice_from(cases[i].image)};
        struct pod pod = {.images = &field, .image_count = 1};
        struct decide_request request = {.subject = REVIEW_POD_CREATE,
                                         .namespace_ = SLICE("apps"),
                                         .pod = &pod,
                                         .mode = MODE_ENFORCE};
        decide(policies, &request, &arena, &decisions);
        const struct registry *registry = decisions.items[0].mapping.registry;
        check_number(cases[i].image, "has a registry", registry != NULL, cases[i].registry != NULL);
        if (registry)
            check_text(cases[i].image, "the registry", registry->upstream.text, cases[i].registry);
        arena_done(&arena);
    }
    policies_unref(policies);
}

/* the man pages: `source` of an excluded image is the line of the pattern; of several that match,
 * the
 * first, whether it is compared with the name or with the whole reference. */
static void test_the_first_exclusion(void **state)
{
    (void)state;
    static const struct {
        const char *set, *pattern; /* NULL: not excluded */
    } cases[] = {
        {SET(", exclude: ['*:1', '*/x']"), "*:1"},
        {SET(", exclude: ['*/x', '*:1']"), "*/x"},
        {SET(", exclude: ['docker.io/library/x:?', docker.io/library/x]"), "docker.io/library/x:?"},
        {SET(", exclude: [docker.io/library/x, 'docker.io/library/x:?']"), "docker.io/library/x"},
        {SET(", exclude: ['*:2', '*/x']"), "*/x"},
        {SET(", exclude: ['*/y', '*:1']"), "*:1"},
        {SET(", exclude: ['*/y', '*:2']"), NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct decisions decisions;
        struct policies *policies = load_right(cases[i].set);
        struct image_field field = {.name = SLICE("c"), .image = SLICE("x:1")};
        struct pod pod = {.images = &field, .image_count = 1};
        struct decide_request request = {.subject = REVIEW_POD_CREATE,
                                         .namespace_ = SLICE("apps"),
                                         .pod = &pod,
                                         .mode = MODE_ENFORCE};
        decide(policies, &request, &arena, &decisions);
        const struct pattern *pattern = decisions.items[0].pattern;
        check_text(cases[i].set, "the pattern", pattern ? pattern->text : SLICE("none"),
                   cases[i].pattern ? cases[i].pattern : "none");
        policies_unref(policies);
        arena_done(&arena);
    }
}

/* A renamed image is looked for, judged and rewritten under its new name; one that is kept whatever
 * Harbor knows is judged under the name that it is pulled by, and `exclude` and what is shown go by
 * the name that its author wrote. */
static void test_renamed_images(void **state)
{
    (void)state;
    static const char text[] =
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\n"
        "spec:\n"
        "  host: h.io\n"
        "  registries: {docker.io: hub, docker.io/newer: newer}\n"
        "  api: {url: 'https://h.io'}\n"
        "  renames: {docker.io/old: docker.io/newer, docker.io/gone: quay.io/gone, "
        "a.io: docker.io/newer}\n"
        "---\n"
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: p}\n"
        "spec: {namespaces: [all], findings: {}, exclude: ['docker.io/old/x*', 'docker.io/newer/y']}\n"
        "---\n"
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: none}\n"
        "spec: {namespaces: [none], findings: {}, rollout: 0}\n"
        "---\n"
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: hub}\n"
        "spec: {namespaces: [hub], findings: {}, registries: [docker.io]}\n";
    static const struct {
        const char *namespace_, *image;
        enum rewrite_reason reason;
        const char *result, *judged; /* PROJECT/REPOSITORY:TAG; NULL: nothing that Harbor serves */
        bool renamed;
    } cases[] = {
        {"all", "old/a:1", REASON_REWRITTEN, "h.io/newer/newer/a:1", "newer/newer/a:1", true},
        {"all", "newer/a:1", REASON_REWRITTEN, "h.io/newer/newer/a:1", "newer/newer/a:1", false},
        {"all", "a.io/a:1", REASON_REWRITTEN, "h.io/newer/newer/a:1", "newer/newer/a:1", true},
        {"all", "old/x:1", REASON_EXCLUDED, NULL, "hub/old/x:1", false},
        {"all", "old/y:1", REASON_REWRITTEN, "h.io/newer/newer/y:1", "newer/newer/y:1", true},
        {"all", "newer/y:1", REASON_EXCLUDED, NULL, "newer/newer/y:1", false},
        {"all", "gone/a:1", REASON_REGISTRY_NOT_PROXIED, NULL, "hub/gone/a:1", true},
        {"all", "a.io/gone/a:1", REASON_REWRITTEN, "h.io/newer/newer/gone/a:1",
         "newer/newer/gone/a:1", true},
        {"none", "old/a:1", REASON_NOT_IN_ROLLOUT, NULL, "hub/old/a:1", false},
        {"none", "a.io/a:1", REASON_NOT_IN_ROLLOUT, NULL, NULL, false},
        {"none", "h.io/hub/old/a:1", REASON_ALREADY_IN_HARBOR, NULL, "hub/old/a:1", false},
        {"hub", "old/a:1", REASON_REGISTRY_NOT_PROXIED, NULL, "hub/old/a:1", true},
        {"hub", "older/a:1", REASON_REWRITTEN, "h.io/hub/older/a:1", "hub/older/a:1", false},
    };
    struct arena arena = {0};
    struct slice findings;
    struct policies *policies = load_text(text, NULL, &arena, &findings);
    assert_non_null(policies);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct decisions decisions;
        struct image_field field = {.name = SLICE("c"), .image = slice_from(cases[i].image)};
        struct pod pod = {.images = &field, .image_count = 1};
        struct decide_request request = {.subject = REVIEW_POD_CREATE,
                                         .purpose = PURPOSE_PREVIEW,
                                         .namespace_ = slice_from(cases[i].namespace_),
                                         .pod = &pod,
                                         .mode = MODE_ENFORCE};
        decide(policies, &request, &arena, &decisions);
        const struct decision *d = &decisions.items[0];
        check_text(cases[i].image, "the reason", slice_from(decide_reason_name(d->reason)),
                   decide_reason_name(cases[i].reason));
        check_text(cases[i].image, "the result", d->result,
                   cases[i].result ? cases[i].result : cases[i].image);
        check_number(cases[i].image, "is renamed", decision_rename(d) != NULL, cases[i].renamed);
        const struct artifact_key *key = &d->verdict.key;
        check_text(cases[i].image, "what is judged",
                   arena_format(&arena, "%.*s/%.*s:%.*s", SLICE_ARGS(key->project),
                                SLICE_ARGS(key->repository), SLICE_ARGS(key->reference)),
                   cases[i].judged ? cases[i].judged : "/:");
    }
    policies_unref(policies);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_jobs),
        cmocka_unit_test(test_the_longest_result),
        cmocka_unit_test(test_the_last_old_image),
        cmocka_unit_test(test_the_pull_secret_of_who_is_just_in),
        cmocka_unit_test(test_the_registry_of_an_image),
        cmocka_unit_test(test_renamed_images),
        cmocka_unit_test(test_labels_that_change),
        cmocka_unit_test(test_the_first_exclusion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
