/* What is asked about one artifact, request by request, until its fact is known or cannot be. Pure:
 * (progress, reply) -> the next request, or the end. Requests that are not needed are left out:
 *
 *   its project, where no policy names it              (for its CVE allowlist)
 *   the database: is it there, what does its scan say
 *     the report, where the overview has findings that a gate asks for, or is gone
 *     the children of an index, where the index does not speak for all of them
 *     Harbor's own pull gate, by a HEAD of what is stored: nobody else is asked for that
 *     its tag, by a HEAD that makes Harbor ask its upstream, where a pull would be refused without
 * it the proxy, where it is not there: would a pull find it upstream */
#pragma once

#include "base/buffer.h"
#include "harbor/api.h"

enum {
    FACT_POSITIVE_MS = 300000, /* it is in Harbor's database */
    FACT_SERVABLE_MS = 60000,  /* its upstream has it: soon it will be in the database */
    FACT_NEGATIVE_MS = 15000,  /* "not there" may mean "not now" (CONTRACTS B7.3) */
    FACT_FAILED_MS = 2000,     /* no answer: do not ask again for so long */
    FACT_COPY_MS = 15000,      /* there is a copy, and the upstream did not say: Harbor serves it */
    FACT_RETRY_AFTER_MAX_S = 60,
    FACT_SCAN_MS = 60000,        /* a verdict: replicas may disagree for so long */
    FACT_SCAN_RUNNING_MS = 5000, /* a scan under way */
};

/* What an HTTP request is for. */
enum request_kind {
    REQUEST_HEALTH,
    REQUEST_ACCOUNT,
    REQUEST_PROJECT,
    REQUEST_ARTIFACT,
    REQUEST_MANIFEST,
    REQUEST_TOKEN,
    REQUEST_CHILD,      /* of an index */
    REQUEST_REPORT,     /* of a scanner */
    REQUEST_PULL_GATE,  /* what is stored, by digest: does Harbor refuse it */
    REQUEST_STORED_TAG, /* what is stored, by its tag: does its upstream still have that */
    REQUEST_ALLOWLIST,  /* of all projects that reuse it */
    REQUEST_SCAN,       /* to scan an artifact */
    REQUEST_FILTER,     /* why a manifest is not there, where the project has a filter */
    REQUEST_PROJECTS,   /* which there are */
    REQUEST_SUMMARY,
    REQUEST_EXISTENCE, /* of a project that the account may not read */
    REQUEST_COUNT
};

extern const char *const request_kind_names[REQUEST_COUNT];

struct inquiry_progress;

/* Ended with inquiry_done. The key's texts live as long as the arena. */
struct inquiry {
    struct arena *arena;
    struct artifact_key key;
    fact_needs asked;                  /* what this round asks for */
    enum request_kind kind;            /* of the request under way */
    struct inquiry_progress *progress; /* from the first reply on: thousands may wait their turn */
};

/* What is known of its Harbor at each step. */
struct inquiry_view {
    const struct harbor_project *project; /* NULL: not known */
    bool lacks_project;                   /* missing or old: it is asked for */
    long long quiet_ms;                   /* the project's upstream is not asked for so long */
    bool copy_will_do;   /* nor for what there is a copy of: it is slow, or others wait for it */
    enum truth servable; /* what the upstream said a while ago of the tag that is stored, */
    long servable_ms;    /* and how long that is still good for */
    enum severity scan_from;     /* findings of this severity and above are kept */
    struct slice realm, service; /* of the token service; empty: not known */
};

enum inquiry_end {
    INQUIRY_GOES_ON, /* with a request of inquiry->kind; what is known so far may be there */
    INQUIRY_KNOWN,
    INQUIRY_FAILED, /* no answer */
};

struct inquiry_step {
    enum inquiry_end end;
    enum harbor_answer answer;        /* what the reply meant, for the metrics and the breaker */
    struct buffer path;               /* of the request, the caller's */
    struct slice token;               /* that it goes out with; empty: none */
    struct slice realm, service;      /* as a challenge has named them; empty: none did */
    const struct artifact_fact *fact; /* where it is known, */
    fact_needs knows;                 /* as far as this says */
    long live_ms;                     /* how long the end is good for */
    long servable_ms; /* and what the upstream has just said of a stored tag; 0: nothing */
};

/* Begins, again where somebody needs more: asks for all of `needs`. */
struct inquiry_step inquiry_begin(struct inquiry *inquiry, const struct inquiry_view *view,
                                  fact_needs needs);

/* Takes the reply to the request under way. The project's is read by the caller: any will do. */
struct inquiry_step inquiry_take(struct inquiry *inquiry, const struct inquiry_view *view,
                                 const struct harbor_reply *reply);

void inquiry_done(struct inquiry *inquiry);
