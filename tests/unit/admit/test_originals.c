/* The annotation of original images: what is written, which entries of before are kept, and the
 * limit of 256 KiB to the byte. */
#include "admit/originals.h"

#include "tests/unit/check.h"

static const char set_text[] = "apiVersion: harbor-pilot.io/v1alpha1\n"
                               "kind: Harbor\n"
                               "metadata: {name: h}\n"
                               "spec: {host: h.io, registries: {docker.io: hub, quay.io: quay}, "
                               "renames: {docker.io/old: quay.io/new}}\n"
                               "---\n"
                               "apiVersion: harbor-pilot.io/v1alpha1\n"
                               "kind: Policy\n"
                               "metadata: {name: p}\n"
                               "spec: {namespaces: [n], registries: [docker.io]}\n";

#define C(name, image) "{\"name\":\"" name "\",\"image\":\"" image "\"}"
#define V(name, image) "{\"name\":\"" name "\",\"image\":{\"reference\":\"" image "\"}}"
#define D8             "dddddddd"
#define D64            D8 D8 D8 D8 D8 D8 D8 D8
#define E64            "eeeeeeee" D8 D8 D8 D8 D8 D8 D8
#define KEY            "harbor-pilot.io/original-images"
/* `before` is the annotation's value, escaped for JSON. */
#define POD(before, containers)                                                                    \
    "{\"metadata\":{\"annotations\":{\"" KEY "\":\"" before                                        \
    "\"}},\"spec\":{\"containers\":[" containers "]}}"

static bool value_of(const char *json, enum review_subject subject, struct arena *arena,
                     struct slice *ret, bool *ret_too_large)
{
    struct policies *policies = load_right(set_text);
    struct json_scanner s;
    struct pod pod;
    json_scanner_init(&s, slice_from(json));
    pod_read(&s, arena, &pod);
    if (!json_finish(&s))
        CHECK_FAIL("the test's Pod is no JSON: %.300s", json);
    struct decide_request request = {
        .mode = MODE_ENFORCE, .subject = subject, .namespace_ = SLICE("n"), .pod = &pod};
    struct decisions decisions;
    decide(policies, &request, arena, &decisions);
    bool written = originals_value(&request, &decisions, arena, ret, ret_too_large);
    policies_unref(policies);
    return written;
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *name, *pod, *value; /* NULL: none is written */
    } cases[] = {
        {"one", "{\"spec\":{\"containers\":[" C("c", "x:1") "]}}", "{\"c\":\"x:1\"}"},
        {"only what is rewritten",
         "{\"spec\":{\"containers\":[" C("a", "h.io/p/x") "," C("b", "ghcr.io/x") "," C(
             "c", "x") "," C("d", "quay.io/x") "," C("e", "auto") "," C("f", "UPPER") "]}}",
         "{\"c\":\"x\"}"},
        {"volumes have names of their own",
         "{\"spec\":{\"volumes\":[" V("a", "x") "],\"initContainers\":[" C(
             "i", "y") "],"
                       "\"containers\":[" C("a", "z") "]}}",
         "{\"volume/a\":\"x\",\"i\":\"y\",\"a\":\"z\"}"},
        {"bytes as they were", "{\"spec\":{\"containers\":[" C("c", "index.docker.io/x:1") "]}}",
         "{\"c\":\"index.docker.io/x:1\"}"},
        {"nothing is rewritten", "{\"spec\":{\"containers\":[" C("c", "ghcr.io/x") "]}}", NULL},
        {"nothing is rewritten: what was there stays",
         POD("{\\\"c\\\":\\\"forged\\\"}", C("c", "h.io/hub/library/x")), NULL},
        {"of two of one name the first",
         "{\"spec\":{\"containers\":[" C("c", "x") "," C("c", "y") "]}}", "{\"c\":\"x\"}"},

        /* entries that were there: kept only if rewriting them gives the present image */
        {"explained",
         POD("{\\\"a\\\":\\\"x:1\\\",\\\"z\\\":\\\"y\\\"}",
             C("a", "h.io/hub/library/x:1") "," C("b", "y")),
         "{\"a\":\"x:1\",\"b\":\"y\"}"},
        {"explained by another spelling",
         POD("{\\\"a\\\":\\\"docker.io/library/x:1\\\"}",
             C("a", "h.io/hub/library/x:1") "," C("b", "y")),
         "{\"a\":\"docker.io/library/x:1\",\"b\":\"y\"}"},
        {"explained by a registry that this Policy does not move",
         POD("{\\\"a\\\":\\\"quay.io/x\\\"}", C("a", "h.io/quay/x") "," C("b", "y")),
         "{\"a\":\"quay.io/x\",\"b\":\"y\"}"},
        {"explained by a rename",
         POD("{\\\"a\\\":\\\"old/x:1\\\"}", C("a", "h.io/quay/new/x:1") "," C("b", "y")),
         "{\"a\":\"old/x:1\",\"b\":\"y\"}"},
        {"explained by a rename, and pinned by somebody since",
         POD("{\\\"a\\\":\\\"old/x:1\\\"}",
             C("a", "h.io/quay/new/x:1@sha256:" D64) "," C("b", "y")),
         "{\"a\":\"old/x:1\",\"b\":\"y\"}"},
        {"what a rename would have made otherwise",
         POD("{\\\"a\\\":\\\"old/x:1\\\"}", C("a", "h.io/hub/old/x:1") "," C("b", "y")),
         "{\"b\":\"y\"}"},
        {"explained, and pinned by somebody since",
         POD("{\\\"a\\\":\\\"x:1\\\"}", C("a", "h.io/hub/library/x:1@sha256:" D64) "," C("b", "y")),
         "{\"a\":\"x:1\",\"b\":\"y\"}"},
        {"pinned by another digest than its own",
         POD("{\\\"a\\\":\\\"x@sha256:" D64 "\\\"}",
             C("a", "h.io/hub/library/x@sha256:" E64) "," C("b", "y")),
         "{\"b\":\"y\"}"},
        {"pinned, and another tag",
         POD("{\\\"a\\\":\\\"x:2\\\"}", C("a", "h.io/hub/library/x:1@sha256:" D64) "," C("b", "y")),
         "{\"b\":\"y\"}"},
        {"a forged entry",
         POD("{\\\"a\\\":\\\"evil/x:1\\\"}", C("a", "h.io/hub/library/x:1") "," C("b", "y")),
         "{\"b\":\"y\"}"},
        {"another tag",
         POD("{\\\"a\\\":\\\"x:2\\\"}", C("a", "h.io/hub/library/x:1") "," C("b", "y")),
         "{\"b\":\"y\"}"},
        {"of an image that is none of Harbor's",
         POD("{\\\"a\\\":\\\"ghcr.io/x\\\"}", C("a", "ghcr.io/x") "," C("b", "y")),
         "{\"b\":\"y\"}"},
        {"of an image that is rewritten now: as it is now",
         POD("{\\\"b\\\":\\\"forged\\\"}", C("b", "y")), "{\"b\":\"y\"}"},
        {"a container's entry is no volume's",
         "{\"metadata\":{\"annotations\":{\"" KEY "\":\"{\\\"v\\\":\\\"x\\\"}\"}},\"spec\":{"
         "\"volumes\":[" V("v", "h.io/hub/library/x") "],\"containers\":[" C("b", "y") "]}}",
         "{\"b\":\"y\"}"},
        {"a volume's entry",
         "{\"metadata\":{\"annotations\":{\"" KEY "\":\"{\\\"volume/v\\\":\\\"x\\\"}\"}},\"spec\":{"
         "\"volumes\":[" V("v", "h.io/hub/library/x") "],\"containers\":[" C("b", "y") "]}}",
         "{\"volume/v\":\"x\",\"b\":\"y\"}"},
        {"unparseable",
         POD("{\\\"a\\\":\\\"UPPER\\\"}", C("a", "h.io/hub/library/x") "," C("b", "y")),
         "{\"b\":\"y\"}"},
        {"of entries that stand twice the last",
         POD("{\\\"a\\\":\\\"x\\\",\\\"a\\\":\\\"y\\\"}",
             C("a", "h.io/hub/library/x") "," C("b", "y")),
         "{\"b\":\"y\"}"},
        {"no JSON", POD("{\\\"a\\\":\\\"x\\\"", C("a", "h.io/hub/library/x") "," C("b", "y")),
         "{\"b\":\"y\"}"},
        {"no object", POD("[\\\"a\\\"]", C("a", "h.io/hub/library/x") "," C("b", "y")),
         "{\"b\":\"y\"}"},
        {"no texts",
         POD("{\\\"a\\\":\\\"x\\\",\\\"n\\\":5}", C("a", "h.io/hub/library/x") "," C("b", "y")),
         "{\"b\":\"y\"}"},
        {"empty", POD("", C("a", "h.io/hub/library/x") "," C("b", "y")), "{\"b\":\"y\"}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice value = {0};
        bool too_large;
        bool written = value_of(cases[i].pod, REVIEW_POD_CREATE, &arena, &value, &too_large);
        check_number(cases[i].name, "written", written, cases[i].value != NULL);
        check_number(cases[i].name, "too large", too_large, 0);
        if (cases[i].value)
            check_text(cases[i].name, "the value", value, cases[i].value);
        arena_done(&arena);
    }
}

static void test_not_for_ephemeral_containers(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice value;
    bool too_large = true;
    assert_false(value_of("{\"spec\":{\"ephemeralContainers\":[" C("c", "x") "]}}",
                          REVIEW_EPHEMERAL_CONTAINERS, &arena, &value, &too_large));
    assert_false(too_large);
    arena_done(&arena);
}

/* --- the limit: all keys and values together may have 262,144 bytes, ours included --- */

/* The Pod's annotations: a filler of `filler` bytes under the key "f", and ours with the value
 * `before` (NULL: not there). Ours will be {"c":"x"}: 9 bytes, and 31 of its key. */
static void check_limit(const char *name, size_t filler, const char *before, bool fits)
{
    struct arena arena = {0};
    struct slice value;
    bool too_large;
    char *text = arena_allocate(&arena, filler + 1);
    memset(text, 'a', filler);
    struct slice ours = before ? arena_format(&arena, ",\"" KEY "\":%s", before) : SLICE("");
    struct slice pod = arena_format(&arena,
                                    "{\"metadata\":{\"annotations\":{\"f\":\"%s\"%.*s}},\"spec\":{"
                                    "\"containers\":[" C("c", "x") "]}}",
                                    text, SLICE_ARGS(ours));
    bool written = value_of(pod.base, REVIEW_POD_CREATE, &arena, &value, &too_large);
    check_number(name, "written", written, fits);
    check_number(name, "too large", too_large, !fits);
    arena_done(&arena);
}

static void test_limit(void **state)
{
    (void)state;
    enum { OURS = 31 + 9, FILLER_KEY = 1, LIMIT = 262144 };
    assert_int_equal(ANNOTATIONS_MAX_SIZE, LIMIT);
    assert_int_equal(strlen(KEY), 31);
    check_limit("exactly", LIMIT - OURS - FILLER_KEY, NULL, true);
    check_limit("one over", LIMIT - OURS - FILLER_KEY + 1, NULL, false);
    /* what is replaced does not count */
    check_limit("exactly, in place of a longer one", LIMIT - OURS - FILLER_KEY,
                "\"{\\\"c\\\":\\\"0123456789\\\"}\"", true);
    check_limit("one over, in place of a longer one", LIMIT - OURS - FILLER_KEY + 1,
                "\"{\\\"c\\\":\\\"0123456789\\\"}\"", false);
    check_limit("exactly, in place of an empty one", LIMIT - OURS - FILLER_KEY, "\"\"", true);
    check_limit("one over, in place of an empty one", LIMIT - OURS - FILLER_KEY + 1, "\"\"", false);
    check_limit("exactly, in place of null", LIMIT - OURS - FILLER_KEY, "null", true);
    check_limit("one over, in place of null", LIMIT - OURS - FILLER_KEY + 1, "null", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_not_for_ephemeral_containers),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
