/* Log lines: one line whatever is in them, in both formats, and the line of a review. */
#include "webhook/common/log.h"

#include "tests/unit/webhook/capture.h"
#include "webhook/serve/review_log.h"
#include "json/scanner.h"

/* Checks the time at the beginning and gives what follows. */
static struct slice after_time(struct slice line, const char *before)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    struct slice prefix = slice_from(before);
    assert_true(slice_starts_with(line, prefix));
    line = slice_from_index(line, prefix.len);
    assert_true(line.len > sizeof(shape) - 1);
    for (size_t i = 0; i < sizeof(shape) - 1; i++)
        if (shape[i] == 'd' ? line.base[i] < '0' || line.base[i] > '9' : line.base[i] != shape[i])
            CHECK_FAIL("no RFC 3339 time: %.*s", SLICE_ARGS(line));
    return slice_from_index(line, sizeof(shape) - 1);
}

static void test_escapes(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct capture capture;
    struct log_line line;
    capture_begin(&capture, STDERR_FILENO);
    log_begin(&line, LOG_WARNING, EVENT_HTTP, "a \"message\"\nof two lines");
    json_member(&line.w, "text", slice_of("\0\x1b[31m\xff\xe2\x80\xa8", 10));
    log_end(&line);
    log_message(LOG_ERROR, EVENT_ENDED, "%s and %d\n", "x\ty", 7);
    struct slice text = capture_end(&capture, &arena);
    struct slice first = slice_head(text, slice_find(text, '\n') + 1);
    check_text(
        "log", "the first line", after_time(first, "{\"time\":\""),
        "\",\"level\":\"warning\",\"msg\":\"a \\\"message\\\"\\nof two lines\",\"event\":\"http\","
        "\"text\":\"\\u0000\\u001b[31m\xef\xbf\xbd\\u2028\"}\n");
    check_text("log", "the second line",
               after_time(slice_from_index(text, first.len), "{\"time\":\""),
               "\",\"level\":\"error\",\"msg\":\"x\\ty and 7\\n\",\"event\":\"ended\"}\n");
    arena_done(&arena);
}

static void test_thread_and_text_format(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct capture capture;
    capture_begin(&capture, STDERR_FILENO);
    log_start(LOG_FORMAT_TEXT);
    struct log_line line;
    log_begin(&line, LOG_INFO, EVENT_HTTP, "hello");
    json_member_number(&line.w, "n", 1);
    log_end(&line);
    log_stop();
    log_stop();
    struct slice text = capture_end(&capture, &arena);
    check_text("log", "the line", after_time(text, ""),
               " info    hello  {\"event\":\"http\",\"n\":1}\n");

    capture_begin(&capture, STDERR_FILENO);
    log_start(LOG_FORMAT_JSON);
    for (int i = 0; i < 1000; i++)
        log_message(LOG_INFO, EVENT_ENDED, "%d", i);
    log_stop(); /* writes what is pending */
    text = capture_end(&capture, &arena);
    for (int i = 0; i < 1000; i++) {
        size_t end = slice_find(text, '\n');
        struct slice expected =
            arena_format(&arena, "\",\"level\":\"info\",\"msg\":\"%d\",\"event\":\"ended\"}", i);
        check_slice("log", "a line", after_time(slice_head(text, end), "{\"time\":\""), expected);
        text = slice_from_index(text, end + 1);
    }
    assert_int_equal(text.len, 0);
    arena_done(&arena);
}

/* --- the line of a review --- */

static const char set_text[] = "apiVersion: harbor-pilot.io/v1alpha1\n"
                               "kind: Harbor\n"
                               "metadata: {name: h}\n"
                               "spec: {host: h.io, registries: {docker.io: hub}}\n"
                               "---\n"
                               "apiVersion: harbor-pilot.io/v1alpha1\n"
                               "kind: Policy\n"
                               "metadata: {name: p}\n"
                               "spec: {namespaces: [monitoring]}\n";

static const char body_format[] =
    "{\"apiVersion\":\"admission.k8s.io/"
    "v1\",\"kind\":\"AdmissionReview\",\"request\":{\"uid\":\"%s\","
    "\"kind\":{\"kind\":\"Pod\"},\"namespace\":\"%s\",\"operation\":\"CREATE\",\"object\":{"
    "\"metadata\":"
    "{\"generateName\":\"g-\",\"labels\":{\"pod-template-hash\":\"h\"},\"ownerReferences\":[{"
    "\"apiVersion\":\"apps/"
    "v1\",\"kind\":\"ReplicaSet\",\"name\":\"grafana-h\",\"controller\":true}]},"
    "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"%s\"}]}}}}";

static struct slice logged(const struct policies *policies, enum mode mode, const char *uid,
                           const char *namespace_, const char *image, struct arena *arena)
{
    struct capture capture;
    struct buffer out = {0};
    struct admission admission;
    struct slice body = arena_format(arena, body_format, uid, namespace_, image);
    assert_true(admit(
        &(struct admit_request){
            .policies = policies, .webhook = ADMIT_MUTATE, .mode = mode, .body = body},
        arena, &out, &admission, NULL));
    capture_begin(&capture, STDERR_FILENO);
    review_log(&admission, 0.0000125, arena);
    buffer_done(&out);
    return capture_end(&capture, arena);
}

static void test_review_line(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct policies *policies = load_right(set_text);
    struct slice line = logged(policies, MODE_ENFORCE, "u1", "monitoring", "x:1", &arena);
    check_text(
        "enforce", "the line", after_time(line, "{\"time\":\""),
        "\",\"level\":\"info\",\"msg\":\"images rewritten\",\"event\":\"review\",\"uid\":\"u1\","
        "\"webhook\":\"mutate\",\"namespace\":\"monitoring\",\"pod\":\"g-\",\"owner\":"
        "\"apps/ReplicaSet/grafana-h\",\"mode\":\"enforce\",\"applied\":true,\"images\":[{"
        "\"field\":\"/spec/containers/0/image\",\"container\":\"c\",\"image\":\"x:1\","
        "\"result\":\"h.io/hub/library/x:1\",\"rewrite\":{\"outcome\":\"rewrite\",\"reason\":"
        "\"rewritten\"},\"policy\":\"p\",\"source\":\"p.yaml:6\",\"bucket\":74}],"
        "\"durationSeconds\":1.25e-05}\n");
    line = logged(policies, MODE_AUDIT, "u2", "monitoring", "x:1", &arena);
    const char *text = arena_copy(&arena, line).base;
    assert_non_null(strstr(text, "\"msg\":\"audit: images would be rewritten\""));
    assert_non_null(strstr(text, "\"mode\":\"audit\",\"applied\":false"));
    /* the same once more is counted, another image is not */
    check_text("repeated", "the line",
               logged(policies, MODE_ENFORCE, "u3", "monitoring", "x:1", &arena), "");
    assert_true(logged(policies, MODE_ENFORCE, "u4", "monitoring", "x:2", &arena).len > 0);
    /* nothing to say */
    check_text("kept", "the line",
               logged(policies, MODE_ENFORCE, "u5", "monitoring", "ghcr.io/x", &arena), "");
    check_text("no policy", "the line",
               logged(policies, MODE_ENFORCE, "u6", "elsewhere", "x:1", &arena), "");
    policies_unref(policies);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_review_line), /* before the format is chosen: as JSON, at once */
        cmocka_unit_test(test_thread_and_text_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
