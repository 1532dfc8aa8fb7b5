/* Which names become keys of audit annotations: those that a container can have (RFC 1123 labels),
 * since the API server takes no other Pod, and a key must be a qualified name. */
#include "admit/admit.h"

#include "tests/unit/check.h"
#include "tests/unit/json_patch.h"

static const char set_text[] = "apiVersion: harbor-pilot.io/v1alpha1\n"
                               "kind: Harbor\n"
                               "metadata: {name: h}\n"
                               "spec: {host: harbor.example.com, registries: {docker.io: hub}}\n"
                               "---\n"
                               "apiVersion: harbor-pilot.io/v1alpha1\n"
                               "kind: Policy\n"
                               "metadata: {name: p}\n"
                               "spec: {namespaces: [apps]}\n";

/* The annotations of the answer about a Pod whose one container has that name. */
static struct json_node *annotations_of(const struct policies *policies, const char *name,
                                        struct arena *arena)
{
    struct buffer out = {0};
    struct admission admission;
    struct error error = {""};
    struct slice body = arena_format(
        arena,
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{\"uid\":"
        "\"u\",\"kind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"},\"namespace\":"
        "\"apps\","
        "\"operation\":\"CREATE\",\"object\":{\"spec\":{\"containers\":[{\"name\":\"%s\",\"image\":"
        "\"x\"}]}}}}",
        name);
    if (!admit(
            &(struct admit_request){
                .policies = policies, .webhook = ADMIT_MUTATE, .mode = MODE_ENFORCE, .body = body},
            arena, &out, &admission, &error))
        CHECK_FAIL("refused: %s", error.text);
    assert_int_equal(admission.decisions.rewrites, 1); /* moved in any case */
    struct slice answer = arena_copy(arena, buffer_slice(&out));
    buffer_done(&out);
    return node_member(node_member(node_parse(answer, arena), SLICE("response")),
                       SLICE("auditAnnotations"));
}

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_keys(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_key;
    } cases[] = {
        {"a", true},    {"z", true},    {"0", true},      {"9", true},    {"a0", true},
        {"a9z", true},  {"a-b", true},  {"a--b", true},   {"0-9", true},  {"", false},
        {"-", false},   {"--", false},  {"-a", false},    {"a-", false},  {"A", false},
        {"aXa", false}, {"aZ", false},  {"a.b", false},   {"a_b", false}, {"a/b", false},
        {"a b", false}, {A63, true},    {A63 "a", false}, {"{", false},   {"`", false},
        {":", false},   {"a:b", false},
    };
    struct policies *policies = load_right(set_text);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct json_node *annotations = annotations_of(policies, cases[i].name, &arena);
        size_t count = 0;
        for (const struct json_node *a = annotations->first; a; a = a->next)
            count++;
        check_number(cases[i].name, "the annotations, with `policy`", (long long)count,
                     cases[i].is_key ? 2 : 1);
        struct slice key = arena_format(&arena, "image-%s", cases[i].name);
        if (strlen(cases[i].name) <= 48) /* longer ones are cut: test_annotation_keys */
            check_number(cases[i].name, "is a key", node_member(annotations, key) != NULL,
                         cases[i].is_key);
        arena_done(&arena);
    }
    policies_unref(policies);
}

/* --- facts that are missing --- */

static enum harbor_health is_up(const struct fact_source *self, const struct harbor *harbor)
{
    (void)self;
    (void)harbor;
    return HEALTH_UP;
}

static bool knows_nothing(const struct fact_source *self, const struct harbor *harbor,
                          const struct artifact_key *key, fact_needs needs, long long now,
                          struct arena *arena, struct artifact_fact *ret)
{
    (void)self;
    (void)harbor;
    (void)key;
    (void)needs;
    (void)now;
    (void)arena;
    (void)ret;
    return false;
}

/* admit.h: where facts are missing nothing is written, and true returned; the last chance is always
 * answered. */
static void test_waiting(void **state)
{
    (void)state;
    static const char with_api[] = "apiVersion: harbor-pilot.io/v1alpha1\n"
                                   "kind: Harbor\n"
                                   "metadata: {name: h}\n"
                                   "spec:\n"
                                   "  host: harbor.example.com\n"
                                   "  registries: {docker.io: hub}\n"
                                   "  api: {url: 'https://harbor.example.com'}\n"
                                   "---\n"
                                   "apiVersion: harbor-pilot.io/v1alpha1\n"
                                   "kind: Policy\n"
                                   "metadata: {name: p}\n"
                                   "spec: {namespaces: [apps]}\n";
    static const struct fact_source facts = {.health = is_up, .artifact = knows_nothing};
    struct policies *policies = load_right(with_api);
    for (int last = 0; last < 2; last++) {
        struct arena arena = {0};
        struct buffer out = {0};
        struct admission admission;
        struct error error = {""};
        struct admit_request request = {
            .policies = policies,
            .webhook = ADMIT_MUTATE,
            .mode = MODE_ENFORCE,
            .body =
                SLICE("{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
                      "\"request\":{\"uid\":\"u\",\"kind\":{\"group\":\"\",\"version\":\"v1\","
                      "\"kind\":\"Pod\"},\"namespace\":\"apps\",\"operation\":\"CREATE\","
                      "\"object\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]}}}"
                      "}"),
            .facts = &facts,
            .last_chance = last};
        assert_true(admit(&request, &arena, &out, &admission, &error));
        check_number("facts", "waiting", admission.waiting, !last);
        check_number("facts", "the questions", (long long)admission.decisions.missing_count, !last);
        check_number("facts", "something was written", out.len > 0, last);
        assert_int_equal(admission.decisions.rewrites, 0);
        buffer_done(&out);
        arena_done(&arena);
    }
    policies_unref(policies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
