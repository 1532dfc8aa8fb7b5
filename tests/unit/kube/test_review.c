/* Reading AdmissionReviews: all recorded ones, what they are about, what is none, wrong types, and
 * texts that end early. */
#include "kube/review.h"

#include "tests/unit/check.h"

#define REVIEWS "tests/data/admission-reviews/"

static const struct {
    const char *file, *uid, *namespace_, *name, *operation, *sub_resource, *user;
    enum review_subject subject;
    size_t images, old_images;
} recorded[] = {
    {"create-deployment-pod.json", "da9ef332-e016-470b-998b-f0036dffc341", "monitoring", "",
     "CREATE", "", "admin", REVIEW_POD_CREATE, 4, 0},
    {"create-mirror-pod.json", "69b04434-5317-44bc-b467-07fa82ccbabd", "apps", "mirrorish",
     "CREATE", "", "admin", REVIEW_POD_CREATE, 1, 0},
    {"create-pod-8k.json", "705ab4f5-6393-11e8-b7cc-42010a800002", "monitoring", "", "CREATE", "",
     "system:serviceaccount:kube-system:replicaset-controller", REVIEW_POD_CREATE, 3, 0},
    {"create-pod-image-volume.json", "b5d983c9-0fb5-4b01-8e3a-9d24154e1b2e", "apps", "bare",
     "CREATE", "", "admin", REVIEW_POD_CREATE, 3, 0},
    {"create-statefulset-pod.json", "5bde7f41-ca7f-49ac-b5b1-58e529a8d168", "apps", "postgres-0",
     "CREATE", "", "admin", REVIEW_POD_CREATE, 1, 0},
    {"delete-pod.json", "9d72f177-1472-46e3-9243-f311a229f4ca", "apps", "bare", "DELETE", "",
     "admin", REVIEW_OTHER, 0, 5},
    {"update-ephemeralcontainers-second.json", "a1956959-a5ca-4013-93ca-f84249285d03", "apps",
     "bare", "UPDATE", "ephemeralcontainers", "admin", REVIEW_EPHEMERAL_CONTAINERS, 5, 4},
    {"update-pod-label.json", "8e4444e4-e9ff-4bf1-96f8-ed986d8f0a33", "apps", "bare", "UPDATE", "",
     "admin", REVIEW_POD_UPDATE, 5, 5},
};

static void test_recorded(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(recorded); i++) {
        struct arena arena = {0};
        struct review r;
        struct error error = {""};
        char path[200];
        const char *file = recorded[i].file;
        snprintf(path, sizeof(path), REVIEWS "%s", file);
        struct slice body = copy_exact(read_file(path, &arena));
        if (!review_parse(body, &arena, &r, &error))
            CHECK_FAIL("%s: %s", file, error.text);
        check_text(file, "apiVersion", r.api_version, "admission.k8s.io/v1");
        check_text(file, "uid", r.uid, recorded[i].uid);
        check_text(file, "group", r.group, "");
        check_text(file, "kind", r.kind, "Pod");
        check_text(file, "namespace", r.namespace_, recorded[i].namespace_);
        check_text(file, "name", r.name, recorded[i].name);
        check_text(file, "operation", r.operation, recorded[i].operation);
        check_text(file, "subResource", r.sub_resource, recorded[i].sub_resource);
        check_text(file, "user", r.user_name, recorded[i].user);
        check_number(file, "dryRun", r.dry_run, 0);
        check_number(file, "the subject", review_subject(&r), recorded[i].subject);
        check_number(file, "images", (long long)r.pod.image_count, (long long)recorded[i].images);
        check_number(file, "old images", (long long)r.old_pod.image_count,
                     (long long)recorded[i].old_images);
        free((char *)body.base);
        arena_done(&arena);
    }
}

/* No beginning of a body is a review, and none reads past its end (the address sanitizer sees it).
 */
static void test_truncated_at_every_byte(void **state)
{
    (void)state;
    struct arena file = {0};
    struct slice body = read_file(REVIEWS "create-statefulset-pod.json", &file);
    while (body.len && body.base[body.len - 1] != '}')
        body.len--; /* what follows is white space */
    for (size_t len = 0; len < body.len; len++) {
        struct slice text = copy_exact(slice_head(body, len));
        struct arena arena = {0};
        struct review r;
        struct error error = {""};
        if (review_parse(text, &arena, &r, &error))
            CHECK_FAIL("the first %zu bytes were taken", len);
        if (strncmp(error.text, "the body is not JSON: at byte ", 29) != 0)
            CHECK_FAIL("%zu bytes: %s", len, error.text);
        free((char *)text.base);
        arena_done(&arena);
    }
    arena_done(&file);
}

#define TOP(members)     "{" members "}"
#define V1               "\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
#define REQUEST(members) TOP(V1 "\"request\":{" members "}")

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body, *text;
    } cases[] = {
        {"", "the body is not JSON: at byte 0, expected an object"},
        {"null", "the body is not JSON: at byte 0, expected an object"},
        {"\"\"", "the body is not JSON: at byte 0, expected an object"},
        {"{}x", "the body is not JSON: at byte 2, expected the end of the text"},
        {"{\"a\":\"\xff\"}", "the body is not JSON: at byte 6, expected valid UTF-8"},
        {TOP(V1 "\"request\":{\"uid\":\"u\",}"),
         "the body is not JSON: at byte 82, expected a string"},
        {"{}", "kind is ``, expected `AdmissionReview`"},
        {TOP("\"kind\":\"admissionreview\""),
         "kind is `admissionreview`, expected `AdmissionReview`"},
        {TOP("\"kind\":5"), "kind is ``, expected `AdmissionReview`"},
        {TOP("\"Kind\":\"AdmissionReview\""), "kind is ``, expected `AdmissionReview`"},
        {TOP("\"kind\":\"AdmissionReview\",\"request\":{\"uid\":\"u\"}"),
         "apiVersion is ``, expected `admission.k8s.io/v1` or `admission.k8s.io/v1beta1`"},
        {TOP("\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1alpha1\""),
         "apiVersion is `admission.k8s.io/v1alpha1`, expected `admission.k8s.io/v1` or "
         "`admission.k8s.io/v1beta1`"},
        {TOP("\"kind\":\"AdmissionReview\",\"apiVersion\":null"),
         "apiVersion is ``, expected `admission.k8s.io/v1` or `admission.k8s.io/v1beta1`"},
        {TOP(V1 "\"request\":null"),
         "the AdmissionReview has no `request` object: expected the call of an API server, not an "
         "answer"},
        {TOP(V1 "\"request\":[{}]"),
         "the AdmissionReview has no `request` object: expected the call of an API server, not an "
         "answer"},
        {TOP(V1 "\"request\":{\"uid\":\"u\"},\"request\":null"),
         "the AdmissionReview has no `request` object: expected the call of an API server, not an "
         "answer"},
        {REQUEST("\"uid\":\"u\",\"object\":{},\"oldObject\":{},\"object\":{}"),
         "there are 3 objects, expected `request.object` and `request.oldObject` once"},
        {TOP(V1 "\"request\":{\"object\":{}},\"request\":null,\"request\":{\"object\":{}},"
                "\"request\":{\"uid\":\"u\",\"object\":{}}"),
         "there are 3 objects, expected `request.object` and `request.oldObject` once"},
        {REQUEST(""), "`request.uid` is missing: expected a text to answer with"},
        {REQUEST("\"uid\":null"), "`request.uid` is missing: expected a text to answer with"},
        {REQUEST("\"uid\":7"), "`request.uid` is missing: expected a text to answer with"},
        {REQUEST("\"uid\":\"u\",\"uid\":\"\""),
         "`request.uid` is missing: expected a text to answer with"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct review r, untouched;
        struct error error = {""};
        struct slice body = copy_exact(slice_from(cases[i].body));
        memset(&r, 0x5a, sizeof(r));
        memset(&untouched, 0x5a, sizeof(untouched));
        if (review_parse(body, &arena, &r, &error))
            CHECK_FAIL("was taken: %s", cases[i].body);
        check_text(cases[i].body, "the text", slice_from(error.text), cases[i].text);
        assert_memory_equal(&r, &untouched, sizeof(r));
        assert_false(review_parse(body, &arena, &r, NULL)); /* nobody wants to know why */
        free((char *)body.base);
        arena_done(&arena);
    }
}

static struct review parse(const char *body, struct arena *arena)
{
    struct review r;
    struct error error = {""};
    if (!review_parse(arena_copy(arena, slice_from(body)), arena, &r, &error))
        CHECK_FAIL("%s in %s", error.text, body);
    return r;
}

static void test_members(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct review r =
        parse("{\"request\":{\"uid\":\"\\u0075\\u0000\",\"dryRun\":true,\"namespace\":"
              "\"n\\u0073\",\"kind\":{\"kind\":\"Pod\",\"version\":\"v1\",\"group\":\"\"},"
              "\"resource\":{\"kind\":\"X\"},\"requestKind\":{\"kind\":\"Y\"},"
              "\"userInfo\":{\"username\":\"me\",\"groups\":[\"g\"]}},\"kind\":"
              "\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1beta1\"}",
              &arena);
    check_text("order does not matter", "apiVersion", r.api_version, "admission.k8s.io/v1beta1");
    check_slice("escapes", "uid", r.uid, slice_of("u\0", 2));
    check_text("escapes", "namespace", r.namespace_, "ns");
    check_text("kind", "kind", r.kind, "Pod");
    check_text("user", "user", r.user_name, "me");
    assert_true(r.dry_run);

    r = parse(
        REQUEST("\"uid\":\"u\",\"dryRun\":\"true\",\"namespace\":null,\"name\":5,\"operation\":{},"
                "\"subResource\":[],\"kind\":\"Pod\",\"userInfo\":[],\"object\":5,"
                "\"oldObject\":\"x\""),
        &arena);
    assert_false(r.dry_run);
    assert_int_equal(r.namespace_.len + r.name.len + r.operation.len + r.sub_resource.len +
                         r.kind.len + r.user_name.len,
                     0);
    assert_int_equal(r.pod.image_count + r.old_pod.image_count, 0);
    assert_int_equal(review_subject(&r), REVIEW_OTHER);

    r = parse(
        REQUEST("\"uid\":\"a\",\"kind\":{\"group\":\"apps\",\"kind\":\"Deployment\"},\"kind\":{"
                "\"kind\":\"Pod\"},\"dryRun\":true,\"dryRun\":null,\"object\":{\"spec\":{"
                "\"containers\":[{\"image\":\"x\"}]}},\"object\":null,\"uid\":\"b\""),
        &arena);
    check_text("the last counts", "group", r.group, "");
    check_text("the last counts", "kind", r.kind, "Pod");
    check_text("the last counts", "uid", r.uid, "b");
    assert_false(r.dry_run);
    assert_int_equal(r.pod.image_count, 0);

    r = parse(
        TOP(V1 "\"request\":{\"uid\":\"gone\",\"namespace\":\"gone\"},\"request\":{\"uid\":\"u\"}"),
        &arena);
    check_text("the last request counts", "uid", r.uid, "u");
    check_text("the last request counts", "namespace", r.namespace_, "");
    check_text("the last request counts", "apiVersion", r.api_version, "admission.k8s.io/v1");
    arena_done(&arena);
}

static void test_subjects(void **state)
{
    (void)state;
    static const struct {
        const char *group, *kind, *operation, *sub_resource;
        enum review_subject subject;
    } cases[] = {
        {"", "Pod", "CREATE", "", REVIEW_POD_CREATE},
        {"", "Pod", "UPDATE", "ephemeralcontainers", REVIEW_EPHEMERAL_CONTAINERS},
        {"", "Pod", "UPDATE", "", REVIEW_POD_UPDATE},
        {"", "Pod", "UPDATE", "status", REVIEW_OTHER},
        {"", "Pod", "UPDATE", "resize", REVIEW_OTHER},
        {"", "Pod", "CREATE", "ephemeralcontainers", REVIEW_OTHER},
        {"", "Pod", "CREATE", "binding", REVIEW_OTHER},
        {"", "Pod", "DELETE", "", REVIEW_OTHER},
        {"", "Pod", "CONNECT", "exec", REVIEW_OTHER},
        {"", "Pod", "create", "", REVIEW_OTHER},
        {"", "Pod", "", "", REVIEW_OTHER},
        {"", "pod", "CREATE", "", REVIEW_OTHER},
        {"apps", "Pod", "CREATE", "", REVIEW_OTHER},
        {"", "PodTemplate", "CREATE", "", REVIEW_OTHER},
        {"apps", "Deployment", "CREATE", "", REVIEW_WORKLOAD},
        {"policy", "Eviction", "CREATE", "eviction", REVIEW_OTHER},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct review r = {.group = slice_from(cases[i].group),
                           .kind = slice_from(cases[i].kind),
                           .operation = slice_from(cases[i].operation),
                           .sub_resource = slice_from(cases[i].sub_resource)};
        char name[100];
        snprintf(name, sizeof(name), "%s of %s/%s/%s", cases[i].operation, cases[i].group,
                 cases[i].kind, cases[i].sub_resource);
        check_number(name, "the subject", review_subject(&r), cases[i].subject);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded), cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_members),
        cmocka_unit_test(test_subjects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
