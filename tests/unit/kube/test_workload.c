/* Workloads: which kinds there are, what is read of any object, where templates are and whose the
 * Pods will be, and what a review of a workload is about. */
#include "kube/workload.h"

#include "kube/review.h"
#include "tests/unit/check.h"

/* --- kinds --- */

static const struct kind_row {
    const char *group, *kind;
    bool built_in;
    const char *pointer; /* NULL: it has no template that is known */
    const char *owner;   /* "group/kind/name" of the controller of its Pods, of an object `o` */
} kinds[] = {
    {"apps", "Deployment", true, "/spec/template", "apps/ReplicaSet/o-0000000000"},
    {"apps", "ReplicaSet", true, "/spec/template", "apps/ReplicaSet/o"},
    {"apps", "StatefulSet", true, "/spec/template", "apps/StatefulSet/o"},
    {"apps", "DaemonSet", true, "/spec/template", "apps/DaemonSet/o"},
    {"", "ReplicationController", true, "/spec/template", "/ReplicationController/o"},
    {"batch", "Job", true, "/spec/template", "batch/Job/o"},
    {"batch", "CronJob", true, "/spec/jobTemplate/spec/template", "batch/Job/o-00000000"},
    {"", "PodTemplate", false, "/template", NULL},
    {"", "Pod", false, "", NULL},
    {"", "Deployment", false, NULL, NULL},
    {"apps", "Pod", false, NULL, NULL},
    {"apps", "Job", false, NULL, NULL},
    {"apps", "CronJob", false, NULL, NULL},
    {"apps", "ReplicationController", false, NULL, NULL},
    {"batch", "Deployment", false, NULL, NULL},
    {"batch", "ReplicationController", false, NULL, NULL},
    {"extensions", "Deployment", false, NULL, NULL},
    {"apps", "deployment", false, NULL, NULL},
    {"apps", "Deployments", false, NULL, NULL},
    {"apps", "", false, NULL, NULL},
    {"", "", false, NULL, NULL},
    {"argoproj.io", "Rollout", false, NULL, NULL},
    {"core", "ReplicationController", false, NULL, NULL},
};

static const char *name_of(const struct kind_row *row)
{
    static char name[100];
    snprintf(name, sizeof(name), "%s/%s", row->group, row->kind);
    return name;
}

static void test_built_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++)
        check_number(name_of(&kinds[i]), "built in",
                     workload_is_built_in(slice_from(kinds[i].group), slice_from(kinds[i].kind)),
                     kinds[i].built_in);
}

/* Only workloads, only whole ones, only CREATE and UPDATE. */
static void test_subjects_of_workloads(void **state)
{
    (void)state;
    static const struct {
        const char *operation, *sub_resource;
        bool ours;
    } cases[] = {
        {"CREATE", "", true},
        {"UPDATE", "", true},
        {"DELETE", "", false},
        {"CONNECT", "", false},
        {"", "", false},
        {"update", "", false},
        {"UPDATE", "status", false},
        {"UPDATE", "scale", false},
        {"CREATE", "scale", false},
        {"UPDATE", "ephemeralcontainers", false},
    };
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (size_t i = 0; i < COUNT(cases); i++) {
            struct review r = {.group = slice_from(kinds[k].group),
                               .kind = slice_from(kinds[k].kind),
                               .operation = slice_from(cases[i].operation),
                               .sub_resource = slice_from(cases[i].sub_resource)};
            bool workload = review_subject(&r) == REVIEW_WORKLOAD;
            check_number(name_of(&kinds[k]), cases[i].operation, workload,
                         kinds[k].built_in && cases[i].ours);
        }
}

/* --- objects --- */

static void test_objects(void **state)
{
    (void)state;
    static const struct {
        const char *json, *group, *kind, *name, *namespace_; /* kind NULL: none can be said */
        bool has_controller;
    } cases[] = {
        {"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"o\","
         "\"namespace\":\"n\"}}",
         "apps", "Deployment", "o", "n", false},
        {"{\"metadata\":{\"namespace\":\"n\",\"name\":\"o\"},\"kind\":\"Pod\",\"apiVersion\":"
         "\"v1\"}",
         "", "Pod", "o", "n", false},
        {"{\"kind\":\"Pod\",\"metadata\":{\"generateName\":\"g-\"}}", "", "Pod", "g-", "", false},
        {"{\"kind\":\"Pod\",\"metadata\":{\"generateName\":\"g-\",\"name\":\"o\"}}", "", "Pod", "o",
         "", false},
        {"{\"kind\":\"Pod\",\"metadata\":null}", "", "Pod", "", "", false},
        {"{\"kind\":\"Pod\",\"metadata\":[{\"name\":\"x\"}]}", "", "Pod", "", "", false},
        {"{\"kind\":\"Pod\"}", "", "Pod", "", "", false},
        /* what has no kind is an item of a list, of which the list says it */
        {"{\"metadata\":{\"name\":\"o\"}}", "other", "Otherwise", "o", "", false},
        {"{\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"o\"}}", "other", "Otherwise", "o",
         "", false},
        {"{\"kind\":\"\",\"metadata\":{\"name\":\"o\"}}", "other", "Otherwise", "o", "", false},
        {"{\"kind\":5}", "other", "Otherwise", "", "", false},
        /* owners */
        {"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":[{\"controller\":true}]}}", "", "Pod",
         "", "", true},
        {"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":[{\"controller\":false},{},"
         "{\"kind\":\"x\",\"controller\":true,\"name\":\"y\"},{\"controller\":false}]}}",
         "", "Pod", "", "", true},
        {"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":[{\"controller\":false}]}}", "",
         "Pod", "", "", false},
        {"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":[{\"controller\":false,"
         "\"blockOwnerDeletion\":true}]}}",
         "", "Pod", "", "", false},
        {"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":[{\"blockOwnerDeletion\":true}]}}",
         "", "Pod", "", "", false},
        {"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":[{\"name\":\"x\"}]}}", "", "Pod", "",
         "", false},
        {"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":[{\"controller\":\"true\"}]}}", "",
         "Pod", "", "", false},
        {"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":[{\"controller\":1}]}}", "", "Pod",
         "", "", false},
        {"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":[{\"controller\":null}]}}", "", "Pod",
         "", "", false},
        {"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":[]}}", "", "Pod", "", "", false},
        {"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":null}}", "", "Pod", "", "", false},
        {"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":{\"controller\":true}}}", "", "Pod",
         "", "", false},
        {"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":[5,null,\"x\",[]]}}", "", "Pod", "",
         "", false},
        {"{\"kind\":\"Pod\",\"ownerReferences\":[{\"controller\":true}]}", "", "Pod", "", "",
         false},
        {"{\"kind\":\"Pod\",\"spec\":{\"metadata\":{\"ownerReferences\":[{\"controller\":true}]}}}",
         "", "Pod", "", "", false},
        /* of a key that stands twice the last counts */
        {"{\"kind\":\"A\",\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":[{\"controller\":true}"
         "],\"ownerReferences\":[]}}",
         "", "Pod", "", "", false},
        {"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":[{\"controller\":true}],"
         "\"ownerReferences\":null}}",
         "", "Pod", "", "", false},
        {"{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\\u0062\\u0000\"}}", "", "Pod", NULL, "",
         false},
        /* no objects */
        {"[]", NULL, NULL, NULL, NULL, false},
        {"null", NULL, NULL, NULL, NULL, false},
        {"\"Pod\"", NULL, NULL, NULL, NULL, false},
        {"", NULL, NULL, NULL, NULL, false},
    };
    const struct object otherwise = {.group = SLICE("other"), .kind = SLICE("Otherwise")};
    const struct object nothing = {.group = SLICE("other")};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct object object;
        struct slice json = copy_exact(slice_from(cases[i].json));
        const char *text = cases[i].json;
        check_number(text, "is one", object_read(json, &otherwise, &arena, &object),
                     cases[i].kind != NULL);
        if (cases[i].kind) {
            check_text(text, "group", object.group, cases[i].group);
            check_text(text, "kind", object.kind, cases[i].kind);
            if (cases[i].name)
                check_text(text, "name", object.name, cases[i].name);
            else
                check_slice(text, "name", object.name, slice_of("ab\0", 3));
            check_text(text, "namespace", object.namespace_, cases[i].namespace_);
            check_number(text, "has a controller", object.has_controller, cases[i].has_controller);
            check_slice(text, "the text", object.json, json);
            bool unnamed = strcmp(cases[i].kind, "Otherwise") == 0;
            check_number(text, "without help", object_read(json, &nothing, &arena, &object),
                         !unnamed);
        }
        free((char *)json.base);
        arena_done(&arena);
    }
}

/* --- templates --- */

#define POD_OF(image)                                                                              \
    "{\"metadata\":{\"name\":\"t\",\"ownerReferences\":[{\"controller\":true,\"kind\":\"X\","      \
    "\"name\":\"x\"}]},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"" image "\"}]}}"

/* An object of the kind with the Pod where its template is. */
static struct slice object_of(const struct kind_row *row, const char *pod, struct arena *arena)
{
    const char *meta = "\"metadata\":{\"name\":\"o\"}";
    if (!row->pointer || strcmp(row->pointer, "/spec/template") == 0)
        return arena_format(arena, "{%s,\"spec\":{\"template\":%s}}", meta, pod);
    if (strcmp(row->pointer, "/template") == 0)
        return arena_format(arena, "{%s,\"template\":%s}", meta, pod);
    if (*row->pointer == '\0')
        return slice_from(pod);
    return arena_format(arena, "{%s,\"spec\":{\"jobTemplate\":{\"spec\":{\"template\":%s}}}}", meta,
                        pod);
}

static void test_templates(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct arena arena = {0};
        const struct object kind = {.group = slice_from(kinds[i].group),
                                    .kind = slice_from(kinds[i].kind)};
        struct slice json = copy_exact(object_of(&kinds[i], POD_OF("x"), &arena));
        struct object object = {0};
        struct workload workload;
        bool missing;
        const char *name = name_of(&kinds[i]);
        check_number(name, "has a kind", object_read(json, &kind, &arena, &object),
                     *kinds[i].kind != '\0');
        object.group = kind.group;
        object.kind = kind.kind;
        bool read = workload_read(&object, NULL, 0, &arena, &workload, &missing);
        check_number(name, "is read", read, kinds[i].pointer != NULL);
        check_number(name, "is missing", missing, false);
        if (read) {
            bool pod = *kinds[i].pointer == '\0';
            check_text(name, "the pointer", workload.pointer, kinds[i].pointer);
            assert_int_equal(workload.pod.image_count, 1);
            check_text(name, "the image", workload.pod.images[0].image, "x");
            /* a template's own name and owners are not its Pods' */
            check_text(name, "the name", workload.pod.name, pod ? "t" : "");
            check_number(name, "has a controller", workload.pod.has_controller,
                         kinds[i].owner || pod);
            if (kinds[i].owner)
                check_text(name, "the controller",
                           arena_format(&arena, "%.*s/%.*s/%.*s",
                                        SLICE_ARGS(workload.pod.controller.group),
                                        SLICE_ARGS(workload.pod.controller.kind),
                                        SLICE_ARGS(workload.pod.controller.name)),
                           kinds[i].owner);
            check_text(name, "the hash", workload.pod.template_hash,
                       strcmp(kinds[i].kind, "Deployment") == 0 ? "0000000000" : "");
        }
        free((char *)json.base);
        arena_done(&arena);
    }
}

static void test_missing_templates(void **state)
{
    (void)state;
    static const char *const objects[] = {
        "{}",
        "{\"spec\":{}}",
        "{\"spec\":null}",
        "{\"spec\":[]}",
        "{\"template\":{}}",
        "{\"spec\":{\"Template\":{}}}",
    };
    for (size_t i = 0; i < COUNT(objects); i++) {
        struct arena arena = {0};
        struct workload workload;
        bool missing = false;
        const struct object object = {
            .group = SLICE("apps"), .kind = SLICE("Deployment"), .json = slice_from(objects[i])};
        assert_false(workload_read(&object, NULL, 0, &arena, &workload, &missing));
        check_number(objects[i], "is missing", missing, true);
        arena_done(&arena);
    }
}

static void test_more_kinds(void **state)
{
    (void)state;
    const struct template_path more[] = {
        {SLICE("argoproj.io"), SLICE("Rollout"), SLICE("/spec/template")},
        {SLICE("apps"), SLICE("Deployment"), SLICE("/elsewhere")}, /* the built-in one wins */
        {SLICE("x.io"), SLICE("Y"), SLICE("/a/b")},
        {SLICE("argoproj.io"), SLICE("Other"), SLICE("/spec/template")},
        {SLICE("x.io"), SLICE("Rollout"), SLICE("/spec/template")},
    };
    static const struct {
        const char *group, *kind, *json, *owner;
    } cases[] = {
        {"argoproj.io", "Rollout", "{\"spec\":{\"template\":" POD_OF("x") "}}",
         "apps/ReplicaSet/o-0000000000"},
        {"apps", "Deployment", "{\"spec\":{\"template\":" POD_OF("x") "},\"elsewhere\":{}}",
         "apps/ReplicaSet/o-0000000000"},
        {"x.io", "Y", "{\"a\":{\"b\":" POD_OF("x") "}}", "x.io/Y/o"},
        {"argoproj.io", "Other", "{\"spec\":{\"template\":" POD_OF("x") "}}",
         "argoproj.io/Other/o"},
        {"x.io", "Rollout", "{\"spec\":{\"template\":" POD_OF("x") "}}", "x.io/Rollout/o"},
        {"x.io", "Z", "{\"a\":{\"b\":" POD_OF("x") "}}", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct workload workload;
        bool missing = true;
        const struct object object = {.group = slice_from(cases[i].group),
                                      .kind = slice_from(cases[i].kind),
                                      .name = SLICE("o"),
                                      .json = slice_from(cases[i].json)};
        bool read = workload_read(&object, more, COUNT(more), &arena, &workload, &missing);
        check_number(cases[i].kind, "is read", read, cases[i].owner != NULL);
        check_number(cases[i].kind, "is missing", missing, false);
        if (read) {
            assert_int_equal(workload.pod.image_count, 1);
            check_text(cases[i].kind, "the controller",
                       arena_format(&arena, "%.*s/%.*s/%.*s",
                                    SLICE_ARGS(workload.pod.controller.group),
                                    SLICE_ARGS(workload.pod.controller.kind),
                                    SLICE_ARGS(workload.pod.controller.name)),
                       cases[i].owner);
        }
        arena_done(&arena);
    }
}

/* --- what a review brings --- */

static struct slice review_text(const struct kind_row *row, const char *object,
                                const char *old_object, bool object_first, struct arena *arena)
{
    struct slice kind =
        arena_format(arena, "\"kind\":{\"group\":\"%s\",\"version\":\"v1\",\"kind\":\"%s\"}",
                     row->group, row->kind);
    struct slice objects =
        arena_format(arena, "\"object\":%s%s%s", object, old_object ? ",\"oldObject\":" : "",
                     old_object ? old_object : "");
    return arena_format(arena,
                        "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\","
                        "\"request\":{%.*s,%.*s,\"uid\":\"u\",\"operation\":\"%s\"}}",
                        SLICE_ARGS(object_first ? objects : kind),
                        SLICE_ARGS(object_first ? kind : objects),
                        old_object ? "UPDATE" : "CREATE");
}

static void check_templates(const struct kind_row *row, const char *object, const char *old_object,
                            const char *image, const char *old_image)
{
    for (int object_first = 0; object_first < 2; object_first++) {
        struct arena arena = {0};
        struct review r;
        struct error error = {""};
        struct pod pod, old;
        struct slice pointer = SLICE("before");
        struct slice body = copy_exact(review_text(row, object, old_object, object_first, &arena));
        if (!review_parse(body, &arena, &r, &error))
            CHECK_FAIL("%.*s: %s", SLICE_ARGS(body), error.text);
        assert_int_equal(review_subject(&r), REVIEW_WORKLOAD);
        review_templates(&r, &arena, &pod, &old, &pointer);
        check_text(object, "the pointer", pointer, image ? row->pointer : "");
        check_number(object, "images", (long long)pod.image_count, image != NULL);
        check_number(object, "old images", (long long)old.image_count, old_image != NULL);
        if (image)
            check_text(object, "the image", pod.images[0].image, image);
        if (old_image)
            check_text(object, "the old image", old.images[0].image, old_image);
        assert_int_equal(r.pod.image_count, 0); /* of a workload only what metadata says */
        free((char *)body.base);
        arena_done(&arena);
    }
}

static void test_review_templates(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct arena arena = {0};
        if (!kinds[i].built_in)
            continue;
        const char *one = object_of(&kinds[i], POD_OF("new"), &arena).base;
        const char *other = object_of(&kinds[i], POD_OF("old"), &arena).base;
        check_templates(&kinds[i], one, NULL, "new", NULL);
        check_templates(&kinds[i], one, other, "new", "old");
        check_templates(&kinds[i], one, "null", "new", NULL);
        check_templates(&kinds[i], one, "{}", "new", NULL);
        check_templates(&kinds[i], "null", other, NULL, "old");
        check_templates(&kinds[i], "{\"spec\":{}}", other, NULL, "old");
        check_templates(&kinds[i], "[]", "\"x\"", NULL, NULL);
        arena_done(&arena);
    }
}

/* The kind is what the API server calls it, whatever the object's text says. */
static void test_the_request_names_the_kind(void **state)
{
    (void)state;
    const struct kind_row *deployment = &kinds[0], *cron = &kinds[6];
    check_templates(
        deployment,
        "{\"apiVersion\":\"v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"o\"},\"spec\":"
        "{\"template\":" POD_OF("x") ",\"jobTemplate\":{}}}",
        NULL, "x", NULL);
    check_templates(
        cron,
        "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"spec\":{\"template\":" POD_OF(
            "x") ",\"jobTemplate\":{\"spec\":{\"template\":" POD_OF("y") "}}}}",
        NULL, "y", NULL);
}

/* The controller of the workload itself is in the review's Pod. */
static void test_controller_of_a_workload(void **state)
{
    (void)state;
    static const struct {
        const char *metadata;
        bool has;
    } cases[] = {
        {"{}", false},
        {"{\"ownerReferences\":[{\"controller\":true,\"kind\":\"Deployment\",\"name\":\"o\"}]}",
         true},
        {"{\"ownerReferences\":[{\"controller\":false},{\"controller\":true}]}", true},
        {"{\"ownerReferences\":[{\"controller\":null}]}", false},
        {"{\"ownerReferences\":null}", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct review r;
        struct error error = {""};
        struct slice object = arena_format(
            &arena, "{\"metadata\":%s,\"spec\":{\"template\":" POD_OF("x") "}}", cases[i].metadata);
        struct slice body = review_text(&kinds[1], object.base, NULL, false, &arena);
        assert_true(review_parse(body, &arena, &r, &error));
        check_number(cases[i].metadata, "has a controller", r.pod.has_controller, cases[i].has);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_in),
        cmocka_unit_test(test_subjects_of_workloads),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_missing_templates),
        cmocka_unit_test(test_more_kinds),
        cmocka_unit_test(test_review_templates),
        cmocka_unit_test(test_the_request_names_the_kind),
        cmocka_unit_test(test_controller_of_a_workload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
