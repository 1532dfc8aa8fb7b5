/* Policy files: every field's good and bad values, each with all that is said about it, word for
 * word: file, line, column, what is wrong, what was expected. */
#include "policy/limits.h"
#include "policy/policy.h"

#include "tests/unit/check.h"

#define X10(c)  c c c c c c c c c c
#define X100(c) X10(X10(c))

#define POLICY                                                                                     \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: Policy\n"                                                                               \
    "metadata: {name: p}\n"                                                                        \
    "spec:\n"
#define HARBOR                                                                                     \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: Harbor\n"                                                                               \
    "metadata: {name: h}\n"                                                                        \
    "spec:\n"
#define HARBOR_SPEC                                                                                \
    "  host: harbor.example.com\n"                                                                 \
    "  registries: {docker.io: hub}\n"

struct field_case {
    const char *text, *findings; /* "": it is right */
};

/* Wraps each case and compares all findings; shows every case that differs. */
static void check_cases(const struct field_case *cases, size_t count, const char *before,
                        const char *after)
{
    size_t differ = 0;
    for (size_t i = 0; i < count; i++) {
        struct arena arena = {0};
        struct slice findings;
        struct slice text = arena_format(&arena, "%s%s%s", before, cases[i].text, after);
        struct policies *policies = load_text(text.base, NULL, &arena, &findings);
        if (!slice_equal(findings, slice_from(cases[i].findings))) {
            fprintf(stderr, "\n%sgives\n%.*sexpected\n%s", cases[i].text, SLICE_ARGS(findings),
                    cases[i].findings);
            differ++;
        }
        policies_unref(policies);
        arena_done(&arena);
    }
    check_number("table", "differing cases", (long long)differ, 0);
}

/* --- fields of a Policy; line 6 is the first --- */

static const struct field_case policy_fields[] = {
    {"  harbor: h\n", ""},
    {"  harbor: other\n",
     "p.yaml:6:11: there is no Harbor named `other`, expected the `metadata.name` of one\n"},
    {"  harbor: H_\n",
     "p.yaml:6:11: `harbor` is `H_`, expected lower-case letters, digits, `-` and `.`\n"},
    {"  harbor: [h]\n", "p.yaml:6:11: `harbor` is a list, expected text\n"},
    {"  harbor:\n", ""},
    {"  harbor: 1\n", "p.yaml:6:11: `harbor` is 1, which YAML reads as a number or truth value; "
                      "expected text: put it in quotes\n"},
    {"  harbor: \"\"\n", "p.yaml:6:11: `harbor` is empty, expected text\n"},
    {"  priority: 0\n", ""},
    {"  priority: -1000000\n", ""},
    {"  priority: 1000000\n", ""},
    {"  priority: 1000001\n",
     "p.yaml:6:13: `priority` is `1000001`, expected a whole number from -1000000 to 1000000\n"},
    {"  priority: -1000001\n",
     "p.yaml:6:13: `priority` is `-1000001`, expected a whole number from -1000000 to 1000000\n"},
    {"  priority: 1.5\n",
     "p.yaml:6:13: `priority` is `1.5`, expected a whole number from -1000000 to 1000000\n"},
    {"  priority: high\n",
     "p.yaml:6:13: `priority` is `high`, expected a whole number from -1000000 to 1000000\n"},
    {"  priority: \"1\"\n", "p.yaml:6:13: `priority` is `1` in quotes, expected a whole number "
                            "from -1000000 to 1000000\n"},
    {"  priority: [1]\n",
     "p.yaml:6:13: `priority` is a list, expected a whole number from -1000000 to 1000000\n"},
    {"  priority: {}\n",
     "p.yaml:6:13: `priority` is a map, expected a whole number from -1000000 to 1000000\n"},
    {"  priority: 99999999999999999999\n", "p.yaml:6:13: `priority` is `99999999999999999999`, "
                                           "expected a whole number from -1000000 to 1000000\n"},
    {"  priority: 0x10\n",
     "p.yaml:6:13: `priority` is `0x10`, expected a whole number from -1000000 to 1000000\n"},
    {"  priority: 1e2\n",
     "p.yaml:6:13: `priority` is `1e2`, expected a whole number from -1000000 to 1000000\n"},
    {"  priority: true\n",
     "p.yaml:6:13: `priority` is `true`, expected a whole number from -1000000 to 1000000\n"},
    {"  priority: 1 0\n",
     "p.yaml:6:13: `priority` is `1 0`, expected a whole number from -1000000 to 1000000\n"},
    {"  mode: disabled\n", ""},
    {"  mode: audit\n", ""},
    {"  mode: enforce\n", ""},
    {"  mode: \"enforce\"\n", ""},
    {"  mode: Enforce\n",
     "p.yaml:6:9: `mode` is `Enforce`, expected `disabled`, `audit` or `enforce`\n"},
    {"  mode: off\n", "p.yaml:6:9: `mode` is `off`, expected `disabled`, `audit` or `enforce`\n"},
    {"  mode: true\n", "p.yaml:6:9: `mode` is `true`, expected `disabled`, `audit` or `enforce`\n"},
    {"  mode: [audit]\n",
     "p.yaml:6:9: `mode` is a list, expected `disabled`, `audit` or `enforce`\n"},
    {"  mode: \"\"\n", "p.yaml:6:9: `mode` is ``, expected `disabled`, `audit` or `enforce`\n"},
    {"  mode:\n", ""},
    {"  rollout: 0\n", ""},
    {"  rollout: 100\n", ""},
    {"  rollout: 101\n",
     "p.yaml:6:12: `rollout` is `101`, expected a whole number from 0 to 100\n"},
    {"  rollout: -1\n", "p.yaml:6:12: `rollout` is `-1`, expected a whole number from 0 to 100\n"},
    {"  rollout: 25%\n",
     "p.yaml:6:12: `rollout` is `25%`, expected a whole number from 0 to 100\n"},
    {"  rollout: \"25\"\n",
     "p.yaml:6:12: `rollout` is `25` in quotes, expected a whole number from 0 to 100\n"},
    {"  rollout: 2.5\n",
     "p.yaml:6:12: `rollout` is `2.5`, expected a whole number from 0 to 100\n"},
    {"  podSelector: {}\n", ""},
    {"  podSelector:\n", ""},
    {"  podSelector: {matchLabels: {tier: web, example.com/a_B: '', c: 'true'}}\n", ""},
    {"  podSelector: {matchLabels: {}, matchExpressions: []}\n", ""},
    {"  podSelector: {matchExpressions: [{key: a, operator: In, values: [x, '']}, {key: b, operator: NotIn, values: [y]}, {key: c, operator: Exists}, {key: d, operator: DoesNotExist, values: []}]}\n",
     ""},
    {"  podSelector: web\n", "p.yaml:6:16: `podSelector` is a single value, expected a map\n"},
    {"  podSelector: {tier: web}\n",
     "p.yaml:6:17: unknown field `tier`, expected one of `matchLabels`, `matchExpressions`\n"},
    {"  podSelector: {matchLabels: [a]}\n",
     "p.yaml:6:30: `matchLabels` is a list, expected a map\n"},
    {"  podSelector: {matchLabels: {-a: b}}\n",
     "p.yaml:6:31: `-a` is not a label's name, expected NAME or PREFIX/NAME: at most 63 letters, digits and inner `-`, `_` and `.` after a DNS name\n"},
    {"  podSelector: {matchLabels: {A.b/c: b}}\n",
     "p.yaml:6:31: `A.b/c` is not a label's name, expected NAME or PREFIX/NAME: at most 63 letters, digits and inner `-`, `_` and `.` after a DNS name\n"},
    {"  podSelector: {matchLabels: {a: b c}}\n",
     "p.yaml:6:34: `b c` is not a label's value, expected at most 63 letters, digits and inner `-`, `_` and `.`\n"},
    {"  podSelector: {matchLabels: {a: 1}}\n",
     "p.yaml:6:34: a label's value is 1, which YAML reads as a number or truth value; expected text: put it in quotes\n"},
    {"  podSelector: {matchLabels: {1: a}}\n",
     "p.yaml:6:31: a label's name is 1, which YAML reads as a number or truth value; expected text: put it in quotes\n"},
    {"  podSelector: {matchLabels: {a: }}\n",
     "p.yaml:6:34: a label's value is nothing, expected text\n"},
    {"  podSelector: {matchLabels: {a: [b]}}\n",
     "p.yaml:6:34: a label's value is a list, expected text\n"},
    {"  podSelector: {matchLabels: {a: b, a: c}}\n",
     "p.yaml:6:37: `a` is here a second time, expected once\n"},
    {"  podSelector: {matchExpressions: {a: b}}\n",
     "p.yaml:6:35: `matchExpressions` is a map, expected a list\n"},
    {"  podSelector: {matchExpressions: [a]}\n",
     "p.yaml:6:36: an expression is a single value, expected a map\n"},
    {"  podSelector: {matchExpressions: [{operator: Exists}]}\n",
     "p.yaml:6:36: an expression has no `key`, expected one\n"},
    {"  podSelector: {matchExpressions: [{key: a}]}\n",
     "p.yaml:6:36: an expression has no `operator`, expected one\n"},
    {"  podSelector: {matchExpressions: [{key: a, operator: in, values: [b]}]}\n",
     "p.yaml:6:55: `operator` is `in`, expected `In`, `NotIn`, `Exists` or `DoesNotExist`\n"},
    {"  podSelector: {matchExpressions: [{key: a, operator: In}]}\n",
     "p.yaml:6:36: `In` has no `values`, expected one or more\n"},
    {"  podSelector: {matchExpressions: [{key: a, operator: NotIn, values: []}]}\n",
     "p.yaml:6:36: `NotIn` has no `values`, expected one or more\n"},
    {"  podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}\n",
     "p.yaml:6:36: `Exists` has `values`, expected none\n"},
    {"  podSelector: {matchExpressions: [{key: a, operator: DoesNotExist, values: [b]}]}\n",
     "p.yaml:6:36: `DoesNotExist` has `values`, expected none\n"},
    {"  podSelector: {matchExpressions: [{key: a, operator: In, values: b}]}\n",
     "p.yaml:6:67: `values` is a single value, expected a list\n"},
    {"  podSelector: {matchExpressions: [{key: a, operator: In, values: [-b]}]}\n",
     "p.yaml:6:68: `-b` is not a label's value, expected at most 63 letters, digits and inner `-`, `_` and `.`\n"},
    {"  registries: [docker.io]\n", ""},
    {"  registries: []\n", ""},
    {"  registries: docker.io\n", "p.yaml:6:15: `registries` is a single value, expected a list\n"},
    {"  registries: [ghcr.io]\n", "p.yaml:6:16: `ghcr.io` is not among the `registries` of Harbor "
                                  "`h`, expected one that has a project there\n"},
    {"  registries: [docker.io, 5]\n", "p.yaml:6:27: `registries` is 5, which YAML reads as a "
                                       "number or truth value; expected text: put it in quotes\n"},
    {"  registries: {docker.io: hub}\n", "p.yaml:6:15: `registries` is a map, expected a list\n"},
    {"  registries: [\"*\"]\n", "p.yaml:6:16: `*` is not among the `registries` of Harbor `h`, "
                                "expected one that has a project there\n"},
    {"  exclude: [\"*/debug/*\"]\n", ""},
    {"  exclude: [docker.io/library/busybox]\n", ""},
    {"  exclude: [busybox]\n",
     "p.yaml:6:13: warning: `busybox` matches nothing, since images are compared by their whole "
     "name; expected `docker.io/library/busybox`\n"},
    {"  exclude: [library/busybox]\n",
     "p.yaml:6:13: warning: `library/busybox` matches nothing, since images are compared by their "
     "whole name; expected `docker.io/library/busybox`\n"},
    {"  exclude: [\"busybox:1.36\"]\n",
     "p.yaml:6:13: warning: `busybox:1.36` matches nothing, since images are compared by their "
     "whole name; expected `docker.io/library/busybox:1.36`\n"},
    {"  exclude: [index.docker.io/library/busybox]\n",
     "p.yaml:6:13: warning: `index.docker.io/library/busybox` matches nothing, since images are "
     "compared by their whole name; expected `docker.io/library/busybox`\n"},
    {"  exclude: [\"docker.io/library/busybox:1.36\"]\n", ""},
    {"  exclude: [\"x*\"]\n",
     "p.yaml:6:13: warning: `x*` excludes nothing that this Policy moves: images are compared by their "
     "whole name; expected `docker.io/…`, or `*` in front\n"},
    {"  exclude: busybox\n", "p.yaml:6:12: `exclude` is a single value, expected a list\n"},
    {"  exclude: [[busybox]]\n", "p.yaml:6:13: `exclude` is a list, expected text\n"},
    {"  exclude: [~]\n", "p.yaml:6:13: `exclude` is nothing, expected text\n"},
    {"  exclude: [true]\n", "p.yaml:6:13: `exclude` is true, which YAML reads as a number or truth "
                            "value; expected text: put it in quotes\n"},
    {"  exclude: [1.36]\n", "p.yaml:6:13: `exclude` is 1.36, which YAML reads as a number or truth "
                            "value; expected text: put it in quotes\n"},
    {"  exclude: [\"\"]\n", "p.yaml:6:13: `exclude` is empty, expected text\n"},
    {"  exclude: [UPPER]\n", ""},
    {"  owners: {include: [tekton.dev/TaskRun]}\n", ""},
    {"  owners: {include: [core/Pod]}\n", ""},
    {"  owners: {include: [TaskRun]}\n",
     "p.yaml:6:22: `TaskRun` is not a kind of owner, expected GROUP/KIND without version and "
     "wildcards, such as `tekton.dev/TaskRun` (`core` for the core group)\n"},
    {"  owners: {include: [tekton.dev/v1/TaskRun]}\n",
     "p.yaml:6:22: `tekton.dev/v1/TaskRun` is not a kind of owner, expected GROUP/KIND without "
     "version and wildcards, such as `tekton.dev/TaskRun` (`core` for the core group)\n"},
    {"  owners: {include: [\"tekton.dev/*\"]}\n",
     "p.yaml:6:22: `tekton.dev/*` is not a kind of owner, expected GROUP/KIND without version and "
     "wildcards, such as `tekton.dev/TaskRun` (`core` for the core group)\n"},
    {"  owners: {include: [/TaskRun]}\n",
     "p.yaml:6:22: `/TaskRun` is not a kind of owner, expected GROUP/KIND without version and "
     "wildcards, such as `tekton.dev/TaskRun` (`core` for the core group)\n"},
    {"  owners: {include: [tekton.dev/]}\n",
     "p.yaml:6:22: `tekton.dev/` is not a kind of owner, expected GROUP/KIND without version and "
     "wildcards, such as `tekton.dev/TaskRun` (`core` for the core group)\n"},
    {"  owners: {include: tekton.dev/TaskRun}\n",
     "p.yaml:6:21: `owners.include` is a single value, expected a list\n"},
    {"  owners: [tekton.dev/TaskRun]\n", "p.yaml:6:11: `owners` is a list, expected a map\n"},
    {"  owners: {exclude: [a/b]}\n",
     "p.yaml:6:12: unknown field `exclude`, did you mean `include`?\n"},
    {"  owners: {}\n", ""},
    {"  requireInHarbor: never\n", ""},
    {"  requireInHarbor: cached\n",
     "p.yaml:6:20: `requireInHarbor` asks Harbor, but Harbor `h` has no `api`; expected `never`, or "
     "`api` there\n"},
    {"  requireInHarbor: servable\n",
     "p.yaml:6:20: `requireInHarbor` asks Harbor, but Harbor `h` has no `api`; expected `never`, or "
     "`api` there\n"},
    {"  requireInHarbor: always\n",
     "p.yaml:6:20: `requireInHarbor` is `always`, expected `never`, `cached` or `servable`\n"},
    {"  onHarborUnavailable: keep\n",
     "p.yaml:6:24: warning: `onHarborUnavailable` has no effect: Harbor `h` has no `api`, so nobody "
     "knows\n"},
    {"  pullSecret: harbor-pull\n", ""},
    {"  pullSecret: Harbor\n",
     "p.yaml:6:15: `pullSecret` is `Harbor`, expected lower-case letters, digits, `-` and `.`\n"},
    {"  pullSecret: a..b\n",
     "p.yaml:6:15: `pullSecret` is `a..b`, expected lower-case letters, digits, `-` and `.`\n"},
    {"  pullSecret: -a\n",
     "p.yaml:6:15: `pullSecret` is `-a`, expected lower-case letters, digits, `-` and `.`\n"},
    {"  pullSecret: a-\n",
     "p.yaml:6:15: `pullSecret` is `a-`, expected lower-case letters, digits, `-` and `.`\n"},
    {"  pullSecret: [a]\n", "p.yaml:6:15: `pullSecret` is a list, expected text\n"},
    {"  pullSecret: " X100("a") X100("a") X10("a") X10("a") X10("a") X10("a") X10("a") "aaa\n", ""},
    {"  pullSecret: " X100("a") X100("a") X10("a") X10("a") X10("a") X10("a") X10("a") "aaaa\n",
     "p.yaml:6:15: `pullSecret` is `" X100(
         "a") "`, expected lower-case letters, digits, `-` and `.`\n"},
    {"  pullPolicy: IfNotPresent\n", ""},
    {"  pullPolicy: Always\n", ""},
    {"  pullPolicy: Never\n",
     "p.yaml:6:15: `pullPolicy` is `Never`, expected `IfNotPresent` or `Always`\n"},
    {"  pullPolicy: always\n",
     "p.yaml:6:15: `pullPolicy` is `always`, expected `IfNotPresent` or `Always`\n"},
    {"  prority: 1\n", "p.yaml:6:3: unknown field `prority`, did you mean `priority`?\n"},
    {"  Priority: 1\n", "p.yaml:6:3: unknown field `Priority`, did you mean `priority`?\n"},
    {"  nonsense: 1\n",
     "p.yaml:6:3: unknown field `nonsense`, expected one of `harbor`, `namespaces`, `priority`, "
     "`mode`, `rollout`, `registries`, `exclude`, `podSelector`, `owners`, `requireInHarbor`, "
     "`onHarborUnavailable`, `pullSecret`, `pullPolicy`, `findings`\n"},
    {"  rolout: 1\n", "p.yaml:6:3: unknown field `rolout`, did you mean `rollout`?\n"},
    {"  exclud: []\n", "p.yaml:6:3: unknown field `exclud`, did you mean `exclude`?\n"},
    {"  pull-secret: a\n", "p.yaml:6:3: unknown field `pull-secret`, did you mean `pullSecret`?\n"},
    {"  namespace: [n]\n", "p.yaml:6:3: unknown field `namespace`, did you mean `namespaces`?\n"},
    {"  x: 1\n",
     "p.yaml:6:3: unknown field `x`, expected one of `harbor`, `namespaces`, `priority`, `mode`, "
     "`rollout`, `registries`, `exclude`, `podSelector`, `owners`, `requireInHarbor`, `onHarborUnavailable`, "
     "`pullSecret`, `pullPolicy`, `findings`\n"},
    {"  mode: audit\n"
     "  mode: audit\n",
     "p.yaml:7:3: `mode` is here a second time, expected once\n"},
    {"  mode: audit\n"
     "  rollout: 1\n"
     "  mode: enforce\n"
     "  bogusfield: 1\n",
     "p.yaml:8:3: `mode` is here a second time, expected once\n"
     "p.yaml:9:3: unknown field `bogusfield`, expected one of `harbor`, `namespaces`, `priority`, "
     "`mode`, `rollout`, `registries`, `exclude`, `podSelector`, `owners`, `requireInHarbor`, "
     "`onHarborUnavailable`, `pullSecret`, `pullPolicy`, `findings`\n"},
    {"  ? [a]\n"
     "  : 1\n",
     "p.yaml:6:5: a key of `spec` is a list, expected a name\n"},
    {"  ~: 1\n", "p.yaml:6:3: a key of `spec` is nothing, expected a name\n"},
    {"  5: 1\n",
     "p.yaml:6:3: unknown field `5`, expected one of `harbor`, `namespaces`, `priority`, `mode`, "
     "`rollout`, `registries`, `exclude`, `podSelector`, `owners`, `requireInHarbor`, `onHarborUnavailable`, "
     "`pullSecret`, `pullPolicy`, `findings`\n"},
    {"  " X100("z") X10("z") X10("z") X10("z") X10("z") X10("z") ": 1\n",
     "p.yaml:6:3: unknown field `" X100(
         "z") "`, expected one of `harbor`, `namespaces`, `priority`, `mode`, `rollout`, "
              "`registries`, `exclude`, `podSelector`, `owners`, `requireInHarbor`, `onHarborUnavailable`, "
              "`pullSecret`, `pullPolicy`, `findings`\n"},
};

static const struct field_case policy_specs[] = {
    {"  namespaces: [a, b-c, \"d*\", \"?e\"]\n", ""},
    {"  namespaces: []\n", "p.yaml:1:1: warning: Policy `p` can never match a namespace\n"},
    {"  namespaces:\n", "p.yaml:5:3: `spec` has no `namespaces`, expected one\n"},
    {"  mode: audit\n", "p.yaml:5:3: `spec` has no `namespaces`, expected one\n"},
    {"  namespaces: a\n", "p.yaml:5:15: `namespaces` is a single value, expected a list\n"},
    {"  namespaces: {a: b}\n", "p.yaml:5:15: `namespaces` is a map, expected a list\n"},
    {"  namespaces: [1]\n", "p.yaml:5:16: `namespaces` is 1, which YAML reads as a number or truth "
                            "value; expected text: put it in quotes\n"},
    {"  namespaces: [\"1\"]\n", ""},
    {"  namespaces: [true]\n", "p.yaml:5:16: `namespaces` is true, which YAML reads as a number or "
                               "truth value; expected text: put it in quotes\n"},
    {"  namespaces: [~]\n", "p.yaml:5:16: `namespaces` is nothing, expected text\n"},
    {"  namespaces: [[a]]\n", "p.yaml:5:16: `namespaces` is a list, expected text\n"},
    {"  namespaces: [A]\n", "p.yaml:1:1: warning: Policy `p` can never match a namespace\n"
                            "p.yaml:5:16: warning: `A` can never match: namespaces have lower-case "
                            "letters, digits and `-`, at most 63\n"},
    {"  namespaces: [a_b]\n", "p.yaml:1:1: warning: Policy `p` can never match a namespace\n"
                              "p.yaml:5:16: warning: `a_b` can never match: namespaces have "
                              "lower-case letters, digits and `-`, at most 63\n"},
    {"  namespaces: [a.b]\n", "p.yaml:1:1: warning: Policy `p` can never match a namespace\n"
                              "p.yaml:5:16: warning: `a.b` can never match: namespaces have "
                              "lower-case letters, digits and `-`, at most 63\n"},
    {"  namespaces: [-a]\n", "p.yaml:1:1: warning: Policy `p` can never match a namespace\n"
                             "p.yaml:5:16: warning: `-a` can never match: namespaces have "
                             "lower-case letters, digits and `-`, at most 63\n"},
    {"  namespaces: [" X10("a") X10("a") X10("a") X10("a") X10("a") X10("a") "aaa]\n", ""},
    {"  namespaces: [" X10("a") X10("a") X10("a") X10("a") X10("a") X10("a") "aaaa]\n",
     "p.yaml:1:1: warning: Policy `p` can never match a namespace\n"
     "p.yaml:5:16: warning: `" X10("a") X10("a") X10("a") X10("a") X10("a")
         X10("a") "aaaa` can never match: namespaces have lower-case letters, digits and `-`, at "
                  "most 63\n"},
    {"  namespaces: [a, a]\n", "p.yaml:5:19: warning: `a` is here a second time\n"},
    {"  namespaces: [\"a\\nb\"]\n", "p.yaml:1:1: warning: Policy `p` can never match a namespace\n"
                                    "p.yaml:5:16: warning: `a?b` can never match: namespaces have "
                                    "lower-case letters, digits and `-`, at most 63\n"},
    {"  namespaces: [\"" X100("a") X100("a") X100("a") X100("a") X100("a") X10("a") "a*\"]\n",
     "p.yaml:1:1: warning: Policy `p` can never match a namespace\n"
     "p.yaml:5:16: warning: `" X100("a") "` can never match: namespaces have lower-case letters, "
                                         "digits and `-`, at most 63\n"},
    {"  namespaces: [\"" X100("a") X100("a") X100("a") X100("a") X100("a") X10("a") "aa*\"]\n",
     "p.yaml:5:16: `namespaces`: a pattern has 513 characters, expected at most 512\n"},
    {"  namespaces: [kube-system]\n",
     "p.yaml:1:1: warning: Policy `p` only claims protected namespaces\n"
     "p.yaml:5:16: warning: `kube-system` has no effect: the namespace is protected\n"},
    {"  namespaces: [kube-system, n]\n",
     "p.yaml:5:16: warning: `kube-system` has no effect: the namespace is protected\n"},
    {"  namespaces: [\"kube-*\"]\n",
     "p.yaml:5:16: warning: `kube-*` also matches 3 protected namespaces, such as `kube-node-lease`, "
     "which stay as they are\n"},
    {"  namespaces: [\"\303\274\"]\n",
     "p.yaml:1:1: warning: Policy `p` can never match a namespace\n"
     "p.yaml:5:16: warning: `\303\274` can never match: namespaces have lower-case letters, digits "
     "and `-`, at most 63\n"},
    {"  namespaces: [nan, inf]\n", ""},
};

static const struct field_case harbor_specs[] = {
    {"  host: harbor.example.com\n"
     "  registries: {docker.io: hub}\n",
     ""},
    {"  host: harbor.example.com:8443\n"
     "  registries: {docker.io: hub}\n",
     ""},
    {"  host: localhost:5000\n"
     "  registries: {docker.io: hub}\n",
     ""},
    {"  host: \"[::1]:5000\"\n"
     "  registries: {docker.io: hub}\n",
     ""},
    {"  host: harbor\n"
     "  registries: {docker.io: hub}\n",
     "p.yaml:5:9: `host` is `harbor`, expected a host name with a dot or a port, without scheme "
     "and path, as in front of an image: `harbor.example.com`\n"},
    {"  host: https://harbor.example.com\n"
     "  registries: {docker.io: hub}\n",
     "p.yaml:5:9: `host` is `https://harbor.example.com`, expected a host name with a dot or a "
     "port, without scheme and path, as in front of an image: `harbor.example.com`\n"},
    {"  host: harbor.example.com/\n"
     "  registries: {docker.io: hub}\n",
     "p.yaml:5:9: `host` is `harbor.example.com/`, expected a host name with a dot or a port, "
     "without scheme and path, as in front of an image: `harbor.example.com`\n"},
    {"  host: harbor.example.com/hub\n"
     "  registries: {docker.io: hub}\n",
     "p.yaml:5:9: `host` is `harbor.example.com/hub`, expected a host name with a dot or a port, "
     "without scheme and path, as in front of an image: `harbor.example.com`\n"},
    {"  host: docker.io\n"
     "  registries: {quay.io: quay}\n",
     "p.yaml:5:9: `host` is `docker.io`, expected a host name with a dot or a port, without scheme "
     "and path, as in front of an image: `harbor.example.com`\n"},
    {"  host: index.docker.io\n"
     "  registries: {quay.io: quay}\n",
     "p.yaml:5:9: `host` is `index.docker.io`, expected a host name with a dot or a port, without "
     "scheme and path, as in front of an image: `harbor.example.com`\n"},
    {"  host: [a]\n"
     "  registries: {docker.io: hub}\n",
     "p.yaml:5:9: `host` is a list, expected text\n"},
    {"  host: 1.5\n"
     "  registries: {docker.io: hub}\n",
     "p.yaml:5:9: `host` is 1.5, which YAML reads as a number or truth value; expected text: put "
     "it in quotes\n"},
    {"  host: \"\"\n"
     "  registries: {docker.io: hub}\n",
     "p.yaml:5:9: `host` is empty, expected text\n"},
    {"  host:\n"
     "  registries: {docker.io: hub}\n",
     "p.yaml:5:3: `spec` has no `host`, expected one\n"},
    {"  registries: {docker.io: hub}\n", "p.yaml:5:3: `spec` has no `host`, expected one\n"},
    {"  host: harbor.example.com\n", "p.yaml:5:3: `spec` has no `registries`, expected one\n"},
    {"  host: a b.c\n"
     "  registries: {docker.io: hub}\n",
     "p.yaml:5:9: `host` is `a b.c`, expected a host name with a dot or a port, without scheme and "
     "path, as in front of an image: `harbor.example.com`\n"},
    {"  host: harbor.example.com\n"
     "  registries: [docker.io]\n",
     "p.yaml:6:15: `registries` is a list, expected a map\n"},
    {"  host: harbor.example.com\n"
     "  registries: {}\n",
     ""},
    {"  host: harbor.example.com\n"
     "  registries: hub\n",
     "p.yaml:6:15: `registries` is a single value, expected a map\n"},
    {"  host: harbor.example.com\n"
     "  registries: {docker.io: }\n",
     "p.yaml:6:27: a project is nothing, expected text\n"},
    {"  host: harbor.example.com\n"
     "  registries: {docker.io: [hub]}\n",
     "p.yaml:6:27: a project is a list, expected text\n"},
    {"  host: harbor.example.com\n"
     "  registries: {docker.io: 5}\n",
     "p.yaml:6:27: a project is 5, which YAML reads as a number or truth value; expected text: put "
     "it in quotes\n"},
    {"  host: harbor.example.com\n"
     "  registries: {docker: hub}\n",
     "p.yaml:6:16: `docker` is not a registry's domain, expected one like `docker.io` or "
     "`registry.example.com:5000`, or a part of one like `ghcr.io/my-org`\n"},
    {"  host: harbor.example.com\n"
     "  registries: {index.docker.io: hub}\n",
     "p.yaml:6:16: `index.docker.io` is read as `docker.io`, expected that name\n"},
    {"  host: harbor.example.com\n"
     "  registries: {\"https://docker.io\": hub}\n",
     "p.yaml:6:16: `https://docker.io` is not a registry's domain, expected one like `docker.io` or "
     "`registry.example.com:5000`, or a part of one like `ghcr.io/my-org`\n"},
    {"  host: harbor.example.com\n"
     "  registries: {docker.io: hub/x}\n",
     "p.yaml:6:27: `hub/x` is not a Harbor project, expected lower-case letters, digits and single "
     "`.`, `_` or `-` between them\n"},
    {"  host: harbor.example.com\n"
     "  registries: {docker.io: Hub}\n",
     "p.yaml:6:27: `Hub` is not a Harbor project, expected lower-case letters, digits and single "
     "`.`, `_` or `-` between them\n"},
    {"  host: harbor.example.com\n"
     "  registries: {docker.io: hub_}\n",
     "p.yaml:6:27: `hub_` is not a Harbor project, expected lower-case letters, digits and single "
     "`.`, `_` or `-` between them\n"},
    {"  host: harbor.example.com\n"
     "  registries:\n"
     "    docker.io: hub\n"
     "    quay.io: quay\n"
     "    docker.io: other\n",
     "p.yaml:9:5: `docker.io` is here a second time, expected once\n"},
    {"  host: harbor.example.com\n"
     "  registries: {harbor.example.com: self}\n",
     "p.yaml:6:16: `harbor.example.com` is this Harbor's own `host`: its images would be rewritten "
     "again and again; expected an upstream registry\n"},
    {"  host: harbor.example.com\n"
     "  registries: {\"localhost:5000\": local, QUAY.IO: q}\n",
     ""},
    {"  host: harbor.example.com\n"
     "  registries: {1.5: q}\n",
     "p.yaml:6:16: an upstream registry is 1.5, which YAML reads as a number or truth value; "
     "expected text: put it in quotes\n"},
    {"  host: harbor.example.com\n"
     "  registries: {? [a] : q}\n",
     "p.yaml:6:18: an upstream registry is a list, expected text\n"},
    {"  host: harbor.example.com\n"
     "  registries: {docker.io: hub--x}\n",
     "p.yaml:6:27: `hub--x` is not a Harbor project, expected lower-case letters, digits and "
     "single `.`, `_` or `-` between them\n"},
    {"  host: harbor.example.com\n"
     "  registries: {docker.io: hub__x}\n",
     "p.yaml:6:27: `hub__x` is not a Harbor project, expected lower-case letters, digits and "
     "single `.`, `_` or `-` between them\n"},
    {"  host: harbor.example.com\n"
     "  registries: {docker.io: a.b_c-d}\n",
     ""},
    {"  host: harbor.example.com\n"
     "  registries: {docker.io: hub, docker.io/library: official, ghcr.io/my-org/a: a}\n",
     ""},
    {"  host: harbor.example.com\n"
     "  registries: {docker.io/library/nginx: one, 'localhost:5000/x__y/z---z': two}\n",
     ""},
    {"  host: harbor.example.com\n"
     "  registries: {docker.io/: hub}\n",
     "p.yaml:6:16: `docker.io/` is not a registry's domain, expected one like `docker.io` or `registry.example.com:5000`, or a part of one like `ghcr.io/my-org`\n"},
    {"  host: harbor.example.com\n"
     "  registries: {ghcr.io/My-Org: gh}\n",
     "p.yaml:6:16: `ghcr.io/My-Org` is not a registry's domain, expected one like `docker.io` or `registry.example.com:5000`, or a part of one like `ghcr.io/my-org`\n"},
    {"  host: harbor.example.com\n"
     "  registries: {ghcr.io//a: gh}\n",
     "p.yaml:6:16: `ghcr.io//a` is not a registry's domain, expected one like `docker.io` or `registry.example.com:5000`, or a part of one like `ghcr.io/my-org`\n"},
    {"  host: harbor.example.com\n"
     "  registries: {ghcr.io/a:1: gh}\n",
     "p.yaml:6:16: `ghcr.io/a:1` is not a registry's domain, expected one like `docker.io` or `registry.example.com:5000`, or a part of one like `ghcr.io/my-org`\n"},
    {"  host: harbor.example.com\n"
     "  registries: {'ghcr.io/a*': gh}\n",
     "p.yaml:6:16: `ghcr.io/a*` is not a registry's domain, expected one like `docker.io` or `registry.example.com:5000`, or a part of one like `ghcr.io/my-org`\n"},
    {"  host: harbor.example.com\n"
     "  registries: {library/nginx: hub}\n",
     "p.yaml:6:16: `library/nginx` is not a registry's domain, expected one like `docker.io` or `registry.example.com:5000`, or a part of one like `ghcr.io/my-org`\n"},
    {"  host: harbor.example.com\n"
     "  registries: {index.docker.io/library: hub}\n",
     "p.yaml:6:16: `index.docker.io` is read as `docker.io`, expected that name\n"},
    {"  host: harbor.example.com\n"
     "  registries: {ghcr.io/a: x, ghcr.io/b: y, ghcr.io/a: z}\n",
     "p.yaml:6:44: `ghcr.io/a` is here a second time, expected once\n"},
    {"  host: harbor.example.com\n"
     "  registries: {harbor.example.com/hub: self}\n",
     "p.yaml:6:16: `harbor.example.com` is this Harbor's own `host`: its images would be rewritten again and again; expected an upstream registry\n"},
};

static const struct field_case harbor_fields[] = {
    {"  protected: [harbor, \"kube-*\"]\n", ""},
    {"  protected: []\n", ""},
    {"  protected: harbor\n", "p.yaml:7:14: `protected` is a single value, expected a list\n"},
    {"  protected: [1]\n", "p.yaml:7:15: `protected` is 1, which YAML reads as a number or truth "
                           "value; expected text: put it in quotes\n"},
    {"  protected: {a: b}\n", "p.yaml:7:14: `protected` is a map, expected a list\n"},
    {"  nodesHaveCredentials: true\n", ""},
    {"  nodesHaveCredentials: false\n", ""},
    {"  nodesHaveCredentials: yes\n",
     "p.yaml:7:25: `nodesHaveCredentials` is `yes`, expected `true` or `false`\n"},
    {"  nodesHaveCredentials: \"true\"\n",
     "p.yaml:7:25: `nodesHaveCredentials` is `true` in quotes, expected `true` or `false`\n"},
    {"  nodesHaveCredentials: 1\n",
     "p.yaml:7:25: `nodesHaveCredentials` is `1`, expected `true` or `false`\n"},
    {"  nodesHaveCredentials: []\n",
     "p.yaml:7:25: `nodesHaveCredentials` is a list, expected `true` or `false`\n"},
    {"  nodesHaveCredentials: True\n",
     "p.yaml:7:25: `nodesHaveCredentials` is `True`, expected `true` or `false`\n"},
    {"  trustedControllers: [\"system:serviceaccount:argocd:controller\"]\n", ""},
    {"  trustedControllers: []\n", ""},
    {"  trustedControllers: [\"system:*\"]\n",
     "p.yaml:7:24: `system:*` has a wildcard, expected a whole user name\n"},
    {"  trustedControllers: a\n",
     "p.yaml:7:23: `trustedControllers` is a single value, expected a list\n"},
    {"  trustedControllers: [1]\n", "p.yaml:7:24: `trustedControllers` is 1, which YAML reads as a "
                                    "number or truth value; expected text: put it in quotes\n"},
    {"  renames: {docker.io/bitnami: docker.io/bitnamilegacy}\n", ""},
    {"  renames: {}\n", ""},
    {"  renames:\n", ""},
    {"  renames: {k8s.gcr.io: docker.io, 'localhost:5000/a/b': docker.io/c/d/e, mirror.io/hub: docker.io}\n",
     ""},
    {"  renames: [docker.io]\n", "p.yaml:7:12: `renames` is a list, expected a map\n"},
    {"  renames: {docker.io/bitnami: bitnamilegacy}\n",
     "p.yaml:7:32: `bitnamilegacy` is not a registry's domain, expected one like `docker.io` or `registry.example.com:5000`, or a part of one like `ghcr.io/my-org`\n"},
    {"  renames: {bitnami: docker.io/bitnamilegacy}\n",
     "p.yaml:7:13: `bitnami` is not a registry's domain, expected one like `docker.io` or `registry.example.com:5000`, or a part of one like `ghcr.io/my-org`\n"},
    {"  renames: {docker.io/a: docker.io/b:1}\n",
     "p.yaml:7:26: `docker.io/b:1` is not a registry's domain, expected one like `docker.io` or `registry.example.com:5000`, or a part of one like `ghcr.io/my-org`\n"},
    {"  renames: {docker.io/a: ''}\n",
     "p.yaml:7:26: an upstream registry is empty, expected text\n"},
    {"  renames: {docker.io/a: [b]}\n",
     "p.yaml:7:26: an upstream registry is a list, expected text\n"},
    {"  renames: {docker.io/a: index.docker.io/b}\n",
     "p.yaml:7:26: `index.docker.io` is read as `docker.io`, expected that name\n"},
    {"  renames: {docker.io/a: docker.io/b, docker.io/a: docker.io/c}\n",
     "p.yaml:7:39: `docker.io/a` is here a second time, expected once\n"},
    {"  renames: {docker.io/a: harbor.example.com/hub/a}\n",
     "p.yaml:7:13: `harbor.example.com` is this Harbor's own `host`; expected names of upstream registries\n"},
    {"  renames: {harbor.example.com/hub/a: docker.io/a}\n",
     "p.yaml:7:13: `harbor.example.com` is this Harbor's own `host`; expected names of upstream registries\n"},
    {"  discover: false\n", ""},
    {"  discover: true\n",
     "p.yaml:1:1: Harbor `h` has `discover: true`, expected an `api` to ask\n"
     "p.yaml:1:1: Harbor `h` has `registries` and `discover: true`, expected one of them\n"},
    {"  discover: true\n  api: {url: https://h}\n",
     "p.yaml:1:1: Harbor `h` has `registries` and `discover: true`, expected one of them\n"},
    {"  discover: yes\n", "p.yaml:7:13: `discover` is `yes`, expected `true` or `false`\n"},
    {"  discover: [true]\n", "p.yaml:7:13: `discover` is a list, expected `true` or `false`\n"},
    {"  api: {url: https://h}\n", ""},
    {"  api: {url: 'https://h:8443/', credentialsDirectory: /c, caFile: /ca.crt}\n", ""},
    {"  api: {}\n", "p.yaml:7:8: `api` has no `url`, expected one\n"},
    {"  api: {url: ftp://h}\n",
     "p.yaml:7:14: `api.url` is `ftp://h`, expected `https://HOST` or `https://HOST:PORT`\n"},
    {"  api: {url: https://h/path}\n",
     "p.yaml:7:14: `api.url` is `https://h/path`, expected `https://HOST` or `https://HOST:PORT`\n"},
    {"  api: {url: 'https://u@h'}\n",
     "p.yaml:7:14: `api.url` is `https://u@h`, expected `https://HOST` or `https://HOST:PORT`\n"},
    {"  api: {url: http://h}\n",
     "p.yaml:7:14: warning: `api.url` is not https: the account's password crosses the network in the "
     "clear\n"},
    {"  hosts: a\n", "p.yaml:7:3: unknown field `hosts`, did you mean `host`?\n"},
    {"  registry: {}\n", "p.yaml:7:3: unknown field `registry`, did you mean `registries`?\n"},
    {"  unknown: a\n",
     "p.yaml:7:3: unknown field `unknown`, expected one of `host`, `registries`, `renames`, `discover`, "
     "`protected`, `nodesHaveCredentials`, `trustedControllers`, `api`\n"},
};

static const struct field_case documents_[] = {
    {"", "p.yaml: there is no document, expected Harbor and Policy documents (is the right "
         "ConfigMap mounted here?)\n"},
    {"# nothing\n", "p.yaml: there is no document, expected Harbor and Policy documents (is the "
                    "right ConfigMap mounted here?)\n"},
    {"---\n"
     "---\n",
     "p.yaml: there is no document, expected Harbor and Policy documents (is the right ConfigMap "
     "mounted here?)\n"},
    {"~\n", "p.yaml: there is no document, expected Harbor and Policy documents (is the right "
            "ConfigMap mounted here?)\n"},
    {"a\n", "p.yaml:1:1: the document is a single value, expected a map\n"},
    {"[]\n", "p.yaml:1:1: the document is a list, expected a map\n"},
    {"- a\n", "p.yaml:1:1: the document is a list, expected a map\n"},
    {"{}\n", "p.yaml:1:1: the document has no `apiVersion`, expected one\n"
             "p.yaml:1:1: the document has no `kind`, expected one\n"
             "p.yaml:1:1: the document has no `metadata`, expected one\n"
             "p.yaml:1:1: the document has no `spec`, expected one\n"},
    {"a: b\n",
     "p.yaml:1:1: the document has no `apiVersion`, expected one\n"
     "p.yaml:1:1: the document has no `kind`, expected one\n"
     "p.yaml:1:1: the document has no `metadata`, expected one\n"
     "p.yaml:1:1: the document has no `spec`, expected one\n"
     "p.yaml:1:1: unknown field `a`, expected one of `apiVersion`, `kind`, `metadata`, `spec`\n"},
    {"apiVersion: v1\n"
     "kind: Policy\n"
     "metadata: {name: p}\n"
     "spec: {namespaces: [n]}\n",
     "p.yaml:1:1: there is no Harbor document, expected one with `host` and `registries`\n"
     "p.yaml:1:13: `apiVersion` is `v1`, expected `harbor-pilot.io/v1alpha1`\n"},
    {"apiVersion: harbor-pilot.io/v1alpha2\n"
     "kind: Harbor\n"
     "metadata: {name: p}\n"
     "spec: {host: h.io, registries: {docker.io: hub}}\n",
     "p.yaml:1:13: `apiVersion` is `harbor-pilot.io/v1alpha2`, expected "
     "`harbor-pilot.io/v1alpha1`\n"},
    {"apiVersion: 1\n"
     "kind: Harbor\n"
     "metadata: {name: p}\n"
     "spec: {host: h.io, registries: {docker.io: hub}}\n",
     "p.yaml:1:13: `apiVersion` is 1, which YAML reads as a number or truth value; expected text: "
     "put it in quotes\n"},
    {"apiVersion: harbor-pilot.io/v1alpha1\n"
     "kind: ConfigMap\n"
     "metadata: {name: p}\n"
     "spec: {}\n",
     "p.yaml:2:7: `kind` is `ConfigMap`, expected `Harbor` or `Policy`\n"},
    {"apiVersion: harbor-pilot.io/v1alpha1\n"
     "kind: [Policy]\n"
     "metadata: {name: p}\n"
     "spec: {}\n",
     "p.yaml:2:7: `kind` is a list, expected `Harbor` or `Policy`\n"},
    {"apiVersion: harbor-pilot.io/v1alpha1\n"
     "kind: Harbor\n"
     "spec: {host: h.io, registries: {docker.io: hub}}\n",
     "p.yaml:1:1: the document has no `metadata`, expected one\n"},
    {"apiVersion: harbor-pilot.io/v1alpha1\n"
     "kind: Harbor\n"
     "metadata: {}\n"
     "spec: {host: h.io, registries: {docker.io: hub}}\n",
     "p.yaml:3:11: `metadata` has no `name`, expected one\n"},
    {"apiVersion: harbor-pilot.io/v1alpha1\n"
     "kind: Harbor\n"
     "metadata: p\n"
     "spec: {host: h.io, registries: {docker.io: hub}}\n",
     "p.yaml:3:11: `metadata` is a single value, expected a map\n"},
    {"apiVersion: harbor-pilot.io/v1alpha1\n"
     "kind: Harbor\n"
     "metadata: {name: P}\n"
     "spec: {host: h.io, registries: {docker.io: hub}}\n",
     "p.yaml:3:18: `metadata.name` is `P`, expected lower-case letters, digits, `-` and `.`\n"},
    {"apiVersion: harbor-pilot.io/v1alpha1\n"
     "kind: Harbor\n"
     "metadata: {name: p, labels: {a: b}, annotations: {c: d}, namespace: x}\n"
     "spec: {host: h.io, registries: {docker.io: hub}}\n",
     "p.yaml:3:58: unknown field `namespace`, expected one of `name`, `labels`, `annotations`\n"},
    {"apiVersion: harbor-pilot.io/v1alpha1\n"
     "kind: Harbor\n"
     "metadata: {name: p}\n",
     "p.yaml:1:1: the document has no `spec`, expected one\n"},
    {"apiVersion: harbor-pilot.io/v1alpha1\n"
     "kind: Harbor\n"
     "metadata: {name: p}\n"
     "spec: x\n",
     "p.yaml:4:7: `spec` is a single value, expected a map\n"},
    {"apiVersion: harbor-pilot.io/v1alpha1\n"
     "kind: Harbor\n"
     "metadata: {name: p}\n"
     "spec: {host: h.io, registries: {docker.io: hub}}\n"
     "status: {}\n",
     "p.yaml:5:1: unknown field `status`, expected one of `apiVersion`, `kind`, `metadata`, "
     "`spec`\n"},
    {"a: [\n",
     "p.yaml:2:1: not YAML: did not find expected node content (while parsing a flow node "
     "from line 2 on)\n"},
    {"a: b: c\n", "p.yaml:1:5: not YAML: mapping values are not allowed in this context\n"},
    {"\ta: b\n",
     "p.yaml:1:1: not YAML: found character that cannot start any token (while scanning "
     "for the next token from line 1 on)\n"},
    {"a: *x\n", "p.yaml:1:4: not YAML: the alias `*x` has no anchor, expected `&x` before it\n"},
    {"a: \"\\q\"\n", "p.yaml:1:5: not YAML: found unknown escape character (while parsing a quoted "
                     "scalar from line 1 on)\n"},
    {"%YAML 9.9\n"
     "---\n"
     "a\n",
     "p.yaml:1:1: not YAML: found incompatible YAML document\n"},
    {"a: \"x\n", "p.yaml:2:1: not YAML: found unexpected end of stream (while scanning a quoted "
                 "scalar from line 1 on)\n"},
    {"&a [*a]\n", "p.yaml:1:1: the document is a list, expected a map\n"},
    {"a: b\n"
     "...\n"
     "c: d\n",
     "p.yaml:1:1: the document has no `apiVersion`, expected one\n"
     "p.yaml:1:1: the document has no `kind`, expected one\n"
     "p.yaml:1:1: the document has no `metadata`, expected one\n"
     "p.yaml:1:1: the document has no `spec`, expected one\n"
     "p.yaml:1:1: unknown field `a`, expected one of `apiVersion`, `kind`, `metadata`, `spec`\n"
     "p.yaml:3:1: not YAML: did not find expected <document start>\n"},
    {"\200",
     "p.yaml:1:1: not YAML: invalid leading UTF-8 octet (at byte 0), expected UTF-8 text\n"},
};

static void test_policy_fields(void **state)
{
    (void)state;
    check_cases(policy_fields, COUNT(policy_fields), POLICY "  namespaces: [n]\n",
                "---\n" HARBOR HARBOR_SPEC);
}

static void test_policy_specs(void **state)
{
    (void)state;
    check_cases(policy_specs, COUNT(policy_specs), POLICY, "---\n" HARBOR HARBOR_SPEC);
}

static void test_harbor_specs(void **state)
{
    (void)state;
    check_cases(harbor_specs, COUNT(harbor_specs), HARBOR, "");
}

static void test_harbor_fields(void **state)
{
    (void)state;
    check_cases(harbor_fields, COUNT(harbor_fields), HARBOR HARBOR_SPEC, "");
}

static void test_documents(void **state)
{
    (void)state;
    check_cases(documents_, COUNT(documents_), "", "");
}

/* --- what is read, not only that it is taken --- */

static const char full_set[] =
    HARBOR "  host: harbor.example.com:8443\n"
           "  registries:\n"
           "    quay.io: quay\n"
           "    docker.io: hub\n"
           "    ghcr.io: gh\n"
           "  protected: [storage, 'dns-*']\n"
           "  nodesHaveCredentials: true\n"
           "  trustedControllers: ['system:serviceaccount:a:b', robot]\n"
           "---\n" POLICY "  harbor: h\n"
           "  namespaces: [monitoring, \"grafana-*\"]\n"
           "  priority: -7\n"
           "  mode: audit\n"
           "  rollout: 25\n"
           "  registries: [quay.io]\n"
           "  exclude: ['*/debug/*', 'quay.io/a/b:1', 'quay.io:5000/x', '*@sha256:*']\n"
           "  owners: {include: [tekton.dev/TaskRun, core/Node]}\n"
           "  pullSecret: harbor-pull\n"
           "  pullPolicy: Always\n"
           "---\n"
           "apiVersion: harbor-pilot.io/v1alpha1\n"
           "kind: Policy\n"
           "metadata: {name: defaults, labels: {a: b}, annotations: {c: d}}\n"
           "spec: {namespaces: [n], harbor: null, mode: ~}\n";

static void test_values_of_a_harbor(void **state)
{
    (void)state;
    struct policies *policies = load_right(full_set);
    assert_non_null(policies);
    assert_int_equal(policies_harbor_count(policies), 1);
    const struct harbor *h = policies_harbor_at(policies, 0);
    check_text("harbor", "name", h->name, "h");
    check_text("harbor", "host", h->host, "harbor.example.com:8443");
    check_text("harbor", "file", h->at.file, "p.yaml");
    assert_int_equal(h->at.line, 1);
    assert_int_equal(h->registry_count, 3);
    static const char *const registries[][2] = {
        {"docker.io", "hub"}, {"ghcr.io", "gh"}, {"quay.io", "quay"}};
    for (size_t i = 0; i < 3; i++) {
        check_text("registry", "domain", h->registries[i].upstream.domain, registries[i][0]);
        check_text("registry", "project", h->registries[i].project, registries[i][1]);
        const struct reference r = {.domain = slice_from(registries[i][0]), .path = SLICE("a/b")};
        assert_ptr_equal(harbor_find_registry(h, &r), &h->registries[i]);
    }
    assert_int_equal(h->registries[2].at.line, 7);
    assert_int_equal(h->registries[2].at.column, 5);
    static const char *const others[] = {"docker.i", "z", ""};
    for (size_t i = 0; i < 3; i++) {
        const struct reference r = {.domain = slice_from(others[i]), .path = SLICE("a/b")};
        assert_null(harbor_find_registry(h, &r));
    }
    assert_true(h->nodes_have_credentials);
    assert_int_equal(h->trusted_controllers.count, 2);
    check_text("trusted", "name", h->trusted_controllers.items[0], "system:serviceaccount:a:b");
    policies_unref(policies);
}

static void test_values_of_a_policy(void **state)
{
    (void)state;
    struct policies *policies = load_right(full_set);
    assert_int_equal(policies_count(policies), 2);
    const struct policy *p = policies_find(policies, SLICE("monitoring"), NULL, 0);
    assert_non_null(p);
    check_text("policy", "name", p->name, "p");
    assert_int_equal(p->at.line, 14);
    assert_ptr_equal(p->harbor, policies_harbor_at(policies, 0));
    assert_int_equal(p->priority, -7);
    assert_int_equal(p->mode, MODE_AUDIT);
    assert_int_equal(p->rollout, 25);
    assert_false(p->moves[0]);
    assert_false(p->moves[1]);
    assert_true(p->moves[2]);
    assert_int_equal(p->namespaces.count, 2);
    assert_false(p->namespaces.items[0].wildcard);
    assert_true(p->namespaces.items[1].wildcard);
    static const bool whole[] = {false, true, false, true};
    assert_int_equal(p->exclude.count, 4);
    for (size_t i = 0; i < 4; i++) {
        struct slice text = p->exclude.items[i].text;
        if (p->exclude.items[i].whole != whole[i])
            CHECK_FAIL("`%.*s` is compared with the wrong text", SLICE_ARGS(text));
    }
    assert_int_equal(p->owner_count, 2);
    check_text("owner", "group", p->owners[0].group, "tekton.dev");
    check_text("owner", "kind", p->owners[0].kind, "TaskRun");
    check_text("owner", "group", p->owners[1].group, "");
    check_text("owner", "kind", p->owners[1].kind, "Node");
    check_text("policy", "pull secret", p->pull_secret, "harbor-pull");
    assert_int_equal(p->pull_policy, PULL_POLICY_ALWAYS);
    policies_unref(policies);
}

static void test_defaults(void **state)
{
    (void)state;
    struct policies *policies = load_right(full_set);
    const struct policy *p = policies_find(policies, SLICE("n"), NULL, 0);
    assert_non_null(p);
    check_text("policy", "name", p->name, "defaults");
    assert_ptr_equal(p->harbor, policies_harbor_at(policies, 0));
    assert_int_equal(p->priority, 0);
    assert_int_equal(p->mode, MODE_ENFORCE);
    assert_int_equal(p->rollout, 100);
    for (size_t i = 0; i < 3; i++)
        assert_true(p->moves[i]);
    assert_int_equal(p->exclude.count + p->owner_count + p->pull_secret.len, 0);
    assert_int_equal(p->pull_policy, PULL_POLICY_KEEP);
    policies_unref(policies);
}

/* --- limits --- */

static void test_file_size(void **state)
{
    (void)state;
    for (size_t over = 0; over <= 1; over++) {
        struct arena arena = {0};
        struct diagnostics diagnostics = {0};
        struct policies *policies = NULL;
        char *text = arena_allocate(&arena, POLICY_MAX_FILE_SIZE + 2);
        memset(text, '\n', POLICY_MAX_FILE_SIZE + 1);
        memcpy(text, HARBOR HARBOR_SPEC, sizeof(HARBOR HARBOR_SPEC) - 1);
        struct policy_source source = {SLICE("dir"), SLICE("dir/big.yaml"),
                                       slice_of(text, POLICY_MAX_FILE_SIZE + over)};
        bool ok = policies_load(&source, 1, (struct slice){0}, &diagnostics, &policies);
        check_text("a big file", "all findings", all_findings(&diagnostics, &arena),
                   over ? "dir/big.yaml: the file has 4194305 bytes, expected at most 4194304\n"
                        : "");
        assert_int_equal(ok, !over);
        policies_unref(policies);
        diagnostics_done(&diagnostics);
        arena_done(&arena);
    }
}

/* No text stops the reader half-way: each beginning of a right one is read without a crash, and
 * what is wrong with it has a place in the file. */
static void test_truncated_at_every_byte(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(full_set); len++) {
        struct slice text = copy_exact(slice_of(full_set, len));
        struct diagnostics diagnostics = {0};
        struct policies *policies = NULL;
        struct policy_source source = {SLICE("p.yaml"), SLICE("p.yaml"), text};
        bool ok = policies_load(&source, 1, (struct slice){0}, &diagnostics, &policies);
        assert_int_equal(ok, diagnostics.errors == 0);
        assert_int_equal(ok, policies != NULL);
        for (size_t i = 0; i < diagnostics.count; i++) {
            assert_in_range(diagnostics.items[i].at.line, 0, 40);
            assert_true(diagnostics.items[i].message.len > 0);
        }
        policies_unref(policies);
        diagnostics_done(&diagnostics);
        free((char *)text.base);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_fields),      cmocka_unit_test(test_policy_specs),
        cmocka_unit_test(test_harbor_specs),       cmocka_unit_test(test_harbor_fields),
        cmocka_unit_test(test_documents),          cmocka_unit_test(test_values_of_a_harbor),
        cmocka_unit_test(test_values_of_a_policy), cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_file_size),          cmocka_unit_test(test_truncated_at_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
