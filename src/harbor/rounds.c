/* The table of polls. */
#include "harbor/rounds.h"

static const struct {
    long interval_ms, retry_ms;
    bool many;        /* requests: none is waited for, and the first that fails counts */
    bool from_answer; /* the interval begins with the answer */
} table[POLL_COUNT] = {
    [POLL_ACCOUNT] = {ACCOUNT_POLL_MS, ACCOUNT_POLL_ILL_MS, false, true},
    [POLL_PROJECTS] = {PROJECT_POLL_MS, PROJECT_POLL_FAILED_MS, true, false},
    [POLL_ALLOWLIST] = {ALLOWLIST_POLL_MS, PROJECT_POLL_FAILED_MS, false, false},
    [POLL_UPSTREAMS] = {PROJECT_POLL_MS, PROJECT_POLL_FAILED_MS, false, false},
};

static void not_after(struct poll *poll, long long ms)
{
    if (poll->next_ms > ms)
        poll->next_ms = ms;
}

struct rounds rounds_after(struct rounds rounds, enum poll_kind kind, enum poll_event event,
                           long long now)
{
    struct poll *poll = &rounds.polls[kind];
    switch (event) {
    case POLL_SENT:
        *poll = (struct poll){!table[kind].many, now, now + table[kind].interval_ms};
        break;
    case POLL_ENDED:
        poll->running = false;
        if (table[kind].from_answer)
            poll->next_ms = now + table[kind].interval_ms;
        break;
    case POLL_FAILED:
        poll->running = false;
        if (table[kind].many)
            not_after(poll, now + table[kind].retry_ms);
        else
            poll->next_ms = now + table[kind].retry_ms;
        break;
    case POLL_AT_ONCE:
        poll->next_ms = 0;
        break;
    case POLL_DOUBTED:
        not_after(poll, poll->asked_ms + table[kind].retry_ms);
        break;
    }
    return rounds;
}

bool rounds_is_due(const struct rounds *rounds, enum poll_kind kind, long long now)
{
    return !rounds->polls[kind].running && now >= rounds->polls[kind].next_ms;
}

long long rounds_next(const struct rounds *rounds, unsigned wanted, long long most)
{
    for (unsigned kind = 0; kind < POLL_COUNT; kind++)
        if ((wanted & 1U << kind) && !rounds->polls[kind].running &&
            rounds->polls[kind].next_ms < most)
            most = rounds->polls[kind].next_ms;
    return most;
}
