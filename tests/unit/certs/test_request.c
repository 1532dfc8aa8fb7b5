/* Which requests certs/request.c refuses, and what it says. */
#include "certs/authority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define L10     "abcdefghij"
#define L60     L10 L10 L10 L10 L10 L10
#define L63     L60 "abc"
#define LONGEST L63 "." L63 "." L63 "." L60 "a" /* 253 */

#define LABEL_RULE "expected 1 to 63 letters, digits and hyphens, none of these first or last"

static const struct certs_request sample = {
    .dns_names = (const char *const[]){"a.svc"}, .dns_count = 1, .days = 1, .ca_days = 1};

struct row {
    const char *input, *error; /* NULL: accepted */
};

static void check(const struct certs_request *request, const char *input, const char *expected)
{
    struct error error = {"untouched"};
    bool ok = certs_check_request(request, &error);
    if (ok != !expected)
        fail_msg("`%s` was %s: %s", input, ok ? "accepted" : "refused", error.text);
    assert_string_equal(error.text, expected ? expected : "untouched");
}

static void test_dns_names(void **state)
{
    (void)state;
    static const struct row table[] = {
        {"harbor-pilot.harbor-pilot.svc", NULL},
        {"localhost", NULL},
        {"*.example.com", NULL},
        {"*.svc", NULL},
        {"A.Example", NULL},
        {"3com.1a", NULL},
        {"xn--bcher-kva.example", NULL},
        {L63 ".svc", NULL},
        {LONGEST, NULL},
        {LONGEST "b", "the DNS name `" L60 "...` has 254 characters: expected at most 253"},
        {"", "a DNS name is empty: expected one such as `webhook.example.svc`"},
        {"a.svc.", "the DNS name `a.svc.` ends in a dot: expected it without"},
        {".", "the DNS name `.` ends in a dot: expected it without"},
        {"*.", "the DNS name `*.` ends in a dot: expected it without"},
        {".svc", "the DNS name `.svc` has the label ``: " LABEL_RULE},
        {"a..svc", "the DNS name `a..svc` has the label ``: " LABEL_RULE},
        {"*", "the DNS name `*` has the label `*`: " LABEL_RULE},
        {"a.*.svc", "the DNS name `a.*.svc` has the label `*`: " LABEL_RULE},
        {"w*.svc", "the DNS name `w*.svc` has the label `w*`: " LABEL_RULE},
        {"*.*.svc", "the DNS name `*.*.svc` has the label `*`: " LABEL_RULE},
        {"a_b.svc", "the DNS name `a_b.svc` has the label `a_b`: " LABEL_RULE},
        {"-a.svc", "the DNS name `-a.svc` has the label `-a`: " LABEL_RULE},
        {"a-.svc", "the DNS name `a-.svc` has the label `a-`: " LABEL_RULE},
        {"a.svc:443", "the DNS name `a.svc:443` has the label `svc:443`: " LABEL_RULE},
        {"a,DNS:b", "the DNS name `a,DNS:b` has the label `a,DNS:b`: " LABEL_RULE},
        {"a.svc\n", "the DNS name `a.svc?` has the label `svc?`: " LABEL_RULE},
        {"b\xc3\xbc.svc", "the DNS name `b\xc3\xbc.svc` has the label `b\xc3\xbc`: " LABEL_RULE},
        {L63 "d.svc", "the DNS name `" L63 "d.svc` has the label `" L63 "d`: " LABEL_RULE},
        {"192.0.2.1", "`192.0.2.1` is an IP address: expected a DNS name"},
        {"2001:db8::1", "`2001:db8::1` is an IP address: expected a DNS name"},
        {"192.0.2.300", "the DNS name `192.0.2.300` ends in a number: expected a letter in `300`"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct certs_request request = sample;
        request.dns_names = &table[i].input;
        check(&request, table[i].input, table[i].error);
    }
}

static void test_ip_addresses(void **state)
{
    (void)state;
#define SUCH "` is not an IP address: expected one such as `192.0.2.10` or `2001:db8::10`"
    static const struct row table[] = {
        {"192.0.2.1", NULL},
        {"2001:db8::1", NULL},
        {"::ffff:192.0.2.1", NULL},
        {"", "`" SUCH},
        {"a.svc", "`a.svc" SUCH},
        {"192.0.2", "`192.0.2" SUCH},
        {"192.0.2.300", "`192.0.2.300" SUCH},
        {"192.0.2.0/24", "`192.0.2.0/24" SUCH},
        {"[2001:db8::1]", "`[2001:db8::1]" SUCH},
        {"fe80::1%eth0", "`fe80::1%eth0" SUCH},
        {" 192.0.2.1", "` 192.0.2.1" SUCH},
        {LONGEST, "`" L63 "." L10 L10 L10 "abcdef" SUCH},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct certs_request request = sample;
        request.ip_addresses = &table[i].input;
        request.ip_count = 1;
        check(&request, table[i].input, table[i].error);
        request.dns_count = 0; /* an address alone is enough */
        check(&request, table[i].input, table[i].error);
    }
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        long days, ca_days;
        long long now;
        const char *error;
    } table[] = {
        {1, 1, 0, NULL},
        {36500, 36500, 253402300799 - 36500LL * 86400, NULL},
        {0, 1, 0, "a certificate of 0 days: expected 1 to 36500"},
        {-1, 1, 0, "a certificate of -1 days: expected 1 to 36500"},
        {36501, 36501, 0, "a certificate of 36501 days: expected 1 to 36500"},
        {10, 9, 0, "an authority of 9 days: expected 10 (as long as the certificate) to 36500"},
        {10, 36501, 0,
         "an authority of 36501 days: expected 10 (as long as the certificate) to 36500"},
        {1, 1, -1, "the time is -1 seconds after 1970: expected a year up to 9899"},
        {1, 1, INT64_MAX,
         "the time is 9223372036854775807 seconds after 1970: expected a year up to 9899"},
        {1, 1, 253402300800 - 36500LL * 86400,
         "the time is 250248700800 seconds after 1970: expected a year up to 9899"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct certs_request request = sample;
        request.days = table[i].days;
        request.ca_days = table[i].ca_days;
        request.now = (time_t)table[i].now;
        check(&request, "times", table[i].error);
        if (table[i].error)
            continue;
        /* The ends of the ranges can be made, not only asked for. */
        struct certs_pair authority = {0}, leaf = {0};
        time_t end = 0;
        assert_true(certs_make_authority(&request, &authority, NULL));
        assert_true(certs_make_leaf(&request, &authority, &leaf, NULL));
        assert_true(certs_expiry(slice_from(leaf.certificate), &end, NULL));
        assert_int_equal(end, request.now + request.days * (time_t)86400);
        certs_pair_done(&authority);
        certs_pair_done(&leaf);
    }
}

static void test_counts(void **state)
{
    (void)state;
    const char *names[CERTS_NAMES_MAX];
    for (size_t i = 0; i < CERTS_NAMES_MAX; i++)
        names[i] = "a.svc";
    struct certs_request request = {.days = 1, .ca_days = 1};
    check(&request, "none",
          "no DNS name and no IP address: expected at least one, such as "
          "`harbor-pilot.harbor-pilot.svc`");
    request.dns_names = names;
    request.dns_count = CERTS_NAMES_MAX;
    check(&request, "most", NULL);
    request.ip_count = 1;
    check(&request, "one more", "100 DNS names and 1 IP addresses: expected at most 100 together");
    request.ip_count = SIZE_MAX;
    assert_false(certs_check_request(&request, NULL));
}

static void test_makers_check_first(void **state)
{
    (void)state;
    struct certs_request request = {.days = 1, .ca_days = 1};
    struct certs_pair ret = {0}, none = {0};
    assert_false(certs_make_authority(&request, &ret, NULL));
    assert_false(certs_make_leaf(&request, &none, &ret, NULL));
    assert_null(ret.certificate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dns_names),
        cmocka_unit_test(test_ip_addresses),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_makers_check_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
