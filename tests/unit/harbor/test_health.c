/* Health by tables of events: what is known after each, and when the next poll is. */
#include "harbor/health.h"

#include "tests/unit/check.h"

struct step {
    long long at;
    enum health_event event;
    enum harbor_health state;
    long long next; /* poll */
};

static struct health walk(const char *name, struct health h, const struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char what[64];
        snprintf(what, sizeof(what), "state after step %zu", i);
        h = health_after(h, steps[i].event, steps[i].at);
        check_number(name, what, h.state, steps[i].state);
        snprintf(what, sizeof(what), "next poll after step %zu", i);
        check_number(name, what, h.next_ms, steps[i].next);
    }
    return h;
}

#define WALK(name, h, ...)                                                                         \
    walk(name, h, (const struct step[]){__VA_ARGS__}, COUNT(((const struct step[]){__VA_ARGS__})))

static struct health healthy(void)
{
    return WALK("healthy", (struct health){0}, {1000, HEALTH_POLL_SENT, HEALTH_UNKNOWN, 6000},
                {1100, HEALTH_POLL_GOOD, HEALTH_UP, 6100});
}

static void test_first_poll_decides(void **state)
{
    (void)state;
    assert_false(healthy().polling);
    WALK("ill at first", (struct health){0}, {1000, HEALTH_POLL_SENT, HEALTH_UNKNOWN, 6000},
         {1100, HEALTH_POLL_BAD, HEALTH_DOWN, 2100});
}

static void test_hysteresis(void **state)
{
    (void)state;
    struct health h =
        WALK("one bad poll", healthy(), {6100, HEALTH_POLL_SENT, HEALTH_UP, 11100},
             {6200, HEALTH_POLL_BAD, HEALTH_UP, 7200}, {7200, HEALTH_POLL_GOOD, HEALTH_UP, 12200},
             {12200, HEALTH_POLL_BAD, HEALTH_UP, 13200}); /* counted anew */
    WALK("two bad polls", h, {13200, HEALTH_POLL_BAD, HEALTH_DOWN, 14200},
         {14200, HEALTH_POLL_BAD, HEALTH_DOWN, 15200},
         {15200, HEALTH_POLL_GOOD, HEALTH_DOWN, 16200},
         {16200, HEALTH_POLL_GOOD, HEALTH_UP, 21200});
}

static void test_doubt(void **state)
{
    (void)state;
    struct health h = WALK("soon", healthy(), {1500, HEALTH_DOUBTED, HEALTH_UP, 2000},
                           {1600, HEALTH_DOUBTED, HEALTH_UP, 2000});
    h.next_ms = 1800;
    WALK("never later", h, {1700, HEALTH_DOUBTED, HEALTH_UP, 1800});
}

static struct health broken(struct health h, long long at)
{
    for (int i = 0; i < BREAKER_FAILURES; i++)
        h = health_after(h, HEALTH_NOT_ANSWERED, at);
    return h;
}

static void test_breaker(void **state)
{
    (void)state;
    struct health h = WALK(
        "four in a row, and an answer", healthy(), {2000, HEALTH_NOT_ANSWERED, HEALTH_UP, 2000},
        {2001, HEALTH_NOT_ANSWERED, HEALTH_UP, 2000}, {2002, HEALTH_NOT_ANSWERED, HEALTH_UP, 2000},
        {2003, HEALTH_NOT_ANSWERED, HEALTH_UP, 2000}, {2004, HEALTH_ANSWERED, HEALTH_UP, 2000},
        {2005, HEALTH_NOT_ANSWERED, HEALTH_UP, 2000});
    assert_int_equal(h.failures, 1);
    h = WALK("five in a row", broken(healthy(), 3000),
             {3001, HEALTH_NOT_ANSWERED, HEALTH_DOWN, 2000});
    assert_int_equal(broken(healthy(), 3000).next_ms, 4000);
    assert_int_equal(h.breaker_until_ms, 4000);
    WALK("polls close it, not before its time", broken(healthy(), 3000),
         {3100, HEALTH_POLL_GOOD, HEALTH_DOWN, 4100}, {3900, HEALTH_POLL_GOOD, HEALTH_DOWN, 4900},
         {4000, HEALTH_POLL_GOOD, HEALTH_UP, 9000});
}

/* Failures count for one poll's interval, unless a poll speaks against it too. */
static void test_old_failures(void **state)
{
    (void)state;
    struct health h = healthy();
    for (int i = 0; i < 20; i++)
        h = health_after(h, HEALTH_NOT_ANSWERED, 10000 + i * (HEALTH_POLL_MS + 1LL));
    assert_int_equal(h.state, HEALTH_UP);
    h = health_after(h, HEALTH_POLL_BAD, 200000);
    for (int i = 0; i < BREAKER_FAILURES - 1; i++)
        h = health_after(h, HEALTH_NOT_ANSWERED, 201000 + i * (HEALTH_POLL_MS + 1LL));
    assert_int_equal(h.state, HEALTH_DOWN);
}

/* It opens again and again: for twice as long each time, up to a bound. */
static void test_holds_longer(void **state)
{
    (void)state;
    static const long long holds[] = {1000, 2000, 4000, 8000, 15000, 15000};
    struct health h = healthy();
    long long now = 20000;
    for (size_t i = 0; i < COUNT(holds); i++) {
        h = broken(h, now);
        check_number("again", "hold", h.breaker_until_ms - now, holds[i]);
        now = h.breaker_until_ms;
        h = health_after(health_after(h, HEALTH_POLL_GOOD, now), HEALTH_POLL_GOOD, now);
        assert_int_equal(h.state, HEALTH_UP);
        assert_int_equal(h.failures, 0);
    }
    now += BREAKER_HOLD_MOST_MS;
    assert_int_equal(broken(h, now).breaker_until_ms - now, HEALTH_POLL_ILL_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_poll_decides),
        cmocka_unit_test(test_hysteresis),
        cmocka_unit_test(test_doubt),
        cmocka_unit_test(test_breaker),
        cmocka_unit_test(test_old_failures),
        cmocka_unit_test(test_holds_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
