/* Rounds by tables: the replies that come, which request goes out after each, and what is found. */
#include "harbor/upstreams.h"

#include "tests/unit/check.h"

#define PAGE(n)     "/api/v2.0/projects?page_size=100&page=" n
#define SUMMARY(p)  "/api/v2.0/projects/" p "/summary"
#define PROXY(name) "{\"name\":\"" name "\",\"registry_id\":1}"
#define OWN(name)   "{\"name\":\"" name "\"}"
#define IS(url)     "{\"registry\":{\"url\":\"" url "\",\"status\":\"healthy\"}}"
#define ILL(url)    "{\"registry\":{\"url\":\"" url "\",\"status\":\"unhealthy\"}}"

struct step {
    const char *path; /* of the request that is under way */
    long status;
    const char *body;
};

static const struct {
    const char *name;
    struct step steps[6];
    enum upstreams_end end;
    enum harbor_answer answer; /* of the last reply */
    const char *found;         /* "domain project health" each */
} cases[] = {
    {"none", {{PAGE("1"), 200, "[]"}}, UPSTREAMS_FOUND, ANSWER_YES, ""},
    {"none that proxies", {{PAGE("1"), 200, "[" OWN("a") "]"}}, UPSTREAMS_FOUND, ANSWER_YES, ""},
    {"two, in the order of domains",
     {{PAGE("1"), 200, "[" PROXY("b") "," OWN("c") "," PROXY("a") "]"},
      {SUMMARY("b"), 200, IS("https://quay.io")},
      {SUMMARY("a"), 200, ILL("https://hub.docker.com")}},
     UPSTREAMS_FOUND,
     ANSWER_YES,
     "docker.io a 1, quay.io b 2, "},
    {"of one domain in the order of projects",
     {{PAGE("1"), 200, "[" PROXY("b") "," PROXY("a") "]"},
      {SUMMARY("b"), 200, IS("https://quay.io")},
      {SUMMARY("a"), 200, IS("https://quay.io")}},
     UPSTREAMS_FOUND,
     ANSWER_YES,
     "quay.io a 2, quay.io b 2, "},
    {"one that has just gone, and one that is not ours",
     {{PAGE("1"), 200, "[" PROXY("a") "," PROXY("b") "," PROXY("c") "]"},
      {SUMMARY("a"), 404, "{}"},
      {SUMMARY("b"), 403, "{}"},
      {SUMMARY("c"), 200, IS("https://quay.io")}},
     UPSTREAMS_FOUND,
     ANSWER_YES,
     "quay.io c 2, "},
    {"without an endpoint",
     {{PAGE("1"), 200, "[" PROXY("a") "]"}, {SUMMARY("a"), 200, "{}"}},
     UPSTREAMS_FOUND,
     ANSWER_NO,
     ""},
    {"no page", {{PAGE("1"), 200, "<html>"}}, UPSTREAMS_FAILED, ANSWER_FAILED, ""},
    {"not ours", {{PAGE("1"), 401, "{}"}}, UPSTREAMS_FAILED, ANSWER_UNAUTHORIZED, ""},
    {"later", {{PAGE("1"), 429, "{}"}}, UPSTREAMS_FAILED, ANSWER_LATER, ""},
    {"ill in the middle",
     {{PAGE("1"), 200, "[" PROXY("a") "," PROXY("b") "]"},
      {SUMMARY("a"), 200, IS("https://quay.io")},
      {SUMMARY("b"), 502, ""}},
     UPSTREAMS_FAILED,
     ANSWER_FAILED,
     ""},
};

static struct upstreams_step reply_to(struct upstreams *round, struct upstreams_step *step,
                                      long status, struct slice body)
{
    struct slice copy = copy_exact(body);
    struct harbor_reply reply = {.status = status, .json = true, .body = copy};
    struct upstreams_step next = upstreams_take(round, step->kind, &reply);
    free((char *)copy.base); /* nothing of it is needed afterwards */
    buffer_done(&step->path);
    return next;
}

static void test_rounds_of_projects(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct upstreams round = {0};
        struct upstreams_step step = upstreams_begin(&round);
        size_t j = 0;
        for (; j < 6 && cases[i].steps[j].path; j++) {
            const struct step *now = &cases[i].steps[j];
            check_number(cases[i].name, "it goes on", step.end, UPSTREAMS_GO_ON);
            check_text(cases[i].name, "the request", buffer_slice(&step.path), now->path);
            step = reply_to(&round, &step, now->status, slice_from(now->body));
        }
        check_number(cases[i].name, "the end", step.end, cases[i].end);
        check_number(cases[i].name, "the answer", step.answer, cases[i].answer);
        struct buffer text = {0};
        for (size_t k = 0; step.end == UPSTREAMS_FOUND && k < round.found_count; k++)
            buffer_append_format(&text, "%.*s %.*s %d, ", SLICE_ARGS(round.found[k].domain),
                                 SLICE_ARGS(round.found[k].project), round.found[k].healthy);
        check_text(cases[i].name, "what is found", buffer_slice(&text), cases[i].found);
        buffer_done(&text);
        upstreams_done(&round);
    }
}

/* A page that is full has another after it; there is an end to them. */
static void test_many_pages(void **state)
{
    (void)state;
    struct buffer page = {0};
    for (int i = 0; i < HARBOR_PROJECTS_PAGE; i++)
        buffer_append_format(&page, "%s" PROXY("p%d"), i ? "," : "[", i);
    buffer_append_char(&page, ']');
    struct upstreams round = {0};
    struct upstreams_step step = upstreams_begin(&round);
    int pages = 0, summaries = 0;
    for (; step.end == UPSTREAMS_GO_ON && step.kind == REQUEST_PROJECTS; pages++)
        step = reply_to(&round, &step, 200, buffer_slice(&page));
    for (; step.end == UPSTREAMS_GO_ON; summaries++)
        step = reply_to(&round, &step, 200, SLICE(IS("https://quay.io")));
    assert_int_equal(pages, UPSTREAMS_MAX_PROJECTS / HARBOR_PROJECTS_PAGE);
    assert_int_equal(summaries, UPSTREAMS_MAX_PROJECTS);
    assert_int_equal(round.found_count, UPSTREAMS_MAX_PROJECTS);
    upstreams_done(&round);
    step = upstreams_begin(&round); /* again from the first */
    check_text("again", "the request", buffer_slice(&step.path), PAGE("1"));
    buffer_done(&step.path);
    buffer_done(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds_of_projects),
        cmocka_unit_test(test_many_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
