/* Base64, standard alphabet, padded. */
#include "base/base64.h"

void base64_append(struct buffer *b, struct slice s)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = (const unsigned char *)s.base;
    size_t size = (s.len + 2) / 3 * 4;
    if (s.len == 0 || !buffer_reserve(b, size))
        return;
    char *out = b->base + b->len;
    for (size_t i = 0; i < s.len; i += 3, out += 4) {
        size_t left = s.len - i;
        unsigned bits = (unsigned)in[i] << 16 | (left > 1 ? (unsigned)in[i + 1] << 8 : 0) |
                        (left > 2 ? (unsigned)in[i + 2] : 0);
        out[0] = alphabet[bits >> 18];
        out[1] = alphabet[bits >> 12 & 63];
        out[2] = left > 1 ? alphabet[bits >> 6 & 63] : '=';
        out[3] = left > 2 ? alphabet[bits & 63] : '=';
    }
    b->len += size;
    b->base[b->len] = '\0';
}
