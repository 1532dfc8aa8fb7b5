/* Harbor's answers, by what a real one was recorded to answer (tests/data/harbor), and by what it
 * never would; the paths of questions. */
#include "harbor/api.h"

#include "tests/unit/check.h"

#include <glob.h>

#define JSON     "application/json"
#define MANIFEST "application/vnd.oci.image.index.v1+json"

/* --- recordings --- */

static struct slice header(struct slice head, const char *name)
{
    size_t len = strlen(name);
    while (head.len) {
        struct slice line = slice_head(head, slice_find(head, '\n'));
        head = slice_from_index(head, line.len + 1);
        if (line.len > len && strncasecmp(line.base, name, len) == 0 && line.base[len] == ':') {
            line = slice_from_index(line, len + 1);
            while (line.len && *line.base == ' ')
                line = slice_from_index(line, 1);
            return line.len && line.base[line.len - 1] == '\r' ? slice_head(line, line.len - 1)
                                                               : line;
        }
    }
    return (struct slice){0};
}

static bool has_type(struct slice head, const char *prefix)
{
    return slice_starts_with(header(head, "Content-Type"), slice_from(prefix));
}

/* The answer of tests/data/harbor/NUMBER-*.http; the header's text is in `ret_challenge`. */
static struct harbor_reply recorded(int number, struct arena *arena, struct slice *ret_challenge)
{
    static const char mark[] = "\n=== RESPONSE ===\n", end[] = "\r\n\r\n";
    glob_t found;
    struct slice pattern = arena_format(arena, "tests/data/harbor/%d-*.http", number);
    if (glob(pattern.base, 0, NULL, &found) != 0 || found.gl_pathc != 1)
        CHECK_FAIL("%s: expected one file", pattern.base);
    struct slice text = read_file(found.gl_pathv[0], arena);
    globfree(&found);
    const char *at = memmem(text.base, text.len, mark, sizeof(mark) - 1);
    assert_non_null(at);
    struct slice answer = slice_from_index(text, (size_t)(at - text.base) + sizeof(mark) - 1);
    const char *blank = memmem(answer.base, answer.len, end, sizeof(end) - 1);
    assert_non_null(blank);
    struct slice head = slice_head(answer, (size_t)(blank - answer.base) + 2);
    *ret_challenge = header(head, "Www-Authenticate");
    return (struct harbor_reply){
        .status = strtol(head.base + strlen("HTTP/1.1 "), NULL, 10),
        .json = has_type(head, JSON),
        .manifest = has_type(head, "application/vnd."),
        .has_challenge = ret_challenge->len != 0,
        .body = copy_exact(slice_from_index(answer, head.len + 2)),
    };
}

static void done(struct harbor_reply *reply)
{
    free((char *)reply->body.base);
}

static struct harbor_reply reply_of(long status, const char *type, const char *body)
{
    return (struct harbor_reply){
        .status = status,
        .json = strncmp(type, JSON, strlen(JSON)) == 0,
        .manifest = strncmp(type, "application/vnd.", 16) == 0,
        .body = slice_from(body),
    };
}

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

static void test_account(void **state)
{
    (void)state;
    static const struct {
        int number;
        const char *version;
    } cases[] = {{4029, "v2.15.2-080b0220"}, {4036, ""}, {1107, ""}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice challenge, version = SLICE("untouched");
        struct harbor_reply reply = recorded(cases[i].number, &arena, &challenge);
        assert_true(harbor_read_systeminfo(&reply, &arena, &version));
        check_text("systeminfo", "the version", version, cases[i].version);
        done(&reply);
        arena_done(&arena);
    }
    struct arena arena = {0};
    struct slice version = SLICE("untouched");
    struct harbor_reply replies[] = {reply_of(200, JSON, ""),
                                     reply_of(200, "text/html", "<html>"),
                                     reply_of(500, JSON, "{\"harbor_version\":\"v2\"}"),
                                     {0}};
    for (size_t i = 0; i < COUNT(replies); i++) {
        assert_false(harbor_read_systeminfo(&replies[i], &arena, &version));
        check_text("systeminfo", "the version", version, "untouched");
    }
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
        cmocka_unit_test(test_account),
        cmocka_unit_test(test_challenges),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
