/* OpenSSL's errors, PEM text and times turned into ours. */
#include "certs/openssl.h"

#include "certs/authority.h"

#include <openssl/err.h>
#include <openssl/pem.h>

bool certs_openssl_error(struct error *reterr, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    error_set(reterr, "%s: %s", what, reason ? reason : "OpenSSL gives no reason");
    ERR_clear_error();
    return false;
}

/* The password callback: without one OpenSSL would ask on the terminal. */
static int refuse_password(char *password, int size, int writing, void *asked)
{
    (void)writing;
    if (size > 0)
        password[0] = '\0';
    *(bool *)asked = true;
    return -1;
}

/* A BIO over the text, which must outlive it; NULL with an error. */
static BIO *open_pem(struct slice pem, const char *what, struct error *reterr)
{
    if (pem.len == 0) {
        error_set(reterr, "cannot read %s: it is empty, expected PEM text", what);
        return NULL;
    }
    if (pem.len > CERTS_PEM_MAX_BYTES) {
        error_set(reterr, "cannot read %s: it has %zu bytes, expected at most %d", what, pem.len,
                  CERTS_PEM_MAX_BYTES);
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(pem.base, (int)pem.len);
    if (!bio)
        certs_openssl_error(reterr, "cannot read PEM text");
    return bio;
}

/* Why the PEM text had no `label` block that could be read. */
static void read_failed(const char *what, const char *label, bool encrypted, struct error *reterr)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    if (encrypted)
        error_set(reterr,
                  "cannot read %s: it is encrypted, expected a PEM block without a password", what);
    else
        error_set(reterr, "cannot read %s (%s): expected a PEM block `-----BEGIN %s-----`", what,
                  reason ? reason : "not found", label);
    ERR_clear_error();
}

X509 *certs_read_certificate(struct slice pem, const char *what, struct error *reterr)
{
    CERTS_BIO BIO *bio = open_pem(pem, what, reterr);
    if (!bio)
        return NULL;
    bool encrypted = false;
    X509 *certificate = PEM_read_bio_X509(bio, NULL, refuse_password, &encrypted);
    if (!certificate)
        read_failed(what, "CERTIFICATE", encrypted, reterr);
    ERR_clear_error(); /* a success can leave entries too: of the formats tried first */
    return certificate;
}

EVP_PKEY *certs_read_key(struct slice pem, const char *what, struct error *reterr)
{
    CERTS_BIO BIO *bio = open_pem(pem, what, reterr);
    if (!bio)
        return NULL;
    bool encrypted = false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, refuse_password, &encrypted);
    if (!key)
        read_failed(what, "PRIVATE KEY", encrypted, reterr);
    ERR_clear_error();
    return key;
}

bool certs_read_time(const ASN1_TIME *time, time_t *ret, struct error *reterr)
{
    struct tm parts = {0};
    if (!time || !ASN1_TIME_to_tm(time, &parts))
        return certs_openssl_error(reterr, "cannot read a certificate's time");
    *ret = timegm(&parts);
    return true;
}
