/* What several fields or documents say together: names, Harbors, overlaps with their example, what
 * is protected, Policies without effect, paths without documents, several files, many Policies. */
#include "image/glob.h"
#include "policy/policy.h"

#include "tests/unit/check.h"

#define KIND(kind, name)                                                                           \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: " kind "\n"                                                                             \
    "metadata: {name: " name "}\n"

/* Each takes four lines, and one for the "---" before the next. */
#define HARBOR(name, spec) KIND("Harbor", name) "spec: {" spec "}\n---\n"
#define POLICY(name, spec) KIND("Policy", name) "spec: {" spec "}\n---\n"
#define API                HARBOR("h", "host: h.io, registries: {docker.io: hub}, api: {url: 'https://h.io'}")
#define GATED(name, spec)                                                                          \
    POLICY(name, spec ", podSelector: {matchLabels: {tier: web}}, findings: {}")
#define ROUND(at, namespace_)                                                                       \
    "p.yaml:" at ": warning: `findings` can be got round in `" namespace_                           \
    "`: who writes a Pod's labels decides whether `podSelector` matches; expected `findings` in a " \
    "Policy without `podSelector` for the other Pods, too\n"
#define RENAMES(renames)                                                                           \
    HARBOR("h", "host: h.io, registries: {docker.io: hub, quay.io: quay}, renames: {" renames "}")
#define H HARBOR("h", "host: h.io, registries: {docker.io: hub, quay.io: quay}")
#define A "0123456789"

static const struct {
    const char *name, *text, *findings, *own_namespace;
} cases[] = {
    {"nothing wrong", H POLICY("a", "namespaces: [a]") POLICY("b", "namespaces: [b, 'c-*']"), "",
     NULL},
    {"a Harbor alone", H, "", NULL},
    {"no Harbor", POLICY("a", "namespaces: [a]"),
     "p.yaml:1:1: there is no Harbor document, expected one with `host` and `registries`\n", NULL},
    {"a Harbor of no name that is asked for", H POLICY("a", "namespaces: [a], harbor: g"),
     "p.yaml:9:33: there is no Harbor named `g`, expected the `metadata.name` of one\n", NULL},
    {"two Harbors and no word",
     H HARBOR("g", "host: g.io, registries: {}") POLICY("a", "namespaces: [a]"),
     "p.yaml:11:1: there are 2 Harbors and `harbor` does not say which, expected `harbor: NAME`\n",
     NULL},
    {"two Harbors",
     H HARBOR("g", "host: g.io, registries: {ghcr.io: gh}")
         POLICY("a", "namespaces: [a], harbor: h") POLICY("b", "namespaces: [b], harbor: g"),
     "", NULL},
    {"a registry of the other Harbor",
     H HARBOR("g", "host: g.io, registries: {ghcr.io: gh}")
         POLICY("a", "namespaces: [a], harbor: h, registries: [docker.io, ghcr.io]"),
     "p.yaml:14:60: `ghcr.io` is not among the `registries` of Harbor `h`, expected one that has a "
     "project there\n",
     NULL},
    {"Harbors of one name", H HARBOR("h", "host: g.io, registries: {}"),
     "p.yaml:6:1: a Harbor named `h` is already at p.yaml:1, expected another name\n", NULL},
    {"Policies of one name", H POLICY("a", "namespaces: [a]") POLICY("a", "namespaces: [b]"),
     "p.yaml:11:1: a Policy named `a` is already at p.yaml:6, expected another name\n", NULL},
    {"a Harbor and a Policy of one name", H POLICY("h", "namespaces: [a]"), "", NULL},
    {"not stable when applied twice", HARBOR("h", "host: h.io, registries: {h.io: p}"),
     "p.yaml:4:33: `h.io` is this Harbor's own `host`: its images would be rewritten again and "
     "again; expected an upstream registry\n",
     NULL},
    {"all at once",
     POLICY("a", "namespaces: [a], mode: x, rollout: 101")
         POLICY("b", "namespaces: [b], pullPolicy: x") "a: b\n---\n",
     "p.yaml:1:1: there is no Harbor document, expected one with `host` and `registries`\n"
     "p.yaml:4:31: `mode` is `x`, expected `disabled`, `audit` or `enforce`\n"
     "p.yaml:4:43: `rollout` is `101`, expected a whole number from 0 to 100\n"
     "p.yaml:6:1: there is no Harbor document, expected one with `host` and `registries`\n"
     "p.yaml:9:37: `pullPolicy` is `x`, expected `IfNotPresent` or `Always`\n"
     "p.yaml:11:1: the document has no `apiVersion`, expected one\n"
     "p.yaml:11:1: the document has no `kind`, expected one\n"
     "p.yaml:11:1: the document has no `metadata`, expected one\n"
     "p.yaml:11:1: the document has no `spec`, expected one\n"
     "p.yaml:11:1: unknown field `a`, expected one of `apiVersion`, `kind`, `metadata`, `spec`\n",
     NULL},

    /* --- two Policies of one priority that could both claim one namespace --- */
    {"equal names", H POLICY("a", "namespaces: [x, a]") POLICY("b", "namespaces: [b, a]"),
     "p.yaml:14:24: `a` and `a` of Policy `a` (p.yaml:9) could both claim the namespace `a` at "
     "priority 0, expected different priorities or names\n",
     NULL},
    {"equal names, other priorities",
     H POLICY("a", "namespaces: [a, x]") POLICY("b", "namespaces: [b, a], priority: 1"),
     "p.yaml:9:21: warning: `a` can never match: `a` of Policy `b` (p.yaml:14) has a higher "
     "priority\n",
     NULL},
    {"equal globs", H POLICY("a", "namespaces: ['a*']") POLICY("b", "namespaces: ['a*']"),
     "p.yaml:14:21: `a*` and `a*` of Policy `a` (p.yaml:9) could both claim the namespace `a` at "
     "priority 0, expected different priorities or names\n",
     NULL},
    {"globs with a common match",
     H POLICY("a", "namespaces: ['team-*']") POLICY("b", "namespaces: ['*-prod']"),
     "p.yaml:14:21: `*-prod` and `team-*` of Policy `a` (p.yaml:9) could both claim the namespace "
     "`team-prod` at priority 0, expected different priorities or names\n",
     NULL},
    {"a common match of question marks",
     H POLICY("a", "namespaces: ['a?c'], priority: 5")
         POLICY("b", "namespaces: ['?b?'], priority: 5"),
     "p.yaml:14:21: `?b?` and `a?c` of Policy `a` (p.yaml:9) could both claim the namespace `abc` "
     "at priority 5, expected different priorities or names\n",
     NULL},
    {"globs without", H POLICY("a", "namespaces: ['a*', '?']") POLICY("b", "namespaces: ['b??*']"),
     "", NULL},
    {"globs of one Policy may overlap", H POLICY("a", "namespaces: ['a*', '*a', '?']"), "", NULL},
    {"a glob that matches what is protected", H POLICY("a", "namespaces: ['kube-*', '*']"),
     "p.yaml:9:21: warning: `kube-*` also matches 3 protected namespaces, such as `kube-node-lease`, "
     "which stay as they are\n"
     "p.yaml:9:31: warning: `*` also matches 3 protected namespaces, such as `kube-node-lease`, which "
     "stay as they are\n",
     NULL},
    {"excludes that match nothing of the registries",
     H POLICY(
         "a",
         "namespaces: [a], exclude: ['busybox*', 'docker*', '*/x', 'docker.iox*', '?uay.io/*']"),
     "p.yaml:9:35: warning: `busybox*` excludes nothing that this Policy moves: images are compared by "
     "their whole name; expected `docker.io/…`, or `*` in front\n"
     "p.yaml:9:65: warning: `docker.iox*` excludes nothing that this Policy moves: images are compared by "
     "their whole name; expected `docker.io/…`, or `*` in front\n",
     NULL},
    {"keys with a path, as written",
     HARBOR("h", "host: h.io, registries: {docker.io: hub, docker.io/library: off}")
         POLICY("a", "namespaces: [a], registries: [docker.io/library]"),
     "", NULL},
    {"no keys, but above and below one",
     HARBOR("h", "host: h.io, registries: {ghcr.io/a/b: x}") POLICY(
         "a", "namespaces: [a], registries: [ghcr.io, ghcr.io/a, ghcr.io/a/b/c, ghcr.io/a/b]"),
     "p.yaml:9:38: `ghcr.io` is not among the `registries` of Harbor `h`, expected one that has a "
     "project there\n"
     "p.yaml:9:47: `ghcr.io/a` is not among the `registries` of Harbor `h`, expected one that has a "
     "project there\n"
     "p.yaml:9:58: `ghcr.io/a/b/c` is not among the `registries` of Harbor `h`, expected one that "
     "has a project there\n",
     NULL},
    {"excludes of a part of a registry",
     HARBOR("h", "host: h.io, registries: {ghcr.io/org/app: x}")
         POLICY("a", "namespaces: [a], exclude: ['ghcr.io/*', 'ghcr.io/org/app*', "
                     "'ghcr.io/org/app/*', 'ghcr.io/org/app:*', 'ghcr.io/org/app@*', "
                     "'ghcr.io/org/apple*', 'ghcr.io/other/*', 'ghcr.io/org/app-*']"),
     "p.yaml:9:131: warning: `ghcr.io/org/apple*` excludes nothing that this Policy moves: images are "
     "compared by their whole name; expected `docker.io/…`, or `*` in front\n"
     "p.yaml:9:153: warning: `ghcr.io/other/*` excludes nothing that this Policy moves: images are "
     "compared by their whole name; expected `docker.io/…`, or `*` in front\n"
     "p.yaml:9:172: warning: `ghcr.io/org/app-*` excludes nothing that this Policy moves: images are "
     "compared by their whole name; expected `docker.io/…`, or `*` in front\n",
     NULL},
    {"a rename and a rename of its result",
     RENAMES("docker.io/bitnami: docker.io/bitnamilegacy, docker.io/bitnamilegacy: quay.io/b"),
     "p.yaml:4:75: `docker.io/bitnami/app` would become `docker.io/bitnamilegacy/app`, which "
     "`docker.io/bitnamilegacy` (p.yaml:4) renames again; expected the last name at once\n",
     NULL},
    {"a rename into another one", RENAMES("docker.io/a: docker.io/b/c, docker.io/b: docker.io/d"),
     "p.yaml:4:75: `docker.io/a/app` would become `docker.io/b/c/app`, which `docker.io/b` "
     "(p.yaml:4) renames again; expected the last name at once\n",
     NULL},
    {"a rename above another one", RENAMES("docker.io/a: docker.io/b, docker.io/b/c: docker.io/d"),
     "p.yaml:4:75: `docker.io/a/c/app` would become `docker.io/b/c/app`, which `docker.io/b/c` "
     "(p.yaml:4) renames again; expected the last name at once\n",
     NULL},
    {"a rename to itself", RENAMES("docker.io/a: docker.io/a"),
     "p.yaml:4:75: `docker.io/a/app` would become `docker.io/a/app`, which `docker.io/a` "
     "(p.yaml:4) renames again; expected the last name at once\n",
     NULL},
    {"a rename into itself", RENAMES("docker.io/a: docker.io/a/b"),
     "p.yaml:4:75: `docker.io/a/app` would become `docker.io/a/b/app`, which `docker.io/a` "
     "(p.yaml:4) renames again; expected the last name at once\n",
     NULL},
    {"a rename out of itself, of which some stays inside", RENAMES("docker.io/a/b: docker.io/a"),
     "p.yaml:4:75: `docker.io/a/b/b/app` would become `docker.io/a/b/app`, which `docker.io/a/b` "
     "(p.yaml:4) renames again; expected the last name at once\n",
     NULL},
    {"of a whole registry", RENAMES("k8s.gcr.io: quay.io, quay.io: docker.io"),
     "p.yaml:4:75: `k8s.gcr.io/app` would become `quay.io/app`, which `quay.io` (p.yaml:4) renames "
     "again; expected the last name at once\n",
     NULL},
    {"names that only look alike",
     RENAMES(
         "docker.io/a: docker.io/ab, docker.io/abc: docker.io/abcd, docker.io/c/a: docker.io/d, "
         "docker.io/ab-c: docker.io/d"),
     "", NULL},
    {"a longer name takes what would be a chain",
     RENAMES("docker.io/a: docker.io/b, docker.io/a/c: docker.io/d, docker.io/b/c: docker.io/e"),
     "", NULL},
    {"a longer name takes some of it",
     RENAMES("docker.io/a: docker.io/b, docker.io/a/app: docker.io/d, docker.io/b: docker.io/e, "
             "docker.io/a/apps/x: docker.io/d"),
     "p.yaml:4:75: `docker.io/a/apps` would become `docker.io/b/apps`, which `docker.io/b` "
     "(p.yaml:4) renames again; expected the last name at once\n",
     NULL},
    {"a rename to what no project proxies", RENAMES("docker.io/a: ghcr.io/a, quay.io/b: quay.io/c"),
     "p.yaml:4:75: warning: images are renamed to `ghcr.io/a`, for which Harbor `h` has no project: "
     "they stay as they are\n",
     NULL},
    {"a rename to what a part of a registry proxies",
     HARBOR("h", "host: h.io, registries: {ghcr.io/org/x: x}, renames: {quay.io/a: ghcr.io/org, "
                 "quay.io/b: ghcr.io/org/x/y, quay.io/c: ghcr.io/organ}"),
     "p.yaml:4:114: warning: images are renamed to `ghcr.io/organ`, for which Harbor `h` has no "
     "project: they stay as they are\n",
     NULL},
    {"a selector goes before none",
     H POLICY("a", "namespaces: [n, 'g*']")
         POLICY("b", "namespaces: [n, 'g*'], podSelector: {matchLabels: {tier: web}}"),
     "", NULL},
    {"selectors that exclude each other",
     H POLICY("a", "namespaces: [n, 'g*'], podSelector: {matchLabels: {tier: web}}")
         POLICY("b", "namespaces: [n, '*g'], podSelector: {matchLabels: {tier: db}}")
             POLICY("c", "namespaces: [n, 'g?'], podSelector: {matchExpressions: [{key: tier, "
                         "operator: NotIn, values: [web, db]}]}"),
     "", NULL},
    {"selectors that do not, of one name",
     H POLICY("a", "namespaces: [n], podSelector: {matchLabels: {tier: web}}")
         POLICY("b", "namespaces: [n], podSelector: {matchExpressions: [{key: app, operator: In, "
                     "values: [x, y]}]}"),
     "p.yaml:14:21: `n` and `n` of Policy `a` (p.yaml:9) could both claim, in the namespace `n` at "
     "priority 0, a Pod with the labels `app=x,tier=web`, expected different priorities or names, "
     "or a `podSelector` that excludes the other\n",
     NULL},
    {"the third of one name, behind one that it excludes",
     H POLICY("a", "namespaces: [n], podSelector: {matchLabels: {tier: web}}")
         POLICY("b", "namespaces: [n], podSelector: {matchLabels: {tier: db}}")
             POLICY("c", "namespaces: [n], podSelector: {matchLabels: {tier: db, app: x}}"),
     "p.yaml:19:21: `n` and `n` of Policy `b` (p.yaml:14) could both claim, in the namespace `n` at "
     "priority 0, a Pod with the labels `app=x,tier=db`, expected different priorities or names, or "
     "a `podSelector` that excludes the other\n",
     NULL},
    {"selectors that do not, of globs",
     H POLICY("a", "namespaces: ['g*'], podSelector: {matchExpressions: [{key: a, operator: "
                   "NotIn, values: [x]}]}")
         POLICY("b", "namespaces: ['*g'], podSelector: {matchExpressions: [{key: a, operator: "
                     "DoesNotExist}]}"),
     "p.yaml:14:21: `*g` and `g*` of Policy `a` (p.yaml:9) could both claim, in the namespace `g` at "
     "priority 0, a Pod without labels, expected different priorities or names, or a "
     "`podSelector` that excludes the other\n",
     NULL},
    {"two without a selector behind one with",
     H POLICY("a", "namespaces: [n]") POLICY("b", "namespaces: [n]")
         POLICY("c", "namespaces: [n], podSelector: {matchLabels: {tier: web}}"),
     "p.yaml:14:21: `n` and `n` of Policy `a` (p.yaml:9) could both claim the namespace `n` at "
     "priority 0, expected different priorities or names\n",
     NULL},
    {"a selector that excludes itself",
     H POLICY("a",
              "namespaces: [n], podSelector: {matchLabels: {a: b}, matchExpressions: [{key: a, "
              "operator: DoesNotExist}]}"),
     "p.yaml:9:38: warning: `podSelector` can never match: what it asks of a label excludes "
     "itself\n",
     NULL},
    {"a selector of a higher priority leaves other Pods",
     H POLICY("a", "namespaces: [n, 'g-1*']")
         POLICY("b", "namespaces: [n, 'g*'], priority: 1, podSelector: {matchLabels: {tier: web}}"),
     "", NULL},
    {"a selector of a higher priority takes all of a narrower one's",
     H POLICY("a", "namespaces: [n, 'g-1*'], podSelector: {matchLabels: {tier: web, app: x}}")
         POLICY("b", "namespaces: [n, 'g*'], priority: 1, podSelector: {matchExpressions: [{key: "
                     "tier, operator: In, values: [db, web]}]}"),
     "p.yaml:6:1: warning: Policy `a` can never match a namespace\n"
     "p.yaml:9:21: warning: `n` can never match: `n` of Policy `b` (p.yaml:14) has a higher "
     "priority\n"
     "p.yaml:9:24: warning: `g-1*` can never match: `g*` of Policy `b` (p.yaml:14) has a higher "
     "priority\n",
     NULL},
    {"behind two of one name, of which the second takes all",
     H POLICY("a", "namespaces: [n], priority: -1, podSelector: {matchLabels: {tier: db}}")
         POLICY("b", "namespaces: [n], podSelector: {matchLabels: {tier: web}}")
             POLICY("c", "namespaces: [n]"),
     "p.yaml:6:1: warning: Policy `a` can never match a namespace\n"
     "p.yaml:9:21: warning: `n` can never match: `n` of Policy `c` (p.yaml:19) has a higher "
     "priority\n",
     NULL},
    {"a gate that labels get round", API GATED("a", "namespaces: [n, 'g*']"),
     ROUND("9:21", "n") ROUND("9:24", "g*"), NULL},
    {"a gate for the rest, too",
     API GATED("a", "namespaces: [n, 'g*']") POLICY("b", "namespaces: ['g*'], findings: {}")
         POLICY("c", "namespaces: ['*'], priority: -1, findings: {}, mode: audit"),
     ROUND(
         "9:21",
         "n") "p.yaml:19:21: warning: `*` also matches 3 protected namespaces, such as `kube-node-lease`, "
              "which stay as they are\n",
     NULL},
    {"a gate for the rest of one name",
     API GATED("a", "namespaces: [n]") POLICY("b", "namespaces: [n], findings: {}"), "", NULL},
    {"no gate for the rest of one name, whatever a glob behind it has",
     API GATED("a", "namespaces: [n]") POLICY("b", "namespaces: [n]")
         POLICY("c", "namespaces: ['n*'], findings: {}"),
     ROUND("9:21", "n"), NULL},
    {"a gate of a glob before a name of a lower priority",
     API GATED("a", "namespaces: [n], priority: 2") POLICY("b", "namespaces: [n]")
         POLICY("c", "namespaces: ['n*'], priority: 1, findings: {}"),
     "p.yaml:11:1: warning: Policy `b` can never match a namespace\n"
     "p.yaml:14:21: warning: `n` can never match: `n*` of Policy `c` (p.yaml:19) has a higher "
     "priority\n",
     NULL},
    {"a gate for some of the rest only",
     API GATED("a", "namespaces: ['g*']")
         POLICY("b", "namespaces: ['g-*'], priority: -1, findings: {}"),
     ROUND("9:21", "g*"), NULL},
    {"a disabled gate is none to get round", API GATED("a", "namespaces: [n], mode: disabled"), "",
     NULL},
    {"an exact name inside a glob: exact goes first",
     H POLICY("a", "namespaces: ['a*']") POLICY("b", "namespaces: [ab]"), "", NULL},
    {"globs of other priorities",
     H POLICY("a", "namespaces: ['a*']") POLICY("b", "namespaces: ['*a'], priority: 1"), "", NULL},
    {"three of one name",
     H POLICY("a", "namespaces: [n]") POLICY("b", "namespaces: [n]") POLICY("c", "namespaces: [n]"),
     "p.yaml:14:21: `n` and `n` of Policy `a` (p.yaml:9) could both claim the namespace `n` at "
     "priority 0, expected different priorities or names\n"
     "p.yaml:19:21: `n` and `n` of Policy `a` (p.yaml:9) could both claim the namespace `n` at "
     "priority 0, expected different priorities or names\n",
     NULL},
    {"a disabled Policy claims as well",
     H POLICY("a", "namespaces: [n], mode: disabled") POLICY("b", "namespaces: [n]"),
     "p.yaml:14:21: `n` and `n` of Policy `a` (p.yaml:9) could both claim the namespace `n` at "
     "priority 0, expected different priorities or names\n",
     NULL},

    /* --- Policies without effect are only warned about --- */
    {"only protected", H POLICY("a", "namespaces: [kube-system, kube-public, kube-node-lease]"),
     "p.yaml:6:1: warning: Policy `a` only claims protected namespaces\n"
     "p.yaml:9:21: warning: `kube-system` has no effect: the namespace is protected\n"
     "p.yaml:9:34: warning: `kube-public` has no effect: the namespace is protected\n"
     "p.yaml:9:47: warning: `kube-node-lease` has no effect: the namespace is protected\n",
     NULL},
    {"our own namespace", H POLICY("a", "namespaces: [harbor-pilot]"),
     "p.yaml:6:1: warning: Policy `a` only claims protected namespaces\n"
     "p.yaml:9:21: warning: `harbor-pilot` has no effect: the namespace is protected\n",
     "harbor-pilot"},
    {"not our namespace", H POLICY("a", "namespaces: [harbor-pilot]"), "", "elsewhere"},
    {"a glob inside a protected glob",
     HARBOR("h", "host: h.io, registries: {}, protected: ['infra-*']")
         POLICY("a", "namespaces: ['infra-dns-*', infra-x, kube-system]"),
     "p.yaml:9:21: warning: `infra-dns-*` has no effect: the namespace is protected\n"
     "p.yaml:9:36: warning: `infra-x` has no effect: the namespace is protected\n",
     NULL},
    {"shadowed exactly",
     H POLICY("a", "namespaces: [n]") POLICY("b", "namespaces: [n], priority: 9"),
     "p.yaml:6:1: warning: Policy `a` can never match a namespace\n"
     "p.yaml:9:21: warning: `n` can never match: `n` of Policy `b` (p.yaml:14) has a higher "
     "priority\n",
     NULL},
    {"shadowed by a glob",
     H POLICY("a", "namespaces: ['n-*', n-1]") POLICY("b", "namespaces: ['n*'], priority: 9"),
     "p.yaml:6:1: warning: Policy `a` can never match a namespace\n"
     "p.yaml:9:21: warning: `n-*` can never match: `n*` of Policy `b` (p.yaml:14) has a higher "
     "priority\n"
     "p.yaml:9:28: warning: `n-1` can never match: `n*` of Policy `b` (p.yaml:14) has a higher "
     "priority\n",
     NULL},
    {"shadowed in part only",
     H POLICY("a", "namespaces: ['n*']") POLICY("b", "namespaces: ['n-*'], priority: 9"), "", NULL},
    {"no name at all", H POLICY("a", "namespaces: [No_Name, '" A A A A A A "012345']"),
     "p.yaml:6:1: warning: Policy `a` can never match a namespace\n"
     "p.yaml:9:21: warning: `No_Name` can never match: namespaces have lower-case letters, digits "
     "and `-`, at most 63\n"
     "p.yaml:9:30: warning: `" A A A A A A "012345` can never match: namespaces have lower-case "
     "letters, digits and `-`, at most 63\n",
     NULL},
    {"protected and never: one of each", H POLICY("a", "namespaces: [kube-system, A]"),
     "p.yaml:6:1: warning: Policy `a` can never match a namespace\n"
     "p.yaml:9:21: warning: `kube-system` has no effect: the namespace is protected\n"
     "p.yaml:9:34: warning: `A` can never match: namespaces have lower-case letters, digits and "
     "`-`, at most 63\n",
     NULL},
    {"twice in one list", H POLICY("a", "namespaces: [n, n]"),
     "p.yaml:9:24: warning: `n` is here a second time\n", NULL},
};

static void test_findings(void **state)
{
    (void)state;
    size_t differ = 0;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice findings;
        struct policies *policies =
            load_text(cases[i].text, cases[i].own_namespace, &arena, &findings);
        if (!slice_equal(findings, slice_from(cases[i].findings))) {
            fprintf(stderr, "\n%s gives\n%.*sexpected\n%s", cases[i].name, SLICE_ARGS(findings),
                    cases[i].findings);
            differ++;
        }
        policies_unref(policies);
        arena_done(&arena);
    }
    check_number("table", "differing cases", (long long)differ, 0);
}

/* --- several files --- */

static bool load(const struct policy_source *sources, size_t count, struct policies **ret,
                 struct arena *arena, struct slice *ret_findings)
{
    struct diagnostics diagnostics = {0};
    bool ok = policies_load(sources, count, (struct slice){0}, &diagnostics, ret);
    *ret_findings = all_findings(&diagnostics, arena);
    diagnostics_done(&diagnostics);
    return ok;
}

#define SOURCE(path, file, text)                                                                   \
    {                                                                                              \
        SLICE(path), SLICE(file), SLICE(text)                                                      \
    }

static void test_findings_of_several_files(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct policies *policies = NULL;
    struct slice findings;
    static const struct policy_source sources[] = {
        SOURCE("d", "d/20.yaml", POLICY("a", "namespaces: [n]") "x: y\n"),
        SOURCE("d", "d/10.yaml", H POLICY("a", "namespaces: [n]")),
    };
    assert_false(load(sources, 2, &policies, &arena, &findings));
    assert_null(policies);
    check_text("two files", "the findings", findings,
               "d/10.yaml:6:1: a Policy named `a` is already at d/20.yaml:1, expected another "
               "name\n"
               "d/10.yaml:9:21: `n` and `n` of Policy `a` (d/20.yaml:4) could both claim the "
               "namespace `n` at priority 0, expected different priorities or names\n"
               "d/20.yaml:6:1: the document has no `apiVersion`, expected one\n"
               "d/20.yaml:6:1: the document has no `kind`, expected one\n"
               "d/20.yaml:6:1: the document has no `metadata`, expected one\n"
               "d/20.yaml:6:1: the document has no `spec`, expected one\n"
               "d/20.yaml:6:1: unknown field `x`, expected one of `apiVersion`, `kind`, "
               "`metadata`, `spec`\n");
    arena_done(&arena);
}

#define NO_DOCUMENT                                                                                \
    ": there is no document, expected Harbor and Policy documents (is the right ConfigMap "        \
    "mounted here?)\n"

/* A PATH without a document is an error; a file without one beside others is none. */
static void test_paths_without_documents(void **state)
{
    (void)state;
    static const struct {
        struct policy_source sources[3];
        size_t count;
        const char *findings;
    } paths[] = {
        {{SOURCE("d", "d/1.yaml", H), SOURCE("d", "d/2.yaml", "# nothing\n")}, 2, ""},
        {{SOURCE("d", "d/1.yaml", H), SOURCE("e", "e/1.yaml", "# nothing\n")}, 2, "e" NO_DOCUMENT},
        {{SOURCE("e", "e/1.yaml", ""), SOURCE("d", "d/1.yaml", H)}, 2, "e" NO_DOCUMENT},
        {{SOURCE("e", "e/1.yaml", ""), SOURCE("e", "e/2.yaml", "---\n")}, 2, "e" NO_DOCUMENT},
        {{SOURCE("e", "e/1.yaml", "a: [\n"), SOURCE("d", "d/1.yaml", H)},
         2,
         "e/1.yaml:2:1: not YAML: did not find expected node content (while parsing a flow node "
         "from "
         "line 2 on)\n"},
    };
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct arena arena = {0};
        struct policies *policies = NULL;
        struct slice findings;
        bool ok = load(paths[i].sources, paths[i].count, &policies, &arena, &findings);
        check_text(paths[i].sources[0].file.base, "the findings", findings, paths[i].findings);
        assert_int_equal(ok, *paths[i].findings == '\0');
        policies_unref(policies);
        arena_done(&arena);
    }
}

/* The set keeps nothing of the texts it was made from. */
static void test_sources_may_go(void **state)
{
    (void)state;
    static const char text[] =
        H POLICY("a", "namespaces: [n, 'g-*'], exclude: ['*/x'], pullSecret: s");
    struct slice copy = copy_exact(slice_from(text)), name = copy_exact(SLICE("f.yaml")),
                 own = copy_exact(SLICE("ours"));
    struct diagnostics diagnostics = {0};
    struct policies *policies = NULL;
    struct policy_source source = {name, name, copy};
    assert_true(policies_load(&source, 1, own, &diagnostics, &policies));
    diagnostics_done(&diagnostics);
    memset((char *)copy.base, '#', copy.len);
    free((char *)copy.base);
    free((char *)name.base);
    free((char *)own.base);
    const struct policy *p = policies_find(policies, SLICE("g-1"), NULL, 0);
    assert_non_null(p);
    check_text("policy", "name", p->name, "a");
    check_text("policy", "file", p->at.file, "f.yaml");
    check_text("policy", "pull secret", p->pull_secret, "s");
    check_text("policy", "exclude", p->exclude.items[0].text, "*/x");
    check_text("harbor", "host", p->harbor->host, "h.io");
    assert_true(policies_protects(policies, SLICE("ours")));
    policies_unref(policies);
}

static void test_digest(void **state)
{
    (void)state;
    static const struct policy_source one[] = {SOURCE("d", "a", H)};
    static const struct policy_source renamed[] = {SOURCE("e", "b", H)};
    static const struct policy_source spaced[] = {SOURCE("d", "a", H "\n")};
    const struct policy_source *sources[] = {one, renamed, spaced};
    struct slice digests[3];
    struct policies *sets[3];
    struct arena arena = {0};
    for (size_t i = 0; i < 3; i++) {
        struct slice findings;
        assert_true(load(sources[i], 1, &sets[i], &arena, &findings));
        digests[i] = policies_digest(sets[i]);
        assert_int_equal(digests[i].len, 7 + 64);
        assert_true(slice_starts_with(digests[i], SLICE("sha256:")));
    }
    check_slice("digest", "of the same text", digests[1], digests[0]);
    assert_false(slice_equal(digests[0], digests[2]));
    for (size_t i = 0; i < 3; i++)
        policies_unref(sets[i]);
    arena_done(&arena);
}

/* --- many --- */

/* 10,000 Policies with an exact name and a glob each; every one is found. */
static void test_ten_thousand(void **state)
{
    (void)state;
    enum { MANY = 10000 };
    struct arena arena = {0};
    struct buffer text = {0};
    buffer_append_text(&text, H);
    for (int i = 0; i < MANY; i++)
        buffer_append_format(&text,
                             KIND("Policy", "p%d") "spec: {namespaces: [exact-%d, "
                                                   "'glob-%d-*']}\n---\n",
                             i, i, i);
    struct policy_source source = {SLICE("many"), SLICE("many.yaml"), buffer_slice(&text)};
    struct policies *policies = NULL;
    struct slice findings;
    bool ok = load(&source, 1, &policies, &arena, &findings);
    check_text("10,000 Policies", "the findings", findings, "");
    assert_true(ok);
    assert_int_equal(policies_count(policies), MANY);
    for (int i = 0; i < MANY; i += 7) {
        struct slice name = arena_format(&arena, "p%d", i);
        struct slice exact = arena_format(&arena, "exact-%d", i);
        const struct policy *found = policies_find(policies, exact, NULL, 0);
        check_slice(exact.base, "the Policy", found ? found->name : (struct slice){0}, name);
    }
    for (int i = 0; i < MANY; i += 997) {
        struct slice name = arena_format(&arena, "p%d", i);
        struct slice glob = arena_format(&arena, "glob-%d-x", i);
        const struct policy *found = policies_find(policies, glob, NULL, 0);
        check_slice(glob.base, "the Policy", found ? found->name : (struct slice){0}, name);
    }
    assert_null(policies_find(policies, SLICE("exact-10000"), NULL, 0));
    assert_null(policies_find(policies, SLICE("glob-1"), NULL, 0));
    policies_unref(policies);
    buffer_done(&text);
    arena_done(&arena);
}

/* More errors than are kept: all are counted. */
static void test_more_errors_than_are_kept(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct buffer text = {0};
    struct diagnostics diagnostics = {0};
    struct policies *policies = NULL;
    for (int i = 0; i < DIAGNOSTICS_MAX + 5; i++)
        buffer_append_text(&text, "a\n---\n");
    struct policy_source source = {SLICE("f"), SLICE("f"), buffer_slice(&text)};
    assert_false(policies_load(&source, 1, (struct slice){0}, &diagnostics, &policies));
    assert_int_equal(diagnostics.count, DIAGNOSTICS_MAX);
    assert_int_equal(diagnostics.errors, DIAGNOSTICS_MAX + 5);
    diagnostics_done(&diagnostics);
    buffer_done(&text);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_findings),
        cmocka_unit_test(test_findings_of_several_files),
        cmocka_unit_test(test_paths_without_documents),
        cmocka_unit_test(test_sources_may_go),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_ten_thousand),
        cmocka_unit_test(test_more_errors_than_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
