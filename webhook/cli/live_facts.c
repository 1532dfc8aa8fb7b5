/* Asks Harbor for a command, and waits. */
#include "webhook/cli/live_facts.h"

#include "base/map.h"
#include "base/rfc3339.h"
#include "harbor/facts_file.h"
#include "webhook/common/clock.h"
#include "webhook/common/log.h"
#include "webhook/common/policy_files.h"
#include "json/writer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 20 };

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

bool live_facts_start(struct live_facts *live, const struct policies *policies,
                      struct error *reterr)
{
    log_set_least(LOG_WARNING);
    live->facts = facts_start(reterr);
    if (!live->facts)
        return false;
    facts_keep_all_findings(live->facts); /* --record is for other thresholds, too */
    facts_configure(live->facts, policies);
    long long until = clock_monotonic_ms() + LIVE_WARM_MS;
    while (!facts_are_found(live->facts) && clock_monotonic_ms() < until)
        pause_ms(POLL_MS);
    return true;
}

bool live_facts_discover(struct live_facts *live, const struct text_list *paths,
                         struct policies **set)
{
    struct arena arena = {0};
    size_t count;
    if (!facts_discovery_changed(live->facts))
        return true;
    const struct discovered *found = facts_discovered(live->facts, &arena, &count);
    bool loaded = policy_files_discover(paths, found, count, set);
    arena_done(&arena);
    if (!loaded)
        return false;
    facts_configure(live->facts, *set);
    long long until = clock_monotonic_ms() + LIVE_WARM_MS; /* of the projects just found */
    while (!facts_are_found(live->facts) && clock_monotonic_ms() < until)
        pause_ms(POLL_MS);
    return true;
}

void live_facts_add(struct live_facts *live, const struct decisions *decisions)
{
    for (size_t i = 0; i < decisions->missing_count; i++) {
        const struct fact_question *question = &decisions->missing[i];
        live->questions = arena_grow(&live->arena, live->questions, live->count, &live->capacity,
                                     sizeof(*live->questions));
        live->questions[live->count++] = (struct fact_question){
            .harbor = question->harbor,
            .key = {arena_copy(&live->arena, question->key.project),
                    arena_copy(&live->arena, question->key.repository),
                    arena_copy(&live->arena, question->key.reference)},
            .needs = question->needs,
        };
    }
}

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool done;
};

static void wake(void *context)
{
    struct waiting *waiting = context;
    pthread_mutex_lock(&waiting->lock);
    waiting->done = true;
    pthread_cond_signal(&waiting->woken);
    pthread_mutex_unlock(&waiting->lock);
}

static bool wait_a_moment(struct waiting *waiting)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 200 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&waiting->lock);
    if (!waiting->done)
        pthread_cond_timedwait(&waiting->woken, &waiting->lock, &until);
    bool done = waiting->done;
    pthread_mutex_unlock(&waiting->lock);
    return done;
}

void live_facts_ask(struct live_facts *live)
{
    struct waiting waiting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    bool terminal = isatty(STDERR_FILENO);
    const struct fact_asker asker = {0};
    struct fact_waiter *waiter = facts_ask(live->facts, &asker, live->questions, live->count,
                                           clock_monotonic_ms() + LIVE_QUESTION_MS, wake, &waiting);
    if (!waiter)
        return;
    while (!wait_a_moment(&waiting))
        if (terminal)
            fprintf(stderr, "\rasking Harbor: %zu questions, %u not answered yet ", live->count,
                    facts_pending(live->facts));
    if (terminal)
        fputs("\r\033[K", stderr);
    facts_release(live->facts, waiter);
}

/* Where the list cannot be read. */
static void write_counts(struct json_writer *w, const struct scan *scan)
{
    json_key(w, "counts");
    json_begin_object(w);
    for (int severity = 0; severity < SEVERITY_COUNT; severity++)
        if (scan->counts[severity])
            json_member_number(w, severity_name((enum severity)severity), scan->counts[severity]);
    json_end_object(w);
}

static void write_scan(struct json_writer *w, const struct scan *scan)
{
    static const char *const statuses[] = {[SCAN_UNKNOWN] = "Unknown",
                                           [SCAN_NONE] = "None",
                                           [SCAN_RUNNING] = "Running",
                                           [SCAN_FAILED] = "Error",
                                           [SCAN_DONE] = "Success"};
    char time[RFC3339_SIZE];
    json_key(w, "scan");
    json_begin_object(w);
    json_member_text(w, "status", statuses[scan->status]);
    if (scan->finished) {
        rfc3339_format(scan->finished, time);
        json_member_text(w, "finished", time);
    }
    if (scan->partial)
        json_member_bool(w, "partial", true);
    if (!scan->listed && scan_count_between(scan, SEVERITY_NONE, SEVERITY_COUNT)) {
        write_counts(w, scan);
        json_end_object(w);
        return;
    }
    json_key(w, "findings");
    json_begin_array(w);
    for (size_t i = 0; i < scan->finding_count; i++) {
        const struct finding *finding = &scan->findings[i];
        json_begin_object(w);
        json_member(w, "id", finding->id);
        json_member_text(w, "severity", severity_name(finding->severity));
        json_member(w, "package", finding->package);
        if (finding->fix.len)
            json_member(w, "fix", finding->fix);
        if (finding->allowlisted)
            json_member_bool(w, "allowlisted", true);
        json_end_object(w);
    }
    json_end_array(w);
    json_end_object(w);
}

static void write_fact(struct json_writer *w, const struct artifact_fact *fact, bool scanned)
{
    json_begin_object(w);
    if (fact->digest.len)
        json_member(w, "digest", fact->digest);
    if (fact->scan.status == SCAN_NOT_SCANNABLE)
        json_member_bool(w, "scannable", false);
    else if (scanned && fact->present == TRUTH_YES)
        write_scan(w, &fact->scan);
    /* which findings it accepts is said of each, where they are listed */
    if (scanned && (fact->has_allowlist == TRUTH_UNKNOWN ||
                    (fact->has_allowlist == TRUTH_YES && !fact->scan.listed &&
                     fact->scan.status == SCAN_DONE)))
        json_member_text(w, "allowlist", "unknown");
    json_member_bool(w, "present", fact->present == TRUTH_YES);
    if (fact->servable != TRUTH_UNKNOWN)
        json_member_bool(w, "servable", fact->servable == TRUTH_YES);
    json_key(w, "public");
    if (fact->public_ == TRUTH_UNKNOWN)
        json_write_null(w);
    else
        json_bool(w, fact->public_ == TRUTH_YES);
    if (fact->unauthorized)
        json_member_bool(w, "authorized", false);
    if (fact->outside_filter)
        json_member_bool(w, "inProxyFilter", false);
    if (fact->refused_by_gate)
        json_member_text(w, "pullGate", "refused");
    json_end_object(w);
}

static void write_harbor(struct live_facts *live, const struct harbor *harbor,
                         struct json_writer *w)
{
    const struct fact_source *source = facts_source(live->facts);
    enum harbor_health health = source->health(source, harbor);
    struct map written = {0};
    long long now = (long long)time(NULL);
    json_key_slice(w, harbor->name);
    json_begin_object(w);
    json_member_bool(w, "healthy", health == HEALTH_UP || health == HEALTH_UNAUTHORIZED);
    if (health == HEALTH_UNAUTHORIZED)
        json_member_bool(w, "authorized", false);
    if (harbor->discover) {
        json_key(w, "registries");
        json_begin_object(w);
        for (size_t i = 0; i < harbor->registry_count; i++) {
            json_key_slice(w, harbor->registries[i].domain);
            json_slice(w, harbor->registries[i].project);
        }
        json_end_object(w);
    }
    json_key(w, "artifacts");
    json_begin_object(w);
    for (size_t i = 0; i < live->count; i++) {
        struct fact_question *question = &live->questions[i];
        struct artifact_fact fact;
        struct slice key = facts_file_key(&question->key, &live->arena);
        if (question->harbor != harbor || map_get(&written, key))
            continue;
        bool scanned = source->artifact(source, harbor, &question->key, FACT_PRESENT | FACT_SCAN,
                                        now, &live->arena, &fact);
        if (!scanned && !source->artifact(source, harbor, &question->key, FACT_PRESENT, now,
                                          &live->arena, &fact))
            continue;
        *map_put(&written, key) = question;
        json_key_slice(w, key);
        write_fact(w, &fact, scanned);
    }
    json_end_object(w);
    json_end_object(w);
    map_done(&written);
}

void live_facts_record(struct live_facts *live, const struct policies *policies, struct buffer *out)
{
    struct json_writer w = {.out = out};
    json_begin_object(&w);
    char now[RFC3339_SIZE];
    rfc3339_format((long long)time(NULL), now);
    json_member_text(&w, "recorded", now);
    json_key(&w, "harbors");
    json_begin_object(&w);
    for (size_t i = 0; i < policies_harbor_count(policies); i++)
        if (policies_harbor_at(policies, i)->api.url.len)
            write_harbor(live, policies_harbor_at(policies, i), &w);
    json_end_object(&w);
    json_end_object(&w);
    buffer_append_char(out, '\n');
}

void live_facts_done(struct live_facts *live)
{
    facts_stop(live->facts);
    arena_done(&live->arena);
    *live = (struct live_facts){0};
}
