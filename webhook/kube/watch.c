/* WATCH: streams with initial events where the API server has them (WatchList), else a list in
 * pages and a stream from there on. */
#include "webhook/kube/watch.h"

#include "base/memory.h"
#include "webhook/common/clock.h"
#include "webhook/kube/list.h"
#include "json/pointer.h"

#include <stdlib.h>
#include <string.h>

struct kube_watch {
    struct kube_client *client;
    char *path;
    kube_event *event;
    void *context;
    struct kube_stream *stream; /* NULL: none goes on */
    char *version;              /* from where it goes on; NULL: from the beginning */
    bool pages;                 /* the API server has no initial events */
    bool current, gone, came;   /* gone: the version is too old; came: the stream said something */
    struct buffer line;         /* an event that is not whole yet */
    struct arena arena;         /* of one event */
    long pause_ms;
    long long next_ms, began_ms;
    unsigned long restarts;
    unsigned random;
};

struct kube_watch *kube_watch_new(struct kube_client *client, const char *path, kube_event *event,
                                  void *context)
{
    struct kube_watch *watch = memory_allocate_zeroed(1, sizeof(*watch));
    *watch = (struct kube_watch){.client = client,
                                 .path = memory_copy_string(path),
                                 .event = event,
                                 .context = context,
                                 .pause_ms = KUBE_PAUSE_LEAST_MS,
                                 .random = (unsigned)clock_monotonic_ms()};
    watch->line.limit = KUBE_MAX_BODY;
    return watch;
}

void kube_watch_free(struct kube_watch *watch)
{
    if (!watch)
        return;
    kube_stream_free(watch->stream);
    buffer_done(&watch->line);
    arena_done(&watch->arena);
    free(watch->version);
    free(watch->path);
    free(watch);
}

bool kube_watch_is_current(const struct kube_watch *watch)
{
    return watch->current;
}

unsigned long kube_watch_restarts(const struct kube_watch *watch)
{
    return watch->restarts;
}

/* --- events --- */

static void keep_version(struct kube_watch *watch, struct slice object)
{
    struct slice version = json_find_text(object, "/metadata/resourceVersion", &watch->arena);
    if (version.len == 0 || !watch->current) /* before all have come, it cannot go on from here */
        return;
    free(watch->version);
    watch->version = memory_copy_slice(version);
}

static void take_bookmark(struct kube_watch *watch, struct slice object)
{
    struct slice end =
        json_find_text(object, "/metadata/annotations/k8s.io~1initial-events-end", &watch->arena);
    if (slice_equal(end, SLICE("true")))
        watch->current = true;
    keep_version(watch, object);
}

/* One line: {"type":"MODIFIED","object":{…}} */
static void take_event(struct kube_watch *watch, struct slice line)
{
    struct slice object, code;
    struct slice type = json_find_text(line, "/type", &watch->arena);
    if (!json_find(line, SLICE("/object"), &object))
        return;
    watch->came = true;
    if (slice_equal(type, SLICE("BOOKMARK"))) {
        take_bookmark(watch, object);
    } else if (slice_equal(type, SLICE("ERROR"))) {
        watch->gone |= json_find(object, SLICE("/code"), &code) && slice_equal(code, SLICE("410"));
        watch->came = false;
    } else {
        watch->event(watch->context, object, slice_equal(type, SLICE("DELETED")));
        keep_version(watch, object);
    }
    arena_clear(&watch->arena);
}

static void take_data(void *context, struct slice data)
{
    struct kube_watch *watch = context;
    while (data.len) {
        size_t end = slice_find(data, '\n');
        buffer_append(&watch->line, slice_head(data, end));
        if (end == data.len)
            return;
        take_event(watch, buffer_slice(&watch->line));
        buffer_clear(&watch->line);
        data = slice_from_index(data, end + 1);
    }
}

static void take_item(void *context, struct slice json)
{
    struct kube_watch *watch = context;
    watch->event(watch->context, json, false);
}

/* --- beginning and ending --- */

static void start_stream(struct kube_watch *watch)
{
    CLEANUP_BUFFER struct buffer path = {0};
    buffer_append_format(&path, "%s?watch=true&allowWatchBookmarks=true&timeoutSeconds=%d",
                         watch->path, KUBE_WATCH_SECONDS);
    if (watch->version)
        buffer_append_format(&path, "&resourceVersion=%s", watch->version);
    else
        buffer_append_text(&path, "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
    watch->current = watch->version != NULL;
    watch->gone = watch->came = false;
    watch->began_ms = clock_monotonic_ms();
    buffer_clear(&watch->line);
    const struct kube_request request = {
        .method = "GET", .path = path.base, .timeout_ms = (KUBE_WATCH_SECONDS + 10) * 1000L};
    watch->stream = kube_stream_start(watch->client, &request, take_data, watch);
}

static MUST_CHECK bool begin(struct kube_watch *watch, struct error *reterr)
{
    if (watch->pages && !watch->version &&
        !kube_list(watch->client, watch->path, "", take_item, watch, &watch->version, reterr))
        return false;
    start_stream(watch);
    return true;
}

static void pause_longer(struct kube_watch *watch)
{
    watch->random = watch->random * 1103515245 + 12345;
    long jitter = (long)(watch->random >> 16) % (watch->pause_ms / 2 + 1);
    watch->next_ms = clock_monotonic_ms() + watch->pause_ms / 2 + jitter;
    watch->pause_ms =
        watch->pause_ms * 2 < KUBE_PAUSE_MOST_MS ? watch->pause_ms * 2 : (long)KUBE_PAUSE_MOST_MS;
}

static void forget_version(struct kube_watch *watch)
{
    free(watch->version);
    watch->version = NULL;
}

/* What the end of a stream means. */
static MUST_CHECK bool end_stream(struct kube_watch *watch, struct error *reterr)
{
    const struct kube_reply *reply = kube_stream_reply(watch->stream);
    long status = reply->status;
    bool ok = true, lasted = clock_monotonic_ms() > watch->began_ms + KUBE_PAUSE_MOST_MS;
    if (!watch->gone && (watch->came || (status == 200 && lasted))) {
        watch->pause_ms = KUBE_PAUSE_LEAST_MS; /* its time was over */
    } else if (watch->gone || status == 410) {
        forget_version(watch);
    } else if ((status == 400 || status == 422) && !watch->version && !watch->pages) {
        watch->pages = true;
    } else if (status && status != 200) {
        ok = kube_refusal(reply, reterr);
        watch->current = false;
    } else if (status == 0) {
        ok = error_set(reterr, "the API server cannot be asked, or is silent");
        watch->current = false;
    }
    kube_stream_free(watch->stream);
    watch->stream = NULL;
    watch->restarts++;
    pause_longer(watch);
    return ok;
}

bool kube_watch_step(struct kube_watch *watch, struct error *reterr)
{
    if (watch->stream)
        return !kube_stream_is_over(watch->stream) || end_stream(watch, reterr);
    if (clock_monotonic_ms() < watch->next_ms || kube_is_interrupted(watch->client))
        return true;
    if (begin(watch, reterr))
        return true;
    watch->current = false;
    pause_longer(watch);
    return false;
}
