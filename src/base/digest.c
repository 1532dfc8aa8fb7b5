/* SHA-256, by OpenSSL. */
#include "base/digest.h"

#include <openssl/sha.h>

void digest_sha256(struct slice s, unsigned char ret[static DIGEST_SHA256_SIZE])
{
    SHA256((const unsigned char *)(s.len ? s.base : ""), s.len, ret);
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
