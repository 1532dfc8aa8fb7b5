/* A small server beside the watch. */
#include "webhook/cli/rescue_metrics.h"

#include "webhook/common/clock.h"
#include "webhook/serve/http.h"
#include "webhook/serve/listen.h"
#include "webhook/version.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SERIES_MAX = 32,
    CONNECTIONS = 32,
    CONNECTION_SECONDS = 40,
    ALIVE_MS = 120000, /* longer than any request with its retries is likely to take */
};

_Static_assert((int)RESCUE_ADDRESS_SIZE >= (int)LISTEN_NAME_SIZE, "listen_on writes it");

struct series {
    enum rescue_result result;
    const char *reason;
    unsigned long long count;
};

struct rescue_metrics {
    struct MHD_Daemon *daemon;
    struct facts *facts;
    pthread_mutex_t lock; /* of all below */
    struct series series[SERIES_MAX];
    size_t series_count;
    size_t waiting;
    bool watching;
    unsigned long restarts;
    long long alive_ms;
};

static void family(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_append_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_harbors(struct rescue_metrics *metrics, struct buffer *out)
{
    CLEANUP_ARENA struct arena arena = {0};
    struct facts_figures figures;
    facts_read_figures(metrics->facts, &arena, &figures);
    family(out, "harborpilot_harbor_up", "gauge", "1 where Harbor can serve pulls.");
    for (size_t i = 0; i < figures.harbor_count; i++)
        buffer_append_format(out, "harborpilot_harbor_up{harbor=\"%.*s\"} %d\n",
                             SLICE_ARGS(figures.harbors[i].name), figures.harbors[i].up);
}

static void write_metrics(struct rescue_metrics *metrics, struct buffer *out)
{
    pthread_mutex_lock(&metrics->lock);
    family(out, "harborpilot_rescued_containers_total", "counter",
           "Containers whose image was put back, or whose Pod was deleted.");
    for (size_t i = 0; i < metrics->series_count; i++)
        buffer_append_format(
            out, "harborpilot_rescued_containers_total{result=\"%s\",reason=\"%s\"} %llu\n",
            rescue_results[metrics->series[i].result], metrics->series[i].reason,
            metrics->series[i].count);
    family(out, "harborpilot_rescue_waiting_pods", "gauge",
           "Pods in which an image at Harbor is waited for.");
    buffer_append_format(out, "harborpilot_rescue_waiting_pods %zu\n", metrics->waiting);
    family(out, "harborpilot_rescue_watching", "gauge", "1 while the Pods are followed.");
    buffer_append_format(out, "harborpilot_rescue_watching %d\n", metrics->watching);
    family(out, "harborpilot_rescue_watch_restarts_total", "counter",
           "How often a watch of the API server began again.");
    buffer_append_format(out, "harborpilot_rescue_watch_restarts_total %lu\n", metrics->restarts);
    pthread_mutex_unlock(&metrics->lock);
    write_harbors(metrics, out);
    family(out, "harborpilot_build_info", "gauge", "1, with the version and commit as labels.");
    buffer_append_format(out, "harborpilot_build_info{version=\"%s\",commit=\"%s\"} 1\n",
                         version_number(), version_commit());
}

#define TEXT "text/plain; charset=utf-8"

static enum MHD_Result answer_probe(struct MHD_Connection *connection, const char *complaint)
{
    return http_answer(connection, complaint ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, TEXT,
                       complaint ? slice_from(complaint) : SLICE("ok"), NULL, NULL, false);
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    static int seen;
    struct rescue_metrics *metrics = context;
    (void)version, (void)upload;
    if (!*state || *upload_size) { /* a body, where there is one, is passed over */
        *state = &seen;
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return http_answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, TEXT,
                           SLICE("this method is not allowed here; expected GET\n"),
                           MHD_HTTP_HEADER_ALLOW, "GET, HEAD", false);
    pthread_mutex_lock(&metrics->lock);
    bool alive = clock_monotonic_ms() < metrics->alive_ms + ALIVE_MS, ready = metrics->watching;
    pthread_mutex_unlock(&metrics->lock);
    if (strcmp(url, "/livez") == 0)
        return answer_probe(connection, alive ? NULL : "the watch stands still\n");
    if (strcmp(url, "/readyz") == 0)
        return answer_probe(connection, ready ? NULL : "the Pods are not followed\n");
    if (strcmp(url, "/metrics") != 0)
        return http_answer(connection, MHD_HTTP_NOT_FOUND, TEXT,
                           SLICE("no such path; expected /livez, /readyz or /metrics\n"), NULL,
                           NULL, false);
    CLEANUP_BUFFER struct buffer out = {0};
    write_metrics(metrics, &out);
    return http_answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
                       buffer_slice(&out), NULL, NULL, false);
}

struct rescue_metrics *rescue_metrics_start(const char *address, struct facts *facts,
                                            char ret_name[static RESCUE_ADDRESS_SIZE],
                                            struct error *reterr)
{
    int socket = listen_on(address, ret_name, reterr);
    if (socket < 0)
        return NULL;
    struct rescue_metrics *metrics = memory_allocate_zeroed(1, sizeof(*metrics));
    metrics->facts = facts;
    metrics->alive_ms = clock_monotonic_ms();
    pthread_mutex_init(&metrics->lock, NULL);
    metrics->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle,
        metrics, MHD_OPTION_EXTERNAL_LOGGER, http_log, NULL, MHD_OPTION_LISTEN_SOCKET, socket,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)CONNECTION_SECONDS, MHD_OPTION_END);
    if (metrics->daemon)
        return metrics;
    error_set(reterr, "libmicrohttpd did not start; its own message is in the log");
    close(socket);
    free(metrics);
    return NULL;
}

void rescue_metrics_stop(struct rescue_metrics *metrics)
{
    if (!metrics)
        return;
    MHD_stop_daemon(metrics->daemon);
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

void rescue_metrics_count(struct rescue_metrics *metrics, enum rescue_result result,
                          const char *reason)
{
    if (!metrics || result == RESCUE_LEFT)
        return;
    size_t i = 0;
    pthread_mutex_lock(&metrics->lock);
    while (i < metrics->series_count &&
           (metrics->series[i].result != result || strcmp(metrics->series[i].reason, reason) != 0))
        i++;
    if (i == metrics->series_count && i < SERIES_MAX)
        metrics->series[metrics->series_count++] = (struct series){result, reason, 0};
    if (i < SERIES_MAX)
        metrics->series[i].count++;
    pthread_mutex_unlock(&metrics->lock);
}

void rescue_metrics_set(struct rescue_metrics *metrics, size_t waiting, bool watching,
                        unsigned long restarts)
{
    if (!metrics)
        return;
    pthread_mutex_lock(&metrics->lock);
    metrics->waiting = waiting;
    metrics->watching = watching;
    metrics->restarts = restarts;
    metrics->alive_ms = clock_monotonic_ms();
    pthread_mutex_unlock(&metrics->lock);
}
