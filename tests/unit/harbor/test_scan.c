/* What Harbor says of scans, by what a real one was recorded to say (tests/data/harbor), and by
 * what it never would. */
#include "tests/unit/harbor/recordings.h"

#include "base/rfc3339.h"

/* Counts in the order of `enum severity`, as text: "0 1 0 0 0 2". */
static struct slice counts_text(const struct scan *scan, struct arena *arena)
{
    const unsigned *c = scan->counts;
    return arena_format(arena, "%u %u %u %u %u %u", c[0], c[1], c[2], c[3], c[4], c[5]);
}

static struct slice time_text(long long seconds, struct arena *arena)
{
    char text[RFC3339_SIZE] = "";
    if (seconds != 0)
        rfc3339_format(seconds, text);
    return arena_copy(arena, slice_from(text));
}

/* "ID PACKAGE FIX SEVERITY\n" of all that are listed. */
static struct slice findings_text(const struct scan *scan, struct arena *arena)
{
    struct buffer text = {0};
    for (size_t i = 0; i < scan->finding_count; i++) {
        const struct finding *f = &scan->findings[i];
        buffer_append_format(&text, "%.*s %.*s %.*s %s\n", SLICE_ARGS(f->id),
                             SLICE_ARGS(f->package), SLICE_ARGS(f->fix),
                             severity_name(f->severity));
    }
    struct slice all = arena_copy(arena, buffer_slice(&text));
    buffer_done(&text);
    return all;
}

/* --- artifacts --- */

#define NOTHING "0 0 0 0 0 0"
#define SEVEN   "1 1 1 1 1 2"

static void test_recorded_artifacts(void **state)
{
    (void)state;
    static const struct {
        int number;
        enum scan_status status;
        const char *counts, *finished; /* empty: not known */
        size_t children;
        bool image, link, overview, partial;
    } cases[] = {
        /* never scanned; not asked for an overview; in a project that is no proxy */
        {6004, SCAN_NONE, NOTHING, "", 0, true, true, false, false},
        {6005, SCAN_NONE, NOTHING, "", 0, true, true, false, false},
        {6105, SCAN_NONE, NOTHING, "", 2, true, true, false, false},
        {6121, SCAN_NONE, NOTHING, "", 2, true, true, false, false},
        /* an index of which one child was scanned */
        {6110, SCAN_NONE, NOTHING, "", 2, true, true, false, false},
        /* another scanner; a scanner that is switched off */
        {6129, SCAN_NONE, NOTHING, "", 0, true, true, false, false},
        {6131, SCAN_NONE, NOTHING, "", 0, true, true, false, false},
        {6020, SCAN_NOT_SCANNABLE, NOTHING, "", 0, false, false, false, false},
        /* the scanner is away: of scanned ones, too */
        {6079, SCAN_UNKNOWN, NOTHING, "", 2, true, false, false, false},
        {6082, SCAN_UNKNOWN, NOTHING, "", 0, true, false, false, false},
        {7040, SCAN_UNKNOWN, NOTHING, "", 0, true, false, false, false},
        {7042, SCAN_UNKNOWN, NOTHING, "", 2, true, false, false, false},
        {6026, SCAN_RUNNING, NOTHING, "", 0, true, true, true, false},
        {6027, SCAN_RUNNING, NOTHING, "", 0, true, true, true, false},
        {6087, SCAN_RUNNING, NOTHING, "", 2, true, true, true, false},
        {6088, SCAN_RUNNING, NOTHING, "", 2, true, true, true, false},
        {6102, SCAN_RUNNING, NOTHING, "", 0, true, true, true, false}, /* a re-scan */
        {6042, SCAN_FAILED, NOTHING, "2026-11-24T10:20:20Z", 0, true, true, true, false},
        {6045, SCAN_FAILED, NOTHING, "2026-11-24T10:20:20Z", 0, true, true, true, false},
        {6099, SCAN_FAILED, NOTHING, "2026-11-24T10:24:30Z", 0, true, true, true, false},
        {6118, SCAN_FAILED, NOTHING, "2026-11-24T10:25:27Z", 0, true, true, true, false},
        {6028, SCAN_DONE, NOTHING, "2026-11-24T10:20:08Z", 0, true, true, true, false},
        {6104, SCAN_DONE, NOTHING, "2026-11-24T10:24:36Z", 0, true, true, true, false},
        {6034, SCAN_DONE, SEVEN, "2026-11-24T10:20:12Z", 0, true, true, true, false},
        {6053, SCAN_DONE, SEVEN, "2026-11-24T10:20:12Z", 0, true, true, true, false}, /* 1.0 */
        {6127, SCAN_DONE, SEVEN, "2026-11-24T10:26:03Z", 0, true, true, true, false},
        {7026, SCAN_DONE, SEVEN, "2026-11-24T10:23:15Z", 0, true, true, true, false},
        {6038, SCAN_DONE, "0 0 2 0 0 0", "2026-11-24T10:20:16Z", 0, true, true, true, false},
        {6078, SCAN_DONE, "0 0 2 0 0 0", "2026-11-24T10:21:04Z", 0, true, true, true, false},
        {6090, SCAN_DONE, "0 0 1 1 0 0", "2026-11-24T10:24:27Z", 0, true, true, true, false},
        {6109, SCAN_DONE, "0 0 0 0 0 1", "2026-11-24T10:25:22Z", 0, true, true, true, false},
        {6089, SCAN_DONE, "0 0 1 1 0 1", "2026-11-24T10:24:27Z", 2, true, true, true, false},
        /* an index of which one child's scan failed */
        {6115, SCAN_DONE, "0 0 0 0 0 1", "2026-11-24T10:25:27Z", 2, true, true, true, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice challenge;
        struct artifact_details details;
        struct harbor_reply reply = recorded(cases[i].number, &arena, &challenge);
        const char *name = arena_format(&arena, "%d", cases[i].number).base;
        check_number(name, "it is read", artifact_details_read(reply.body, &arena, &details), true);
        check_number(name, "the status", details.scan.status, cases[i].status);
        check_number(name, "partial", details.scan.partial, cases[i].partial);
        check_text(name, "the counts", counts_text(&details.scan, &arena), cases[i].counts);
        check_text(name, "finished", time_text(details.scan.finished, &arena), cases[i].finished);
        check_number(name, "an image", details.image, cases[i].image);
        check_number(name, "the link", details.vulnerabilities_link, cases[i].link);
        check_number(name, "an overview", details.has_overview, cases[i].overview);
        check_number(name, "children", (long long)details.child_count,
                     (long long)cases[i].children);
        check_number(name, "more of them", details.more_children, false);
        check_number(name, "a list", details.scan.listed, false);
        check_number(name, "its digest", (long long)details.digest.len, 71);
        done(&reply);
        arena_done(&arena);
    }
}

static void test_recorded_children(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice challenge;
    struct artifact_details details;
    struct harbor_reply reply = recorded(6115, &arena, &challenge);
    assert_true(artifact_details_read(reply.body, &arena, &details));
    check_text("6115", "the digest", details.digest,
               "sha256:80dce8837c8c7c1e8a0bbb99cc1f6d20310002fab5c1073544040a718b25d10d");
    check_number("6115", "its project", details.project_id, 2);
    check_text("6115", "the first child", details.children[0],
               "sha256:2d20b1d8a9b6cb2470644fd81231f4bcb430d7d755aeddf92a9d9b8d03102319");
    check_text("6115", "the second child", details.children[1],
               "sha256:b9d20adfe25d3391188590c87ddbae1075bab085e7759243f44ea509fcf862e2");
    done(&reply);
    arena_done(&arena);
}

#define HEX16 "0123456789abcdef"
#define HEX32 HEX16 HEX16
#define HEX64 HEX32 HEX32
#define SHA   "sha256:" HEX64
#define V11   "\"application/vnd.security.vulnerability.report; version=1.1\""
#define V10   "\"application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0\""

static bool read_details(const char *body, struct arena *arena, struct artifact_details *ret)
{
    struct slice text = copy_exact(slice_from(body)), kept = arena_copy(arena, text);
    bool in_exact = artifact_details_read(text, arena, ret);
    free((char *)text.base);
    bool read = artifact_details_read(kept, arena, ret);
    assert_int_equal(in_exact, read);
    return read;
}

static void test_no_artifacts(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{}",
        "\"" SHA "\"",
        "{\"digest\":null}",
        "{\"digest\":1}",
        "{\"digest\":\"\"}",
        "{\"digest\":\"sha256:abc\"}",
        "{\"digest\":\"" SHA "0\"}",
        "{\"digest\":\"sha256:" HEX32 HEX16 "0123456789abcdeF\"}",
        "{\"digest\":\"sha256:" HEX32 HEX16 "0123456789abcde/\"}",
        "{\"digest\":\"sha512:" HEX64 "\"}",
        "{\"digest\":\"md5:" HEX32 "\"}",
        "{\"digest\":\"" SHA "\"",
        "{\"digest\":\"" SHA "\"}{}",
        "{\"digest\":\"" SHA "\",\"x\":\"\xff\"}",
        "{\"digest\":\"" SHA "\",\"x\":01}",
        /* children that cannot be told */
        "{\"digest\":\"" SHA "\",\"references\":{}}",
        "{\"digest\":\"" SHA "\",\"references\":\"\"}",
        "{\"digest\":\"" SHA "\",\"references\":[null]}",
        "{\"digest\":\"" SHA "\",\"references\":[\"" SHA "\"]}",
        "{\"digest\":\"" SHA "\",\"references\":[{}]}",
        "{\"digest\":\"" SHA "\",\"references\":[{\"child_digest\":7}]}",
        "{\"digest\":\"" SHA "\",\"references\":[{\"child_digest\":\"../../x\"}]}",
        "{\"digest\":\"" SHA "\",\"references\":[{\"child_digest\":\"" SHA "\"},{}]}",
    };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct arena arena = {0};
        struct artifact_details details = {.child_count = 77};
        check_number(bodies[i], "it is read", read_details(bodies[i], &arena, &details), false);
        check_number(bodies[i], "untouched", (long long)details.child_count, 77);
        arena_done(&arena);
    }
    static const int recordings[] = {6001, 1109, 7041, 6015};
    for (size_t i = 0; i < COUNT(recordings); i++) {
        struct arena arena = {0};
        struct slice challenge;
        struct artifact_details details;
        struct harbor_reply reply = recorded(recordings[i], &arena, &challenge);
        check_number(reply.body.len ? "an error" : "nothing", "it is read",
                     artifact_details_read(reply.body, &arena, &details), false);
        done(&reply);
        arena_done(&arena);
    }
}

static void test_overviews(void **state)
{
    (void)state;
    /* each is a `scan_overview` of an image with the link */
    static const struct {
        const char *overview;
        enum scan_status status;
        const char *counts;
        bool there, partial;
    } cases[] = {
        {"null", SCAN_NONE, NOTHING, false, false},
        {"{}", SCAN_NONE, NOTHING, false, false},
        {"[]", SCAN_NONE, NOTHING, false, false},
        {"{" V11 ":null}", SCAN_NONE, NOTHING, false, false},
        {"{" V11 ":{}}", SCAN_UNKNOWN, NOTHING, true, false},
        {"{" V11 ":{\"scan_status\":null}}", SCAN_UNKNOWN, NOTHING, true, false},
        {"{" V11 ":{\"scan_status\":\"success\"}}", SCAN_UNKNOWN, NOTHING, true, false},
        {"{" V11 ":{\"scan_status\":\"Finished\"}}", SCAN_UNKNOWN, NOTHING, true, false},
        {"{" V11 ":{\"scan_status\":\"Scheduled\"}}", SCAN_RUNNING, NOTHING, true, false},
        {"{" V11 ":{\"scan_status\":\"Pen\\u0064ing\"}}", SCAN_RUNNING, NOTHING, true, false},
        {"{" V11 ":{\"scan_status\":\"Error\",\"summary\":{\"summary\":{\"Low\":1}}}}", SCAN_FAILED,
         NOTHING, true, false},
        /* a success without counts is not clean */
        {"{" V11 ":{\"scan_status\":\"Success\"}}", SCAN_UNKNOWN, NOTHING, true, false},
        {"{" V11 ":{\"scan_status\":\"Success\",\"summary\":null}}", SCAN_UNKNOWN, NOTHING, true,
         false},
        {"{" V11 ":{\"scan_status\":\"Success\",\"summary\":{}}}", SCAN_UNKNOWN, NOTHING, true,
         false},
        {"{" V11 ":{\"scan_status\":\"Success\",\"summary\":{\"total\":3}}}", SCAN_UNKNOWN, NOTHING,
         true, false},
        {"{" V11 ":{\"scan_status\":\"Success\",\"summary\":{\"summary\":null,\"total\":0}}}",
         SCAN_UNKNOWN, NOTHING, true, false},
        {"{" V11 ":{\"scan_status\":\"Success\",\"summary\":{\"summary\":{\"Low\":\"1\"}}}}",
         SCAN_UNKNOWN, NOTHING, true, false},
        {"{" V11 ":{\"scan_status\":\"Success\",\"summary\":{\"summary\":{\"Low\":-1}}}}",
         SCAN_UNKNOWN, NOTHING, true, false},
        {"{" V11 ":{\"scan_status\":\"Success\",\"summary\":{\"summary\":{\"Low\":1.5}}}}",
         SCAN_UNKNOWN, NOTHING, true, false},
        {"{" V11 ":{\"scan_status\":\"Success\",\"summary\":{\"total\":0}}}", SCAN_DONE, NOTHING,
         true, false},
        {"{" V11 ":{\"scan_status\":\"Success\",\"summary\":{\"summary\":{}}}}", SCAN_DONE, NOTHING,
         true, false},
        {"{" V11 ":{\"scan_status\":\"Success\",\"summary\":{\"summary\":{"
         "\"Critical\":1,\"high\":2,\"Negligible\":3,\"None\":4,\"Unknown\":5,\"Dire\":6,\"\":7}}}}",
         SCAN_DONE, "7 12 0 0 2 7", true, false},
        {"{" V11 ":{\"scan_status\":\"Success\",\"summary\":{\"summary\":{"
         "\"High\":99999999999999999999999,\"Low\":4294967297,\"Medium\":0}}}}",
         SCAN_DONE, "0 0 1000000 0 1000000 0", true, false},
        /* complete_percent */
        {"{" V11 ":{\"scan_status\":\"Success\",\"summary\":{\"total\":0},"
         "\"complete_percent\":99}}",
         SCAN_DONE, NOTHING, true, true},
        {"{" V11 ":{\"scan_status\":\"Success\",\"summary\":{\"total\":0},"
         "\"complete_percent\":100}}",
         SCAN_DONE, NOTHING, true, false},
        {"{" V11 ":{\"scan_status\":\"Success\",\"summary\":{\"total\":0},"
         "\"complete_percent\":\"\"}}",
         SCAN_DONE, NOTHING, true, true},
        {"{" V11 ":{\"scan_status\":\"Running\",\"complete_percent\":50}}", SCAN_RUNNING, NOTHING,
         true, false},
        /* two types: the newer one, in whatever order */
        {"{" V10 ":{\"scan_status\":\"Error\"}," V11 ":{\"scan_status\":\"Running\"}}",
         SCAN_RUNNING, NOTHING, true, false},
        {"{" V11 ":{\"scan_status\":\"Running\"}," V10 ":{\"scan_status\":\"Error\"}}",
         SCAN_RUNNING, NOTHING, true, false},
        {"{" V11 ":null," V10 ":{\"scan_status\":\"Error\"}}", SCAN_FAILED, NOTHING, true, false},
        {"{\"any/type\":{\"scan_status\":\"Error\"}}", SCAN_FAILED, NOTHING, true, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct artifact_details details;
        const char *body =
            arena_format(&arena,
                         "{\"type\":\"IMAGE\",\"digest\":\"" SHA "\",\"references\":null,"
                         "\"addition_links\":{\"vulnerabilities\":{}},\"scan_overview\":%s}",
                         cases[i].overview)
                .base;
        check_number(body, "it is read", read_details(body, &arena, &details), true);
        check_number(body, "the status", details.scan.status, cases[i].status);
        check_text(body, "the counts", counts_text(&details.scan, &arena), cases[i].counts);
        check_number(body, "an overview", details.has_overview, cases[i].there);
        check_number(body, "partial", details.scan.partial, cases[i].partial);
        arena_done(&arena);
    }
}

/* No overview: what the type and the links say. */
static void test_without_overview(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        enum scan_status status;
    } cases[] = {
        {"", SCAN_NOT_SCANNABLE},
        {",\"type\":\"IMAGE\"", SCAN_UNKNOWN},
        {",\"type\":\"IMAGE\",\"addition_links\":null", SCAN_UNKNOWN},
        {",\"type\":\"IMAGE\",\"addition_links\":[]", SCAN_UNKNOWN},
        {",\"type\":\"IMAGE\",\"addition_links\":{\"sboms\":{}}", SCAN_UNKNOWN},
        {",\"type\":\"IMAGE\",\"addition_links\":{\"vulnerabilities\":null}", SCAN_UNKNOWN},
        {",\"type\":\"IMAGE\",\"addition_links\":{\"vulnerabilities\":{}}", SCAN_NONE},
        {",\"type\":\"CNAB\",\"addition_links\":{\"vulnerabilities\":{}}", SCAN_NONE},
        {",\"type\":\"SIGNATURE\",\"addition_links\":{}", SCAN_NOT_SCANNABLE},
        {",\"type\":5", SCAN_NOT_SCANNABLE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct artifact_details details;
        const char *body =
            arena_format(&arena, "{\"digest\":\"" SHA "\"%s}", cases[i].members).base;
        check_number(body, "it is read", read_details(body, &arena, &details), true);
        check_number(body, "the status", details.scan.status, cases[i].status);
        arena_done(&arena);
    }
}

static void test_project_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        long long number;
    } cases[] = {
        {"", 0},
        {",\"project_id\":7", 7},
        {",\"project_id\":null", 0},
        {",\"project_id\":-1", 0},
        {",\"project_id\":\"7\"", 0},
        {",\"project_id\":1e3", 0},
        {",\"project_id\":99999999999999999999", 9223372036854775807LL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct artifact_details details;
        const char *body = arena_format(&arena, "{\"digest\":\"" SHA "\"%s}", cases[i].member).base;
        check_number(body, "it is read", read_details(body, &arena, &details), true);
        check_number(body, "the project", details.project_id, cases[i].number);
        arena_done(&arena);
    }
}

static void test_children(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct artifact_details details;
    assert_true(read_details(
        "{\"digest\":\"" SHA "\",\"references\":["
        "{\"child_digest\":\"sha512:" HEX64 HEX64 "\"},"
        "{\"child_digest\":\"sha384:" HEX64 HEX32 "\",\"platform\":null},"
        "{\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"},\"child_digest\":\"" SHA
        "\"},"
        "{\"child_digest\":\"sha512:" HEX64 HEX64 "\",\"platform\":{\"os\":\"linux\"}}]}",
        &arena, &details));
    check_number("children", "their number", (long long)details.child_count, 2);
    check_text("children", "the first", details.children[0], "sha512:" HEX64 HEX64);
    check_text("children", "the second", details.children[1], "sha384:" HEX64 HEX32);
    assert_true(read_details("{\"digest\":\"" SHA "\",\"references\":["
                             "{\"child_digest\":\"" SHA
                             "\",\"platform\":{\"os\":\"unknown\",\"architecture\":\"arm\"}}]}",
                             &arena, &details));
    check_number("half unknown", "children", (long long)details.child_count, 1);

    for (size_t count = SCAN_MAX_CHILDREN - 1; count <= SCAN_MAX_CHILDREN + 1; count++) {
        struct buffer body = {0};
        buffer_append_text(&body, "{\"digest\":\"" SHA "\",\"references\":[");
        for (size_t i = 0; i < count; i++)
            buffer_append_format(&body, "%s{\"child_digest\":\"sha256:%064zx\"}", i ? "," : "", i);
        buffer_append_text(&body, "]}");
        assert_true(artifact_details_read(buffer_slice(&body), &arena, &details));
        check_number("many children", "their number", (long long)details.child_count,
                     count > SCAN_MAX_CHILDREN ? SCAN_MAX_CHILDREN : (long long)count);
        check_number("many children", "more", details.more_children, count > SCAN_MAX_CHILDREN);
        buffer_done(&body);
    }
    arena_done(&arena);
}

/* --- reports --- */

#define CRITICAL_TWO                                                                               \
    "CVE-2099-0001 libssl-standin 3.0.1-9 Critical\n"                                              \
    "CVE-2099-0002 zlib-standin 1.2.13 Critical\n"

static void test_recorded_reports(void **state)
{
    (void)state;
    static const struct {
        int number;
        enum severity from;
        const char *counts, *finished, *findings; /* counts NULL: `{}` */
    } cases[] = {
        {6015, SEVERITY_LOW, NULL, NULL, NULL}, /* never scanned */
        {6066, SEVERITY_LOW, NULL, NULL, NULL}, /* failed */
        {6068, SEVERITY_LOW, NULL, NULL, NULL}, /* running */
        {6083, SEVERITY_LOW, NULL, NULL, NULL}, /* an index */
        {6111, SEVERITY_LOW, NULL, NULL, NULL}, /* with one child scanned */
        {6064, SEVERITY_NONE, NOTHING, "2026-11-24T10:20:08Z", ""},
        {6059, SEVERITY_CRITICAL, SEVEN, "2026-11-24T10:20:12Z", CRITICAL_TWO},
        {6059, SEVERITY_HIGH, SEVEN, "2026-11-24T10:20:12Z",
         CRITICAL_TWO "CVE-2099-0003 libc-standin 2.36-10 High\n"},
        {6059, SEVERITY_NONE, SEVEN, "2026-11-24T10:20:12Z",
         CRITICAL_TWO "CVE-2099-0003 libc-standin 2.36-10 High\n"
                      "CVE-2099-0004 bash-standin  Medium\n"
                      "CVE-2099-0005 perl-standin  Low\n"
                      "CVE-2099-0006 tar-standin  Unknown\n"
                      "CVE-2099-0007 sed-standin  None\n"},
        {6061, SEVERITY_CRITICAL, SEVEN, "2026-11-24T10:20:12Z", CRITICAL_TWO}, /* version 1.0 */
        {7041, SEVERITY_CRITICAL, SEVEN, "2026-11-24T10:26:03Z", CRITICAL_TWO}, /* scanner away */
        {6065, SEVERITY_MEDIUM, "0 0 2 0 0 0", "2026-11-24T10:20:16Z", ""},
        {6091, SEVERITY_CRITICAL, "0 0 1 1 0 1", "2026-11-24T10:24:27Z",
         "CVE-2099-0001 libssl-standin 3.0.1-9 Critical\n"},
        /* the report of an index does not say that a child's scan failed */
        {6119, SEVERITY_CRITICAL, "0 0 0 0 0 1", "2026-11-24T10:25:27Z",
         "CVE-2099-0001 libssl-standin 3.0.1-9 Critical\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice challenge;
        struct scan scan = {.finding_count = 77};
        bool there = cases[i].counts == NULL;
        struct harbor_reply reply = recorded(cases[i].number, &arena, &challenge);
        const char *name = arena_format(&arena, "%d", cases[i].number).base;
        check_number(name, "it is read",
                     vulnerability_report_read(reply.body, cases[i].from, &arena, &there, &scan),
                     true);
        check_number(name, "there is one", there, cases[i].counts != NULL);
        if (there) {
            check_number(name, "the status", scan.status, SCAN_DONE);
            check_number(name, "listed", scan.listed, true);
            check_number(name, "listed from", scan.listed_from, cases[i].from);
            check_number(name, "partial", scan.partial, false);
            check_text(name, "the counts", counts_text(&scan, &arena), cases[i].counts);
            check_text(name, "finished", time_text(scan.finished, &arena), cases[i].finished);
            check_text(name, "the list", findings_text(&scan, &arena), cases[i].findings);
        } else {
            check_number(name, "untouched", (long long)scan.finding_count, 77);
        }
        done(&reply);
        arena_done(&arena);
    }
}

static bool read_report_text(const char *body, enum severity from, struct arena *arena,
                             bool *ret_there, struct scan *ret)
{
    struct slice text = copy_exact(slice_from(body)), kept = arena_copy(arena, text);
    bool in_exact = vulnerability_report_read(text, from, arena, ret_there, ret);
    free((char *)text.base);
    bool read = vulnerability_report_read(kept, from, arena, ret_there, ret);
    assert_int_equal(in_exact, read);
    return read;
}

static void test_no_reports(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{",
        "{}{}",
        "{\"a\":null}",
        "{\"errors\":[{\"code\":\"NOT_FOUND\"}]}",
        "{\"a\":{}}",
        "{\"a\":{\"vulnerabilities\":{}}}",
        "{\"a\":{\"vulnerabilities\":\"none\"}}",
        "{\"a\":{\"vulnerabilities\":[null]}}",
        "{\"a\":{\"vulnerabilities\":[\"CVE-1\"]}}",
        "{\"a\":{\"vulnerabilities\":[{\"id\":\"CVE-1\"},7]}}",
        "{\"a\":{\"vulnerabilities\":[]}",
        "{\"a\":{\"vulnerabilities\":[{\"id\":\"\xc3\"}]}}",
        "{\"a\":{\"vulnerabilities\":[],\"x\":tru}}",
        /* the one that counts cannot be read */
        "{\"a\":{\"vulnerabilities\":[]}," V11 ":{}}",
        "{" V11 ":{},\"a\":{\"vulnerabilities\":[]}}",
    };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct arena arena = {0};
        bool there = true;
        struct scan scan = {.finding_count = 77};
        check_number(bodies[i], "it is read",
                     read_report_text(bodies[i], SEVERITY_NONE, &arena, &there, &scan), false);
        check_number(bodies[i], "untouched", there && scan.finding_count == 77, true);
        arena_done(&arena);
    }
}

/* Errors, an artifact, a list: none of them is a report. */
static void test_recorded_no_reports(void **state)
{
    (void)state;
    static const int recordings[] = {6067, 6018, 6115, 6004, 3066};
    for (size_t i = 0; i < COUNT(recordings); i++) {
        struct arena arena = {0};
        struct slice challenge;
        struct scan scan;
        bool there;
        struct harbor_reply reply = recorded(recordings[i], &arena, &challenge);
        const char *name = arena_format(&arena, "%d", recordings[i]).base;
        check_number(name, "it is read",
                     vulnerability_report_read(reply.body, SEVERITY_NONE, &arena, &there, &scan),
                     false);
        done(&reply);
        arena_done(&arena);
    }
}

static void test_reports(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum severity from;
        const char *counts, *findings;
    } cases[] = {
        {"{\"a\":{\"vulnerabilities\":[]}}", SEVERITY_NONE, NOTHING, ""},
        {"{\"a\":{\"vulnerabilities\":null}}", SEVERITY_NONE, NOTHING, ""},
        {"{\"a\":5," V11 ":{\"vulnerabilities\":[{\"id\":\"x\"}]}}", SEVERITY_NONE, "0 1 0 0 0 0",
         "x   Unknown\n"},
        {"{\"a\":{\"vulnerabilities\":[{\"id\":\"x\"}]}," V11 ":{\"vulnerabilities\":[]}}",
         SEVERITY_NONE, NOTHING, ""},
        {"{" V11 ":{\"vulnerabilities\":[]},\"a\":{\"vulnerabilities\":[{\"id\":\"x\"}]}}",
         SEVERITY_NONE, NOTHING, ""},
        /* what has no name counts all the same */
        {"{\"a\":{\"vulnerabilities\":[{}]}}", SEVERITY_NONE, "0 1 0 0 0 0", "   Unknown\n"},
        {"{\"a\":{\"vulnerabilities\":[{\"id\":1,\"package\":[],\"severity\":\"critical\"}]}}",
         SEVERITY_HIGH, "0 0 0 0 0 1", "   Critical\n"},
        {"{\"a\":{\"vulnerabilities\":[{\"id\":\"a\",\"severity\":null},"
         "{\"id\":\"b\",\"severity\":\"Dire\"},{\"id\":\"c\",\"severity\":\"negligible\"}]}}",
         SEVERITY_LOW, "1 1 0 0 0 1", "b   Critical\n"},
        /* the same in two versions of a package; at two severities; in two packages */
        {"{\"a\":{\"vulnerabilities\":["
         "{\"id\":\"c1\",\"package\":\"p\",\"severity\":\"High\",\"version\":\"1\"},"
         "{\"id\":\"c1\",\"package\":\"p\",\"severity\":\"High\",\"fix_version\":\"3\"},"
         "{\"id\":\"c1\",\"package\":\"p\",\"severity\":\"High\",\"fix_version\":\"2\"},"
         "{\"id\":\"c1\",\"package\":\"p\",\"severity\":\"Low\"},"
         "{\"id\":\"c1\",\"package\":\"q\",\"severity\":\"High\"}]}}",
         SEVERITY_NONE, "0 0 1 0 2 0", "c1 p 2 High\nc1 q  High\nc1 p  Low\n"},
        /* worst first, then those with a fix, then by id */
        {"{\"a\":{\"vulnerabilities\":["
         "{\"id\":\"c4\",\"package\":\"p\",\"severity\":\"Low\",\"fix_version\":\"1\"},"
         "{\"id\":\"c3\",\"package\":\"p\",\"severity\":\"High\"},"
         "{\"id\":\"c2\",\"package\":\"p\",\"severity\":\"High\",\"fix_version\":\"1\"},"
         "{\"id\":\"c1\",\"package\":\"q\",\"severity\":\"High\",\"fix_version\":\"1\"},"
         "{\"id\":\"c1\",\"package\":\"p\",\"severity\":\"High\",\"fix_version\":\"1\"},"
         "{\"id\":\"c0\",\"package\":\"p\",\"severity\":\"High\"},"
         "{\"id\":\"c9\",\"package\":\"p\",\"severity\":\"Critical\"}]}}",
         SEVERITY_MEDIUM, "0 0 1 0 5 1",
         "c9 p  Critical\nc1 p 1 High\nc1 q 1 High\nc2 p 1 High\nc0 p  High\nc3 p  High\n"},
        /* of a key that stands twice the last counts */
        {"{\"a\":{\"vulnerabilities\":[{\"id\":\"x\"}],\"vulnerabilities\":[]}}", SEVERITY_NONE,
         NOTHING, ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        bool there = false;
        struct scan scan;
        const char *body = cases[i].body;
        check_number(body, "it is read",
                     read_report_text(body, cases[i].from, &arena, &there, &scan), true);
        check_number(body, "there is one", there, true);
        check_number(body, "finished", scan.finished, 0);
        check_text(body, "the counts", counts_text(&scan, &arena), cases[i].counts);
        check_text(body, "the list", findings_text(&scan, &arena), cases[i].findings);
        arena_done(&arena);
    }
}

static void test_long_texts(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct buffer body = {0};
    struct scan scan;
    bool there;
    buffer_append_text(&body, "{\"a\":{\"vulnerabilities\":[{\"id\":\"");
    for (int i = 0; i < SCAN_MAX_TEXT; i++)
        buffer_append_char(&body, 'i');
    buffer_append_text(&body, "\",\"package\":\"");
    for (int i = 0; i < SCAN_MAX_TEXT + 1; i++)
        buffer_append_char(&body, 'p');
    buffer_append_text(&body, "\",\"fix_version\":\"");
    for (int i = 0; i < SCAN_MAX_TEXT - 1; i++)
        buffer_append_char(&body, 'f');
    buffer_append_text(&body, "\xc3\xa4\"}]}}");
    assert_true(
        vulnerability_report_read(buffer_slice(&body), SEVERITY_NONE, &arena, &there, &scan));
    assert_int_equal(scan.findings[0].id.len, SCAN_MAX_TEXT);
    assert_int_equal(scan.findings[0].package.len, SCAN_MAX_TEXT);
    assert_int_equal(scan.findings[0].fix.len, SCAN_MAX_TEXT - 1); /* no half character */
    buffer_done(&body);
    arena_done(&arena);
}

/* `count` different findings, all twice, of the severity, then one that is critical. */
static void make_report(struct buffer *body, size_t count, size_t times, const char *severity)
{
    buffer_append_text(body, "{\"a\":{\"vulnerabilities\":[");
    for (size_t i = 0; i < count * times; i++)
        buffer_append_format(body, "{\"id\":\"CVE-%zu\",\"severity\":\"%s\"},", i % count,
                             severity);
    buffer_append_text(body, "{\"id\":\"last\",\"severity\":\"Critical\"}]}}");
}

static void test_long_reports(void **state)
{
    (void)state;
    static const struct {
        size_t count, times;
        const char *severity;
        enum severity from, listed_from; /* SEVERITY_COUNT: not listed */
        unsigned high;
        size_t findings;
    } cases[] = {
        {SCAN_MAX_FINDINGS - 1, 2, "High", SEVERITY_LOW, SEVERITY_LOW, SCAN_MAX_FINDINGS - 1,
         SCAN_MAX_FINDINGS},
        /* too many: those that are worse */
        {SCAN_MAX_FINDINGS, 2, "High", SEVERITY_LOW, SEVERITY_CRITICAL, SCAN_MAX_FINDINGS, 1},
        {SCAN_MAX_FINDINGS, 2, "High", SEVERITY_CRITICAL, SEVERITY_CRITICAL, SCAN_MAX_FINDINGS, 1},
        {SCAN_MAX_FINDINGS, 2, "Medium", SEVERITY_LOW, SEVERITY_HIGH, 0, 1},
        {SCAN_MAX_FINDINGS, 2, "Critical", SEVERITY_LOW, SEVERITY_COUNT, 0, 0},
        /* more than are compared: the last is not listed, so that nothing is */
        {65536, 1, "High", SEVERITY_CRITICAL, SEVERITY_COUNT, 65536, 0},
        {65535, 1, "High", SEVERITY_CRITICAL, SEVERITY_CRITICAL, 65535, 1},
        {2, 40000, "High", SEVERITY_HIGH, SEVERITY_COUNT, 2 + 80000 - 65536, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct buffer body = {0};
        struct scan scan;
        bool there;
        make_report(&body, cases[i].count, cases[i].times, cases[i].severity);
        const char *name = arena_format(&arena, "case %zu", i).base;
        assert_true(
            vulnerability_report_read(buffer_slice(&body), cases[i].from, &arena, &there, &scan));
        check_number(name, "listed", scan.listed, cases[i].listed_from < SEVERITY_COUNT);
        if (scan.listed)
            check_number(name, "listed from", scan.listed_from, cases[i].listed_from);
        check_number(name, "findings", (long long)scan.finding_count, (long long)cases[i].findings);
        check_number(name, "high ones", scan.counts[SEVERITY_HIGH], cases[i].high);
        assert_true(scan.counts[SEVERITY_CRITICAL] >= 1);
        if (scan.finding_count)
            check_text(name, "the worst", scan.findings[0].id, "last");
        buffer_done(&body);
        arena_done(&arena);
    }
}

/* --- allowlists --- */

static void test_allowlists(void **state)
{
    (void)state;
    static const struct {
        const char *json, *ids; /* NULL: none; else each with a blank */
        long long expires;
    } cases[] = {
        {"{\"items\":[]}", "", 0},
        {"{\"items\":null,\"expires_at\":null}", "", 0},
        {"{\"items\":[{\"cve_id\":\"b\"},{\"cve_id\":\"a\"},{\"cve_id\":\"b\"}]}", "a b ", 0},
        {"{\"items\":[null,7,\"a\",{},{\"cve_id\":null},{\"cve_id\":\"\"},{\"cve_id\":\"z\"}]}",
         "z ", 0},
        {"{\"expires_at\":5,\"items\":[{\"cve_id\":\"a\"}]}", "a ", 5},
        {"{\"items\":[{\"cve_id\":\"a\"}],\"expires_at\":0}", "a ", 1},
        {"{\"items\":[{\"cve_id\":\"a\"}],\"expires_at\":-7}", "a ", 1},
        {"{\"items\":[],\"expires_at\":99999999999999999999}", "", 9223372036854775807LL},
        {"{\"items\":[],\"expires_at\":9223372036854775806}", "", 9223372036854775806LL},
        {"{\"items\":[],\"expires_at\":1.5}", NULL, 0},
        {"{\"items\":[],\"expires_at\":1e9}", NULL, 0},
        {"{\"items\":[],\"expires_at\":\"1\"}", NULL, 0},
        {"{\"items\":{}}", NULL, 0},
        {"{\"expires_at\":5}", NULL, 0},
        {"{}", NULL, 0},
        {"[]", NULL, 0},
        {"null", NULL, 0},
        {"", NULL, 0},
        {"{\"items\":[]", NULL, 0},
        {"{\"items\":[{\"cve_id\":\"\xff\"}]}", NULL, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct cve_allowlist list = {.count = 77};
        struct slice text = copy_exact(slice_from(cases[i].json));
        struct buffer ids = {0};
        bool read = cve_allowlist_read(text, &arena, &list);
        check_number(cases[i].json, "it is read", read, cases[i].ids != NULL);
        if (read) {
            for (size_t j = 0; j < list.count; j++)
                buffer_append_format(&ids, "%.*s ", SLICE_ARGS(list.ids[j]));
            check_text(cases[i].json, "the ids", buffer_slice(&ids), cases[i].ids);
            check_number(cases[i].json, "the end", list.expires, cases[i].expires);
        } else {
            check_number(cases[i].json, "untouched", (long long)list.count, 77);
        }
        buffer_done(&ids);
        free((char *)text.base);
        arena_done(&arena);
    }
    static const struct {
        int number;
        size_t count;
        long long expires;
    } recordings[] = {{3066, 2, 1798107104}, {3068, 0, 0}};
    for (size_t i = 0; i < COUNT(recordings); i++) {
        struct arena arena = {0};
        struct slice challenge;
        struct cve_allowlist list;
        struct harbor_reply reply = recorded(recordings[i].number, &arena, &challenge);
        assert_true(cve_allowlist_read(reply.body, &arena, &list));
        assert_int_equal(list.count, recordings[i].count);
        assert_int_equal(list.expires, recordings[i].expires);
        done(&reply);
        arena_done(&arena);
    }
}

static void test_allowed(void **state)
{
    (void)state;
    struct slice ids[] = {SLICE("b"), SLICE("c"), SLICE("a"), SLICE("b"), SLICE("bb")};
    struct cve_allowlist list = {.ids = ids, .count = COUNT(ids)}, none = {0};
    cve_allowlist_sort(&list);
    cve_allowlist_sort(&none);
    assert_int_equal(list.count, 4);
    assert_true(cve_allowlist_has(&list, SLICE("a"), 10));
    assert_true(cve_allowlist_has(&list, SLICE("b"), 10));
    assert_true(cve_allowlist_has(&list, SLICE("bb"), 10));
    assert_true(cve_allowlist_has(&list, SLICE("c"), 10));
    assert_false(cve_allowlist_has(&list, SLICE("B"), 10));
    assert_false(cve_allowlist_has(&list, SLICE(""), 10));
    assert_false(cve_allowlist_has(&list, SLICE("d"), 10));
    assert_false(cve_allowlist_has(&none, SLICE("a"), 10));
    list.expires = 11;
    assert_true(cve_allowlist_has(&list, SLICE("a"), 10));
    assert_false(cve_allowlist_has(&list, SLICE("a"), 11)); /* Harbor: now >= expires_at */
    assert_false(cve_allowlist_has(&list, SLICE("a"), 12));
}

static void test_long_allowlist(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct buffer body = {0};
    struct cve_allowlist list;
    buffer_append_text(&body, "{\"items\":[{\"cve_id\":\"");
    for (int i = 0; i < SCAN_MAX_TEXT + 1; i++)
        buffer_append_char(&body, 'i'); /* too long to be one */
    buffer_append_text(&body, "\"}");
    for (int i = 0; i < 10001; i++)
        buffer_append_format(&body, ",{\"cve_id\":\"CVE-%d\"}", i);
    buffer_append_text(&body, "]}");
    assert_true(cve_allowlist_read(buffer_slice(&body), &arena, &list));
    assert_int_equal(list.count, 10000);
    assert_true(cve_allowlist_has(&list, SLICE("CVE-0"), 1));
    assert_true(cve_allowlist_has(&list, SLICE("CVE-9999"), 1));
    assert_false(cve_allowlist_has(&list, SLICE("CVE-10000"), 1));
    buffer_done(&body);
    arena_done(&arena);
}

/* --- severities --- */

static void test_severities(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int severity; /* -1: none */
    } cases[] = {
        {"None", SEVERITY_NONE},
        {"Negligible", SEVERITY_NONE},
        {"Unknown", SEVERITY_UNKNOWN},
        {"Low", SEVERITY_LOW},
        {"Medium", SEVERITY_MEDIUM},
        {"High", SEVERITY_HIGH},
        {"Critical", SEVERITY_CRITICAL},
        {"critical", SEVERITY_CRITICAL},
        {"CRITICAL", SEVERITY_CRITICAL},
        {"nEGLIGIBLE", SEVERITY_NONE},
        {"", -1},
        {"Crit", -1},
        {"Criticals", -1},
        {" High", -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum severity severity = SEVERITY_COUNT;
        bool read = severity_from_text(slice_from(cases[i].text), &severity);
        check_number(cases[i].text, "it is one", read, cases[i].severity >= 0);
        check_number(cases[i].text, "the severity", severity,
                     read ? cases[i].severity : SEVERITY_COUNT);
    }
    assert_false(severity_from_text((struct slice){0}, &(enum severity){0}));
    for (int i = 0; i < SEVERITY_COUNT; i++) {
        enum severity severity = SEVERITY_COUNT;
        assert_true(severity_from_text(slice_from(severity_name((enum severity)i)), &severity));
        assert_int_equal(severity, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_artifacts),  cmocka_unit_test(test_recorded_children),
        cmocka_unit_test(test_no_artifacts),        cmocka_unit_test(test_overviews),
        cmocka_unit_test(test_without_overview),    cmocka_unit_test(test_children),
        cmocka_unit_test(test_recorded_reports),    cmocka_unit_test(test_no_reports),
        cmocka_unit_test(test_recorded_no_reports), cmocka_unit_test(test_reports),
        cmocka_unit_test(test_long_texts),          cmocka_unit_test(test_long_reports),
        cmocka_unit_test(test_allowlists),          cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_long_allowlist),      cmocka_unit_test(test_severities),
        cmocka_unit_test(test_project_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
