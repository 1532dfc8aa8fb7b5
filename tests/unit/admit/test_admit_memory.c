/* What admit() takes of memory is at most what it says, whatever the body repeats. */
#include "admit/admit.h"

#include "tests/unit/check.h"

#include <stdlib.h>

enum { BODY_MOST = 7 * 1024 * 1024 };

static const char policies_text[] = "apiVersion: harbor-pilot.io/v1alpha1\n"
                                    "kind: Harbor\n"
                                    "metadata: {name: h}\n"
                                    "spec: {host: h.io, api: {url: https://h.io}, registries: "
                                    "{registry.k8s.io: k8s}}\n"
                                    "---\n"
                                    "apiVersion: harbor-pilot.io/v1alpha1\n"
                                    "kind: Policy\n"
                                    "metadata: {name: every}\n"
                                    "spec: {namespaces: [apps], pullSecret: s, pullPolicy: Always, "
                                    "findings: {action: deny, unavailable: deny, "
                                    "unproxied: deny}}\n";

#define POD_BEGIN                                                                                  \
    "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{\"uid\":"   \
    "\"u\",\"operation\":\"CREATE\",\"namespace\":\"apps\",\"kind\":{\"group\":\"\",\"version\":"  \
    "\"v1\",\"kind\":\"Pod\"},"
#define IMAGES "\"spec\":{\"containers\":[{\"image\":\"a\"},{\"image\":\"b\"},{\"image\":\"c\"}]}"
#define QUOTES                                                                                     \
    "\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\""

/* `item` again and again, with %zu for its number, between `begin` and `end`. */
static const struct {
    const char *what, *begin, *item, *end;
    size_t most;
} bodies[] = {
    {"pull secrets", POD_BEGIN "\"object\":{\"spec\":{\"imagePullSecrets\":[", "{\"name\":\"\\n\"}",
     "]}}}}", SIZE_MAX},
    {"annotations", POD_BEGIN "\"object\":{\"metadata\":{\"annotations\":{", "\"\\n\":\"\\n\"",
     "}}}}}", SIZE_MAX},
    {"names", POD_BEGIN "\"object\":{\"metadata\":{", "\"name\":\"\\n\"", "}}}}", SIZE_MAX},
    {"uids", POD_BEGIN, "\"uid\":\"\\n\"", "}}", SIZE_MAX},
    {"owners", POD_BEGIN "\"object\":{\"metadata\":{\"ownerReferences\":[",
     "{\"kind\":\"\\n\",\"name\":\"\\n\"}", "]}}}}", SIZE_MAX},
    {"specs", POD_BEGIN "\"object\":{", IMAGES, "}}}", SIZE_MAX},
    {"objects", POD_BEGIN, "\"object\":{" IMAGES "}", "}}", SIZE_MAX},
    {"old objects", POD_BEGIN, "\"oldObject\":{" IMAGES "}", "}}", SIZE_MAX},
    {"requests", "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\"",
     ",\"request\":{\"uid\":\"u\",\"object\":{" IMAGES "}}", "}", SIZE_MAX},
    {"images", POD_BEGIN "\"object\":{\"spec\":{\"containers\":[",
     "{\"name\":\"c%zu\",\"image\":\"registry.k8s.io/a/a/a/a/a/a/a/a/a/a/a/a/a/b-%zu:v1\"}",
     "]}}}}", 4096},
    {"images that are none", POD_BEGIN "\"object\":{\"spec\":{\"containers\":[",
     "{\"name\":\"c%zu\",\"image\":\"" QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES
         QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES
     "%zu\"}",
     "]}}}}", 4096},
};

static void make(struct buffer *out, size_t index)
{
    size_t most = BODY_MOST - strlen(bodies[index].end);
    buffer_append_text(out, bodies[index].begin);
    bool comma = bodies[index].item[0] != ',';
    for (size_t i = 0; i < bodies[index].most; i++) {
        char item[2048];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        int len = snprintf(item, sizeof(item), bodies[index].item, i, i);
#pragma GCC diagnostic pop
        if (out->len + (size_t)len + 1 > most)
            break;
        if (i && comma)
            buffer_append_char(out, ',');
        buffer_append(out, slice_of(item, (size_t)len));
    }
    buffer_append_text(out, bodies[index].end);
}

static void check_memory(const struct policies *policies, size_t index, enum admit_webhook webhook,
                         struct slice body)
{
    struct arena arena = {0};
    struct buffer out = {0};
    struct admission admission;
    struct error error = {""};
    const struct admit_request request = {.policies = policies,
                                          .webhook = webhook,
                                          .mode = MODE_ENFORCE,
                                          .body = body,
                                          .last_chance = true};
    bool answered = admit(&request, &arena, &out, &admission, &error);
    size_t taken = arena_size(&arena) + out.capacity;
    size_t most = ADMIT_MEMORY_TIMES * body.len + ADMIT_MEMORY_FIXED;
    if (taken > most)
        CHECK_FAIL("%s, %s: %zu bytes for a body of %zu (%s)", bodies[index].what,
                   admit_webhook_name(webhook), taken, body.len,
                   answered ? "answered" : error.text);
    buffer_done(&out);
    arena_done(&arena);
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    struct diagnostics diagnostics = {0};
    struct policies *policies;
    const struct policy_source source = {SLICE("p"), SLICE("p"),
                                         slice_of(policies_text, sizeof(policies_text) - 1)};
    assert_true(policies_load(&source, 1, SLICE("ours"), &diagnostics, &policies));
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct buffer body = {0};
        make(&body, i);
        check_memory(policies, i, ADMIT_MUTATE, buffer_slice(&body));
        check_memory(policies, i, ADMIT_VALIDATE, buffer_slice(&body));
        buffer_done(&body);
    }
    policies_unref(policies);
    diagnostics_done(&diagnostics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory_is_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
