/* Base64, standard alphabet, padded. */
#include "base/base64.h"

#include <openssl/evp.h>

void base64_append(struct buffer *b, struct slice s)
{
    if (s.len == 0 || !buffer_reserve(b, (s.len + 2) / 3 * 4))
        return;
    b->len += (size_t)EVP_EncodeBlock((unsigned char *)b->base + b->len,
                                      (const unsigned char *)s.base, (int)s.len);
}
