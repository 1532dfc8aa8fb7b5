/* Counts what happens, and shows it to Prometheus. */
#include "webhook/metrics.h"

#include "base/map.h"
#include "webhook/process.h"
#include "webhook/version.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MODES = MODE_ENFORCE + 1,
    WEBHOOKS = ADMIT_VALIDATE + 1,
    BUCKETS = 12,
    SERIES_MAX = 100000, /* of images_total: what comes after is not counted */
    LABEL_KEY_SIZE = 1024,
};

static const double bucket_bounds[BUCKETS] = {0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005,
                                              0.001,   0.005,    0.025,   0.1,    0.5,     1};

/* One series of harborpilot_images_total. */
struct image_series {
    struct slice policy, registry;
    enum rewrite_reason reason;
    enum mode mode;
    uint64_t count;
    struct image_series *next; /* in the order of their making */
};

struct metrics {
    atomic_ullong reviews[WEBHOOKS][MODES][ADMIT_RESULT_COUNT];
    atomic_ullong durations[WEBHOOKS][BUCKETS + 1];
    atomic_ullong duration_nanoseconds[WEBHOOKS];
    atomic_ullong generation;
    atomic_llong last_success, certificate_expiry;
    atomic_bool last_successful;
    pthread_mutex_t lock; /* of all below */
    struct map images;
    struct arena arena;
    struct image_series *first, **last;
    size_t series;
};

struct metrics *metrics_new(void)
{
    struct metrics *metrics = memory_allocate_zeroed(1, sizeof(*metrics));
    pthread_mutex_init(&metrics->lock, NULL);
    metrics->last = &metrics->first;
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    pthread_mutex_destroy(&metrics->lock);
    map_done(&metrics->images);
    arena_done(&metrics->arena);
    free(metrics);
}

/* --- counting --- */

static struct image_series *find_series(struct metrics *metrics, const struct decisions *decisions,
                                        const struct decision *decision)
{
    char text[LABEL_KEY_SIZE];
    struct slice policy = decisions->policy ? decisions->policy->name : (struct slice){0};
    struct slice registry = decision->registry ? decision->registry->domain : SLICE("other");
    size_t len = 0;
    if (policy.len + registry.len + 4 > sizeof(text))
        return NULL;
    text[len++] = (char)decision->reason;
    text[len++] = (char)decisions->mode;
    if (policy.len)
        memcpy(text + len, policy.base, policy.len);
    len += policy.len;
    text[len++] = '\0';
    memcpy(text + len, registry.base, registry.len);
    len += registry.len;

    struct slice key = slice_of(text, len);
    struct image_series *series = map_get(&metrics->images, key);
    if (series || metrics->series == SERIES_MAX)
        return series;
    series = arena_allocate(&metrics->arena, sizeof(*series));
    *series = (struct image_series){.policy = arena_copy(&metrics->arena, policy),
                                    .registry = arena_copy(&metrics->arena, registry),
                                    .reason = decision->reason,
                                    .mode = decisions->mode};
    *map_put(&metrics->images, arena_copy(&metrics->arena, key)) = series;
    *metrics->last = series;
    metrics->last = &series->next;
    metrics->series++;
    return series;
}

static void count_images(struct metrics *metrics, const struct decisions *decisions)
{
    pthread_mutex_lock(&metrics->lock);
    for (size_t i = 0; i < decisions->count; i++) {
        struct image_series *series = find_series(metrics, decisions, &decisions->items[i]);
        if (series)
            series->count++;
    }
    pthread_mutex_unlock(&metrics->lock);
}

static void add(atomic_ullong *counter, unsigned long long n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
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
        count_images(metrics, &admission->decisions);
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

void metrics_family(struct buffer *out, bool open_metrics, const char *name, const char *type,
                    const char *help)
{
    size_t len = strlen(name);
    if (open_metrics && strcmp(type, "counter") == 0)
        len -= strlen("_total");
    buffer_append_format(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)len, name, help, (int)len,
                         name, type);
}

static void family(struct page *p, const char *name, const char *type, const char *help)
{
    metrics_family(p->out, p->open_metrics, name, type, help);
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
    for (const struct image_series *s = metrics->first; s; s = s->next)
        buffer_append_format(
            p->out,
            "harborpilot_images_total{policy=\"%.*s\",outcome=\"%s\",reason=\"%s\",mode=\"%s\","
            "registry=\"%.*s\"} %llu\n",
            SLICE_ARGS(s->policy), s->reason == REASON_REWRITTEN ? "rewrite" : "keep",
            decide_reason_name(s->reason), mode_name(s->mode), SLICE_ARGS(s->registry),
            (unsigned long long)s->count);
    pthread_mutex_unlock(&metrics->lock);
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

void metrics_write(struct metrics *metrics, unsigned connections, bool open_metrics,
                   struct buffer *out)
{
    struct page p = {out, open_metrics};
    write_reviews(metrics, &p);
    write_images(metrics, &p);
    write_durations(metrics, &p);
    write_state(metrics, &p, connections);
    write_process(&p);
}
