/* Facts read from a file: what each member means, the key of an artifact, and files that are none.
 */
#include "harbor/facts_file.h"

#include "tests/unit/check.h"

static struct facts_file *parse(const char *text)
{
    struct facts_file *file = NULL;
    struct error error = {""};
    struct slice copy = copy_exact(slice_from(text)); /* nothing of it is needed afterwards */
    if (!facts_file_parse(copy, &file, &error))
        CHECK_FAIL("%s: %s", text, error.text);
    free((char *)copy.base);
    return file;
}

static void test_artifacts(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        struct artifact_fact fact;
    } cases[] = {
        {"", {.present = TRUTH_NO, .servable = TRUTH_NO}},
        {"\"present\": true", {.present = TRUTH_YES, .servable = TRUTH_YES}},
        {"\"present\": false", {.present = TRUTH_NO, .servable = TRUTH_NO}},
        {"\"servable\": true", {.present = TRUTH_NO, .servable = TRUTH_YES}},
        {"\"servable\": false, \"present\": true", {.present = TRUTH_YES, .servable = TRUTH_NO}},
        {"\"public\": false", {.present = TRUTH_NO, .servable = TRUTH_NO, .public_ = TRUTH_NO}},
        {"\"public\": true", {.present = TRUTH_NO, .servable = TRUTH_NO, .public_ = TRUTH_YES}},
        {"\"authorized\": false",
         {.present = TRUTH_NO, .servable = TRUTH_NO, .unauthorized = true}},
        {"\"authorized\": true", {.present = TRUTH_NO, .servable = TRUTH_NO}},
        {"\"inProxyFilter\": false",
         {.present = TRUTH_NO, .servable = TRUTH_NO, .outside_filter = true}},
        {"\"inProxyFilter\": true", {.present = TRUTH_NO, .servable = TRUTH_NO}},
        {"\"pullGate\": \"refused\"",
         {.present = TRUTH_NO, .servable = TRUTH_NO, .refused_by_pull_gate = true}},
        {"\"pullGate\": \"passed\"", {.present = TRUTH_NO, .servable = TRUTH_NO}},
        {"\"digest\": \"sha256:ab\", \"scannable\": false, \"scan\": {\"findings\": []}, \"x\": "
         "[1]",
         {.present = TRUTH_NO, .servable = TRUTH_NO}},
    };
    const struct artifact_key key = {SLICE("p"), SLICE("a/b"), SLICE("1")};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct artifact_fact fact;
        struct slice text =
            arena_format(&arena, "{\"harbors\": {\"h\": {\"artifacts\": {\"p/a/b:1\": {%s}}}}}",
                         cases[i].members);
        struct facts_file *file = parse(text.base);
        const char *name = cases[i].members;
        assert_true(facts_file_artifact(file, SLICE("h"), &key, &fact));
        check_number(name, "present", fact.present, cases[i].fact.present);
        check_number(name, "servable", fact.servable, cases[i].fact.servable);
        enum truth public_ = cases[i].fact.public_; /* a file that does not say so means: public */
        check_number(name, "public", fact.public_, public_ ? public_ : TRUTH_YES);
        check_number(name, "unauthorized", fact.unauthorized, cases[i].fact.unauthorized);
        check_number(name, "outside the filter", fact.outside_filter, cases[i].fact.outside_filter);
        check_number(name, "refused", fact.refused_by_pull_gate,
                     cases[i].fact.refused_by_pull_gate);
        facts_file_free(file);
        arena_done(&arena);
    }
}

static void test_keys(void **state)
{
    (void)state;
    struct facts_file *file = parse(
        "{\"harbors\": {\"h\": {\"artifacts\": {\"p/a/b:1\": {}, \"p\\u002fc@sha256:00\": {}}},"
        " \"other\": {\"artifacts\": {\"p/d:1\": {}}}}}");
    static const struct {
        const char *harbor, *repository, *reference;
        bool known;
    } cases[] = {
        {"h", "a/b", "1", true},       {"h", "a/b", "2", false},       {"h", "b", "1", false},
        {"h", "c", "sha256:00", true}, {"h", "c", "sha256:01", false}, {"h", "d", "1", false},
        {"other", "d", "1", true},     {"none", "a/b", "1", false},    {"", "a/b", "1", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct artifact_fact fact;
        const struct artifact_key key = {SLICE("p"), slice_from(cases[i].repository),
                                         slice_from(cases[i].reference)};
        if (facts_file_artifact(file, slice_from(cases[i].harbor), &key, &fact) != cases[i].known)
            CHECK_FAIL("%s %s %s", cases[i].harbor, cases[i].repository, cases[i].reference);
    }
    facts_file_free(file);
}

static void test_health(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        enum harbor_health health;
    } cases[] = {
        {"", HEALTH_UP},
        {"\"healthy\": true", HEALTH_UP},
        {"\"healthy\": false", HEALTH_DOWN},
        {"\"authorized\": false", HEALTH_UNAUTHORIZED},
        {"\"authorized\": true", HEALTH_UP},
        /* in whatever order they stand */
        {"\"authorized\": false, \"healthy\": true", HEALTH_UNAUTHORIZED},
        {"\"healthy\": true, \"authorized\": false", HEALTH_UNAUTHORIZED},
        {"\"authorized\": false, \"healthy\": false", HEALTH_DOWN},
        {"\"healthy\": false, \"authorized\": false", HEALTH_DOWN},
        {"\"unknown\": [1, {}]", HEALTH_UP},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct facts_file *file =
            parse(arena_format(&arena, "{\"harbors\": {\"h\": {%s}}}", cases[i].members).base);
        check_number(cases[i].members, "health", facts_file_health(file, SLICE("h")),
                     cases[i].health);
        assert_int_equal(facts_file_health(file, SLICE("other")), HEALTH_UNKNOWN);
        facts_file_free(file);
        arena_done(&arena);
    }
}

/* A Harbor that stands there twice, as JSON allows: nothing is lost, nothing leaks. */
static void test_twice(void **state)
{
    (void)state;
    struct artifact_fact fact;
    struct facts_file *file =
        parse("{\"harbors\": {\"h\": {\"artifacts\": {\"p/a:1\": {\"present\": true}}},"
              " \"h\": {\"artifacts\": {\"p/b:1\": {}, \"p/b:1\": {\"present\": true}}}}}");
    const struct artifact_key a = {SLICE("p"), SLICE("a"), SLICE("1")};
    const struct artifact_key b = {SLICE("p"), SLICE("b"), SLICE("1")};
    assert_true(facts_file_artifact(file, SLICE("h"), &a, &fact));
    assert_true(facts_file_artifact(file, SLICE("h"), &b, &fact));
    assert_int_equal(fact.present, TRUTH_YES);
    facts_file_free(file);
    facts_file_free(NULL);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "not JSON: at byte 0, expected a value"},
        {"[]", "the facts at byte 0, expected an object"},
        {"{}", "`harbors` is missing, expected what `plan --live --record` writes"},
        {"{\"harbors\": []}", "`harbors` at byte 12, expected an object"},
        {"{\"harbors\": {\"h\": []}}", "a Harbor at byte 18, expected an object"},
        {"{\"harbors\": {\"h\": {\"healthy\": 1}}}",
         "`healthy` at byte 30, expected true or false"},
        {"{\"harbors\": {\"h\": {\"artifacts\": {\"a\": 1}}}}",
         "an artifact at byte 38, expected an object"},
        {"{\"harbors\": {\"h\": {\"artifacts\": {\"a\": {\"present\": null}}}}}",
         "`present` at byte 50, expected true or false"},
        {"{\"harbors\": {\"h\": {\"artifacts\": {\"a\": {\"pullGate\": true}}}}}",
         "`pullGate` at byte 51, expected \"refused\" or \"passed\""},
        /* the first counts */
        {"{\"harbors\": {\"h\": {\"healthy\": 1, \"artifacts\": 2}}}",
         "`healthy` at byte 30, expected true or false"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct facts_file *file = NULL;
        struct error error = {""};
        struct slice text = copy_exact(slice_from(cases[i].text));
        assert_false(facts_file_parse(text, &file, &error));
        assert_null(file);
        check_text(cases[i].text, "the error", slice_from(error.text), cases[i].error);
        free((char *)text.base);
    }
    static const char *const cut = "{\"harbors\": {\"h\": {\"healthy\": true, \"artifacts\": "
                                   "{\"p/a:1\": {\"pullGate\": \"refused\", \"x\": [1]}}}}}";
    for (size_t len = 0; len < strlen(cut); len++) { /* half written: never half believed */
        struct facts_file *file = NULL;
        struct error error = {""};
        struct slice text = copy_exact(slice_of(cut, len));
        assert_false(facts_file_parse(text, &file, &error));
        assert_true(strncmp(error.text, "not JSON", 8) == 0);
        free((char *)text.base);
    }
}

/* --- scans --- */

#define FINISHED 1795140669LL /* 2026-11-20T02:11:09Z */
#define SCAN_OF(members)                                                                           \
    "{\"harbors\": {\"h\": {\"artifacts\": {\"p/a/b:1\": {\"present\": true, " members "}}}}}"

static const struct artifact_key a_key = {{"p", 1}, {"a/b", 3}, {"1", 1}};

static void test_scans(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        enum scan_status status;
        bool partial;
        long long finished;
        size_t findings;
        const char *digest;
    } cases[] = {
        {"\"x\": 1", SCAN_NONE, false, 0, 0, ""},
        {"\"scan\": {}", SCAN_DONE, false, 0, 0, ""},
        {"\"scan\": {\"status\": \"Success\"}", SCAN_DONE, false, 0, 0, ""},
        {"\"scan\": {\"status\": \"Error\"}", SCAN_FAILED, false, 0, 0, ""},
        {"\"scan\": {\"status\": \"Stopped\"}", SCAN_FAILED, false, 0, 0, ""},
        {"\"scan\": {\"status\": \"Pending\"}", SCAN_RUNNING, false, 0, 0, ""},
        {"\"scan\": {\"status\": \"Scheduled\"}", SCAN_RUNNING, false, 0, 0, ""},
        {"\"scan\": {\"status\": \"Running\"}", SCAN_RUNNING, false, 0, 0, ""},
        {"\"scan\": {\"finished\": \"2026-11-20T02:11:09Z\"}", SCAN_DONE, false, FINISHED, 0, ""},
        {"\"scan\": {\"finished\": \"2026-11-20T03:11:09.5+01:00\"}", SCAN_DONE, false, FINISHED, 0,
         ""},
        {"\"scan\": {\"partial\": true}", SCAN_DONE, true, 0, 0, ""},
        {"\"scan\": {\"partial\": false}", SCAN_DONE, false, 0, 0, ""},
        {"\"scan\": {\"findings\": []}", SCAN_DONE, false, 0, 0, ""},
        {"\"scan\": {\"findings\": [{\"id\": \"C\", \"severity\": \"High\"}], \"status\": "
         "\"Running\"}",
         SCAN_RUNNING, false, 0, 1, ""}, /* an index: another platform was scanned */
        {"\"scan\": {\"unknown\": [{}]}", SCAN_DONE, false, 0, 0, ""},
        {"\"scan\": {\"status\": \"None\"}", SCAN_NONE, false, 0, 0, ""},
        {"\"scan\": {\"status\": \"Unknown\"}", SCAN_UNKNOWN, false, 0, 0, ""},
        {"\"scannable\": false", SCAN_NOT_SCANNABLE, false, 0, 0, ""},
        {"\"scannable\": true", SCAN_NONE, false, 0, 0, ""},
        {"\"scannable\": false, \"scan\": {\"status\": \"Success\"}", SCAN_NOT_SCANNABLE, false, 0,
         0, ""},
        {"\"scan\": {\"status\": \"Success\"}, \"scannable\": false", SCAN_NOT_SCANNABLE, false, 0,
         0, ""},
        {"\"digest\": \"sha256:ab\"", SCAN_NONE, false, 0, 0, "sha256:ab"},
        {"\"digest\": \"sha256:ab\", \"digest\": \"sha256:\\u0063\"", SCAN_NONE, false, 0, 0,
         "sha256:c"},
        /* of a key that stands twice the last counts, as a whole */
        {"\"scan\": {\"status\": \"Error\", \"partial\": true, \"finished\": "
         "\"2026-11-20T02:11:09Z\", \"findings\": [{\"id\": \"C\", \"severity\": \"High\"}]}, "
         "\"scan\": {}",
         SCAN_DONE, false, 0, 0, ""},
        {"\"scan\": {\"findings\": [{\"id\": \"A\", \"severity\": \"Low\"}, {\"id\": \"B\", "
         "\"severity\": \"Low\"}], \"findings\": [{\"id\": \"C\", \"severity\": \"High\"}]}",
         SCAN_DONE, false, 0, 1, ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct artifact_fact fact;
        const char *name = cases[i].members;
        struct facts_file *file = parse(arena_format(&arena, SCAN_OF("%s"), cases[i].members).base);
        assert_true(facts_file_artifact(file, SLICE("h"), &a_key, &fact));
        check_number(name, "status", fact.scan.status, cases[i].status);
        check_number(name, "partial", fact.scan.partial, cases[i].partial);
        check_number(name, "finished", fact.scan.finished, cases[i].finished);
        check_number(name, "findings", (long long)fact.scan.finding_count,
                     (long long)cases[i].findings);
        check_text(name, "digest", fact.digest, cases[i].digest);
        check_number(name, "an allowlist", fact.has_allowlist, TRUTH_NO);
        if (fact.scan.status != SCAN_NONE && fact.scan.status != SCAN_NOT_SCANNABLE &&
            fact.scan.status != SCAN_UNKNOWN) {
            check_number(name, "listed", fact.scan.listed, true); /* a file holds all there is */
            check_number(name, "listed from", fact.scan.listed_from, SEVERITY_NONE);
        }
        facts_file_free(file);
        arena_done(&arena);
    }
}

static void test_findings(void **state)
{
    (void)state;
    static const struct {
        const char *id, *package, *fix;
        enum severity severity;
        bool allowlisted;
    } expected[] = {
        /* worst first; of one severity first those with a fix, then by id */
        {"CVE-4", "openssl", "3.0.22", SEVERITY_CRITICAL, false},
        {"CVE-1", "b", "", SEVERITY_CRITICAL, true},
        {"CVE-2", "", "", SEVERITY_HIGH, false},
        {"CVE-2", "zlib", "", SEVERITY_HIGH, false},
        {"CVE-5\n\"", "", "", SEVERITY_MEDIUM, false},
        {"CVE-6", "", "", SEVERITY_LOW, false},
        {"CVE-7", "", "", SEVERITY_UNKNOWN, false},
        {"CVE-8", "", "", SEVERITY_NONE, false},
    };
    struct artifact_fact fact;
    struct facts_file *file = parse(SCAN_OF(
        "\"scan\": {\"findings\": ["
        "{\"id\": \"CVE-8\", \"severity\": \"Negligible\"},"
        "{\"id\": \"CVE-7\", \"severity\": \"unknown\", \"cvss\": {\"v3\": [9.8]}},"
        "{\"id\": \"CVE-6\", \"severity\": \"LOW\", \"allowlisted\": false},"
        "{\"severity\": \"medium\", \"id\": \"CVE-5\\n\\\"\"},"
        "{\"id\": \"CVE-2\", \"severity\": \"High\", \"package\": \"zlib\", \"fix\": \"\"},"
        "{\"id\": \"CVE-2\", \"severity\": \"High\"},"
        "{\"id\": \"CVE-1\", \"severity\": \"Critical\", \"package\": \"b\", \"allowlisted\": "
        "true},"
        /* the same twice is one; it is accepted only where both are */
        "{\"id\": \"CVE-4\", \"severity\": \"Critical\", \"package\": \"openssl\", "
        "\"allowlisted\": true},"
        "{\"id\": \"CVE-4\", \"severity\": \"Critical\", \"package\": \"openssl\", \"fix\": "
        "\"3.0.22\"}]}"));
    assert_true(facts_file_artifact(file, SLICE("h"), &a_key, &fact));
    check_number("findings", "how many", (long long)fact.scan.finding_count, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        const struct finding *got = &fact.scan.findings[i];
        check_text(expected[i].id, "the id", got->id, expected[i].id);
        check_text(expected[i].id, "the package", got->package, expected[i].package);
        check_text(expected[i].id, "the fix", got->fix, expected[i].fix);
        check_number(expected[i].id, "the severity", got->severity, expected[i].severity);
        check_number(expected[i].id, "allowlisted", got->allowlisted, expected[i].allowlisted);
    }
    static const unsigned counts[SEVERITY_COUNT] = {1, 1, 1, 1, 2, 2};
    for (int i = 0; i < SEVERITY_COUNT; i++)
        check_number(severity_name((enum severity)i), "the count", fact.scan.counts[i], counts[i]);
    facts_file_free(file);
}

/* Where the list cannot be read: numbers by severity, and no findings. */
static void test_counts(void **state)
{
    (void)state;
    static const struct {
        const char *scan;
        unsigned counts[SEVERITY_COUNT];
        bool listed;
    } cases[] = {
        {"\"counts\": {}", {0}, false},
        {"\"counts\": {\"Critical\": 2, \"high\": 7}",
         {[SEVERITY_CRITICAL] = 2, [SEVERITY_HIGH] = 7},
         false},
        {"\"counts\": {\"None\": 1, \"Unknown\": 2, \"Low\": 3, \"Medium\": 4, \"High\": 5, "
         "\"Critical\": 6}",
         {1, 2, 3, 4, 5, 6},
         false},
        {"\"counts\": {\"Critical\": 99999999999}", {[SEVERITY_CRITICAL] = SCAN_MAX_COUNT}, false},
        {"\"findings\": [{\"id\": \"C\", \"severity\": \"High\"}]", {[SEVERITY_HIGH] = 1}, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct artifact_fact fact;
        struct facts_file *file =
            parse(arena_format(&arena, SCAN_OF("\"scan\": {%s}"), cases[i].scan).base);
        assert_true(facts_file_artifact(file, SLICE("h"), &a_key, &fact));
        check_number(cases[i].scan, "listed", fact.scan.listed, cases[i].listed);
        for (int severity = 0; severity < SEVERITY_COUNT; severity++)
            check_number(cases[i].scan, severity_name((enum severity)severity),
                         fact.scan.counts[severity], cases[i].counts[severity]);
        facts_file_free(file);
        arena_done(&arena);
    }
}

/* What nobody knew when it was recorded. */
static void test_unknown(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        enum truth public_, has_allowlist;
    } cases[] = {
        {"\"digest\": \"\"", TRUTH_YES, TRUTH_NO},
        {"\"public\": null", TRUTH_UNKNOWN, TRUTH_NO},
        {"\"allowlist\": \"unknown\"", TRUTH_YES, TRUTH_UNKNOWN},
        {"\"allowlist\": \"unknown\", \"public\": false", TRUTH_NO, TRUTH_UNKNOWN},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct artifact_fact fact;
        struct facts_file *file = parse(arena_format(&arena, SCAN_OF("%s"), cases[i].members).base);
        assert_true(facts_file_artifact(file, SLICE("h"), &a_key, &fact));
        check_number(cases[i].members, "public", fact.public_, cases[i].public_);
        check_number(cases[i].members, "an allowlist", fact.has_allowlist, cases[i].has_allowlist);
        facts_file_free(file);
        arena_done(&arena);
    }
}

static void test_recorded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        long long recorded;
    } cases[] = {
        {"{\"harbors\": {}}", 0},
        {"{\"recorded\": \"2026-11-20T02:11:09Z\", \"harbors\": {}}", FINISHED},
        {"{\"harbors\": {}, \"recorded\": \"2026-11-20T02:11:09Z\"}", FINISHED},
        {"{\"harbors\": {}, \"x\": {\"recorded\": 5}}", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct facts_file *file = parse(cases[i].text);
        check_number(cases[i].text, "recorded", facts_file_recorded(file), cases[i].recorded);
        facts_file_free(file);
    }
}

static void test_registries(void **state)
{
    (void)state;
    size_t count = 9;
    struct facts_file *file =
        parse("{\"harbors\": {\"h\": {\"registries\": {\"docker.io\": \"hub\", \"quay.io:443\": "
              "\"q\\u0075ay\"}, \"artifacts\": {}}, \"none\": {}}}");
    const struct facts_registry *found = facts_file_registries(file, SLICE("h"), &count);
    assert_int_equal(count, 2);
    assert_non_null(found);
    check_text("the first", "domain", found[0].domain, "docker.io");
    check_text("the first", "project", found[0].project, "hub");
    check_text("the second", "domain", found[1].domain, "quay.io:443");
    check_text("the second", "project", found[1].project, "quay");
    facts_file_registries(file, SLICE("none"), &count);
    assert_int_equal(count, 0);
    count = 9;
    facts_file_registries(file, SLICE("other"), &count);
    assert_int_equal(count, 0);
    facts_file_free(file);
}

/* What is wrong inside an artifact: the text of each, but for its place, which is a number. */
static void test_errors_in_artifacts(void **state)
{
    (void)state;
#define STATUSES                                                                                   \
    "expected \"Success\", \"Error\", \"Stopped\", \"Pending\", \"Scheduled\", \"Running\", or "   \
    "\"None\" or \"Unknown\""
#define NUMBERS "expected numbers by severity, such as {\"Critical\": 2}"
#define ONLY_UNKNOWN                                                                               \
    "expected \"unknown\", or nothing: each finding says whether it is `allowlisted`"
#define TIME       "expected a time such as \"2026-11-20T02:11:09Z\""
#define TRUE_FALSE "expected true or false"
    static const struct {
        const char *members, *what, *expected;
    } cases[] = {
        {"\"servable\": 1", "`servable`", TRUE_FALSE},
        {"\"public\": \"yes\"", "`public`", TRUE_FALSE},
        {"\"authorized\": null", "`authorized`", TRUE_FALSE},
        {"\"inProxyFilter\": {}", "`inProxyFilter`", TRUE_FALSE},
        {"\"scannable\": 0", "`scannable`", TRUE_FALSE},
        {"\"digest\": 5", "`digest`", "expected text"},
        {"\"digest\": null", "`digest`", "expected text"},
        {"\"pullGate\": \"Refused\"", "`pullGate`", "expected \"refused\" or \"passed\""},
        {"\"pullGate\": {}", "`pullGate`", "expected \"refused\" or \"passed\""},
        {"\"scan\": []", "`scan`", "expected an object"},
        {"\"scan\": null", "`scan`", "expected an object"},
        {"\"scan\": \"Success\"", "`scan`", "expected an object"},
        {"\"scan\": {\"status\": 5}", "`status`", "expected text"},
        {"\"scan\": {\"status\": \"success\"}", "`status` of a scan", STATUSES},
        {"\"scan\": {\"status\": \"Done\"}", "`status` of a scan", STATUSES},
        {"\"scan\": {\"finished\": 5}", "`finished`", "expected text"},
        {"\"scan\": {\"finished\": \"yesterday\"}", "`finished`", TIME},
        {"\"scan\": {\"finished\": \"2026-11-20\"}", "`finished`", TIME},
        {"\"scan\": {\"finished\": \"2026-11-20 02:11:09Z\"}", "`finished`", TIME},
        {"\"scan\": {\"partial\": \"x\"}", "`partial`", TRUE_FALSE},
        {"\"scan\": {\"findings\": {}}", "`findings`", "expected a list"},
        {"\"scan\": {\"findings\": null}", "`findings`", "expected a list"},
        {"\"scan\": {\"findings\": [5]}", "a finding", "expected an object"},
        {"\"scan\": {\"findings\": [null]}", "a finding", "expected an object"},
        {"\"scan\": {\"findings\": [{}]}", "a finding without `id`",
         "expected one such as \"CVE-2026-1\""},
        {"\"scan\": {\"findings\": [{\"severity\": \"High\"}]}", "a finding without `id`",
         "expected one such as \"CVE-2026-1\""},
        {"\"scan\": {\"findings\": [{\"id\": \"\", \"severity\": \"High\"}]}",
         "a finding without `id`", "expected one such as \"CVE-2026-1\""},
        {"\"scan\": {\"findings\": [{\"id\": 5, \"severity\": \"High\"}]}", "`id`",
         "expected text"},
        {"\"scan\": {\"findings\": [{\"id\": \"C\"}]}", "a finding's `severity`",
         "expected \"Low\", \"Medium\", \"High\" or \"Critical\""},
        {"\"scan\": {\"findings\": [{\"id\": \"C\", \"severity\": \"\"}]}",
         "a finding's `severity`", "expected \"Low\", \"Medium\", \"High\" or \"Critical\""},
        {"\"scan\": {\"findings\": [{\"id\": \"C\", \"severity\": \"Bad\"}]}",
         "a finding's `severity`", "expected \"Low\", \"Medium\", \"High\" or \"Critical\""},
        {"\"scan\": {\"findings\": [{\"id\": \"C\", \"severity\": 7}]}", "`severity`",
         "expected text"},
        {"\"scan\": {\"findings\": [{\"id\": \"C\", \"severity\": \"High\", \"package\": 1}]}",
         "`package`", "expected text"},
        {"\"scan\": {\"findings\": [{\"id\": \"C\", \"severity\": \"High\", \"fix\": null}]}",
         "`fix`", "expected text"},
        {"\"scan\": {\"findings\": [{\"id\": \"C\", \"severity\": \"High\", \"allowlisted\": 1}]}",
         "`allowlisted`", TRUE_FALSE},
        {"\"scan\": {\"status\": \"\"}", "`status` of a scan", STATUSES},
        {"\"scan\": {\"finished\": \"\"}", "`finished`", TIME},
        {"\"scan\": {\"counts\": []}", "`counts`", "expected an object"},
        {"\"scan\": {\"counts\": {\"Bad\": 1}}", "`counts`", NUMBERS},
        {"\"scan\": {\"counts\": {\"High\": \"1\"}}", "`counts`", NUMBERS},
        {"\"scan\": {\"counts\": {\"High\": null}}", "`counts`", NUMBERS},
        {"\"allowlist\": \"none\"", "`allowlist`", ONLY_UNKNOWN},
        {"\"allowlist\": \"\"", "`allowlist`", ONLY_UNKNOWN},
        {"\"allowlist\": []", "`allowlist`", "expected text"},
        /* the first counts */
        {"\"digest\": 5, \"scan\": []", "`digest`", "expected text"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct facts_file *file = NULL;
        struct error error = {""};
        int from = 0, to = 0;
        unsigned long place = 0;
        struct slice text = copy_exact(arena_format(&arena, SCAN_OF("%s"), cases[i].members));
        const char *name = cases[i].members;
        if (facts_file_parse(text, &file, &error))
            CHECK_FAIL("%s: was taken", name);
        assert_null(file);
        struct slice begin = arena_format(&arena, "%s at byte ", cases[i].what);
        if (!slice_starts_with(slice_from(error.text), begin) ||
            sscanf(error.text + begin.len, "%n%lu%n", &from, &place, &to) != 1)
            CHECK_FAIL("%s: %s\nexpected %s", name, error.text, begin.base);
        check_text(name, "what was expected", slice_from(error.text + begin.len + to),
                   arena_format(&arena, ", %s", cases[i].expected).base);
        /* somewhere in the artifact */
        assert_true(place > strlen("{\"harbors\": {\"h\": {\"artifacts\": {\"p/a/b:1\": {") &&
                    place < text.len);
        free((char *)text.base);
        arena_done(&arena);
    }
}

static void test_errors_of_the_whole(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"null", "the facts at byte 0, expected an object"},
        {"\"x\"", "the facts at byte 0, expected an object"},
        {"{} x", "not JSON: at byte 3, expected the end of the text"},
        {"{\"harbors\": null}", "`harbors` at byte 12, expected an object"},
        {"{\"recorded\": 5, \"harbors\": {}}", "`recorded` at byte 13, expected text"},
        {"{\"recorded\": \"now\", \"harbors\": {}}",
         "`recorded` at byte 18, expected a time such as \"2026-11-20T02:11:09Z\""},
        {"{\"recorded\": \"\", \"harbors\": {}}",
         "`recorded` at byte 15, expected a time such as \"2026-11-20T02:11:09Z\""},
        {"{\"recorded\": \"2026-11-20T02:11:09Z\"}",
         "`harbors` is missing, expected what `plan --live --record` writes"},
        {"{\"harbors\": {\"h\": {\"authorized\": \"no\"}}}",
         "`authorized` at byte 33, expected true or false"},
        {"{\"harbors\": {\"h\": {\"artifacts\": []}}}",
         "`artifacts` at byte 32, expected an object"},
        {"{\"harbors\": {\"h\": {\"registries\": []}}}",
         "`registries` at byte 33, expected an object"},
        {"{\"harbors\": {\"h\": {\"registries\": {\"docker.io\": 5}}}}",
         "a project of `registries` at byte 47, expected text"},
        {"{\"harbors\": {\"h\": {\"artifacts\": {\"a\": null}}}}",
         "an artifact at byte 38, expected an object"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct facts_file *file = NULL;
        struct error error = {""};
        struct slice text = copy_exact(slice_from(cases[i].text));
        if (facts_file_parse(text, &file, &error))
            CHECK_FAIL("%s: was taken", cases[i].text);
        check_text(cases[i].text, "the error", slice_from(error.text), cases[i].error);
        free((char *)text.base);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_artifacts),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_scans),
        cmocka_unit_test(test_findings),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_registries),
        cmocka_unit_test(test_errors_in_artifacts),
        cmocka_unit_test(test_errors_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
