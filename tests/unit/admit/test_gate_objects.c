/* Whom the gate judges, and who is spared: every kind of object × image × fact × Policy × path
 * through the validating webhook, against the rules of docs/policies.md as they are written
 * there, in expected_of(). What a fact means under a setting is in tests/unit/policy/test_gate.c.
 */
#include "admit/admit.h"

#include "tests/unit/check.h"

#define NOW 1795176000LL /* 2026-11-20T12:00:00Z */

/* --- objects --- */

enum old_object {
    NO_OLD,
    OLD_SAME,
    OLD_OTHER,
    OLD_ELSEWHERE,
    OLD_NULL,
    OLD_CONTROLLED, /* the same images */
    OLD_MIRROR,     /* the same images */
};

/* What the gate has to do with an object. */
enum role {
    NOT_OURS,
    FREE,       /* judged, and refused where it is bad */
    CONTROLLED, /* a Pod that a controller made: judged, and warned about with `workloads` */
    UNJUDGED,   /* a workload that a controller made, a mirror Pod */
};

struct object_row {
    const char *name, *group, *kind, *operation, *sub_resource;
    const char *metadata, *pod_metadata; /* members; the latter of a workload's template */
    const char *user;
    enum old_object old;
    enum role role;
};

#define OWNED_BY(version, kind, controller)                                                        \
    "\"ownerReferences\":[{\"apiVersion\":\"" version "\",\"kind\":\"" kind                        \
    "\",\"name\":\"o\",\"uid\":\"1\",\"controller\":" controller "}]"
#define BY_RS       OWNED_BY("apps/v1", "ReplicaSet", "true")
#define BY_OPERATOR OWNED_BY("postgresql.cnpg.io/v1", "Cluster", "true")
#define ALICE       "alice@example.com"
#define NODE        "system:node:n1"
#define SERVICE(of) "system:serviceaccount:kube-system:" of
#define MANAGER     "system:kube-controller-manager"
#define TRUSTED     "system:serviceaccount:argo:argo-rollouts"
#define POD         "", "Pod", "CREATE", ""
#define DEPLOYMENT  "apps", "Deployment", "CREATE", ""
#define UPDATED     "apps", "Deployment", "UPDATE", ""
#define POD_UPDATE  "", "Pod", "UPDATE", ""
#define DEBUG       "", "Pod", "UPDATE", "ephemeralcontainers"
#define MIRROR      "\"annotations\":{\"kubernetes.io/config.mirror\":\"x\"}"
#define OPTED_OUT   "\"annotations\":{\"harbor-pilot.io/mode\":\"disabled\"}"

static const struct object_row objects[] = {
    /* workloads that nobody controls */
    {"Deployment", DEPLOYMENT, "", "", ALICE, NO_OLD, FREE},
    {"ReplicaSet", "apps", "ReplicaSet", "CREATE", "", "", "", ALICE, NO_OLD, FREE},
    {"StatefulSet", "apps", "StatefulSet", "CREATE", "", "", "", ALICE, NO_OLD, FREE},
    {"DaemonSet", "apps", "DaemonSet", "CREATE", "", "", "", ALICE, NO_OLD, FREE},
    {"ReplicationController", "", "ReplicationController", "CREATE", "", "", "", ALICE, NO_OLD,
     FREE},
    {"Job", "batch", "Job", "CREATE", "", "", "", ALICE, NO_OLD, FREE},
    {"CronJob", "batch", "CronJob", "CREATE", "", "", "", ALICE, NO_OLD, FREE},
    {"a controller's own, without owner", DEPLOYMENT, "", "", MANAGER, NO_OLD, FREE},
    {"a Deployment that is owned, not controlled", DEPLOYMENT,
     OWNED_BY("apps/v1", "ReplicaSet", "false"), "", MANAGER, NO_OLD, FREE},
    {"a template that opts out", DEPLOYMENT, "", OPTED_OUT, ALICE, NO_OLD, FREE},
    {"a template that says it is a mirror Pod's", DEPLOYMENT, "", MIRROR, ALICE, NO_OLD, FREE},
    {"the same, by a node", DEPLOYMENT, "", MIRROR, NODE, NO_OLD, FREE},
    {"a Deployment that opts out itself", DEPLOYMENT, OPTED_OUT, "", ALICE, NO_OLD, FREE},
    {"a Deployment that says it is a mirror Pod", DEPLOYMENT, MIRROR, "", ALICE, NO_OLD, FREE},
    {"CREATE with an oldObject of null", DEPLOYMENT, "", "", ALICE, OLD_NULL, FREE},
    /* and their changes */
    {"UPDATE with a new image", UPDATED, "", "", ALICE, OLD_OTHER, FREE},
    {"UPDATE without one", UPDATED, "", "", ALICE, OLD_SAME, NOT_OURS},
    {"UPDATE, the image was another container's", UPDATED, "", "", ALICE, OLD_ELSEWHERE, NOT_OURS},
    {"UPDATE, the old one is not told", UPDATED, "", "", ALICE, OLD_NULL, FREE},
    {"UPDATE of a CronJob", "batch", "CronJob", "UPDATE", "", "", "", ALICE, OLD_OTHER, FREE},
    {"UPDATE of a CronJob, the same", "batch", "CronJob", "UPDATE", "", "", "", ALICE, OLD_SAME,
     NOT_OURS},
    {"UPDATE of a StatefulSet", "apps", "StatefulSet", "UPDATE", "", "", "", ALICE, OLD_OTHER,
     FREE},
    {"scale", "apps", "Deployment", "UPDATE", "scale", "", "", ALICE, OLD_OTHER, NOT_OURS},
    {"status", "apps", "Deployment", "UPDATE", "status", "", "", ALICE, OLD_OTHER, NOT_OURS},
    {"DELETE", "apps", "Deployment", "DELETE", "", "", "", ALICE, OLD_OTHER, NOT_OURS},
    {"CONNECT", "apps", "Deployment", "CONNECT", "", "", "", ALICE, OLD_OTHER, NOT_OURS},
    {"create", "apps", "Deployment", "create", "", "", "", ALICE, NO_OLD, NOT_OURS},
    /* the images of an old object that nobody would judge are not known */
    {"UPDATE without a new image, the old one was a controller's", UPDATED, "", "", TRUSTED,
     OLD_CONTROLLED, FREE},
    {"the same, by who is not believed", UPDATED, "", "", ALICE, OLD_CONTROLLED, NOT_OURS},
    {"UPDATE without a new image, the old template said mirror Pod", UPDATED, "", "", ALICE,
     OLD_MIRROR, NOT_OURS},
    /* workloads with a controller */
    {"by deployment-controller", "apps", "ReplicaSet", "CREATE", "",
     OWNED_BY("apps/v1", "Deployment", "true"), "", SERVICE("deployment-controller"), NO_OLD,
     UNJUDGED},
    {"by cronjob-controller", "batch", "Job", "CREATE", "", OWNED_BY("batch/v1", "CronJob", "true"),
     "", SERVICE("cronjob-controller"), NO_OLD, UNJUDGED},
    {"by the manager", "apps", "ReplicaSet", "CREATE", "",
     OWNED_BY("apps/v1", "Deployment", "true"), "", MANAGER, NO_OLD, UNJUDGED},
    {"by a trusted controller", "apps", "ReplicaSet", "CREATE", "",
     OWNED_BY("argoproj.io/v1alpha1", "Rollout", "true"), "", TRUSTED, NO_OLD, UNJUDGED},
    {"UPDATE by deployment-controller", "apps", "ReplicaSet", "UPDATE", "",
     OWNED_BY("apps/v1", "Deployment", "true"), "", SERVICE("deployment-controller"), OLD_OTHER,
     UNJUDGED},
    {"who claims a Deployment", "apps", "ReplicaSet", "CREATE", "",
     OWNED_BY("apps/v1", "Deployment", "true"), "", ALICE, NO_OLD, FREE},
    {"by an operator that nobody trusts", DEPLOYMENT, BY_OPERATOR, "",
     "system:serviceaccount:cnpg:cnpg", NO_OLD, FREE},
    {"by deployment-controller of another namespace", "apps", "ReplicaSet", "CREATE", "",
     OWNED_BY("apps/v1", "Deployment", "true"), "",
     "system:serviceaccount:kube-systen:deployment-controller", NO_OLD, FREE},
    {"by an account that is no controller's", "apps", "ReplicaSet", "CREATE", "",
     OWNED_BY("apps/v1", "Deployment", "true"), "", SERVICE("default"), NO_OLD, FREE},
    {"by nobody", "apps", "ReplicaSet", "CREATE", "", OWNED_BY("apps/v1", "Deployment", "true"), "",
     "", NO_OLD, FREE},
    {"the owner in the template counts for nothing", DEPLOYMENT, "", BY_RS, MANAGER, NO_OLD, FREE},
    /* Pods */
    {"bare", POD, "", "", ALICE, NO_OLD, FREE},
    {"bare, by the manager", POD, "", "", MANAGER, NO_OLD, FREE},
    {"by replicaset-controller", POD, BY_RS, "", SERVICE("replicaset-controller"), NO_OLD,
     CONTROLLED},
    {"by statefulset-controller", POD, OWNED_BY("apps/v1", "StatefulSet", "true"), "",
     SERVICE("statefulset-controller"), NO_OLD, CONTROLLED},
    {"by daemon-set-controller", POD, OWNED_BY("apps/v1", "DaemonSet", "true"), "",
     SERVICE("daemon-set-controller"), NO_OLD, CONTROLLED},
    {"by job-controller", POD, OWNED_BY("batch/v1", "Job", "true"), "", SERVICE("job-controller"),
     NO_OLD, CONTROLLED},
    {"by replication-controller", POD, OWNED_BY("v1", "ReplicationController", "true"), "",
     SERVICE("replication-controller"), NO_OLD, CONTROLLED},
    {"by the manager, controlled", POD, BY_RS, "", MANAGER, NO_OLD, CONTROLLED},
    {"by a trusted one", POD, BY_OPERATOR, "", TRUSTED, NO_OLD, CONTROLLED},
    {"who claims a ReplicaSet", POD, BY_RS, "", ALICE, NO_OLD, FREE},
    {"operator-owned", POD, BY_OPERATOR, "", "system:serviceaccount:cnpg:cnpg", NO_OLD, FREE},
    {"owned, not controlled", POD, OWNED_BY("apps/v1", "ReplicaSet", "false"), "", MANAGER, NO_OLD,
     FREE},
    {"opted out", POD, OPTED_OUT, "", ALICE, NO_OLD, FREE},
    {"opted out and controlled", POD, OPTED_OUT "," BY_RS, "", SERVICE("replicaset-controller"),
     NO_OLD, CONTROLLED},
    {"a mirror Pod", POD, MIRROR, "", NODE, NO_OLD, UNJUDGED},
    {"who says that it is a mirror Pod", POD, MIRROR, "", ALICE, NO_OLD, FREE},
    {"who is called like a node", POD, MIRROR, "", "system:nodes:n1", NO_OLD, FREE},
    {"a node's Pod that is none", POD, "", "", NODE, NO_OLD, FREE},
    {"UPDATE of a Pod", POD_UPDATE, "", "", ALICE, OLD_OTHER, FREE},
    {"UPDATE of a Pod, the same", POD_UPDATE, "", "", ALICE, OLD_SAME, NOT_OURS},
    {"UPDATE of a controlled Pod", POD_UPDATE, BY_RS, "", ALICE, OLD_OTHER, FREE},
    {"UPDATE of a controlled Pod, by a controller", POD_UPDATE, BY_RS, "", MANAGER, OLD_OTHER,
     CONTROLLED},
    {"UPDATE of a Pod, by a node, of what says that it is a mirror Pod", POD_UPDATE, MIRROR, "",
     ALICE, OLD_OTHER, FREE},
    {"status of a Pod", "", "Pod", "UPDATE", "status", "", "", ALICE, OLD_OTHER, NOT_OURS},
    {"DELETE of a Pod", "", "Pod", "DELETE", "", "", "", ALICE, OLD_OTHER, NOT_OURS},
    {"binding", "", "Pod", "CREATE", "binding", "", "", ALICE, NO_OLD, NOT_OURS},
    {"exec", "", "Pod", "CONNECT", "exec", "", "", ALICE, NO_OLD, NOT_OURS},
    /* ephemeral containers: the person who debugs asks, whoever made the Pod */
    {"a new ephemeral container", DEBUG, "", "", ALICE, OLD_OTHER, FREE},
    {"of a controlled Pod", DEBUG, BY_RS, "", ALICE, OLD_OTHER, FREE},
    {"of a controlled Pod, by its controller", DEBUG, BY_RS, "", MANAGER, OLD_OTHER, CONTROLLED},
    {"one that was there", DEBUG, "", "", ALICE, OLD_SAME, NOT_OURS},
    {"of what says that it is a mirror Pod", DEBUG, MIRROR, "", ALICE, OLD_OTHER, FREE},
    /* others */
    {"PodTemplate", "", "PodTemplate", "CREATE", "", "", "", ALICE, NO_OLD, NOT_OURS},
    {"Rollout", "argoproj.io", "Rollout", "CREATE", "", "", "", ALICE, NO_OLD, NOT_OURS},
    {"a Deployment of another group", "extensions", "Deployment", "CREATE", "", "", "", ALICE,
     NO_OLD, NOT_OURS},
    {"a Deployment of the core group", "", "Deployment", "CREATE", "", "", "", ALICE, NO_OLD,
     NOT_OURS},
    {"a Pod of another group", "apps", "Pod", "CREATE", "", "", "", ALICE, NO_OLD, NOT_OURS},
};

/* --- images --- */

enum place { IN_HARBOR, NOWHERE, NOT_AN_IMAGE };

#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG                                                                                       \
    "a" A50 A50 A50 A50                                                                            \
    "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* with `docker.io/` 255 characters, and no     \
                                                      more */

static const struct image_row {
    const char *image;
    enum place place;
    const char *key; /* what is asked of Harbor */
    const char *pull_policy;
    bool volume;
} images[] = {
    {"x", IN_HARBOR, "hub library/x latest", "", false},
    {"x:1", IN_HARBOR, "hub library/x 1", "Never", false},
    {"quay.io/q", IN_HARBOR, "quay q latest", "", false}, /* a registry that no Policy moves */
    {"excluded", IN_HARBOR, "hub library/excluded latest", "", false},
    {"docker.io/" LONG, IN_HARBOR, "hub " LONG " latest", "", false},
    {"harbor.example.com/hub/library/x", IN_HARBOR, "hub library/x latest", "", false},
    {"harbor.example.com/own/app:2", IN_HARBOR, "own app 2", "", false},
    /* other spellings of the same hosts */
    {"HARBOR.example.com:443/hub/library/x:2", IN_HARBOR, "hub library/x 2", "", false},
    {"docker.io:443/library/x:2", IN_HARBOR, "hub library/x 2", "", false},
    {"registry-1.docker.io/x:2", IN_HARBOR, "hub library/x 2", "", false},
    {"Index.Docker.io:443/org/x:2", IN_HARBOR, "hub org/x 2", "", false},
    {"QUAY.IO/q:2", IN_HARBOR, "quay q 2", "", false},
    {"quay.io:443/q:2", IN_HARBOR, "quay q 2", "", false},
    {"quay.io:80/q:2", NOWHERE, NULL, "", false},
    {"harbor.example.com:4430/hub/x", NOWHERE, NULL, "", false},
    {"harbor.example.com/one", NOWHERE, NULL, "", false},
    {"ghcr.io/a/b", NOWHERE, NULL, "", false},
    {"UPPER", NOWHERE, NULL, "", false},
    {"auto", NOT_AN_IMAGE, NULL, "", false}, /* Istio's */
    {" ", NOT_AN_IMAGE, NULL, "", false},    /* OpenShift's */
    {"docker.io/org/model:v1", IN_HARBOR, "hub org/model v1", "", true},
    {"ghcr.io/org/model:v1", NOWHERE, NULL, "", true},
};

/* --- facts --- */

static const struct fact_row {
    const char *name;
    enum harbor_health health;
    bool silent, refused, outside_filter, absent;
    bool critical, scanned;
    enum gate_reason reason;
} facts[] = {
    {"critical", HEALTH_UP, .critical = true, .scanned = true, .reason = GATE_FINDINGS},
    {"clean", HEALTH_UP, .scanned = true, .reason = GATE_CLEAN},
    {"unscanned", HEALTH_UP, .reason = GATE_UNSCANNED},
    {"not there", HEALTH_UP, .absent = true, .reason = GATE_UNSCANNED},
    {"412", HEALTH_UP, .refused = true, .reason = GATE_REFUSED_BY_HARBOR},
    {"outside the filter", HEALTH_UP, .outside_filter = true, .reason = GATE_UNPROXIED},
    {"down", HEALTH_DOWN, .critical = true, .scanned = true, .reason = GATE_UNAVAILABLE},
    {"too late", HEALTH_UNKNOWN, .silent = true, .reason = GATE_UNAVAILABLE},
};

struct fake_facts {
    struct fact_source source;
    const struct fact_row *row;
    const struct image_row *image;
};

static enum harbor_health fake_health(const struct fact_source *self, const struct harbor *harbor)
{
    (void)harbor;
    return ((const struct fake_facts *)self)->row->health;
}

static bool fake_artifact(const struct fact_source *self, const struct harbor *harbor,
                          const struct artifact_key *key, fact_needs needs, long long now,
                          struct arena *arena, struct artifact_fact *ret)
{
    const struct fake_facts *fake = (const struct fake_facts *)self;
    const struct fact_row *row = fake->row;
    (void)harbor;
    (void)now;
    if (!(needs & FACT_SCAN))
        return false; /* the rewrite's question: nothing is known of it */
    if (!fake->image->key)
        CHECK_FAIL("%s: something is asked", fake->image->image);
    check_text(fake->image->image, "the question",
               arena_format(arena, "%.*s %.*s %.*s", SLICE_ARGS(key->project),
                            SLICE_ARGS(key->repository), SLICE_ARGS(key->reference)),
               fake->image->key);
    *ret = (struct artifact_fact){.present = row->absent ? TRUTH_NO : TRUTH_YES,
                                  .public_ = TRUTH_YES,
                                  .has_allowlist = TRUTH_NO,
                                  .refused_by_pull_gate = row->refused,
                                  .outside_filter = row->outside_filter};
    ret->scan.status = row->scanned ? SCAN_DONE : SCAN_NONE;
    struct finding finding = {
        .id = SLICE("CVE-1"), .package = SLICE("p"), .severity = SEVERITY_CRITICAL};
    scan_set_findings(&ret->scan, SEVERITY_NONE, &finding, row->critical, arena);
    return !row->silent;
}

/* --- policies --- */

enum { DENY_ALL = 1, PODS = 2, NO_GATE = 4, LEFT_ALONE = 8 };

static const struct policy_row {
    const char *namespace_;
    const char *fields;
    enum mode mode;
    bool claimed;
    unsigned flags;
} policies[] = {
    {"plain", "", MODE_ENFORCE, true, 0},
    {"strict", "", MODE_ENFORCE, true, DENY_ALL},
    {"pods", "", MODE_ENFORCE, true, PODS},
    {"strict-pods", "", MODE_ENFORCE, true, DENY_ALL | PODS},
    {"audited", "  mode: audit\n", MODE_AUDIT, true, DENY_ALL | PODS},
    {"disabled", "  mode: disabled\n", MODE_DISABLED, true, DENY_ALL | PODS},
    /* neither `exclude` nor `rollout` nor `registries` is a way round the gate */
    {"round", "  rollout: 0\n  exclude: ['*']\n  registries: []\n", MODE_ENFORCE, true, DENY_ALL},
    {"never", "  requireInHarbor: never\n", MODE_ENFORCE, true, DENY_ALL},
    {"secret", "  pullSecret: s\n  pullPolicy: Always\n", MODE_ENFORCE, true, DENY_ALL},
    {"no-gate", "", MODE_ENFORCE, true, NO_GATE},
    {"stood-on", "", MODE_ENFORCE, true, DENY_ALL | PODS | LEFT_ALONE}, /* protected */
    {"unclaimed", NULL, MODE_ENFORCE, false, 0},
};

static struct policies *load_policies(void)
{
    struct buffer text = {0};
    struct arena arena = {0};
    struct slice findings;
    buffer_append_text(&text,
                       "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\n"
                       "spec:\n  host: harbor.example.com\n"
                       "  registries: {docker.io: hub, quay.io: quay}\n"
                       "  protected: [stood-on]\n"
                       "  trustedControllers: [someone, '" TRUSTED "']\n"
                       "  api: {url: 'https://harbor.example.com'}\n");
    for (size_t i = 0; i < COUNT(policies); i++) {
        const struct policy_row *row = &policies[i];
        if (!row->claimed)
            continue;
        buffer_append_format(
            &text,
            "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: %s}\n"
            "spec:\n  namespaces: [%s]\n%s%s%s%s%s%s",
            row->namespace_, row->namespace_, row->fields,
            strstr(row->fields, "exclude") || row->flags & NO_GATE
                ? ""
                : "  exclude: [docker.io/library/excluded]\n",
            strstr(row->fields, "registries") || row->flags & NO_GATE
                ? ""
                : "  registries: [docker.io]\n",
            row->flags & NO_GATE ? "" : "  findings:\n    fixableOnly: false\n",
            row->flags & PODS ? "    enforceOn: pods\n" : "",
            row->flags & DENY_ALL
                ? "    unscanned: deny\n    unproxied: deny\n    unavailable: deny\n"
                : "");
    }
    buffer_append_char(&text, '\0');
    struct policies *set = load_text(buffer_slice(&text).base, NULL, &arena, &findings);
    if (!set)
        CHECK_FAIL("%.*s", SLICE_ARGS(findings));
    buffer_done(&text);
    arena_done(&arena);
    return set;
}

/* --- reviews --- */

static struct slice pod_spec(const struct object_row *object, const struct image_row *image,
                             bool elsewhere, struct arena *arena)
{
    if (image->volume)
        return arena_format(arena,
                            "{\"volumes\":[{\"name\":\"c\",\"image\":{\"reference\":\"%s\"}}]}",
                            image->image);
    bool debug = strcmp(object->sub_resource, "ephemeralcontainers") == 0;
    return arena_format(arena, "{\"%s\":[{\"name\":\"%s\",\"image\":\"%s\"%s%s%s}]}",
                        debug       ? "ephemeralContainers"
                        : elsewhere ? "initContainers"
                                    : "containers",
                        elsewhere ? "other" : "c", image->image,
                        *image->pull_policy ? ",\"imagePullPolicy\":\"" : "", image->pull_policy,
                        *image->pull_policy ? "\"" : "");
}

static struct slice object_json(const struct object_row *object, struct slice spec,
                                struct arena *arena)
{
    bool cron = strcmp(object->kind, "CronJob") == 0, pod = strcmp(object->kind, "Pod") == 0;
    struct slice template =
        pod ? spec
            : arena_format(arena, "{\"template\":{\"metadata\":{%s},\"spec\":%.*s}}",
                           object->pod_metadata, SLICE_ARGS(spec));
    if (cron)
        template = arena_format(arena, "{\"jobTemplate\":{\"spec\":%.*s}}", SLICE_ARGS(template));
    return arena_format(arena, "{\"metadata\":{%s},\"kind\":\"%s\",\"spec\":%.*s}",
                        object->metadata, object->kind, SLICE_ARGS(template));
}

static struct slice old_json(const struct object_row *object, const struct image_row *image,
                             struct arena *arena)
{
    static const struct image_row other = {"docker.io/library/something-old", IN_HARBOR, NULL, "",
                                           false};
    bool debug = strcmp(object->sub_resource, "ephemeralcontainers") == 0;
    switch (object->old) {
    case NO_OLD:
        return (struct slice){0};
    case OLD_NULL:
        return SLICE(",\"oldObject\":null");
    case OLD_SAME:
    case OLD_ELSEWHERE:
    case OLD_OTHER:
    case OLD_CONTROLLED:
    case OLD_MIRROR:
        break;
    }
    struct object_row before = *object;
    if (object->old == OLD_CONTROLLED)
        before.metadata = BY_OPERATOR;
    if (object->old == OLD_MIRROR)
        before.pod_metadata = MIRROR;
    struct slice spec =
        object->old == OLD_OTHER && debug
            ? SLICE("{\"ephemeralContainers\":[{\"name\":\"before\",\"image\":\"busybox\"}]}")
            : pod_spec(object, object->old == OLD_OTHER ? &other : image,
                       object->old == OLD_ELSEWHERE, arena);
    return arena_format(arena, ",\"oldObject\":%.*s",
                        SLICE_ARGS(object_json(&before, spec, arena)));
}

static struct slice review_of(const struct object_row *object, const struct image_row *image,
                              const char *namespace_, struct arena *arena)
{
    return arena_format(
        arena,
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{"
        "\"uid\":\"u\",\"kind\":{\"group\":\"%s\",\"version\":\"v1\",\"kind\":\"%s\"},"
        "\"namespace\":\"%s\",\"operation\":\"%s\",\"subResource\":\"%s\",\"userInfo\":{"
        "\"username\":\"%s\"},\"object\":%.*s%.*s}}",
        object->group, object->kind, namespace_, object->operation, object->sub_resource,
        object->user, SLICE_ARGS(object_json(object, pod_spec(object, image, false, arena), arena)),
        SLICE_ARGS(old_json(object, image, arena)));
}

/* --- what the documents say --- */

struct expected {
    bool judged, spared;
    enum gate_reason reason;
    enum gate_outcome outcome;
    enum mode mode;
};

static struct expected expected_of(const struct object_row *object, const struct image_row *image,
                                   const struct fact_row *fact, const struct policy_row *policy,
                                   enum mode path)
{
    struct expected e = {.mode = policy->claimed && policy->mode < path ? policy->mode : path};
    bool debug = strcmp(object->sub_resource, "ephemeralcontainers") == 0;
    if (object->role == NOT_OURS || object->role == UNJUDGED || image->place == NOT_AN_IMAGE ||
        !policy->claimed || policy->flags & (NO_GATE | LEFT_ALONE) || e.mode == MODE_DISABLED ||
        (debug && image->volume)) /* what is not among the ephemeral containers was there before */
        return e;
    e.judged = true;
    e.reason = image->place == NOWHERE ? GATE_UNPROXIED : fact->reason;
    bool by_action = e.reason == GATE_FINDINGS || e.reason == GATE_REFUSED_BY_HARBOR;
    if (e.reason == GATE_CLEAN)
        e.outcome = GATE_ALLOW;
    else if (by_action || policy->flags & DENY_ALL)
        e.outcome = GATE_DENY;
    else
        e.outcome = e.reason == GATE_UNAVAILABLE ? GATE_ALLOW : GATE_WARN;
    if (e.outcome == GATE_DENY && object->role == CONTROLLED && !(policy->flags & PODS)) {
        e.outcome = GATE_WARN;
        e.spared = true;
    }
    return e;
}

/* --- the cross product --- */

static struct policies *the_set;

static int load_the_set(void **state)
{
    (void)state;
    the_set = load_policies();
    return 0;
}

static int free_the_set(void **state)
{
    (void)state;
    policies_unref(the_set);
    return 0;
}

static const char *yes_no(bool yes)
{
    return yes ? "yes" : "no";
}

static size_t count_of(struct slice text, const char *what)
{
    size_t count = 0;
    for (size_t at = 0; at + strlen(what) <= text.len; at++)
        count += memcmp(text.base + at, what, strlen(what)) == 0;
    return count;
}

static void check_one(const struct object_row *object, const struct image_row *image,
                      const struct fact_row *fact, const struct policy_row *policy, enum mode path)
{
    struct arena arena = {0};
    struct buffer out = {0};
    struct admission got;
    struct error error = {""};
    struct fake_facts fake = {{fake_health, fake_artifact}, fact, image};
    struct expected e = expected_of(object, image, fact, policy, path);
    struct admit_request request = {
        .policies = the_set,
        .webhook = ADMIT_VALIDATE,
        .mode = path,
        .body = review_of(object, image, policy->namespace_, &arena),
        .facts = &fake.source,
        .now = NOW,
        .last_chance = true,
    };
    if (!admit(&request, &arena, &out, &got, &error))
        CHECK_FAIL("%s: %s", request.body.base, error.text);
    const struct verdict *verdict = got.decisions.count ? &got.decisions.items[0].verdict : NULL;
    bool judged = verdict && verdict->judged, enforced = e.mode == MODE_ENFORCE;
    bool denied = e.judged && enforced && e.outcome == GATE_DENY;
    bool warned = e.judged && enforced && e.outcome == GATE_WARN;
    bool noted = e.judged && e.outcome != GATE_ALLOW;
    struct slice answer = buffer_slice(&out);
    bool right = judged == e.judged && got.denied == denied &&
                 (!judged || (verdict->reason == e.reason && verdict->outcome == e.outcome &&
                              verdict->spared == e.spared)) &&
                 (got.result == ADMIT_DENIED) == denied && got.patch_size == 0 &&
                 count_of(answer, "\"allowed\":false,\"status\":{\"code\":403") == denied &&
                 count_of(answer, "\"allowed\":true") == !denied &&
                 count_of(answer, "\"warnings\":[\"harbor-pilot: ") == warned &&
                 count_of(answer, "\"policy\":\"") == e.judged &&
                 count_of(answer, image->volume ? "\"volume-c\":\"" : "\"image-c\":\"") == noted &&
                 (e.judged || got.result == ADMIT_UNCHANGED);
    if (!right)
        CHECK_FAIL("%s (%s %s) of `%s`, image %s, %s, Policy %s, path %s:\n"
                   "  judged %s, %s, %s%s, denied %s\n  %.*s\nexpected\n"
                   "  judged %s, %s, %s%s, denied %s\n%.*s",
                   object->name, object->operation, object->kind, object->user, image->image,
                   fact->name, policy->namespace_, mode_name(path), yes_no(judged),
                   verdict ? gate_reason_name(verdict->reason) : "-",
                   verdict ? gate_outcome_name(verdict->outcome) : "-",
                   verdict && verdict->spared ? " (spared)" : "", yes_no(got.denied),
                   SLICE_ARGS(answer), yes_no(e.judged), gate_reason_name(e.reason),
                   gate_outcome_name(e.outcome), e.spared ? " (spared)" : "", yes_no(denied),
                   SLICE_ARGS(request.body));
    buffer_done(&out);
    arena_done(&arena);
}

static void test_all(void **state)
{
    (void)state;
    for (size_t o = 0; o < COUNT(objects); o++)
        for (size_t i = 0; i < COUNT(images); i++)
            for (size_t f = 0; f < COUNT(facts); f++)
                for (size_t p = 0; p < COUNT(policies); p++) {
                    bool asks = images[i].place == IN_HARBOR &&
                                (objects[o].role == FREE || objects[o].role == CONTROLLED);
                    if (!asks && f > 0)
                        continue; /* one fact is as good as another */
                    check_one(&objects[o], &images[i], &facts[f], &policies[p], MODE_ENFORCE);
                    check_one(&objects[o], &images[i], &facts[f], &policies[p], MODE_AUDIT);
                }
}

/* Without policies nothing is judged: everything is let in. */
static void test_without_policies(void **state)
{
    (void)state;
    for (size_t o = 0; o < COUNT(objects); o++) {
        struct arena arena = {0};
        struct buffer out = {0};
        struct admission got;
        struct error error = {""};
        struct admit_request request = {
            .webhook = ADMIT_VALIDATE,
            .mode = MODE_ENFORCE,
            .body = review_of(&objects[o], &images[0], "plain", &arena),
            .last_chance = true,
        };
        assert_true(admit(&request, &arena, &out, &got, &error));
        check_text(objects[o].name, "the answer", buffer_slice(&out),
                   "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
                   "\"response\":{\"uid\":\"u\",\"allowed\":true}}");
        assert_int_equal(got.decisions.judged, 0);
        buffer_done(&out);
        arena_done(&arena);
    }
}

/* The mutating webhook judges nobody, and does not touch a workload. */
static void test_mutate_judges_nobody(void **state)
{
    (void)state;
    for (size_t o = 0; o < COUNT(objects); o++)
        for (size_t p = 0; p < COUNT(policies); p++) {
            struct arena arena = {0};
            struct buffer out = {0};
            struct admission got;
            struct error error = {""};
            struct admit_request request = {
                .policies = the_set,
                .webhook = ADMIT_MUTATE,
                .mode = MODE_ENFORCE,
                .body = review_of(&objects[o], &images[0], policies[p].namespace_, &arena),
                .last_chance = true,
            };
            assert_true(admit(&request, &arena, &out, &got, &error));
            assert_int_equal(got.decisions.judged, 0);
            assert_false(got.denied);
            if (strcmp(objects[o].kind, "Pod") != 0)
                check_text(objects[o].name, "the answer", buffer_slice(&out),
                           "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
                           "\"response\":{\"uid\":\"u\",\"allowed\":true}}");
            buffer_done(&out);
            arena_done(&arena);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_without_policies),
        cmocka_unit_test(test_mutate_judges_nobody),
    };
    return cmocka_run_group_tests(tests, load_the_set, free_the_set);
}
