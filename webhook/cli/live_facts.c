/* Asks Harbor for a command, and waits. */
#include "webhook/cli/live_facts.h"

#include "harbor/facts_file.h"
#include "webhook/common/clock.h"
#include "webhook/common/log.h"
#include "webhook/common/policy_files.h"

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
        const struct missing_fact *missing = &decisions->missing[i];
        live->missing = arena_grow(&live->arena, live->missing, live->count, &live->capacity,
                                   sizeof(*live->missing));
        live->missing[live->count++] = (struct missing_fact){
            .harbor = missing->harbor,
            .key = {arena_copy(&live->arena, missing->key.project),
                    arena_copy(&live->arena, missing->key.repository),
                    arena_copy(&live->arena, missing->key.reference)},
            .needs = missing->needs,
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
    struct fact_waiter *waiter = facts_ask(live->facts, &asker, live->missing, live->count,
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

/* The artifacts of one Harbor, in the order in which they were asked for. */
static struct facts_record record_of(struct live_facts *live, const struct harbor *harbor)
{
    struct artifact_key *keys = arena_allocate(&live->arena, live->count * sizeof(*keys));
    struct facts_record record = {.harbor = harbor, .keys = keys};
    for (size_t i = 0; i < live->count; i++)
        if (live->missing[i].harbor == harbor)
            keys[record.key_count++] = live->missing[i].key;
    return record;
}

void live_facts_record(struct live_facts *live, const struct policies *policies, struct buffer *out)
{
    size_t count = 0, harbors = policies_harbor_count(policies);
    struct facts_record *records = arena_allocate(&live->arena, harbors * sizeof(*records));
    for (size_t i = 0; i < harbors; i++)
        if (policies_harbor_at(policies, i)->api.url.len)
            records[count++] = record_of(live, policies_harbor_at(policies, i));
    facts_file_write(facts_source(live->facts), records, count, (long long)time(NULL), out);
}

void live_facts_done(struct live_facts *live)
{
    facts_stop(live->facts);
    arena_done(&live->arena);
    *live = (struct live_facts){0};
}
