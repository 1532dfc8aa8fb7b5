/* Questions about certificates that exist: when one ends, whether a key is its own. */
#include "certs/authority.h"
#include "certs/openssl.h"

#include <openssl/err.h>

bool certs_expiry(struct slice pem, time_t *ret, struct error *reterr)
{
    CERTS_X509 X509 *certificate = certs_read_certificate(pem, "the certificate", reterr);
    if (!certificate)
        return false;
    return certs_read_time(X509_get0_notAfter(certificate), ret, reterr);
}

bool certs_check_pair(struct slice certificate_pem, struct slice key_pem, struct error *reterr)
{
    CERTS_X509 X509 *certificate =
        certs_read_certificate(certificate_pem, "the certificate", reterr);
    if (!certificate)
        return false;
    CERTS_PKEY EVP_PKEY *key = certs_read_key(key_pem, "the private key", reterr);
    if (!key)
        return false;
    if (X509_check_private_key(certificate, key) != 1)
        return certs_openssl_error(reterr, "the private key does not belong to the certificate");
    return true;
}
