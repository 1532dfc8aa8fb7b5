/* The facts of all Harbors: who waits for which, and until when. */
#include "webhook/facts/facts.h"

#include "webhook/common/clock.h"
#include "webhook/facts/session.h"
#include "webhook/facts/turns.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    TICK_MAX_MS = 1000,
    STRANGERS_SHARE = 2,     /* of that, and of the rates: one in so many */
    SESSION_KEPT_MS = 35000, /* that no policy names any more: longer than any review takes */
};

/* A review that waits; it lives until the review has released it and no entry names it any more. */
struct fact_waiter {
    struct fact_waiter *next, *previous; /* all who wait */
    long long deadline_ms;
    unsigned missing, references;
    bool woken;
    struct turn_review turns; /* what of it waits to be asked */
    char *caller, *namespace_;
    void (*wake)(void *context);
    void *context;
};

/* A review waits for an entry. */
struct fact_waiter_link {
    struct turn turn;              /* the first member: turns_take gives its address */
    struct fact_waiter_link *next; /* of the entry */
    struct fact_waiter *waiter;
    struct session *session;
    struct fact_entry *entry;
};

struct facts {
    struct fact_source source; /* the first member: decide() gets its address */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a new waiter, a new poll, the end */
    pthread_t clock;
    struct http_client *client;
    struct session *sessions; /* also, for a while, those that no policy names any more */
    struct fact_waiter *waiters;
    bool stopping, waking_all;
    bool all_findings; /* also those below every threshold are kept */
    bool strangers;    /* anybody may be the one who asks */
    struct turns turns;
    unsigned asked, queued; /* artifacts that are being asked for, and that wait for their turn */
    unsigned long long hits, misses, late, waits;
    unsigned suspended;
};

struct http_client *facts_client(struct facts *facts)
{
    return facts->client;
}

unsigned facts_share(const struct facts *facts)
{
    return facts->strangers ? STRANGERS_SHARE : 1;
}

void facts_lock(struct facts *facts)
{
    pthread_mutex_lock(&facts->lock);
}

void facts_unlock(struct facts *facts)
{
    pthread_mutex_unlock(&facts->lock);
}

/* --- what decide() asks --- */

static struct session *find_session(const struct facts *facts, const struct harbor *harbor)
{
    struct session *session = facts->sessions;
    while (session && !session_matches(session, harbor))
        session = session->next;
    return session;
}

static struct facts *facts_of(const struct fact_source *source)
{
    return (struct facts *)source;
}

static enum harbor_health source_health(const struct fact_source *self, const struct harbor *harbor)
{
    struct facts *facts = facts_of(self);
    facts_lock(facts);
    const struct session *session = find_session(facts, harbor);
    enum harbor_health health = session ? session_health(session) : HEALTH_UNKNOWN;
    facts_unlock(facts);
    return health;
}

static bool is_known(const struct fact_entry *entry, fact_needs needs, long long now)
{
    return entry->known && !(needs & ~entry->knows) && fact_entry_lives(entry, now);
}

struct fact_entry *facts_find_entry(struct session *session, const struct artifact_key *key)
{
    char text[ARTIFACT_KEY_MAX];
    return fact_cache_find(&session->cache, artifact_key_text(key, text));
}

static bool source_artifact(const struct fact_source *self, const struct harbor *harbor,
                            const struct artifact_key *key, fact_needs needs, long long now,
                            struct arena *arena, struct artifact_fact *ret)
{
    struct facts *facts = facts_of(self);
    bool known = false;
    facts_lock(facts);
    struct session *session = find_session(facts, harbor);
    const struct fact_entry *entry = session ? facts_find_entry(session, key) : NULL;
    if (entry && session_misses_project(session, key->project)) {
        *ret = (struct artifact_fact){.no_project = true};
        known = true;
    } else if (entry && is_known(entry, needs, clock_monotonic_ms())) {
        fact_cache_get(entry, arena, ret);
        session_add_project(session, key->project, now, ret);
        known = true;
    }
    if (known)
        facts->hits++;
    else
        facts->misses++;
    facts_unlock(facts);
    return known;
}

const struct fact_source *facts_source(const struct facts *facts)
{
    return &facts->source;
}

/* --- waiting --- */

static void unreference(struct fact_waiter *waiter)
{
    if (--waiter->references == 0) {
        free(waiter->caller);
        free(waiter->namespace_);
        free(waiter);
    }
}

/* Nobody asks for the entry on this review's behalf any more. */
static void withdraw(struct facts *facts, struct fact_waiter *waiter)
{
    for (struct turn *turn; (turn = waiter->turns.first);) {
        struct fact_waiter_link *link = (struct fact_waiter_link *)turn;
        struct fact_waiter_link **at = &link->entry->waiters;
        turns_remove(&facts->turns, turn);
        while (*at != link)
            at = &(*at)->next;
        *at = link->next;
        link->session->waiting--;
        if (!link->entry->waiters && !link->entry->started) {
            link->entry->asking = 0;
            facts->queued--;
        }
        unreference(waiter);
        free(link);
    }
}

/* With the lock held: resuming a connection takes no other lock of ours. */
static void wake(struct facts *facts, struct fact_waiter *waiter)
{
    if (waiter->woken)
        return;
    waiter->woken = true;
    withdraw(facts, waiter);
    *(waiter->previous ? &waiter->previous->next : &facts->waiters) = waiter->next;
    if (waiter->next)
        waiter->next->previous = waiter->previous;
    waiter->wake(waiter->context);
}

/* The artifact that an entry is about. */
static struct artifact_key key_of(const struct fact_entry *entry)
{
    struct slice text = slice_of(entry->key, entry->key_length);
    size_t slash = slice_find(text, '/'), at = slice_find(text, '@');
    if (at == text.len)
        at = slice_find_last(text, ':');
    return (struct artifact_key){slice_head(text, slash),
                                 slice_of(text.base + slash + 1, at - slash - 1),
                                 slice_from_index(text, at + 1)};
}

static void start_next(struct facts *facts)
{
    struct turn *turn;
    while (facts->asked < FACTS_ASKED_AT_ONCE / facts_share(facts) &&
           (turn = turns_take(&facts->turns))) {
        const struct fact_waiter_link *link = (struct fact_waiter_link *)turn;
        struct fact_entry *entry = link->entry;
        if (entry->started)
            continue; /* on another review's behalf */
        struct artifact_key key = key_of(entry);
        entry->started = true;
        facts->asked++;
        facts->queued--;
        session_ask(link->session, entry, &key);
    }
}

void facts_entry_done(struct facts *facts, struct fact_entry *entry)
{
    struct fact_waiter_link *link = entry->waiters, *next;
    entry->started = false;
    entry->asking = 0;
    entry->waiters = NULL;
    for (; link; link = next) {
        next = link->next;
        turns_remove(&facts->turns, &link->turn);
        link->session->waiting--;
        if (--link->waiter->missing == 0)
            wake(facts, link->waiter);
        unreference(link->waiter);
        free(link);
    }
    facts->asked--;
    start_next(facts);
}

static void wait_for(struct facts *facts, struct session *session, struct fact_entry *entry,
                     struct fact_waiter *waiter)
{
    struct fact_waiter_link *link = memory_allocate_zeroed(1, sizeof(*link));
    *link = (struct fact_waiter_link){
        .next = entry->waiters, .waiter = waiter, .session = session, .entry = entry};
    entry->waiters = link;
    session->waiting++;
    waiter->missing++;
    waiter->references++;
    if (!entry->started)
        turns_add(&facts->turns, &waiter->turns, &link->turn);
}

/* Sees to it that the fact is asked for; joins a question that is under way. */
static void ask_one(struct facts *facts, const struct missing_fact *question,
                    struct fact_waiter *waiter)
{
    char text[ARTIFACT_KEY_MAX];
    long long now = clock_monotonic_ms();
    struct session *session = find_session(facts, question->harbor);
    struct slice key = artifact_key_text(&question->key, text);
    struct fact_entry *entry = NULL;
    if (session && key.len)
        entry = fact_cache_add(&session->cache,
                               fact_cache_share(&session->cache, waiter->turns.caller), key);
    if (!entry || is_known(entry, question->needs, now))
        return;
    if (session_misses_project(session, question->key.project))
        return; /* nothing more of it will be known */
    if (entry->failed && !entry->asking && fact_entry_lives(entry, now))
        return; /* asked a moment ago, and Harbor did not answer */
    if (now < session->quiet_until_ms && !entry->asking)
        return; /* it said 429, and when it may be asked again */
    if (!entry->asking) {
        entry->outdated = false;
        facts->queued++;
    }
    entry->asking |= (question->needs | FACT_PRESENT) & FACT_ALL;
    wait_for(facts, session, entry, waiter);
}

struct fact_waiter *facts_ask(struct facts *facts, const struct fact_asker *asker,
                              const struct missing_fact *questions, size_t count,
                              long long deadline_ms, void (*wake_up)(void *context), void *context)
{
    struct fact_waiter *waiter = memory_allocate_zeroed(1, sizeof(*waiter));
    *waiter = (struct fact_waiter){
        .deadline_ms = deadline_ms, .references = 1, .wake = wake_up, .context = context};
    waiter->caller = memory_copy_slice(asker->caller);
    waiter->turns.caller = slice_of(waiter->caller, asker->caller.len);
    waiter->namespace_ = memory_copy_slice(asker->namespace_);
    waiter->turns.namespace_ = slice_of(waiter->namespace_, asker->namespace_.len);
    waiter->turns.last_of_all = asker->dry_run;
    facts_lock(facts);
    for (size_t i = 0; i < count && !facts->waking_all; i++)
        ask_one(facts, &questions[i], waiter);
    start_next(facts);
    bool waits = waiter->missing > 0;
    if (waits) {
        waiter->next = facts->waiters;
        if (waiter->next)
            waiter->next->previous = waiter;
        facts->waiters = waiter;
        facts->waits++;
        facts->suspended++;
        pthread_cond_signal(&facts->changed);
    }
    facts_unlock(facts);
    if (waits)
        return waiter;
    unreference(waiter);
    return NULL;
}

void facts_release(struct facts *facts, struct fact_waiter *waiter)
{
    facts_lock(facts);
    facts->suspended--;
    unreference(waiter);
    facts_unlock(facts);
}

void facts_wake_all(struct facts *facts)
{
    facts_lock(facts);
    facts->waking_all = true;
    while (facts->waiters)
        wake(facts, facts->waiters);
    facts_unlock(facts);
}

void facts_doubt(struct facts *facts)
{
    facts_lock(facts);
    for (struct session *session = facts->sessions; session; session = session->next)
        if (session->in_use)
            session_doubt_health(session);
    pthread_cond_signal(&facts->changed);
    facts_unlock(facts);
}

unsigned facts_pending(struct facts *facts)
{
    facts_lock(facts);
    unsigned pending = facts->queued + http_client_pending(facts->client);
    facts_unlock(facts);
    return pending;
}

unsigned facts_suspended(struct facts *facts)
{
    facts_lock(facts);
    unsigned suspended = facts->suspended;
    facts_unlock(facts);
    return suspended;
}

/* --- the clock's thread: deadlines and polls --- */

static long long expire(struct facts *facts, long long now)
{
    long long next = now + TICK_MAX_MS;
    unsigned long long late = facts->late;
    for (struct fact_waiter *waiter = facts->waiters, *after; waiter; waiter = after) {
        after = waiter->next;
        if (waiter->deadline_ms <= now) {
            facts->late++;
            wake(facts, waiter);
        } else if (waiter->deadline_ms < next) {
            next = waiter->deadline_ms;
        }
    }
    for (struct session *s = facts->sessions; s && facts->late != late; s = s->next)
        session_doubt_health(s);
    return next;
}

/* Questions are counted by the Harbor's name, whatever else of it changed. */
static void bequeath(const struct facts *facts, struct session *session)
{
    struct session *heir = facts->sessions;
    while (heir && !(heir->in_use && slice_equal(heir->name, session->name)))
        heir = heir->next;
    for (int kind = 0; heir && kind < REQUEST_COUNT; kind++)
        for (int answer = 0; answer <= ANSWER_FAILED; answer++) {
            heir->requests[kind][answer] += session->requests[kind][answer];
            session->requests[kind][answer] = 0;
        }
}

/* Frees what no policy names any more and nobody can be waiting for. */
static void free_unused(struct facts *facts, long long now)
{
    for (struct session **at = &facts->sessions, *session; (session = *at);) {
        if (session->in_use) {
            session->used_ms = now;
            at = &session->next;
            continue;
        }
        bequeath(facts, session);
        if (session->in_flight || session->waiting || now - session->used_ms < SESSION_KEPT_MS) {
            at = &session->next;
            continue;
        }
        *at = session->next;
        session_free(session);
    }
}

static void *watch_time(void *context)
{
    struct facts *facts = context;
    facts_lock(facts);
    while (!facts->stopping) {
        long long now = clock_monotonic_ms(), next = expire(facts, now);
        free_unused(facts, now);
        for (struct session *session = facts->sessions; session; session = session->next) {
            long long poll = session->in_use ? session_poll(session, now) : next;
            if (poll < next)
                next = poll;
        }
        if (next <= now)
            next = now + 1;
        struct timespec until = {next / 1000, next % 1000 * 1000000};
        pthread_cond_timedwait(&facts->changed, &facts->lock, &until);
    }
    facts_unlock(facts);
    return NULL;
}

/* --- life --- */

struct facts *facts_start(struct error *reterr)
{
    struct facts *facts = memory_allocate_zeroed(1, sizeof(*facts));
    pthread_condattr_t monotonic;
    facts->source = (struct fact_source){source_health, source_artifact};
    pthread_mutex_init(&facts->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&facts->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    facts->client = http_client_start(reterr);
    if (facts->client && pthread_create(&facts->clock, NULL, watch_time, facts) == 0)
        return facts;
    error_set(reterr, "the threads that ask Harbor cannot be started");
    http_client_stop(facts->client);
    free(facts);
    return NULL;
}

/* What the Policies' gates ask of one Harbor. */
static void set_gate(const struct facts *facts, struct session *session,
                     const struct policies *policies, const struct harbor *harbor)
{
    bool gated = false;
    enum severity from = SEVERITY_CRITICAL;
    for (size_t i = 0; i < policies_count(policies); i++) {
        const struct policy *policy = policies_at(policies, i);
        if (!policy->gate.on || policy->harbor != harbor)
            continue;
        gated = true;
        if (policy->gate.severity < from)
            from = policy->gate.severity;
    }
    session_set_gate(session, gated, facts->all_findings ? SEVERITY_NONE : from);
}

void facts_expect_strangers(struct facts *facts)
{
    facts->strangers = true;
}

void facts_keep_all_findings(struct facts *facts)
{
    facts->all_findings = true;
}

void facts_configure(struct facts *facts, const struct policies *policies)
{
    facts_lock(facts);
    for (struct session *session = facts->sessions; session; session = session->next)
        session->in_use = false;
    for (size_t i = 0; policies && i < policies_harbor_count(policies); i++) {
        const struct harbor *harbor = policies_harbor_at(policies, i);
        if (harbor->api.url.len == 0)
            continue;
        struct session *session = find_session(facts, harbor);
        if (!session) {
            session = session_new(facts, harbor);
            session->next = facts->sessions;
            facts->sessions = session;
        }
        session->in_use = true;
        session_set_projects(session, harbor);
        set_gate(facts, session, policies, harbor);
    }
    free_unused(facts, clock_monotonic_ms());
    pthread_cond_signal(&facts->changed);
    facts_unlock(facts);
}

void facts_request_scan(struct facts *facts, const struct harbor *harbor,
                        const struct artifact_key *key)
{
    facts_lock(facts);
    struct session *session = find_session(facts, harbor);
    struct fact_entry *entry = session ? facts_find_entry(session, key) : NULL;
    if (entry && !facts->waking_all)
        session_request_scan(session, entry, key);
    facts_unlock(facts);
}

void facts_forget(struct facts *facts, struct slice repository)
{
    facts_lock(facts);
    for (struct session *session = facts->sessions; session; session = session->next)
        fact_cache_expire(&session->cache, repository);
    facts_unlock(facts);
}

void facts_refresh_accounts(struct facts *facts)
{
    facts_lock(facts);
    for (struct session *session = facts->sessions; session; session = session->next)
        if (session->in_use)
            session_read_account(session);
    pthread_cond_signal(&facts->changed);
    facts_unlock(facts);
}

struct discovered *facts_discovered(struct facts *facts, struct arena *arena, size_t *ret_count)
{
    size_t count = 0;
    facts_lock(facts);
    for (const struct session *s = facts->sessions; s; s = s->next)
        count++;
    struct discovered *found = arena_allocate(arena, count * sizeof(*found));
    count = 0;
    for (struct session *s = facts->sessions; s; s = s->next) {
        if (!s->in_use || !s->discovers || !s->discovery.known)
            continue;
        s->discovery.taken = s->discovery.generation;
        found[count].harbor = arena_copy(arena, s->name);
        found[count].registries = discovery_registries(&s->discovery, arena, &found[count].count);
        count++;
    }
    facts_unlock(facts);
    *ret_count = count;
    return found;
}

bool facts_discovery_changed(struct facts *facts)
{
    bool changed = false;
    facts_lock(facts);
    for (const struct session *s = facts->sessions; s; s = s->next)
        changed |= s->in_use && s->discovers && s->discovery.generation != s->discovery.taken;
    facts_unlock(facts);
    return changed;
}

bool facts_are_found(struct facts *facts)
{
    bool found = true;
    facts_lock(facts);
    for (const struct session *s = facts->sessions; s; s = s->next)
        found &= !s->in_use || session_is_found(s);
    facts_unlock(facts);
    return found;
}

bool facts_are_warm(struct facts *facts)
{
    bool warm = true;
    facts_lock(facts);
    for (const struct session *session = facts->sessions; session; session = session->next) {
        warm &= !session->in_use || session_is_warm(session);
    }
    facts_unlock(facts);
    return warm;
}

void facts_stop(struct facts *facts)
{
    if (!facts)
        return;
    facts_wake_all(facts);
    facts_lock(facts);
    facts->stopping = true;
    pthread_cond_signal(&facts->changed);
    facts_unlock(facts);
    pthread_join(facts->clock, NULL);
    http_client_stop(facts->client); /* its last callbacks end all questions */
    for (struct session *session = facts->sessions, *next; session; session = next) {
        next = session->next;
        session_free(session);
    }
    pthread_cond_destroy(&facts->changed);
    pthread_mutex_destroy(&facts->lock);
    free(facts);
}

/* --- figures --- */

static void read_requests(const struct session *session, struct arena *arena,
                          struct harbor_figures *ret)
{
    ret->requests = arena_allocate(arena, sizeof(session->requests) / sizeof(**session->requests) *
                                              sizeof(*ret->requests));
    for (int kind = 0; kind < REQUEST_COUNT; kind++)
        for (int answer = 0; answer < ANSWER_COUNT; answer++)
            if (session->requests[kind][answer])
                ret->requests[ret->request_count++] =
                    (struct request_figures){request_kind_names[kind], harbor_answer_names[answer],
                                             session->requests[kind][answer]};
}

static void read_upstreams(const struct discovery *discovery, struct arena *arena,
                           struct harbor_figures *ret)
{
    ret->upstreams = arena_allocate(arena, discovery->map.found_count * sizeof(*ret->upstreams));
    for (size_t i = 0; i < discovery->map.found_count; i++)
        if (discovery->map.found[i].healthy != TRUTH_UNKNOWN)
            ret->upstreams[ret->upstream_count++] =
                (struct upstream_figures){arena_copy(arena, discovery->map.found[i].project),
                                          discovery->map.found[i].healthy == TRUTH_YES};
}

void facts_read_figures(struct facts *facts, struct arena *arena, struct facts_figures *ret)
{
    size_t count = 0;
    facts_lock(facts);
    for (const struct session *s = facts->sessions; s; s = s->next)
        count++;
    *ret = (struct facts_figures){
        .harbors = arena_allocate(arena, count * sizeof(*ret->harbors)),
        .hits = facts->hits,
        .misses = facts->misses,
        .waits = facts->waits,
        .late = facts->late,
        .suspended = facts->suspended,
        .pending = facts->queued + http_client_pending(facts->client),
    };
    for (const struct session *s = facts->sessions; s; s = s->next) {
        if (!s->in_use)
            continue;
        struct harbor_figures *harbor = &ret->harbors[ret->harbor_count++];
        *harbor = (struct harbor_figures){.name = arena_copy(arena, s->name),
                                          .up = session_health(s) == HEALTH_UP,
                                          .redis_up = !s->redis_away,
                                          .cached = s->cache.count};
        read_requests(s, arena, harbor);
        read_upstreams(&s->discovery, arena, harbor);
    }
    facts_unlock(facts);
}
