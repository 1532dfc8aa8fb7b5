/* Which images of a Pod that is changed are judged: those that Harbor would serve something else
 * for than for any that the Pod had. */
#include "admit/admit.h"

#include "tests/unit/check.h"

static const char policies_text[] = "apiVersion: harbor-pilot.io/v1alpha1\n"
                                    "kind: Harbor\n"
                                    "metadata: {name: h}\n"
                                    "spec: {host: h.io, api: {url: https://h.io}, registries: "
                                    "{docker.io: hub}}\n"
                                    "---\n"
                                    "apiVersion: harbor-pilot.io/v1alpha1\n"
                                    "kind: Policy\n"
                                    "metadata: {name: every}\n"
                                    "spec: {namespaces: [apps], findings: {unproxied: deny}}\n";

static const struct {
    const char *old, *new;
    bool judged;
} rows[] = {
    {"nginx:1", "nginx:1", false},
    {"nginx:1", "nginx:2", true},
    {"h.io/hub/library/nginx:1", "nginx:1", false}, /* rescued */
    {"nginx:1", "h.io/hub/library/nginx:1", false}, /* and back */
    {"docker.io/library/nginx:1", "nginx:1", false},
    {"h.io/hub/library/nginx:1", "nginx:2", true},
    {"quay.io/a/b:1", "quay.io/a/b:1", false},
    {"quay.io/a/b:1", "quay.io/a/b:2", true},
    /* what only looks like the text that is compared */
    {"served hub/library/nginx:1", "nginx:1", true},
    {"hub/library/nginx:1", "nginx:1", true},
    {"image quay.io/a/b:1", "quay.io/a/b:1", true},
    {"h.io/quay.io/a/b:1", "quay.io/a/b:1", true},
};

static void check_row(const struct policies *policies, size_t i, enum admit_webhook webhook)
{
    struct arena arena = {0};
    struct buffer body = {0}, out = {0};
    struct admission admission;
    struct error error = {""};
    buffer_append_format(
        &body,
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{"
        "\"uid\":\"u\",\"operation\":\"UPDATE\",\"namespace\":\"apps\",\"kind\":{\"group\":\"\","
        "\"version\":\"v1\",\"kind\":\"Pod\"},\"object\":{\"spec\":{\"containers\":[{\"name\":"
        "\"c\",\"image\":\"%s\"}]}},\"oldObject\":{\"spec\":{\"containers\":[{\"name\":\"c\","
        "\"image\":\"%s\"}]}}}}",
        rows[i].new, rows[i].old);
    const struct admit_request request = {.policies = policies,
                                          .webhook = webhook,
                                          .mode = MODE_ENFORCE,
                                          .body = buffer_slice(&body),
                                          .last_chance = true};
    if (!admit(&request, &arena, &out, &admission, &error))
        CHECK_FAIL("%s", error.text);
    bool judged = webhook == ADMIT_VALIDATE && rows[i].judged;
    if (admission.decisions.count != (judged ? 1 : 0))
        CHECK_FAIL("%s -> %s: %zu are judged", rows[i].old, rows[i].new, admission.decisions.count);
    assert_int_equal(admission.patch_size, 0);
    buffer_done(&body);
    buffer_done(&out);
    arena_done(&arena);
}

static void test_changed_images(void **state)
{
    (void)state;
    struct diagnostics diagnostics = {0};
    struct policies *policies;
    const struct policy_source source = {SLICE("p"), SLICE("p"),
                                         slice_of(policies_text, sizeof(policies_text) - 1)};
    assert_true(policies_load(&source, 1, SLICE("ours"), &diagnostics, &policies));
    for (size_t i = 0; i < COUNT(rows); i++) {
        check_row(policies, i, ADMIT_VALIDATE);
        check_row(policies, i, ADMIT_MUTATE);
    }
    policies_unref(policies);
    diagnostics_done(&diagnostics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_changed_images)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
