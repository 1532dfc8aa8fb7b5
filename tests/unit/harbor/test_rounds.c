/* Polls by a table of events: when each is due next. */
#include "harbor/rounds.h"

#include "tests/unit/check.h"

static void test_events(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum poll_kind kind;
        enum poll_event events[3];
        size_t count;
        bool running;
        long long next; /* after events at 1000, 2000, 3000 */
    } cases[] = {
        {"sent", POLL_ACCOUNT, {POLL_SENT}, 1, true, 61000},
        {"the account's counts from the answer",
         POLL_ACCOUNT,
         {POLL_SENT, POLL_ENDED},
         2,
         false,
         62000},
        {"the allowlist's does not", POLL_ALLOWLIST, {POLL_SENT, POLL_ENDED}, 2, false, 61000},
        {"failed", POLL_ALLOWLIST, {POLL_SENT, POLL_FAILED}, 2, false, 7000},
        {"nobody waits for projects", POLL_PROJECTS, {POLL_SENT}, 1, false, 61000},
        {"the first project that fails counts",
         POLL_PROJECTS,
         {POLL_SENT, POLL_FAILED, POLL_FAILED},
         3,
         false,
         7000},
        {"at once, once it has ended", POLL_UPSTREAMS, {POLL_SENT, POLL_AT_ONCE}, 2, true, 0},
        {"doubted", POLL_ACCOUNT, {POLL_SENT, POLL_ENDED, POLL_DOUBTED}, 3, false, 6000},
        {"doubt never delays", POLL_ACCOUNT, {POLL_SENT, POLL_AT_ONCE, POLL_DOUBTED}, 3, true, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rounds rounds = {0};
        for (size_t j = 0; j < cases[i].count; j++)
            rounds = rounds_after(rounds, cases[i].kind, cases[i].events[j], 1000 * (long)(j + 1));
        const struct poll *poll = &rounds.polls[cases[i].kind];
        check_number(cases[i].name, "running", poll->running, cases[i].running);
        check_number(cases[i].name, "the next", poll->next_ms, cases[i].next);
        check_number(cases[i].name, "due before",
                     rounds_is_due(&rounds, cases[i].kind, poll->next_ms - 1), false);
        check_number(cases[i].name, "due then",
                     rounds_is_due(&rounds, cases[i].kind, poll->next_ms), !cases[i].running);
    }
}

static void test_next(void **state)
{
    (void)state;
    const unsigned account = 1U << POLL_ACCOUNT, projects = 1U << POLL_PROJECTS;
    struct rounds rounds = {
        .polls = {[POLL_ACCOUNT] = {false, 0, 50}, [POLL_PROJECTS] = {false, 0, 70}}};
    assert_int_equal(rounds_next(&rounds, account | projects, 100), 50);
    assert_int_equal(rounds_next(&rounds, projects, 100), 70);
    assert_int_equal(rounds_next(&rounds, account | projects, 40), 40);
    assert_int_equal(rounds_next(&rounds, 0, 100), 100);
    rounds.polls[POLL_ACCOUNT].running = true;
    assert_int_equal(rounds_next(&rounds, account | projects, 100), 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_events), cmocka_unit_test(test_next)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
