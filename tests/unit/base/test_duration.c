/* Durations: what is taken. */
#include "base/duration.h"

#include "tests/unit/check.h"

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        long long milliseconds; /* -1: none */
    } cases[] = {
        {"10s", 10000},
        {"1m30s", 90000},
        {"1.5h", 5400000},
        {"500ms", 500},
        {"0s", 0},
        {"24h", 86400000},
        {"1h1m1s1ms", 3661001},
        {"0.5s", 500},
        {"86400s", 86400000},
        {"168h", 604800000},
        {"99999999h", -1},
        {"", -1},
        {"10", -1},
        {"s", -1},
        {"10 s", -1},
        {" 10s", -1},
        {"10s ", -1},
        {"-1s", -1},
        {"+1s", -1},
        {"1d", -1},
        {"1us", -1},
        {"1S", -1},
        {"1ss", -1},
        {"1hms", -1},
        {"1s1", -1},
        {".5s", -1},
        {"infs", -1},
        {"nans", -1},
        {"1e3s", -1},
        {"0x10s", -1},
        {"99999999999999999999h", -1},
    };
    size_t differ = 0;
    for (size_t i = 0; i < COUNT(cases); i++) {
        long long got = -1;
        bool ok = duration_parse(cases[i].text, &got);
        if (ok != (cases[i].milliseconds >= 0) || got != cases[i].milliseconds) {
            fprintf(stderr, "`%s`: %s %lld, expected %lld\n", cases[i].text,
                    ok ? "taken" : "refused", got, cases[i].milliseconds);
            differ++;
        }
    }
    check_number("durations", "differing cases", (long long)differ, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
