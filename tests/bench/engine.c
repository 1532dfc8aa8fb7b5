/* What our own part of an admission call takes: the scanner alone, reading the review, and all of
 * admit(), with few and with many policies. No sockets, no TLS, no log.
 *
 *     engine BODY time [NAME]...     nanoseconds of each case
 *     engine BODY count NAME N       N calls of one case, for callgrind
 *     engine BODY names              the names of all cases
 *
 * The policies are in the shape of policies/: the Pod in BODY must be in the namespace
 * `monitoring`, with images of docker.io or quay.io. */
#include "admit/admit.h"
#include "policy/policy.h"
#include "tests/bench/measure.h"
#include "json/scanner.h"

enum step { SCAN, REVIEW, ADMIT };

/* One thing to measure. The policy that decides stands in the middle of `policies` others. */
static const struct bench_case {
    const char *name;
    enum step step;
    enum mode mode;
    unsigned policies; /* others, by name of a namespace */
    unsigned globs;    /* others, by a glob; the one that decides then has one, too */
    unsigned excludes; /* patterns of the policy that decides, before the one that matches */
    bool facts;        /* it requires that images are in Harbor, which is known to have them all */
} cases[] = {
    {"scanner", .step = SCAN},
    {"review_parse", .step = REVIEW},
    {"admit-enforce", ADMIT, MODE_ENFORCE, 2, 0, 1, false},
    {"admit-audit", ADMIT, MODE_AUDIT, 2, 0, 1, false},
    {"admit-facts", ADMIT, MODE_ENFORCE, 2, 0, 1, true},
    {"policies-10", ADMIT, MODE_ENFORCE, 10, 0, 0, false},
    {"policies-1000", ADMIT, MODE_ENFORCE, 1000, 0, 0, false},
    {"policies-10000", ADMIT, MODE_ENFORCE, 10000, 0, 0, false},
    {"glob-policies-10", ADMIT, MODE_ENFORCE, 0, 10, 0, false},
    {"glob-policies-1000", ADMIT, MODE_ENFORCE, 0, 1000, 0, false},
    {"excludes-10", ADMIT, MODE_ENFORCE, 2, 0, 10, false},
    {"excludes-1000", ADMIT, MODE_ENFORCE, 2, 0, 1000, false},
};
enum { CASES = sizeof(cases) / sizeof(*cases) };

struct subject {
    struct slice body;
    const struct bench_case *bench_case;
    struct policies *policies;
};

/* --- policies --- */

static void write_policy(struct buffer *out, const char *name, unsigned number, const char *pattern)
{
    buffer_append_format(out,
                         "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\n"
                         "metadata: {name: %s-%u}\nspec:\n  namespaces: [\"%s\"]\n",
                         name, number, pattern);
}

static void write_others(struct buffer *out, const struct bench_case *c, unsigned from,
                         unsigned step)
{
    char pattern[64];
    for (unsigned i = from; i < c->policies; i += step) {
        snprintf(pattern, sizeof(pattern), "namespace-%u", i);
        write_policy(out, "exact", i, pattern);
    }
    for (unsigned i = from; i < c->globs; i += step) {
        snprintf(pattern, sizeof(pattern), "team-%u-*", i);
        write_policy(out, "glob", i, pattern);
    }
}

static void write_policies(const struct bench_case *c, struct buffer *out)
{
    buffer_append_text(out, "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\n"
                            "metadata: {name: default}\nspec:\n"
                            "  host: registry.test-cluster.agentydragon.com\n"
                            "  registries: {docker.io: docker-hub-proxy, ghcr.io: ghcr-proxy,\n"
                            "    quay.io: quay-proxy, registry.k8s.io: registry-k8s-proxy}\n");
    if (c->facts)
        buffer_append_text(out, "  api: {url: https://registry.test-cluster.agentydragon.com}\n");
    write_others(out, c, 0, 2);
    write_policy(out, "monitoring", 0, c->globs ? "monitor*" : "monitoring");
    if (c->facts)
        buffer_append_text(out, "  requireInHarbor: servable\n");
    buffer_append_text(out, "  exclude:\n");
    for (unsigned i = 0; i < c->excludes; i++)
        buffer_append_format(
            out, i % 2 ? "    - docker.io/library/never-%u\n" : "    - \"*/never-%u/*\"\n", i);
    buffer_append_text(out, "    - docker.io/library/busybox\n");
    write_others(out, c, 1, 2);
}

static struct policies *load(const struct bench_case *c)
{
    struct buffer text = {0};
    struct diagnostics diagnostics = {0};
    struct policies *policies = NULL;
    write_policies(c, &text);
    struct policy_source source = {SLICE("bench"), SLICE("bench.yaml"), buffer_slice(&text)};
    double began = measure_now();
    if (!policies_load(&source, 1, (struct slice){0}, &diagnostics, &policies)) {
        struct arena arena = {0};
        struct slice first = diagnostic_format(&diagnostics.items[0], &arena);
        fprintf(stderr, "%s: %zu errors, the first: %.*s\n", c->name, diagnostics.errors,
                SLICE_ARGS(first));
        exit(1);
    }
    fprintf(stderr, "%s: loaded in %.1f ms\n", c->name, (measure_now() - began) / 1e6);
    diagnostics_done(&diagnostics);
    buffer_done(&text);
    return policies;
}

/* --- facts, from memory: what they cost without looking them up --- */

static enum harbor_health is_up(const struct fact_source *self, const struct harbor *harbor)
{
    (void)self, (void)harbor;
    return HEALTH_UP;
}

static bool has_it(const struct fact_source *self, const struct harbor *harbor,
                   const struct artifact_key *key, fact_needs needs, long long now,
                   struct arena *arena, struct artifact_fact *ret)
{
    (void)self, (void)harbor, (void)key, (void)needs, (void)now, (void)arena;
    *ret = (struct artifact_fact){.present = TRUTH_YES, .public_ = TRUTH_YES};
    return true;
}

static const struct fact_source has_all = {is_up, has_it};

/* --- what is measured --- */

static bool scan(void *context)
{
    const struct subject *subject = context;
    struct json_scanner s;
    json_scanner_init(&s, subject->body);
    return json_skip(&s) && json_finish(&s);
}

static bool parse(void *context)
{
    const struct subject *subject = context;
    struct arena arena = {0};
    struct review review;
    struct error error;
    bool good = review_parse(subject->body, &arena, &review, &error) && review.pod.image_count;
    arena_done(&arena);
    return good;
}

/* As the server does it for each call. */
static bool answer(void *context)
{
    const struct subject *subject = context;
    enum mode mode = subject->bench_case->mode;
    static struct arena arena = {.first_block = 64 * 1024}; /* kept, as a thread of the server's */
    struct buffer out = {0};
    struct admission admission;
    struct error error;
    bool good =
        admit(&(struct admit_request){.policies = subject->policies,
                                      .webhook = ADMIT_MUTATE,
                                      .mode = mode,
                                      .body = subject->body,
                                      .facts = subject->bench_case->facts ? &has_all : NULL},
              &arena, &out, &admission, &error) &&
        admission.decisions.rewrites > 0 && (admission.patch_size > 0) == (mode == MODE_ENFORCE);
    buffer_done(&out);
    arena_clear(&arena);
    return good;
}

static void run(const struct bench_case *c, struct slice body, unsigned long count)
{
    measure_call *const calls[] = {[SCAN] = scan, [REVIEW] = parse, [ADMIT] = answer};
    struct subject subject = {body, c, c->step == ADMIT ? load(c) : NULL};
    measure(c->name, calls[c->step], &subject, count);
    policies_unref(subject.policies);
}

static const struct bench_case *find(const char *name)
{
    for (size_t i = 0; i < CASES; i++)
        if (strcmp(cases[i].name, name) == 0)
            return &cases[i];
    fprintf(stderr, "engine: no case `%s`\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[2] : "";
    size_t size;
    if (strcmp(what, "names") == 0) {
        for (size_t i = 0; i < CASES; i++)
            puts(cases[i].name);
        return 0;
    }
    if (strcmp(what, "time") != 0 && (strcmp(what, "count") != 0 || argc != 5)) {
        fprintf(stderr, "usage: engine BODY time [NAME]... | count NAME N | names\n");
        return 2;
    }
    char *text = measure_read_file(argv[1], &size);
    struct slice body = slice_of(text, size);
    if (strcmp(what, "count") == 0)
        run(find(argv[3]), body, strtoul(argv[4], NULL, 10));
    else if (argc > 3)
        for (int i = 3; i < argc; i++)
            run(find(argv[i]), body, 0);
    else
        for (size_t i = 0; i < CASES; i++)
            run(&cases[i], body, 0);
    free(text);
    return 0;
}
