/* When a Harbor is asked again for what all its artifacts share: our account, its projects, the
 * system's allowlist, its upstreams. Pure: one table of polls, and what happened to them when. */
#pragma once

#include <stdbool.h>

enum {
    PROJECT_POLL_MS = 60000,
    PROJECT_POLL_FAILED_MS = 5000,
    ACCOUNT_POLL_MS = 60000,
    ACCOUNT_POLL_ILL_MS = 5000, /* while it is refused, or Harbor did not say */
    ALLOWLIST_POLL_MS = 60000,
};

enum poll_kind {
    POLL_ACCOUNT,
    POLL_PROJECTS, /* one request for each that a policy names */
    POLL_ALLOWLIST,
    POLL_UPSTREAMS, /* which projects there are, and each one's summary */
    POLL_COUNT
};

enum poll_event {
    POLL_SENT,
    POLL_ENDED,
    POLL_FAILED,  /* it ended without an answer: soon again */
    POLL_AT_ONCE, /* what it asks for may have changed */
    POLL_DOUBTED, /* the same, but not once for each image that doubts it */
};

/* The zero value: all are due. */
struct rounds {
    struct poll {
        bool running;
        long long asked_ms, next_ms; /* monotonic */
    } polls[POLL_COUNT];
};

/* The state after an event. */
struct rounds rounds_after(struct rounds rounds, enum poll_kind kind, enum poll_event event,
                           long long now);

bool rounds_is_due(const struct rounds *rounds, enum poll_kind kind, long long now);

/* When the next of the polls in `wanted`, bits 1 << POLL_…, is due; `most` at the latest. */
long long rounds_next(const struct rounds *rounds, unsigned wanted, long long most);
