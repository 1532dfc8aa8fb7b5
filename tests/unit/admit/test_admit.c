/* admit(): every byte of the answer to each recorded review, in both modes and with everything that
 * a Policy can change; that a second pass changes nothing; and what is no review. */
#include "admit/admit.h"

#include "base/base64.h"
#include "base/digest.h"
#include "tests/unit/check.h"
#include "tests/unit/json_patch.h"

#define REVIEWS "tests/data/admission-reviews/"

/* The Policy `plain` changes images only, `full` pull secrets and pull policies as well. */
#define SET(name, more)                                                                            \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: Harbor\n"                                                                               \
    "metadata: {name: h}\n"                                                                        \
    "spec: {host: harbor.example.com, registries: {docker.io: hub, quay.io: quay}}\n"              \
    "---\n"                                                                                        \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: Policy\n"                                                                               \
    "metadata: {name: " name "}\n"                                                                 \
    "spec:\n"                                                                                      \
    "  namespaces: [monitoring, apps]\n" more

static const char plain[] = SET("plain", "");
static const char full[] = SET("full", "  pullSecret: harbor-pull\n  pullPolicy: Always\n");

/* --- answers, put together --- */

struct golden {
    const char *file, *uid;
    const char *patch;       /* decoded; NULL: none */
    const char *annotations; /* members of auditAnnotations; NULL: none at all */
};

static struct slice expected_answer(const char *version, const char *uid, const char *patch,
                                    const char *annotations, struct arena *arena)
{
    struct buffer b = {0};
    buffer_append_format(&b,
                         "{\"apiVersion\":\"%s\",\"kind\":\"AdmissionReview\",\"response\":{"
                         "\"uid\":\"%s\",\"allowed\":true",
                         version, uid);
    if (patch) {
        buffer_append_text(&b, ",\"patchType\":\"JSONPatch\",\"patch\":\"");
        base64_append(&b, slice_from(patch));
        buffer_append_text(&b, "\"");
    }
    if (annotations)
        buffer_append_format(&b, ",\"auditAnnotations\":{%s}", annotations);
    buffer_append_text(&b, "}}");
    struct slice text = arena_copy(arena, buffer_slice(&b));
    buffer_done(&b);
    return text;
}

static struct slice answer_to(const struct policies *policies, enum admit_webhook webhook,
                              enum mode mode, struct slice body, struct arena *arena,
                              struct admission *ret)
{
    struct buffer out = {0};
    struct error error = {""};
    if (!admit(
            &(struct admit_request){
                .policies = policies, .webhook = webhook, .mode = mode, .body = body},
            arena, &out, ret, &error))
        CHECK_FAIL("refused: %s", error.text);
    struct slice answer = arena_copy(arena, buffer_slice(&out));
    buffer_done(&out);
    return answer;
}

/* The decoded patch of an answer; empty for none. */
static struct slice patch_of(struct slice answer, struct arena *arena)
{
    const struct json_node *response = node_member(node_parse(answer, arena), SLICE("response"));
    const struct json_node *patch = node_member(response, SLICE("patch"));
    const struct json_node *type = node_member(response, SLICE("patchType"));
    struct slice decoded = {0};
    assert_int_equal(patch != NULL, type != NULL);
    if (patch && type) {
        check_text("the answer", "patchType", type->text, "JSONPatch");
        assert_true(base64_decode(patch->text, arena, &decoded));
        assert_true(decoded.len > 0);
    }
    return decoded;
}

/* The review with its object as the patch leaves it. */
static struct slice patched_review(struct slice body, struct slice patch, struct arena *arena)
{
    struct json_node *review = node_parse(body, arena);
    struct json_node *operations = node_parse(patch, arena);
    const char *problem = json_patch_apply(
        node_member(node_member(review, SLICE("request")), SLICE("object")), operations, arena);
    if (problem || !review)
        CHECK_FAIL("%s in %.*s", problem, SLICE_ARGS(patch));
    struct buffer out = {0};
    node_write(review, &out);
    struct slice copy = arena_copy(arena, buffer_slice(&out));
    buffer_done(&out);
    return copy;
}

/* --- the recorded reviews --- */

/* A decision as an audit annotation's value, escaped. `key` is image-NAME or volume-NAME. */
#define NOTE(key, what, field, name, image, result, policy, bucket)                                \
    "\"" key "\":\"{\\\"field\\\":\\\"/spec/" field "\\\",\\\"" what "\\\":\\\"" name              \
    "\\\",\\\"image\\\":\\\"" image "\\\",\\\"result\\\":\\\"harbor.example.com/" result           \
    "\\\",\\\"rewrite\\\":{\\\"outcome\\\":\\\"rewrite\\\",\\\"reason\\\":\\\"rewritten\\\"},"     \
    "\\\"policy\\\":\\\"" policy "\\\",\\\"source\\\":\\\"p.yaml:6\\\",\\\"bucket\\\":" bucket     \
    "}\""
#define SIDECAR_DIGEST "@sha256:5b5c5e1b3b5c5e1b3b5c5e1b3b5c5e1b3b5c5e1b3b5c5e1b3b5c5e1b3b5c5e1b"
#define REPLACE(path, value)                                                                       \
    "{\"op\":\"replace\",\"path\":\"/spec/" path "\",\"value\":\"" value "\"}"
#define IMAGE(path, value) REPLACE(path, "harbor.example.com/" value)

/* Everything but what is in the patch is the same for both Policies; P is the Policy's name. */
#define DEPLOYMENT_NOTES(P)                                                                        \
    "\"policy\":\"" P "\"," NOTE(                                                                  \
        "image-chown", "container", "initContainers/0/image", "chown", "busybox:1.36",             \
        "hub/library/busybox:1.36", P,                                                             \
        "74") "," NOTE("image-vault-agent", "container", "initContainers/1/image", "vault-agent",  \
                       "hashicorp/vault:1.17", "hub/hashicorp/vault:1.17", P,                      \
                       "74") "," NOTE("image-grafana", "container", "containers/0/image",          \
                                      "grafana", "grafana/grafana:11.1.0",                         \
                                      "hub/grafana/grafana:11.1.0", P,                             \
                                      "74") "," NOTE("image-sidecar", "container",                 \
                                                     "containers/1/image", "sidecar",              \
                                                     "quay.io/kiwigrid/"                           \
                                                     "k8s-sidecar:1.27.4" SIDECAR_DIGEST,          \
                                                     "quay/kiwigrid/"                              \
                                                     "k8s-sidecar:1.27.4" SIDECAR_DIGEST,          \
                                                     P, "74")
#define DEPLOYMENT_ORIGINALS                                                                       \
    "{\"op\":\"add\",\"path\":\"/metadata/annotations/harbor-pilot.io~1original-images\","         \
    "\"value\":\"{\\\"chown\\\":\\\"busybox:1.36\\\",\\\"vault-agent\\\":"                         \
    "\\\"hashicorp/vault:1.17\\\",\\\"grafana\\\":\\\"grafana/grafana:11.1.0\\\","                 \
    "\\\"sidecar\\\":\\\"quay.io/kiwigrid/k8s-sidecar:1.27.4" SIDECAR_DIGEST "\\\"}\"}"
#define ADD_ORIGINALS(key, image)                                                                  \
    "{\"op\":\"add\",\"path\":\"/metadata/annotations\",\"value\":{"                               \
    "\"harbor-pilot.io/original-images\":\"{\\\"" key "\\\":\\\"" image "\\\"}\"}}"
#define ADD_SECRETS                                                                                \
    "{\"op\":\"add\",\"path\":\"/spec/imagePullSecrets\",\"value\":[{\"name\":\"harbor-pull\"}]}"
#define STATEFULSET_NOTES(P)                                                                       \
    "\"policy\":\"" P "\"," NOTE("image-postgres", "container", "containers/0/image", "postgres",  \
                                 "postgres:16", "hub/library/postgres:16", P, "30")
#define VOLUME_NOTES(P)                                                                            \
    "\"policy\":\"" P "\"," NOTE("volume-model", "volume", "volumes/0/image/reference", "model",   \
                                 "quay.io/org/model:v1", "quay/org/model:v1", P, "73")
#define EPHEMERAL_NOTES(P)                                                                         \
    "\"policy\":\"" P "\"," NOTE("image-dbg2", "container", "ephemeralContainers/1/image", "dbg2", \
                                 "quay.io/x/dbg:2", "quay/x/dbg:2", P, "73")
#define GRAFANA_NOTES(P)                                                                           \
    "\"policy\":\"" P                                                                              \
    "\"," NOTE("image-init-chown-data", "container", "initContainers/0/image", "init-chown-data",  \
               "busybox:1.36", "hub/library/busybox:1.36", P,                                      \
               "74") "," NOTE("image-grafana", "container", "containers/0/image", "grafana",       \
                              "grafana/grafana:11.1.0", "hub/grafana/grafana:11.1.0", P,           \
                              "74") "," NOTE("image-sidecar", "container", "containers/1/image",   \
                                             "sidecar", "quay.io/kiwigrid/k8s-sidecar:1.27.4",     \
                                             "quay/kiwigrid/k8s-sidecar:1.27.4", P, "74")
#define GRAFANA_ORIGINALS                                                                          \
    "{\"op\":\"add\",\"path\":\"/metadata/annotations/harbor-pilot.io~1original-images\","         \
    "\"value\":\"{\\\"init-chown-data\\\":\\\"busybox:1.36\\\",\\\"grafana\\\":"                   \
    "\\\"grafana/grafana:11.1.0\\\",\\\"sidecar\\\":\\\"quay.io/kiwigrid/k8s-sidecar:1.27.4\\\"}"  \
    "\"}"

#define DEPLOYMENT_UID  "da9ef332-e016-470b-998b-f0036dffc341"
#define MIRROR_UID      "69b04434-5317-44bc-b467-07fa82ccbabd"
#define GRAFANA_UID     "705ab4f5-6393-11e8-b7cc-42010a800002"
#define VOLUME_UID      "b5d983c9-0fb5-4b01-8e3a-9d24154e1b2e"
#define STATEFULSET_UID "5bde7f41-ca7f-49ac-b5b1-58e529a8d168"
#define DELETE_UID      "9d72f177-1472-46e3-9243-f311a229f4ca"
#define EPHEMERAL_UID   "a1956959-a5ca-4013-93ca-f84249285d03"
#define LABEL_UID       "8e4444e4-e9ff-4bf1-96f8-ed986d8f0a33"

static const struct golden plain_answers[] = {
    {"create-deployment-pod.json", DEPLOYMENT_UID,
     "[" IMAGE("initContainers/0/image", "hub/library/busybox:1.36") "," IMAGE(
         "initContainers/1/image",
         "hub/hashicorp/vault:1.17") "," IMAGE("containers/0/image",
                                               "hub/grafana/grafana:11.1.0") "," IMAGE("containers/"
                                                                                       "1/image",
                                                                                       "quay/"
                                                                                       "kiwigrid/"
                                                                                       "k8s-"
                                                                                       "sidecar:1."
                                                                                       "27."
                                                                                       "4" SIDECAR_DIGEST) "," DEPLOYMENT_ORIGINALS
                                                                                                           "]",
     DEPLOYMENT_NOTES("plain")},
    {"create-mirror-pod.json", MIRROR_UID, NULL, "\"policy\":\"plain\""},
    {"create-pod-8k.json", GRAFANA_UID,
     "[" IMAGE("initContainers/0/image", "hub/library/busybox:1.36") "," IMAGE(
         "containers/0/image",
         "hub/grafana/grafana:11.1.0") "," IMAGE("containers/1/image",
                                                 "quay/kiwigrid/k8s-sidecar:1.27.4") "," GRAFANA_ORIGINALS
                                                                                     "]",
     GRAFANA_NOTES("plain")},
    {"create-pod-image-volume.json", VOLUME_UID,
     "[" IMAGE("volumes/0/image/reference",
               "quay/org/model:v1") "," ADD_ORIGINALS("volume/model", "quay.io/org/model:v1") "]",
     VOLUME_NOTES("plain")},
    {"create-statefulset-pod.json", STATEFULSET_UID,
     "[" IMAGE("containers/0/image",
               "hub/library/postgres:16") "," ADD_ORIGINALS("postgres", "postgres:16") "]",
     STATEFULSET_NOTES("plain")},
    {"delete-pod.json", DELETE_UID, NULL, NULL},
    {"update-ephemeralcontainers-second.json", EPHEMERAL_UID,
     "[" IMAGE("ephemeralContainers/1/image", "quay/x/dbg:2") "]", EPHEMERAL_NOTES("plain")},
    {"update-pod-label.json", LABEL_UID, NULL, NULL},
};

static const struct golden full_answers[] = {
    {"create-deployment-pod.json", DEPLOYMENT_UID,
     "[" IMAGE("initContainers/0/image", "hub/library/busybox:1.36") "," REPLACE("initContainers/0/imagePullPolicy", "Always") "," IMAGE("initContainers/1/image", "hub/hashicorp/vault:1.17") "," REPLACE(
         "initContainers/1/"
         "imagePullPolicy",
         "Always") "," IMAGE("conta"
                             "iners"
                             "/0/"
                             "imag"
                             "e",
                             "hub/"
                             "grafa"
                             "na/"
                             "grafa"
                             "na:"
                             "11.1."
                             "0") "," REPLACE("containers/0/imagePullPolicy",
                                              "Always") "," IMAGE("containers/1/image",
                                                                  "quay/kiwigrid/k8s-sidecar:1.27.4" SIDECAR_DIGEST) "," REPLACE("containers/1/imagePullPolicy",
                                                                                                                                 "Always") "," ADD_SECRETS
                                                                                                                                           "," DEPLOYMENT_ORIGINALS
                                                                                                                                           "]",
     DEPLOYMENT_NOTES("full")},
    {"create-mirror-pod.json", MIRROR_UID, NULL, "\"policy\":\"full\""},
    {"create-pod-image-volume.json", VOLUME_UID,
     "[" IMAGE("volumes/0/image/reference", "quay/org/model:v1") "," REPLACE(
         "volumes/0/image/pullPolicy",
         "Always") "," ADD_SECRETS "," ADD_ORIGINALS("volume/model", "quay.io/org/model:v1") "]",
     VOLUME_NOTES("full")},
    {"create-statefulset-pod.json", STATEFULSET_UID,
     "[" IMAGE("containers/0/image", "hub/library/postgres:16") "," REPLACE(
         "containers/0/imagePullPolicy",
         "Always") ","
                   "{\"op\":\"add\",\"path\":\"/spec/imagePullSecrets/"
                   "-\",\"value\":{\"name\":\"harbor-pull\"}}," ADD_ORIGINALS("postgres",
                                                                              "postgres:16") "]",
     STATEFULSET_NOTES("full")},
    {"delete-pod.json", DELETE_UID, NULL, NULL},
    /* the secret is not there and cannot be added: kept */
    {"update-ephemeralcontainers-second.json", EPHEMERAL_UID, NULL, "\"policy\":\"full\""},
    {"update-pod-label.json", LABEL_UID, NULL, NULL},
};

static void check_goldens(const char *set_text, const struct golden *goldens, size_t count)
{
    struct policies *policies = load_right(set_text);
    for (size_t i = 0; i < count; i++) {
        const struct golden *g = &goldens[i];
        struct arena arena = {0};
        struct admission admission;
        char path[200];
        snprintf(path, sizeof(path), REVIEWS "%s", g->file);
        struct slice body = copy_exact(read_file(path, &arena));

        struct slice answer =
            answer_to(policies, ADMIT_MUTATE, MODE_ENFORCE, body, &arena, &admission);
        check_slice(
            g->file, "the answer in enforce", answer,
            expected_answer("admission.k8s.io/v1", g->uid, g->patch, g->annotations, &arena));
        check_text(g->file, "the result", slice_from(admit_result_name(admission.result)),
                   g->patch ? "patched" : "unchanged");
        check_number(g->file, "the patch's size", (long long)admission.patch_size,
                     g->patch ? (long long)strlen(g->patch) : 0);
        check_number(g->file, "decided", admission.decided, g->annotations != NULL);
        check_number(g->file, "applied", admission.applied, g->annotations != NULL);

        if (g->patch) {
            struct slice second = patched_review(body, slice_from(g->patch), &arena);
            struct slice again =
                answer_to(policies, ADMIT_MUTATE, MODE_ENFORCE, second, &arena, &admission);
            /* the second round writes no annotation that the first wrote with another value */
            char policy[100];
            snprintf(policy, sizeof(policy), "\"policy\":\"%.*s\"",
                     SLICE_ARGS(admission.decisions.policy->name));
            check_slice(g->file, "the answer to a second pass", again,
                        expected_answer("admission.k8s.io/v1", g->uid, NULL, policy, &arena));
        }

        answer = answer_to(policies, ADMIT_MUTATE, MODE_AUDIT, body, &arena, &admission);
        check_slice(g->file, "the answer in audit", answer,
                    expected_answer("admission.k8s.io/v1", g->uid, NULL, g->annotations, &arena));
        check_number(g->file, "applied in audit", admission.applied, 0);
        check_text(g->file, "the mode in audit", slice_from(mode_name(admission.decisions.mode)),
                   "audit");

        answer = answer_to(NULL, ADMIT_MUTATE, MODE_ENFORCE, body, &arena, &admission);
        check_slice(g->file, "the answer without policies", answer,
                    expected_answer("admission.k8s.io/v1", g->uid, NULL, NULL, &arena));

        answer = answer_to(policies, ADMIT_VALIDATE, MODE_ENFORCE, body, &arena, &admission);
        check_slice(g->file, "the answer of validate", answer,
                    expected_answer("admission.k8s.io/v1", g->uid, NULL, NULL, &arena));
        free((char *)body.base);
        arena_done(&arena);
    }
    policies_unref(policies);
}

static void test_recorded_reviews(void **state)
{
    (void)state;
    check_goldens(plain, plain_answers, COUNT(plain_answers));
    check_goldens(full, full_answers, COUNT(full_answers));
}

/* --- one review made by hand --- */

#define REVIEW(version, request)                                                                   \
    "{\"apiVersion\":\"admission.k8s.io/" version                                                  \
    "\",\"kind\":\"AdmissionReview\",\"request\":{" request "}}"
#define CREATE(namespace_, object)                                                                 \
    "\"uid\":\"u\",\"kind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"},\"namespace\":"   \
    "\"" namespace_ "\",\"operation\":\"CREATE\",\"object\":" object
#define POD(container) "{\"metadata\":{},\"spec\":{\"containers\":[{" container "}]}}"

static void check_answer(const char *name, const char *set_text, const char *body,
                         const char *version, const char *patch, const char *annotations)
{
    struct arena arena = {0};
    struct admission admission;
    struct policies *policies = load_right(set_text);
    struct slice answer =
        answer_to(policies, ADMIT_MUTATE, MODE_ENFORCE, slice_from(body), &arena, &admission);
    check_slice(name, "the answer", answer,
                expected_answer(version, "u", patch, annotations, &arena));
    policies_unref(policies);
    arena_done(&arena);
}

#define X_PATCH "[" IMAGE("containers/0/image", "hub/library/x") "," ADD_ORIGINALS("c", "x") "]"
#define X_NOTES                                                                                    \
    "\"policy\":\"plain\"," NOTE("image-c", "container", "containers/0/image", "c", "x",           \
                                 "hub/library/x", "plain", "34")

static void test_made_by_hand(void **state)
{
    (void)state;
    check_answer("v1", plain, REVIEW("v1", CREATE("apps", POD("\"name\":\"c\",\"image\":\"x\""))),
                 "admission.k8s.io/v1", X_PATCH, X_NOTES);
    check_answer("v1beta1 is answered in kind", plain,
                 REVIEW("v1beta1", CREATE("apps", POD("\"name\":\"c\",\"image\":\"x\""))),
                 "admission.k8s.io/v1beta1", X_PATCH, X_NOTES);
    check_answer("not registered", plain,
                 REVIEW("v1", CREATE("elsewhere", POD("\"name\":\"c\",\"image\":\"x\""))),
                 "admission.k8s.io/v1", NULL, NULL);
    check_answer("protected", plain,
                 REVIEW("v1", CREATE("kube-system", POD("\"name\":\"c\",\"image\":\"x\""))),
                 "admission.k8s.io/v1", NULL, NULL);
    check_answer("no object", plain, REVIEW("v1", CREATE("apps", "null")), "admission.k8s.io/v1",
                 NULL, "\"policy\":\"plain\"");
    check_answer("without metadata no annotation can be added", plain,
                 REVIEW("v1", CREATE("apps", "{\"spec\":{\"containers\":[{\"name\":\"c\","
                                             "\"image\":\"x\"}]}}")),
                 "admission.k8s.io/v1", "[" IMAGE("containers/0/image", "hub/library/x") "]",
                 X_NOTES);
    check_answer(
        "a pull policy that is missing is added", full,
        REVIEW("v1", CREATE("apps", POD("\"name\":\"c\",\"image\":\"x\""))), "admission.k8s.io/v1",
        "[" IMAGE("containers/0/image", "hub/library/x") ","
                                                         "{\"op\":\"add\",\"path\":\"/spec/"
                                                         "containers/0/imagePullPolicy\",\"value\":"
                                                         "\"Always\"}," ADD_SECRETS
                                                         "," ADD_ORIGINALS("c", "x") "]",
        "\"policy\":\"full\"," NOTE("image-c", "container", "containers/0/image", "c", "x",
                                    "hub/library/x", "full", "34"));
    check_answer("only the secret, for an image that was there before", full,
                 REVIEW("v1", CREATE("apps", POD("\"name\":\"c\",\"image\":"
                                                 "\"harbor.example.com/p/x\""))),
                 "admission.k8s.io/v1", "[" ADD_SECRETS "]", "\"policy\":\"full\"");
    check_answer("a name that no container may have is no key", plain,
                 REVIEW("v1", CREATE("apps", POD("\"name\":\"C/d\",\"image\":\"x\""))),
                 "admission.k8s.io/v1",
                 "[" IMAGE("containers/0/image", "hub/library/x") "," ADD_ORIGINALS("C/d", "x") "]",
                 "\"policy\":\"plain\"");
}

/* --- audit annotation keys --- */

static void test_annotation_keys(void **state)
{
    (void)state;
    /* a name over 48 is its first 39, '-' and 8 hexadecimal digits of its SHA-256 */
    static const char name[] = "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-12345678";
    struct policies *policies = load_right(plain);
    for (int volume = 0; volume < 2; volume++)
        for (int len = 1; len <= 62; len++) {
            struct arena arena = {0};
            struct admission admission;
            char hex[DIGEST_SHA256_HEX_SIZE], last = name[len - 1];
            if (last == '-')
                continue; /* no label */
            digest_sha256_hex(slice_of(name, (size_t)len), hex);
            const char *list = volume ? "volumes" : "containers";
            const char *member = volume ? "\"image\":{\"reference\":\"x\"}" : "\"image\":\"x\"";
            struct slice body = arena_format(
                &arena,
                REVIEW("v1", CREATE("apps", "{\"spec\":{\"%s\":[{\"name\":\"%.*s\",%s}]}}")), list,
                len, name, member);
            struct slice answer =
                answer_to(policies, ADMIT_MUTATE, MODE_AUDIT, body, &arena, &admission);
            const char *prefix = volume ? "volume" : "image";
            struct slice key = len <= 48
                                   ? arena_format(&arena, "\"%s-%.*s\":", prefix, len, name)
                                   : arena_format(&arena, "\"%s-%.39s-%.8s\":", prefix, name, hex);
            if (!memmem(answer.base, answer.len, key.base, key.len))
                CHECK_FAIL("no key %s in %.*s", key.base, SLICE_ARGS(answer));
            assert_true(key.len - 3 <= 63);
            arena_done(&arena);
        }
    policies_unref(policies);
}

/* --- what is no review, and too much of one --- */

static void test_no_review(void **state)
{
    (void)state;
    static const struct {
        const char *body, *text;
    } cases[] = {
        {"", "the body is not JSON: at byte 0, expected an object"},
        {"[]", "the body is not JSON: at byte 0, expected an object"},
        {"{", "the body is not JSON: at byte 1, expected a string or '}'"},
        {"{}", "kind is ``, expected `AdmissionReview`"},
        {"{\"kind\":\"Pod\\n\"}", "kind is `Pod?`, expected `AdmissionReview`"},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v2\",\"request\":{}}",
         "apiVersion is `admission.k8s.io/v2`, expected `admission.k8s.io/v1` or "
         "`admission.k8s.io/v1beta1`"},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"response\":{}}",
         "the AdmissionReview has no `request` object: expected the call of an API server, not an "
         "answer"},
        {REVIEW("v1", "\"uid\":\"\""), "`request.uid` is missing: expected a text to answer with"},
    };
    struct policies *policies = load_right(plain);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct admission admission;
        struct buffer out = {0};
        struct error error = {""};
        if (admit(&(struct admit_request){.policies = policies,
                                          .webhook = ADMIT_MUTATE,
                                          .mode = MODE_AUDIT,
                                          .body = slice_from(cases[i].body)},
                  &arena, &out, &admission, &error))
            CHECK_FAIL("was taken: %s", cases[i].body);
        check_text(cases[i].body, "the text", slice_from(error.text), cases[i].text);
        assert_int_equal(out.len, 0);
        assert_int_equal(admission.result, ADMIT_INVALID);
        assert_int_equal(admission.webhook, ADMIT_MUTATE);
        assert_int_equal(admission.decisions.mode, MODE_AUDIT);
        assert_false(admission.decided);
        buffer_done(&out);
        arena_done(&arena);
    }
    policies_unref(policies);
}

static void test_too_many_images(void **state)
{
    (void)state;
    struct policies *policies = load_right(plain);
    for (size_t count = POD_MAX_IMAGES; count <= POD_MAX_IMAGES + 1; count++) {
        struct arena arena = {0};
        struct admission admission;
        struct buffer body = {0};
        buffer_append_text(&body, "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":"
                                  "\"AdmissionReview\",\"request\":{" CREATE(
                                      "apps", "{\"metadata\":{},\"spec\":{\"containers\":["));
        for (size_t i = 0; i < count; i++)
            buffer_append_format(&body, "%s{\"name\":\"c%zu\",\"image\":\"x\"}", i ? "," : "", i);
        buffer_append_text(&body, "]}}}}");
        struct slice answer = answer_to(policies, ADMIT_MUTATE, MODE_ENFORCE, buffer_slice(&body),
                                        &arena, &admission);
        bool over = count > POD_MAX_IMAGES;
        assert_int_equal(admission.too_many_images, over);
        assert_int_equal(admission.decided, !over);
        assert_int_equal(patch_of(answer, &arena).len == 0, over);
        buffer_done(&body);
        arena_done(&arena);
    }
    policies_unref(policies);
}

/* The annotation is left out where it would make the annotations larger than Kubernetes takes; the
 * images are rewritten all the same. */
static void test_originals_too_large(void **state)
{
    (void)state;
    struct policies *policies = load_right(plain);
    struct arena arena = {0};
    struct admission admission;
    char *filler = arena_allocate(&arena, 256 * 1024);
    memset(filler, 'a', 256 * 1024 - 10);
    struct slice body = arena_format(
        &arena,
        REVIEW("v1", CREATE("apps", "{\"metadata\":{\"annotations\":{\"f\":\"%s\"}},\"spec\":{"
                                    "\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]}}")),
        filler);
    struct slice answer = answer_to(policies, ADMIT_MUTATE, MODE_ENFORCE, body, &arena, &admission);
    assert_true(admission.originals_too_large);
    check_text("too large", "the patch", patch_of(answer, &arena),
               "[" IMAGE("containers/0/image", "hub/library/x") "]");
    policies_unref(policies);
    arena_done(&arena);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const results[] = {"patched", "unchanged", "denied", "invalid"};
    assert_int_equal(COUNT(results), ADMIT_RESULT_COUNT);
    for (size_t i = 0; i < COUNT(results); i++)
        assert_string_equal(admit_result_name((enum admit_result)i), results[i]);
    assert_string_equal(admit_webhook_name(ADMIT_MUTATE), "mutate");
    assert_string_equal(admit_webhook_name(ADMIT_VALIDATE), "validate");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_reviews),
        cmocka_unit_test(test_made_by_hand),
        cmocka_unit_test(test_annotation_keys),
        cmocka_unit_test(test_no_review),
        cmocka_unit_test(test_too_many_images),
        cmocka_unit_test(test_originals_too_large),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
