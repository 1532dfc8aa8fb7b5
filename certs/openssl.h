/* What the files of certs/ share and nobody else includes: OpenSSL's types with their cleanup
 * attributes, its errors as ours, PEM text in, and IP addresses as bytes. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

static inline void certs_cleanup_x509(X509 **certificate)
{
    X509_free(*certificate);
}

static inline void certs_cleanup_pkey(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static inline void certs_cleanup_bio(BIO **bio)
{
    BIO_free(*bio); /* wipes what a memory BIO owns */
}

#define CERTS_X509 __attribute__((cleanup(certs_cleanup_x509)))
#define CERTS_PKEY __attribute__((cleanup(certs_cleanup_pkey)))
#define CERTS_BIO  __attribute__((cleanup(certs_cleanup_bio)))

/* Sets "WHAT: the reason of OpenSSL's latest error", empties the thread's error queue, and returns
 * false. `what` is quoted as it is. */
bool certs_openssl_error(struct error *reterr, const char *what);

/* The first certificate in the PEM text, or NULL with an error. The caller owns it. `what` names it
 * in the error: "the certificate". */
MUST_CHECK X509 *certs_read_certificate(struct slice pem, const char *what, struct error *reterr);

/* The first private key in the PEM text, or NULL with an error; an encrypted one is an error, never
 * a prompt. The caller owns it. */
MUST_CHECK EVP_PKEY *certs_read_key(struct slice pem, const char *what, struct error *reterr);

/* An ASN.1 time as seconds since 1970 UTC. */
MUST_CHECK bool certs_read_time(const ASN1_TIME *time, time_t *ret, struct error *reterr);

enum { CERTS_ADDRESS_MAX = 16 };

/* The bytes of an IP address in network order, as RFC 5280 4.2.1.6 wants them: returns 4 or 16, or
 * 0 where the text is no address. */
size_t certs_parse_address(const char *text, unsigned char ret[static CERTS_ADDRESS_MAX]);
