/* What is known of the Harbors, and asking for what is not: a cache per Harbor, one question per
 * artifact however many reviews wait for it, health known from polls and from real answers. The
 * threads that serve reviews never wait here. Thread-safe. */
#pragma once

#include "decide/decide.h"
#include "webhook/facts/http_client.h"

struct facts;

enum {
    FACTS_ASKED_AT_ONCE = 32
}; /* artifacts, by one request each; the others wait for their turn */

/* Starts the threads that ask and that watch the time. NULL on failure. */
MUST_CHECK struct facts *facts_start(struct error *reterr);

/* To be called before facts_configure where nobody verifies who asks (no --client-ca-file): anybody
 * can have Harbor asked then, so it is asked half as much. */
void facts_expect_strangers(struct facts *facts);

/* Learns which Harbors, projects and accounts the policies name; to be called at each load. What is
 * known of a Harbor that stays is kept. `policies` may be NULL: nothing is asked then. */
void facts_configure(struct facts *facts, const struct policies *policies);

/* What was found of the Harbors that discover their projects, in the arena: to load policies with.
 * From now on facts_discovery_changed is false until something else is found. */
struct discovered *facts_discovered(struct facts *facts, struct arena *arena, size_t *ret_count);
bool facts_discovery_changed(struct facts *facts);

/* Whether health and projects of every Harbor are known, or were tried. */
bool facts_are_warm(struct facts *facts);

/* The same, whether or not the policies were loaded with what was discovered. */
bool facts_are_found(struct facts *facts);

/* What decide() takes. */
const struct fact_source *facts_source(const struct facts *facts);

/* A review that waits. */
struct fact_waiter;

/* On whose behalf something is asked: shares of Harbor's time are by caller, then by
 * namespace, then by review. */
struct fact_asker {
    struct slice caller;     /* its address, as it may be compared; copied */
    struct slice namespace_; /* copied */
    bool dry_run;            /* all others come first */
};

/* Asks all the questions, a few at a time. NULL where none of them will be answered later than now:
 * decide at once, for good. Else `wake` is called exactly once, from another thread: when all are
 * answered, at the deadline (monotonic ms), or by facts_wake_all; it must not block. What has not
 * had its turn by then is not asked any more. Then call facts_release. */
struct fact_waiter *facts_ask(struct facts *facts, const struct fact_asker *asker,
                              const struct missing_fact *questions, size_t count,
                              long long deadline_ms, void (*wake)(void *context), void *context);
void facts_release(struct facts *facts, struct fact_waiter *waiter);

/* Wakes everybody; from now on facts_ask gives NULL. Before the server stops. */
void facts_wake_all(struct facts *facts);

/* Asks Harbor to scan an artifact that is there and was never scanned: once, however often it is
 * called. */
void facts_request_scan(struct facts *facts, const struct harbor *harbor,
                        const struct artifact_key *key);

/* Before facts_configure: findings below every Policy's threshold are wanted, too. */
void facts_keep_all_findings(struct facts *facts);

/* Forgets what is known of a repository ("PROJECT/REPOSITORY"), in all Harbors: something changed.
 */
void facts_forget(struct facts *facts, struct slice repository);

/* Reads the accounts' files again where they changed; about every watch interval. */
void facts_refresh_accounts(struct facts *facts);

/* What is to be shown of the facts, at one moment: for metrics and for people. Texts are in the
 * arena that was given, or constants. */
struct request_figures {
    const char *kind, *answer;
    unsigned long long count;
};

struct upstream_figures {
    struct slice project;
    bool healthy;
};

struct harbor_figures {
    struct slice name;
    bool up;       /* it can serve pulls and knows the account, as far as is known */
    bool redis_up; /* as far as it says */
    size_t cached;
    struct request_figures *requests; /* of those that were made */
    size_t request_count;
    struct upstream_figures *upstreams; /* of those whose state is known */
    size_t upstream_count;
};

struct facts_figures {
    struct harbor_figures *harbors;
    size_t harbor_count;
    unsigned long long hits, misses, waits, late;
    unsigned suspended, pending;
};

void facts_read_figures(struct facts *facts, struct arena *arena, struct facts_figures *ret);

/* Has each Harbor's health polled within HEALTH_POLL_ILL_MS of the last time, as if an answer had
 * failed to come: for who must know of an outage before anybody's question fails. */
void facts_doubt(struct facts *facts);

/* Requests to Harbor that are not answered yet. */
unsigned facts_pending(struct facts *facts);

/* Reviews that were woken or wait, and are not released yet. */
unsigned facts_suspended(struct facts *facts);

void facts_stop(struct facts *facts);
