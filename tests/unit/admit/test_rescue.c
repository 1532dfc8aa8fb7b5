/* Which containers of a Pod wait for Harbor, what they were, what stands against putting that back,
 * and the patch that does. */
#include "admit/rescue.h"

#include "tests/unit/check.h"

static const char set_text[] =
    "apiVersion: harbor-pilot.io/v1alpha1\n"
    "kind: Harbor\n"
    "metadata: {name: h}\n"
    "spec:\n"
    "  host: h.io\n"
    "  registries: {docker.io: hub, quay.io: quay, a.example.com: twice, b.example.com: twice}\n"
    "  protected: [guarded]\n"
    "---\n"
    "apiVersion: harbor-pilot.io/v1alpha1\n"
    "kind: Policy\n"
    "metadata: {name: p}\n"
    "spec: {namespaces: [apps], exclude: [docker.io/library/kept]}\n"
    "---\n"
    "apiVersion: harbor-pilot.io/v1alpha1\n"
    "kind: Policy\n"
    "metadata: {name: watched}\n"
    "spec: {namespaces: [watched], mode: audit}\n";

#define D8                "dddddddd"
#define D64               D8 D8 D8 D8 D8 D8 D8 D8
#define C(name, image)    "{\"name\":\"" name "\",\"image\":\"" image "\"}"
#define ANNOTATED(value)  "\"annotations\":{\"harbor-pilot.io/original-images\":\"" value "\"},"
#define SAYS(name, image) ANNOTATED("{\\\"" name "\\\":\\\"" image "\\\"}")
#define WAITS(name, reason)                                                                        \
    "{\"name\":\"" name "\",\"state\":{\"waiting\":{\"reason\":\"" reason "\"}}}"
#define RUNS(name, at) "{\"name\":\"" name "\",\"state\":{\"running\":{\"startedAt\":\"" at "\"}}}"
#define ENDED(name, at)                                                                            \
    "{\"name\":\"" name "\",\"state\":{\"terminated\":{\"finishedAt\":\"" at "\"}}}"
#define READY(at)                                                                                  \
    "\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"True\"},"                             \
    "{\"type\":\"PodReadyToStartContainers\",\"status\":\"True\",\"lastTransitionTime\":\"" at     \
    "\"}],"
#define POD(namespace_, metadata, spec, status)                                                    \
    "{\"metadata\":{\"namespace\":\"" namespace_ "\",\"name\":\"pod\"," metadata                   \
    "\"resourceVersion\":\"7\",\"uid\":\"u-1\"},\"spec\":{" spec "},\"status\":{" status "}}"
#define LIST(kind, items) "\"" kind "\":[" items "]"
#define ONE(metadata, image)                                                                       \
    POD("apps", metadata, LIST("containers", C("a", image)),                                       \
        LIST("containerStatuses", WAITS("a", "ImagePullBackOff")))

static struct slice describe(const struct rescue_pod *rescue, struct arena *arena)
{
    static const char *const waits[] = {"failed", "pulling", "behind"};
    static const char *const obstacles[] = {"free",      "protected", "ending",
                                            "ephemeral", "volume",    "not-ours"};
    struct buffer out = {0};
    for (size_t i = 0; i < rescue->count; i++) {
        const struct rescue_item *item = &rescue->items[i];
        buffer_append_format(&out, "%s%.*s %s %s %.*s", i ? "; " : "",
                             SLICE_ARGS(item->field->name), waits[item->wait],
                             obstacles[item->obstacle], SLICE_ARGS(item->original));
        if (item->by_policies && item->original.len)
            buffer_append_text(&out, " by policies");
        if (item->claimed.len)
            buffer_append_format(&out, " claimed %.*s", SLICE_ARGS(item->claimed));
        if (item->since)
            buffer_append_format(&out, " since %lld", item->since);
    }
    struct slice text = arena_copy(arena, buffer_slice(&out));
    buffer_done(&out);
    return text;
}

#define T0 "2026-11-29T03:00:00Z" /* 1795921200 */
#define T1 "2026-11-29T03:00:10Z"
#define T2 "2026-11-29T03:00:20Z"

static const struct {
    const char *name, *pod, *expected;
} cases[] = {
    {"by the annotation", ONE(SAYS("a", "nginx:1"), "h.io/hub/library/nginx:1"),
     "a failed free nginx:1"},
    {"ErrImagePull",
     POD("apps", SAYS("a", "nginx:1"), LIST("containers", C("a", "h.io/hub/library/nginx:1")),
         LIST("containerStatuses", WAITS("a", "ErrImagePull"))),
     "a failed free nginx:1"},
    {"waits for something else",
     POD("apps", SAYS("a", "nginx:1"), LIST("containers", C("a", "h.io/hub/library/nginx:1")),
         LIST("containerStatuses", WAITS("a", "CrashLoopBackOff"))),
     ""},
    {"runs",
     POD("apps", SAYS("a", "nginx:1"), LIST("containers", C("a", "h.io/hub/library/nginx:1")),
         LIST("containerStatuses", RUNS("a", T0))),
     ""},
    {"has no status yet",
     POD("apps", SAYS("a", "nginx:1"), LIST("containers", C("a", "h.io/hub/library/nginx:1")),
         ""
         "\"phase\":\"Pending\""),
     ""},
    {"another registry", ONE("", "quay.io/x:1"), ""},
    {"already at its original", ONE(SAYS("a", "nginx:1"), "nginx:1"), ""},
    {"a forged entry: the policies count",
     ONE(SAYS("a", "evil.example.com/x:1"), "h.io/hub/library/nginx:1"),
     "a failed free docker.io/library/nginx:1 by policies claimed evil.example.com/x:1"},
    {"an entry of another tag", ONE(SAYS("a", "nginx:2"), "h.io/hub/library/nginx:1"),
     "a failed free docker.io/library/nginx:1 by policies claimed nginx:2"},
    {"an entry of another container", ONE(SAYS("b", "nginx:1"), "h.io/hub/library/nginx:1"),
     "a failed free docker.io/library/nginx:1 by policies"},
    {"no annotation", ONE("", "h.io/quay/x/y:1"), "a failed free quay.io/x/y:1 by policies"},
    {"no annotation, a digest", ONE("", "h.io/quay/x/y@sha256:" D64),
     "a failed free quay.io/x/y@sha256:" D64 " by policies"},
    {"an annotation that is no JSON", ONE(ANNOTATED("{"), "h.io/quay/x/y:1"),
     "a failed free quay.io/x/y:1 by policies"},
    {"pinned by somebody since", ONE(SAYS("a", "nginx:1"), "h.io/hub/library/nginx:1@sha256:" D64),
     "a failed free nginx:1@sha256:" D64},
    {"no project of the policies", ONE("", "h.io/private/x:1"), "a failed not-ours "},
    {"only a project", ONE("", "h.io/hub:1"), "a failed not-ours "},
    {"a project that stands for two registries", ONE("", "h.io/twice/x:1"), "a failed not-ours "},
    {"a project that stands for two registries, and the annotation",
     ONE(SAYS("a", "b.example.com/x:1"), "h.io/twice/x:1"), "a failed free b.example.com/x:1"},
    {"what the policies exclude", ONE("", "h.io/hub/library/kept:1"), "a failed not-ours "},
    {"what the policies exclude now, and did not then",
     ONE(SAYS("a", "kept:1"), "h.io/hub/library/kept:1"), "a failed free kept:1"},
    {"opted out", ONE("\"annotations\":{\"harbor-pilot.io/mode\":\"disabled\"},", "h.io/quay/x:1"),
     "a failed not-ours "},
    {"a namespace that no Policy claims",
     POD("other", "", LIST("containers", C("a", "h.io/quay/x:1")),
         LIST("containerStatuses", WAITS("a", "ErrImagePull"))),
     "a failed not-ours "},
    {"a namespace in audit",
     POD("watched", "", LIST("containers", C("a", "h.io/quay/x:1")),
         LIST("containerStatuses", WAITS("a", "ErrImagePull"))),
     "a failed not-ours "},
    {"a protected namespace",
     POD("guarded", SAYS("a", "nginx"), LIST("containers", C("a", "h.io/hub/library/nginx")),
         LIST("containerStatuses", WAITS("a", "ErrImagePull"))),
     "a failed protected nginx"},
    {"being deleted",
     ONE(SAYS("a", "nginx:1") "\"deletionTimestamp\":\"" T0 "\",", "h.io/hub/library/nginx:1"),
     "a failed ending nginx:1"},
    {"one of two, statuses in another order",
     POD("apps", SAYS("b", "nginx"),
         LIST("containers", C("a", "h.io/hub/library/x") "," C("b", "h.io/hub/library/nginx")),
         LIST("containerStatuses", WAITS("b", "ErrImagePull") "," RUNS("a", T0))),
     "b failed free nginx"},
    {"an init container, with the others behind it",
     POD("apps", ANNOTATED("{\\\"i\\\":\\\"x\\\",\\\"a\\\":\\\"y\\\"}"),
         LIST("initContainers",
              C("i", "h.io/hub/library/x")) "," LIST("containers", C("a", "h.io/hub/library/y")),
         READY(T0) LIST("initContainerStatuses", WAITS("i", "ImagePullBackOff")) "," LIST(
             "containerStatuses", WAITS("a", "PodInitializing"))),
     "i failed free x; a behind free y"},
    {"an ephemeral container",
     POD("apps", "",
         LIST("containers", C("a", "x")) "," LIST("ephemeralContainers", C("e", "h.io/quay/x")),
         LIST("containerStatuses", RUNS("a", T0)) "," LIST("ephemeralContainerStatuses",
                                                           WAITS("e", "ErrImagePull"))),
     "e failed ephemeral quay.io/x by policies"},
    {"an image volume, which the message names",
     POD("apps", ANNOTATED("{\\\"volume/v\\\":\\\"quay.io/v\\\"}"),
         LIST("containers", C("a", "x")) ",\"volumes\":[{\"name\":\"v\",\"image\":{\"reference\":"
                                         "\"h.io/quay/v\"}}]",
         "\"containerStatuses\":[{\"name\":\"a\",\"state\":{\"waiting\":{\"reason\":\"ErrImagePull\","
         "\"message\":\"cannot pull h.io/quay/v: refused\"}}}]"),
     "v failed volume quay.io/v"},

    /* pulls that bring nothing */
    {"pulling",
     POD("apps", SAYS("a", "nginx"), LIST("containers", C("a", "h.io/hub/library/nginx")),
         READY(T0) LIST("containerStatuses", WAITS("a", "ContainerCreating"))),
     "a pulling free nginx since 1795921200"},
    {"no sandbox yet",
     POD("apps", SAYS("a", "nginx"), LIST("containers", C("a", "h.io/hub/library/nginx")),
         LIST("containerStatuses", WAITS("a", "ContainerCreating"))),
     ""},
    {"the second waits for the first",
     POD("apps", ANNOTATED("{\\\"a\\\":\\\"x\\\",\\\"b\\\":\\\"y\\\"}"),
         LIST("containers", C("a", "h.io/hub/library/x") "," C("b", "h.io/hub/library/y")),
         READY(T0) LIST("containerStatuses",
                        WAITS("a", "ContainerCreating") "," WAITS("b", "ContainerCreating"))),
     "a pulling free x since 1795921200"},
    {"the second since the first runs",
     POD("apps", ANNOTATED("{\\\"b\\\":\\\"y\\\"}"),
         LIST("containers", C("a", "x") "," C("b", "h.io/hub/library/y")),
         READY(T0) LIST("containerStatuses", RUNS("a", T1) "," WAITS("b", "ContainerCreating"))),
     "b pulling free y since 1795921210"},
    {"since the init container ended and the sidecar began",
     POD("apps", ANNOTATED("{\\\"a\\\":\\\"y\\\"}"),
         LIST("initContainers", C("i", "x") "," C("s", "x")) "," LIST("containers",
                                                                      C("a", "h.io/hub/library/y")),
         READY(T0) LIST("initContainerStatuses", ENDED("i", T1) "," RUNS("s", T2)) "," LIST(
             "containerStatuses", WAITS("a", "PodInitializing"))),
     "a pulling free y since 1795921220"},
    {"the init container runs: nothing is pulled",
     POD("apps", ANNOTATED("{\\\"a\\\":\\\"y\\\"}"),
         LIST("initContainers", C("i", "x")) "," LIST("containers", C("a", "h.io/hub/library/y")),
         READY(T0) LIST("initContainerStatuses", WAITS("i", "CrashLoopBackOff")) "," LIST(
             "containerStatuses", WAITS("a", "PodInitializing"))),
     ""},

    /* what is no Pod */
    {"no JSON", "{\"metadata\":", ""},
    {"no object", "[1]", ""},
    {"odd types",
     "{\"metadata\":5,\"spec\":{\"containers\":{}},\"status\":{\"containerStatuses\":[1,{\"name\":2,"
     "\"state\":{\"waiting\":[]}}]}}",
     ""},
};

static void test_reading(void **state)
{
    (void)state;
    struct policies *policies = load_right(set_text);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct rescue_pod rescue;
        rescue_read(policies, slice_from(cases[i].pod), &arena, &rescue);
        check_text(cases[i].name, "what waits", describe(&rescue, &arena), cases[i].expected);
        arena_done(&arena);
    }
    policies_unref(policies);
}

/* Two documents of one host, one of which can be asked: the Policy says which it is. */
static void test_the_harbor_of_the_policy(void **state)
{
    (void)state;
    static const char two[] = "apiVersion: harbor-pilot.io/v1alpha1\n"
                              "kind: Harbor\n"
                              "metadata: {name: a}\n"
                              "spec: {host: h.io, registries: {docker.io: hub}}\n"
                              "---\n"
                              "apiVersion: harbor-pilot.io/v1alpha1\n"
                              "kind: Harbor\n"
                              "metadata: {name: b}\n"
                              "spec: {host: h.io, registries: {docker.io: hub}}\n"
                              "---\n"
                              "apiVersion: harbor-pilot.io/v1alpha1\n"
                              "kind: Policy\n"
                              "metadata: {name: p}\n"
                              "spec: {harbor: b, namespaces: [apps]}\n"
                              "---\n"
                              "apiVersion: harbor-pilot.io/v1alpha1\n"
                              "kind: Policy\n"
                              "metadata: {name: q}\n"
                              "spec: {harbor: a, namespaces: [other]}\n";
    struct policies *policies = load_right(two);
    struct arena arena = {0};
    struct rescue_pod rescue;
    rescue_read(policies, slice_from(ONE(SAYS("a", "nginx:1"), "h.io/hub/library/nginx:1")), &arena,
                &rescue);
    assert_int_equal(rescue.count, 1);
    check_text("two Harbors", "the one that is asked", rescue.items[0].harbor->name, "b");
    arena_done(&arena);
    policies_unref(policies);
}

static void check_patch(const char *name, const char *pod, const char *expected)
{
    struct policies *policies = load_right(set_text);
    struct arena arena = {0};
    struct rescue_pod rescue;
    struct buffer out = {0};
    rescue_read(policies, slice_from(pod), &arena, &rescue);
    for (size_t i = 0; i < rescue.count; i++)
        rescue.items[i].restore = rescue.items[i].obstacle == RESCUE_FREE;
    rescue_write_patch(&rescue, SLICE("harbor-down"), 1795921200, &arena, &out);
    check_text(name, "the patch", buffer_slice(&out), expected);
    buffer_done(&out);
    arena_done(&arena);
    policies_unref(policies);
}

#define OP(op, path, value) "{\"op\":\"" op "\",\"path\":\"" path "\",\"value\":" value "}"
#define NOTE                                                                                       \
    "{\\\"at\\\":\\\"2026-11-29T03:00:00Z\\\",\\\"reason\\\":\\\"harbor-down\\\",\\\"images\\\":{"

static void test_patch(void **state)
{
    (void)state;
    check_patch(
        "annotations are there, the second of two, an init container",
        POD("apps", ANNOTATED("{\\\"i\\\":\\\"x\\\",\\\"b\\\":\\\"y:2\\\"}"),
            LIST("initContainers", C("i", "h.io/hub/library/x")) "," LIST(
                "containers", C("a", "z") "," C("b", "h.io/hub/library/y:2")),
            LIST("initContainerStatuses", WAITS("i", "ErrImagePull")) "," LIST(
                "containerStatuses", WAITS("b", "ErrImagePull") "," RUNS("a", T0))),
        "[" OP("test", "/metadata/uid", "\"u-1\"") "," OP("test", "/spec/initContainers/0/image", "\"h.io/hub/library/x\"") "," OP(
            "test", "/status/initContainerStatuses/0/name",
            "\"i\"") "," OP("test", "/status/initContainerStatuses/0/state/running",
                            "null") "," OP("replace", "/spec/initContainers/0/image",
                                           "\"x\"") "," OP("test", "/spec/containers/1/image",
                                                           "\"h.io/hub/library/y:2\"") "," OP("test",
                                                                                              "/status/containerStatuses/0/name",
                                                                                              "\"b\"") "," OP("test",
                                                                                                              "/status/containerStatuses/0/state/running",
                                                                                                              "null") "," OP("replace",
                                                                                                                             "/spec/containers/1/image",
                                                                                                                             "\"y:2\"") "," OP("add",
                                                                                                                                               "/metadata/annotations/harbor-pilot.io~1rescued",
                                                                                                                                               "\"" NOTE
                                                                                                                                               "\\\"i\\\":\\\"h.io/hub/library/x\\\",\\\"b\\\":"
                                                                                                                                               "\\\"h.io/hub/library/y:2\\\"}}\"") "]");
    check_patch(
        "there are no annotations", ONE("", "h.io/quay/x:1"),
        "[" OP("test", "/metadata/uid", "\"u-1\"") "," OP("test", "/spec/containers/0/image", "\"h.io/quay/x:1\"") "," OP(
            "test", "/status/containerStatuses/0/name",
            "\"a\"") "," OP("test", "/status/containerStatuses/0/state/running",
                            "null") "," OP("replace", "/spec/containers/0/image",
                                           "\"quay.io/x:1\"") "," OP("test",
                                                                     "/metadata/annotations",
                                                                     "null") "," OP("add",
                                                                                    "/metadata/annotations",
                                                                                    "{\"harbor-pilot.io/rescued\":\"" NOTE
                                                                                    "\\\"a\\\":\\\"h.io/quay/x:1\\\"}}\"}") "]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_the_harbor_of_the_policy),
        cmocka_unit_test(test_patch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
