/* Harbor's answers, by what a real one was recorded to answer (tests/data/harbor), and by what it
 * never would; the paths of questions. */
#include "tests/unit/harbor/recordings.h"

/* --- artifacts and manifests --- */

static void test_recorded_artifacts(void **state)
{
    (void)state;
    static const struct {
        int number;
        enum harbor_answer answer;
    } cases[] = {
        {6004, ANSWER_YES},    {4026, ANSWER_NO},           {4027, ANSWER_NO},
        {6080, ANSWER_NO},     {4034, ANSWER_UNAUTHORIZED}, {4062, ANSWER_UNAUTHORIZED},
        {1109, ANSWER_FAILED}, {1018, ANSWER_FAILED},       {5088, ANSWER_LATER},
        {7002, ANSWER_FAILED}, {1082, ANSWER_FAILED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice challenge;
        struct harbor_reply reply = recorded(cases[i].number, &arena, &challenge);
        struct slice name = arena_format(&arena, "%d", cases[i].number);
        check_number(name.base, "the answer", harbor_read_artifact(&reply), cases[i].answer);
        done(&reply);
        arena_done(&arena);
    }
}

static void test_other_artifacts(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *type, *body;
        enum harbor_answer answer;
    } cases[] = {
        {0, "", "", ANSWER_FAILED},
        {200, JSON, "{\"digest\":\"sha256:a\"}", ANSWER_YES},
        {200, JSON, " {\"digest\":\"sha256:a\"} \n", ANSWER_YES},
        {200, JSON "; charset=utf-8", "{\"digest\":\"sha256:a\"}", ANSWER_YES},
        {200, "text/html", "{\"digest\":\"sha256:a\"}", ANSWER_FAILED},
        {200, JSON, "", ANSWER_FAILED},
        {200, JSON, "{}", ANSWER_FAILED},
        {200, JSON, "null", ANSWER_FAILED},
        {200, JSON, "[{\"digest\":\"sha256:a\"}]", ANSWER_FAILED},
        {200, JSON, "{\"digest\":\"sha256:a\"", ANSWER_FAILED},
        {200, JSON, "{\"digest\":\"sha256:a\"}{}", ANSWER_FAILED},
        {200, JSON, "{\"digest\":\"\xff\"}", ANSWER_FAILED},
        {204, JSON, "{\"digest\":\"sha256:a\"}", ANSWER_FAILED},
        {301, JSON, "{\"digest\":\"sha256:a\"}", ANSWER_FAILED},
        {404, JSON, "{\"errors\":[{\"code\":\"NOT_FOUND\"}]}", ANSWER_NO},
        {404, JSON, "{\"errors\":[{\"code\":\"not_found\"}]}", ANSWER_FAILED},
        {404, JSON, "{\"errors\":[]}", ANSWER_FAILED},
        {404, JSON, "{\"errors\":[{\"code\":1}]}", ANSWER_FAILED},
        {404, JSON, "{\"errors\":[{\"code\":\"NOT_FOUND\"}]", ANSWER_FAILED},
        {404, JSON, "", ANSWER_FAILED},
        {404, "text/plain", "{\"errors\":[{\"code\":\"NOT_FOUND\"}]}", ANSWER_FAILED},
        {410, JSON, "{\"errors\":[{\"code\":\"NOT_FOUND\"}]}", ANSWER_FAILED},
        {401, JSON, "", ANSWER_UNAUTHORIZED},
        {403, "text/html", "", ANSWER_UNAUTHORIZED},
        {429, "text/html", "", ANSWER_LATER},
        {500, JSON, "{\"digest\":\"sha256:a\"}", ANSWER_FAILED},
        {503, "text/html", "", ANSWER_FAILED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct harbor_reply reply = reply_of(cases[i].status, cases[i].type, cases[i].body);
        if (harbor_read_artifact(&reply) != cases[i].answer)
            CHECK_FAIL("%ld %s %s: expected %d", cases[i].status, cases[i].type, cases[i].body,
                       cases[i].answer);
    }
}

static void test_recorded_manifests(void **state)
{
    (void)state;
    static const struct {
        int number;
        enum harbor_answer answer;
    } cases[] = {
        {5025, ANSWER_YES},     {5052, ANSWER_YES},          {5031, ANSWER_NO},
        {5033, ANSWER_NO},      {5007, ANSWER_UNAUTHORIZED}, {5042, ANSWER_UNAUTHORIZED},
        {5037, ANSWER_FAILED}, /* 401 with an empty challenge: no such project */
        {1116, ANSWER_FAILED}, /* the same: the database is down */
        {1082, ANSWER_FAILED},  {5069, ANSWER_FAILED},       {5088, ANSWER_LATER},
        {7002, ANSWER_REFUSED}, {1018, ANSWER_FAILED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice challenge;
        struct harbor_reply reply = recorded(cases[i].number, &arena, &challenge);
        struct slice name = arena_format(&arena, "%d", cases[i].number);
        check_number(name.base, "the answer", harbor_read_manifest(&reply), cases[i].answer);
        done(&reply);
        arena_done(&arena);
    }
    struct harbor_reply none = {0}, portal = reply_of(200, "text/html", ""),
                        page = reply_of(404, "text/html", ""), forbidden = reply_of(403, JSON, "");
    assert_int_equal(harbor_read_manifest(&none), ANSWER_FAILED);
    assert_int_equal(harbor_read_manifest(&portal), ANSWER_FAILED);
    assert_int_equal(harbor_read_manifest(&page), ANSWER_FAILED);
    assert_int_equal(harbor_read_manifest(&forbidden), ANSWER_UNAUTHORIZED);
}

/* --- health --- */

static void test_recorded_health(void **state)
{
    (void)state;
    static const struct {
        int number;
        bool healthy;
    } cases[] = {
        {1002, true}, {1020, true}, {1054, true}, {1121, true}, {1071, false}, {1105, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice challenge;
        bool healthy = !cases[i].healthy;
        struct harbor_reply reply = recorded(cases[i].number, &arena, &challenge);
        struct slice name = arena_format(&arena, "%d", cases[i].number);
        check_number(name.base, "it is a report", harbor_read_health(&reply, &healthy), true);
        check_number(name.base, "healthy", healthy, cases[i].healthy);
        done(&reply);
        arena_done(&arena);
    }
}

static void test_no_health(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *body;
    } cases[] = {
        {0, ""},
        {200, ""},
        {200, "<html>"},
        {200, "[]"},
        {200, "{}"},
        {200, "{\"status\":\"healthy\"}"},
        {200, "{\"components\":null}"},
        {200, "{\"components\":{}}"},
        {200, "{\"components\":[]}"},
        {200, "{\"components\":[1,null,\"core\",[],{}]}"},
        {200, "{\"components\":[{\"name\":\"trivy\",\"status\":\"healthy\"}]}"},
        {200, "{\"components\":[{\"name\":\"core\",\"status\":\"healthy\"}]"},
        {500, "{\"components\":[{\"name\":\"core\",\"status\":\"healthy\"}]}"},
        {302, "{\"components\":[{\"name\":\"core\",\"status\":\"healthy\"}]}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool healthy = true;
        struct harbor_reply reply = reply_of(cases[i].status, JSON, cases[i].body);
        if (harbor_read_health(&reply, &healthy))
            CHECK_FAIL("%ld %s is read as health", cases[i].status, cases[i].body);
        assert_true(healthy); /* untouched */
    }
    static const struct {
        const char *body;
        bool healthy;
    } read[] = {
        {"{\"components\":[{\"name\":\"core\",\"status\":\"healthy\"}]}", true},
        {"{\"components\":[{\"name\":\"core\",\"status\":\"Healthy\"}]}", false},
        {"{\"components\":[{\"name\":\"core\"}]}", false},
        {"{\"components\":[{\"status\":\"healthy\",\"name\":\"c\\u006fre\"}]}", true},
        {"{\"components\":[{\"name\":\"core\",\"status\":\"healthy\"},"
         "{\"name\":\"registry\",\"status\":\"unhealthy\"}]}",
         false},
    };
    for (size_t i = 0; i < COUNT(read); i++) {
        bool healthy = !read[i].healthy;
        struct harbor_reply reply = reply_of(200, JSON, read[i].body);
        check_number(read[i].body, "it is a report", harbor_read_health(&reply, &healthy), true);
        check_number(read[i].body, "healthy", healthy, read[i].healthy);
    }
}

/* --- projects, account --- */

static void test_projects(void **state)
{
    (void)state;
    static const struct {
        int number;
        enum harbor_answer answer;
        enum truth public_;
        bool is_proxy;
    } cases[] = {
        {4023, ANSWER_YES, TRUTH_YES, true},
        {4024, ANSWER_YES, TRUTH_NO, true},
        {4030, ANSWER_YES, TRUTH_YES, true},
        {3025, ANSWER_YES, TRUTH_YES, false},
        {3024, ANSWER_NO, TRUTH_UNKNOWN, false},
        {4025, ANSWER_UNAUTHORIZED, TRUTH_UNKNOWN, false},
        {4031, ANSWER_UNAUTHORIZED, TRUTH_UNKNOWN, false},
        {1108, ANSWER_FAILED, TRUTH_UNKNOWN, false},
        {5088, ANSWER_LATER, TRUTH_UNKNOWN, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice challenge;
        struct harbor_project project = {0};
        struct harbor_reply reply = recorded(cases[i].number, &arena, &challenge);
        struct slice name = arena_format(&arena, "%d", cases[i].number);
        check_number(name.base, "the answer", harbor_read_project(&reply, &arena, &project),
                     cases[i].answer);
        check_number(name.base, "public", project.public_, cases[i].public_);
        check_number(name.base, "a proxy", project.is_proxy, cases[i].is_proxy);
        check_text(name.base, "the filter", project.filter, "");
        done(&reply);
        arena_done(&arena);
    }
    struct arena arena = {0};
    struct harbor_project project = {0};
    struct harbor_reply filtered =
        reply_of(200, JSON,
                 "{\"name\":\"p\",\"registry_id\":3,\"metadata\":{\"public\":\"false\","
                 "\"proxy_cache_filter_pattern\":\"library/**\","
                 "\"proxy_cache_filter_kind\":\"doublestar\"}}");
    assert_int_equal(harbor_read_project(&filtered, &arena, &project), ANSWER_YES);
    check_text("2.16", "the filter", project.filter, "library/**");
    check_text("2.16", "its kind", project.filter_kind, "doublestar");
    assert_int_equal(project.public_, TRUTH_NO);
    assert_true(project.is_proxy);
    static const char *const none[] = {"", "{}", "[]", "{\"name\":\"\"}", "{\"name\":1}", "<html>"};
    for (size_t i = 0; i < COUNT(none); i++) {
        struct harbor_reply reply = reply_of(200, JSON, none[i]);
        check_number(none[i], "the answer", harbor_read_project(&reply, &arena, &project),
                     ANSWER_FAILED);
    }
    arena_done(&arena);
}

static void test_project_flags(void **state)
{
    (void)state;
    static const struct {
        int number;
        bool prevent_vul, auto_scan, reuse;
        size_t allowed;
        long long expires;
    } cases[] = {
        {4023, false, false, true, 0, 0},
        {4024, false, false, true, 0, 0},
        {3060, false, false, false, 2, 0},
        {3062, false, false, false, 1, 1798107104},
        {3064, false, false, false, 1, 1795428704},
        {7001, true, false, true, 0, 0},
        {7028, true, false, false, 2, 1795512196},
        {7030, true, false, true, 2, 1795512196}, /* its own list stays there, not used */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice challenge;
        struct harbor_project project = {0};
        struct harbor_reply reply = recorded(cases[i].number, &arena, &challenge);
        struct slice name = arena_format(&arena, "%d", cases[i].number);
        assert_int_equal(harbor_read_project(&reply, &arena, &project), ANSWER_YES);
        done(&reply); /* what was read lives in the arena */
        check_number(name.base, "prevent_vul", project.prevent_vul, cases[i].prevent_vul);
        check_number(name.base, "auto_scan", project.auto_scan, cases[i].auto_scan);
        check_number(name.base, "the system's list", project.reuse_system_allowlist,
                     cases[i].reuse);
        check_number(name.base, "its ids", (long long)project.allowlist.count,
                     (long long)cases[i].allowed);
        check_number(name.base, "its end", project.allowlist.expires, cases[i].expires);
        if (cases[i].allowed) {
            check_text(name.base, "the first id", project.allowlist.ids[0], "CVE-2099-0001");
            check_number(name.base, "has it",
                         cve_allowlist_has(&project.allowlist, SLICE("CVE-2099-0001"), 1), true);
        }
        arena_done(&arena);
    }
    static const struct {
        const char *members;
        bool prevent_vul, auto_scan, reuse;
        size_t allowed;
    } others[] = {
        {"", false, false, true, 0},
        {",\"metadata\":null", false, false, true, 0},
        {",\"metadata\":{}", false, false, true, 0},
        {",\"metadata\":{\"prevent_vul\":\"TRUE\",\"auto_scan\":\"1\"}", true, true, true, 0},
        {",\"metadata\":{\"prevent_vul\":true,\"auto_scan\":1}", false, false, true, 0},
        {",\"metadata\":{\"reuse_sys_cve_allowlist\":\"\"}", false, false, false, 0},
        {",\"metadata\":{\"reuse_sys_cve_allowlist\":null}", false, false, false, 0},
        {",\"metadata\":{\"reuse_sys_cve_allowlist\":\"true\"}", false, false, true, 0},
        {",\"cve_allowlist\":null", false, false, true, 0},
        {",\"cve_allowlist\":[]", false, false, true, 0},
        {",\"cve_allowlist\":{\"items\":null}", false, false, true, 0},
        {",\"cve_allowlist\":{\"items\":[{\"cve_id\":\"a\"}],\"expires_at\":\"x\"}", false, false,
         true, 0},
        {",\"cve_allowlist\":{\"items\":[{\"cve_id\":\"\\u0061\"}]}", false, false, true, 1},
    };
    for (size_t i = 0; i < COUNT(others); i++) {
        struct arena arena = {0};
        struct harbor_project project = {0};
        struct slice body = arena_format(&arena, "{\"name\":\"p\"%s}", others[i].members);
        struct harbor_reply reply = {.status = 200, .json = true, .body = body};
        assert_int_equal(harbor_read_project(&reply, &arena, &project), ANSWER_YES);
        check_number(body.base, "prevent_vul", project.prevent_vul, others[i].prevent_vul);
        check_number(body.base, "auto_scan", project.auto_scan, others[i].auto_scan);
        check_number(body.base, "the system's list", project.reuse_system_allowlist,
                     others[i].reuse);
        check_number(body.base, "its ids", (long long)project.allowlist.count,
                     (long long)others[i].allowed);
        arena_done(&arena);
    }
}

static void test_ill_parts(void **state)
{
    (void)state;
    static const struct {
        const char *components, *parts;
    } cases[] = {
        {"{\"name\":\"database\",\"status\":\"unhealthy\"}", "database"},
        {"{\"name\":\"core\",\"status\":\"healthy\"},{\"name\":\"registry\",\"status\":\"x\"},"
         "{\"name\":\"trivy\",\"status\":\"unhealthy\"},{\"name\":\"database\"}",
         "registry and database"},
        {"{\"name\":\"core\",\"status\":\"healthy\"}", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice body = arena_format(&arena, "{\"components\":[%s]}", cases[i].components);
        struct harbor_reply reply = {.status = 200, .json = true, .body = body};
        check_text(body.base, "the parts", harbor_read_ill_parts(&reply, &arena), cases[i].parts);
        arena_done(&arena);
    }
    struct arena arena = {0};
    struct harbor_reply reply = {.status = 502, .body = SLICE("<html>")};
    check_text("502", "the parts", harbor_read_ill_parts(&reply, &arena), "");
    arena_done(&arena);
}

static void test_existence(void **state)
{
    (void)state;
    static const struct {
        long status;
        bool json;
        enum harbor_answer answer;
    } cases[] = {{200, false, ANSWER_YES},         {404, true, ANSWER_NO},
                 {404, false, ANSWER_FAILED},      {401, true, ANSWER_UNAUTHORIZED},
                 {403, true, ANSWER_UNAUTHORIZED}, {429, true, ANSWER_LATER},
                 {500, true, ANSWER_FAILED},       {0, false, ANSWER_FAILED}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct harbor_reply reply = {.status = cases[i].status, .json = cases[i].json};
        assert_int_equal(harbor_read_existence(&reply), cases[i].answer);
    }
    struct buffer path = {0};
    harbor_existence_path(SLICE("a&b c"), &path);
    check_text("a name", "the path", buffer_slice(&path),
               "/api/v2.0/projects?project_name=a%26b%20c");
    buffer_done(&path);
}

/* The bodies of 2.11 are its own (docs/contracts.md#account). */
#define ANONYMOUS_211                                                                              \
    "{\"auth_mode\":\"db_auth\",\"banner_message\":\"\",\"harbor_version\":\"v2.11.1-6b7ecba1\","  \
    "\"oidc_provider_name\":\"\",\"primary_auth_mode\":false,\"self_registration\":false}"

static void check_account(const char *name, const struct harbor_reply *reply, bool expected,
                          const char *version)
{
    struct arena arena = {0};
    struct slice text = SLICE("untouched");
    bool known = !expected;
    assert_true(harbor_read_systeminfo(reply, &arena, &known, &text));
    check_number(name, "known", known, expected);
    check_text(name, "the version", text, version);
    arena_done(&arena);
}

static void test_account(void **state)
{
    (void)state;
    static const struct {
        int number;
        bool known;
        const char *version;
    } cases[] = {{4029, true, "v2.15.2-080b0220"}, {4036, false, ""}, {1107, false, ""}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice challenge;
        struct harbor_reply reply = recorded(cases[i].number, &arena, &challenge);
        check_account("recorded", &reply, cases[i].known, cases[i].version);
        done(&reply);
        arena_done(&arena);
    }
    struct harbor_reply of_211 = reply_of(200, JSON, ANONYMOUS_211);
    check_account("2.11, anonymous", &of_211, false, "v2.11.1-6b7ecba1");
    of_211 =
        reply_of(200, JSON,
                 "{\"external_url\":\"https://localhost\",\"harbor_version\":\"v2.11.1-6b7ecba1\","
                 "\"registry_url\":\"localhost\"}");
    check_account("2.11, a robot", &of_211, true, "v2.11.1-6b7ecba1");
    struct arena arena = {0};
    struct slice version = SLICE("untouched");
    bool known = true;
    struct harbor_reply replies[] = {reply_of(200, JSON, ""),
                                     reply_of(200, "text/html", "<html>"),
                                     reply_of(500, JSON, "{\"external_url\":\"v2\"}"),
                                     {0}};
    for (size_t i = 0; i < COUNT(replies); i++) {
        assert_false(harbor_read_systeminfo(&replies[i], &arena, &known, &version));
        check_text("systeminfo", "the version", version, "untouched");
        assert_true(known);
    }
    arena_done(&arena);
}

/* --- scans --- */

static void test_scan_requests(void **state)
{
    (void)state;
    static const struct {
        int number;
        enum scan_request_answer answer;
    } recordings[] = {
        {6025, SCAN_REQUEST_ACCEPTED},     {6024, SCAN_REQUEST_UNDER_WAY},
        {6029, SCAN_REQUEST_UNDER_WAY},    {6019, SCAN_REQUEST_UNSUPPORTED},
        {6021, SCAN_REQUEST_UNSUPPORTED},  {1028, SCAN_REQUEST_UNSUPPORTED},
        {6084, SCAN_REQUEST_UNSUPPORTED},  {6130, SCAN_REQUEST_NO_SCANNER},
        {6017, SCAN_REQUEST_UNAUTHORIZED}, {6018, SCAN_REQUEST_UNAUTHORIZED},
        {6016, SCAN_REQUEST_NOT_FOUND},    {6093, SCAN_REQUEST_FAILED},
        {9048, SCAN_REQUEST_FAILED}, /* 403, but read-only mode, not a missing right */
        {1018, SCAN_REQUEST_FAILED},
    };
    for (size_t i = 0; i < COUNT(recordings); i++) {
        struct arena arena = {0};
        struct slice challenge;
        struct harbor_reply reply = recorded(recordings[i].number, &arena, &challenge);
        struct slice name = arena_format(&arena, "%d", recordings[i].number);
        check_number(name.base, "the answer", harbor_read_scan_request(&reply),
                     recordings[i].answer);
        done(&reply);
        arena_done(&arena);
    }
    static const char error[] = "{\"errors\":[{\"code\":\"WHY\"}]}";
    static const struct {
        long status;
        const char *type, *body;
        enum scan_request_answer answer;
    } cases[] = {
        {0, "", "", SCAN_REQUEST_FAILED},
        {200, JSON, "{}", SCAN_REQUEST_FAILED},
        {202, "", "", SCAN_REQUEST_ACCEPTED},
        {302, "text/html", "", SCAN_REQUEST_FAILED},
        {422, JSON, error, SCAN_REQUEST_UNSUPPORTED},
        {400, "text/html", error, SCAN_REQUEST_FAILED}, /* a proxy's own */
        {404, "text/html", "<html>", SCAN_REQUEST_FAILED},
        {404, JSON, "{\"errors\":[{\"code\":\"WHY\"}]", SCAN_REQUEST_FAILED},
        {404, JSON, "{\"errors\":[]}", SCAN_REQUEST_FAILED},
        {404, JSON, error, SCAN_REQUEST_NOT_FOUND},
        {409, JSON, "", SCAN_REQUEST_FAILED},
        {412, JSON, "{}", SCAN_REQUEST_FAILED},
        {401, "text/html", "", SCAN_REQUEST_UNAUTHORIZED},
        {403, JSON, error, SCAN_REQUEST_UNAUTHORIZED},
        {429, JSON, error, SCAN_REQUEST_FAILED},
        {503, JSON, error, SCAN_REQUEST_FAILED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct harbor_reply reply = reply_of(cases[i].status, cases[i].type, cases[i].body);
        if (harbor_read_scan_request(&reply) != cases[i].answer)
            CHECK_FAIL("%ld %s %s: expected %d", cases[i].status, cases[i].type, cases[i].body,
                       cases[i].answer);
    }
}

/* What Harbor's jobservice sent to a listener: the body is the request's. */
static void test_events(void **state)
{
    (void)state;
    static const struct {
        int number;
        const char *repository;
    } cases[] = {
        {8023, "docker-hub-proxy/org/app"}, /* SCANNING_COMPLETED; below, the CloudEvents form */
        {8024, "docker-hub-proxy/org/app"},
        {8036, "docker-hub-proxy/org/multia"}, /* of an index's child, without a tag */
        {8037, "docker-hub-proxy/org/multia"},
        {8046, "docker-hub-proxy/org/app"}, /* by auto_scan */
        {8047, "docker-hub-proxy/org/app"},
        {8028, "docker-hub-proxy/org/fail"}, /* SCANNING_FAILED */
        {8027, "docker-hub-proxy/org/fail"},
        {8040, "docker-hub-proxy/org/mixed"},
        {8041, "docker-hub-proxy/org/mixed"},
        {8039, "docker-hub-proxy/org/slow"}, /* SCANNING_STOPPED */
        {8038, "docker-hub-proxy/org/slow"},
        {8029, "docker-hub-proxy/library/redis"}, /* PUSH_ARTIFACT */
        {8030, "docker-hub-proxy/library/redis"},
        {8061, "library/multi"},
        {8042, "docker-hub-proxy/org/deep/er/path"}, /* DELETE_ARTIFACT */
        {8043, "docker-hub-proxy/org/deep/er/path"},
        {8055, "docker-hub-proxy/org/uncached"}, /* QUOTA_EXCEED */
        {8054, "docker-hub-proxy/org/uncached"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice request, answer, head, body, repository = {0};
        read_recording(cases[i].number, &arena, &request, &answer);
        struct slice name = arena_format(&arena, "%d", cases[i].number);
        split(request, SLICE("\n\n"), &head, &body);
        body = copy_exact(body);
        check_number(name.base, "it is an event", harbor_read_event(body, &arena, &repository),
                     true);
        check_text(name.base, "the repository", repository, cases[i].repository);
        free((char *)body.base);
        arena_done(&arena);
    }
    static const char *const none[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"type\":\"SCANNING_COMPLETED\"}",
        "{\"type\":\"SCANNING_COMPLETED\",\"event_data\":null}",
        "{\"event_data\":{\"repository\":{\"repo_full_name\":\"\"}}}",
        "{\"event_data\":{\"repository\":{\"repo_full_name\":1}}}",
        "{\"event_data\":{\"repository\":{\"repo_full_name\":\"a/b\"}}",
        "{\"event_data\":{\"repository\":{\"repo_full_name\":\"\xff\"}}}",
    };
    for (size_t i = 0; i < COUNT(none); i++) {
        struct arena arena = {0};
        struct slice body = copy_exact(slice_from(none[i])), repository = SLICE("untouched");
        check_number(none[i], "it is an event", harbor_read_event(body, &arena, &repository),
                     false);
        check_text(none[i], "the repository", repository, "untouched");
        free((char *)body.base);
        arena_done(&arena);
    }
    /* a scan for a bill of materials is a hint, too */
    struct arena arena = {0};
    struct slice repository;
    assert_true(harbor_read_event(
        SLICE("{\"type\":\"SCANNING_COMPLETED\",\"event_data\":{\"scan\":{\"scan_type\":\"sbom\"},"
              "\"repository\":{\"repo_full_name\":\"p/r\"}}}"),
        &arena, &repository));
    check_text("sbom", "the repository", repository, "p/r");
    arena_done(&arena);
}

/* --- tokens --- */

static void test_challenges(void **state)
{
    (void)state;
    static const struct {
        const char *header, *realm, *service; /* realm NULL: none */
    } cases[] = {
        {"Bearer realm=\"https://h/t\",service=\"s\"", "https://h/t", "s"},
        {"bearer realm=\"https://h/t\"", "https://h/t", ""},
        {"Bearer service=\"s\",realm=\"https://h/t\",scope=\"a:b:c\"", "https://h/t", "s"},
        {"Bearer realm=\"https://h/t", "https://h/t", ""},
        {"", NULL, NULL},
        {"Bearer", NULL, NULL},
        {"Bearer ", NULL, NULL},
        {"Bearer realm=\"\"", NULL, NULL},
        {"Bearer realm=h", NULL, NULL},
        {"Basic realm=\"harbor\"", NULL, NULL},
        /* of several, in one header or joined */
        {"Basic realm=\"x\", Bearer realm=\"https://h/t\",service=\"s\"", "https://h/t", "s"},
        {"Bearer realm=\"https://h/t\",service=\"s\", Basic realm=\"x\"", "https://h/t", "s"},
        {"Negotiate, Bearer  realm=\"https://h/t\" , Basic realm=\"x\"", "https://h/t", ""},
        {"Bearer service=\"a\", Bearer realm=\"https://h/t\", service=\"b\"", "https://h/t", "b"},
        {"Bearer realm=\"\", Bearer realm=\"https://h/t\"", "https://h/t", ""},
        {"Basic realm=\"a, Bearer realm=\\\"https://evil/t\\\"\"", NULL, NULL},
        {"Bearer service=\"s\", Basic realm=\"x\"", NULL, NULL},
        {",, ,Bearer realm=\"https://h/t\"", "https://h/t", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice realm, service, text = copy_exact(slice_from(cases[i].header));
        bool read = harbor_read_challenge(text, &arena, &realm, &service);
        check_number(cases[i].header, "read", read, cases[i].realm != NULL);
        if (read) {
            check_text(cases[i].header, "the realm", realm, cases[i].realm);
            check_text(cases[i].header, "the service", service, cases[i].service);
        }
        free((char *)text.base);
        arena_done(&arena);
    }
    struct arena arena = {0};
    struct slice challenge, realm, service;
    struct harbor_reply reply = recorded(5007, &arena, &challenge);
    assert_true(harbor_read_challenge(challenge, &arena, &realm, &service));
    check_text("5007", "the realm", realm, "https://harbor.test/service/token");
    check_text("5007", "the service", service, "harbor-registry");
    done(&reply);
    reply = recorded(5042, &arena, &challenge);
    assert_false(harbor_read_challenge(challenge, &arena, &realm, &service));
    done(&reply);
    arena_done(&arena);
}

static void test_token_paths(void **state)
{
    (void)state;
    static const struct {
        const char *realm, *path; /* without what is asked for */
    } cases[] = {
        {"https://harbor.test/service/token", "/service/token?"},
        {"http://other.test:8080/service/token", "/service/token?"},
        {"https://other.test/token?account=x", "/token?account=x&"},
        {"https://other.test", "/?"},
        {"https://harbor.test@evil.test/token", "/token?"},
        {"file:///etc/passwd", "/etc/passwd?"},
        {"/service/token", "/service/token?"},
        {"not a url", "/?"},
        {"https://h/a b#c\x80", "/a%20b%23c%80?"},
    };
    const struct artifact_key key = {SLICE("p"), SLICE("team/app"), SLICE("1")};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct buffer path = {0};
        struct slice realm = copy_exact(slice_from(cases[i].realm));
        harbor_token_path(realm, SLICE("s"), &key, &path);
        check_text(cases[i].realm, "the path", buffer_slice(&path),
                   arena_format(&arena, "%sservice=s&scope=repository%%3Ap/team/app%%3Apull",
                                cases[i].path)
                       .base);
        free((char *)realm.base);
        buffer_done(&path);
        arena_done(&arena);
    }
}

static void test_tokens(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *body, *token; /* NULL: none */
        long seconds;
    } cases[] = {
        {200, "{\"token\":\"abc\"}", "abc", 60},
        {200, "{\"access_token\":\"abc\"}", "abc", 60},
        {200, "{\"token\":\"abc\",\"access_token\":\"def\",\"expires_in\":1800}", "abc", 1800},
        {200, "{\"token\":\"\",\"access_token\":\"def\"}", "def", 60},
        {200, "{\"token\":\"abc\",\"expires_in\":0}", "abc", 60},
        {200, "{\"token\":\"abc\",\"expires_in\":-5}", "abc", 60},
        {200, "{\"token\":\"abc\",\"expires_in\":\"x\"}", "abc", 60},
        {200, "{\"token\":\"abc\",\"expires_in\":99999999999999999999}", "abc", 999999999},
        {200, "{\"token\":\"a b\"}", NULL, 0},
        {200, "{\"token\":\"a\\r\\nX: y\"}", NULL, 0},
        {200, "{\"token\":\"a\\u0000\"}", NULL, 0},
        {200, "{\"token\":\"\xc3\xa4\"}", NULL, 0},
        {200, "{\"token\":1}", NULL, 0},
        {200, "{\"token\":\"abc\"", NULL, 0},
        {200, "{}", NULL, 0},
        {200, "", NULL, 0},
        {401, "{\"token\":\"abc\"}", NULL, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice token;
        long seconds;
        struct harbor_reply reply = reply_of(cases[i].status, JSON, cases[i].body);
        bool read = harbor_read_token(&reply, &arena, &token, &seconds);
        check_number(cases[i].body, "read", read, cases[i].token != NULL);
        if (read) {
            check_text(cases[i].body, "the token", token, cases[i].token);
            check_number(cases[i].body, "its seconds", seconds, cases[i].seconds);
        }
        arena_done(&arena);
    }
    static const int recordings[] = {5014, 5018, 1115};
    for (size_t i = 0; i < COUNT(recordings); i++) {
        struct arena arena = {0};
        struct slice challenge, token;
        long seconds;
        struct harbor_reply reply = recorded(recordings[i], &arena, &challenge);
        assert_true(harbor_read_token(&reply, &arena, &token, &seconds));
        assert_true(token.len > 500);
        assert_int_equal(seconds, 1800);
        done(&reply);
        arena_done(&arena);
    }
}

/* --- paths --- */

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *project, *repository, *reference, *artifact, *manifest;
    } cases[] = {
        {"docker-hub-proxy", "library/nginx", "1.27",
         "/api/v2.0/projects/docker-hub-proxy/repositories/library%252Fnginx/artifacts/1.27",
         "/v2/docker-hub-proxy/library/nginx/manifests/1.27"},
        {"p", "a/b/c_d.e-f", "sha256:ab",
         "/api/v2.0/projects/p/repositories/a%252Fb%252Fc_d.e-f/artifacts/sha256:ab",
         "/v2/p/a/b/c_d.e-f/manifests/sha256:ab"},
        /* what no reference can hold stays in its segment all the same */
        {"a/b", "x?y#z", "1/../2",
         "/api/v2.0/projects/a%2Fb/repositories/x%3Fy%23z/artifacts/1%2F..%2F2",
         "/v2/a%2Fb/x%3Fy%23z/manifests/1%2F..%2F2"},
        {"\xff ", "%2F", "\r\n", "/api/v2.0/projects/%FF%20/repositories/%252F/artifacts/%0D%0A",
         "/v2/%FF%20/%252F/manifests/%0D%0A"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct artifact_key key = {slice_from(cases[i].project),
                                         slice_from(cases[i].repository),
                                         slice_from(cases[i].reference)};
        struct buffer artifact = {0}, manifest = {0};
        harbor_artifact_path(&key, &artifact);
        harbor_manifest_path(&key, &manifest);
        check_text(cases[i].artifact, "the path", buffer_slice(&artifact), cases[i].artifact);
        check_text(cases[i].manifest, "the path", buffer_slice(&manifest), cases[i].manifest);
        buffer_done(&artifact);
        buffer_done(&manifest);
    }
    const struct artifact_key key = {SLICE("p"), SLICE("a/b"), SLICE("sha256:ab")};
    static const struct {
        void (*append)(const struct artifact_key *, struct buffer *);
        const char *tail;
    } sisters[] = {
        {harbor_artifact_path, ""},
        {harbor_artifact_scan_path, "?with_scan_overview=true"},
        {harbor_report_path, "/additions/vulnerabilities"},
        {harbor_scan_path, "/scan"},
    };
    for (size_t i = 0; i < COUNT(sisters); i++) {
        struct arena arena = {0};
        struct buffer path = {0};
        sisters[i].append(&key, &path);
        struct slice expected =
            arena_format(&arena, "/api/v2.0/projects/p/repositories/a%%252Fb/artifacts/sha256:ab%s",
                         sisters[i].tail);
        check_slice(expected.base, "the path", buffer_slice(&path), expected);
        buffer_done(&path);
        arena_done(&arena);
    }
    struct buffer project = {0};
    harbor_project_path(SLICE("2026"), &project);
    check_text("2026", "the path", buffer_slice(&project), "/api/v2.0/projects/2026");
    buffer_done(&project);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_artifacts),
        cmocka_unit_test(test_other_artifacts),
        cmocka_unit_test(test_recorded_manifests),
        cmocka_unit_test(test_recorded_health),
        cmocka_unit_test(test_no_health),
        cmocka_unit_test(test_projects),
        cmocka_unit_test(test_project_flags),
        cmocka_unit_test(test_ill_parts),
        cmocka_unit_test(test_existence),
        cmocka_unit_test(test_account),
        cmocka_unit_test(test_scan_requests),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_challenges),
        cmocka_unit_test(test_token_paths),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
