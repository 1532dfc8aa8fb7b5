/* One Harbor as facts.c talks with it: the account, health, projects, inquiries about artifacts.
 * All functions are called with the lock of struct facts held, but those of libcurl's thread. */
#pragma once

#include "base/map.h"
#include "harbor/api.h"
#include "harbor/health.h"
#include "harbor/inquiry.h"
#include "harbor/rounds.h"
#include "policy/policy.h"
#include "webhook/facts/cache.h"
#include "webhook/facts/discovery.h"
#include "webhook/facts/http_client.h"

enum {
    ACCOUNT_SURE_MS =
        11000, /* Harbor's health is up to 10 s old, and an ill database knows nobody */
    SCAN_AGAIN_MS = 3600000, /* an artifact is not asked to be scanned again before */
    SCAN_RETRY_MS = 300000,  /* where Harbor could not */
    SCANS_PER_MINUTE = 60,
    REPORTS_AT_ONCE = 2,
    REPORT_MAX_BODY = 16 * 1024 * 1024,
    SESSION_MAX_PROJECTS = 10000,
    HEAD_BURST_MS = 1000,
    HEADS_PER_SECOND = 50, /* each makes Harbor ask its upstream twice */
};

struct project_state {
    struct harbor_project project;
    struct arena arena; /* of its texts */
    bool named;         /* by the policies: it is polled; others are read when they are needed */
    bool known, tried;
    bool missing; /* Harbor has no such project */
    long long read_ms;
    long long quiet_until_ms; /* its upstream said 429 and Retry-After: no HEAD before */
    long long copy_until_ms;  /* it said nothing: none before for what there is a copy of */
};

struct facts;
struct request;

struct session {
    struct session *next;
    struct facts *facts;
    struct arena arena;
    struct slice name, url, ca_file, credentials_directory; /* NUL-terminated, in the arena */
    bool in_use;                                            /* by the policies of now */
    long long used_ms;                                      /* monotonic; when it was last in use */
    unsigned in_flight, waiting; /* requests, and who waits for an entry */
    struct map projects;         /* name → struct project_state * */
    char *authorization;         /* "Basic …", or NULL: no account */
    char account_digest[65];
    struct health health;
    bool redis_away;             /* Harbor says so */
    unsigned account_generation; /* counts the changes of the account's files */
    bool account_unreadable;     /* said in the log already */
    bool account_refused;        /* Harbor does not know our account, */
    long long refused_since_ms;  /* since then, with a database that is well as far as is known, */
    bool account_refused_said;   /* and the log says so */
    long long quiet_until_ms;    /* Harbor said 429 and Retry-After: no request before */
    struct rounds rounds;
    long long next_head_ms;
    bool account_tried;
    bool gated;              /* a Policy has `findings`: scans and allowlists are asked for */
    enum severity scan_from; /* findings of this severity and above are kept */
    struct cve_allowlist allowlist; /* the system's */
    struct arena allowlist_arena;
    bool allowlist_known, allowlist_tried;
    struct discovery discovery;
    bool discovers;               /* its registries are what discovery finds */
    unsigned reports;             /* being read */
    struct request *report_queue; /* wait for their turn */
    long long scans_minute_ms;
    unsigned scans_in_minute;
    char *realm, *service; /* of the token service, once a challenge named it */
    struct fact_cache cache;
    unsigned long long requests[REQUEST_COUNT][ANSWER_COUNT];
};

struct session *session_new(struct facts *facts, const struct harbor *harbor);
void session_free(struct session *session);

/* Whether the Harbor is still asked at the same place as the same account. */
bool session_matches(const struct session *session, const struct harbor *harbor);

/* Takes over the projects that the Harbor's registries name, and whether it discovers them. */
void session_set_projects(struct session *session, const struct harbor *harbor);

/* Whether scans will be asked for, and from which severity on findings are kept. */
void session_set_gate(struct session *session, bool gated, enum severity from);

/* Whether all is known, or was tried, that reviews will need; warm: and the policies were loaded
 * with what was discovered. */
bool session_is_found(const struct session *session);
bool session_is_warm(const struct session *session);

/* Whether Harbor has said that it has no such project. */
bool session_misses_project(const struct session *session, struct slice project);

/* Adds to a fact what its project says: whether it is public, which findings are accepted. */
void session_add_project(const struct session *session, struct slice project, long long now,
                         struct artifact_fact *fact);

/* Asks Harbor to scan an artifact that is there, unless it was asked already. */
void session_request_scan(struct session *session, struct fact_entry *entry,
                          const struct artifact_key *key);

/* Reads the account's files; a change makes it be tried at once. */
void session_read_account(struct session *session);

/* Starts the polls that are due; returns when the next one is (monotonic ms). */
long long session_poll(struct session *session, long long now);

/* Asks for an entry of the cache, whose `asking` the caller has set. */
void session_ask(struct session *session, struct fact_entry *entry, const struct artifact_key *key);

/* A request was not answered, or not in time: Harbor may be ill. Its health is asked for at once,
 * but not once for each request. */
void session_doubt_health(struct session *session);

void session_tell_poll(struct session *session, enum poll_kind kind, enum poll_event event);

/* The health that decide() sees. */
enum harbor_health session_health(const struct session *session);

/* Of facts.c: the entry of an artifact, or NULL. */
struct fact_entry *facts_find_entry(struct session *session, const struct artifact_key *key);

/* Of facts.c: the entry has been answered or has failed; everybody who waits is told. With the lock
 * held. */
void facts_entry_done(struct facts *facts, struct fact_entry *entry);
/* Of facts.c: Harbor is asked one in so many times what it might be. */
unsigned facts_share(const struct facts *facts);
struct http_client *facts_client(struct facts *facts);
void facts_lock(struct facts *facts);
void facts_unlock(struct facts *facts);
