/* SHA-256, by OpenSSL; the one place of src/ that knows it. */
#pragma once

#include "base/slice.h"

enum { DIGEST_SHA256_SIZE = 32, DIGEST_SHA256_HEX_SIZE = 65 };

/* SHA-256 (FIPS 180-4) of the bytes of s. */
void digest_sha256(struct slice s, unsigned char ret[static DIGEST_SHA256_SIZE]);

/* The same as 64 lower-case hexadecimal digits and a NUL. */
void digest_sha256_hex(struct slice s, char ret[static DIGEST_SHA256_HEX_SIZE]);
