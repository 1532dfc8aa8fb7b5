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

/* --- the families, in the order in which they are shown --- */

enum metric_id {
    REVIEWS,
    IMAGES,
    GATE,
    UNJUDGED,
    DURATION,
    GENERATION,
    RELOAD_SUCCESSFUL,
    RELOAD_TIME,
    CERTIFICATE_EXPIRY,
    CONNECTIONS,
    BUILD_INFO,
    PROCESS_CPU,
    PROCESS_RESIDENT,
    PROCESS_VIRTUAL,
    PROCESS_OPEN_FDS,
    PROCESS_MAX_FDS,
    PROCESS_START,
    QUESTIONS,
    HARBOR_UP,
    REDIS_UP,
    UPSTREAM_UP,
    CACHED,
    HITS,
    MISSES,
    WAITED,
    LATE,
    SUSPENDED,
    PENDING,
    CLOSED,
    WRONG_SECRETS,
    METRIC_COUNT,
};

/* What is behind the help are the labels. */
#define FAMILY(id, kind, text, ...)                                                                \
    {                                                                                              \
        .name = (id), .type = (kind), .help = (text), .labels = { __VA_ARGS__ }                    \
    }

const struct metric metric_table[METRIC_COUNT + 1] = {
    [REVIEWS] = FAMILY("harborpilot_reviews_total", "counter", "Admission reviews answered.",
                       "webhook", "mode", "result"),
    [IMAGES] = FAMILY("harborpilot_images_total", "counter",
                      "Images decided on, by what became of them and why.", "policy", "outcome",
                      "reason", "mode", "registry"),
    [GATE] = FAMILY("harborpilot_gate_decisions_total", "counter",
                    "Images that the gate judged, by what it said and why.", "policy", "outcome",
                    "reason", "mode"),
    [UNJUDGED] = FAMILY("harborpilot_unjudged_total", "counter",
                        "Images that the gate let in without a verdict, by why there was none.",
                        "mode", "reason"),
    [DURATION] = FAMILY("harborpilot_review_duration_seconds", "histogram",
                        "From the whole request read to the answer made.", "webhook"),
    [GENERATION] = FAMILY("harborpilot_policy_generation", "gauge",
                          "How often policies were loaded since the start."),
    [RELOAD_SUCCESSFUL] = FAMILY("harborpilot_policy_last_reload_successful", "gauge",
                                 "1 when the last load of policies succeeded, else 0 and the "
                                 "set before is in use."),
    [RELOAD_TIME] = FAMILY("harborpilot_policy_last_reload_success_timestamp_seconds", "gauge",
                           "When policies were last loaded, seconds since 1970."),
    [CERTIFICATE_EXPIRY] = FAMILY("harborpilot_certificate_expiry_timestamp_seconds", "gauge",
                                  "When the serving certificate ends, seconds since 1970."),
    [CONNECTIONS] =
        FAMILY("harborpilot_connections", "gauge", "Open connections on the admission port."),
    [BUILD_INFO] = FAMILY("harborpilot_build_info", "gauge",
                          "1, with the version and commit as labels.", "version", "commit"),
    [PROCESS_CPU] = FAMILY("process_cpu_seconds_total", "counter", "User and system CPU time."),
    [PROCESS_RESIDENT] = FAMILY("process_resident_memory_bytes", "gauge", "Resident memory."),
    [PROCESS_VIRTUAL] = FAMILY("process_virtual_memory_bytes", "gauge", "Virtual memory."),
    [PROCESS_OPEN_FDS] = FAMILY("process_open_fds", "gauge", "Open file descriptors."),
    [PROCESS_MAX_FDS] = FAMILY("process_max_fds", "gauge", "The limit of open file descriptors."),
    [PROCESS_START] = FAMILY("process_start_time_seconds", "gauge",
                             "When the process started, seconds since 1970."),
    [QUESTIONS] = FAMILY("harborpilot_harbor_questions_total", "counter",
                         "Requests to Harbor, by kind and answer.", "harbor", "kind", "answer"),
    [HARBOR_UP] = FAMILY("harborpilot_harbor_up", "gauge",
                         "1 when Harbor can serve pulls and knows the account, as far as is known.",
                         "harbor"),
    [REDIS_UP] =
        FAMILY("harborpilot_harbor_redis_up", "gauge",
               "0 while Harbor says that its redis is ill: it answers slowly then.", "harbor"),
    [UPSTREAM_UP] = FAMILY("harborpilot_harbor_upstream_up", "gauge",
                           "1 when Harbor's own probe reaches what a proxy-cache project serves.",
                           "harbor", "project"),
    [CACHED] = FAMILY("harborpilot_facts_cached", "gauge",
                      "Artifacts about which something is known.", "harbor"),
    [HITS] = FAMILY("harborpilot_fact_hits_total", "counter",
                    "Facts that were known when they were needed."),
    [MISSES] = FAMILY("harborpilot_fact_misses_total", "counter",
                      "Facts that were not known when they were needed."),
    [WAITED] =
        FAMILY("harborpilot_reviews_waited_total", "counter", "Reviews that waited for Harbor."),
    [LATE] = FAMILY("harborpilot_reviews_late_total", "counter",
                    "Reviews decided at their deadline, without a fact."),
    [SUSPENDED] = FAMILY("harborpilot_reviews_suspended", "gauge", "Reviews that are waiting."),
    [PENDING] = FAMILY("harborpilot_harbor_questions_pending", "gauge",
                       "Requests to Harbor that are not answered yet."),
    [CLOSED] = FAMILY("harborpilot_connections_closed_total", "counter",
                      "Connections that were closed before their clients did, by port and reason.",
                      "port", "reason"),
    [WRONG_SECRETS] = FAMILY(
        "harborpilot_wrong_secrets_total", "counter",
        "Callers that did not show the secret, by the option that names its file.", "option"),
};

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

/* HELP and TYPE. OpenMetrics names a counter's family without the `_total` of its samples. */
static void family(struct page *p, enum metric_id id)
{
    const struct metric *m = &metric_table[id];
    size_t len = strlen(m->name);
    if (p->open_metrics && strcmp(m->type, "counter") == 0)
        len -= strlen("_total");
    buffer_append_format(p->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)len, m->name, m->help,
                         (int)len, m->name, m->type);
}

/* A sample, with the values of the family's labels in their order. */
static void sample(struct page *p, enum metric_id id, const struct slice *values, double value)
{
    const struct metric *m = &metric_table[id];
    buffer_append(p->out, slice_from(m->name));
    for (size_t i = 0; m->labels[i]; i++)
        buffer_append_format(p->out, "%s%s=\"%.*s\"", i ? "," : "{", m->labels[i],
                             SLICE_ARGS(values[i]));
    buffer_append_format(p->out, "%s %.15g\n", m->labels[0] ? "}" : "", value);
}

#define SAMPLE(p, id, value, ...) sample(p, id, (struct slice[]){__VA_ARGS__}, (double)(value))

/* A family with one sample and no labels. */
static void figure(struct page *p, enum metric_id id, double value)
{
    family(p, id);
    sample(p, id, NULL, value);
}

static void write_reviews(struct metrics *metrics, struct page *p)
{
    family(p, REVIEWS);
    for (int w = 0; w < WEBHOOKS; w++)
        for (int m = 0; m < MODES; m++)
            for (int r = 0; r < ADMIT_RESULT_COUNT; r++) {
                unsigned long long n = atomic_load(&metrics->reviews[w][m][r]);
                if (n)
                    SAMPLE(p, REVIEWS, n, slice_from(admit_webhook_name((enum admit_webhook)w)),
                           slice_from(mode_name((enum mode)m)),
                           slice_from(admit_result_name((enum admit_result)r)));
            }
}

/* The registry comes last: the gate's family has no such label. */
static void write_series(struct metrics *metrics, struct page *p, enum metric_id id,
                         const struct family *series)
{
    family(p, id);
    pthread_mutex_lock(&metrics->lock);
    for (const struct series *s = series->first; s; s = s->next)
        SAMPLE(p, id, s->count, s->policy, slice_from(s->outcome), slice_from(s->reason),
               slice_from(mode_name(s->mode)), s->registry);
    pthread_mutex_unlock(&metrics->lock);
}

static void write_unjudged(struct metrics *metrics, struct page *p)
{
    family(p, UNJUDGED);
    for (int mode = MODE_AUDIT; mode < MODES; mode++)
        for (int reason = 0; reason < GATE_REASONS; reason++)
            if (reason == GATE_UNAVAILABLE || reason == GATE_TOO_MANY)
                SAMPLE(p, UNJUDGED, atomic_load(&metrics->unjudged[mode][reason]),
                       slice_from(mode_name((enum mode)mode)),
                       slice_from(gate_reason_name((enum gate_reason)reason)));
}

static void write_durations(struct metrics *metrics, struct page *p)
{
    const char *name = metric_table[DURATION].name, *label = metric_table[DURATION].labels[0];
    family(p, DURATION);
    for (int w = 0; w < WEBHOOKS; w++) {
        const char *webhook = admit_webhook_name((enum admit_webhook)w);
        unsigned long long sum = 0;
        for (int b = 0; b <= BUCKETS; b++) {
            char bound[16] = "+Inf";
            sum += atomic_load(&metrics->durations[w][b]);
            if (b < BUCKETS)
                snprintf(bound, sizeof(bound), "%g", bucket_bounds[b]);
            buffer_append_format(p->out, "%s_bucket{%s=\"%s\",le=\"%s\"} %llu\n", name, label,
                                 webhook, bound, sum);
        }
        buffer_append_format(p->out, "%s_sum{%s=\"%s\"} %.9g\n", name, label, webhook,
                             (double)atomic_load(&metrics->duration_nanoseconds[w]) / 1e9);
        buffer_append_format(p->out, "%s_count{%s=\"%s\"} %llu\n", name, label, webhook, sum);
    }
}

static void write_state(struct metrics *metrics, struct page *p, unsigned connections)
{
    figure(p, GENERATION, (double)atomic_load(&metrics->generation));
    figure(p, RELOAD_SUCCESSFUL, atomic_load(&metrics->last_successful));
    figure(p, RELOAD_TIME, (double)atomic_load(&metrics->last_success));
    figure(p, CERTIFICATE_EXPIRY, (double)atomic_load(&metrics->certificate_expiry));
    figure(p, CONNECTIONS, connections);
    family(p, BUILD_INFO);
    SAMPLE(p, BUILD_INFO, 1, slice_from(version_number()), slice_from(version_commit()));
}

static void write_process(struct page *p)
{
    struct process_figures figures;
    if (!process_read(&figures))
        return;
    figure(p, PROCESS_CPU, figures.cpu_seconds);
    figure(p, PROCESS_RESIDENT, figures.resident_bytes);
    figure(p, PROCESS_VIRTUAL, figures.virtual_bytes);
    figure(p, PROCESS_OPEN_FDS, figures.open_descriptors);
    figure(p, PROCESS_MAX_FDS, figures.most_descriptors);
    figure(p, PROCESS_START, figures.start_seconds);
}

static void write_harbor(struct page *p, enum metric_id id, const struct harbor_figures *harbor)
{
    if (id == QUESTIONS)
        for (size_t i = 0; i < harbor->request_count; i++)
            SAMPLE(p, id, harbor->requests[i].count, harbor->name,
                   slice_from(harbor->requests[i].kind), slice_from(harbor->requests[i].answer));
    else if (id == UPSTREAM_UP)
        for (size_t i = 0; i < harbor->upstream_count; i++)
            SAMPLE(p, id, harbor->upstreams[i].healthy, harbor->name, harbor->upstreams[i].project);
    else
        SAMPLE(p, id,
               id == HARBOR_UP  ? harbor->up
               : id == REDIS_UP ? harbor->redis_up
                                : harbor->cached,
               harbor->name);
}

static void write_facts(struct page *p, const struct facts_figures *facts)
{
    for (enum metric_id id = QUESTIONS; id <= CACHED; id++) {
        family(p, id);
        for (size_t i = 0; i < facts->harbor_count; i++)
            write_harbor(p, id, &facts->harbors[i]);
    }
    figure(p, HITS, (double)facts->hits);
    figure(p, MISSES, (double)facts->misses);
    figure(p, WAITED, (double)facts->waits);
    figure(p, LATE, (double)facts->late);
    figure(p, SUSPENDED, facts->suspended);
    figure(p, PENDING, facts->pending);
}

void metrics_write(struct metrics *metrics, unsigned connections, const struct facts_figures *facts,
                   bool open_metrics, struct buffer *out)
{
    struct page p = {out, open_metrics};
    write_reviews(metrics, &p);
    write_series(metrics, &p, IMAGES, &metrics->images);
    write_series(metrics, &p, GATE, &metrics->gate);
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
    family(&p, CLOSED);
    for (size_t i = 0; i < count; i++)
        SAMPLE(&p, CLOSED, figures[i].count, slice_from(figures[i].port),
               slice_from(figures[i].reason));
}

void metrics_write_secrets(const struct secret_figures *figures, size_t count, bool open_metrics,
                           struct buffer *out)
{
    struct page p = {out, open_metrics};
    family(&p, WRONG_SECRETS);
    for (size_t i = 0; i < count; i++)
        if (figures[i].there)
            SAMPLE(&p, WRONG_SECRETS, figures[i].wrong, slice_from(figures[i].option));
}
