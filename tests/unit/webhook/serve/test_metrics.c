/* The metrics page: names, labels and their values, in both formats. */
#include "webhook/serve/metrics.h"

#include "tests/unit/check.h"

static const struct facts_figures no_facts;

static const char set_text[] = "apiVersion: harbor-pilot.io/v1alpha1\n"
                               "kind: Harbor\n"
                               "metadata: {name: h}\n"
                               "spec: {host: h.io, registries: {docker.io: hub, quay.io: quay}}\n"
                               "---\n"
                               "apiVersion: harbor-pilot.io/v1alpha1\n"
                               "kind: Policy\n"
                               "metadata: {name: p.1}\n"
                               "spec: {namespaces: [n], registries: [docker.io]}\n";

#define REVIEW(namespace_, containers)                                                             \
    "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{\"uid\":"   \
    "\"u\",\"kind\":{\"kind\":\"Pod\"},\"namespace\":\"" namespace_                                \
    "\",\"operation\":\"CREATE\",\"object\":{\"metadata\":{},\"spec\":{\"containers\":"            \
    "[" containers "]}}}}"
#define C(image) "{\"name\":\"c\",\"image\":\"" image "\"}"

static void count(struct metrics *metrics, const struct policies *policies,
                  enum admit_webhook webhook, enum mode mode, const char *body, double seconds)
{
    struct arena arena = {0};
    struct buffer out = {0};
    struct admission admission;
    bool answered = admit(
        &(struct admit_request){
            .policies = policies, .webhook = webhook, .mode = mode, .body = slice_from(body)},
        &arena, &out, &admission, NULL);
    assert_int_equal(answered, admission.result != ADMIT_INVALID);
    metrics_count(metrics, &admission, seconds);
    buffer_done(&out);
    arena_done(&arena);
}

static void expect_line(const char *page, const char *line)
{
    size_t len = strlen(line);
    for (const char *at = page; (at = strstr(at, line)); at += len)
        if ((at == page || at[-1] == '\n') && at[len] == '\n')
            return;
    CHECK_FAIL("no line\n%s\nin\n%s", line, page);
}

static struct metrics *counted(void)
{
    struct metrics *metrics = metrics_new();
    struct policies *policies = load_right(set_text);
    count(metrics, policies, ADMIT_MUTATE, MODE_ENFORCE,
          REVIEW("n", C("x") "," C("quay.io/secret")), 0.00002);
    count(metrics, policies, ADMIT_MUTATE, MODE_ENFORCE, REVIEW("n", C("y")), 0.3);
    count(metrics, policies, ADMIT_MUTATE, MODE_AUDIT, REVIEW("n", C("x") "," C("ghcr.io/x")), 2);
    count(metrics, policies, ADMIT_MUTATE, MODE_ENFORCE, REVIEW("secret-namespace", C("x")),
          0.00001);
    count(metrics, policies, ADMIT_MUTATE, MODE_AUDIT, "no JSON", 0);
    count(metrics, NULL, ADMIT_MUTATE, MODE_ENFORCE, REVIEW("n", C("x")), 0);
    count(metrics, policies, ADMIT_VALIDATE, MODE_ENFORCE, REVIEW("n", C("x")), 0);
    metrics_set_reload(metrics, true, 1000);
    metrics_set_reload(metrics, false, 2000);
    metrics_set_certificate_expiry(metrics, 1900000000);
    policies_unref(policies);
    return metrics;
}

static void test_lines(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "# TYPE harborpilot_reviews_total counter",
        "harborpilot_reviews_total{webhook=\"mutate\",mode=\"enforce\",result=\"patched\"} 2",
        "harborpilot_reviews_total{webhook=\"mutate\",mode=\"audit\",result=\"unchanged\"} 1",
        "harborpilot_reviews_total{webhook=\"mutate\",mode=\"enforce\",result=\"unchanged\"} 2",
        "harborpilot_reviews_total{webhook=\"mutate\",mode=\"audit\",result=\"invalid\"} 1",
        "harborpilot_reviews_total{webhook=\"validate\",mode=\"enforce\",result=\"unchanged\"} 1",
        "# TYPE harborpilot_images_total counter",
        "harborpilot_images_total{policy=\"p.1\",outcome=\"rewrite\",reason=\"rewritten\",mode="
        "\"enforce\",registry=\"docker.io\"} 2",
        "harborpilot_images_total{policy=\"p.1\",outcome=\"keep\",reason=\"registry-not-proxied\","
        "mode=\"enforce\",registry=\"quay.io\"} 1",
        "harborpilot_images_total{policy=\"p.1\",outcome=\"rewrite\",reason=\"rewritten\",mode="
        "\"audit\",registry=\"docker.io\"} 1",
        "harborpilot_images_total{policy=\"p.1\",outcome=\"keep\",reason=\"registry-not-proxied\","
        "mode=\"audit\",registry=\"other\"} 1",
        "harborpilot_images_total{policy=\"\",outcome=\"keep\",reason=\"no-policy\",mode="
        "\"enforce\","
        "registry=\"other\"} 1",
        "harborpilot_images_total{policy=\"\",outcome=\"keep\",reason=\"policy-invalid\",mode="
        "\"enforce\",registry=\"other\"} 1",
        "# TYPE harborpilot_review_duration_seconds histogram",
        "harborpilot_review_duration_seconds_bucket{webhook=\"mutate\",le=\"1e-05\"} 3",
        "harborpilot_review_duration_seconds_bucket{webhook=\"mutate\",le=\"2.5e-05\"} 4",
        "harborpilot_review_duration_seconds_bucket{webhook=\"mutate\",le=\"0.1\"} 4",
        "harborpilot_review_duration_seconds_bucket{webhook=\"mutate\",le=\"0.5\"} 5",
        "harborpilot_review_duration_seconds_bucket{webhook=\"mutate\",le=\"1\"} 5",
        "harborpilot_review_duration_seconds_bucket{webhook=\"mutate\",le=\"+Inf\"} 6",
        "harborpilot_review_duration_seconds_count{webhook=\"mutate\"} 6",
        "harborpilot_review_duration_seconds_sum{webhook=\"mutate\"} 2.30003",
        "harborpilot_review_duration_seconds_count{webhook=\"validate\"} 1",
        "harborpilot_policy_generation 1",
        "harborpilot_policy_last_reload_successful 0",
        "harborpilot_policy_last_reload_success_timestamp_seconds 1000",
        "harborpilot_certificate_expiry_timestamp_seconds 1900000000",
        "harborpilot_connections 12",
        "# TYPE harborpilot_build_info gauge",
    };
    struct metrics *metrics = counted();
    struct buffer out = {0};
    struct arena arena = {0};
    metrics_write(metrics, 12, &no_facts, false, &out);
    const char *page = arena_copy(&arena, buffer_slice(&out)).base;
    for (size_t i = 0; i < COUNT(lines); i++)
        expect_line(page, lines[i]);
    assert_null(strstr(page, "secret")); /* no image and no namespace in any label */
    assert_non_null(strstr(page, "\nprocess_cpu_seconds_total "));
    assert_non_null(strstr(page, "\nharborpilot_build_info{version=\""));
    assert_null(strstr(page, "# EOF"));
    buffer_done(&out);
    arena_done(&arena);
    metrics_free(metrics);
}

/* OpenMetrics: a counter's family has no _total, its samples do, and the page ends in # EOF. Every
 * line is a comment or a sample of the family before it. */
static void test_open_metrics(void **state)
{
    (void)state;
    for (int open = 0; open < 2; open++) {
        struct metrics *metrics = counted();
        struct buffer out = {0};
        struct arena arena = {0};
        char family[100] = "";
        metrics_write(metrics, 0, &no_facts, open != 0, &out);
        char *page = (char *)arena_copy(&arena, buffer_slice(&out)).base, *rest = NULL;
        assert_null(strstr(page, "# EOF")); /* admin.c ends the page, after all families */
        for (char *line = strtok_r(page, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
            char type[20];
            if (strncmp(line, "# HELP ", 7) == 0 || strcmp(line, "# EOF") == 0)
                continue;
            if (sscanf(line, "# TYPE %99s %19s", family, type) == 2) {
                size_t len = strlen(family);
                bool total = len > 6 && strcmp(family + len - 6, "_total") == 0;
                if (total != (!open && strcmp(type, "counter") == 0))
                    CHECK_FAIL("open %d: %s", open, line);
                continue;
            }
            if (strncmp(line, family, strlen(family)) != 0)
                CHECK_FAIL("`%s` is no sample of %s", line, family);
        }
        buffer_done(&out);
        arena_done(&arena);
        metrics_free(metrics);
    }
}

static void test_fresh(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_new();
    struct buffer out = {0};
    struct arena arena = {0};
    metrics_write(metrics, 0, &no_facts, false, &out);
    const char *page = arena_copy(&arena, buffer_slice(&out)).base;
    expect_line(page, "harborpilot_policy_generation 0");
    expect_line(page, "harborpilot_policy_last_reload_successful 0");
    assert_null(strstr(page, "harborpilot_images_total{"));
    buffer_done(&out);
    arena_done(&arena);
    metrics_free(metrics);
    metrics_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_open_metrics),
        cmocka_unit_test(test_fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
