/* Counts what happens, and shows it to Prometheus. */
#include "webhook/serve/metrics.h"

#include "base/map.h"
#include "webhook/serve/process.h"
#include "webhook/version.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MODES = MODE_ENFORCE + 1,
    WEBHOOKS = ADMIT_VALIDATE + 1,
    BUCKETS = 12,
    SERIES_MAX = 100000, /* of images: what comes after is not counted */
    LABEL_KEY_SIZE = 1024,
};

static const double bucket_bounds[BUCKETS] = {0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005,
                                              0.001,   0.005,    0.025,   0.1,    0.5,     1};

/* One series of harborpilot_images_total or harborpilot_gate_decisions_total: what was decided of
 * images, by labels of which none comes from a Pod. */
struct series {
    struct slice policy;
    struct slice registry; /* images_total */
    const char *outcome, *reason;
    enum mode mode;
    uint64_t count;
    struct series *next; /* in the order of their making */
};

struct family {
    struct map by_labels;
    struct series *first, **last;
};

struct metrics {
    atomic_ullong reviews[WEBHOOKS][MODES][ADMIT_RESULT_COUNT];
    atomic_ullong durations[WEBHOOKS][BUCKETS + 1];
    atomic_ullong duration_nanoseconds[WEBHOOKS];
    atomic_ullong unjudged[MODES][GATE_REASONS];
    atomic_ullong generation;
    atomic_llong last_success, certificate_expiry;
    atomic_bool last_successful;
    pthread_mutex_t lock; /* of all below */
    struct family images, gate;
    struct arena arena;
    size_t series;
};

struct metrics *metrics_new(void)
{
    struct metrics *metrics = memory_allocate_zeroed(1, sizeof(*metrics));
    pthread_mutex_init(&metrics->lock, NULL);
    metrics->images.last = &metrics->images.first;
    metrics->gate.last = &metrics->gate.first;
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    pthread_mutex_destroy(&metrics->lock);
    map_done(&metrics->images.by_labels);
    map_done(&metrics->gate.by_labels);
    arena_done(&metrics->arena);
    free(metrics);
}

/* --- counting --- */

/* Counts one image in the series of these labels, which is made where there is none. */
static void count_series(struct metrics *metrics, struct family *family,
                         const struct series *labels)
{
    char text[LABEL_KEY_SIZE];
    const struct slice parts[] = {labels->policy, labels->registry, slice_from(labels->outcome),
                                  slice_from(labels->reason), slice_from(mode_name(labels->mode))};
    size_t len = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        if (len + parts[i].len + 1 > sizeof(text))
            return;
        if (parts[i].len)
            memcpy(text + len, parts[i].base, parts[i].len);
        len += parts[i].len;
        text[len++] = '|'; /* in no label's value */
    }
    struct slice key = slice_of(text, len);
    struct series *series = map_get(&family->by_labels, key);
    if (!series && metrics->series == SERIES_MAX)
        return;
    if (!series) {
        series = arena_allocate(&metrics->arena, sizeof(*series));
        *series = *labels;
        series->policy = arena_copy(&metrics->arena, labels->policy);
        series->registry = arena_copy(&metrics->arena, labels->registry);
        *map_put(&family->by_labels, arena_copy(&metrics->arena, key)) = series;
        *family->last = series;
        family->last = &series->next;
        metrics->series++;
    }
    series->count++;
}

static void count_image(struct metrics *metrics, const struct decisions *decisions,
                        const struct decision *decision)
{
    const struct series labels = {
        .policy = decisions->policy ? decisions->policy->name : (struct slice){0},
        .registry =
            decision->mapping.registry ? decision->mapping.registry->upstream.text : SLICE("other"),
        .outcome = decision->reason == REASON_REWRITTEN ? "rewrite" : "keep",
        .reason = decide_reason_name(decision->reason),
        .mode = decisions->mode,
    };
    count_series(metrics, &metrics->images, &labels);
}

static void count_gate(struct metrics *metrics, const struct decisions *decisions,
                       const struct verdict *verdict)
{
    const struct series labels = {
        .policy = decisions->policy->name,
        .outcome = gate_outcome_name(verdict->outcome),
        .reason = gate_reason_name(verdict->reason),
        .mode = decisions->mode,
    };
    if (verdict->judged)
        count_series(metrics, &metrics->gate, &labels);
}

/* The mutating webhook counts rewrites, the validating one what the gate said. */
static void count_decisions(struct metrics *metrics, const struct admission *admission)
{
    const struct decisions *decisions = &admission->decisions;
    pthread_mutex_lock(&metrics->lock);
    for (size_t i = 0; i < decisions->count; i++)
        if (admission->webhook == ADMIT_MUTATE)
            count_image(metrics, decisions, &decisions->items[i]);
        else if (decisions->policy)
            count_gate(metrics, decisions, &decisions->items[i].verdict);
    pthread_mutex_unlock(&metrics->lock);
}

static void add(atomic_ullong *counter, unsigned long long n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* What the gate let in without a verdict. An object with more images than are looked at is one. */
static void count_unjudged(struct metrics *metrics, const struct admission *admission)
{
    const struct decisions *decisions = &admission->decisions;
    atomic_ullong *counters = metrics->unjudged[decisions->mode];
    if (admission->webhook != ADMIT_VALIDATE)
        return;
    if (admission->too_many_images && decisions->gated && !admission->denied)
        add(&counters[GATE_TOO_MANY], 1);
    for (size_t i = 0; i < decisions->count; i++)
        if (gate_is_unjudged(&decisions->items[i].verdict))
            add(&counters[decisions->items[i].verdict.reason], 1);
}

void metrics_count(struct metrics *metrics, const struct admission *admission, double seconds)
{
    enum admit_webhook webhook = admission->webhook;
    size_t bucket = 0;
    while (bucket < BUCKETS && seconds > bucket_bounds[bucket])
        bucket++;
    add(&metrics->reviews[webhook][admission->decisions.mode][admission->result], 1);
    add(&metrics->durations[webhook][bucket], 1);
    add(&metrics->duration_nanoseconds[webhook], (unsigned long long)(seconds * 1e9));
    if (admission->decided && admission->decisions.count)
        count_decisions(metrics, admission);
    count_unjudged(metrics, admission);
}

void metrics_set_reload(struct metrics *metrics, bool successful, time_t now)
{
    atomic_store(&metrics->last_successful, successful);
    if (successful) {
        add(&metrics->generation, 1);
        atomic_store(&metrics->last_success, (long long)now);
    }
}

void metrics_set_certificate_expiry(struct metrics *metrics, time_t not_after)
{
    atomic_store(&metrics->certificate_expiry, (long long)not_after);
}

/* --- writing --- */

struct page {
    struct buffer *out;
    bool open_metrics;
};

/* HELP and TYPE of a family whose samples have this name. OpenMetrics names a counter's family
 * without the `_total` of its samples. */
static void family(struct page *p, const char *name, const char *type, const char *help)
{
    size_t len = strlen(name);
    if (p->open_metrics && strcmp(type, "counter") == 0)
        len -= strlen("_total");
    buffer_append_format(p->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)len, name, help, (int)len,
                         name, type);
}

static void gauge(struct page *p, const char *name, const char *help, double value)
{
    family(p, name, "gauge", help);
    buffer_append_format(p->out, "%s %.15g\n", name, value);
}

static void counter(struct page *p, const char *name, const char *help, double value)
{
    family(p, name, "counter", help);
    buffer_append_format(p->out, "%s %.15g\n", name, value);
}

static void write_reviews(struct metrics *metrics, struct page *p)
{
    family(p, "harborpilot_reviews_total", "counter", "Admission reviews answered.");
    for (int w = 0; w < WEBHOOKS; w++)
        for (int m = 0; m < MODES; m++)
            for (int r = 0; r < ADMIT_RESULT_COUNT; r++) {
                unsigned long long n = atomic_load(&metrics->reviews[w][m][r]);
                if (n)
                    buffer_append_format(p->out,
                                         "harborpilot_reviews_total{webhook=\"%s\",mode=\"%s\","
                                         "result=\"%s\"} %llu\n",
                                         admit_webhook_name((enum admit_webhook)w),
                                         mode_name((enum mode)m),
                                         admit_result_name((enum admit_result)r), n);
            }
}

static void write_images(struct metrics *metrics, struct page *p)
{
    family(p, "harborpilot_images_total", "counter",
           "Images decided on, by what became of them and why.");
    pthread_mutex_lock(&metrics->lock);
    for (const struct series *s = metrics->images.first; s; s = s->next)
        buffer_append_format(
            p->out,
            "harborpilot_images_total{policy=\"%.*s\",outcome=\"%s\",reason=\"%s\",mode=\"%s\","
            "registry=\"%.*s\"} %llu\n",
            SLICE_ARGS(s->policy), s->outcome, s->reason, mode_name(s->mode),
            SLICE_ARGS(s->registry), (unsigned long long)s->count);
    pthread_mutex_unlock(&metrics->lock);
}

static void write_gate(struct metrics *metrics, struct page *p)
{
    family(p, "harborpilot_gate_decisions_total", "counter",
           "Images that the gate judged, by what it said and why.");
    pthread_mutex_lock(&metrics->lock);
    for (const struct series *s = metrics->gate.first; s; s = s->next)
        buffer_append_format(p->out,
                             "harborpilot_gate_decisions_total{policy=\"%.*s\",outcome=\"%s\","
                             "reason=\"%s\",mode=\"%s\"} %llu\n",
                             SLICE_ARGS(s->policy), s->outcome, s->reason, mode_name(s->mode),
                             (unsigned long long)s->count);
    pthread_mutex_unlock(&metrics->lock);
}

static void write_unjudged(struct metrics *metrics, struct page *p)
{
    family(p, "harborpilot_unjudged_total", "counter",
           "Images that the gate let in without a verdict, by why there was none.");
    for (int mode = MODE_AUDIT; mode < MODES; mode++)
        for (int reason = 0; reason < GATE_REASONS; reason++)
            if (reason == GATE_UNAVAILABLE || reason == GATE_TOO_MANY)
                buffer_append_format(
                    p->out, "harborpilot_unjudged_total{mode=\"%s\",reason=\"%s\"} %llu\n",
                    mode_name((enum mode)mode), gate_reason_name((enum gate_reason)reason),
                    atomic_load(&metrics->unjudged[mode][reason]));
}

static void write_durations(struct metrics *metrics, struct page *p)
{
    static const char name[] = "harborpilot_review_duration_seconds";
    family(p, name, "histogram", "From the whole request read to the answer made.");
    for (int w = 0; w < WEBHOOKS; w++) {
        const char *webhook = admit_webhook_name((enum admit_webhook)w);
        unsigned long long sum = 0;
        for (int b = 0; b <= BUCKETS; b++) {
            char bound[16] = "+Inf";
            sum += atomic_load(&metrics->durations[w][b]);
            if (b < BUCKETS)
                snprintf(bound, sizeof(bound), "%g", bucket_bounds[b]);
            buffer_append_format(p->out, "%s_bucket{webhook=\"%s\",le=\"%s\"} %llu\n", name,
                                 webhook, bound, sum);
        }
        buffer_append_format(p->out, "%s_sum{webhook=\"%s\"} %.9g\n", name, webhook,
                             (double)atomic_load(&metrics->duration_nanoseconds[w]) / 1e9);
        buffer_append_format(p->out, "%s_count{webhook=\"%s\"} %llu\n", name, webhook, sum);
    }
}

static void write_state(struct metrics *metrics, struct page *p, unsigned connections)
{
    gauge(p, "harborpilot_policy_generation", "How often policies were loaded since the start.",
          (double)atomic_load(&metrics->generation));
    gauge(p, "harborpilot_policy_last_reload_successful",
          "1 when the last load of policies succeeded, else 0 and the set before is in use.",
          atomic_load(&metrics->last_successful));
    gauge(p, "harborpilot_policy_last_reload_success_timestamp_seconds",
          "When policies were last loaded, seconds since 1970.",
          (double)atomic_load(&metrics->last_success));
    gauge(p, "harborpilot_certificate_expiry_timestamp_seconds",
          "When the serving certificate ends, seconds since 1970.",
          (double)atomic_load(&metrics->certificate_expiry));
    gauge(p, "harborpilot_connections", "Open connections on the admission port.", connections);
    family(p, "harborpilot_build_info", "gauge", "1, with the version and commit as labels.");
    buffer_append_format(p->out, "harborpilot_build_info{version=\"%s\",commit=\"%s\"} 1\n",
                         version_number(), version_commit());
}

static void write_process(struct page *p)
{
    struct process_figures figures;
    if (!process_read(&figures))
        return;
    counter(p, "process_cpu_seconds_total", "User and system CPU time.", figures.cpu_seconds);
    gauge(p, "process_resident_memory_bytes", "Resident memory.", figures.resident_bytes);
    gauge(p, "process_virtual_memory_bytes", "Virtual memory.", figures.virtual_bytes);
    gauge(p, "process_open_fds", "Open file descriptors.", figures.open_descriptors);
    gauge(p, "process_max_fds", "The limit of open file descriptors.", figures.most_descriptors);
    gauge(p, "process_start_time_seconds", "When the process started, seconds since 1970.",
          figures.start_seconds);
}

static void write_requests(struct page *p, const struct facts_figures *facts)
{
    family(p, "harborpilot_harbor_questions_total", "counter",
           "Questions to Harbor, by kind and answer.");
    for (size_t i = 0; i < facts->harbor_count; i++) {
        const struct harbor_figures *harbor = &facts->harbors[i];
        for (size_t j = 0; j < harbor->request_count; j++)
            buffer_append_format(p->out,
                                 "harborpilot_harbor_questions_total{harbor=\"%.*s\",kind=\"%s\","
                                 "answer=\"%s\"} %llu\n",
                                 SLICE_ARGS(harbor->name), harbor->requests[j].kind,
                                 harbor->requests[j].answer, harbor->requests[j].count);
    }
}

static void write_upstreams(struct page *p, const struct facts_figures *facts)
{
    family(p, "harborpilot_harbor_upstream_up", "gauge",
           "1 when Harbor's own probe reaches what a proxy-cache project serves.");
    for (size_t i = 0; i < facts->harbor_count; i++) {
        const struct harbor_figures *harbor = &facts->harbors[i];
        for (size_t j = 0; j < harbor->upstream_count; j++)
            buffer_append_format(
                p->out, "harborpilot_harbor_upstream_up{harbor=\"%.*s\",project=\"%.*s\"} %d\n",
                SLICE_ARGS(harbor->name), SLICE_ARGS(harbor->upstreams[j].project),
                harbor->upstreams[j].healthy);
    }
}

/* A gauge with a sample for each Harbor in use. */
static void write_per_harbor(struct page *p, const struct facts_figures *facts, const char *name,
                             const char *help, size_t (*value)(const struct harbor_figures *harbor))
{
    family(p, name, "gauge", help);
    for (size_t i = 0; i < facts->harbor_count; i++)
        buffer_append_format(p->out, "%s{harbor=\"%.*s\"} %zu\n", name,
                             SLICE_ARGS(facts->harbors[i].name), value(&facts->harbors[i]));
}

static size_t up(const struct harbor_figures *harbor)
{
    return harbor->up;
}

static size_t cached(const struct harbor_figures *harbor)
{
    return harbor->cached;
}

static void write_facts(struct page *p, const struct facts_figures *facts)
{
    write_requests(p, facts);
    write_per_harbor(p, facts, "harborpilot_harbor_up",
                     "1 when Harbor can serve pulls and knows the account, as far as is known.",
                     up);
    write_upstreams(p, facts);
    write_per_harbor(p, facts, "harborpilot_facts_cached", "Artifacts that something is known of.",
                     cached);
    counter(p, "harborpilot_fact_hits_total", "Facts that were known when they were needed.",
            (double)facts->hits);
    counter(p, "harborpilot_fact_misses_total", "Facts that were not.", (double)facts->misses);
    counter(p, "harborpilot_reviews_waited_total", "Reviews that waited for Harbor.",
            (double)facts->waits);
    counter(p, "harborpilot_reviews_late_total",
            "Reviews decided at their deadline, without a fact.", (double)facts->late);
    gauge(p, "harborpilot_reviews_suspended", "Reviews that wait now.", facts->suspended);
    gauge(p, "harborpilot_harbor_questions_pending", "Questions that are not answered yet.",
          facts->pending);
}

void metrics_write(struct metrics *metrics, unsigned connections, const struct facts_figures *facts,
                   bool open_metrics, struct buffer *out)
{
    struct page p = {out, open_metrics};
    write_reviews(metrics, &p);
    write_images(metrics, &p);
    write_gate(metrics, &p);
    write_unjudged(metrics, &p);
    write_durations(metrics, &p);
    write_state(metrics, &p, connections);
    write_process(&p);
    write_facts(&p, facts);
}

void metrics_write_closed(const struct closed_figures *figures, size_t count, bool open_metrics,
                          struct buffer *out)
{
    struct page p = {out, open_metrics};
    family(&p, "harborpilot_connections_closed_total", "counter",
           "Connections that were closed before their clients did, by port and reason.");
    for (size_t i = 0; i < count; i++)
        buffer_append_format(
            out, "harborpilot_connections_closed_total{port=\"%s\",reason=\"%s\"} %llu\n",
            figures[i].port, figures[i].reason, figures[i].count);
}

void metrics_write_secrets(const struct secret_figures *figures, size_t count, bool open_metrics,
                           struct buffer *out)
{
    struct page p = {out, open_metrics};
    family(&p, "harborpilot_wrong_secrets_total", "counter",
           "Callers that did not show the secret, by the option that names its file.");
    for (size_t i = 0; i < count; i++)
        if (figures[i].there)
            buffer_append_format(out, "harborpilot_wrong_secrets_total{option=\"%s\"} %llu\n",
                                 figures[i].option, figures[i].wrong);
}
