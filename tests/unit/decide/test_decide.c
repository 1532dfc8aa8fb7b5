/* decide(): a row for every reason, which reason wins of several, workloads and their buckets,
 * whose Pods, the share of a rollout, ephemeral containers, modes, pull secrets, and the decision
 * as JSON. */
#include "decide/decide.h"
#include "decide/workload.h"

#include "tests/unit/check.h"

#define HARBOR                                                                                     \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: Harbor\n"                                                                               \
    "metadata: {name: default}\n"                                                                  \
    "spec:\n"                                                                                      \
    "  host: harbor.example.com\n"                                                                 \
    "  registries:\n"                                                                              \
    "    docker.io: hub\n"                                                                         \
    "    quay.io: quay\n"                                                                          \
    "    registry.k8s.io: k8s\n"                                                                   \
    "    localhost:5000: local\n"

#define POLICY(name)                                                                               \
    "---\n"                                                                                        \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: Policy\n"                                                                               \
    "metadata: {name: " name "}\n"                                                                 \
    "spec:\n"

/* One set for most tests; the namespace chooses the Policy. */
static const char set_text[] = HARBOR POLICY("plain") /* line 12 is its first */
    "  namespaces: [apps, monitoring]\n" POLICY(
        "disabled") "  namespaces: [disabled]\n"
                    "  mode: disabled\n" POLICY(
                        "audit") "  namespaces: [audited]\n"
                                 "  mode: audit\n" POLICY(
                                     "some") "  namespaces: [some]\n"
                                             "  registries: [quay.io]\n"
                                             "  exclude:\n"
                                             "  - quay.io/org/busybox\n"
                                             "  - '*/debug/*'\n"
                                             "  - quay.io/org/tool:1.?\n"
                                             "  - '*@sha256:00*'\n" POLICY(
                                                 "none-yet") "  namespaces: [none-yet]\n"
                                                             "  rollout: 0\n"
                                                             "  pullSecret: harbor-pull\n" POLICY(
                                                                 "secret") "  namespaces: "
                                                                           "[secret]\n"
                                                                           "  pullSecret: "
                                                                           "harbor-pull\n" POLICY(
                                                                               "owners") "  "
                                                                                         "namespace"
                                                                                         "s: "
                                                                                         "[owners]"
                                                                                         "\n"
                                                                                         "  "
                                                                                         "owners: "
                                                                                         "{include:"
                                                                                         " [tekton."
                                                                                         "dev/"
                                                                                         "TaskRun, "
                                                                                         "core/"
                                                                                         "Node]}\n";

#define ZEROS  "00000000000000000000000000000000"
#define DIGEST "sha256:" ZEROS ZEROS

static struct policies *the_set;

static int load_the_set(void **state)
{
    (void)state;
    the_set = load_right(set_text);
    return 0;
}

static int free_the_set(void **state)
{
    (void)state;
    policies_unref(the_set);
    return 0;
}

static struct pod *read_pod(const char *json, struct arena *arena)
{
    struct pod *pod = arena_allocate(arena, sizeof(*pod));
    struct json_scanner s;
    json_scanner_init(&s, slice_from(json));
    pod_read(&s, arena, pod);
    if (!json_finish(&s))
        CHECK_FAIL("the test's Pod is no JSON: %s", json);
    return pod;
}

static struct decide_request request_of(const char *namespace_, const struct pod *pod)
{
    return (struct decide_request){.mode = MODE_ENFORCE,
                                   .subject = REVIEW_POD_CREATE,
                                   .namespace_ = slice_from(namespace_),
                                   .user_name = SLICE("system:node:n1"),
                                   .pod = pod};
}

/* A Pod with one container; `container` are its members besides the name. */
#define POD(container) "{\"spec\":{\"containers\":[{\"name\":\"c\"," container "}]}}"
#define POD_WITH(meta, container)                                                                  \
    "{\"metadata\":{" meta "},\"spec\":{\"containers\":[{\"name\":\"c\"," container "}]}}"
#define IMAGE(image) "\"image\":\"" image "\""
#define OWNER(version, kind)                                                                       \
    "\"ownerReferences\":[{\"apiVersion\":\"" version "\",\"kind\":\"" kind                        \
    "\",\"name\":\"o\",\"controller\":true}]"

/* --- every reason --- */

#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
/* as long as Docker Hub may be: docker.io/x/ and 243 more */
#define LONG_PATH "x/" A50 A50 A50 A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

enum set { THE_SET, NO_SET };

static const struct {
    enum rewrite_reason reason;
    const char *namespace_, *pod, *result; /* of the one image; NULL: as it was */
    enum set set;
    enum review_subject subject;
} rows[] = {
    {REASON_POLICY_INVALID, "apps", POD(IMAGE("x")), NULL, NO_SET, REVIEW_POD_CREATE},
    {REASON_PROTECTED, "kube-system", POD(IMAGE("x")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_PROTECTED, "kube-public", POD(IMAGE("x")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_PROTECTED, "kube-node-lease", POD(IMAGE("x")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_NO_POLICY, "elsewhere", POD(IMAGE("x")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_NO_POLICY, "", POD(IMAGE("x")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_POLICY_DISABLED, "disabled", POD(IMAGE("x")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_MIRROR_POD, "apps",
     POD_WITH("\"annotations\":{\"kubernetes.io/config.mirror\":\"abc\"}", IMAGE("x")), NULL,
     THE_SET, REVIEW_POD_CREATE},
    {REASON_MIRROR_POD, "apps",
     POD_WITH("\"annotations\":{\"kubernetes.io/config.mirror\":\"\"}", IMAGE("x")), NULL, THE_SET,
     REVIEW_POD_CREATE},
    {REASON_OPTED_OUT, "apps",
     POD_WITH("\"annotations\":{\"harbor-pilot.io/mode\":\"disabled\"}", IMAGE("x")), NULL, THE_SET,
     REVIEW_POD_CREATE},
    {REASON_OWNED_BY_OPERATOR, "apps",
     POD_WITH(OWNER("postgresql.cnpg.io/v1", "Cluster"), IMAGE("x")), NULL, THE_SET,
     REVIEW_POD_CREATE},
    {REASON_OWNED_BY_OPERATOR, "apps", POD_WITH(OWNER("tekton.dev/v1", "TaskRun"), IMAGE("x")),
     NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_IMAGE_ID, "apps", POD(IMAGE("sha256:" ZEROS ZEROS)), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_IMAGE_ID, "apps", POD(IMAGE(ZEROS ZEROS)), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "apps", POD(IMAGE("sha256:0" ZEROS ZEROS)),
     "harbor.example.com/hub/library/sha256:0" ZEROS ZEROS, THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "apps", POD(IMAGE("x@sha256:" ZEROS ZEROS)),
     "harbor.example.com/hub/library/x@sha256:" ZEROS ZEROS, THE_SET, REVIEW_POD_CREATE},
    {REASON_PULL_POLICY_NEVER, "apps", POD(IMAGE("x") ",\"imagePullPolicy\":\"Never\""), NULL,
     THE_SET, REVIEW_POD_CREATE},
    {REASON_PULL_POLICY_NEVER, "apps",
     "{\"spec\":{\"volumes\":[{\"name\":\"v\",\"image\":{\"reference\":\"x\",\"pullPolicy\":"
     "\"Never\"}}]}}",
     NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_PLACEHOLDER, "apps", POD(IMAGE("auto")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_UNPARSEABLE, "apps", POD(IMAGE("UPPER")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_UNPARSEABLE, "apps", POD(IMAGE("x:")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_UNPARSEABLE, "apps", POD(IMAGE(" x")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_ALREADY_IN_HARBOR, "apps", POD(IMAGE("harbor.example.com/hub/library/x:1")), NULL,
     THE_SET, REVIEW_POD_CREATE},
    {REASON_ALREADY_IN_HARBOR, "apps", POD(IMAGE("harbor.example.com/private/x")), NULL, THE_SET,
     REVIEW_POD_CREATE},
    {REASON_REGISTRY_NOT_PROXIED, "apps", POD(IMAGE("ghcr.io/x")), NULL, THE_SET,
     REVIEW_POD_CREATE},
    {REASON_REGISTRY_NOT_PROXIED, "apps", POD(IMAGE("harbor.example.com.evil/x")), NULL, THE_SET,
     REVIEW_POD_CREATE},
    {REASON_REGISTRY_NOT_PROXIED, "apps", POD(IMAGE("harbor.example.com:443/x")), NULL, THE_SET,
     REVIEW_POD_CREATE},
    {REASON_REGISTRY_NOT_PROXIED, "apps", POD(IMAGE("Harbor.example.com/x")), NULL, THE_SET,
     REVIEW_POD_CREATE},
    {REASON_REGISTRY_NOT_PROXIED, "apps", POD(IMAGE("docker.io:443/library/x")), NULL, THE_SET,
     REVIEW_POD_CREATE},
    {REASON_REGISTRY_NOT_PROXIED, "apps", POD(IMAGE("registry-1.docker.io/library/x")), NULL,
     THE_SET, REVIEW_POD_CREATE},
    {REASON_REGISTRY_NOT_PROXIED, "apps", POD(IMAGE("QUAY.IO/x")), NULL, THE_SET,
     REVIEW_POD_CREATE},
    {REASON_REGISTRY_NOT_PROXIED, "apps", POD(IMAGE("a_b.c/x")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_REGISTRY_NOT_PROXIED, "some", POD(IMAGE("x")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_EXCLUDED, "some", POD(IMAGE("quay.io/org/busybox:1.36")), NULL, THE_SET,
     REVIEW_POD_CREATE},
    {REASON_EXCLUDED, "some", POD(IMAGE("quay.io/a/debug/b")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_EXCLUDED, "some", POD(IMAGE("quay.io/org/tool:1.2")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_EXCLUDED, "some", POD(IMAGE("quay.io/x:1@" DIGEST)), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "some", POD(IMAGE("quay.io/org/busybox2:1.36")),
     "harbor.example.com/quay/org/busybox2:1.36", THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "some", POD(IMAGE("quay.io/org/tool:1.22")),
     "harbor.example.com/quay/org/tool:1.22", THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "some", POD(IMAGE("quay.io/org/tool")), "harbor.example.com/quay/org/tool",
     THE_SET, REVIEW_POD_CREATE}, /* no :latest is made up, neither to match nor to write */
    {REASON_NOT_IN_ROLLOUT, "none-yet", POD(IMAGE("x")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_TOO_LONG, "apps", POD(IMAGE(LONG_PATH)), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_TOO_LONG, "apps", POD(IMAGE(LONG_PATH ":1")), NULL, THE_SET, REVIEW_POD_CREATE},
    {REASON_PULL_SECRET_MISSING, "secret",
     "{\"spec\":{\"ephemeralContainers\":[{\"name\":\"c\",\"image\":\"x\"}]}}", NULL, THE_SET,
     REVIEW_EPHEMERAL_CONTAINERS},
    {REASON_REWRITTEN, "secret",
     "{\"spec\":{\"imagePullSecrets\":[{\"name\":\"a\"},{\"name\":\"harbor-pull\"}],"
     "\"ephemeralContainers\":[{\"name\":\"c\",\"image\":\"x\"}]}}",
     "harbor.example.com/hub/library/x", THE_SET, REVIEW_EPHEMERAL_CONTAINERS},
    {REASON_REWRITTEN, "secret", POD(IMAGE("x")), "harbor.example.com/hub/library/x", THE_SET,
     REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "apps", POD(IMAGE("postgres:16")),
     "harbor.example.com/hub/library/postgres:16", THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "apps", POD(IMAGE("index.docker.io/org/x@" DIGEST)),
     "harbor.example.com/hub/org/x@" DIGEST, THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "apps", POD(IMAGE("docker.io/library/x:1.2_3-A@" DIGEST)),
     "harbor.example.com/hub/library/x:1.2_3-A@" DIGEST, THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "apps", POD(IMAGE("localhost:5000/x:y")), "harbor.example.com/local/x:y",
     THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "apps", POD(IMAGE("registry.k8s.io/pause:3.9")),
     "harbor.example.com/k8s/pause:3.9", THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "apps", POD(IMAGE("auto:1")), "harbor.example.com/hub/library/auto:1",
     THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "apps", POD(IMAGE("x") ",\"imagePullPolicy\":\"never\""),
     "harbor.example.com/hub/library/x", THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "apps",
     POD_WITH("\"annotations\":{\"harbor-pilot.io/mode\":\"enforce\"}", IMAGE("x")),
     "harbor.example.com/hub/library/x", THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "owners", POD_WITH(OWNER("tekton.dev/v1", "TaskRun"), IMAGE("x")),
     "harbor.example.com/hub/library/x", THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "apps",
     "{\"spec\":{\"volumes\":[{\"name\":\"v\",\"image\":{\"reference\":\"quay.io/m:1\"}}]}}",
     "harbor.example.com/quay/m:1", THE_SET, REVIEW_POD_CREATE},
    {REASON_REWRITTEN, "audited", POD(IMAGE("x")), "harbor.example.com/hub/library/x", THE_SET,
     REVIEW_POD_CREATE},
};

/* Reasons that only facts give: test_fact_reasons has a row for each. */
static bool is_fact_reason(enum rewrite_reason reason)
{
    return reason >= REASON_NO_PROJECT && reason <= REASON_NOT_KNOWN_IN_TIME;
}

static void test_reasons(void **state)
{
    (void)state;
    bool seen[REASON_COUNT] = {false};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char name[64];
        struct arena arena = {0};
        struct decide_request request =
            request_of(rows[i].namespace_, read_pod(rows[i].pod, &arena));
        struct decisions decisions;
        request.subject = rows[i].subject;
        snprintf(name, sizeof(name), "row %zu, in %s", i, rows[i].namespace_);
        decide(rows[i].set == THE_SET ? the_set : NULL, &request, &arena, &decisions);
        check_number(name, "the images", (long long)decisions.count, 1);
        check_text(name, "the reason", slice_from(decide_reason_name(decisions.items[0].reason)),
                   decide_reason_name(rows[i].reason));
        struct slice image = request.pod->images[0].image;
        check_slice(name, "the result", decisions.items[0].result,
                    rows[i].result ? slice_from(rows[i].result) : image);
        check_number(name, "the rewrites", (long long)decisions.rewrites,
                     rows[i].reason == REASON_REWRITTEN);
        check_number(name, "a pattern for `excluded` only", decisions.items[0].pattern != NULL,
                     rows[i].reason == REASON_EXCLUDED);
        check_number(name, "left alone as a whole", decisions.whole,
                     rows[i].reason <= REASON_OWNED_BY_OPERATOR);
        seen[rows[i].reason] = true;
        arena_done(&arena);
    }
    for (int i = 0; i < REASON_COUNT; i++)
        if (!seen[i] && !is_fact_reason((enum rewrite_reason)i))
            CHECK_FAIL("no row has the reason `%s`", decide_reason_name((enum rewrite_reason)i));
}

/* --- facts --- */

struct fake_facts {
    struct fact_source source;
    enum harbor_health health;
    bool known;
    struct artifact_fact fact;
    fact_needs asked;
    bool has_copy; /* only that it is there is known */
};

static enum harbor_health fake_health(const struct fact_source *self, const struct harbor *harbor)
{
    (void)harbor;
    return ((const struct fake_facts *)self)->health;
}

static bool fake_artifact(const struct fact_source *self, const struct harbor *harbor,
                          const struct artifact_key *key, fact_needs needs, long long now,
                          struct arena *arena, struct artifact_fact *ret)
{
    struct fake_facts *fake = (struct fake_facts *)self;
    (void)harbor;
    check_slice("facts", "the project", key->project, SLICE("hub"));
    check_slice("facts", "the repository", key->repository, SLICE("library/x"));
    check_slice("facts", "the reference", key->reference, SLICE("latest"));
    (void)now;
    (void)arena;
    fake->asked = needs;
    *ret = fake->fact;
    return fake->known || (fake->has_copy && !(needs & FACT_SERVABLE));
}

#define THERE                                                                                      \
    {                                                                                              \
        .present = TRUTH_YES, .servable = TRUTH_YES, .public_ = TRUTH_YES                          \
    }
#define UPSTREAM                                                                                   \
    {                                                                                              \
        .present = TRUTH_NO, .servable = TRUTH_YES, .public_ = TRUTH_YES                           \
    }
#define UNASKED                                                                                    \
    {                                                                                              \
        .present = TRUTH_NO, .public_ = TRUTH_YES                                                  \
    }
#define NOWHERE                                                                                    \
    {                                                                                              \
        .present = TRUTH_NO, .servable = TRUTH_NO, .public_ = TRUTH_YES                            \
    }
#define DELETED                                                                                    \
    {                                                                                              \
        .present = TRUTH_YES, .servable = TRUTH_NO, .public_ = TRUTH_YES                           \
    }
#define COPY                                                                                       \
    {                                                                                              \
        .present = TRUTH_YES, .public_ = TRUTH_YES                                                 \
    }
#define AUDIT    true, false
#define DRY_RUN  false, true
#define FOR_REAL false, false

static const struct {
    const char *name, *policy; /* fields of the Policy */
    enum harbor_health health;
    bool known;
    struct artifact_fact fact;
    bool audit, dry_run;
    enum rewrite_reason reason;
    bool asks; /* where it is not the last chance, the fact is asked for */
} fact_rows[] = {
    {"there", "", HEALTH_UP, true, THERE, FOR_REAL, REASON_REWRITTEN, false},
    {"its upstream has it", "", HEALTH_UP, true, UPSTREAM, FOR_REAL, REASON_REWRITTEN, false},
    {"cached: the upstream does not count", "  requireInHarbor: cached\n", HEALTH_UP, true,
     UPSTREAM, FOR_REAL, REASON_NOT_IN_HARBOR, false},
    {"nowhere", "", HEALTH_UP, true, NOWHERE, FOR_REAL, REASON_NOT_IN_HARBOR, false},
    {"its upstream has deleted the tag", "", HEALTH_UP, true, DELETED, FOR_REAL,
     REASON_NOT_IN_HARBOR, false},
    {"its upstream has deleted the tag, and audit has heard of it", "", HEALTH_UP, true, DELETED,
     AUDIT, REASON_NOT_IN_HARBOR, false},
    {"cached: nor does an upstream that has deleted it", "  requireInHarbor: cached\n", HEALTH_UP,
     true, DELETED, FOR_REAL, REASON_REWRITTEN, false},
    {"there, and its upstream is not asked in audit", "", HEALTH_UP, true, COPY, AUDIT,
     REASON_REWRITTEN, false},
    {"not known", "", HEALTH_UP, false, UNASKED, FOR_REAL, REASON_NOT_KNOWN_IN_TIME, true},
    {"not known, audit", "", HEALTH_UP, false, UNASKED, AUDIT, REASON_NOT_KNOWN_IN_TIME, true},
    {"the upstream is not asked in audit", "", HEALTH_UP, true, UNASKED, AUDIT, REASON_REWRITTEN,
     false},
    {"nor for a dry run", "", HEALTH_UP, true, UNASKED, DRY_RUN, REASON_REWRITTEN, false},
    {"health not known yet", "", HEALTH_UNKNOWN, true, THERE, FOR_REAL, REASON_HARBOR_DOWN, false},
    {"health not known yet, rewrite", "  onHarborUnavailable: rewrite\n", HEALTH_UNKNOWN, true,
     THERE, FOR_REAL, REASON_REWRITTEN, false},
    {"no such project",
     "",
     HEALTH_UP,
     true,
     {.no_project = true},
     FOR_REAL,
     REASON_NO_PROJECT,
     false},
    {"no such project, whatever else it says",
     "",
     HEALTH_UP,
     true,
     {.no_project = true, .unauthorized = true, .public_ = TRUTH_NO},
     FOR_REAL,
     REASON_NO_PROJECT,
     false},
    {"down", "", HEALTH_DOWN, true, THERE, FOR_REAL, REASON_HARBOR_DOWN, false},
    {"down, rewrite", "  onHarborUnavailable: rewrite\n", HEALTH_DOWN, false, UNASKED, FOR_REAL,
     REASON_REWRITTEN, false},
    {"late, rewrite says nothing", "  onHarborUnavailable: rewrite\n", HEALTH_UP, false, UNASKED,
     FOR_REAL, REASON_NOT_KNOWN_IN_TIME, true},
    {"the account", "", HEALTH_UNAUTHORIZED, true, THERE, FOR_REAL, REASON_HARBOR_AUTH, false},
    {"the account, rewrite", "  onHarborUnavailable: rewrite\n", HEALTH_UNAUTHORIZED, true, THERE,
     FOR_REAL, REASON_HARBOR_AUTH, false},
    {"may not know",
     "",
     HEALTH_UP,
     true,
     {.unauthorized = true, .public_ = TRUTH_YES},
     FOR_REAL,
     REASON_HARBOR_AUTH,
     false},
    {"the pull gate",
     "",
     HEALTH_UP,
     true,
     {.present = TRUTH_YES, .public_ = TRUTH_YES, .refused_by_pull_gate = true},
     FOR_REAL,
     REASON_REFUSED_BY_HARBOR,
     false},
    {"the filter",
     "",
     HEALTH_UP,
     true,
     {.present = TRUTH_YES, .public_ = TRUTH_YES, .outside_filter = true},
     FOR_REAL,
     REASON_OUTSIDE_PROXY_FILTER,
     false},
    {"private",
     "",
     HEALTH_UP,
     true,
     {.present = TRUTH_YES, .public_ = TRUTH_NO},
     FOR_REAL,
     REASON_PULL_SECRET_MISSING,
     false},
    {"private, with a secret",
     "  pullSecret: s\n",
     HEALTH_UP,
     true,
     {.present = TRUTH_YES, .public_ = TRUTH_NO},
     FOR_REAL,
     REASON_REWRITTEN,
     false},
    {"nobody knows whether it is private",
     "",
     HEALTH_UP,
     true,
     {.present = TRUTH_YES},
     FOR_REAL,
     REASON_NOT_KNOWN_IN_TIME,
     false},
    {"never", "  requireInHarbor: never\n", HEALTH_UP, false, UNASKED, FOR_REAL, REASON_REWRITTEN,
     false},
    {"never, and down", "  requireInHarbor: never\n", HEALTH_DOWN, false, UNASKED, FOR_REAL,
     REASON_HARBOR_DOWN, false},
    {"never, and not known yet", "  requireInHarbor: never\n", HEALTH_UNKNOWN, false, UNASKED,
     FOR_REAL, REASON_HARBOR_DOWN, false},
    {"never, and down, rewrite", "  requireInHarbor: never\n  onHarborUnavailable: rewrite\n",
     HEALTH_DOWN, false, UNASKED, FOR_REAL, REASON_REWRITTEN, false},
    {"never needs no account", "  requireInHarbor: never\n", HEALTH_UNAUTHORIZED, false, UNASKED,
     FOR_REAL, REASON_REWRITTEN, false},
};

static void check_fact_row(size_t row, bool last_chance)
{
    struct arena arena = {0};
    struct slice findings;
    struct slice text = arena_format(
        &arena,
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\nspec:\n"
        "  host: harbor.example.com\n  registries: {docker.io: hub}\n"
        "  api: {url: 'https://harbor.example.com'}\n" POLICY("p") "  namespaces: [team-a]\n%s",
        fact_rows[row].policy);
    struct policies *policies = load_text(text.base, NULL, &arena, &findings);
    if (!policies)
        CHECK_FAIL("%.*s", SLICE_ARGS(findings));
    struct fake_facts fake = {
        {fake_health, fake_artifact}, fact_rows[row].health, fact_rows[row].known,
        fact_rows[row].fact,          FACT_PRESENT,          false};
    struct decide_request request = request_of("team-a", read_pod(POD(IMAGE("x")), &arena));
    struct decisions decisions;
    request.facts = &fake.source;
    request.mode = fact_rows[row].audit ? MODE_AUDIT : MODE_ENFORCE;
    request.dry_run = fact_rows[row].dry_run;
    request.last_chance = last_chance;
    decide(policies, &request, &arena, &decisions);
    const char *name = fact_rows[row].name;
    check_text(name, "the reason", slice_from(decide_reason_name(decisions.items[0].reason)),
               decide_reason_name(fact_rows[row].reason));
    check_number(name, "what is asked", (long long)decisions.missing_count,
                 fact_rows[row].asks && !last_chance);
    bool shallow =
        fact_rows[row].audit || fact_rows[row].dry_run || strstr(fact_rows[row].policy, "cached");
    if (decisions.missing_count)
        check_number(name, "how deep", decisions.missing[0].needs,
                     shallow ? FACT_PRESENT : FACT_PRESENT | FACT_SERVABLE);
    policies_unref(policies);
    arena_done(&arena);
}

/* The database has answered and the upstream has not, when a decision is due. */
static void test_a_copy_and_no_time(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice findings;
    struct policies *policies = load_text(
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\nspec:\n"
        "  host: harbor.example.com\n  registries: {docker.io: hub}\n"
        "  api: {url: 'https://harbor.example.com'}\n" POLICY("p") "  namespaces: [team-a]\n",
        NULL, &arena, &findings);
    static const struct {
        const char *name;
        enum truth present;
        bool last_chance;
        enum rewrite_reason reason;
    } copies[] = {
        {"there is time", TRUTH_YES, false, REASON_NOT_KNOWN_IN_TIME},
        {"a copy", TRUTH_YES, true, REASON_REWRITTEN},
        {"no copy", TRUTH_NO, true, REASON_NOT_KNOWN_IN_TIME},
    };
    for (size_t i = 0; i < COUNT(copies); i++) {
        struct fake_facts fake = {.source = {fake_health, fake_artifact},
                                  .health = HEALTH_UP,
                                  .has_copy = true,
                                  .fact = {.present = copies[i].present, .public_ = TRUTH_YES}};
        struct decide_request request = request_of("team-a", read_pod(POD(IMAGE("x")), &arena));
        struct decisions decisions;
        request.facts = &fake.source;
        request.mode = MODE_ENFORCE;
        request.last_chance = copies[i].last_chance;
        decide(policies, &request, &arena, &decisions);
        check_text(copies[i].name, "the reason",
                   slice_from(decide_reason_name(decisions.items[0].reason)),
                   decide_reason_name(copies[i].reason));
        check_number(copies[i].name, "what is asked", (long long)decisions.missing_count,
                     !copies[i].last_chance);
    }
    policies_unref(policies);
    arena_done(&arena);
}

/* It is there, and would not be served: nobody could tell why without a word. */
static void test_a_deleted_tag_says_why(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice findings;
    struct policies *policies = load_text(
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\nspec:\n"
        "  host: harbor.example.com\n  registries: {docker.io: hub}\n"
        "  api: {url: 'https://harbor.example.com'}\n" POLICY("p") "  namespaces: [team-a]\n",
        NULL, &arena, &findings);
    struct fake_facts fake = {.source = {fake_health, fake_artifact},
                              .health = HEALTH_UP,
                              .known = true,
                              .fact = DELETED};
    struct decide_request request = request_of("team-a", read_pod(POD(IMAGE("x")), &arena));
    struct decisions decisions;
    request.facts = &fake.source;
    request.mode = MODE_ENFORCE;
    decide(policies, &request, &arena, &decisions);
    check_text("deleted", "the detail", slice_from(decisions.items[0].detail),
               "Harbor has a copy, but its upstream no longer has the tag, and then Harbor answers "
               "a pull 404");
    policies_unref(policies);
    arena_done(&arena);
}

static void test_fact_reasons(void **state)
{
    (void)state;
    bool seen[REASON_COUNT] = {false};
    for (size_t i = 0; i < COUNT(fact_rows); i++) {
        check_fact_row(i, true);
        check_fact_row(i, false);
        seen[fact_rows[i].reason] = true;
    }
    for (int i = 0; i < REASON_COUNT; i++)
        if (!seen[i] && is_fact_reason((enum rewrite_reason)i))
            CHECK_FAIL("no row has the reason `%s`", decide_reason_name((enum rewrite_reason)i));
}

/* The names of the man pages, in their order. */
static void test_reason_names(void **state)
{
    (void)state;
    static const char *const names[] = {"policy-invalid",
                                        "protected",
                                        "no-policy",
                                        "policy-disabled",
                                        "mirror-pod",
                                        "opted-out",
                                        "owned-by-operator",
                                        "pull-policy-never",
                                        "placeholder",
                                        "image-id",
                                        "unparseable",
                                        "already-in-harbor",
                                        "registry-not-proxied",
                                        "excluded",
                                        "not-in-rollout",
                                        "too-long",
                                        "pull-secret-missing",
                                        "no-project",
                                        "harbor-down",
                                        "harbor-auth",
                                        "refused-by-harbor",
                                        "outside-proxy-filter",
                                        "not-in-harbor",
                                        "not-known-in-time",
                                        "rewritten"};
    assert_int_equal(COUNT(names), REASON_COUNT);
    for (size_t i = 0; i < COUNT(names); i++)
        assert_string_equal(decide_reason_name((enum rewrite_reason)i), names[i]);
}

/* --- which reason wins --- */

/* Makes a request of which all conditions of `bits` hold (bit n: of reason n), each by a means of
 * its own, and returns the reason that is given. */
static enum rewrite_reason reason_of(unsigned bits)
{
#define HAS(reason) ((bits >> (reason)&1) != 0)
    struct arena arena = {0};
    struct slice policies_text = arena_format(
        &arena,
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\nspec:\n"
        "  host: harbor.example.com\n  registries: {docker.io: %s, quay.io: quay}\n"
        "  protected: [%s]\n" POLICY("p") "  namespaces: [%s]\n  mode: %s\n  registries: [%s]\n  "
                                          "exclude: [%s]\n  rollout: %d\n%s",
        HAS(REASON_TOO_LONG) ? A50 A50 A50 A50 A50 : "hub",
        HAS(REASON_PROTECTED) ? "'team-*'" : "kube-system",
        HAS(REASON_NO_POLICY) ? "others" : "'team-?'",
        HAS(REASON_POLICY_DISABLED) ? "disabled" : "enforce",
        HAS(REASON_REGISTRY_NOT_PROXIED) ? "quay.io" : "docker.io, quay.io",
        HAS(REASON_EXCLUDED) ? "'*'" : "'*/nothing'", HAS(REASON_NOT_IN_ROLLOUT) ? 0 : 100,
        HAS(REASON_PULL_SECRET_MISSING) ? "  pullSecret: s\n" : "");
    struct slice pod_text = arena_format(
        &arena,
        "{\"metadata\":{\"name\":\"n\",\"annotations\":{%s%s%s}%s},\"spec\":{\"%s\":[{\"name\":"
        "\"c\",\"image\":\"%s\"%s}]}}",
        HAS(REASON_MIRROR_POD) ? "\"kubernetes.io/config.mirror\":\"\"," : "",
        HAS(REASON_OPTED_OUT) ? "\"harbor-pilot.io/mode\":\"disabled\"," : "", "\"x\":\"y\"",
        HAS(REASON_OWNED_BY_OPERATOR) ? "," OWNER("example.com/v1", "Foo") : "",
        HAS(REASON_PULL_SECRET_MISSING) ? "ephemeralContainers" : "containers",
        HAS(REASON_PLACEHOLDER)         ? "auto"
        : HAS(REASON_IMAGE_ID)          ? "sha256:" A50 "aaaaaaaaaaaaaa"
        : HAS(REASON_UNPARSEABLE)       ? "UPPER"
        : HAS(REASON_ALREADY_IN_HARBOR) ? "harbor.example.com/x"
                                        : "x",
        HAS(REASON_PULL_POLICY_NEVER) ? ",\"imagePullPolicy\":\"Never\"" : "");
    struct slice findings; /* warnings about Policies without effect are right here */
    struct policies *policies = load_text(policies_text.base, NULL, &arena, &findings);
    if (!policies)
        CHECK_FAIL("%.*s", SLICE_ARGS(findings));
    struct decide_request request = request_of("team-a", read_pod(pod_text.base, &arena));
    if (HAS(REASON_PULL_SECRET_MISSING))
        request.subject = REVIEW_EPHEMERAL_CONTAINERS;
    struct decisions decisions;
    decide(HAS(REASON_POLICY_INVALID) ? NULL : policies, &request, &arena, &decisions);
    check_number("any", "the images", (long long)decisions.count, 1);
    enum rewrite_reason reason = decisions.items[0].reason;
    policies_unref(policies);
    arena_done(&arena);
    return reason;
}

/* One image cannot be two of these. */
static bool is_possible(unsigned bits)
{
    unsigned images = bits & (1u << REASON_PLACEHOLDER | 1u << REASON_IMAGE_ID |
                              1u << REASON_UNPARSEABLE | 1u << REASON_ALREADY_IN_HARBOR);
    return (images & (images - 1)) == 0;
}

static void check_winner(unsigned bits)
{
    if (!is_possible(bits))
        return;
    enum rewrite_reason expected =
        (enum rewrite_reason)__builtin_ctz(bits | 1u << REASON_REWRITTEN);
    enum rewrite_reason got = reason_of(bits);
    if (got == expected)
        return;
    fprintf(stderr, "\nof");
    for (unsigned i = 0; i < REASON_REWRITTEN; i++)
        if (bits >> i & 1)
            fprintf(stderr, " %s", decide_reason_name((enum rewrite_reason)i));
    CHECK_FAIL("the reason is `%s`, expected `%s`", decide_reason_name(got),
               decide_reason_name(expected));
}

static void test_the_earlier_reason_wins(void **state)
{
    (void)state;
    check_winner(0);
    for (unsigned i = 0; i < REASON_NO_PROJECT; i++)
        for (unsigned j = i; j < REASON_NO_PROJECT; j++)
            check_winner(1u << i | 1u << j); /* i == j: each alone */
    uint32_t random = 1;
    for (int i = 0; i < 300; i++) {
        random = random * 1664525u + 1013904223u;
        check_winner(random >> 8 & ((1u << REASON_NO_PROJECT) - 1));
    }
}

/* --- workloads and buckets --- */

#define CONTROLLED(labels, version, kind, name)                                                    \
    "{\"metadata\":{\"name\":\"pod-1\",\"labels\":{" labels "},\"ownerReferences\":["              \
    "{\"apiVersion\":\"" version "\",\"kind\":\"" kind "\",\"name\":\"" name                       \
    "\",\"controller\":true}]},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]}}"
#define HASH         "\"pod-template-hash\":\"7488ccf7cb\""
#define ROLLOUT_HASH "\"rollouts-pod-template-hash\":\"7488ccf7cb\""

static void test_workloads(void **state)
{
    (void)state;
    static const struct {
        const char *namespace_, *pod, *workload;
        int bucket; /* -1: not known from elsewhere */
    } cases[] = {
        /* the man pages */
        {"monitoring", CONTROLLED(HASH, "apps/v1", "ReplicaSet", "grafana-7488ccf7cb"),
         "monitoring/Deployment/grafana", 74},
        {"apps", CONTROLLED("", "apps/v1", "StatefulSet", "postgres"), "apps/StatefulSet/postgres",
         30},
        {"apps", CONTROLLED("", "batch/v1", "Job", "backup-29380000"), "apps/CronJob/backup", 24},
        /* Argo Rollouts has a hash of its own */
        {"monitoring", CONTROLLED(ROLLOUT_HASH, "apps/v1", "ReplicaSet", "grafana-7488ccf7cb"),
         "monitoring/Rollout/grafana", -1},
        {"apps", CONTROLLED(ROLLOUT_HASH, "apps/v1", "ReplicaSet", "grafana-7488ccf7cc"),
         "apps/ReplicaSet/grafana-7488ccf7cc", -1},
        {"apps", CONTROLLED(HASH "," ROLLOUT_HASH, "apps/v1", "ReplicaSet", "grafana-7488ccf7cb"),
         "apps/Deployment/grafana", -1},
        {"apps", CONTROLLED(ROLLOUT_HASH, "apps/v1", "StatefulSet", "web-7488ccf7cb"),
         "apps/StatefulSet/web-7488ccf7cb", -1},
        /* a ReplicaSet of nobody, and names that only look like it */
        {"apps", CONTROLLED("", "apps/v1", "ReplicaSet", "web-7488ccf7cb"),
         "apps/ReplicaSet/web-7488ccf7cb", -1},
        {"apps", CONTROLLED(HASH, "apps/v1", "ReplicaSet", "web-7488ccf7cc"),
         "apps/ReplicaSet/web-7488ccf7cc", -1},
        {"apps", CONTROLLED(HASH, "apps/v1", "ReplicaSet", "web7488ccf7cb"),
         "apps/ReplicaSet/web7488ccf7cb", -1},
        {"apps", CONTROLLED(HASH, "apps/v1", "ReplicaSet", "7488ccf7cb"),
         "apps/ReplicaSet/7488ccf7cb", -1},
        {"apps", CONTROLLED(HASH, "apps/v1", "ReplicaSet", "a-7488ccf7cb"), "apps/Deployment/a",
         -1},
        {"apps", CONTROLLED(HASH, "apps/v1", "ReplicaSet", "a-b-7488ccf7cb"), "apps/Deployment/a-b",
         -1},
        {"apps", CONTROLLED("\"pod-template-hash\":\"\"", "apps/v1", "ReplicaSet", "web-"),
         "apps/ReplicaSet/web-", -1},
        {"apps", CONTROLLED(HASH, "apps/v1", "StatefulSet", "web-7488ccf7cb"),
         "apps/StatefulSet/web-7488ccf7cb", -1},
        {"apps", CONTROLLED(HASH, "argoproj.io/v1", "ReplicaSet", "web-7488ccf7cb"),
         "apps/ReplicaSet/web-7488ccf7cb", -1},
        /* eight digits or more make a CronJob's */
        {"apps", CONTROLLED("", "batch/v1", "Job", "backup-2938000"), "apps/Job/backup-2938000",
         -1},
        {"apps", CONTROLLED("", "batch/v1", "Job", "backup-293800001"), "apps/CronJob/backup", 24},
        {"apps", CONTROLLED("", "batch/v1", "Job", "backup29380000"), "apps/Job/backup29380000",
         -1},
        {"apps", CONTROLLED("", "batch/v1", "Job", "29380000"), "apps/Job/29380000", -1},
        {"apps", CONTROLLED("", "batch/v1", "Job", "backup-29380000-x"),
         "apps/Job/backup-29380000-x", -1},
        {"apps", CONTROLLED("", "batch/v1", "Job", "a-1-29380000"), "apps/CronJob/a-1", -1},
        {"apps", CONTROLLED("", "other/v1", "Job", "backup-29380000"), "apps/Job/backup-29380000",
         -1},
        {"apps", CONTROLLED("", "apps/v1", "DaemonSet", "agent"), "apps/DaemonSet/agent", -1},
        {"apps", CONTROLLED("", "v1", "ReplicationController", "old"),
         "apps/ReplicationController/old", -1},
        /* without a controller a Pod stands for itself, by its name, or else its generateName */
        {"apps", "{\"metadata\":{\"name\":\"n\",\"generateName\":\"g-\"},\"spec\":{}}",
         "apps/Pod/n", -1},
        {"apps", "{\"metadata\":{\"generateName\":\"g-\"},\"spec\":{}}", "apps/Pod/g-", -1},
        {"apps", "{\"spec\":{}}", "apps/Pod/", -1},
        {"apps",
         "{\"metadata\":{\"name\":\"n\",\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":"
         "\"StatefulSet\",\"name\":\"s\"}]},\"spec\":{}}",
         "apps/Pod/n", -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct decide_request request =
            request_of(cases[i].namespace_, read_pod(cases[i].pod, &arena));
        struct decisions decisions;
        decide(the_set, &request, &arena, &decisions);
        check_text(cases[i].workload, "the workload", decisions.workload, cases[i].workload);
        if (cases[i].bucket >= 0)
            check_number(cases[i].workload, "the bucket", decisions.bucket, cases[i].bucket);
        arena_done(&arena);
    }
}

/* --- the share of a rollout --- */

static bool is_moved(const struct policies *policies, int workload, unsigned *ret_bucket)
{
    struct arena arena = {0};
    struct slice pod =
        arena_format(&arena, CONTROLLED("", "apps/v1", "StatefulSet", "w-%d"), workload);
    struct decide_request request = request_of("n", read_pod(pod.base, &arena));
    struct decisions decisions;
    decide(policies, &request, &arena, &decisions);
    *ret_bucket = decisions.bucket;
    bool moved = decisions.rewrites == 1;
    arena_done(&arena);
    return moved;
}

static void test_rollout_only_adds(void **state)
{
    (void)state;
    enum { WORKLOADS = 400 };
    bool before[WORKLOADS] = {false};
    int fewest = 0;
    for (int percent = 0; percent <= 100; percent++) {
        char text[1000];
        int moved = 0;
        snprintf(text, sizeof(text), HARBOR POLICY("p") "  namespaces: [n]\n  rollout: %d\n",
                 percent);
        struct policies *policies = load_right(text);
        for (int i = 0; i < WORKLOADS; i++) {
            unsigned bucket;
            bool now = is_moved(policies, i, &bucket);
            if (before[i] && !now)
                CHECK_FAIL("workload %d was in at %d and is out at %d", i, percent - 1, percent);
            assert_true(bucket < 100);
            check_number(text, "in when bucket < rollout", now, (int)bucket < percent);
            before[i] = now;
            moved += now;
        }
        assert_true(moved >= fewest);
        fewest = moved;
        if (percent == 0)
            assert_int_equal(moved, 0);
        if (percent == 50)
            assert_in_range(moved, WORKLOADS * 40 / 100, WORKLOADS * 60 / 100);
        policies_unref(policies);
    }
    assert_int_equal(fewest, WORKLOADS);
}

/* --- whose Pods --- */

static void test_owners(void **state)
{
    (void)state;
    static const struct {
        const char *group, *kind;
        bool built_in, with_owners;
    } cases[] = {
        {"apps", "ReplicaSet", true, true},
        {"apps", "StatefulSet", true, true},
        {"apps", "DaemonSet", true, true},
        {"batch", "Job", true, true},
        {"", "ReplicationController", true, true},
        {"apps", "Deployment", false, false},
        {"batch", "CronJob", false, false},
        {"apps", "ReplicationController", false, false},
        {"apps", "Job", false, false},
        {"", "Job", false, false},
        {"", "ReplicaSet", false, false},
        {"extensions", "ReplicaSet", false, false},
        {"kruise.io", "StatefulSet", false, false},
        {"apps", "replicaset", false, false},
        {"", "Pod", false, false},
        {"", "Node", false, true}, /* core/Node */
        {"core", "Node", false, false},
        {"tekton.dev", "TaskRun", false, true},
        {"tekton.dev", "PipelineRun", false, false},
        {"", "TaskRun", false, false},
        {"", "", false, false},
    };
    const struct policy *plain = policies_find(the_set, SLICE("apps"), NULL, 0);
    const struct policy *owners = policies_find(the_set, SLICE("owners"), NULL, 0);
    assert_non_null(plain);
    assert_non_null(owners);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct owner owner = {slice_from(cases[i].group), slice_from(cases[i].kind), SLICE("o")};
        char name[64];
        snprintf(name, sizeof(name), "%s/%s", cases[i].group, cases[i].kind);
        check_number(name, "may be rewritten", workload_may_rewrite_owner(plain, &owner),
                     cases[i].built_in);
        check_number(name, "may be rewritten with `owners`",
                     workload_may_rewrite_owner(owners, &owner), cases[i].with_owners);
    }
}

/* --- modes --- */

static void test_the_weaker_mode_counts(void **state)
{
    (void)state;
    static const struct {
        const char *namespace_;
        enum mode request, effective;
    } cases[] = {
        {"apps", MODE_ENFORCE, MODE_ENFORCE},      {"apps", MODE_AUDIT, MODE_AUDIT},
        {"audited", MODE_ENFORCE, MODE_AUDIT},     {"audited", MODE_AUDIT, MODE_AUDIT},
        {"disabled", MODE_ENFORCE, MODE_DISABLED}, {"disabled", MODE_AUDIT, MODE_DISABLED},
        {"elsewhere", MODE_AUDIT, MODE_AUDIT},     {"kube-system", MODE_ENFORCE, MODE_ENFORCE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct decide_request request =
            request_of(cases[i].namespace_, read_pod(POD(IMAGE("x")), &arena));
        struct decisions decisions;
        request.mode = cases[i].request;
        decide(the_set, &request, &arena, &decisions);
        check_text(cases[i].namespace_, "the mode", slice_from(mode_name(decisions.mode)),
                   mode_name(cases[i].effective));
        arena_done(&arena);
    }
}

/* --- which images --- */

#define E(name, image) "{\"name\":\"" name "\",\"image\":\"" image "\"}"

static const char old_pod[] = "{\"spec\":{\"containers\":[" E(
    "a", "x") "],\"ephemeralContainers\":[" E("old", "busybox") "," E("none", "") "]}}";
static const char new_pod[] =
    "{\"spec\":{\"volumes\":[{\"name\":\"v\",\"image\":{\"reference\":\"quay.io/v\"}}],"
    "\"initContainers\":[" E("i", "init") "],\"containers\":[" E(
        "a", "x") "],"
                  "\"ephemeralContainers\":[" E("old", "changed") "," E("new", "quay.io/dbg") "," E(
                      "a", "y") "]}}";

static void test_new_ephemeral_containers_only(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct decisions decisions;
    struct decide_request request = request_of("apps", read_pod(new_pod, &arena));
    request.subject = REVIEW_EPHEMERAL_CONTAINERS;
    request.old_pod = read_pod(old_pod, &arena);
    decide(the_set, &request, &arena, &decisions);
    assert_int_equal(decisions.count, 2);
    check_text("ephemeral", "the first", decisions.items[0].field->name, "new");
    check_text("ephemeral", "its result", decisions.items[0].result, "harbor.example.com/quay/dbg");
    check_number("ephemeral", "its index", (long long)decisions.items[0].field->index, 1);
    /* a container of that name is no ephemeral container of that name */
    check_text("ephemeral", "the second", decisions.items[1].field->name, "a");
    assert_int_equal(decisions.rewrites, 2);

    request.old_pod = NULL; /* not told: all are new */
    decide(the_set, &request, &arena, &decisions);
    assert_int_equal(decisions.count, 3);
    arena_done(&arena);
}

static void test_all_image_fields_of_a_new_pod(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct decisions decisions;
    struct decide_request request = request_of("apps", read_pod(new_pod, &arena));
    decide(the_set, &request, &arena, &decisions);
    assert_int_equal(decisions.count, 6);
    assert_int_equal(decisions.rewrites, 6);
    request.subject = REVIEW_OTHER;
    decide(the_set, &request, &arena, &decisions);
    assert_int_equal(decisions.count, 0);
    arena_done(&arena);
}

/* --- pull secrets --- */

#define SECRETS(list, images)                                                                      \
    "{\"spec\":{\"imagePullSecrets\":" list ",\"containers\":[" images "]}}"

static void test_pull_secret(void **state)
{
    (void)state;
    static const struct {
        const char *name, *namespace_, *pod;
        bool added;
        enum review_subject subject;
    } cases[] = {
        {"moved", "secret", POD(IMAGE("x")), true, REVIEW_POD_CREATE},
        {"there before", "secret", POD(IMAGE("harbor.example.com/p/x")), true, REVIEW_POD_CREATE},
        {"there before and never pulled", "secret",
         POD(IMAGE("harbor.example.com/p/x") ",\"imagePullPolicy\":\"Never\""), true,
         REVIEW_POD_CREATE}, /* docs/policies.md: any image that ends at Harbor's host */
        {"nothing at Harbor", "secret", POD(IMAGE("ghcr.io/x")), false, REVIEW_POD_CREATE},
        {"no image", "secret", "{\"spec\":{}}", false, REVIEW_POD_CREATE},
        {"has it", "secret", SECRETS("[{\"name\":\"harbor-pull\"}]", E("a", "x")), false,
         REVIEW_POD_CREATE},
        {"has others", "secret", SECRETS("[{\"name\":\"harbor\"},{},null]", E("a", "x")), true,
         REVIEW_POD_CREATE},
        {"null list", "secret", SECRETS("null", E("a", "x")), true, REVIEW_POD_CREATE},
        {"no secret in the Policy", "apps", POD(IMAGE("x")), false, REVIEW_POD_CREATE},
        {"left alone as a whole", "secret",
         POD_WITH("\"annotations\":{\"harbor-pilot.io/mode\":\"disabled\"}",
                  IMAGE("harbor.example.com/p/x")),
         false, REVIEW_POD_CREATE},
        {"ephemeral containers", "secret",
         "{\"spec\":{\"ephemeralContainers\":[" E("e", "harbor.example.com/p/x") "]}}", false,
         REVIEW_EPHEMERAL_CONTAINERS},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct decisions decisions;
        struct decide_request request =
            request_of(cases[i].namespace_, read_pod(cases[i].pod, &arena));
        request.subject = cases[i].subject;
        decide(the_set, &request, &arena, &decisions);
        check_number(cases[i].name, "the secret is added",
                     decide_adds_pull_secret(&request, &decisions), cases[i].added);
        arena_done(&arena);
    }
}

/* --- as JSON --- */

static struct slice written(const char *namespace_, const char *pod, const struct policies *set,
                            struct arena *arena)
{
    struct decisions decisions;
    struct decide_request request = request_of(namespace_, read_pod(pod, arena));
    struct buffer out = {0};
    struct json_writer w = {.out = &out};
    decide(set, &request, arena, &decisions);
    json_begin_object(&w);
    decision_write_members(&w, &decisions, &decisions.items[0],
                           pod_field_pointer(decisions.items[0].field, arena));
    json_member_bool(&w, "more", true);
    json_end_object(&w);
    struct slice text = arena_copy(arena, buffer_slice(&out));
    buffer_done(&out);
    return text;
}

static void test_as_json(void **state)
{
    (void)state;
    struct arena arena = {0};
    check_text("rewritten", "the JSON",
               written("monitoring",
                       CONTROLLED(HASH, "apps/v1", "ReplicaSet", "grafana-7488ccf7cb"), the_set,
                       &arena),
               "{\"field\":\"/spec/containers/0/image\",\"container\":\"c\",\"image\":\"x\","
               "\"result\":\"harbor.example.com/hub/library/x\",\"rewrite\":{\"outcome\":"
               "\"rewrite\",\"reason\":\"rewritten\"},\"policy\":\"plain\",\"source\":"
               "\"p.yaml:12\",\"bucket\":74,\"more\":true}");
    check_text(
        "kept", "the JSON",
        written("some", CONTROLLED("", "apps/v1", "StatefulSet", "s\\\"\\n"), the_set, &arena),
        "{\"field\":\"/spec/containers/0/image\",\"container\":\"c\",\"image\":\"x\","
        "\"result\":\"x\",\"rewrite\":{\"outcome\":\"keep\",\"reason\":"
        "\"registry-not-proxied\"},\"policy\":\"some\",\"source\":\"p.yaml:32\","
        "\"bucket\":18,\"more\":true}");
    check_text("a volume", "the JSON",
               written("elsewhere",
                       "{\"spec\":{\"volumes\":[{},{\"name\":\"v\",\"image\":{\"reference\":"
                       "\"a\\\"b\\u0001\"}}]}}",
                       the_set, &arena),
               "{\"field\":\"/spec/volumes/1/image/reference\",\"volume\":\"v\",\"image\":"
               "\"a\\\"b\\u0001\",\"result\":\"a\\\"b\\u0001\",\"rewrite\":{\"outcome\":\"keep\","
               "\"reason\":\"no-policy\"},\"more\":true}");
    check_text("without policies", "the JSON", written("apps", POD(IMAGE("x")), NULL, &arena),
               "{\"field\":\"/spec/containers/0/image\",\"container\":\"c\",\"image\":\"x\","
               "\"result\":\"x\",\"rewrite\":{\"outcome\":\"keep\",\"reason\":\"policy-invalid\"},"
               "\"more\":true}");
    arena_done(&arena);
}

/* `source` of an excluded image is the line of the pattern that excludes it: the first that
 * matches. */
static void test_source_of_excluded(void **state)
{
    (void)state;
    static const struct {
        const char *pod, *source;
    } cases[] = {
        {POD(IMAGE("quay.io/org/busybox")), "\"source\":\"p.yaml:39\""},
        {POD(IMAGE("quay.io/a/debug/b:1@" DIGEST)), "\"source\":\"p.yaml:40\""},
        {POD(IMAGE("quay.io/org/tool:1.0")), "\"source\":\"p.yaml:41\""},
        {POD(IMAGE("quay.io/org/x@" DIGEST)), "\"source\":\"p.yaml:42\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice text = written("some", cases[i].pod, the_set, &arena);
        const char *terminated = arena_copy(&arena, text).base;
        if (!strstr(terminated, cases[i].source) || !strstr(terminated, "\"excluded\""))
            CHECK_FAIL("%s\nexpected excluded and %s", terminated, cases[i].source);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_fact_reasons),
        cmocka_unit_test(test_a_copy_and_no_time),
        cmocka_unit_test(test_a_deleted_tag_says_why),
        cmocka_unit_test(test_reason_names),
        cmocka_unit_test(test_the_earlier_reason_wins),
        cmocka_unit_test(test_workloads),
        cmocka_unit_test(test_rollout_only_adds),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_the_weaker_mode_counts),
        cmocka_unit_test(test_new_ephemeral_containers_only),
        cmocka_unit_test(test_all_image_fields_of_a_new_pod),
        cmocka_unit_test(test_pull_secret),
        cmocka_unit_test(test_as_json),
        cmocka_unit_test(test_source_of_excluded),
    };
    return cmocka_run_group_tests(tests, load_the_set, free_the_set);
}
