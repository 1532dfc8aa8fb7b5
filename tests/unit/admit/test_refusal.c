/* What the validating webhook answers, byte by byte: refusals, warnings, audit annotations, and the
 * limits of each. Names of images, containers and findings are as bad as they can be. */
#include "admit/refusal.h"

#include "admit/admit.h"
#include "harbor/facts_file.h"
#include "kube/workload.h"
#include "tests/unit/check.h"
#include "tests/unit/json_patch.h"

#define NOW 1795176000LL /* 2026-11-20T12:00:00Z */

#define HARBOR                                                                                     \
    "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\nspec:\n"             \
    "  host: harbor.example.com\n  registries: {docker.io: hub, quay.io: quay}\n"                  \
    "  api: {url: 'https://harbor.example.com'}\n"
#define POLICY(name, namespace_, more)                                                             \
    "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: " name "}\nspec:\n" \
    "  namespaces: [" namespace_ "]\n" more

/* Line 8 is the first of `gate`. */
static const char set_text[] =
    HARBOR POLICY("gate", "apps", "  findings: {severity: high}\n")
        POLICY("strict", "strict", "  findings: {unscanned: deny, unproxied: deny}\n")
            POLICY("soft", "soft", "  findings: {action: warn, unavailable: warn}\n")
                POLICY("audited", "audited", "  mode: audit\n  findings: {unscanned: deny}\n");

/* --- facts --- */

static const char facts_text[] =
    "{\"harbors\":{\"h\":{\"artifacts\":{"
    "\"hub/library/bad:1\":{\"present\":true,\"digest\":\"sha256:b1\",\"scan\":{"
    "\"status\":\"Success\",\"finished\":\"2026-11-20T02:11:09Z\",\"findings\":["
    "{\"id\":\"CVE-2026-1\",\"severity\":\"Critical\",\"package\":\"openssl\",\"fix\":\"3.0.22\"},"
    "{\"id\":\"CVE-2026-2\",\"severity\":\"High\",\"package\":\"zlib\"},"
    "{\"id\":\"CVE-2026-3\",\"severity\":\"Low\",\"package\":\"tar\"}]}},"
    "\"quay/o/worse:latest\":{\"present\":true,\"digest\":\"sha256:b2\",\"scan\":{"
    "\"finished\":\"2026-11-19T00:00:00Z\",\"findings\":["
    "{\"id\":\"C1\",\"severity\":\"Critical\",\"package\":\"p\"},"
    "{\"id\":\"C2\",\"severity\":\"Critical\",\"package\":\"p\"},"
    "{\"id\":\"C3\",\"severity\":\"Critical\",\"package\":\"p\"},"
    "{\"id\":\"C4\",\"severity\":\"Critical\",\"package\":\"p\"},"
    "{\"id\":\"C5\",\"severity\":\"Critical\",\"package\":\"p\"},"
    "{\"id\":\"C6\",\"severity\":\"Critical\",\"package\":\"p\"},"
    "{\"id\":\"C7\",\"severity\":\"High\",\"package\":\"p\"}]}},"
    "\"hub/library/good:1\":{\"present\":true,\"digest\":\"sha256:00\",\"scan\":{\"findings\":[]}},"
    "\"hub/library/new:1\":{\"servable\":true},"
    "\"hub/library/old:1\":{\"present\":true,\"scan\":{\"finished\":\"2026-11-01T00:00:00Z\"}},"
    "\"hub/library/running:1\":{\"present\":true,\"scan\":{\"status\":\"Running\"}},"
    "\"hub/library/failed:1\":{\"present\":true,\"scan\":{\"status\":\"Error\"}},"
    "\"hub/library/refused:1\":{\"present\":true,\"digest\":\"sha256:aa\","
    "\"pullGate\":\"refused\"},"
    "\"hub/library/chart:1\":{\"present\":true,\"scannable\":false},"
    "\"hub/library/odd:1\":{\"present\":true,\"digest\":\"sha256:dd\",\"scan\":{\"findings\":["
    "{\"id\":\"C\\nV\\u001bE\",\"severity\":\"Critical\",\"package\":\"a\\\"b\\tc\\u007f\\u00fc"
    "\\u65e5\",\"fix\":\"\\u0000\\r1\"}]}},"
    "\"hub/library/wordy:1\":{\"present\":true,\"scan\":{\"findings\":["
    "{\"id\":\"CVE-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
    "\"severity\":\"Critical\",\"package\":"
    "\"paaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"fix\":"
    "\"faaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}]}}"
    "}}}}";

struct file_source {
    struct fact_source source;
    struct facts_file *file;
};

static enum harbor_health file_health(const struct fact_source *self, const struct harbor *harbor)
{
    return facts_file_health(((const struct file_source *)self)->file, harbor->name);
}

static bool file_artifact(const struct fact_source *self, const struct harbor *harbor,
                          const struct artifact_key *key, fact_needs needs, long long now,
                          struct arena *arena, struct artifact_fact *ret)
{
    (void)needs;
    (void)now;
    (void)arena;
    if (!facts_file_artifact(((const struct file_source *)self)->file, harbor->name, key, ret))
        return false;
    ret->project_id = 7;
    return true;
}

static struct policies *the_set;
static struct file_source the_facts = {.source = {file_health, file_artifact}};

static int set_up(void **state)
{
    struct error error = {""};
    (void)state;
    the_set = load_right(set_text);
    if (!facts_file_parse(slice_from(facts_text), &the_facts.file, &error))
        CHECK_FAIL("%s", error.text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    policies_unref(the_set);
    facts_file_free(the_facts.file);
    return 0;
}

/* --- reviews --- */

#define REVIEW(version, kind, members, object)                                                     \
    "{\"apiVersion\":\"admission.k8s.io/" version "\",\"kind\":\"AdmissionReview\","               \
    "\"request\":{\"uid\":\"u-1\",\"kind\":" kind ",\"userInfo\":{\"username\":\"alice\"}," members  \
    ",\"object\":" object "}}"
#define POD_KIND        "{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"}"
#define DEPLOYMENT_KIND "{\"group\":\"apps\",\"version\":\"v1\",\"kind\":\"Deployment\"}"
#define CRONJOB_KIND    "{\"group\":\"batch\",\"version\":\"v1\",\"kind\":\"CronJob\"}"
#define IN(namespace_)  "\"namespace\":\"" namespace_ "\",\"operation\":\"CREATE\""
#define C(name, image)  "{\"name\":\"" name "\",\"image\":\"" image "\"}"
#define SPEC(lists)     "{\"metadata\":{},\"spec\":{" lists "}}"
#define CONTAINERS(list) "\"containers\":[" list "]"
#define DEPLOYMENT(lists)                                                                          \
    "{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\"},\"spec\":{\"template\":" SPEC(lists) "}}"
#define CRONJOB(lists)                                                                             \
    "{\"kind\":\"CronJob\",\"metadata\":{\"name\":\"web\"},\"spec\":{\"jobTemplate\":{\"spec\":{"   \
    "\"template\":" SPEC(lists) "}}}}"
#define POD(namespace_, list) REVIEW("v1", POD_KIND, IN(namespace_), SPEC(CONTAINERS(list)))

static struct slice answer_to(enum admit_webhook webhook, enum mode mode, struct slice body,
                              struct arena *arena, struct admission *ret)
{
    struct buffer out = {0};
    struct error error = {""};
    struct slice copy = copy_exact(body); /* bytes, without a NUL behind them */
    struct admit_request request = {.policies = the_set,
                                    .webhook = webhook,
                                    .mode = mode,
                                    .body = copy,
                                    .facts = &the_facts.source,
                                    .now = NOW,
                                    .last_chance = true};
    if (!admit(&request, arena, &out, ret, &error))
        CHECK_FAIL("%.*s: %s", SLICE_ARGS(body), error.text);
    struct slice answer = arena_copy(arena, buffer_slice(&out));
    buffer_done(&out);
    free((char *)copy.base);
    return answer;
}

static struct slice validate(const char *body, struct arena *arena)
{
    struct admission admission;
    return answer_to(ADMIT_VALIDATE, MODE_ENFORCE, slice_from(body), arena, &admission);
}

#define HEAD(version)                                                                              \
    "{\"apiVersion\":\"admission.k8s.io/" version "\",\"kind\":\"AdmissionReview\",\"response\":{" \
    "\"uid\":\"u-1\","
#define ALLOWED(more)   HEAD("v1") "\"allowed\":true" more "}}"
#define REFUSED(message, more)                                                                     \
    HEAD("v1") "\"allowed\":false,\"status\":{\"code\":403,\"reason\":\"Forbidden\",\"message\":\"" \
    message "\"}" more "}}"
#define WARNINGS(list)    ",\"warnings\":[" list "]"
#define ANNOTATIONS(list) ",\"auditAnnotations\":{" list "}"

struct golden {
    const char *name, *body, *answer;
};

static void check_golden(const struct golden *cases, size_t count)
{
    size_t differ = 0;
    for (size_t i = 0; i < count; i++) {
        struct arena arena = {0};
        struct slice answer = validate(cases[i].body, &arena);
        if (!slice_equal(answer, slice_from(cases[i].answer))) {
            fprintf(stderr, "\n%s gives\n%.*s\nexpected\n%s\n", cases[i].name, SLICE_ARGS(answer),
                    cases[i].answer);
            differ++;
        }
        if (!node_parse(answer, &arena))
            CHECK_FAIL("%s: no JSON: %.*s", cases[i].name, SLICE_ARGS(answer));
        arena_done(&arena);
    }
    check_number("table", "differing answers", (long long)differ, 0);
}

/* A decision as an audit annotation's value, escaped; `gate` are its members. */
#define NOTE(name, field, image, result, rewrite, gate, policy, line, bucket)                      \
    "\"image-" name "\":\"{\\\"field\\\":\\\"" field "\\\",\\\"container\\\":\\\"" name            \
    "\\\",\\\"image\\\":\\\"" image "\\\",\\\"result\\\":\\\"" result                              \
    "\\\",\\\"rewrite\\\":{" rewrite "},\\\"gate\\\":{" gate "},\\\"policy\\\":\\\"" policy        \
    "\\\",\\\"source\\\":\\\"p.yaml:" line "\\\",\\\"bucket\\\":" bucket "}\""
#define FIELD(index) "/spec/containers/" index "/image"
#define AT_HARBOR(path) "harbor.example.com/hub/library/" path
#define MOVED      "\\\"outcome\\\":\\\"rewrite\\\",\\\"reason\\\":\\\"rewritten\\\""
#define KEPT(why)  "\\\"outcome\\\":\\\"keep\\\",\\\"reason\\\":\\\"" why "\\\""
#define SAYS(outcome, reason)                                                                      \
    "\\\"outcome\\\":\\\"" outcome "\\\",\\\"reason\\\":\\\"" reason "\\\""
#define DIGEST(of)   ",\\\"digest\\\":\\\"sha256:" of "\\\""
#define DETAIL(text) ",\\\"detail\\\":\\\"" text "\\\""
#define CVE(id, severity, package)                                                                 \
    "{\\\"id\\\":\\\"" id "\\\",\\\"severity\\\":\\\"" severity "\\\",\\\"package\\\":\\\"" package \
    "\\\"}"
#define BAD_COUNTS                                                                                 \
    DIGEST("b1") ",\\\"scanned\\\":\\\"2026-11-20T02:11:09Z\\\",\\\"counts\\\":{\\\"Critical\\\":" \
                 "1,\\\"High\\\":1,\\\"Low\\\":1},\\\"cves\\\":["
#define OPENSSL                                                                                    \
    "{\\\"id\\\":\\\"CVE-2026-1\\\",\\\"severity\\\":\\\"Critical\\\",\\\"package\\\":"            \
    "\\\"openssl\\\",\\\"fix\\\":\\\"3.0.22\\\"}"
#define BAD_HIGH     BAD_COUNTS OPENSSL "," CVE("CVE-2026-2", "High", "zlib") "]"
#define BAD_CRITICAL BAD_COUNTS OPENSSL "]"
#define NOT_THERE "Harbor has not got it yet: it is scanned after the first pull"

#define PAGES "\\n  https://harbor.example.com/harbor/projects/7/repositories/"
#define BAD_LINE(cves)                                                                             \
    ": bad:1: " cves PAGES "library%2Fbad/artifacts-tab/artifacts/sha256:b1"
#define HIGH_CVES                                                                                  \
    "1 Critical, 1 High: CVE-2026-1 (Critical, openssl, fixed in 3.0.22), CVE-2026-2 (High, zlib, " \
    "no fix yet)"
#define CRITICAL_CVES "1 Critical: CVE-2026-1 (Critical, openssl, fixed in 3.0.22)"
#define REFUSED_TEXT                                                                               \
    ": refused:1: Harbor itself refuses to serve it (\\\"Prevent vulnerable images from running\\\"" \
    " of its project)"
#define REFUSED_LINE                                                                               \
    REFUSED_TEXT PAGES "library%2Frefused/artifacts-tab/artifacts/sha256:aa"
#define CAN_BE_DONE "\\nWhat can be done:"
#define ACCEPT                                                                                     \
    "\\n- use an image without these findings; or have them accepted: in the CVE allowlist of "    \
    "project `hub` in Harbor, or in `findings.allow` of the Policy"
#define ACCEPT_IN_HARBOR                                                                           \
    "\\n- use another image; or have its findings accepted in the CVE allowlist of project `hub` " \
    "in Harbor"
#define SCAN_IT                                                                                    \
    "\\n- have it scanned in Harbor (an image is there after its first pull through Harbor) and "  \
    "try again; or set `findings.unscanned` of the Policy to `warn`"
#define USE_OTHER                                                                                  \
    "\\n- use an image of a registry that Harbor serves; or set `findings.unproxied` of the Policy " \
    "to `warn`"
#define ONE_REFUSED   "1 image is refused by Policy `gate` (p.yaml:9):"
#define BAD_IN(field, bucket)                                                                      \
    NOTE("web", field, "bad:1", AT_HARBOR("bad:1"), MOVED, SAYS("deny", "findings") BAD_HIGH, "gate", \
         "9", bucket)
/* of both kinds the template's own: a Deployment's Pods have another name than a CronJob's */
#define WORKLOAD_REFUSED(field, bucket)                                                            \
    REFUSED(ONE_REFUSED "\\n- container web" BAD_LINE(HIGH_CVES) CAN_BE_DONE ACCEPT,               \
            ANNOTATIONS("\"policy\":\"gate\"," BAD_IN(field, bucket)))

static const struct golden goldens[] = {
    {"a Deployment",
     REVIEW("v1", DEPLOYMENT_KIND, IN("apps"), DEPLOYMENT(CONTAINERS(C("web", "bad:1")))),
     WORKLOAD_REFUSED(FIELD("0"), "99")},
    {"a CronJob", REVIEW("v1", CRONJOB_KIND, IN("apps"), CRONJOB(CONTAINERS(C("web", "bad:1")))),
     WORKLOAD_REFUSED(FIELD("0"), "99")},
    {"an UPDATE that brings it",
     REVIEW("v1", DEPLOYMENT_KIND,
            "\"namespace\":\"apps\",\"operation\":\"UPDATE\",\"oldObject\":" DEPLOYMENT(
                CONTAINERS(C("web", "good:1"))),
            DEPLOYMENT(CONTAINERS(C("web", "bad:1")))),
     WORKLOAD_REFUSED(FIELD("0"), "99")},
    {"an UPDATE of what had it",
     REVIEW("v1", DEPLOYMENT_KIND,
            "\"namespace\":\"apps\",\"operation\":\"UPDATE\",\"oldObject\":" DEPLOYMENT(
                CONTAINERS(C("old", "bad:1"))),
            DEPLOYMENT(CONTAINERS(C("web", "bad:1")))),
     ALLOWED("")},
    {"an UPDATE that brings a good one beside it",
     REVIEW("v1", DEPLOYMENT_KIND,
            "\"namespace\":\"apps\",\"operation\":\"UPDATE\",\"oldObject\":" DEPLOYMENT(
                CONTAINERS(C("web", "bad:1"))),
            DEPLOYMENT(CONTAINERS(C("web", "bad:1") "," C("more", "good:1")))),
     ALLOWED(ANNOTATIONS("\"policy\":\"gate\""))},
    {"good", POD("apps", C("c", "good:1")), ALLOWED(ANNOTATIONS("\"policy\":\"gate\""))},
    {"not scannable", POD("apps", C("c", "chart:1")),
     ALLOWED(ANNOTATIONS("\"policy\":\"gate\""))},
    {"unavailable is allowed", POD("apps", C("c", "silent:1")),
     ALLOWED(ANNOTATIONS("\"policy\":\"gate\""))},
    {"`auto`", POD("apps", C("c", "auto")), ALLOWED("")},
    {"another namespace", POD("other", C("c", "bad:1")), ALLOWED("")},
    {"a protected one", POD("kube-system", C("c", "bad:1")), ALLOWED("")},
    {"v1beta1", REVIEW("v1beta1", POD_KIND, IN("apps"), SPEC(CONTAINERS(C("c", "good:1")))),
     HEAD("v1beta1") "\"allowed\":true" ANNOTATIONS("\"policy\":\"gate\"") "}}"},
    {"no template", REVIEW("v1", DEPLOYMENT_KIND, IN("apps"), "{\"spec\":{}}"), ALLOWED("")},
    {"no spec", REVIEW("v1", DEPLOYMENT_KIND, IN("apps"), "{}"), ALLOWED("")},
    {"a template of null", REVIEW("v1", DEPLOYMENT_KIND, IN("apps"), "{\"spec\":{\"template\":null}}"),
     ALLOWED("")},
    {"no object", REVIEW("v1", DEPLOYMENT_KIND, IN("apps"), "null"), ALLOWED("")},
    {"an object that is none", REVIEW("v1", DEPLOYMENT_KIND, IN("apps"), "[{}]"), ALLOWED("")},
    {"a Pod without spec", REVIEW("v1", POD_KIND, IN("apps"), "{\"metadata\":{}}"), ALLOWED("")},
    {"DELETE",
     REVIEW("v1", DEPLOYMENT_KIND,
            "\"namespace\":\"apps\",\"operation\":\"DELETE\",\"oldObject\":" DEPLOYMENT(
                CONTAINERS(C("web", "bad:1"))),
            "null"),
     ALLOWED("")},
    {"a Pod with several",
     POD("apps", C("a", "bad:1") "," C("b", "quay.io/o/worse") "," C("c", "good:1") "," C(
                     "d", "refused:1") "," C("e", "new:1")),
     REFUSED(
         "3 images are refused by Policy `gate` (p.yaml:9):\\n- container a" BAD_LINE(
             HIGH_CVES) "\\n- container b: quay.io/o/worse: 6 Critical, 1 High: C1 (Critical, p, "
                        "no fix yet), C2 (Critical, p, no fix yet), C3 (Critical, p, no fix yet), "
                        "C4 (Critical, p, no fix yet), C5 (Critical, p, no fix yet) and 2 "
                        "more" PAGES "o%2Fworse/artifacts-tab/artifacts/sha256:b2"
                        "\\n- container d" REFUSED_LINE CAN_BE_DONE ACCEPT ACCEPT_IN_HARBOR,
         WARNINGS("\"harbor-pilot: container e: new:1: not scanned yet; " NOT_THERE "\"")
             ANNOTATIONS("\"policy\":\"gate\"," NOTE(
                 "a", FIELD("0"), "bad:1", AT_HARBOR("bad:1"), MOVED,
                 SAYS("deny", "findings") BAD_HIGH, "gate", "9",
                 "34") "," NOTE("b", FIELD("1"), "quay.io/o/worse",
                                "harbor.example.com/quay/o/worse", MOVED,
                                SAYS("deny", "findings")
                                    DIGEST("b2") ",\\\"scanned\\\":\\\"2026-11-19T00:00:00Z\\\","
                                                 "\\\"counts\\\":{\\\"Critical\\\":6,\\\"High\\\":"
                                                 "1},\\\"cves\\\":[" CVE("C1", "Critical", "p") "," CVE(
                                                     "C2", "Critical",
                                                     "p") "," CVE("C3", "Critical", "p") "," CVE("C4", "Critical",
                                                                                   "p") "," CVE("C5",
                                                                                                "Critical",
                                                                                                "p") "," CVE("C6", "Critical", "p") "," CVE("C7", "High", "p") "]",
                                "gate", "9",
                                "34") "," NOTE("d", FIELD("3"), "refused:1", "refused:1",
                                               KEPT("refused-by-harbor"),
                                               SAYS("deny", "refused-by-harbor") DIGEST("aa"),
                                               "gate", "9",
                                               "34") "," NOTE("e", FIELD("4"), "new:1",
                                                              AT_HARBOR("new:1"), MOVED,
                                                              SAYS("warn",
                                                                   "unscanned") DETAIL(NOT_THERE),
                                                              "gate", "9", "34")))},
    {"each reason, refused",
     POD("strict", C("a", "bad:1") "," C("b", "new:1") "," C("c", "running:1") "," C(
                       "d", "failed:1") "," C("e", "old:1") "," C("f", "ghcr.io/x") "," C(
                       "g", "refused:1") "," C("h", "UPPER") "," C("i", "chart:1") "," C("j", "silent:1")),
     REFUSED(
         "8 images are refused by Policy `strict` (p.yaml:16):\\n- container a" BAD_LINE(
             CRITICAL_CVES) "\\n- container b: new:1: not scanned yet; " NOT_THERE
                            "\\n- container c: running:1: its scan is under way"
                            "\\n- container d: failed:1: its scan failed"
                            "\\n- container e: old:1: its last scan, of 2026-11-01T00:00:00Z, is "
                            "too old"
                            "\\n- container f: ghcr.io/x: Harbor does not serve it, so nobody has "
                            "scanned it"
                            "\\n- container g" REFUSED_LINE
                            "\\n- container h: UPPER: Harbor does not serve it, so nobody has "
                            "scanned it" CAN_BE_DONE ACCEPT SCAN_IT USE_OTHER ACCEPT_IN_HARBOR,
         ANNOTATIONS(
             "\"policy\":\"strict\"," NOTE("a", FIELD("0"), "bad:1", AT_HARBOR("bad:1"), MOVED,
                                           SAYS("deny", "findings") BAD_CRITICAL, "strict", "16",
                                           "39") "," NOTE("b", FIELD("1"), "new:1", AT_HARBOR("new:1"), MOVED, SAYS("deny", "unscanned") DETAIL(NOT_THERE), "strict", "16",
                                                          "39") "," NOTE("c", FIELD("2"),
                                                                         "running:1",
                                                                         AT_HARBOR("running:1"),
                                                                         MOVED,
                                                                         SAYS("deny", "scanning"),
                                                                         "strict", "16",
                                                                         "39") "," NOTE("d",
                                                                                        FIELD("3"),
                                                                                        "failed:1",
                                                                                        AT_HARBOR(
                                                                                            "failed:1"),
                                                                                        MOVED,
                                                                                        SAYS("deny",
                                                                                             "scan-failed"),
                                                                                        "strict",
                                                                                        "16",
                                                                                        "39") "," NOTE("e", FIELD("4"), "old:1", AT_HARBOR("old:1"), MOVED, SAYS("deny", "too-old") ",\\\"scanned\\\":\\\"2026-11-01T00:00:00Z\\\",\\\"counts\\\":{}", "strict", "16", "39") "," NOTE("f", FIELD("5"), "ghcr.io/x", "ghcr.io/x", KEPT("registry-not-proxied"), SAYS("deny", "unproxied"), "strict", "16", "39") "," NOTE("g", FIELD("6"), "refused:1", "refused:1", KEPT("refused-by-harbor"), SAYS("deny", "refused-by-harbor") DIGEST("aa"), "strict", "16", "39") "," NOTE("h", FIELD("7"), "UPPER", "UPPER", KEPT("unparseable"), SAYS("deny", "unproxied"), "strict", "16", "39")))},
};

static void test_goldens(void **state)
{
    (void)state;
    check_golden(goldens, COUNT(goldens));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
