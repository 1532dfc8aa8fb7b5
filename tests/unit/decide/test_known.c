/* Which images of a changed object are new to it: by the artifact that is pulled, not by its name.
 */
#include "decide/decide.h"

#include "tests/unit/check.h"

#define SET                                                                                        \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: Harbor\n"                                                                               \
    "metadata: {name: h}\n"                                                                        \
    "spec: {host: harbor.example.com, registries: {docker.io: hub, quay.io: quay},\n"              \
    "  api: {url: 'https://harbor.example.com'}}\n"                                                \
    "---\n"                                                                                        \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: Policy\n"                                                                               \
    "metadata: {name: p}\n"                                                                        \
    "spec: {namespaces: [apps], findings: {unproxied: deny}}\n"

#define D8     "01234567"
#define DIGEST "@sha256:" D8 D8 D8 D8 D8 D8 D8 D8

static const struct {
    const char *before, *after;
    bool is_new;
} cases[] = {
    /* one artifact: writing the moved name into git, the end of a migration */
    {"app:1", "app:1", false},
    {"app:1", "docker.io/library/app:1", false},
    {"app:1", "harbor.example.com/hub/library/app:1", false},
    {"harbor.example.com/hub/library/app:1", "app:1", false}, /* what a rescue does */
    {"app:1", "HARBOR.EXAMPLE.COM:443/hub/library/app:1", false},
    {"app", "app:latest", false},
    {"index.docker.io/org/app:1", "registry-1.docker.io/org/app:1", false},
    {"quay.io/org/app:1", "harbor.example.com/quay/org/app:1", false},
    {"app" DIGEST, "harbor.example.com/hub/library/app" DIGEST, false},
    {"app:1" DIGEST, "app" DIGEST, false}, /* nodes take the digest */
    /* another one */
    {"app:1", "app:2", true},
    {"app:1", "app:1" DIGEST, true},
    {"app:1", "quay.io/library/app:1", true},
    {"app:1", "harbor.example.com/quay/library/app:1", true},
    {"harbor.example.com/own/app:1", "harbor.example.com/other/app:1", true},
    /* what Harbor does not serve: by its text, which is no artifact's name */
    {"ghcr.io/a/b:1", "ghcr.io/a/b:1", false},
    {"ghcr.io/a/b:1", "ghcr.io/a/b:2", true},
    {"ghcr.io/hub/library/app:1", "app:1", true},
    {"hub/library/app:1", "harbor.example.com/hub/library/app:1", true},
    {"harbor.example.com/one", "harbor.example.com/one", false},
    {"UPPER", "UPPER", false},
    {"/hub/library/app:1", "app:1", true},
};

static struct pod pod_of(const char *image, struct image_field *field)
{
    *field = (struct image_field){.name = SLICE("c"), .image = slice_from(image)};
    return (struct pod){.images = field, .image_count = 1};
}

static void check(const struct policies *policies, size_t i, enum review_subject subject)
{
    struct arena arena = {0};
    struct image_field before, after;
    struct pod old_pod = pod_of(cases[i].before, &before), pod = pod_of(cases[i].after, &after);
    struct decisions decisions;
    const struct decide_request request = {.purpose = PURPOSE_VALIDATE,
                                           .mode = MODE_ENFORCE,
                                           .subject = subject,
                                           .namespace_ = SLICE("apps"),
                                           .user_name = SLICE("alice"),
                                           .pod = &pod,
                                           .old_pod = &old_pod};
    char name[200];
    snprintf(name, sizeof(name), "%s -> %s", cases[i].before, cases[i].after);
    decide(policies, &request, &arena, &decisions);
    check_number(name, "new images", (long long)decisions.count, cases[i].is_new);
    arena_done(&arena);
}

static void test_changes(void **state)
{
    (void)state;
    struct policies *policies = load_right(SET);
    for (size_t i = 0; i < COUNT(cases); i++) {
        check(policies, i, REVIEW_WORKLOAD);
        check(policies, i, REVIEW_POD_UPDATE);
    }
    policies_unref(policies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_changes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
