/* What a request may say; refusals quote the input and say what was expected. */
#include "certs/authority.h"
#include "certs/openssl.h"

#include <arpa/inet.h>

enum { DNS_NAME_MAX = 253, DNS_LABEL_MAX = 63, SECONDS_PER_DAY = 86400 };

/* 9999-12-31T23:59:59Z, the last time that X.509 can say (RFC 5280 4.1.2.5.2). */
static const long long last_time = 253402300799;

size_t certs_parse_address(const char *text, unsigned char ret[static CERTS_ADDRESS_MAX])
{
    if (inet_pton(AF_INET, text, ret) == 1)
        return 4;
    return inet_pton(AF_INET6, text, ret) == 1 ? 16 : 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Letters, digits and inner hyphens, 1 to 63 of them. */
static bool is_label(struct slice label)
{
    if (label.len == 0 || label.len > DNS_LABEL_MAX)
        return false;
    if (label.base[0] == '-' || label.base[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++)
        if (!is_letter(label.base[i]) && !is_digit(label.base[i]) && label.base[i] != '-')
            return false;
    return true;
}

static bool is_number(struct slice label)
{
    for (size_t i = 0; i < label.len; i++)
        if (!is_digit(label.base[i]))
            return false;
    return true;
}

static MUST_CHECK bool check_dns_name(const char *name, struct error *reterr)
{
    unsigned char address[CERTS_ADDRESS_MAX];
    struct slice rest = slice_from(name);
    if (rest.len == 0)
        return error_set(reterr, "a DNS name is empty: expected one such as `webhook.example.svc`");
    if (rest.len > DNS_NAME_MAX)
        return error_set(reterr, "the DNS name `%.60s...` has %zu characters: expected at most %d",
                         name, rest.len, DNS_NAME_MAX);
    if (certs_parse_address(name, address) > 0)
        return error_set(reterr, "`%s` is an IP address: expected a DNS name", name);
    if (rest.base[rest.len - 1] == '.')
        return error_set(reterr, "the DNS name `%s` ends in a dot: expected it without", name);
    if (slice_starts_with(rest, SLICE("*.")))
        rest = slice_from_index(rest, 2);

    struct slice label;
    do {
        label = slice_head(rest, slice_find(rest, '.'));
        if (!is_label(label))
            return error_set(reterr,
                             "the DNS name `%s` has the label `%.*s`: expected 1 to %d letters, "
                             "digits and hyphens, none of these first or last",
                             name, SLICE_ARGS(label), DNS_LABEL_MAX);
        rest = slice_from_index(rest, label.len + 1);
    } while (rest.len > 0);
    if (is_number(label))
        return error_set(reterr, "the DNS name `%s` ends in a number: expected a letter in `%.*s`",
                         name, SLICE_ARGS(label));
    return true;
}

static MUST_CHECK bool check_ip_address(const char *text, struct error *reterr)
{
    unsigned char address[CERTS_ADDRESS_MAX];
    if (certs_parse_address(text, address) == 0)
        return error_set(reterr,
                         "`%.100s` is not an IP address: expected one such as `192.0.2.10` or "
                         "`2001:db8::10`",
                         text);
    return true;
}

static MUST_CHECK bool check_times(const struct certs_request *request, struct error *reterr)
{
    if (request->days < 1 || request->days > CERTS_DAYS_MAX)
        return error_set(reterr, "a certificate of %ld days: expected 1 to %d", request->days,
                         CERTS_DAYS_MAX);
    if (request->ca_days < request->days || request->ca_days > CERTS_DAYS_MAX)
        return error_set(
            reterr, "an authority of %ld days: expected %ld (as long as the certificate) to %d",
            request->ca_days, request->days, CERTS_DAYS_MAX);
    if (request->now < 0 || request->now > last_time - (long long)CERTS_DAYS_MAX * SECONDS_PER_DAY)
        return error_set(reterr, "the time is %lld seconds after 1970: expected a year up to 9899",
                         (long long)request->now);
    return true;
}

bool certs_check_request(const struct certs_request *request, struct error *reterr)
{
    if (request->dns_count == 0 && request->ip_count == 0)
        return error_set(reterr, "no DNS name and no IP address: expected at least one, such as "
                                 "`harbor-pilot.harbor-pilot.svc`");
    if (request->dns_count > CERTS_NAMES_MAX ||
        request->ip_count > CERTS_NAMES_MAX - request->dns_count)
        return error_set(reterr, "%zu DNS names and %zu IP addresses: expected at most %d together",
                         request->dns_count, request->ip_count, CERTS_NAMES_MAX);
    for (size_t i = 0; i < request->dns_count; i++)
        if (!check_dns_name(request->dns_names[i], reterr))
            return false;
    for (size_t i = 0; i < request->ip_count; i++)
        if (!check_ip_address(request->ip_addresses[i], reterr))
            return false;
    return check_times(request, reterr);
}
