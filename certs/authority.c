/* Makes the authority and the serving certificate: keys, fields, extensions, signature, PEM. */
#include "certs/authority.h"

#include "base/memory.h"
#include "certs/openssl.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SERIAL_BITS = 128,
    COMMON_NAME_MAX = 64, /* ub-common-name, RFC 5280 appendix A.1 */
    SECONDS_PER_HOUR = 3600,
    SECONDS_PER_DAY = 86400
};

struct extension {
    int nid;
    const char *value; /* in the language of x509v3_config(5) */
};

/* RFC 5280 4.2.1.9: pathlen:0 lets it sign leaves only. */
static const struct extension authority_extensions[] = {
    {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
    {NID_key_usage, "critical,keyCertSign,cRLSign"},
    {NID_subject_key_identifier, "hash"},
    {NID_undef, NULL},
};

/* An ECDSA key in a server only ever signs (RFC 8422 5.3). */
static const struct extension leaf_extensions[] = {
    {NID_basic_constraints, "critical,CA:FALSE"},
    {NID_key_usage, "critical,digitalSignature"},
    {NID_ext_key_usage, "serverAuth"},
    {NID_subject_key_identifier, "hash"},
    {NID_authority_key_identifier, "keyid:always"},
    {NID_undef, NULL},
};

static void cleanup_bn(BIGNUM **number)
{
    BN_free(*number);
}

static void cleanup_general_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

void certs_pair_done(struct certs_pair *pair)
{
    if (pair->key)
        OPENSSL_cleanse(pair->key, strlen(pair->key));
    free(pair->key);
    free(pair->certificate);
    *pair = (struct certs_pair){0};
}

/* A random positive serial of 16 bytes; RFC 5280 4.1.2.2 allows 20. The top bit is set, so that it
 * is never 0. */
static bool set_serial(X509 *certificate)
{
    __attribute__((cleanup(cleanup_bn))) BIGNUM *serial = BN_new();
    return serial && BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
           BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate));
}

/* A certificate with what both kinds have: version, serial, times and key. NULL on failure, with
 * the reason in OpenSSL's queue. */
static X509 *start_certificate(EVP_PKEY *key, time_t now, time_t not_after)
{
    X509 *certificate = X509_new();
    if (certificate && X509_set_version(certificate, X509_VERSION_3) && set_serial(certificate) &&
        ASN1_TIME_set(X509_getm_notBefore(certificate), now - SECONDS_PER_HOUR) &&
        ASN1_TIME_set(X509_getm_notAfter(certificate), not_after) &&
        X509_set_pubkey(certificate, key))
        return certificate;
    X509_free(certificate);
    return NULL;
}

static bool set_common_name(X509 *certificate, const char *text)
{
    return X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                      MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0);
}

/* `harbor-pilot CA 20261124T120300Z 9f86d081884c7d65`: the time for people, the beginning of the
 * serial for authorities of the same second. */
static bool set_authority_name(X509 *certificate, time_t now)
{
    char text[COMMON_NAME_MAX + 1], time_text[32];
    unsigned long long random = 0;
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    const unsigned char *bytes = ASN1_STRING_get0_data(serial);
    for (int i = 0; i < 8 && i < ASN1_STRING_length(serial); i++)
        random = random << 8 | bytes[i];
    struct tm parts;
    if (!gmtime_r(&now, &parts) ||
        strftime(time_text, sizeof(time_text), "%Y%m%dT%H%M%SZ", &parts) == 0)
        return false;
    snprintf(text, sizeof(text), "harbor-pilot CA %s %016llx", time_text, random);
    return set_common_name(certificate, text);
}

static bool add_extensions(X509 *certificate, X509 *issuer, const struct extension *list)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    for (; list->value; list++) {
        X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &context, list->nid, list->value);
        bool added = extension && X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
        if (!added)
            return false;
    }
    return true;
}

/* Appends a name to the list: a DNS name as IA5String, an address as its bytes in network order
 * (RFC 5280 4.2.1.6). */
static bool add_name(GENERAL_NAMES *names, int type, const void *data, size_t len)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value =
        ASN1_STRING_type_new(type == GEN_DNS ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING);
    if (name && value && ASN1_STRING_set(value, data, (int)len)) {
        GENERAL_NAME_set0_value(name, type, value);
        if (sk_GENERAL_NAME_push(names, name) > 0)
            return true;
        value = NULL; /* the name's by now */
    }
    ASN1_STRING_free(value);
    GENERAL_NAME_free(name);
    return false;
}

/* The names go in as values, not through add_extensions, whose little language has commas. */
static bool add_alternative_names(X509 *certificate, const struct certs_request *request)
{
    __attribute__((cleanup(cleanup_general_names))) GENERAL_NAMES *names = GENERAL_NAMES_new();
    if (!names)
        return false;
    for (size_t i = 0; i < request->dns_count; i++)
        if (!add_name(names, GEN_DNS, request->dns_names[i], strlen(request->dns_names[i])))
            return false;
    for (size_t i = 0; i < request->ip_count; i++) {
        unsigned char address[CERTS_ADDRESS_MAX];
        size_t len = certs_parse_address(request->ip_addresses[i], address);
        if (!add_name(names, GEN_IPADD, address, len))
            return false;
    }
    return X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
}

/* X509_sign returns a size: 0 or less is a failure, though its page says 0. */
static bool sign(X509 *certificate, EVP_PKEY *key)
{
    return X509_sign(certificate, key, EVP_sha256()) > 0;
}

static char *bio_text(BIO *bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    return memory_copy_slice(slice_of(data, len > 0 ? (size_t)len : 0));
}

static MUST_CHECK bool write_pair(X509 *certificate, EVP_PKEY *key, struct certs_pair *ret,
                                  struct error *reterr)
{
    CERTS_BIO BIO *certificate_text = BIO_new(BIO_s_mem());
    CERTS_BIO BIO *key_text = BIO_new(BIO_s_mem());
    if (!certificate_text || !key_text || !PEM_write_bio_X509(certificate_text, certificate) ||
        !PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL))
        return certs_openssl_error(reterr, "cannot write a certificate as PEM");
    *ret = (struct certs_pair){bio_text(certificate_text), bio_text(key_text)};
    ERR_clear_error();
    return true;
}

bool certs_make_authority(const struct certs_request *request, struct certs_pair *ret,
                          struct error *reterr)
{
    if (!certs_check_request(request, reterr))
        return false;
    CERTS_PKEY EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key)
        return certs_openssl_error(reterr, "cannot make a P-256 key");
    time_t end = request->now + (time_t)request->ca_days * SECONDS_PER_DAY;
    CERTS_X509 X509 *certificate = start_certificate(key, request->now, end);
    if (!certificate || !set_authority_name(certificate, request->now) ||
        !X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) ||
        !add_extensions(certificate, certificate, authority_extensions) || !sign(certificate, key))
        return certs_openssl_error(reterr, "cannot make the authority");
    return write_pair(certificate, key, ret, reterr);
}

/* What a signer must be, so that the API server accepts what it signs. */
static MUST_CHECK bool check_authority(X509 *certificate, EVP_PKEY *key, time_t now,
                                       time_t *ret_end, struct error *reterr)
{
    time_t start, end;
    if (X509_check_private_key(certificate, key) != 1)
        return certs_openssl_error(reterr,
                                   "the authority's key does not belong to its certificate");
    bool signs = X509_check_ca(certificate) == 1;
    ERR_clear_error();
    if (!signs)
        return error_set(reterr, "the authority's certificate is not one of an authority: expected "
                                 "CA:TRUE and keyCertSign");
    if (!certs_read_time(X509_get0_notBefore(certificate), &start, reterr) ||
        !certs_read_time(X509_get0_notAfter(certificate), &end, reterr))
        return false;
    if (now < start || now >= end)
        return error_set(reterr,
                         "the authority is valid from %lld to %lld seconds after 1970: expected "
                         "that to include %lld",
                         (long long)start, (long long)end, (long long)now);
    *ret_end = end;
    return true;
}

/* The fields of a serving certificate, signed by the issuer, which ends at `issuer_end`. */
static MUST_CHECK bool make_leaf(const struct certs_request *request, X509 *issuer,
                                 EVP_PKEY *issuer_key, time_t issuer_end, struct certs_pair *ret,
                                 struct error *reterr)
{
    CERTS_PKEY EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key)
        return certs_openssl_error(reterr, "cannot make a P-256 key");
    time_t end = request->now + (time_t)request->days * SECONDS_PER_DAY;
    CERTS_X509 X509 *certificate =
        start_certificate(key, request->now, end < issuer_end ? end : issuer_end);
    /* With a space, so that no client that looks at common names takes it for a host. */
    if (!certificate || !set_common_name(certificate, "harbor-pilot webhook") ||
        !X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) ||
        !add_extensions(certificate, issuer, leaf_extensions) ||
        !add_alternative_names(certificate, request) || !sign(certificate, issuer_key))
        return certs_openssl_error(reterr, "cannot make the serving certificate");
    return write_pair(certificate, key, ret, reterr);
}

bool certs_make_leaf(const struct certs_request *request, const struct certs_pair *authority,
                     struct certs_pair *ret, struct error *reterr)
{
    time_t issuer_end = 0;
    if (!certs_check_request(request, reterr))
        return false;
    CERTS_X509 X509 *issuer = certs_read_certificate(slice_from(authority->certificate),
                                                     "the authority's certificate", reterr);
    if (!issuer)
        return false;
    CERTS_PKEY EVP_PKEY *issuer_key =
        certs_read_key(slice_from(authority->key), "the authority's key", reterr);
    if (!issuer_key || !check_authority(issuer, issuer_key, request->now, &issuer_end, reterr))
        return false;
    return make_leaf(request, issuer, issuer_key, issuer_end, ret, reterr);
}
