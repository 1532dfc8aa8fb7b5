/* `findings` of a Policy: each field's values and defaults, and all that is said of what is wrong,
 * word for word with its place. */
#include "policy/limits.h"
#include "policy/policy.h"

#include "tests/unit/check.h"

#define X10(c)  c c c c c c c c c c
#define X100(c) X10(X10(c))

#define HARBOR                                                                                     \
    "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\nspec:\n"             \
    "  host: harbor.example.com\n  registries: {docker.io: hub}\n"
#define WITH_API HARBOR "  api: {url: 'https://harbor.example.com'}\n"
#define POLICY                                                                                     \
    "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: p}\nspec:\n"        \
    "  namespaces: [apps]\n"

/* Line 14 is the first of the text, column 3 its first character. */
static struct slice findings_of(const char *text, struct policies **ret, struct arena *arena)
{
    struct slice findings;
    struct slice whole = arena_format(arena, WITH_API POLICY "%s", text);
    *ret = load_text(whole.base, NULL, arena, &findings);
    return findings;
}

/* --- what is read --- */

#define DAY            (24 * 60 * 60LL)
#define END_OF_2026_11 1796083200LL /* 2026-12-01T00:00:00Z */

static const struct {
    const char *text;
    struct gate_rules rules; /* `on`, and what differs from the defaults below */
} read_cases[] = {
    {"  findings: {}\n", {.on = true}},
    {"  findings:\n    severity: Low\n", {.on = true, .severity = SEVERITY_LOW}},
    {"  findings: {severity: Medium}\n", {.on = true, .severity = SEVERITY_MEDIUM}},
    {"  findings: {severity: High}\n", {.on = true, .severity = SEVERITY_HIGH}},
    {"  findings: {severity: Critical}\n", {.on = true, .severity = SEVERITY_CRITICAL}},
    {"  findings: {severity: low}\n", {.on = true, .severity = SEVERITY_LOW}},
    {"  findings: {severity: MEDIUM}\n", {.on = true, .severity = SEVERITY_MEDIUM}},
    {"  findings: {severity: hIGH}\n", {.on = true, .severity = SEVERITY_HIGH}},
    {"  findings: {severity: \"critical\"}\n", {.on = true, .severity = SEVERITY_CRITICAL}},
    {"  findings: {action: warn}\n", {.on = true, .action = GATE_WARN}},
    {"  findings: {action: 'deny'}\n", {.on = true, .action = GATE_DENY}},
    {"  findings: {enforceOn: workloads}\n", {.on = true}},
    {"  findings: {enforceOn: pods}\n", {.on = true, .pods = true}},
    {"  findings: {fixableOnly: true}\n", {.on = true, .fixable_only = true}},
    {"  findings: {fixableOnly: false}\n", {.on = true}},
    {"  findings: {maxAge: 1s}\n", {.on = true, .max_age = 1}},
    {"  findings: {maxAge: 1.5s}\n", {.on = true, .max_age = 1}}, /* whole seconds */
    {"  findings: {maxAge: 1h30m}\n", {.on = true, .max_age = 5400}},
    {"  findings: {maxAge: 720h}\n", {.on = true, .max_age = 30 * DAY}},
    {"  findings: {maxAge: 878400h}\n", {.on = true, .max_age = 878400 * 3600LL}},
    {"  findings: {allow: []}\n", {.on = true}},
    /* a field whose value is nothing counts as left out, as in Kubernetes */
    {"  findings: {severity: , action: ~, enforceOn: null, fixableOnly: , unscanned: , "
     "unproxied: , unavailable: , maxAge: , allow: }\n",
     {.on = true}},
    {"", {.on = false}},
    {"  findings:\n", {.on = false}},
    {"  findings: ~\n", {.on = false}},
};

static void check_rules(const char *name, const struct gate_rules *got,
                        const struct gate_rules *expected)
{
    const struct gate_rules *e = expected;
    check_number(name, "a gate", got->on, e->on);
    if (!e->on)
        return;
    check_number(name, "severity", got->severity, e->severity ? e->severity : SEVERITY_CRITICAL);
    check_number(name, "action", got->action, e->action ? e->action : GATE_DENY);
    check_number(name, "unscanned", got->unscanned, GATE_WARN);
    check_number(name, "unproxied", got->unproxied, GATE_WARN);
    check_number(name, "unavailable", got->unavailable, GATE_ALLOW);
    check_number(name, "pods", got->pods, e->pods);
    check_number(name, "fixableOnly", got->fixable_only, e->fixable_only);
    check_number(name, "maxAge", got->max_age, e->max_age ? e->max_age : 168 * 3600);
    check_number(name, "exceptions", (long long)got->allow_count, 0);
}

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(read_cases); i++) {
        struct arena arena = {0};
        struct policies *policies;
        const char *name = read_cases[i].text;
        check_text(name, "the findings", findings_of(name, &policies, &arena), "");
        check_rules(name, &policies_at(policies, 0)->gate, &read_cases[i].rules);
        policies_unref(policies);
        arena_done(&arena);
    }
}

/* The three that take each outcome, one at a time. */
static void test_outcomes(void **state)
{
    (void)state;
    static const char *const fields[] = {"unscanned", "unproxied", "unavailable"};
    static const char *const words[] = {"allow", "warn", "deny"};
    for (size_t f = 0; f < COUNT(fields); f++)
        for (size_t w = 0; w < COUNT(words); w++) {
            struct arena arena = {0};
            struct policies *policies;
            struct slice text = arena_format(&arena, "  findings: {%s: %s}\n", fields[f], words[w]);
            bool warned = f == 2 && w == 2;
            check_text(text.base, "the findings", findings_of(text.base, &policies, &arena),
                       warned
                           ? "p.yaml:14:27: warning: `unavailable: deny` refuses every new image "
                             "while Harbor cannot be asked, at each of its upgrades too\n"
                           : "");
            const struct gate_rules *rules = &policies_at(policies, 0)->gate;
            check_number(text.base, "unscanned", rules->unscanned, f == 0 ? (int)w : GATE_WARN);
            check_number(text.base, "unproxied", rules->unproxied, f == 1 ? (int)w : GATE_WARN);
            check_number(text.base, "unavailable", rules->unavailable,
                         f == 2 ? (int)w : GATE_ALLOW);
            policies_unref(policies);
            arena_done(&arena);
        }
}

/* --- what is said --- */

#define SEVERITIES "expected `Low`, `Medium`, `High` or `Critical`\n"
#define OUTCOMES   "expected `allow`, `warn` or `deny`\n"
#define MAX_AGE    "expected a duration of a second or more, such as `168h` or `1h30m`\n"
#define UNTIL                                                                                      \
    "expected the last day on which the finding is accepted (UTC), such as "                       \
    "`2027-01-31`\n"
#define FIELDS                                                                                     \
    "expected one of `severity`, `action`, `enforceOn`, `fixableOnly`, `unscanned`, `unproxied`, " \
    "`unavailable`, `maxAge`, `allow`\n"

static const struct {
    const char *text, *findings;
} wrong[] = {
    {"  findings: true\n", "p.yaml:14:13: `findings` is a single value, expected a map\n"},
    {"  findings: []\n", "p.yaml:14:13: `findings` is a list, expected a map\n"},
    {"  findings: \"\"\n", "p.yaml:14:13: `findings` is a single value, expected a map\n"},
    /* severity */
    {"  findings: {severity: None}\n", "p.yaml:14:24: `findings.severity` is `None`, " SEVERITIES},
    {"  findings: {severity: Unknown}\n",
     "p.yaml:14:24: `findings.severity` is `Unknown`, " SEVERITIES},
    {"  findings: {severity: Negligible}\n",
     "p.yaml:14:24: `findings.severity` is `Negligible`, " SEVERITIES},
    {"  findings: {severity: Hig}\n", "p.yaml:14:24: `findings.severity` is `Hig`, " SEVERITIES},
    {"  findings: {severity: Highh}\n",
     "p.yaml:14:24: `findings.severity` is `Highh`, " SEVERITIES},
    {"  findings: {severity: ''}\n", "p.yaml:14:24: `findings.severity` is ``, " SEVERITIES},
    {"  findings: {severity: ' High'}\n",
     "p.yaml:14:24: `findings.severity` is ` High`, " SEVERITIES},
    {"  findings: {severity: 7}\n", "p.yaml:14:24: `findings.severity` is `7`, " SEVERITIES},
    {"  findings: {severity: [High]}\n",
     "p.yaml:14:24: `findings.severity` is a list, " SEVERITIES},
    {"  findings: {severity: {}}\n", "p.yaml:14:24: `findings.severity` is a map, " SEVERITIES},
    {"  findings: {severity: " X100("x") "}\n",
     "p.yaml:14:24: `findings.severity` is `" X10("xxxx") "`, " SEVERITIES},
    /* action: it cannot be `allow` */
    {"  findings: {action: allow}\n",
     "p.yaml:14:22: `findings.action` is `allow`, expected `warn` or `deny`\n"},
    {"  findings: {action: Deny}\n",
     "p.yaml:14:22: `findings.action` is `Deny`, expected `warn` or `deny`\n"},
    {"  findings: {action: [deny]}\n",
     "p.yaml:14:22: `findings.action` is a list, expected `warn` or `deny`\n"},
    /* enforceOn */
    {"  findings: {enforceOn: Pods}\n",
     "p.yaml:14:25: `findings.enforceOn` is `Pods`, expected `workloads` or `pods`\n"},
    {"  findings: {enforceOn: pod}\n",
     "p.yaml:14:25: `findings.enforceOn` is `pod`, expected `workloads` or `pods`\n"},
    {"  findings: {enforceOn: [pods, workloads]}\n",
     "p.yaml:14:25: `findings.enforceOn` is a list, expected `workloads` or `pods`\n"},
    /* fixableOnly */
    {"  findings: {fixableOnly: True}\n",
     "p.yaml:14:27: `findings.fixableOnly` is `True`, expected `true` or `false`\n"},
    {"  findings: {fixableOnly: yes}\n",
     "p.yaml:14:27: `findings.fixableOnly` is `yes`, expected `true` or `false`\n"},
    {"  findings: {fixableOnly: 'true'}\n",
     "p.yaml:14:27: `findings.fixableOnly` is `true` in quotes, expected `true` or `false`\n"},
    {"  findings: {fixableOnly: {}}\n",
     "p.yaml:14:27: `findings.fixableOnly` is a map, expected `true` or `false`\n"},
    /* outcomes */
    {"  findings: {unscanned: ignore}\n",
     "p.yaml:14:25: `findings.unscanned` is `ignore`, " OUTCOMES},
    {"  findings: {unscanned: Allow}\n",
     "p.yaml:14:25: `findings.unscanned` is `Allow`, " OUTCOMES},
    {"  findings: {unproxied: false}\n",
     "p.yaml:14:25: `findings.unproxied` is `false`, " OUTCOMES},
    {"  findings: {unproxied: {}}\n", "p.yaml:14:25: `findings.unproxied` is a map, " OUTCOMES},
    {"  findings: {unavailable: ''}\n", "p.yaml:14:27: `findings.unavailable` is ``, " OUTCOMES},
    {"  findings: {unavailable: [warn]}\n",
     "p.yaml:14:27: `findings.unavailable` is a list, " OUTCOMES},
    /* maxAge */
    {"  findings: {maxAge: 7d}\n", "p.yaml:14:22: `findings.maxAge` is `7d`, " MAX_AGE},
    {"  findings: {maxAge: 168}\n", "p.yaml:14:22: `findings.maxAge` is `168`, " MAX_AGE},
    {"  findings: {maxAge: 0}\n", "p.yaml:14:22: `findings.maxAge` is `0`, " MAX_AGE},
    {"  findings: {maxAge: 0s}\n", "p.yaml:14:22: `findings.maxAge` is `0s`, " MAX_AGE},
    {"  findings: {maxAge: 999ms}\n", "p.yaml:14:22: `findings.maxAge` is `999ms`, " MAX_AGE},
    {"  findings: {maxAge: -1h}\n", "p.yaml:14:22: `findings.maxAge` is `-1h`, " MAX_AGE},
    {"  findings: {maxAge: 878401h}\n", "p.yaml:14:22: `findings.maxAge` is `878401h`, " MAX_AGE},
    {"  findings: {maxAge: ''}\n", "p.yaml:14:22: `findings.maxAge` is ``, " MAX_AGE},
    {"  findings: {maxAge: \"1h\\0x\"}\n", "p.yaml:14:22: `findings.maxAge` is `1h`, " MAX_AGE},
    {"  findings: {maxAge: [1h]}\n", "p.yaml:14:22: `findings.maxAge` is a list, " MAX_AGE},
    {"  findings: {maxAge: {}}\n", "p.yaml:14:22: `findings.maxAge` is a map, " MAX_AGE},
    /* keys */
    {"  findings: {}\n  findings: {}\n",
     "p.yaml:15:3: `findings` is here a second time, expected once\n"},
    {"  findings: {severity: Low, severity: High}\n",
     "p.yaml:14:29: `severity` is here a second time, expected once\n"},
    {"  findings: {Severity: Low}\n",
     "p.yaml:14:14: unknown field `Severity`, did you mean `severity`?\n"},
    {"  findings: {enforceon: pods}\n",
     "p.yaml:14:14: unknown field `enforceon`, did you mean `enforceOn`?\n"},
    {"  findings: {unscaned: deny}\n",
     "p.yaml:14:14: unknown field `unscaned`, did you mean `unscanned`?\n"},
    {"  findings: {alow: []}\n", "p.yaml:14:14: unknown field `alow`, did you mean `allow`?\n"},
    {"  findings: {ignoreUnfixed: true}\n", "p.yaml:14:14: unknown field `ignoreUnfixed`, " FIELDS},
    {"  findings: {[x]: y}\n", "p.yaml:14:14: a key of `findings` is a list, expected a name\n"},
    /* allow */
    {"  findings: {allow: CVE-1}\n",
     "p.yaml:14:21: `findings.allow` is a single value, expected a list\n"},
    {"  findings: {allow: {id: CVE-1}}\n",
     "p.yaml:14:21: `findings.allow` is a map, expected a list\n"},
    {"  findings: {allow: [CVE-1]}\n",
     "p.yaml:14:22: an entry of `findings.allow` is a single value, expected a map\n"},
    {"  findings: {allow: [{}]}\n",
     "p.yaml:14:22: an entry of `findings.allow` has no `id`, expected one\n"},
    {"  findings: {allow: [{until: 2027-01-31}]}\n",
     "p.yaml:14:22: an entry of `findings.allow` has no `id`, expected one\n"},
    {"  findings: {allow: [{id: }]}\n",
     "p.yaml:14:22: an entry of `findings.allow` has no `id`, expected one\n"},
    {"  findings: {allow: [{id: ''}]}\n", "p.yaml:14:27: `id` is empty, expected text\n"},
    {"  findings: {allow: [{id: 2027}]}\n",
     "p.yaml:14:27: `id` is 2027, which YAML reads as a number or truth value; expected text: put "
     "it in quotes\n"},
    {"  findings: {allow: [{id: [CVE-1]}]}\n", "p.yaml:14:27: `id` is a list, expected text\n"},
    {"  findings: {allow: [{id: CVE-1, untill: 2027-01-31}]}\n",
     "p.yaml:14:34: unknown field `untill`, did you mean `until`?\n"},
    {"  findings: {allow: [{id: CVE-1, expires: 2027-01-31}]}\n",
     "p.yaml:14:34: unknown field `expires`, expected one of `id`, `until`, `reason`\n"},
    {"  findings: {allow: [{id: CVE-1, reason: ''}]}\n",
     "p.yaml:14:42: `reason` is empty, expected text\n"},
    {"  findings: {allow: [{id: CVE-1, reason: 5}]}\n",
     "p.yaml:14:42: `reason` is 5, which YAML reads as a number or truth value; expected text: put "
     "it in quotes\n"},
    {"  findings: {allow: [{id: CVE-1, until: 2027-02-29}]}\n",
     "p.yaml:14:41: `until` is `2027-02-29`, " UNTIL},
    {"  findings: {allow: [{id: CVE-1, until: 2027-1-31}]}\n",
     "p.yaml:14:41: `until` is `2027-1-31`, " UNTIL},
    {"  findings: {allow: [{id: CVE-1, until: 31.01.2027}]}\n",
     "p.yaml:14:41: `until` is `31.01.2027`, " UNTIL},
    {"  findings: {allow: [{id: CVE-1, until: 2027-01-31T00:00:00Z}]}\n",
     "p.yaml:14:41: `until` is `2027-01-31T00:00:00Z`, " UNTIL},
    {"  findings: {allow: [{id: CVE-1, until: tomorrow}]}\n",
     "p.yaml:14:41: `until` is `tomorrow`, " UNTIL},
    {"  findings: {allow: [{id: CVE-1, until: ''}]}\n", "p.yaml:14:41: `until` is ``, " UNTIL},
    {"  findings: {allow: [{id: CVE-1, until: {}}]}\n", "p.yaml:14:41: `until` is a map, " UNTIL},
    {"  findings: {allow: [{id: CVE-1, until: 10000-01-01}]}\n",
     "p.yaml:14:41: `until` is `10000-01-01`, " UNTIL},
    /* the second of two, wherever others stand */
    {"  findings:\n    allow:\n    - {id: CVE-2}\n    - {id: CVE-1}\n    - {id: CVE-3}\n"
     "    - {id: CVE-1, until: 2027-01-31}\n",
     "p.yaml:19:7: `CVE-1` is in `findings.allow` a second time, expected once\n"},
    {"  findings:\n    allow:\n    - {id: A}\n    - {id: A}\n    - {id: A}\n",
     "p.yaml:17:7: `A` is in `findings.allow` a second time, expected once\n"
     "p.yaml:18:7: `A` is in `findings.allow` a second time, expected once\n"},
    {"  findings: {allow: [{id: A}, {id: A}]}\n",
     "p.yaml:14:31: `A` is in `findings.allow` a second time, expected once\n"},
    /* all of them at once */
    {"  findings:\n    severity: Bad\n    maxAge: never\n    allow: [{}]\n    more: 1\n",
     "p.yaml:15:15: `findings.severity` is `Bad`, " SEVERITIES
     "p.yaml:16:13: `findings.maxAge` is `never`, " MAX_AGE
     "p.yaml:17:13: an entry of `findings.allow` has no `id`, expected one\n"
     "p.yaml:18:5: unknown field `more`, " FIELDS},
};

static void test_wrong(void **state)
{
    (void)state;
    size_t differ = 0;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct arena arena = {0};
        struct policies *policies;
        struct slice findings = findings_of(wrong[i].text, &policies, &arena);
        if (!slice_equal(findings, slice_from(wrong[i].findings))) {
            fprintf(stderr, "\n%sgives\n%.*sexpected\n%s", wrong[i].text, SLICE_ARGS(findings),
                    wrong[i].findings);
            differ++;
        }
        policies_unref(policies);
        arena_done(&arena);
    }
    check_number("table", "differing cases", (long long)differ, 0);
}

/* --- exceptions --- */

static void test_exceptions(void **state)
{
    (void)state;
    static const struct {
        const char *id, *reason;
        long long ends;
        int line;
    } expected[] = {
        /* in the order of their ids */
        {"2027", "", 0, 19},
        {"CVE-2019-10164", "no network path", END_OF_2026_11, 16},
        {"CVE-2019-10164a", "", 0, 20},
        {"CVE-2024-1", "", 951868800, 17},    /* 2000-02-29 is through */
        {"GHSA-x", "a: b", 253402300800, 18}, /* the end of the year 9999 */
    };
    struct arena arena = {0};
    struct policies *policies;
    check_text("exceptions", "the findings",
               findings_of("  findings:\n    allow:\n"
                           "    - {id: CVE-2019-10164, until: 2026-11-30, "
                           "reason: \"no network path\"}\n"
                           "    - {id: CVE-2024-1, until: '2000-02-29'}\n"
                           "    - {reason: 'a: b', until: 9999-12-31, id: GHSA-x}\n"
                           "    - {id: \"2027\", until: , reason: }\n"
                           "    - {id: CVE-2019-10164a}\n",
                           &policies, &arena),
               "");
    const struct gate_rules *rules = &policies_at(policies, 0)->gate;
    check_number("exceptions", "how many", (long long)rules->allow_count, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        const struct cve_exception *got = &rules->allow[i];
        check_text(expected[i].id, "the id", got->id, expected[i].id);
        check_text(expected[i].id, "the reason", got->reason, expected[i].reason);
        check_number(expected[i].id, "the end", got->ends, expected[i].ends);
        check_number(expected[i].id, "the line", got->at.line, expected[i].line);
    }
    policies_unref(policies);
    arena_done(&arena);
}

static void test_limits(void **state)
{
    (void)state;
    static const struct {
        int count;
        const char *findings;
    } counts[] = {
        {POLICY_MAX_EXCEPTIONS, ""},
        {POLICY_MAX_EXCEPTIONS + 1,
         "p.yaml:16:5: `findings.allow` has 10001 entries, expected at most 10000\n"},
    };
    for (size_t i = 0; i < COUNT(counts); i++) {
        struct arena arena = {0};
        struct policies *policies;
        struct buffer text = {0};
        buffer_append_text(&text, "  findings:\n    allow:\n");
        for (int n = 0; n < counts[i].count; n++)
            buffer_append_format(&text, "    - {id: CVE-%d}\n", n * 7919 % 100003);
        buffer_append_char(&text, '\0');
        check_text("a long list", "the findings",
                   findings_of(buffer_slice(&text).base, &policies, &arena), counts[i].findings);
        if (policies) {
            const struct gate_rules *rules = &policies_at(policies, 0)->gate;
            assert_int_equal(rules->allow_count, counts[i].count);
            for (size_t n = 1; n < rules->allow_count; n++)
                assert_true(slice_compare(rules->allow[n - 1].id, rules->allow[n].id) < 0);
        }
        policies_unref(policies);
        buffer_done(&text);
        arena_done(&arena);
    }

    static const struct {
        size_t length;
        const char *findings;
    } ids[] = {
        {SCAN_MAX_TEXT, ""},
        {SCAN_MAX_TEXT + 1, "p.yaml:14:27: `id` has 257 characters, expected at most 256\n"},
    };
    for (size_t i = 0; i < COUNT(ids); i++) {
        struct arena arena = {0};
        struct policies *policies;
        struct slice text = arena_format(&arena, "  findings: {allow: [{id: %.*s}]}\n",
                                         (int)ids[i].length, X100("xyz"));
        check_text("a long id", "the findings", findings_of(text.base, &policies, &arena),
                   ids[i].findings);
        policies_unref(policies);
        arena_done(&arena);
    }
}

/* --- what is warned about --- */

static void test_warnings(void **state)
{
    (void)state;
    static const struct {
        const char *text, *findings;
    } cases[] = {
        {HARBOR POLICY "  findings: {}\n",
         "p.yaml:13:13: warning: `findings` asks Harbor, but Harbor `h` has no `api`: every image "
         "will be `unavailable`\n"},
        {HARBOR POLICY "  findings:\n    unavailable: deny\n",
         "p.yaml:14:5: warning: `findings` asks Harbor, but Harbor `h` has no `api`: every image "
         "will be `unavailable`\n"
         "p.yaml:14:18: warning: `unavailable: deny` refuses every new image while Harbor cannot "
         "be asked, at each of its upgrades too\n"},
        {WITH_API POLICY "  findings: {unavailable: deny}\n",
         "p.yaml:14:27: warning: `unavailable: deny` refuses every new image while Harbor cannot "
         "be asked, at each of its upgrades too\n"},
        {WITH_API POLICY "  mode: audit\n  findings: {unavailable: warn}\n", ""},
        {HARBOR POLICY, ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice findings;
        struct policies *policies = load_text(cases[i].text, NULL, &arena, &findings);
        check_text(cases[i].text, "the findings", findings, cases[i].findings);
        assert_non_null(policies); /* they are only warnings */
        policies_unref(policies);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_wrong),  cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_warnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
