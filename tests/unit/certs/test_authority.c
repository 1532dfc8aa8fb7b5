/* The certificates that certs/authority.c makes, parsed back and verified by OpenSSL as a client
 * would, field by field. */
#include "certs/authority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

enum { HOUR = 3600, DAY = 86400 };
static const time_t now = 1790000000; /* 2026-09-21T14:13:20Z */

static const char *const dns_names[] = {"harbor-pilot.harbor-pilot.svc", "*.example.com"};
static const char *const ip_addresses[] = {"192.0.2.10", "2001:db8::10"};
static const struct certs_request sample = {.dns_names = dns_names,
                                            .dns_count = 2,
                                            .ip_addresses = ip_addresses,
                                            .ip_count = 2,
                                            .days = 365,
                                            .ca_days = 3650,
                                            .now = now};

struct fixture {
    struct certs_pair authority, leaf;
    X509 *authority_x509, *leaf_x509;
};

static X509 *parse(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(certificate);
    assert_true(BIO_eof(bio)); /* one block and nothing else */
    BIO_free(bio);
    return certificate;
}

static struct fixture make(const struct certs_request *request)
{
    struct fixture f = {0};
    struct error error = {0};
    if (!certs_make_authority(request, &f.authority, &error) ||
        !certs_make_leaf(request, &f.authority, &f.leaf, &error))
        fail_msg("%s", error.text);
    f.authority_x509 = parse(f.authority.certificate);
    f.leaf_x509 = parse(f.leaf.certificate);
    assert_int_equal(ERR_peek_error(), 0);
    return f;
}

static void done(struct fixture *f)
{
    X509_free(f->authority_x509);
    X509_free(f->leaf_x509);
    certs_pair_done(&f->authority);
    certs_pair_done(&f->leaf);
}
#define FIXTURE __attribute__((cleanup(done))) struct fixture

static time_t seconds(const ASN1_TIME *time)
{
    struct tm parts;
    assert_true(ASN1_TIME_to_tm(time, &parts));
    return timegm(&parts);
}

/* The text of an extension as `openssl x509 -text` shows it, "critical " before it where it is. */
static void assert_extension(X509 *certificate, int nid, const char *expected)
{
    char text[512] = "";
    int at = X509_get_ext_by_NID(certificate, nid, -1);
    assert_true(at >= 0);
    assert_int_equal(X509_get_ext_by_NID(certificate, nid, at), -1);
    X509_EXTENSION *extension = X509_get_ext(certificate, at);
    if (X509_EXTENSION_get_critical(extension))
        snprintf(text, sizeof(text), "critical ");
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(X509V3_EXT_print(bio, extension, 0, 0));
    size_t len = strlen(text);
    int n = BIO_read(bio, text + len, (int)(sizeof(text) - len - 1));
    text[len + (size_t)(n > 0 ? n : 0)] = '\0';
    BIO_free(bio);
    assert_string_equal(text, expected);
}

static void assert_common_fields(X509 *certificate)
{
    assert_int_equal(X509_get_version(certificate), X509_VERSION_3);
    assert_int_equal(X509_get_signature_nid(certificate), NID_ecdsa_with_SHA256);
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    char group[32];
    assert_true(EVP_PKEY_get_group_name(key, group, sizeof(group), NULL));
    assert_string_equal(group, "prime256v1");

    BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    assert_false(BN_is_negative(serial));
    assert_int_equal(BN_num_bits(serial), 128);
    BN_free(serial);
}

static void common_name(X509 *certificate, char *text, int size)
{
    X509_NAME *name = X509_get_subject_name(certificate);
    assert_int_equal(X509_NAME_entry_count(name), 1);
    assert_true(X509_NAME_get_text_by_NID(name, NID_commonName, text, size) > 0);
}

static void test_authority_fields(void **state)
{
    (void)state;
    FIXTURE f = make(&sample);
    X509 *certificate = f.authority_x509;
    char name[128];
    assert_common_fields(certificate);
    assert_int_equal(seconds(X509_get0_notBefore(certificate)), now - HOUR);
    assert_int_equal(seconds(X509_get0_notAfter(certificate)), now + 3650 * (time_t)DAY);
    assert_extension(certificate, NID_basic_constraints, "critical CA:TRUE, pathlen:0");
    assert_extension(certificate, NID_key_usage, "critical Certificate Sign, CRL Sign");
    assert_int_equal(ASN1_STRING_length(X509_get0_subject_key_id(certificate)), 20);
    assert_int_equal(X509_get_ext_count(certificate), 3);

    common_name(certificate, name, sizeof(name));
    assert_int_equal(strlen(name), strlen("harbor-pilot CA 20260921T141320Z 0123456789abcdef"));
    assert_memory_equal(name, "harbor-pilot CA 20260921T141320Z ", 33);
    assert_int_equal(
        X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)), 0);
    assert_int_equal(X509_verify(certificate, X509_get0_pubkey(certificate)), 1);
}

static void test_leaf_fields(void **state)
{
    (void)state;
    FIXTURE f = make(&sample);
    X509 *certificate = f.leaf_x509;
    char name[128];
    assert_common_fields(certificate);
    assert_int_equal(seconds(X509_get0_notBefore(certificate)), now - HOUR);
    assert_int_equal(seconds(X509_get0_notAfter(certificate)), now + 365 * DAY);
    assert_extension(certificate, NID_basic_constraints, "critical CA:FALSE");
    assert_extension(certificate, NID_key_usage, "critical Digital Signature");
    assert_extension(certificate, NID_ext_key_usage, "TLS Web Server Authentication");
    assert_extension(certificate, NID_subject_alt_name,
                     "DNS:harbor-pilot.harbor-pilot.svc, DNS:*.example.com, "
                     "IP Address:192.0.2.10, IP Address:2001:DB8:0:0:0:0:0:10");
    assert_int_equal(ASN1_STRING_length(X509_get0_subject_key_id(certificate)), 20);
    assert_int_equal(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(certificate),
                                           X509_get0_subject_key_id(f.authority_x509)),
                     0);
    assert_int_equal(X509_get_ext_count(certificate), 6);
    common_name(certificate, name, sizeof(name));
    assert_string_equal(name, "harbor-pilot webhook");
    assert_int_equal(
        X509_NAME_cmp(X509_get_issuer_name(certificate), X509_get_subject_name(f.authority_x509)),
        0);
}

static void test_pem_form(void **state)
{
    (void)state;
    FIXTURE f = make(&sample);
    const char *keys[] = {f.authority.key, f.leaf.key};
    for (size_t i = 0; i < 2; i++) {
        struct slice key = slice_from(keys[i]);
        assert_true(slice_starts_with(key, SLICE("-----BEGIN PRIVATE KEY-----\n")));
        assert_string_equal(keys[i] + key.len - 26, "-----END PRIVATE KEY-----\n");
    }
    assert_true(certs_check_pair(slice_from(f.leaf.certificate), slice_from(f.leaf.key), NULL));
    assert_true(
        certs_check_pair(slice_from(f.authority.certificate), slice_from(f.authority.key), NULL));
}

struct verification {
    const char *host, *address; /* as the client knows the server; NULL does not ask */
    time_t at;
    const char *purpose;
    int expected; /* X509_V_... */
};

/* What X509_verify_cert says of `leaf` when these authorities are trusted. */
static int verify(X509 *leaf, X509 *const *trusted, size_t count, const struct verification *v)
{
    X509_STORE *store = X509_STORE_new();
    for (size_t i = 0; i < count; i++)
        assert_true(X509_STORE_add_cert(store, trusted[i]));
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    assert_true(X509_STORE_CTX_init(context, store, leaf, NULL));
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(param, v->at);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
    X509_VERIFY_PARAM_set_auth_level(param, 2);
    assert_true(X509_STORE_CTX_set_default(context, v->purpose));
    if (v->host)
        assert_true(X509_VERIFY_PARAM_set1_host(param, v->host, 0));
    if (v->address)
        assert_true(X509_VERIFY_PARAM_set1_ip_asc(param, v->address));
    X509_verify_cert(context);
    int result = X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    return result;
}

static void test_verification(void **state)
{
    (void)state;
    static const char svc[] = "harbor-pilot.harbor-pilot.svc", server[] = "ssl_server";
    static const time_t end = now + 365 * DAY;
    static const struct verification table[] = {
        {svc, NULL, now, server, X509_V_OK},
        {"a.example.com", NULL, now, server, X509_V_OK},
        {NULL, "192.0.2.10", now, server, X509_V_OK},
        {NULL, "2001:db8::10", now, server, X509_V_OK},
        {"example.com", NULL, now, server, X509_V_ERR_HOSTNAME_MISMATCH},
        {"a.b.example.com", NULL, now, server, X509_V_ERR_HOSTNAME_MISMATCH},
        {"harbor-pilot webhook", NULL, now, server, X509_V_ERR_HOSTNAME_MISMATCH},
        {NULL, "192.0.2.11", now, server, X509_V_ERR_IP_ADDRESS_MISMATCH},
        {svc, NULL, now - HOUR, server, X509_V_OK},
        {svc, NULL, now - HOUR - 1, server, X509_V_ERR_CERT_NOT_YET_VALID},
        {svc, NULL, end - 1, server, X509_V_OK},
        {svc, NULL, end + 1, server, X509_V_ERR_CERT_HAS_EXPIRED},
        {svc, NULL, now, "ssl_client", X509_V_ERR_INVALID_PURPOSE},
    };
    FIXTURE f = make(&sample);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        int got = verify(f.leaf_x509, &f.authority_x509, 1, &table[i]);
        if (got != table[i].expected)
            fail_msg("row %zu: %s", i, X509_verify_cert_error_string(got));
    }
}

static void test_old_and_new_authority_in_one_bundle(void **state)
{
    (void)state;
    static const struct verification plain = {.at = now, .purpose = "ssl_server"};
    FIXTURE old = make(&sample);
    FIXTURE new = make(&sample); /* of the same second */
    X509 *both[] = {old.authority_x509, new.authority_x509};
    assert_int_equal(verify(old.leaf_x509, both, 2, &plain), X509_V_OK);
    assert_int_equal(verify(new.leaf_x509, both, 2, &plain), X509_V_OK);
    assert_int_not_equal(verify(new.leaf_x509, both, 1, &plain), X509_V_OK);
    assert_int_not_equal(
        X509_NAME_cmp(X509_get_subject_name(both[0]), X509_get_subject_name(both[1])), 0);
    assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(old.leaf_x509),
                                          X509_get0_serialNumber(new.leaf_x509)),
                         0);
}

static void test_leaf_cannot_sign(void **state)
{
    (void)state;
    FIXTURE f = make(&sample);
    struct certs_pair ret = {0};
    struct error error;
    assert_false(certs_make_leaf(&sample, &f.leaf, &ret, &error));
    assert_string_equal(error.text, "the authority's certificate is not one of an authority: "
                                    "expected CA:TRUE and keyCertSign");
    assert_null(ret.certificate);
    assert_null(ret.key);
}

static void test_leaf_ends_with_its_authority(void **state)
{
    (void)state;
    FIXTURE f = make(&sample);
    struct certs_request later = sample;
    struct certs_pair renewed = {0};
    struct error error;
    time_t end = now + 3650 * (time_t)DAY, got = 0;

    later.now = end - 10 * DAY;
    assert_true(certs_make_leaf(&later, &f.authority, &renewed, &error));
    assert_true(certs_expiry(slice_from(renewed.certificate), &got, &error));
    assert_int_equal(got, end);
    certs_pair_done(&renewed);

    later.now = end;
    assert_false(certs_make_leaf(&later, &f.authority, &renewed, &error));
    assert_string_equal(error.text, "the authority is valid from 1789996400 to 2105360000 seconds "
                                    "after 1970: expected that to include 2105360000");
    later.now = now - HOUR - 1;
    assert_false(certs_make_leaf(&later, &f.authority, &renewed, &error));
    assert_null(renewed.key);
}

static void test_authority_of_two_halves(void **state)
{
    (void)state;
    FIXTURE f = make(&sample);
    FIXTURE g = make(&sample);
    struct certs_pair mixed = {f.authority.certificate, g.authority.key}, ret = {0};
    struct error error;
    assert_false(certs_make_leaf(&sample, &mixed, &ret, &error));
    assert_string_equal(
        error.text, "the authority's key does not belong to its certificate: key values mismatch");
    mixed.certificate = NULL;
    assert_false(certs_make_leaf(&sample, &mixed, &ret, &error));
    assert_string_equal(error.text, "cannot read the authority's certificate: it is empty, "
                                    "expected PEM text");
    assert_int_equal(ERR_peek_error(), 0);
    assert_null(ret.key);
}

/* RFC 5280 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on. */
static void test_time_types(void **state)
{
    (void)state;
    struct certs_request request = sample;
    request.days = request.ca_days = CERTS_DAYS_MAX;
    FIXTURE f = make(&request);
    assert_int_equal(ASN1_STRING_type(X509_get0_notBefore(f.leaf_x509)), V_ASN1_UTCTIME);
    assert_int_equal(ASN1_STRING_type(X509_get0_notAfter(f.leaf_x509)), V_ASN1_GENERALIZEDTIME);
    assert_int_equal(seconds(X509_get0_notAfter(f.leaf_x509)), now + CERTS_DAYS_MAX * (time_t)DAY);
}

static void test_done_twice(void **state)
{
    (void)state;
    struct certs_pair pair = {0};
    certs_pair_done(&pair);
    assert_true(certs_make_authority(&sample, &pair, NULL));
    certs_pair_done(&pair);
    assert_null(pair.key);
    assert_null(pair.certificate);
    certs_pair_done(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authority_fields),
        cmocka_unit_test(test_leaf_fields),
        cmocka_unit_test(test_pem_form),
        cmocka_unit_test(test_verification),
        cmocka_unit_test(test_old_and_new_authority_in_one_bundle),
        cmocka_unit_test(test_leaf_cannot_sign),
        cmocka_unit_test(test_leaf_ends_with_its_authority),
        cmocka_unit_test(test_authority_of_two_halves),
        cmocka_unit_test(test_time_types),
        cmocka_unit_test(test_done_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
