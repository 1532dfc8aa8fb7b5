/* Whether a Harbor can serve pulls, as its polls and the answers to requests tell: hysteresis of
 * polls, and a breaker. Pure: what happens and when is told, the next state is returned. */
#pragma once

#include "harbor/fact.h"

enum {
    HEALTH_POLL_MS = 5000,
    HEALTH_POLL_ILL_MS = 1000, /* while it is down, or just seemed to be */
    HEALTH_TIMEOUT_MS = 2000,
    HEALTH_CHANGES_AFTER = 2,     /* polls in a row before the state changes */
    BREAKER_FAILURES = 5,         /* requests in a row without an answer: down at once */
    BREAKER_HOLD_MOST_MS = 15000, /* that it stays open where it opens again and again */
};

/* The zero value is that of a Harbor that was not asked yet: its poll is due. */
struct health {
    enum harbor_health state;    /* UP or DOWN, UNKNOWN before the first poll */
    bool polling;                /* a poll is under way */
    unsigned polls_against;      /* in a row that speak against the state */
    unsigned failures;           /* requests in a row without an answer, */
    long long failures_began_ms; /* since then; they count for one poll's interval */
    long long asked_ms, next_ms; /* of polls */
    long long breaker_until_ms, breaker_hold_ms; /* polls do not close it before; how long */
};

enum health_event {
    HEALTH_POLL_SENT,
    HEALTH_POLL_GOOD,
    HEALTH_POLL_BAD, /* it says that it is ill, or says nothing */
    HEALTH_ANSWERED, /* a request that a Pod waits for, whatever the answer is */
    HEALTH_NOT_ANSWERED,
    HEALTH_DOUBTED, /* an answer did not come in time: it is polled soon, not once for each */
};

/* The state after an event; `now` is monotonic. */
struct health health_after(struct health health, enum health_event event, long long now);
