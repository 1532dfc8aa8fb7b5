/* Every byte of an answer. */
#include "kube/response.h"

#include "tests/unit/check.h"

static const struct audit_annotation annotations[] = {
    {{"policy", 6}, {"p", 1}},
    {{"image-a", 7}, {"{\"x\":\"\n\"}", 9}},
};

static const struct {
    const char *name;
    struct review review;
    struct response response;
    const char *text;
} cases[] = {
    {"nothing changes: neither patch nor patchType",
     {.api_version = {"admission.k8s.io/v1", 19}, .uid = {"u-1", 3}},
     {.allowed = true},
     "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":"
     "\"u-1\",\"allowed\":true}}"},
    {"a patch",
     {.api_version = {"admission.k8s.io/v1", 19}, .uid = {"u", 1}},
     {.allowed = true, .patch = {"[{}]", 4}},
     "{\"apiVersion\":\"admission.k8s.io/"
     "v1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":\"u\","
     "\"allowed\":true,\"patchType\":\"JSONPatch\",\"patch\":\"W3t9XQ==\"}}"},
    {"v1beta1, with everything",
     {.api_version = {"admission.k8s.io/v1beta1", 24}, .uid = {"\"\\\0", 3}},
     {.allowed = true, .patch = {"[ ]", 3}, .annotations = annotations, .annotation_count = 2},
     "{\"apiVersion\":\"admission.k8s.io/"
     "v1beta1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":"
     "\"\\\"\\\\\\u0000\",\"allowed\":true,\"patchType\":\"JSONPatch\",\"patch\":\"WyBd\","
     "\"auditAnnotations\":{\"policy\":\"p\",\"image-a\":\"{\\\"x\\\":\\\"\\n\\\"}\"}}}"},
    {"annotations only",
     {.api_version = {"admission.k8s.io/v1", 19}, .uid = {"u", 1}},
     {.allowed = true, .annotations = annotations, .annotation_count = 1},
     "{\"apiVersion\":\"admission.k8s.io/"
     "v1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":\"u\","
     "\"allowed\":true,\"auditAnnotations\":{\"policy\":\"p\"}}}"},
};

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buffer out = {0};
        response_write(&cases[i].review, &cases[i].response, &out);
        check_text(cases[i].name, "the answer", buffer_slice(&out), cases[i].text);
        buffer_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
