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
    if (!admit(&(struct admit_request){.policies = policies,
                                     .webhook = ADMIT_MUTATE,
                                     .mode = MODE_ENFORCE,
                                     .body = body},
              arena, &out, &admission, &error))
        CHECK_FAIL("refused: %s", error.text);
    assert_int_equal(admission.decisions.rewrites, 1); /* moved in any case */
    struct slice answer = arena_copy(arena, buffer_slice(&out));
    buffer_done(&out);
    return node_member(node_member(node_parse(answer, arena), SLICE("response")),
                       SLICE("auditAnnotations"));
}

static void test_keys(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_key;
    } cases[] = {
        {"a", true},    {"z", true},   {"0", true},    {"9", true},    {"a0", true},
        {"a9z", true},  {"a-b", true}, {"a--b", true}, {"0-9", true},  {"", false},
        {"-", false},   {"--", false}, {"-a", false},  {"a-", false},  {"A", false},
        {"aXa", false}, {"aZ", false}, {"a.b", false}, {"a_b", false}, {"a/b", false},
        {"a b", false}, {"{", false},  {"`", false},   {":", false},   {"a:b", false},
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
        check_number(cases[i].name, "is a key", node_member(annotations, key) != NULL,
                     cases[i].is_key);
        arena_done(&arena);
    }
    policies_unref(policies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
