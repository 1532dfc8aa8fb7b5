/* certs_expiry and certs_check_pair on certificates of ours, of others, and on what is none. */
#include "certs/authority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const time_t now = 1790000000;
static struct certs_pair authority, leaf, other;

static int make_all(void **state)
{
    (void)state;
    const char *const names[] = {"a.svc"};
    struct certs_request request = {
        .dns_names = names, .dns_count = 1, .days = 2, .ca_days = 3, .now = now};
    return certs_make_authority(&request, &authority, NULL) &&
                   certs_make_leaf(&request, &authority, &leaf, NULL) &&
                   certs_make_leaf(&request, &authority, &other, NULL)
               ? 0
               : -1;
}

static int free_all(void **state)
{
    (void)state;
    certs_pair_done(&authority);
    certs_pair_done(&leaf);
    certs_pair_done(&other);
    return 0;
}

/* A self-signed certificate of another algorithm, its key under a password where one is given. */
static struct certs_pair foreign(EVP_PKEY *key, const EVP_MD *digest, const char *password)
{
    struct certs_pair pair;
    X509 *certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    ASN1_TIME_set_string(X509_getm_notAfter(certificate), "20991231235959Z");
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, digest));
    char *data;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_X509(bio, certificate));
    long len = BIO_get_mem_data(bio, &data);
    pair.certificate = strndup(data, (size_t)len);
    BIO_free(bio);
    bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_PrivateKey(bio, key, password ? EVP_aes_128_cbc() : NULL, NULL, 0,
                                         NULL, (void *)(uintptr_t)password));
    len = BIO_get_mem_data(bio, &data);
    pair.key = strndup(data, (size_t)len);
    BIO_free(bio);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return pair;
}

static void test_expiry(void **state)
{
    (void)state;
    char chain[8192];
    time_t end = 0;
    assert_true(certs_expiry(slice_from(authority.certificate), &end, NULL));
    assert_int_equal(end, now + 3 * 86400);
    assert_true(certs_expiry(slice_from(leaf.certificate), &end, NULL));
    assert_int_equal(end, now + 2 * 86400);

    /* The first certificate counts; text and keys before it do not. */
    snprintf(chain, sizeof(chain), "subject: a\n%s%s%s", leaf.key, leaf.certificate,
             authority.certificate);
    assert_true(certs_expiry(slice_from(chain), &end, NULL));
    assert_int_equal(end, now + 2 * 86400);
    assert_int_equal(ERR_peek_error(), 0);
}

static void test_expiry_refused(void **state)
{
    (void)state;
#define EXPECTED ": expected a PEM block `-----BEGIN CERTIFICATE-----`"
    static const struct {
        struct slice pem;
        const char *error;
    } table[] = {
        {{0}, "cannot read the certificate: it is empty, expected PEM text"},
        {SLICE("\0\0\0"), "cannot read the certificate (no start line)" EXPECTED},
        {SLICE("hello"), "cannot read the certificate (no start line)" EXPECTED},
        {SLICE("-----BEGIN CERTIFICATE-----\nhello"),
         "cannot read the certificate (bad end line)" EXPECTED},
        {SLICE("-----BEGIN CERTIFICATE-----\naGVsbG8K\n-----END CERTIFICATE-----\n"), NULL},
        {SLICE("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), NULL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct error error = {""};
        time_t end = 42;
        assert_false(certs_expiry(table[i].pem, &end, &error));
        assert_int_equal(end, 42);
        assert_non_null(strstr(error.text, "cannot read the certificate"));
        if (table[i].error)
            assert_string_equal(error.text, table[i].error);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

static void test_too_long(void **state)
{
    (void)state;
    struct error error;
    time_t end = 42;
    char *text = malloc(CERTS_PEM_MAX_BYTES + 1);
    size_t len = strlen(leaf.certificate);
    memset(text, '\n', CERTS_PEM_MAX_BYTES + 1);
    memcpy(text, leaf.certificate, len);
    assert_true(certs_expiry(slice_of(text, CERTS_PEM_MAX_BYTES), &end, &error));
    assert_false(certs_expiry(slice_of(text, CERTS_PEM_MAX_BYTES + 1), &end, &error));
    assert_string_equal(error.text, "cannot read the certificate: it has 1048577 bytes, expected "
                                    "at most 1048576");
    free(text);
}

/* Every beginning of a certificate is refused or read, within its bounds (no NUL after it). */
static void test_truncated(void **state)
{
    (void)state;
    size_t whole = strlen(leaf.certificate);
    for (size_t len = 1; len < whole; len++) {
        char *part = malloc(len);
        time_t end;
        memcpy(part, leaf.certificate, len);
        bool read = certs_expiry(slice_of(part, len), &end, NULL);
        free(part);
        if (read && len + 1 < whole)
            fail_msg("%zu of %zu bytes were read", len, whole);
    }
}

static void test_pairs(void **state)
{
    (void)state;
    struct slice certificate = slice_from(leaf.certificate);
    struct error error = {"untouched"};
    assert_true(certs_check_pair(certificate, slice_from(leaf.key), &error));
    assert_string_equal(error.text, "untouched");

    assert_false(certs_check_pair(certificate, slice_from(other.key), &error));
    assert_string_equal(error.text,
                        "the private key does not belong to the certificate: key values mismatch");
    assert_false(certs_check_pair(certificate, slice_from(authority.key), &error));
    assert_false(certs_check_pair(certificate, certificate, &error));
    assert_non_null(strstr(error.text, "cannot read the private key ("));
    assert_non_null(strstr(error.text, "): expected a PEM block `-----BEGIN PRIVATE KEY-----`"));
    assert_false(certs_check_pair(certificate, (struct slice){0}, &error));
    assert_string_equal(error.text, "cannot read the private key: it is empty, expected PEM text");
    assert_false(certs_check_pair(slice_from(leaf.key), slice_from(leaf.key), &error));
    assert_string_equal(error.text, "cannot read the certificate (no start line)" EXPECTED);
    assert_int_equal(ERR_peek_error(), 0);
}

static void test_other_algorithms(void **state)
{
    (void)state;
    struct certs_pair pairs[] = {foreign(EVP_RSA_gen(2048), EVP_sha256(), NULL),
                                 foreign(EVP_EC_gen("P-384"), EVP_sha384(), NULL),
                                 foreign(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL, NULL)};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            struct error error = {""};
            bool ok = certs_check_pair(slice_from(pairs[i].certificate), slice_from(pairs[j].key),
                                       &error);
            assert_int_equal(ok, i == j);
            if (!ok)
                assert_string_equal(error.text, "the private key does not belong to the "
                                                "certificate: key type mismatch");
        }
        time_t end = 0;
        assert_true(certs_expiry(slice_from(pairs[i].certificate), &end, NULL));
        assert_int_equal(end, 4102444799);
    }
    for (size_t i = 0; i < 3; i++)
        certs_pair_done(&pairs[i]);
}

/* Never a prompt: that would hang a server that has a terminal. */
static void test_encrypted_key(void **state)
{
    (void)state;
    struct error error = {""};
    struct certs_pair pair = foreign(EVP_EC_gen("P-256"), EVP_sha256(), "secret");
    assert_false(certs_check_pair(slice_from(pair.certificate), slice_from(pair.key), &error));
    assert_string_equal(error.text, "cannot read the private key: it is encrypted, expected a PEM "
                                    "block without a password");
    certs_pair_done(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expiry),        cmocka_unit_test(test_expiry_refused),
        cmocka_unit_test(test_too_long),      cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_pairs),         cmocka_unit_test(test_other_algorithms),
        cmocka_unit_test(test_encrypted_key),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
