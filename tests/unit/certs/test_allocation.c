/* Every allocation that OpenSSL makes for us fails once: the call fails with a text and without a
 * leak (under a sanitizer or valgrind), or its result is whole. */
#include "certs/authority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

static long countdown = -1; /* allocations until the one that fails; negative: none does */
static bool failed_one;

static bool fails_now(void)
{
    bool now = countdown >= 0 && countdown-- == 0;
    failed_one |= now;
    return now;
}

static void *allocate(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return size == 0 || fails_now() ? NULL : malloc(size);
}

static void release(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

static void *resize(void *p, size_t size, const char *file, int line)
{
    if (size == 0)
        release(p, file, line);
    return size == 0 || fails_now() ? NULL : realloc(p, size);
}

static const struct certs_request request = {.dns_names = (const char *const[]){"a.svc"},
                                             .dns_count = 1,
                                             .ip_addresses = (const char *const[]){"192.0.2.10"},
                                             .ip_count = 1,
                                             .days = 10,
                                             .ca_days = 20,
                                             .now = 1790000000};
static struct certs_pair authority, leaf;

/* Whole: the key fits, no extension is missing, and the authority's signature is right. */
static void assert_whole(const struct certs_pair *pair, const char *issuer_pem, int extensions)
{
    assert_true(certs_check_pair(slice_from(pair->certificate), slice_from(pair->key), NULL));
    BIO *bio = BIO_new_mem_buf(pair->certificate, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    bio = BIO_new_mem_buf(issuer_pem, -1);
    X509 *issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_int_equal(X509_get_ext_count(certificate), extensions);
    assert_int_equal(X509_verify(certificate, X509_get0_pubkey(issuer)), 1);
    X509_free(certificate);
    X509_free(issuer);
}

static bool make_authority(struct error *reterr)
{
    struct certs_pair pair = {0};
    bool ok = certs_make_authority(&request, &pair, reterr);
    countdown = -1;
    if (ok)
        assert_whole(&pair, pair.certificate, 3);
    certs_pair_done(&pair);
    return ok;
}

static bool make_leaf(struct error *reterr)
{
    struct certs_pair pair = {0};
    bool ok = certs_make_leaf(&request, &authority, &pair, reterr);
    countdown = -1;
    if (ok)
        assert_whole(&pair, authority.certificate, 6);
    certs_pair_done(&pair);
    return ok;
}

static bool check_pair(struct error *reterr)
{
    return certs_check_pair(slice_from(leaf.certificate), slice_from(leaf.key), reterr);
}

static bool check_mismatch(struct error *reterr)
{
    struct slice certificate = slice_from(leaf.certificate);
    assert_false(certs_check_pair(certificate, slice_from(authority.key), reterr));
    return false;
}

static bool expiry(struct error *reterr)
{
    time_t end = 0;
    bool ok = certs_expiry(slice_from(leaf.certificate), &end, reterr);
    assert_int_equal(end, ok ? request.now + 10 * 86400 : 0);
    return ok;
}

static void test_failing_allocations(void **state)
{
    (void)state;
    /* All of the 18,000 take a minute and a half under a sanitizer. Reading, which is most of them,
     * goes by larger steps; making signs and writes in runs of 7. */
    static const struct {
        bool (*call)(struct error *reterr);
        long step;
    } table[] = {
        {make_authority, 7}, {make_leaf, 7}, {check_pair, 61}, {check_mismatch, 61}, {expiry, 61}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        failed_one = true;
        for (long at = 0; failed_one; at += table[i].step) {
            struct error error = {""};
            failed_one = false;
            countdown = at;
            bool ok = table[i].call(&error);
            countdown = -1;
            assert_true(ok || error.text[0]);
            assert_int_equal(ERR_peek_error(), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_failing_allocations)};
    if (!CRYPTO_set_mem_functions(allocate, resize, release) ||
        !certs_make_authority(&request, &authority, NULL) ||
        !certs_make_leaf(&request, &authority, &leaf, NULL))
        return 1;
    int status = cmocka_run_group_tests(tests, NULL, NULL);
    certs_pair_done(&authority);
    certs_pair_done(&leaf);
    return status;
}
