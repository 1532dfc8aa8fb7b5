/* Reading Pods: the four image fields and nothing else, members of wrong types, members that stand
 * twice, escapes, owners, and texts that end early. */
#include "kube/pod.h"

#include "tests/unit/check.h"

/* Reads a text that is right JSON; the arena keeps the copy. */
static struct pod read_pod(const char *json, struct arena *arena)
{
    struct pod pod;
    struct json_scanner s;
    memset(&pod, 0x5a, sizeof(pod));
    json_scanner_init(&s, arena_copy(arena, slice_from(json)));
    pod_read(&s, arena, &pod);
    if (!json_finish(&s))
        CHECK_FAIL("the test's Pod is no JSON: %s", json);
    return pod;
}

/* All images as "POINTER name=image policy" lines: '-' for an absent policy, '?' for one of another
 * type. */
static struct slice show_images(const struct pod *pod, struct arena *arena)
{
    struct slice all = SLICE("");
    for (size_t i = 0; i < pod->image_count; i++) {
        const struct image_field *f = &pod->images[i];
        struct slice policy = f->has_pull_policy == PRESENCE_HERE    ? f->pull_policy
                              : f->has_pull_policy == PRESENCE_OTHER ? SLICE("?")
                                                                     : SLICE("-");
        all = arena_format(arena, "%.*s%.*s %.*s=%.*s %.*s\n", SLICE_ARGS(all),
                           SLICE_ARGS(pod_field_pointer(f, arena)), SLICE_ARGS(f->name),
                           SLICE_ARGS(f->image), SLICE_ARGS(policy));
    }
    return all;
}

static void test_images(void **state)
{
    (void)state;
    static const struct {
        const char *name, *pod, *images;
    } cases[] = {
        {"every field",
         "{\"spec\":{\"volumes\":[{\"name\":\"d\",\"emptyDir\":{}},{\"name\":\"v\",\"image\":{"
         "\"reference\":\"q/v\",\"pullPolicy\":\"Always\"}}],\"initContainers\":[{\"name\":\"i\","
         "\"image\":\"init\"}],\"containers\":[{\"name\":\"a\"},{\"image\":\"x\",\"name\":\"b\","
         "\"imagePullPolicy\":\"Never\"}],\"ephemeralContainers\":[{\"name\":\"e\",\"image\":"
         "\"dbg\"}]}}",
         "/spec/volumes/1/image/reference v=q/v Always\n/spec/initContainers/0/image i=init -\n"
         "/spec/containers/1/image b=x Never\n/spec/ephemeralContainers/0/image e=dbg -\n"},
        {"images that are none of ours",
         "{\"spec\":{\"image\":\"a\",\"volumes\":[{\"name\":\"r\",\"rbd\":{\"image\":\"ceph\"}},"
         "{\"name\":\"s\",\"image\":\"text\"},{\"name\":\"t\",\"reference\":\"x\"}],\"containers\":"
         "["
         "{\"name\":\"c\",\"env\":[{\"name\":\"image\",\"image\":\"e\"}]}],\"template\":{\"spec\":{"
         "\"containers\":[{\"image\":\"t\"}]}}},\"status\":{\"containerStatuses\":[{\"image\":"
         "\"s\","
         "\"imageID\":\"i\"}]},\"containers\":[{\"image\":\"top\"}]}",
         ""},
        {"nulls and absent",
         "{\"metadata\":null,\"spec\":{\"volumes\":null,\"initContainers\":null,\"containers\":["
         "null,"
         "{},{\"name\":null,\"image\":null},{\"name\":\"c\",\"image\":\"\"},{\"name\":null,"
         "\"image\":"
         "\"x\",\"imagePullPolicy\":null}],\"ephemeralContainers\":null}}",
         "/spec/containers/4/image =x ?\n"},
        {"wrong types",
         "{\"spec\":{\"volumes\":{\"image\":{\"reference\":\"x\"}},\"initContainers\":\"x\","
         "\"containers\":[1,\"x\",[{\"image\":\"in a list\"}],true,{\"name\":1,\"image\":[\"x\"]},"
         "{\"name\":{},\"image\":\"y\",\"imagePullPolicy\":[\"Never\"]}],\"ephemeralContainers\":7}"
         "}",
         "/spec/containers/5/image =y ?\n"},
        {"a spec that is none", "{\"spec\":[{\"containers\":[{\"image\":\"x\"}]}]}", ""},
        {"escapes",
         "{\"sp\\u0065c\":{\"conta\\u0069ners\":[{\"n\\u0061me\":\"\\u0063\\n\",\"im\\u0061ge\":"
         "\"\\u0078\\/\\ud83d\\ude00\",\"imagePullPolicy\":\"\\u0041lways\"}]}}",
         "/spec/containers/0/image c\n=x/\xf0\x9f\x98\x80 Always\n"},
        {"of members that stand twice the last counts",
         "{\"spec\":{\"containers\":[{\"name\":\"gone\",\"image\":\"gone\"}],\"imagePullSecrets\":["
         "{}]},"
         "\"spec\":{\"containers\":[{\"image\":\"gone\"},{\"image\":\"gone\"}],\"initContainers\":["
         "{"
         "\"name\":\"i\",\"image\":\"kept\"}],\"containers\":[{\"name\":\"x\",\"image\":\"a\","
         "\"name\":"
         "\"c\",\"image\":\"b\",\"imagePullPolicy\":\"Never\",\"imagePullPolicy\":\"Always\"}]}}",
         "/spec/initContainers/0/image i=kept -\n/spec/containers/0/image c=b Always\n"},
        {"also where the last is null",
         "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"a\",\"image\":null}],"
         "\"initContainers\":[{\"image\":\"i\"}],\"initContainers\":null,\"volumes\":[{\"name\":"
         "\"v\","
         "\"image\":{\"reference\":\"r\",\"pullPolicy\":\"Never\"},\"image\":null},{\"name\":\"w\","
         "\"image\":{\"reference\":\"r\",\"pullPolicy\":\"Never\"},\"image\":{\"reference\":\"s\"}}"
         "]}}",
         "/spec/volumes/1/image/reference w=s -\n"},
        {"a spec that is null the second time",
         "{\"spec\":{\"containers\":[{\"image\":\"x\"}]},\"spec\":null}", ""},
        {"metadata after spec does not lose the images",
         "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]},\"metadata\":{\"name\":"
         "\"n\"}}",
         "/spec/containers/0/image c=x -\n"},
        {"null", "null", ""},
        {"a list", "[{\"spec\":{\"containers\":[{\"image\":\"x\"}]}}]", ""},
        {"text", "\"spec\"", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct pod pod = read_pod(cases[i].pod, &arena);
        check_text(cases[i].name, "the images", show_images(&pod, &arena), cases[i].images);
        assert_false(pod.too_many_images);
        arena_done(&arena);
    }
}

#define META(members)  "{\"metadata\":{" members "},\"spec\":{}}"
#define NOTES(members) META("\"annotations\":{" members "}")

static void test_annotations(void **state)
{
    (void)state;
    static const struct {
        const char *name, *pod;
        enum presence metadata, annotations, originals;
        const char *originals_text;
        size_t size;
        bool opted_out, mirror;
    } cases[] = {
        {"no metadata", "{}", PRESENCE_ABSENT, PRESENCE_ABSENT, PRESENCE_ABSENT, "", 0, false,
         false},
        {"null metadata", "{\"metadata\":null}", PRESENCE_OTHER, PRESENCE_ABSENT, PRESENCE_ABSENT,
         "", 0, false, false},
        {"no annotations", META(""), PRESENCE_HERE, PRESENCE_ABSENT, PRESENCE_ABSENT, "", 0, false,
         false},
        {"null annotations", META("\"annotations\":null"), PRESENCE_HERE, PRESENCE_OTHER,
         PRESENCE_ABSENT, "", 0, false, false},
        {"a list of annotations", META("\"annotations\":[{\"harbor-pilot.io/mode\":\"disabled\"}]"),
         PRESENCE_HERE, PRESENCE_OTHER, PRESENCE_ABSENT, "", 0, false, false},
        {"empty", NOTES(""), PRESENCE_HERE, PRESENCE_HERE, PRESENCE_ABSENT, "", 0, false, false},
        {"decoded bytes are counted", NOTES("\"a\\u0062\":\"\\u00fc\\n\",\"c\":\"\""),
         PRESENCE_HERE, PRESENCE_HERE, PRESENCE_ABSENT, "", 2 + 3 + 1, false, false},
        {"opted out", NOTES("\"harbor-pilot.io/mode\":\"disabled\""), PRESENCE_HERE, PRESENCE_HERE,
         PRESENCE_ABSENT, "", 28, true, false},
        {"opted out in escapes", NOTES("\"harbor-pilot.io\\/mode\":\"disa\\u0062led\""),
         PRESENCE_HERE, PRESENCE_HERE, PRESENCE_ABSENT, "", 28, true, false},
        {"another mode", NOTES("\"harbor-pilot.io/mode\":\"Disabled\""), PRESENCE_HERE,
         PRESENCE_HERE, PRESENCE_ABSENT, "", 28, false, false},
        {"a mode of no text", NOTES("\"harbor-pilot.io/mode\":true"), PRESENCE_HERE, PRESENCE_HERE,
         PRESENCE_ABSENT, "", 20, false, false},
        {"the last mode counts",
         NOTES("\"harbor-pilot.io/mode\":\"disabled\",\"harbor-pilot.io/mode\":\"\""),
         PRESENCE_HERE, PRESENCE_HERE, PRESENCE_ABSENT, "", 20, false, false},
        {"mirror, whatever its value", NOTES("\"kubernetes.io/config.mirror\":\"\""), PRESENCE_HERE,
         PRESENCE_HERE, PRESENCE_ABSENT, "", 27, false, true},
        {"originals", NOTES("\"harbor-pilot.io/original-images\":\"{\\\"a\\\":\\\"b\\\"}\""),
         PRESENCE_HERE, PRESENCE_HERE, PRESENCE_HERE, "{\"a\":\"b\"}", 40, false, false},
        {"null originals", NOTES("\"harbor-pilot.io/original-images\":null"), PRESENCE_HERE,
         PRESENCE_HERE, PRESENCE_OTHER, "", 31, false, false},
        {"the last annotations count",
         META("\"annotations\":{\"kubernetes.io/config.mirror\":\"\",\"harbor-pilot.io/mode\":"
              "\"disabled\",\"harbor-pilot.io/"
              "original-images\":\"x\"},\"annotations\":{\"a\":\"b\"}"),
         PRESENCE_HERE, PRESENCE_HERE, PRESENCE_ABSENT, NULL, 2, false, false},
        {"the last metadata counts",
         "{\"metadata\":{\"annotations\":{\"harbor-pilot.io/mode\":\"disabled\"}},\"metadata\":{}}",
         PRESENCE_HERE, PRESENCE_ABSENT, PRESENCE_ABSENT, "", 0, false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct pod pod = read_pod(cases[i].pod, &arena);
        const char *name = cases[i].name;
        check_number(name, "metadata", pod.has_metadata, cases[i].metadata);
        check_number(name, "annotations", pod.has_annotations, cases[i].annotations);
        check_number(name, "originals", pod.has_original_images, cases[i].originals);
        if (cases[i].originals_text)
            check_text(name, "the originals", pod.original_images, cases[i].originals_text);
        check_number(name, "the size", (long long)pod_annotations_size(&pod, &arena),
                     (long long)cases[i].size);
        check_number(name, "opted out", pod.opted_out, cases[i].opted_out);
        check_number(name, "mirror", pod.mirror, cases[i].mirror);
        arena_done(&arena);
    }
}

#define OWNER(members) "\"ownerReferences\":[{" members "}]"

static void test_owners(void **state)
{
    (void)state;
    static const struct {
        const char *name, *pod, *owner; /* "group|kind|name", NULL: none */
    } cases[] = {
        {"none", META(""), NULL},
        {"null", META("\"ownerReferences\":null"), NULL},
        {"an object", META("\"ownerReferences\":{\"controller\":true}"), NULL},
        {"a ReplicaSet",
         META(OWNER(
             "\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"r\",\"uid\":\"u\","
             "\"controller\":true")),
         "apps|ReplicaSet|r"},
        {"of the core group",
         META(OWNER("\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":\"n\",\"controller\":true")),
         "|Node|n"},
        {"no controller",
         META(OWNER("\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":\"n\",\"controller\":false")),
         NULL},
        {"not said", META(OWNER("\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":\"n\"")), NULL},
        {"a controller that is text", META(OWNER("\"kind\":\"Node\",\"controller\":\"true\"")),
         NULL},
        {"the controller of several",
         META("\"ownerReferences\":[null,{\"apiVersion\":\"a/v1\",\"kind\":\"A\",\"name\":\"a\"},"
              "{\"controller\":true,\"apiVersion\":\"b.c/v1\",\"kind\":\"B\",\"name\":\"b\"},"
              "{\"controller\":true,\"apiVersion\":\"d/v1\",\"kind\":\"D\",\"name\":\"d\"}]"),
         "b.c|B|b"},
        {"of nothing known", META(OWNER("\"controller\":true")), "||"},
        {"the last list counts",
         META(OWNER("\"controller\":true,\"kind\":\"K\"") ",\"ownerReferences\":[]"), NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct pod pod = read_pod(cases[i].pod, &arena);
        check_number(cases[i].name, "a controller", pod.has_controller, cases[i].owner != NULL);
        if (cases[i].owner) {
            const struct owner *o = &pod.controller;
            check_text(cases[i].name, "the controller",
                       arena_format(&arena, "%.*s|%.*s|%.*s", SLICE_ARGS(o->group),
                                    SLICE_ARGS(o->kind), SLICE_ARGS(o->name)),
                       cases[i].owner);
        }
        arena_done(&arena);
    }
}

static void test_names_labels_and_secrets(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct pod pod = read_pod(
        "{\"metadata\":{\"name\":\"n\",\"generateName\":\"g-\",\"namespace\":\"s\",\"labels\":{"
        "\"a\":"
        "\"b\",\"pod-template-hash\":\"h\"}},\"spec\":{\"imagePullSecrets\":[{\"name\":\"a\"},null,"
        "{},{\"name\":5},{\"name\":\"b\"}]}}",
        &arena);
    check_text("pod", "name", pod.name, "n");
    check_text("pod", "generateName", pod.generate_name, "g-");
    check_text("pod", "namespace", pod.namespace_, "s");
    check_text("pod", "hash", pod.template_hash, "h");
    assert_int_equal(pod.has_pull_secrets, PRESENCE_HERE);
    assert_int_equal(pod.pull_secret_count, 5);
    check_text("pod", "first secret", pod.pull_secrets[0], "a");
    check_text("pod", "fourth secret", pod.pull_secrets[3], "");
    check_text("pod", "fifth secret", pod.pull_secrets[4], "b");

    pod =
        read_pod("{\"metadata\":{\"labels\":{\"pod-template-hash\":\"h\"},\"labels\":null,\"name\":"
                 "{}},\"spec\":{\"imagePullSecrets\":null}}",
                 &arena);
    check_text("pod", "hash", pod.template_hash, "");
    check_text("pod", "name", pod.name, "");
    assert_int_equal(pod.has_pull_secrets, PRESENCE_OTHER);
    assert_int_equal(pod.pull_secret_count, 0);
    pod = read_pod("{\"spec\":{\"imagePullSecrets\":[{\"name\":\"a\"}],\"imagePullSecrets\":[]}}",
                   &arena);
    assert_int_equal(pod.has_pull_secrets, PRESENCE_HERE);
    assert_int_equal(pod.pull_secret_count, 0);
    pod = read_pod("{\"spec\":{\"imagePullSecrets\":[{\"name\":\"a\"}]},\"spec\":{}}", &arena);
    assert_int_equal(pod.has_pull_secrets, PRESENCE_ABSENT);
    assert_int_equal(pod.pull_secret_count, 0);
    arena_done(&arena);
}

/* A list without end costs nothing past its bound, and one that stands again and again uses the
 * memory of the first. */
static void test_lists_are_bounded(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct buffer text = {0};
    buffer_append_text(&text, "{\"spec\":{\"imagePullSecrets\":[{\"name\":\"first\"}");
    for (int i = 0; i < 2 * POD_MAX_PULL_SECRETS; i++)
        buffer_append_text(&text, ",{}");
    buffer_append_text(&text, "]}");
    for (int i = 0; i < 3; i++)
        buffer_append_text(&text, ",\"metadata\":{\"annotations\":{\"a\":\"b\",\"c\":\"d\"}}");
    buffer_append_text(&text, "}");
    struct pod pod = read_pod(text.base, &arena);
    assert_int_equal(pod.pull_secret_count, POD_MAX_PULL_SECRETS);
    check_text("pod", "first secret", pod.pull_secrets[0], "first");
    assert_int_equal(pod.annotation_count, 2);
    assert_int_equal(pod_annotations_size(&pod, &arena), 4);
    buffer_done(&text);
    arena_done(&arena);
}

static void test_too_many_images(void **state)
{
    (void)state;
    for (size_t count = POD_MAX_IMAGES; count <= POD_MAX_IMAGES + 1; count++) {
        struct arena arena = {0};
        struct buffer text = {0};
        struct json_scanner s;
        struct pod pod;
        buffer_append_text(&text, "{\"spec\":{\"containers\":[");
        for (size_t i = 0; i < count; i++)
            buffer_append_format(&text, "%s{\"image\":\"x%zu\"}", i ? "," : "", i);
        buffer_append_text(&text, "]}}");
        json_scanner_init(&s, buffer_slice(&text));
        pod_read(&s, &arena, &pod);
        assert_true(json_finish(&s));
        assert_int_equal(pod.too_many_images, count > POD_MAX_IMAGES);
        assert_int_equal(pod.image_count, count > POD_MAX_IMAGES ? 0 : count);
        if (count == POD_MAX_IMAGES) {
            check_text("many", "the last", pod.images[POD_MAX_IMAGES - 1].image, "x4095");
            assert_int_equal(pod.images[POD_MAX_IMAGES - 1].index, POD_MAX_IMAGES - 1);
        }
        buffer_done(&text);
        arena_done(&arena);
    }
}

static void test_truncated_at_every_byte(void **state)
{
    (void)state;
    static const char whole[] =
        "{\"metadata\":{\"name\":\"n\",\"labels\":{\"pod-template-hash\":\"h\"},\"annotations\":{"
        "\"a\":"
        "\"\\u00e4\"},\"ownerReferences\":[{\"apiVersion\":\"apps/"
        "v1\",\"kind\":\"K\",\"controller\":"
        "true}]},\"spec\":{\"volumes\":[{\"name\":\"v\",\"image\":{\"reference\":\"r\"}}],"
        "\"containers\":[{\"name\":\"c\",\"image\":\"x\"}],\"imagePullSecrets\":[{\"name\":\"s\"}]}"
        "}";
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        struct slice text = copy_exact(slice_of(whole, len));
        struct arena arena = {0};
        struct json_scanner s;
        struct pod pod;
        json_scanner_init(&s, text);
        pod_read(&s, &arena, &pod);
        if (json_finish(&s))
            CHECK_FAIL("taken: %.*s", SLICE_ARGS(text));
        arena_done(&arena);
        free((char *)text.base);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_annotations),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_names_labels_and_secrets),
        cmocka_unit_test(test_too_many_images),
        cmocka_unit_test(test_lists_are_bounded),
        cmocka_unit_test(test_truncated_at_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
