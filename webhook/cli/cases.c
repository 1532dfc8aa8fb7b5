/* Runs tables of cases through decide(). */
#include "webhook/cli/cases.h"

#include "base/cleanup.h"
#include "webhook/cli/facts_option.h"
#include "webhook/cli/single_image.h"

enum { COLUMNS_MAX = 16 };

struct runner {
    struct policies *policies;
    const struct text_list *paths;
    struct diagnostics *diagnostics;
    struct case_results *results;
    struct position at;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Splits a line at white space, up to a comment. */
static size_t split(struct slice line, struct slice *columns)
{
    size_t count = 0, at = 0;
    while (count < COLUMNS_MAX) {
        while (at < line.len && is_space(line.base[at]))
            at++;
        if (at == line.len || line.base[at] == '#')
            break;
        size_t begin = at;
        while (at < line.len && !is_space(line.base[at]))
            at++;
        columns[count++] = slice_of(line.base + begin, at - begin);
    }
    return count;
}

/* A facts file lies beside the cases. */
static bool read_facts(struct runner *r, struct slice name, struct facts_option *facts)
{
    struct slice file = r->at.file;
    size_t slash = slice_find_last(file, '/');
    struct slice folder = slash < file.len ? slice_head(file, slash + 1) : (struct slice){0};
    struct slice path = arena_join(&r->results->arena, (struct slice[]){folder, name}, 2);
    struct error error;
    if (facts_option_read(facts, path.base, &error))
        return true;
    diagnostics_error(r->diagnostics, r->at, "%s", error.text);
    return false;
}

/* NAME=VALUE,NAME=VALUE */
static bool read_labels(struct runner *r, struct slice text, struct single_image *single)
{
    struct error error;
    size_t capacity = 0;
    single->label_count = 0;
    for (;;) {
        struct slice one = slice_head(text, slice_find(text, ','));
        single->labels = arena_grow(&r->results->arena, single->labels, single->label_count,
                                    &capacity, sizeof(*single->labels));
        if (!single_image_read_label(one, &single->labels[single->label_count++], &error)) {
            diagnostics_error(r->diagnostics, r->at, "%s", error.text);
            return false;
        }
        if (one.len == text.len)
            return true;
        text = slice_from_index(text, one.len + 1);
    }
}

static bool read_option(struct runner *r, struct slice column, struct single_image *single,
                        struct facts_option *facts)
{
    size_t equals = slice_find(column, '=');
    struct slice key = slice_head(column, equals), value = slice_from_index(column, equals + 1);
    if (slice_equal(key, SLICE("owner")))
        single->owner = value;
    else if (slice_equal(key, SLICE("hash")))
        single->template_hash = value;
    else if (slice_equal(key, SLICE("pull-policy")))
        single->pull_policy = value;
    else if (slice_equal(key, SLICE("labels")))
        return read_labels(r, value, single);
    else if (slice_equal(key, SLICE("facts")))
        return read_facts(r, value, facts);
    else {
        diagnostics_error(r->diagnostics, r->at,
                          "`%.*s` is not an option of a case, expected owner=, "
                          "hash=, labels=, pull-policy= or facts=",
                          SLICE_ARGS(slice_head(column, 100)));
        return false;
    }
    return true;
}

static bool is_gate_reason(struct slice name)
{
    for (int i = 0; i < GATE_REASONS; i++)
        if (slice_equal(name, slice_from(gate_reason_name((enum gate_reason)i))))
            return true;
    return false;
}

static bool is_reason(struct slice name)
{
    for (int i = 0; i < REASON_REWRITTEN; i++)
        if (slice_equal(name, slice_from(decide_reason_name((enum rewrite_reason)i))))
            return true;
    return false;
}

static bool check_expectation(struct runner *r, struct slice expected)
{
    struct slice gate = slice_from_index(expected, SLICE("deny:").len);
    if (slice_starts_with(expected, SLICE("deny:")) && !is_gate_reason(gate)) {
        diagnostics_error(r->diagnostics, r->at,
                          "`%.*s` is not a reason to refuse an image; the man page "
                          "of explain lists them",
                          SLICE_ARGS(slice_head(gate, 60)));
        return false;
    }
    struct slice reason = slice_from_index(expected, SLICE("keep:").len);
    if (slice_starts_with(expected, SLICE("keep:")) && !is_reason(reason)) {
        diagnostics_error(r->diagnostics, r->at,
                          "`%.*s` is not a reason to keep an image; the man page "
                          "of explain lists them",
                          SLICE_ARGS(slice_head(reason, 60)));
        return false;
    }
    return true;
}

static void record(struct runner *r, struct slice expected, const struct decision *decision)
{
    struct case_results *results = r->results;
    struct slice got = decision->result;
    if (decision->verdict.judged && decision->verdict.outcome == GATE_DENY)
        got = arena_format(&results->arena, "deny:%s", gate_reason_name(decision->verdict.reason));
    else if (decision->reason != REASON_REWRITTEN)
        got = arena_format(&results->arena, "keep:%s", decide_reason_name(decision->reason));
    if (slice_equal(got, expected)) {
        results->passed++;
        return;
    }
    results->failures = arena_grow(&results->arena, results->failures, results->failed,
                                   &results->capacity, sizeof(*results->failures));
    results->failures[results->failed++] = (struct case_failure){
        .at = r->at,
        .expected = arena_copy(&results->arena, expected),
        .got = arena_copy(&results->arena, got),
    };
}

static void run_line(struct runner *r, struct slice line)
{
    struct slice columns[COLUMNS_MAX];
    size_t count = split(line, columns);
    if (count == 0)
        return;
    if (count < 3) {
        diagnostics_error(r->diagnostics, r->at,
                          "a case has %zu columns, expected NAMESPACE IMAGE "
                          "EXPECTED",
                          count);
        return;
    }
    struct single_image single = {
        .namespace_ = columns[0], .image = columns[1], .mode = MODE_ENFORCE};
    CLEANUP(facts_option_done) struct facts_option facts = {0};
    bool good = check_expectation(r, columns[2]);
    for (size_t i = 3; i < count; i++)
        good &= read_option(r, columns[i], &single, &facts);
    if (!good)
        return;
    single.facts = facts_option_source(&facts);
    single.now = facts_option_now(&facts);
    single.last_chance = true;
    struct single_image_pod pod;
    struct decisions decisions;
    struct error error;
    struct policies *policies = policies_ref(r->policies);
    if (!facts_option_discover(&facts, r->paths, &policies))
        diagnostics_error(r->diagnostics, r->at,
                          "with the `registries` of its facts the policies are invalid");
    else if (single_image_decide(policies, &single, &r->results->arena, &pod, &decisions, &error))
        record(r, columns[2], &decisions.items[0]);
    else
        diagnostics_error(r->diagnostics, r->at, "%s", error.text);
    policies_unref(policies);
}

void cases_run(struct policies *policies, const struct text_list *paths, struct slice text,
               struct slice file, struct diagnostics *diagnostics, struct case_results *results)
{
    struct runner r = {
        policies, paths, diagnostics, results, {arena_copy(&results->arena, file), 0, 1}};
    while (text.len) {
        size_t end = slice_find(text, '\n');
        r.at.line++;
        run_line(&r, slice_head(text, end));
        text = slice_from_index(text, end + 1);
    }
}

void case_results_done(struct case_results *results)
{
    arena_done(&results->arena);
    *results = (struct case_results){0};
}
