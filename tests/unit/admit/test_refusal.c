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
static const char set_text[] = HARBOR POLICY("gate", "apps", "  findings: {severity: high}\n")
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
    "\"hub/library/open:1\":{\"present\":true,\"public\":true,\"digest\":\"sha256:b1\",\"scan\":{"
    "\"findings\":[{\"id\":\"CVE-2026-1\",\"severity\":\"Critical\",\"package\":\"openssl\","
    "\"fix\":\"3.0.22\"}]}},"
    "\"hub/library/closed:1\":{\"present\":true,\"public\":false,\"digest\":\"sha256:b1\",\"scan\":{"
    "\"findings\":[{\"id\":\"CVE-2026-1\",\"severity\":\"Critical\",\"package\":\"openssl\"}]}},"
    "\"hub/library/good:1\":{\"present\":true,\"digest\":\"sha256:00\",\"scan\":{\"findings\":[]}},"
    "\"hub/library/new:1\":{\"servable\":true},"
    "\"quay/o/new:latest\":{\"present\":true},"
    "\"hub/library/old:1\":{\"present\":true,\"scan\":{\"finished\":\"2026-11-01T00:00:00Z\"}},"
    "\"hub/library/running:1\":{\"present\":true,\"scan\":{\"status\":\"Running\"}},"
    "\"hub/library/failed:1\":{\"present\":true,\"scan\":{\"status\":\"Error\"}},"
    "\"hub/library/refused:1\":{\"present\":true,\"digest\":\"sha256:aa\","
    "\"pullGate\":\"refused\"},"
    "\"hub/library/mixed:1\":{\"present\":true,\"scan\":{\"findings\":["
    "{\"id\":\"C1\",\"severity\":\"Critical\",\"package\":\"open ssl~\",\"allowlisted\":true},"
    "{\"id\":\"C2\",\"severity\":\"Critical\",\"package\":\"open ssl~\"},"
    "{\"id\":\"C3\",\"severity\":\"High\",\"package\":\"p\"},"
    "{\"id\":\"C4\",\"severity\":\"High\",\"package\":\"q\"}]}},"
    "\"hub/library/counted:1\":{\"present\":true,\"scan\":{\"counts\":{\"Critical\":2,\"High\":1,"
    "\"Low\":5}}},"
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

static enum admit_webhook asking;
static bool is_stranger; /* who asks */

/* An image of a project `many-…` is as bad as `bad:1`. */
static bool file_artifact(const struct fact_source *self, const struct harbor *harbor,
                          const struct artifact_key *key, fact_needs needs, long long now,
                          struct arena *arena, struct artifact_fact *ret)
{
    static const struct artifact_key bad = {{"hub", 3}, {"library/bad", 11}, {"1", 1}};
    (void)now;
    (void)arena;
    if (asking == ADMIT_VALIDATE && needs & FACT_SERVABLE)
        CHECK_FAIL("the gate makes Harbor ask its upstream");
    if (slice_starts_with(key->project, SLICE("many-")))
        key = &bad;
    if (!facts_file_artifact(((const struct file_source *)self)->file, harbor->name, key, ret))
        return false;
    ret->project_id = 7;
    if (is_stranger && slice_equal(key->repository, SLICE("library/open")))
        ret->public_ = TRUTH_YES;
    else if (is_stranger && ret->public_ == TRUTH_YES)
        ret->public_ = TRUTH_UNKNOWN;
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
    "\"request\":{\"uid\":\"u-1\",\"kind\":" kind                                                  \
    ",\"userInfo\":{\"username\":\"alice\"}," members ",\"object\":" object "}}"
#define POD_KIND         "{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"}"
#define DEPLOYMENT_KIND  "{\"group\":\"apps\",\"version\":\"v1\",\"kind\":\"Deployment\"}"
#define CRONJOB_KIND     "{\"group\":\"batch\",\"version\":\"v1\",\"kind\":\"CronJob\"}"
#define IN(namespace_)   "\"namespace\":\"" namespace_ "\",\"operation\":\"CREATE\""
#define C(name, image)   "{\"name\":\"" name "\",\"image\":\"" image "\"}"
#define SPEC(lists)      "{\"metadata\":{},\"spec\":{" lists "}}"
#define CONTAINERS(list) "\"containers\":[" list "]"
#define DEPLOYMENT(lists)                                                                          \
    "{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\"},\"spec\":{\"template\":" SPEC(       \
        lists) "}}"
#define CRONJOB(lists)                                                                             \
    "{\"kind\":\"CronJob\",\"metadata\":{\"name\":\"web\"},\"spec\":{\"jobTemplate\":{\"spec\":{"  \
    "\"template\":" SPEC(lists) "}}}}"
#define POD(namespace_, list) REVIEW("v1", POD_KIND, IN(namespace_), SPEC(CONTAINERS(list)))

static struct slice answer_to(enum admit_webhook webhook, enum mode mode, struct slice body,
                              struct arena *arena, struct admission *ret)
{
    struct buffer out = {0};
    struct error error = {""};
    asking = webhook;
    struct slice copy = copy_exact(body); /* bytes, without a NUL behind them */
    struct admit_request request = {.policies = the_set,
                                    .webhook = webhook,
                                    .mode = mode,
                                    .body = copy,
                                    .facts = &the_facts.source,
                                    .now = NOW,
                                    .last_chance = true,
                                    .stranger = is_stranger};
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
#define ALLOWED(more) HEAD("v1") "\"allowed\":true" more "}}"
#define REFUSED(message, more)                                                                     \
    HEAD("v1")                                                                                     \
    "\"allowed\":false,\"status\":{\"code\":403,\"reason\":\"Forbidden\",\"message\":\"" message   \
    "\"}" more "}}"
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
#define FIELD(index)    "/spec/containers/" index "/image"
#define TEMPLATE_FIELD  "/spec/template/spec/containers/0/image"
#define CRON_FIELD      "/spec/jobTemplate/spec/template/spec/containers/0/image"
#define AT_HARBOR(path) "harbor.example.com/hub/library/" path
#define MOVED           "\\\"outcome\\\":\\\"rewrite\\\",\\\"reason\\\":\\\"rewritten\\\""
#define KEPT(why)       "\\\"outcome\\\":\\\"keep\\\",\\\"reason\\\":\\\"" why "\\\""
#define SAYS(outcome, reason)                                                                      \
    "\\\"outcome\\\":\\\"" outcome "\\\",\\\"reason\\\":\\\"" reason "\\\""
#define DIGEST(of)   ",\\\"digest\\\":\\\"sha256:" of "\\\""
#define DETAIL(text) ",\\\"detail\\\":\\\"" text "\\\""
#define CVE(id, severity, package)                                                                 \
    "{\\\"id\\\":\\\"" id "\\\",\\\"severity\\\":\\\"" severity                                    \
    "\\\",\\\"package\\\":\\\"" package "\\\"}"
#define BAD_COUNTS                                                                                 \
    DIGEST("b1")                                                                                   \
    ",\\\"scanned\\\":\\\"2026-11-20T02:11:09Z\\\",\\\"counts\\\":{\\\"Critical\\\":"              \
    "1,\\\"High\\\":1,\\\"Low\\\":1},\\\"cves\\\":["
#define OPENSSL                                                                                    \
    "{\\\"id\\\":\\\"CVE-2026-1\\\",\\\"severity\\\":\\\"Critical\\\",\\\"package\\\":"            \
    "\\\"openssl\\\",\\\"fix\\\":\\\"3.0.22\\\"}"
#define BAD_HIGH     BAD_COUNTS OPENSSL "," CVE("CVE-2026-2", "High", "zlib") "]"
#define BAD_CRITICAL BAD_COUNTS OPENSSL "]"
#define NOT_THERE    "Harbor does not have it yet: it is scanned after the first pull"

#define PAGES          "\\n  https://harbor.example.com/harbor/projects/7/repositories/"
#define BAD_LINE(cves) ": bad:1: " cves PAGES "library%2Fbad/artifacts-tab/artifacts/sha256:b1"
#define HIGH_CVES                                                                                  \
    "1 Critical, 1 High: CVE-2026-1 (Critical, openssl, fixed in 3.0.22), CVE-2026-2 (High, "      \
    "zlib, no fix yet)"
#define CRITICAL_CVES "1 Critical: CVE-2026-1 (Critical, openssl, fixed in 3.0.22)"
#define REFUSED_TEXT                                                                               \
    ": refused:1: Harbor itself refuses to serve it (\\\"Prevent vulnerable images from "          \
    "running\\\" of its project)"
#define REFUSED_LINE REFUSED_TEXT PAGES "library%2Frefused/artifacts-tab/artifacts/sha256:aa"
#define CAN_BE_DONE  "\\nWhat can be done:"
#define ACCEPT_OF(project)                                                                         \
    "\\n- use an image without these findings; or have them accepted: in the CVE allowlist of "    \
    "project `" project "` in Harbor, or in `findings.allow` of the Policy"
#define ACCEPT ACCEPT_OF("hub")
#define ACCEPT_IN_HARBOR                                                                           \
    "\\n- use another image; or have its findings accepted in the CVE allowlist of project `hub` " \
    "in Harbor"
#define SCAN_IT                                                                                    \
    "\\n- have it scanned in Harbor (an image is there after its first pull through Harbor) and "  \
    "try again; or set `findings.unscanned` of the Policy to `warn`"
#define USE_OTHER                                                                                  \
    "\\n- use an image of a registry that Harbor serves; or set `findings.unproxied` of the "      \
    "Policy to `warn`"
#define ONE_REFUSED "1 image is refused by Policy `gate` (p.yaml:9):"
#define BAD_IN(field, bucket)                                                                      \
    NOTE("web", field, "bad:1", AT_HARBOR("bad:1"), MOVED, SAYS("deny", "findings") BAD_HIGH,      \
         "gate", "9", bucket)
#define WORKLOAD_REFUSED(field, bucket)                                                            \
    REFUSED(ONE_REFUSED "\\n- container web" BAD_LINE(HIGH_CVES) CAN_BE_DONE ACCEPT,               \
            ANNOTATIONS("\"policy\":\"gate\"," BAD_IN(field, bucket)))

#define WORSE_IS(id) CVE(id, "Critical", "p") ","
#define WORSE                                                                                      \
    DIGEST("b2")                                                                                   \
    ",\\\"scanned\\\":\\\"2026-11-19T00:00:00Z\\\",\\\"counts\\\":{\\\"Critical\\\":"              \
    "6,\\\"High\\\":1},\\\"cves\\\":[" WORSE_IS("C1") WORSE_IS("C2") WORSE_IS("C3") WORSE_IS("C4") \
        WORSE_IS("C5") WORSE_IS("C6") CVE("C7", "High", "p") "]"
#define IN_GATE(name, index, image, gate)                                                          \
    NOTE(name, FIELD(index), image, AT_HARBOR(image), MOVED, SAYS("deny", "findings") gate,        \
         "gate", "9", "34")
#define IN_STRICT(name, index, image, result, rewrite, reason, gate)                               \
    NOTE(name, FIELD(index), image, result, rewrite, SAYS("deny", reason) gate, "strict", "16",    \
         "39")

/* clang-format off */
static const struct golden goldens[] = {
    {"a Deployment",
     REVIEW("v1", DEPLOYMENT_KIND, IN("apps"), DEPLOYMENT(CONTAINERS(C("web", "bad:1")))),
     WORKLOAD_REFUSED(TEMPLATE_FIELD, "99")},
    {"a CronJob", REVIEW("v1", CRONJOB_KIND, IN("apps"), CRONJOB(CONTAINERS(C("web", "bad:1")))),
     WORKLOAD_REFUSED(CRON_FIELD, "99")},
    {"an UPDATE that brings it",
     REVIEW("v1", DEPLOYMENT_KIND,
            "\"namespace\":\"apps\",\"operation\":\"UPDATE\",\"oldObject\":" DEPLOYMENT(
                CONTAINERS(C("web", "good:1"))),
            DEPLOYMENT(CONTAINERS(C("web", "bad:1")))),
     WORKLOAD_REFUSED(TEMPLATE_FIELD, "99")},
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
    {"a template of null",
     REVIEW("v1", DEPLOYMENT_KIND, IN("apps"), "{\"spec\":{\"template\":null}}"),
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
     POD("apps", C("a", "bad:1") "," C("b", "quay.io/o/worse") "," C("c", "good:1") ","
                 C("d", "refused:1") "," C("e", "new:1")),
     REFUSED("3 images are refused by Policy `gate` (p.yaml:9):"
             "\\n- container a" BAD_LINE(HIGH_CVES)
             "\\n- container b: quay.io/o/worse: 6 Critical, 1 High: C1 (Critical, p, no fix yet), "
             "C2 (Critical, p, no fix yet), C3 (Critical, p, no fix yet), C4 (Critical, p, no fix "
             "yet), C5 (Critical, p, no fix yet) and 2 more"
             PAGES "o%2Fworse/artifacts-tab/artifacts/sha256:b2"
             "\\n- container d" REFUSED_LINE
             CAN_BE_DONE ACCEPT ACCEPT_OF("quay") ACCEPT_IN_HARBOR,
             WARNINGS("\"harbor-pilot: container e: new:1: not scanned yet; " NOT_THERE "\"")
             ANNOTATIONS("\"policy\":\"gate\"," IN_GATE("a", "0", "bad:1", BAD_HIGH) ","
                         NOTE("b", FIELD("1"), "quay.io/o/worse", "harbor.example.com/quay/o/worse",
                              MOVED, SAYS("deny", "findings") WORSE, "gate", "9", "34") ","
                         NOTE("d", FIELD("3"), "refused:1", "refused:1", KEPT("refused-by-harbor"),
                              SAYS("deny", "refused-by-harbor") DIGEST("aa"), "gate", "9", "34") ","
                         NOTE("e", FIELD("4"), "new:1", AT_HARBOR("new:1"), MOVED,
                              SAYS("warn", "unscanned") DETAIL(NOT_THERE), "gate", "9", "34")))},
    {"each reason, refused",
     POD("strict", C("a", "bad:1") "," C("b", "new:1") "," C("c", "running:1") ","
                   C("d", "failed:1") "," C("e", "old:1") "," C("f", "ghcr.io/x") ","
                   C("g", "refused:1") "," C("h", "UPPER") "," C("i", "chart:1") ","
                   C("j", "silent:1")),
     REFUSED("8 images are refused by Policy `strict` (p.yaml:16):"
             "\\n- container a" BAD_LINE(CRITICAL_CVES)
             "\\n- container b: new:1: not scanned yet; " NOT_THERE
             "\\n- container c: running:1: its scan is under way"
             "\\n- container d: failed:1: its scan failed"
             "\\n- container e: old:1: its last scan, of 2026-11-01T00:00:00Z, is too old"
             "\\n- container f: ghcr.io/x: Harbor does not serve it, so nobody has scanned it"
             "\\n- container g" REFUSED_LINE
             "\\n- container h: UPPER: Harbor does not serve it, so nobody has scanned it"
             CAN_BE_DONE ACCEPT SCAN_IT USE_OTHER ACCEPT_IN_HARBOR,
             ANNOTATIONS(
                 "\"policy\":\"strict\","
                 IN_STRICT("a", "0", "bad:1", AT_HARBOR("bad:1"), MOVED, "findings",
                           BAD_CRITICAL) ","
                 IN_STRICT("b", "1", "new:1", AT_HARBOR("new:1"), MOVED, "unscanned",
                           DETAIL(NOT_THERE)) ","
                 IN_STRICT("c", "2", "running:1", AT_HARBOR("running:1"), MOVED, "scanning", "") ","
                 IN_STRICT("d", "3", "failed:1", AT_HARBOR("failed:1"), MOVED, "scan-failed",
                           "") ","
                 IN_STRICT("e", "4", "old:1", AT_HARBOR("old:1"), MOVED, "too-old",
                           ",\\\"scanned\\\":\\\"2026-11-01T00:00:00Z\\\",\\\"counts\\\":{}") ","
                 IN_STRICT("f", "5", "ghcr.io/x", "ghcr.io/x", KEPT("registry-not-proxied"),
                           "unproxied", "") ","
                 IN_STRICT("g", "6", "refused:1", "refused:1", KEPT("refused-by-harbor"),
                           "refused-by-harbor", DIGEST("aa")) ","
                 IN_STRICT("h", "7", "UPPER", "UPPER", KEPT("unparseable"), "unproxied", "")))},
};

/* clang-format on */

static void test_goldens(void **state)
{
    (void)state;
    check_golden(goldens, COUNT(goldens));
}

/* --- whom nobody has verified --- */

#define IN_LOG "what was found is in harbor-pilot's log only: the project is private"
#define DETAIL_PROJECT                                                                             \
    DETAIL("it is not known whether its project is public (does the account have project:read?)")
#define SEE_LOG                                                                                    \
    "\\n- see harbor-pilot's log, event `review`, for what is not told here: nobody has verified " \
    "who asks (--client-ca-file)"

/* clang-format off */
static const struct golden for_strangers[] = {
    {"a private project's, an unknown one's and a public one's",
     POD("apps", C("a", "closed:1") "," C("b", "bad:1") "," C("c", "open:1")),
     REFUSED("3 images are refused by Policy `gate` (p.yaml:9):"
             "\\n- container a: closed:1: findings of severity High or above; " IN_LOG
             "\\n- container b: bad:1: findings of severity High or above; " IN_LOG
             "\\n- container c: open:1: " CRITICAL_CVES
             PAGES "library%2Fopen/artifacts-tab/artifacts/sha256:b1"
             CAN_BE_DONE ACCEPT SEE_LOG,
             ANNOTATIONS("\"policy\":\"gate\","
                         NOTE("a", FIELD("0"), "closed:1", "closed:1", KEPT("pull-secret-missing"),
                              SAYS("deny", "findings") DETAIL(IN_LOG), "gate", "9", "34") ","
                         NOTE("b", FIELD("1"), "bad:1", "bad:1",
                              KEPT("not-known-in-time") DETAIL_PROJECT,
                              SAYS("deny", "findings") DETAIL(IN_LOG), "gate", "9", "34") ","
                         IN_GATE("c", "2", "open:1", DIGEST("b1")
                                 ",\\\"counts\\\":{\\\"Critical\\\":1},\\\"cves\\\":[" OPENSSL "]")))},
    {"a warning", POD("soft", C("c", "bad:1")),
     ALLOWED(WARNINGS("\"harbor-pilot: container c: bad:1: findings of severity Critical; " IN_LOG
                      "\"")
             ANNOTATIONS("\"policy\":\"soft\"," NOTE("c", FIELD("0"), "bad:1", "bad:1",
                         KEPT("not-known-in-time") DETAIL_PROJECT,
                         SAYS("warn", "findings") DETAIL(IN_LOG), "soft", "23", "33")))},
    {"of a public project", POD("apps", C("c", "open:1")),
     REFUSED(ONE_REFUSED "\\n- container c: open:1: " CRITICAL_CVES
             PAGES "library%2Fopen/artifacts-tab/artifacts/sha256:b1" CAN_BE_DONE ACCEPT,
             ANNOTATIONS("\"policy\":\"gate\","
                         IN_GATE("c", "0", "open:1", DIGEST("b1")
                                 ",\\\"counts\\\":{\\\"Critical\\\":1},\\\"cves\\\":[" OPENSSL "]")))},
};
/* clang-format on */

static void test_strangers(void **state)
{
    (void)state;
    is_stranger = true;
    check_golden(for_strangers, COUNT(for_strangers));
    is_stranger = false;
}

/* Whatever is answered, and wherever in the answer. */
static void test_a_private_project_is_not_told_of(void **state)
{
    (void)state;
    static const char *const secrets[] = {"CVE-",    "C1",     "sha256:", "projects/7",
                                          "openssl", "counts", "2026-11"};
    is_stranger = true;
    for (size_t i = 0; i < COUNT(goldens); i++)
        for (int audit = 0; audit <= 1; audit++) {
            struct arena arena = {0};
            struct admission admission;
            struct slice answer = answer_to(ADMIT_VALIDATE, audit ? MODE_AUDIT : MODE_ENFORCE,
                                            slice_from(goldens[i].body), &arena, &admission);
            for (size_t j = 0; j < COUNT(secrets); j++)
                if (memmem(answer.base, answer.len, secrets[j], strlen(secrets[j])))
                    CHECK_FAIL("%s: tells %s: %.*s", goldens[i].name, secrets[j],
                               SLICE_ARGS(answer));
            for (size_t j = 0; j < admission.decisions.count; j++) /* the log does */
                check_number(goldens[i].name, "hidden", admission.decisions.items[j].verdict.hidden,
                             false);
            arena_done(&arena);
        }
    is_stranger = false;
}

/* --- the same, told otherwise --- */

/* The members of `request` in any order, and what an API server sends besides. */
static void test_any_order(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"request\":{\"object\":" DEPLOYMENT(CONTAINERS(
            C("web",
              "bad:1"))) ","
                         "\"operation\":\"CREATE\",\"kind\":" DEPLOYMENT_KIND
                         ",\"namespace\":\"apps\","
                         "\"userInfo\":{\"groups\":[],\"username\":\"alice\"},\"uid\":\"u-1\"},"
                         "\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\"}",
        REVIEW("v1", DEPLOYMENT_KIND, IN("apps") ",\"oldObject\":null,\"dryRun\":false",
               "{\"spec\":{\"template\":" SPEC(CONTAINERS(
                   C("web", "bad:1"))) ",\"replicas\":1},"
                                       "\"metadata\":{\"name\":\"web\",\"ownerReferences\":null},"
                                       "\"status\":{}}"),
        REVIEW("v1", DEPLOYMENT_KIND, IN("apps") ",\"subResource\":\"\",\"dryRun\":true",
               DEPLOYMENT(CONTAINERS(C("web", "bad:1")))),
        /* of a key that stands twice the last counts */
        REVIEW("v1", DEPLOYMENT_KIND, IN("apps") ",\"object\":" DEPLOYMENT(CONTAINERS(C("a", "b"))),
               DEPLOYMENT(CONTAINERS(C("web", "good:1") "],\"containers\":[" C("web", "bad:1")))),
        /* a kind is what the request says it is */
        REVIEW("v1", DEPLOYMENT_KIND, IN("apps"),
               "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\"},"
               "\"spec\":{\"template\":" SPEC(CONTAINERS(C("web", "bad:1"))) "}}"),
        REVIEW("v1", DEPLOYMENT_KIND, IN("apps"),
               "{\"metadata\":{\"name\":\"web\"},"
               "\"spec\":{\"template\":" SPEC(CONTAINERS(C("web", "bad:1"))) "}}"),
    };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct arena arena = {0};
        check_text(bodies[i], "the answer", validate(bodies[i], &arena), goldens[0].answer);
        arena_done(&arena);
    }
}

/* Audit mode, by the path or by the Policy, changes nothing and tells everything. */
static void test_audit_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum mode path;
    } cases[] = {
        {POD("apps", C("a", "bad:1") "," C("e", "new:1")), MODE_AUDIT},
        {POD("audited", C("a", "bad:1") "," C("e", "new:1")), MODE_ENFORCE},
        {POD("audited", C("a", "bad:1") "," C("e", "new:1")), MODE_AUDIT},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct admission admission;
        struct slice answer =
            answer_to(ADMIT_VALIDATE, cases[i].path, slice_from(cases[i].body), &arena, &admission);
        bool audited = strstr(cases[i].body, "audited") != NULL;
        check_text(cases[i].body, "the answer", answer,
                   audited ? ALLOWED(ANNOTATIONS("\"policy\":\"audited\"," NOTE(
                                 "a", FIELD("0"), "bad:1", AT_HARBOR("bad:1"), MOVED,
                                 SAYS("deny", "findings") BAD_CRITICAL, "audited", "30",
                                 "95") "," NOTE("e", FIELD("1"), "new:1", AT_HARBOR("new:1"), MOVED,
                                                SAYS("deny", "unscanned") DETAIL(NOT_THERE),
                                                "audited", "30", "95")))
                           : ALLOWED(ANNOTATIONS("\"policy\":\"gate\"," NOTE(
                                 "a", FIELD("0"), "bad:1", AT_HARBOR("bad:1"), MOVED,
                                 SAYS("deny", "findings") BAD_HIGH, "gate", "9",
                                 "34") "," NOTE("e", FIELD("1"), "new:1", AT_HARBOR("new:1"), MOVED,
                                                SAYS("warn", "unscanned") DETAIL(NOT_THERE), "gate",
                                                "9", "34"))));
        check_number(cases[i].body, "denied", admission.denied, false);
        check_number(cases[i].body, "applied", admission.applied, false);
        check_number(cases[i].body, "the result", admission.result, ADMIT_UNCHANGED);
        check_number(cases[i].body, "would be refused",
                     (long long)admission.decisions.outcomes[GATE_DENY], audited ? 2 : 1);
        arena_done(&arena);
    }
}

/* A dry run is answered as the real one. */
static void test_dry_run(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct arena arena = {0};
        struct admission admission;
        struct slice dry = answer_to(ADMIT_VALIDATE, MODE_ENFORCE,
                                     i ? SLICE(REVIEW("v1", POD_KIND, IN("apps") ",\"dryRun\":true",
                                                      SPEC(CONTAINERS(C("a", "bad:1")))))
                                       : SLICE(POD("apps", C("a", "bad:1"))),
                                     &arena, &admission);
        check_text("dry run", "the answer", dry,
                   REFUSED(ONE_REFUSED "\\n- container a" BAD_LINE(HIGH_CVES) CAN_BE_DONE ACCEPT,
                           ANNOTATIONS("\"policy\":\"gate\"," NOTE(
                               "a", FIELD("0"), "bad:1", AT_HARBOR("bad:1"), MOVED,
                               SAYS("deny", "findings") BAD_HIGH, "gate", "9", "34"))));
        arena_done(&arena);
    }
}

/* --- warnings --- */

/* A Pod of `count` containers c0, c1, …: `%s` is the image of each. */
static struct slice many(const char *namespace_, size_t count, const char *image,
                         struct arena *arena)
{
    struct buffer list = {0};
    for (size_t i = 0; i < count; i++)
        buffer_append_format(&list, "%s{\"name\":\"c%zu\",\"image\":\"%s\"}", i ? "," : "", i,
                             image);
    buffer_append_char(&list, '\0');
    struct slice body =
        arena_format(arena,
                     "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
                     "\"request\":{\"uid\":\"u-1\",\"kind\":" POD_KIND ",\"namespace\":\"%s\","
                     "\"operation\":\"CREATE\",\"object\":{\"spec\":{\"containers\":[%s]}}}}",
                     namespace_, buffer_slice(&list).base);
    buffer_done(&list);
    return body;
}

static const struct json_node *response_of(struct slice answer, struct arena *arena)
{
    return node_member(node_parse(answer, arena), SLICE("response"));
}

static struct slice message_of(struct slice answer, struct arena *arena)
{
    const struct json_node *status = node_member(response_of(answer, arena), SLICE("status"));
    const struct json_node *message = node_member(status, SLICE("message"));
    if (message)
        return message->text;
    CHECK_FAIL("no message in %.*s", SLICE_ARGS(answer));
    return (struct slice){0};
}

static size_t warnings_of(struct slice answer, struct arena *arena, struct slice ret[static 9])
{
    const struct json_node *list = node_member(response_of(answer, arena), SLICE("warnings"));
    size_t count = 0;
    for (const struct json_node *w = list ? list->first : NULL; w && count < 9; w = w->next)
        ret[count++] = w->text;
    return count;
}

static size_t count_children(const struct json_node *node)
{
    size_t count = 0;
    for (const struct json_node *n = node ? node->first : NULL; n; n = n->next)
        count++;
    return count;
}

static void check_plain(const char *what, struct slice text, bool lines)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.base[i];
        if ((c < 0x20 && !(lines && c == '\n')) || c >= 0x7f)
            CHECK_FAIL("%s: the byte 0x%02x in %.*s", what, c, SLICE_ARGS(text));
    }
}

static void test_at_most_eight_warnings(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 7, 8, 9, 10, 100};
    for (size_t i = 0; i < COUNT(counts); i++) {
        struct arena arena = {0};
        struct admission admission;
        struct slice answer =
            answer_to(ADMIT_VALIDATE, MODE_ENFORCE, many("soft", counts[i], "bad:1", &arena),
                      &arena, &admission);
        struct slice warnings[9];
        size_t shown = counts[i] < 8 ? counts[i] : 8;
        check_number("warnings", "how many", (long long)warnings_of(answer, &arena, warnings),
                     (long long)shown);
        for (size_t at = 0; at < shown; at++) {
            struct slice more = {0};
            if (at == 7 && counts[i] > 8)
                more = arena_format(&arena, "%zu more images, such as ", counts[i] - 7);
            check_slice("warnings", "one", warnings[at],
                        arena_format(&arena,
                                     "harbor-pilot: %.*scontainer c%zu: bad:1: 1 Critical: "
                                     "CVE-2026-1 (Critical, openssl, fixed in 3.0.22)",
                                     SLICE_ARGS(more), at));
        }
        arena_done(&arena);
    }
}

/* Names of a container, an image and a finding that would break a header or a terminal. */
#define UGLY "a\\nb\\r\\t\\\"\\u001b[31m\\u0000\\u007f\\u0085\\u00fc\\u65e5\\ud83d\\udc33"
/* of which a character of UTF-8 becomes as many '?' as it has bytes */

static void test_ugly_names(void **state)
{
    (void)state;
    static const struct {
        const char *namespace_, *text;
    } cases[] = {
        {"apps", "harbor-pilot: container a?b??\"?[31m?????????????: a?b??\"?[31m?????????????: "
                 "Harbor does not serve it, so nobody has scanned it"},
        {"strict",
         "1 image is refused by Policy `strict` (p.yaml:16):\n- container "
         "a?b??\"?[31m?????????????: a?b??\"?[31m?????????????: Harbor does not serve it, so "
         "nobody has scanned it\nWhat can be done:\n- use an image of a registry that Harbor "
         "serves; or set `findings.unproxied` of the Policy to `warn`"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct admission admission;
        struct slice body = arena_format(
            &arena,
            "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{"
            "\"uid\":\"u-1\",\"kind\":" POD_KIND ",\"namespace\":\"%s\",\"operation\":\"CREATE\","
            "\"object\":{\"spec\":{\"containers\":[{\"name\":\"" UGLY "\",\"image\":\"" UGLY
            "\"}]}}}}",
            cases[i].namespace_);
        struct slice answer = answer_to(ADMIT_VALIDATE, MODE_ENFORCE, body, &arena, &admission);
        const struct json_node *response = response_of(answer, &arena);
        struct slice warnings[9], text;
        size_t count = warnings_of(answer, &arena, warnings);
        check_number(cases[i].namespace_, "warnings", (long long)count, i == 0);
        text = count ? warnings[0] : message_of(answer, &arena);
        check_text(cases[i].namespace_, "the text", text, cases[i].text);
        check_plain(cases[i].namespace_, text, true);
        /* no annotation can have such a key */
        check_number(cases[i].namespace_, "annotations",
                     (long long)count_children(node_member(response, SLICE("auditAnnotations"))),
                     1);
        arena_done(&arena);
    }
}

static void test_ugly_findings(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct admission admission;
    struct slice answer = answer_to(ADMIT_VALIDATE, MODE_ENFORCE,
                                    SLICE(POD("apps", C("o", "odd:1"))), &arena, &admission);
    struct slice message = message_of(answer, &arena);
    check_plain("a finding", message, true);
    check_text("a finding", "the message", message,
               "1 image is refused by Policy `gate` (p.yaml:9):\n"
               "- container o: odd:1: 1 Critical: C?V?E (Critical, a\"b?c??????, fixed in ??1)\n"
               "  https://harbor.example.com/harbor/projects/7/repositories/library%2Fodd/"
               "artifacts-tab/artifacts/sha256:dd\n"
               "What can be done:\n"
               "- use an image without these findings; or have them accepted: in the CVE allowlist "
               "of project `hub` in Harbor, or in `findings.allow` of the Policy");
    arena_done(&arena);
}

/* Only what counts is counted, from the threshold on; and what is known of it is named. */
static void test_what_is_counted(void **state)
{
    (void)state;
    static const struct {
        const char *namespace_, *image, *line;
    } cases[] = {
        {"apps", "mixed:1",
         "mixed:1: 1 Critical, 2 High: C2 (Critical, open ssl~, no fix yet), C3 (High, p, no fix "
         "yet), C4 (High, q, no fix yet)\n"},
        {"strict", "mixed:1", "mixed:1: 1 Critical: C2 (Critical, open ssl~, no fix yet)\n"},
        {"apps", "counted:1",
         "counted:1: 2 Critical, 1 High; only the number of findings is known: their list "
         "cannot be read\n"},
        {"strict", "counted:1",
         "counted:1: 2 Critical; only the number of findings is known: their list cannot "
         "be read\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct admission admission;
        struct slice answer =
            answer_to(ADMIT_VALIDATE, MODE_ENFORCE,
                      many(cases[i].namespace_, 1, cases[i].image, &arena), &arena, &admission);
        const char *message = arena_copy(&arena, message_of(answer, &arena)).base;
        if (!strstr(message, cases[i].line))
            CHECK_FAIL("%s\nexpected\n%s", message, cases[i].line);
        arena_done(&arena);
    }
}

#define A10  "aaaaaaaaaa"
#define A50  A10 A10 A10 A10 A10
#define A100 A50 A50

/* Long names are cut: 60 bytes of a container's, 100 of an image's in a warning and 200 in a
 * refusal, and a warning is never longer than 240. */
static void test_long_texts(void **state)
{
    (void)state;
    static const struct {
        const char *name, *image, *warning, *line;
    } cases[] = {
        {A50 A10, "ghcr.io/" A50 A10 A10 A10 A10 "aa",
         "harbor-pilot: container " A50 A10 ": ghcr.io/" A50 A10 A10 A10 A10
         "aa: Harbor does not serve it, so nobody has scanned it",
         "container " A50 A10 ": ghcr.io/" A50 A10 A10 A10 A10
         "aa: Harbor does not serve it, so nobody has scanned it"},
        {A50 A10 "a", "ghcr.io/" A100 A50 A10 A10 A10 A10 "aa",
         "harbor-pilot: container " A50 A10 "...: ghcr.io/" A50 A10 A10 A10 A10
         "aa...: Harbor does not serve it, so nobody has scanne",
         "container " A50 A10 "...: ghcr.io/" A100 A50 A10 A10 A10 A10
         "aa: Harbor does not serve it, so nobody has scanned it"},
        {"c", "ghcr.io/" A100 A50 A10 A10 A10 A10 "aaa",
         "harbor-pilot: container c: ghcr.io/" A50 A10 A10 A10 A10
         "aa...: Harbor does not serve it, so nobody has scanned it",
         "container c: ghcr.io/" A100 A50 A10 A10 A10 A10
         "aa...: Harbor does not serve it, so nobody has scanned it"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int strict = 0; strict < 2; strict++) {
            struct arena arena = {0};
            struct admission admission;
            struct slice body = arena_format(
                &arena,
                "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{"
                "\"uid\":\"u-1\",\"kind\":" POD_KIND
                ",\"namespace\":\"%s\",\"operation\":\"CREATE\",\"object\":{\"spec\":{"
                "\"containers\":[{\"name\":\"%s\",\"image\":\"%s\"}]}}}}",
                strict ? "strict" : "apps", cases[i].name, cases[i].image);
            struct slice answer = answer_to(ADMIT_VALIDATE, MODE_ENFORCE, body, &arena, &admission);
            struct slice warnings[9];
            if (strict) {
                check_slice(cases[i].name, "the refusal", message_of(answer, &arena),
                            arena_format(&arena,
                                         "1 image is refused by Policy `strict` (p.yaml:16):\n- "
                                         "%s\nWhat can be done:\n- use an image of a registry that "
                                         "Harbor serves; or set `findings.unproxied` of the Policy "
                                         "to `warn`",
                                         cases[i].line));
            } else {
                assert_int_equal(warnings_of(answer, &arena, warnings), 1);
                assert_true(warnings[0].len <= WARNING_MAX_LENGTH);
                check_text(cases[i].name, "the warning", warnings[0], cases[i].warning);
            }
            arena_done(&arena);
        }
}

/* Ids, packages and versions are cut at 60, and the warning at 240 bytes. */
static void test_wordy_findings(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct admission admission;
    struct slice answer = answer_to(ADMIT_VALIDATE, MODE_ENFORCE,
                                    SLICE(POD("soft", C("o", "wordy:1"))), &arena, &admission);
    struct slice warnings[9];
    assert_int_equal(warnings_of(answer, &arena, warnings), 1);
    check_number("a wordy finding", "length", (long long)warnings[0].len, WARNING_MAX_LENGTH);
    struct slice message =
        refusal_reason(&admission.decisions, &admission.decisions.items[0], 5, &arena);
    check_text("a wordy finding", "the reason", message,
               "1 Critical: CVE-" A50 "aaaaaa... (Critical, p" A50 "aaaaaaaaa..., fixed in f" A50
               "aaaaaaaaa...)");
    arena_done(&arena);
}

/* --- refusals of many --- */

static void test_twenty_images_are_listed(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 19, 20, 21, 22, 1000, 4096};
    for (size_t i = 0; i < COUNT(counts); i++) {
        struct arena arena = {0};
        struct admission admission;
        struct slice answer =
            answer_to(ADMIT_VALIDATE, MODE_ENFORCE, many("apps", counts[i], "bad:1", &arena),
                      &arena, &admission);
        const struct json_node *response = response_of(answer, &arena);
        struct slice message = message_of(answer, &arena);
        const char *text = arena_copy(&arena, message).base;
        size_t lines = 0, shown = counts[i] < 20 ? counts[i] : 20;
        for (const char *at = text; (at = strstr(at, "\n- container c")); at++)
            lines++;
        check_number("a refusal", "images listed", (long long)lines, (long long)shown);
        struct slice head = arena_format(&arena, "%zu image%s refused by Policy `gate`", counts[i],
                                         counts[i] == 1 ? " is" : "s are");
        assert_true(slice_starts_with(message, head));
        struct slice more = arena_format(&arena, "\n- and %zu more image%s\n", counts[i] - 20,
                                         counts[i] == 21 ? "" : "s");
        check_number("a refusal", "the others are counted", strstr(text, more.base) != NULL,
                     counts[i] > 20);
        size_t advice = 0;
        for (const char *at = text; (at = strstr(at, "\n- use an image without these")); at++)
            advice++;
        check_number("a refusal", "advice", (long long)advice, 1);
        /* all of them are in the audit log */
        check_number("a refusal", "annotations",
                     (long long)count_children(node_member(response, SLICE("auditAnnotations"))),
                     (long long)counts[i] + 1);
        arena_done(&arena);
    }
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (; (text = strstr(text, what)); text++)
        count++;
    return count;
}

/* Each advice once: of a project's CVE allowlist once per project, and at most twenty. */
static void test_advice(void **state)
{
    (void)state;
    struct arena arena = {0};
    const char *message =
        arena_copy(
            &arena,
            message_of(validate(POD("strict", C("a", "new:1") "," C("b", "quay.io/o/new") "," C(
                                                  "c", "running:1") "," C("d", "ghcr.io/x")),
                                &arena),
                       &arena))
            .base;
    assert_int_equal(count_of(message, "\n- have it scanned in Harbor"), 1);
    assert_int_equal(count_of(message, "\n- use an image of a registry"), 1);
    for (size_t count = 19; count <= 22; count++) {
        struct buffer list = {0};
        for (size_t i = 0; i < 2 * count; i++) /* two of each project */
            buffer_append_format(&list,
                                 "%s{\"name\":\"c%zu\",\"image\":\"harbor.example.com/"
                                 "many-%zu/a:1\"}",
                                 i ? "," : "", i, i / 2);
        buffer_append_char(&list, '\0');
        struct slice body = arena_format(
            &arena, REVIEW("v1", POD_KIND, IN("apps"), "{\"spec\":{\"containers\":[%s]}}"),
            buffer_slice(&list).base);
        message = arena_copy(&arena, message_of(validate(body.base, &arena), &arena)).base;
        size_t shown = count < 20 ? count : 20;
        check_number("advice", "projects", (long long)count_of(message, " of project `many-"),
                     (long long)shown);
        for (size_t i = 0; i < shown; i++) {
            struct slice project = arena_format(&arena, " of project `many-%zu` in Harbor", i);
            check_number(project.base, "named", (long long)count_of(message, project.base), 1);
        }
        buffer_done(&list);
    }
    arena_done(&arena);
}

/* Who says that a controller made the Pod: one that is known is only warned about, and a service
 * account that is not is told how it could be. */
static void test_controllers(void **state)
{
    (void)state;
#define DOUBT(user)                                                                                \
    "in `findings.allow` of the Policy\n- if `" user                                               \
    "` is a controller whose Pods must come back "                                                 \
    "whatever is found, name it in `trustedControllers` of Harbor `h`"
    static const struct {
        const char *user, *end;
        bool owned;
    } cases[] = {
        {"system:serviceaccount:cnpg:cnpg", DOUBT("system:serviceaccount:cnpg:cnpg"), true},
        {"system:serviceaccount:a\\nb:c", DOUBT("system:serviceaccount:a?b:c"), true},
        {"system:serviceaccount:cnpg:cnpg", "in `findings.allow` of the Policy", false},
        {"alice", "in `findings.allow` of the Policy", true},
        {"", "in `findings.allow` of the Policy", true},
        {"system:kube-controller-manager", NULL, true}, /* it is let in */
        {"system:kube-controller-manager", "in `findings.allow` of the Policy", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice warnings[9];
        struct slice body = arena_format(
            &arena,
            "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{"
            "\"uid\":\"u-1\",\"kind\":" POD_KIND ",\"namespace\":\"apps\",\"operation\":\"CREATE\","
            "\"userInfo\":{\"username\":\"%s\"},\"object\":{\"metadata\":{\"ownerReferences\":[{"
            "\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"o\",\"controller\":"
            "%s}]},"
            "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"bad:1\"}]}}}}",
            cases[i].user, cases[i].owned ? "true" : "false");
        struct slice answer = validate(body.base, &arena);
        if (cases[i].end) {
            struct slice message = message_of(answer, &arena), end = slice_from(cases[i].end);
            if (message.len < end.len ||
                !slice_equal(slice_from_index(message, message.len - end.len), end))
                CHECK_FAIL("%.*s\nexpected at its end\n%s", SLICE_ARGS(message), cases[i].end);
            assert_int_equal(warnings_of(answer, &arena, warnings), 0);
        } else {
            assert_int_equal(warnings_of(answer, &arena, warnings), 1);
            check_text(
                cases[i].user, "the warning", warnings[0],
                "harbor-pilot: container c: bad:1: 1 Critical, 1 High: CVE-2026-1 (Critical, "
                "openssl, fixed in 3.0.22) and 1 more; let in, since a controller made the Pod");
        }
        arena_done(&arena);
    }
}

/* More images than any Pod has: it is left alone (pod.h, POD_MAX_IMAGES), but that is no way round
 * the gate. */
static void test_too_many_images(void **state)
{
    (void)state;
#define TOO_MANY(policy, line)                                                                     \
    REFUSED("there are more than 4096 images, which Policy `" policy "` (p.yaml:" line             \
            ") cannot judge; expected fewer",                                                      \
            "")
    static const struct {
        const char *namespace_;
        enum admit_webhook webhook;
        enum mode mode;
        const char *answer;
    } cases[] = {
        {"apps", ADMIT_VALIDATE, MODE_ENFORCE, TOO_MANY("gate", "9")},
        {"strict", ADMIT_VALIDATE, MODE_ENFORCE, TOO_MANY("strict", "16")},
        {"apps", ADMIT_VALIDATE, MODE_AUDIT, ALLOWED("")},
        {"audited", ADMIT_VALIDATE, MODE_ENFORCE, ALLOWED("")},
        {"kube-system", ADMIT_VALIDATE, MODE_ENFORCE, ALLOWED("")},
        {"other", ADMIT_VALIDATE, MODE_ENFORCE, ALLOWED("")},
        {"apps", ADMIT_MUTATE, MODE_ENFORCE, ALLOWED("")},
    };
    static const size_t counts[] = {4097, 5000};
    for (size_t n = 0; n < COUNT(counts); n++)
        for (size_t i = 0; i < COUNT(cases); i++) {
            struct arena arena = {0};
            struct admission admission;
            struct slice answer = answer_to(cases[i].webhook, cases[i].mode,
                                            many(cases[i].namespace_, counts[n], "bad:1", &arena),
                                            &arena, &admission);
            bool denied = strstr(cases[i].answer, "\"allowed\":false") != NULL;
            check_text(cases[i].namespace_, "the answer", answer, cases[i].answer);
            check_number(cases[i].namespace_, "too many", admission.too_many_images, true);
            check_number(cases[i].namespace_, "denied", admission.denied, denied);
            check_number(cases[i].namespace_, "the result", admission.result,
                         denied ? ADMIT_DENIED : ADMIT_UNCHANGED);
            arena_done(&arena);
        }
}

/* A controller's Pod with as many is spared, as for all that it would be refused for. */
static void test_too_many_images_of_a_controller(void **state)
{
    (void)state;
    static const struct {
        const char *user;
        bool denied;
    } cases[] = {
        {"system:kube-controller-manager", false},
        {"alice", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct admission admission;
        struct slice body = many("apps", 4097, "bad:1", &arena);
        const struct slice before = SLICE("\"object\":{");
        size_t at = 0;
        while (!slice_starts_with(slice_from_index(body, at), before))
            at++;
        answer_to(ADMIT_VALIDATE, MODE_ENFORCE,
                  arena_format(&arena,
                               "%.*s\"userInfo\":{\"username\":\"%s\"},\"object\":{\"metadata\":{"
                               "\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":"
                               "\"ReplicaSet\",\"name\":\"o\",\"controller\":true}]},%.*s",
                               (int)at, body.base, cases[i].user,
                               SLICE_ARGS(slice_from_index(body, at + before.len))),
                  &arena, &admission);
        check_number(cases[i].user, "too many", admission.too_many_images, true);
        check_number(cases[i].user, "denied", admission.denied, cases[i].denied);
        arena_done(&arena);
    }
}

/* --- volumes, ephemeral containers, keys --- */

static void test_other_fields(void **state)
{
    (void)state;
    static const struct {
        const char *body, *line, *annotation;
    } cases[] = {
        {REVIEW("v1", POD_KIND, IN("apps"),
                SPEC("\"volumes\":[{\"name\":\"v\"},{\"name\":\"data\",\"image\":{\"reference\":"
                     "\"bad:1\"}}]")),
         "- volume data: bad:1: ",
         "\"volume-data\":\"{\\\"field\\\":\\\"/spec/volumes/1/image/reference\\\",\\\"volume\\\":"
         "\\\"data\\\""},
        {REVIEW("v1", POD_KIND, IN("apps"), SPEC("\"initContainers\":[" C("init", "bad:1") "]")),
         "- container init: bad:1: ",
         "\"image-init\":\"{\\\"field\\\":\\\"/spec/initContainers/0/image\\\""},
        {REVIEW("v1", POD_KIND,
                "\"namespace\":\"apps\",\"operation\":\"UPDATE\",\"subResource\":"
                "\"ephemeralcontainers\",\"oldObject\":" SPEC(
                    "\"ephemeralContainers\":[" C("old", "bad:1") "]"),
                SPEC("\"ephemeralContainers\":[" C("old", "bad:1") "," C("dbg", "bad:1") "]")),
         "- container dbg: bad:1: ",
         "\"image-dbg\":\"{\\\"field\\\":\\\"/spec/ephemeralContainers/1/image\\\""},
        /* a NAME over 48 is its first 39, `-` and 8 digits of its SHA-256 */
        {POD("apps", C("a" A50, "bad:1")), "- container a" A50 ": bad:1: ",
         "\"image-a" A10 A10 A10
         "aaaaaaaa-bfc5fe0e\":\"{\\\"field\\\":\\\"/spec/containers/0/image\\\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice answer = validate(cases[i].body, &arena);
        const char *text = arena_copy(&arena, answer).base;
        if (!strstr(text, "1 image is refused") || !strstr(text, cases[i].line) ||
            !strstr(text, cases[i].annotation))
            CHECK_FAIL("%s\nexpected\n%s\n%s", text, cases[i].line, cases[i].annotation);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_a_private_project_is_not_told_of),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_audit_changes_nothing),
        cmocka_unit_test(test_dry_run),
        cmocka_unit_test(test_at_most_eight_warnings),
        cmocka_unit_test(test_ugly_names),
        cmocka_unit_test(test_ugly_findings),
        cmocka_unit_test(test_what_is_counted),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_wordy_findings),
        cmocka_unit_test(test_twenty_images_are_listed),
        cmocka_unit_test(test_advice),
        cmocka_unit_test(test_controllers),
        cmocka_unit_test(test_too_many_images),
        cmocka_unit_test(test_too_many_images_of_a_controller),
        cmocka_unit_test(test_other_fields),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
