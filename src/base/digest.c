/* SHA-256, by OpenSSL. */
#include "base/digest.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <pthread.h>

/* OpenSSL 3 looks an algorithm up by its name at each SHA256(), which costs more than the digest of
 * a short text: so it is fetched once, for the life of the process. */
static EVP_MD *the_sha256;

static void fetch(void)
{
    the_sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
}

void digest_sha256(struct slice s, unsigned char ret[static DIGEST_SHA256_SIZE])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const char *base = s.len ? s.base : "";
    pthread_once(&once, fetch);
    if (!the_sha256 || !EVP_Digest(base, s.len, ret, NULL, the_sha256, NULL))
        SHA256((const unsigned char *)base, s.len, ret);
}

void digest_sha256_hex(struct slice s, char ret[static DIGEST_SHA256_HEX_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[DIGEST_SHA256_SIZE];
    digest_sha256(s, digest);
    for (size_t i = 0; i < sizeof(digest); i++) {
        ret[2 * i] = hex[digest[i] >> 4];
        ret[2 * i + 1] = hex[digest[i] & 15];
    }
    ret[2 * sizeof(digest)] = '\0';
}
