/* Inquiries by tables: the replies that come, and which request goes out after each. */
#include "harbor/inquiry.h"

#include "tests/unit/check.h"

/* in the tables what is not said is zero */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define ARTIFACT   "/api/v2.0/projects/p/repositories/r/artifacts/"
#define GONE       "{\"errors\":[{\"code\":\"NOT_FOUND\"}]}"
#define DIGEST     "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HERE       "{\"digest\":\"" DIGEST "\",\"type\":\"IMAGE\"}"
#define CHALLENGE  "Bearer realm=\"https://t/token\",service=\"s\""
#define TOKEN_PATH "/token?service=s&scope=repository%3Ap/r%3Apull"

struct step {
    const char *path; /* of the request that is under way */
    enum request_kind kind;
    long status;
    const char *body; /* JSON; NULL: a manifest's type, and none */
    const char *challenge;
    long retry_after;
};

struct inquiry_case {
    const char *name;
    fact_needs needs;
    struct inquiry_view view;
    struct step steps[5];
    enum inquiry_end end;
    long live_ms;
    enum harbor_answer answer; /* of the last reply */
    fact_needs knows;
    struct artifact_fact fact; /* present, servable and the flags */
    long servable_ms;          /* what the upstream has just said is good for */
};

static const struct harbor_project filtered = {.filter = SLICE("team/**")};
static const struct harbor_project gated = {.prevent_vul = true};
static const struct harbor_project proxy = {.is_proxy = true};
static const struct harbor_project local = {.is_proxy = true, .local_on_not_found = true};
static const struct harbor_project gated_proxy = {.is_proxy = true, .prevent_vul = true};

#define SERVABLE (FACT_PRESENT | FACT_SERVABLE)
#define HEAD     "/v2/p/r/manifests/1"
#define STORED   "/v2/p/r/manifests/" DIGEST

static const struct inquiry_case cases[] = {
    {"it is there",
     FACT_PRESENT,
     {0},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}},
     INQUIRY_KNOWN,
     FACT_POSITIVE_MS,
     ANSWER_YES,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES}},
    {"it is not there",
     FACT_PRESENT,
     {0},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 404, GONE}},
     INQUIRY_KNOWN,
     FACT_NEGATIVE_MS,
     ANSWER_NO,
     FACT_PRESENT,
     {.present = TRUTH_NO}},
    {"refused",
     FACT_PRESENT,
     {0},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 403, "{}"}},
     INQUIRY_KNOWN,
     FACT_NEGATIVE_MS,
     ANSWER_UNAUTHORIZED,
     FACT_ALL,
     {.unauthorized = true}},
    {"ill",
     FACT_PRESENT,
     {0},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 502, "{}"}},
     INQUIRY_FAILED,
     FACT_FAILED_MS,
     ANSWER_FAILED},
    {"no artifact",
     FACT_PRESENT,
     {0},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, "{\"digest\":1}"}},
     INQUIRY_FAILED,
     FACT_FAILED_MS,
     ANSWER_YES},
    {"later",
     FACT_PRESENT,
     {0},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 429, "{}", NULL, 7}},
     INQUIRY_FAILED,
     7000,
     ANSWER_LATER},
    {"much later",
     FACT_PRESENT,
     {0},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 429, "{}", NULL, 9999}},
     INQUIRY_FAILED,
     60000,
     ANSWER_LATER},
    {"upstream has it",
     SERVABLE,
     {0},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 404, GONE}, {HEAD, REQUEST_MANIFEST, 200}},
     INQUIRY_KNOWN,
     FACT_SERVABLE_MS,
     ANSWER_YES,
     SERVABLE,
     {.present = TRUTH_NO, .servable = TRUTH_YES}},
    {"upstream has it not",
     SERVABLE,
     {0},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 404, GONE}, {HEAD, REQUEST_MANIFEST, 404, "{}"}},
     INQUIRY_KNOWN,
     FACT_NEGATIVE_MS,
     ANSWER_NO,
     SERVABLE,
     {.present = TRUTH_NO, .servable = TRUTH_NO}},
    {"upstream is quiet",
     SERVABLE,
     {.quiet_ms = 4500},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 404, GONE}},
     INQUIRY_FAILED,
     4000,
     ANSWER_NO},
    {"a challenge is followed once",
     SERVABLE,
     {0},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 404, GONE},
      {HEAD, REQUEST_MANIFEST, 401, NULL, CHALLENGE},
      {TOKEN_PATH, REQUEST_TOKEN, 200, "{\"token\":\"x\"}"},
      {HEAD, REQUEST_MANIFEST, 401, NULL, CHALLENGE}},
     INQUIRY_KNOWN,
     FACT_NEGATIVE_MS,
     ANSWER_UNAUTHORIZED,
     FACT_ALL,
     {.unauthorized = true}},
    {"a known token service, which refuses",
     SERVABLE,
     {.realm = SLICE("https://t/token"), .service = SLICE("s")},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 404, GONE},
      {TOKEN_PATH, REQUEST_TOKEN, 401, "{}"},
      {HEAD, REQUEST_MANIFEST, 401, NULL, CHALLENGE},
      {TOKEN_PATH, REQUEST_TOKEN, 401, "{}"}},
     INQUIRY_KNOWN,
     FACT_NEGATIVE_MS,
     ANSWER_UNAUTHORIZED,
     FACT_ALL,
     {.unauthorized = true}},
    {"a known token service is dead, and the proxy names another",
     SERVABLE,
     {.realm = SLICE("https://dead/old"), .service = SLICE("s")},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 404, GONE},
      {"/old?service=s&scope=repository%3Ap/r%3Apull", REQUEST_TOKEN, 0, NULL},
      {HEAD, REQUEST_MANIFEST, 401, NULL, "Basic realm=\"x\", " CHALLENGE},
      {TOKEN_PATH, REQUEST_TOKEN, 200, "{\"token\":\"x\"}"},
      {HEAD, REQUEST_MANIFEST, 200}},
     INQUIRY_KNOWN,
     FACT_SERVABLE_MS,
     ANSWER_YES,
     SERVABLE,
     {.present = TRUTH_NO, .servable = TRUTH_YES}},
    {"the filter says why",
     SERVABLE,
     {.project = &filtered},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 404, GONE},
      {HEAD, REQUEST_MANIFEST, 404, "{}"},
      {HEAD, REQUEST_FILTER, 404,
       "{\"errors\":[{\"message\":\"x does not match project repository filter\"}]}"}},
     INQUIRY_KNOWN,
     FACT_SERVABLE_MS,
     ANSWER_NO,
     SERVABLE,
     {.present = TRUTH_NO, .servable = TRUTH_NO, .outside_filter = true}},
    {"stored, and outside the filter",
     FACT_PRESENT,
     {.project = &filtered},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}, {STORED, REQUEST_PULL_GATE, 404, "{}"}},
     INQUIRY_KNOWN,
     FACT_POSITIVE_MS,
     ANSWER_NO,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES, .outside_filter = true}},
    {"the pull gate refuses",
     FACT_PRESENT,
     {.project = &gated},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}, {STORED, REQUEST_PULL_GATE, 412}},
     INQUIRY_KNOWN,
     FACT_POSITIVE_MS,
     ANSWER_REFUSED,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES, .refused_by_pull_gate = true}},
    {"the pull gate does not say",
     FACT_PRESENT,
     {.project = &gated},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}, {STORED, REQUEST_PULL_GATE, 500}},
     INQUIRY_KNOWN,
     FACT_FAILED_MS,
     ANSWER_FAILED,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES}},
    {"it is there, and its scanner is away",
     FACT_PRESENT | FACT_SCAN,
     {0},
     {{ARTIFACT "1?with_scan_overview=true", REQUEST_ARTIFACT, 200, HERE},
      {ARTIFACT DIGEST "/additions/vulnerabilities", REQUEST_REPORT, 404, GONE}},
     INQUIRY_KNOWN,
     FACT_FAILED_MS,
     ANSWER_FAILED,
     FACT_ALL,
     {.present = TRUTH_YES, .servable = TRUTH_YES}},
    {"a project that nobody polls",
     FACT_PRESENT | FACT_SCAN,
     {.lacks_project = true},
     {{"/api/v2.0/projects/p", REQUEST_PROJECT, 500, "{}"},
      {ARTIFACT "1?with_scan_overview=true", REQUEST_ARTIFACT, 404, GONE}},
     INQUIRY_KNOWN,
     FACT_NEGATIVE_MS,
     ANSWER_NO,
     FACT_PRESENT | FACT_SCAN,
     {.present = TRUTH_NO}},
    {"stored, and its upstream has the tag",
     SERVABLE,
     {.project = &proxy},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}, {HEAD, REQUEST_STORED_TAG, 200}},
     INQUIRY_KNOWN,
     FACT_POSITIVE_MS,
     ANSWER_YES,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES},
     FACT_POSITIVE_MS},
    {"stored, and its upstream has deleted the tag",
     SERVABLE,
     {.project = &proxy},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}, {HEAD, REQUEST_STORED_TAG, 404, "{}"}},
     INQUIRY_KNOWN,
     FACT_COPY_MS,
     ANSWER_NO,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_NO},
     FACT_COPY_MS},
    {"stored, and its upstream is throttled",
     SERVABLE,
     {.project = &proxy},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}, {HEAD, REQUEST_STORED_TAG, 429}},
     INQUIRY_KNOWN,
     FACT_COPY_MS,
     ANSWER_LATER,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES},
     FACT_COPY_MS},
    {"stored, and its upstream is ill",
     SERVABLE,
     {.project = &proxy},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}, {HEAD, REQUEST_STORED_TAG, 502}},
     INQUIRY_KNOWN,
     FACT_COPY_MS,
     ANSWER_FAILED,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES},
     FACT_COPY_MS},
    {"stored, and its upstream does not answer",
     SERVABLE,
     {.project = &proxy},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}, {HEAD, REQUEST_STORED_TAG, 0}},
     INQUIRY_KNOWN,
     FACT_COPY_MS,
     ANSWER_FAILED,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES},
     FACT_COPY_MS},
    {"stored, and a page of a portal is no no",
     SERVABLE,
     {.project = &proxy},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}, {HEAD, REQUEST_STORED_TAG, 404}},
     INQUIRY_KNOWN,
     FACT_COPY_MS,
     ANSWER_FAILED,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES},
     FACT_COPY_MS},
    {"stored, and the account may not pull",
     SERVABLE,
     {.project = &proxy},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE},
      {HEAD, REQUEST_STORED_TAG, 401, NULL, CHALLENGE},
      {TOKEN_PATH, REQUEST_TOKEN, 403, "{}"}},
     INQUIRY_KNOWN,
     FACT_COPY_MS,
     ANSWER_UNAUTHORIZED,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES},
     FACT_COPY_MS},
    {"stored, by a token",
     SERVABLE,
     {.project = &proxy},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE},
      {HEAD, REQUEST_STORED_TAG, 401, NULL, CHALLENGE},
      {TOKEN_PATH, REQUEST_TOKEN, 200, "{\"token\":\"x\"}"},
      {HEAD, REQUEST_STORED_TAG, 404, "{}"}},
     INQUIRY_KNOWN,
     FACT_COPY_MS,
     ANSWER_NO,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_NO},
     FACT_COPY_MS},
    {"stored, and nobody needs the upstream",
     FACT_PRESENT,
     {.project = &proxy},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}},
     INQUIRY_KNOWN,
     FACT_POSITIVE_MS,
     ANSWER_YES,
     FACT_PRESENT,
     {.present = TRUTH_YES}},
    {"stored, in a project that serves its copy",
     SERVABLE,
     {.project = &local},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}},
     INQUIRY_KNOWN,
     FACT_POSITIVE_MS,
     ANSWER_YES,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES}},
    {"stored, and the upstream is quiet",
     SERVABLE,
     {.project = &proxy, .quiet_ms = 4500},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}},
     INQUIRY_KNOWN,
     FACT_COPY_MS,
     ANSWER_YES,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES}},
    {"stored, and the upstream has its hands full",
     SERVABLE,
     {.project = &proxy, .copy_will_do = true},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}},
     INQUIRY_KNOWN,
     FACT_COPY_MS,
     ANSWER_YES,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES}},
    {"stored, and the upstream had the tag a moment ago",
     SERVABLE,
     {.project = &proxy, .servable = TRUTH_YES, .servable_ms = 9000},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}},
     INQUIRY_KNOWN,
     9000,
     ANSWER_YES,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES}},
    {"stored, and the upstream had it not a moment ago",
     FACT_PRESENT,
     {.project = &proxy, .servable = TRUTH_NO, .servable_ms = 9000},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}},
     INQUIRY_KNOWN,
     9000,
     ANSWER_YES,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_NO}},
    {"stored, and what the pull gate refuses its upstream is not asked for",
     SERVABLE,
     {.project = &gated_proxy},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE}, {STORED, REQUEST_PULL_GATE, 412}},
     INQUIRY_KNOWN,
     FACT_POSITIVE_MS,
     ANSWER_REFUSED,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_YES, .refused_by_pull_gate = true}},
    {"stored, and what the pull gate lets pass",
     SERVABLE,
     {.project = &gated_proxy},
     {{ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE},
      {STORED, REQUEST_PULL_GATE, 200},
      {HEAD, REQUEST_STORED_TAG, 404, "{}"}},
     INQUIRY_KNOWN,
     FACT_COPY_MS,
     ANSWER_NO,
     SERVABLE,
     {.present = TRUTH_YES, .servable = TRUTH_NO},
     FACT_COPY_MS},
};

static struct harbor_reply reply_of(const struct step *step)
{
    return (struct harbor_reply){
        .status = step->status,
        .json = step->body != NULL,
        .manifest = step->body == NULL,
        .challenge = slice_from(step->challenge ? step->challenge : ""),
        .retry_after = step->retry_after,
        .body = slice_from(step->body ? step->body : ""),
    };
}

static void check_request(const char *name, const struct inquiry *q, struct inquiry_step *got,
                          const struct step *wanted)
{
    check_number(name, "the end", got->end, INQUIRY_GOES_ON);
    check_text(name, "the path", buffer_slice(&got->path), wanted->path);
    check_number(name, "the kind", q->kind, wanted->kind);
    buffer_done(&got->path);
}

static void check_end(const struct inquiry_case *c, const struct inquiry_step *got)
{
    check_number(c->name, "the end", got->end, c->end);
    check_number(c->name, "the life", got->live_ms, c->live_ms);
    check_number(c->name, "the answer", got->answer, c->answer);
    if (c->end != INQUIRY_KNOWN)
        return;
    check_number(c->name, "what is known", got->knows, c->knows);
    check_number(c->name, "present", got->fact->present, c->fact.present);
    check_number(c->name, "its life", got->servable_ms, c->servable_ms);
    check_number(c->name, "servable", got->fact->servable, c->fact.servable);
    check_number(c->name, "unauthorized", got->fact->unauthorized, c->fact.unauthorized);
    check_number(c->name, "filter", got->fact->outside_filter, c->fact.outside_filter);
    check_number(c->name, "pull gate", got->fact->refused_by_pull_gate,
                 c->fact.refused_by_pull_gate);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct inquiry_case *c = &cases[i];
        struct arena arena = {0};
        struct inquiry q = {.arena = &arena, .key = {SLICE("p"), SLICE("r"), SLICE("1")}};
        struct inquiry_step got = inquiry_begin(&q, &c->view, c->needs);
        for (size_t j = 0; j < COUNT(c->steps) && c->steps[j].path; j++) {
            struct harbor_reply reply = reply_of(&c->steps[j]);
            check_request(c->name, &q, &got, &c->steps[j]);
            got = inquiry_take(&q, &c->view, &reply);
        }
        check_end(c, &got);
        inquiry_done(&q);
        arena_done(&arena);
    }
}

/* The token goes out with the HEAD, and the challenge's service is told once. */
static void test_token(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct inquiry q = {.arena = &arena, .key = {SLICE("p"), SLICE("r"), SLICE("1")}};
    struct inquiry_view view = {0};
    const struct step replies[] = {{ARTIFACT "1", REQUEST_ARTIFACT, 404, GONE},
                                   {HEAD, REQUEST_MANIFEST, 401, NULL, CHALLENGE},
                                   {TOKEN_PATH, REQUEST_TOKEN, 200, "{\"token\":\"x\"}"}};
    struct inquiry_step got = inquiry_begin(&q, &view, SERVABLE);
    for (size_t i = 0; i < COUNT(replies); i++) {
        struct harbor_reply reply = reply_of(&replies[i]);
        check_request("token", &q, &got, &replies[i]);
        got = inquiry_take(&q, &view, &reply);
        check_text("token", "the realm", got.realm, i == 1 ? "https://t/token" : "");
    }
    check_text("token", "the token", got.token, "x");
    buffer_done(&got.path);
    inquiry_done(&q);
    arena_done(&arena);
}

/* What is pinned is served from what is stored. */
static void test_stored_digest(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct inquiry q = {.arena = &arena, .key = {SLICE("p"), SLICE("r"), SLICE(DIGEST)}};
    struct inquiry_view view = {.project = &proxy};
    const struct step here = {ARTIFACT DIGEST, REQUEST_ARTIFACT, 200, HERE};
    struct harbor_reply reply = reply_of(&here);
    struct inquiry_step got = inquiry_begin(&q, &view, SERVABLE);
    check_request("digest", &q, &got, &here);
    got = inquiry_take(&q, &view, &reply);
    check_number("digest", "the end", got.end, INQUIRY_KNOWN);
    check_number("digest", "servable", got.fact->servable, TRUTH_YES);
    check_number("digest", "the life", got.live_ms, FACT_POSITIVE_MS);
    inquiry_done(&q);
    arena_done(&arena);
}

/* Whoever cannot wait for the upstream learns at once that Harbor has a copy. */
static void test_copy_is_told(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct inquiry q = {.arena = &arena, .key = {SLICE("p"), SLICE("r"), SLICE("1")}};
    struct inquiry_view view = {.project = &proxy};
    const struct step here = {ARTIFACT "1", REQUEST_ARTIFACT, 200, HERE};
    struct harbor_reply reply = reply_of(&here);
    struct inquiry_step got = inquiry_begin(&q, &view, SERVABLE);
    check_request("copy", &q, &got, &here);
    got = inquiry_take(&q, &view, &reply);
    check_number("copy", "the end", got.end, INQUIRY_GOES_ON);
    check_number("copy", "what is known", got.knows, FACT_PRESENT);
    check_number("copy", "present", got.fact->present, TRUTH_YES);
    check_number("copy", "servable", got.fact->servable, TRUTH_UNKNOWN);
    check_number("copy", "the life", got.live_ms, FACT_COPY_MS);
    buffer_done(&got.path);
    inquiry_done(&q);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_token),
                                       cmocka_unit_test(test_stored_digest),
                                       cmocka_unit_test(test_copy_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
