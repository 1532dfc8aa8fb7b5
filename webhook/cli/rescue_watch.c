/* rescue --watch: Pods that wait are known before Harbor is, and rescued as soon as it is known to
 * be down. One thread: events of the API server, health, and what is due, in turn. */
#include "webhook/cli/rescue.h"

#include "webhook/cli/interrupt.h"
#include "webhook/cli/rescue_metrics.h"
#include "webhook/common/clock.h"
#include "webhook/common/log.h"
#include "webhook/common/policy_files.h"
#include "webhook/kube/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    TICK_MS = 100,
    DOUBT_MS = 500,    /* Harbor is asked about every HEALTH_POLL_ILL_MS then */
    AGAIN_MS = 5000,   /* what was left is looked at again */
    RETRY_MS = 1000,   /* after the API server did not answer */
    RELOAD_MS = 10000, /* policies and accounts are compared */
    AT_ONCE = 20,      /* Pods between two looks at events */
};

/* A Pod in which something waits. */
struct entry {
    struct slice namespace_, name; /* of one allocation, namespace_.base */
    long long due_ms;
    bool failed;      /* the kubelet says that a pull failed; else one has only begun */
    const char *left; /* why it was left the last time it was said; NULL: it was not */
};

struct watching {
    const struct rescue_watching *given;
    struct rescuer *rescuer;
    struct kube_watch **watches;
    size_t watch_count;
    struct entry *entries;
    size_t count, capacity;
    struct entry *current; /* a copy of the one that rescue_pod is called for */
    struct rescue_metrics *metrics;
    unsigned down; /* the Harbors that are, as bits */
    char digest[65];
    long long doubt_ms, reload_ms;
    struct arena arena; /* of one event */
};

/* --- Pods that wait --- */

static struct entry *find(struct watching *w, struct slice namespace_, struct slice name)
{
    for (size_t i = 0; i < w->count; i++)
        if (slice_equal(w->entries[i].name, name) &&
            slice_equal(w->entries[i].namespace_, namespace_))
            return &w->entries[i];
    return NULL;
}

static void forget(struct watching *w, struct entry *entry)
{
    free((char *)entry->namespace_.base);
    *entry = w->entries[--w->count];
}

static struct entry *add(struct watching *w, struct slice namespace_, struct slice name)
{
    if (w->count == w->capacity) {
        w->capacity = w->capacity ? 2 * w->capacity : 16;
        w->entries = memory_resize(w->entries, w->capacity * sizeof(*w->entries));
    }
    char *text = memory_allocate(namespace_.len + name.len + 1);
    memcpy(text, namespace_.base, namespace_.len);
    memcpy(text + namespace_.len, name.base, name.len);
    w->entries[w->count] = (struct entry){
        .namespace_ = slice_of(text, namespace_.len),
        .name = slice_of(text + namespace_.len, name.len),
    };
    return &w->entries[w->count++];
}

/* When a Pod is worth looking at: at once where a pull has failed, else when what has begun counts
 * as hung. */
static long long due_of(const struct watching *w, const struct rescue_pod *rescue, bool *ret_failed)
{
    long long due = clock_monotonic_ms(), since = 0;
    *ret_failed = false;
    for (size_t i = 0; i < rescue->count; i++) {
        *ret_failed |= rescue->items[i].wait == RESCUE_FAILED;
        if (rescue->items[i].since > since)
            since = rescue->items[i].since;
    }
    long long waited_ms = ((long long)time(NULL) - since) * 1000;
    return *ret_failed || waited_ms >= w->rescuer->hung_after_ms
               ? due
               : due + w->rescuer->hung_after_ms - waited_ms;
}

static bool is_worth_it(const struct rescue_pod *rescue)
{
    for (size_t i = 0; i < rescue->count; i++)
        if (rescue->items[i].obstacle != RESCUE_ENDING)
            return true;
    return false;
}

static void take_event(void *context, struct slice json, bool deleted)
{
    struct watching *w = context;
    struct rescue_pod rescue;
    bool failed;
    rescue_read(w->rescuer->set, json, &w->arena, &rescue);
    bool waits = !deleted && is_worth_it(&rescue);
    if (!waits && w->count == 0) /* as nearly always */
        goto done;
    if (!rescue.pod.name.len) { /* it was not read: nothing waits */
        struct json_scanner s;
        json_scanner_init(&s, json);
        pod_read(&s, &w->arena, &rescue.pod);
    }
    struct entry *entry = find(w, rescue.pod.namespace_, rescue.pod.name);
    if (!waits) {
        if (entry && !(w->current && w->current->name.base == entry->name.base))
            forget(w, entry); /* of the one that is looked at now the texts are in use */
        goto done;
    }
    long long due = due_of(w, &rescue, &failed);
    if (!entry)
        entry = add(w, rescue.pod.namespace_, rescue.pod.name);
    else if (entry->failed == failed)
        goto done; /* it comes up in its own time */
    entry->due_ms = due;
    entry->failed = failed;
done:
    arena_clear(&w->arena);
}

/* --- what is told --- */

static void tell(void *context, const struct rescue_outcome *o)
{
    struct watching *w = context;
    struct log_line line;
    rescue_metrics_count(w->metrics, o->result, o->reason);
    if (o->result == RESCUE_LEFT) {
        if (w->current->left && strcmp(w->current->left, o->reason) == 0)
            return; /* said already */
        w->current->left = o->reason;
    }
    log_begin(&line, o->result == RESCUE_LEFT ? LOG_WARNING : LOG_INFO, EVENT_RESCUE,
              o->result == RESCUE_RESTORED  ? "put an image back"
              : o->result == RESCUE_DELETED ? "deleted a Pod whose controller makes another"
                                            : "left a Pod that waits for Harbor");
    json_member_text(&line.w, "result", rescue_results[o->result]);
    json_member_text(&line.w, "reason", o->reason);
    json_member(&line.w, "namespace", o->namespace_);
    json_member(&line.w, "pod", o->name);
    json_member(&line.w, "container", o->container);
    json_member(&line.w, "image", o->image);
    if (o->original.len)
        json_member(&line.w, "original", o->original);
    json_member(&line.w, "detail", o->detail);
    json_member_bool(&line.w, "dryRun", w->rescuer->dry_run);
    log_end(&line);
}

/* --- what is due --- */

static void rescue_entry(struct watching *w, size_t index)
{
    struct error error;
    /* events that come meanwhile may add entries, and so move them */
    struct entry entry = w->entries[index];
    w->current = &entry;
    w->entries[index].due_ms = clock_monotonic_ms() + AGAIN_MS;
    enum rescue_end end = rescue_pod(w->rescuer, entry.namespace_, entry.name, &error);
    w->current = NULL;
    struct entry *now = find(w, entry.namespace_, entry.name);
    if (end == RESCUE_UNKNOWN) {
        if (interrupted)
            return;
        log_message(LOG_WARNING, EVENT_RESCUE_UNKNOWN, "%.*s/%.*s: %s",
                    SLICE_ARGS(entry.namespace_), SLICE_ARGS(entry.name), error.text);
        now->due_ms = clock_monotonic_ms() + RETRY_MS;
    } else if (end == RESCUE_BEGINS || end == RESCUE_WAITS || w->rescuer->dry_run) {
        now->left = entry.left;
        now->due_ms = clock_monotonic_ms() + AGAIN_MS;
    } else {
        forget(w, now);
    }
}

static void rescue_due(struct watching *w)
{
    unsigned done = 0;
    for (size_t i = w->count; i-- > 0 && done < AT_ONCE && !interrupted;)
        if (i < w->count && w->entries[i].due_ms <= clock_monotonic_ms()) {
            rescue_entry(w, i);
            done++;
        }
}

/* Which Harbors are down, as bits; where that changes, everything is due. */
static void look_at_health(struct watching *w)
{
    const struct fact_source *source = facts_source(w->rescuer->facts);
    long long now = clock_monotonic_ms();
    unsigned down = 0;
    if (now >= w->doubt_ms) {
        facts_doubt(w->rescuer->facts);
        w->doubt_ms = now + DOUBT_MS;
    }
    for (size_t i = 0; i < policies_harbor_count(w->rescuer->set) && i < 32; i++) {
        enum harbor_health health = source->health(source, policies_harbor_at(w->rescuer->set, i));
        down |= (unsigned)(health == HEALTH_DOWN || health == HEALTH_UNAUTHORIZED) << i;
    }
    if (down == w->down)
        return;
    w->down = down;
    for (size_t i = 0; i < w->count; i++)
        w->entries[i].due_ms = now;
}

/* --- policies --- */

static void load_policies(struct watching *w)
{
    CLEANUP_DIAGNOSTICS struct diagnostics diagnostics = {0};
    CLEANUP_ARENA struct arena arena = {0};
    struct policies *set = NULL;
    size_t count;
    const struct discovered *found = facts_discovered(w->rescuer->facts, &arena, &count);
    bool loaded = policy_files_load_discovered(w->given->policies, getenv("HARBOR_PILOT_NAMESPACE"),
                                               found, count, &diagnostics, &set);
    diagnostics_log(&diagnostics);
    if (!loaded) {
        log_message(LOG_ERROR, EVENT_POLICIES_INVALID,
                    "the policies cannot be used: the last good ones stay in use");
        return;
    }
    facts_configure(w->rescuer->facts, set);
    policies_unref(*w->given->set);
    *w->given->set = set;
    w->rescuer->set = set;
    log_message(LOG_INFO, EVENT_POLICIES, "policies loaded");
}

static void reload(struct watching *w)
{
    char digest[65];
    long long now = clock_monotonic_ms();
    bool discovered = facts_discovery_changed(w->rescuer->facts);
    if (now < w->reload_ms && !discovered)
        return;
    w->reload_ms = now + RELOAD_MS;
    facts_refresh_accounts(w->rescuer->facts);
    policy_files_digest(w->given->policies, digest);
    if (strcmp(digest, w->digest) == 0 && !discovered)
        return;
    memcpy(w->digest, digest, sizeof(digest));
    load_policies(w);
}

/* --- the loop --- */

static void step_watches(struct watching *w)
{
    struct error error;
    bool current = true;
    unsigned long restarts = 0;
    for (size_t i = 0; i < w->watch_count; i++) {
        if (!kube_watch_step(w->watches[i], &error))
            log_message(LOG_WARNING, EVENT_KUBE_WATCH, "%s", error.text);
        current &= kube_watch_is_current(w->watches[i]);
        restarts += kube_watch_restarts(w->watches[i]);
    }
    rescue_metrics_set(w->metrics, w->count, current, restarts);
}

static void open_watches(struct watching *w)
{
    const struct text_list *namespaces = w->given->namespaces;
    char path[RESCUE_PATH_SIZE];
    w->watch_count = namespaces->count ? namespaces->count : 1;
    w->watches = memory_allocate_zeroed(w->watch_count, sizeof(struct kube_watch *));
    for (size_t i = 0; i < w->watch_count; i++) {
        rescue_pods_path(namespaces->count ? namespaces->items[i] : NULL, path);
        w->watches[i] = kube_watch_new(w->rescuer->kube, path, take_event, w);
    }
}

static void tell_ready(const char *address)
{
    struct log_line line;
    log_begin(&line, LOG_INFO, EVENT_READY, "watching for Pods that wait for Harbor");
    if (address[0])
        json_member_text(&line.w, "adminBindAddress", address);
    log_end(&line);
}

static void loop(struct watching *w)
{
    while (!interrupted) {
        reload(w);
        step_watches(w);
        kube_wait(w->rescuer->kube, TICK_MS);
        look_at_health(w);
        rescue_due(w);
    }
}

static void done(struct watching *w)
{
    for (size_t i = 0; i < w->watch_count; i++)
        kube_watch_free(w->watches[i]);
    while (w->count)
        forget(w, &w->entries[0]);
    free(w->watches);
    free(w->entries);
    arena_done(&w->arena);
    rescue_metrics_stop(w->metrics);
    log_message(LOG_INFO, EVENT_ENDED, "stopped");
    log_stop();
}

int rescue_watch(const struct rescue_watching *given)
{
    struct watching w = {.given = given, .rescuer = given->rescuer};
    struct error error;
    char address[RESCUE_ADDRESS_SIZE] = "";
    w.rescuer->tell = tell;
    w.rescuer->context = &w;
    if (given->address) {
        w.metrics = rescue_metrics_start(given->address, given->rescuer->facts, address, &error);
        if (!w.metrics)
            return usage_error("--admin-bind-address %s: %s", given->address, error.text);
    }
    log_set_least(LOG_INFO);
    log_start(isatty(STDERR_FILENO) ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON);
    policy_files_digest(given->policies, w.digest);
    w.reload_ms = clock_monotonic_ms() + RELOAD_MS;
    open_watches(&w);
    tell_ready(address);
    loop(&w);
    done(&w);
    return EXIT_FINE;
}
