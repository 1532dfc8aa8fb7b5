/* The health of a Harbor, one event after the other. */
#include "harbor/health.h"

static struct health change(struct health h, enum harbor_health state)
{
    h.state = state;
    h.polls_against = 0;
    return h;
}

/* With hysteresis: a poll that disagrees with the state is asked again soon. */
static struct health after_poll(struct health h, bool healthy, long long now)
{
    enum harbor_health seen = healthy ? HEALTH_UP : HEALTH_DOWN;
    h.polling = false;
    if (h.state == HEALTH_UNKNOWN) {
        h = change(h, seen);
    } else if (seen == h.state) {
        h.polls_against = 0;
    } else if (++h.polls_against >= HEALTH_CHANGES_AFTER &&
               (!healthy || now >= h.breaker_until_ms)) {
        h = change(h, seen);
        h.failures = 0;
    }
    bool calm = h.state == HEALTH_UP && h.polls_against == 0;
    h.next_ms = now + (calm ? HEALTH_POLL_MS : HEALTH_POLL_ILL_MS);
    return h;
}

static struct health after_doubt(struct health h)
{
    long long earliest = h.asked_ms + HEALTH_POLL_ILL_MS;
    if (h.next_ms > earliest)
        h.next_ms = earliest;
    return h;
}

static struct health open_breaker(struct health h, long long now)
{
    bool again = h.breaker_hold_ms && now < h.breaker_until_ms + BREAKER_HOLD_MOST_MS;
    h.breaker_hold_ms = again ? 2 * h.breaker_hold_ms : HEALTH_POLL_ILL_MS;
    if (h.breaker_hold_ms > BREAKER_HOLD_MOST_MS)
        h.breaker_hold_ms = BREAKER_HOLD_MOST_MS;
    h.breaker_until_ms = now + h.breaker_hold_ms;
    h.next_ms = now + HEALTH_POLL_ILL_MS;
    return change(h, HEALTH_DOWN);
}

/* Real answers count too: several requests in a row without one, and Harbor is down. */
static struct health after_failure(struct health h, long long now)
{
    h = after_doubt(h);
    /* one image that always fails, asked now and then, is not a Harbor that is down */
    if (now - h.failures_began_ms > HEALTH_POLL_MS && h.polls_against == 0)
        h.failures = 0;
    if (h.failures++ == 0)
        h.failures_began_ms = now;
    return h.failures >= BREAKER_FAILURES && h.state == HEALTH_UP ? open_breaker(h, now) : h;
}

struct health health_after(struct health h, enum health_event event, long long now)
{
    switch (event) {
    case HEALTH_POLL_SENT:
        h.polling = true;
        h.asked_ms = now;
        h.next_ms = now + HEALTH_POLL_MS;
        break;
    case HEALTH_POLL_GOOD:
    case HEALTH_POLL_BAD:
        return after_poll(h, event == HEALTH_POLL_GOOD, now);
    case HEALTH_ANSWERED:
        h.failures = 0;
        break;
    case HEALTH_NOT_ANSWERED:
        return after_failure(h, now);
    case HEALTH_DOUBTED:
        return after_doubt(h);
    }
    return h;
}
