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
         {.present = TRUTH_NO, .servable = TRUTH_NO, .refused_by_gate = true}},
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
        check_number(name, "refused", fact.refused_by_gate, cases[i].fact.refused_by_gate);
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
        {"", "no JSON: at byte 0, expected a value"},
        {"[]", "the facts at byte 0, expected an object"},
        {"{}", "there is no `harbors`, expected what `plan --live --record` writes"},
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
        assert_true(strncmp(error.text, "no JSON", 7) == 0);
        free((char *)text.base);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_artifacts), cmocka_unit_test(test_keys),
        cmocka_unit_test(test_health),    cmocka_unit_test(test_twice),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
