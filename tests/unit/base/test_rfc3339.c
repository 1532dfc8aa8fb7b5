/* Times and dates as text. */
#include "base/rfc3339.h"

#include "tests/unit/check.h"

#include <limits.h>
#include <time.h>

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        long long seconds;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59Z", -1},
        {"2026-11-20T02:11:09Z", 1795140669},
        {"2026-11-24T10:20:12.000Z", 1795515612},
        {"2026-11-24T10:20:12.999999999Z", 1795515612},
        {"2026-11-24T10:20:12.1Z", 1795515612},
        {"1969-12-31T23:59:59.9Z", -1},
        {"2026-11-24T11:20:12+01:00", 1795515612},
        {"2026-11-24T04:50:12.5-05:30", 1795515612},
        {"2026-11-24T10:20:12+00:00", 1795515612},
        {"2026-11-24T10:20:12-00:00", 1795515612},
        {"2026-11-25T10:19:12+23:59", 1795515612},
        {"2000-02-29T00:00:00Z", 951782400},
        {"2024-02-29T23:59:59Z", 1709251199},
        {"2100-02-28T23:59:59Z", 4107542399},
        {"2100-03-01T00:00:00Z", 4107542400},
        {"2038-01-19T03:14:08Z", 2147483648},
        {"0001-01-01T00:00:00Z", RFC3339_GO_ZERO},
        {"0001-01-01T00:00:00.000Z", RFC3339_GO_ZERO},
        {"0004-02-29T00:00:00Z", -62035891200},
        {"9999-12-31T23:59:59Z", RFC3339_LAST},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        long long seconds = 77;
        struct slice text = copy_exact(slice_from(cases[i].text));
        check_number(cases[i].text, "it is read", rfc3339_parse(text, &seconds), true);
        check_number(cases[i].text, "the time", seconds, cases[i].seconds);
        free((char *)text.base);
    }
}

static void test_no_times(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "2026",
        "2026-11-20",
        "2026-11-20T02:11:09",
        "2026-11-20T02:11Z",
        "2026-11-20 02:11:09Z",
        "2026-11-20t02:11:09Z",
        "2026-11-20T02:11:09z",
        " 2026-11-20T02:11:09Z",
        "2026-11-20T02:11:09Z ",
        "2026-11-20T02:11:09ZZ",
        "2026-11-20T02:11:09.Z",
        "2026-11-20T02:11:09,5Z",
        "2026-11-20T02:11:09.5",
        "2026-11-20T02:11:09+1:00",
        "2026-11-20T02:11:09+0100",
        "2026-11-20T02:11:09+01",
        "2026-11-20T02:11:09+24:00",
        "2026-11-20T02:11:09+01:60",
        "2026-11-20T02:11:09+01:00Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T23:60:00Z",
        "2026-12-31T23:59:60Z",
        "2026-11-20T2:11:09Z",
        "2026-00-20T02:11:09Z",
        "2026-13-20T02:11:09Z",
        "2026-11-00T02:11:09Z",
        "2026-11-31T02:11:09Z",
        "2026-02-29T02:11:09Z",
        "2100-02-29T02:11:09Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "-001-01-01T00:00:00Z",
        "+026-11-20T02:11:09Z",
        "202x-11-20T02:11:09Z",
        "2026/11/20T02:11:09Z",
        "2026-1-20T02:11:09Z",
        "20261120T021109Z",
        "1795140669",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        long long seconds = 77;
        struct slice text = copy_exact(slice_from(texts[i]));
        check_number(texts[i], "it is read", rfc3339_parse(text, &seconds), false);
        check_number(texts[i], "untouched", seconds, 77);
        free((char *)text.base);
    }
    assert_false(rfc3339_parse((struct slice){0}, &(long long){0}));
    assert_false(rfc3339_parse(SLICE("2026-11-20T02:11:09Z\0"), &(long long){0}));
}

static void test_dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool read;
        long long begin;
    } cases[] = {
        {"1970-01-01", true, 0},
        {"2027-01-31", true, 1801353600},
        {"2024-02-29", true, 1709164800},
        {"2000-02-29", true, 951782400},
        {"0001-01-01", true, RFC3339_GO_ZERO},
        {"9999-12-31", true, RFC3339_LAST + 1 - SECONDS_PER_DAY},
        {"2023-02-29", false, 0},
        {"1900-02-29", false, 0},
        {"2027-04-31", false, 0},
        {"2027-06-31", false, 0},
        {"2027-09-31", false, 0},
        {"2027-01-32", false, 0},
        {"2027-1-31", false, 0},
        {"2027-01-31T00:00:00Z", false, 0},
        {"2027-01-31 ", false, 0},
        {"2027-01", false, 0},
        {"27-01-31", false, 0},
        {"31.01.2027", false, 0},
        {"0000-12-31", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        long long begin = 77;
        struct slice text = copy_exact(slice_from(cases[i].text));
        check_number(cases[i].text, "it is read", date_parse(text, &begin), cases[i].read);
        check_number(cases[i].text, "its begin", begin, cases[i].read ? cases[i].begin : 77);
        free((char *)text.base);
    }
}

static void test_format(void **state)
{
    (void)state;
    static const struct {
        long long seconds;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {-1, "1969-12-31T23:59:59Z"},
        {1795140669, "2026-11-20T02:11:09Z"},
        {951782400, "2000-02-29T00:00:00Z"},
        {RFC3339_GO_ZERO, "0001-01-01T00:00:00Z"},
        {RFC3339_GO_ZERO - 1, "0001-01-01T00:00:00Z"},
        {RFC3339_LAST, "9999-12-31T23:59:59Z"},
        {RFC3339_LAST + 1, "9999-12-31T23:59:59Z"},
        {LLONG_MIN, "0001-01-01T00:00:00Z"},
        {LLONG_MAX, "9999-12-31T23:59:59Z"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[RFC3339_SIZE];
        rfc3339_format(cases[i].seconds, text);
        check_text(cases[i].text, "the text", slice_from(text), cases[i].text);
    }
}

/* One day as libc has it, at some time of it, there and back. */
static void check_day(long long day)
{
    char text[RFC3339_SIZE], expected[64];
    struct tm tm;
    long long back, seconds = day * SECONDS_PER_DAY + (day & 0xffff);
    time_t time = (time_t)seconds;
    assert_non_null(gmtime_r(&time, &tm));
    snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    rfc3339_format(seconds, text);
    if (strcmp(text, expected) != 0)
        CHECK_FAIL("%lld is %s, expected %s", seconds, text, expected);
    if (!rfc3339_parse(slice_from(text), &back) || back != seconds)
        CHECK_FAIL("%s is not read as %lld", text, seconds);
    if (!date_parse(slice_of(text, 10), &back) || back != day * SECONDS_PER_DAY)
        CHECK_FAIL("the day of %s is not read", text);
}

/* Each day of the calendar's period of 400 years, and some of each year from 0001 to 9999. */
static void test_days(void **state)
{
    (void)state;
    const long long first = RFC3339_GO_ZERO / SECONDS_PER_DAY,
                    last = RFC3339_LAST / SECONDS_PER_DAY, period = 400 * 365 + 97;
    for (long long day = -period / 2; day <= period / 2; day++)
        check_day(day);
    for (long long day = first; day <= last; day += 61)
        check_day(day);
    check_day(last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times), cmocka_unit_test(test_no_times),
        cmocka_unit_test(test_dates), cmocka_unit_test(test_format),
        cmocka_unit_test(test_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
