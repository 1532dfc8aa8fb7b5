/* Every byte of a patch: which operation for which way a member stands in the Pod. */
#include "kube/patch.h"

#include "tests/unit/check.h"

static struct pod read_pod(const char *json, struct arena *arena)
{
    struct pod pod;
    struct json_scanner s;
    json_scanner_init(&s, slice_from(json));
    pod_read(&s, arena, &pod);
    if (!json_finish(&s))
        CHECK_FAIL("the test's Pod is no JSON: %s", json);
    return pod;
}

#define SPEC(members)    "{\"metadata\":{},\"spec\":{" members "}}"
#define META(members)    "{\"metadata\":{" members "},\"spec\":{\"containers\":[]}}"
#define KEY              "harbor-pilot.io/original-images"
#define REPLACE(path, v) "{\"op\":\"replace\",\"path\":\"" path "\",\"value\":\"" v "\"}"
#define ADD(path, v)     "{\"op\":\"add\",\"path\":\"" path "\",\"value\":\"" v "\"}"

static const struct {
    const char *name, *pod;
    size_t images;                                     /* the first ones become "new" */
    const char *pull_policy, *pull_secret, *originals; /* NULL: unchanged */
    const char *patch;
} cases[] = {
    {"nothing", SPEC("\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]"), 0, NULL, NULL, NULL, ""},
    {"an image", SPEC("\"containers\":[{},{\"name\":\"c\",\"image\":\"x\"}]"), 1, NULL, NULL, NULL,
     "[" REPLACE("/spec/containers/1/image", "new") "]"},
    {"one of each kind",
     SPEC("\"containers\":[{\"image\":\"x\"}],\"initContainers\":[{\"image\":\"x\"}],"
          "\"ephemeralContainers\":[{\"image\":\"x\"}],\"volumes\":[{\"image\":{\"reference\":"
          "\"x\"}}]"),
     4, NULL, NULL, NULL,
     "[" REPLACE("/spec/containers/0/image", "new") "," REPLACE(
         "/spec/initContainers/0/image",
         "new") "," REPLACE("/spec/ephemeralContainers/0/image",
                            "new") "," REPLACE("/spec/volumes/0/image/reference", "new") "]"},
    {"a pull policy that is there",
     SPEC("\"containers\":[{\"image\":\"x\",\"imagePullPolicy\":\"a\"}]"), 1, "Always", NULL, NULL,
     "[" REPLACE("/spec/containers/0/image",
                 "new") "," REPLACE("/spec/containers/0/imagePullPolicy", "Always") "]"},
    {"the same pull policy",
     SPEC("\"containers\":[{\"image\":\"x\",\"imagePullPolicy\":\"Always\"}]"), 1, "Always", NULL,
     NULL, "[" REPLACE("/spec/containers/0/image", "new") "]"},
    {"no pull policy", SPEC("\"containers\":[{\"image\":\"x\"}]"), 1, "Always", NULL, NULL,
     "[" REPLACE("/spec/containers/0/image", "new") "," ADD("/spec/containers/0/imagePullPolicy",
                                                            "Always") "]"},
    {"a null pull policy", SPEC("\"containers\":[{\"image\":\"x\",\"imagePullPolicy\":null}]"), 1,
     "Always", NULL, NULL,
     "[" REPLACE("/spec/containers/0/image", "new") "," ADD("/spec/containers/0/imagePullPolicy",
                                                            "Always") "]"},
    {"a volume's pull policy",
     SPEC("\"volumes\":[{\"image\":{\"reference\":\"x\",\"pullPolicy\":\"a\"}},{\"image\":{"
          "\"reference\":\"x\"}}]"),
     2, "IfNotPresent", NULL, NULL,
     "[" REPLACE("/spec/volumes/0/image/reference", "new") "," REPLACE(
         "/spec/volumes/0/image/pullPolicy",
         "IfNotPresent") "," REPLACE("/spec/volumes/1/image/reference",
                                     "new") "," ADD("/spec/volumes/1/image/pullPolicy",
                                                    "IfNotPresent") "]"},
    {"a pull secret, none before", SPEC(""), 0, NULL, "s", NULL,
     "[{\"op\":\"add\",\"path\":\"/spec/imagePullSecrets\",\"value\":[{\"name\":\"s\"}]}]"},
    {"a pull secret, null before", SPEC("\"imagePullSecrets\":null"), 0, NULL, "s", NULL,
     "[{\"op\":\"add\",\"path\":\"/spec/imagePullSecrets\",\"value\":[{\"name\":\"s\"}]}]"},
    {"a pull secret, an empty list before", SPEC("\"imagePullSecrets\":[]"), 0, NULL, "s", NULL,
     "[{\"op\":\"add\",\"path\":\"/spec/imagePullSecrets/-\",\"value\":{\"name\":\"s\"}}]"},
    {"a pull secret, others before", SPEC("\"imagePullSecrets\":[{\"name\":\"a\"}]"), 0, NULL, "s",
     NULL, "[{\"op\":\"add\",\"path\":\"/spec/imagePullSecrets/-\",\"value\":{\"name\":\"s\"}}]"},
    {"originals, no annotations", META(""), 0, NULL, NULL, "{\"a\":\"b\"}",
     "[{\"op\":\"add\",\"path\":\"/metadata/annotations\",\"value\":{\"" KEY
     "\":\"{\\\"a\\\":\\\"b\\\"}\"}}]"},
    {"originals, null annotations", META("\"annotations\":null"), 0, NULL, NULL, "o",
     "[{\"op\":\"add\",\"path\":\"/metadata/annotations\",\"value\":{\"" KEY "\":\"o\"}}]"},
    {"originals, other annotations", META("\"annotations\":{}"), 0, NULL, NULL, "o",
     "[" ADD("/metadata/annotations/harbor-pilot.io~1original-images", "o") "]"},
    {"originals, there before", META("\"annotations\":{\"" KEY "\":\"x\"}"), 0, NULL, NULL, "o",
     "[" REPLACE("/metadata/annotations/harbor-pilot.io~1original-images", "o") "]"},
    {"originals, null before", META("\"annotations\":{\"" KEY "\":null}"), 0, NULL, NULL, "o",
     "[" ADD("/metadata/annotations/harbor-pilot.io~1original-images", "o") "]"},
    {"originals, no metadata", "{\"spec\":{}}", 0, NULL, NULL, "o", ""},
    {"originals, null metadata", "{\"metadata\":null}", 0, NULL, NULL, "o", ""},
    {"all together", SPEC("\"containers\":[{\"image\":\"x\"}]"), 1, "Always", "s", "o",
     "[" REPLACE("/spec/containers/0/image", "new") "," ADD(
         "/spec/containers/0/imagePullPolicy",
         "Always") ","
                   "{\"op\":\"add\",\"path\":\"/spec/"
                   "imagePullSecrets\",\"value\":[{\"name\":\"s\"}]},"
                   "{\"op\":\"add\",\"path\":\"/metadata/annotations\",\"value\":{\"" KEY
                   "\":\"o\"}}]"},
};

static void test_patches(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct pod pod = read_pod(cases[i].pod, &arena);
        struct pod_image_change images[8];
        struct pod_changes changes = {.pod = &pod, .images = images};
        struct buffer out = {0};
        for (size_t j = 0; j < cases[i].images; j++)
            images[changes.image_count++] = (struct pod_image_change){
                &pod.images[j], SLICE("new"), slice_from(cases[i].pull_policy)};
        changes.pull_secret = slice_from(cases[i].pull_secret);
        changes.set_original_images = cases[i].originals != NULL;
        changes.original_images = slice_from(cases[i].originals);
        patch_write(&changes, &arena, &out);
        check_text(cases[i].name, "the patch", buffer_slice(&out), cases[i].patch);
        buffer_done(&out);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_patches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
