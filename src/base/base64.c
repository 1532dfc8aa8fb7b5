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
    size_t whole = s.len - s.len % 3;
    for (size_t i = 0; i < whole; i += 3, out += 4) {
        unsigned bits = (unsigned)in[i] << 16 | (unsigned)in[i + 1] << 8 | in[i + 2];
        out[0] = alphabet[bits >> 18];
        out[1] = alphabet[bits >> 12 & 63];
        out[2] = alphabet[bits >> 6 & 63];
        out[3] = alphabet[bits & 63];
    }
    if (whole < s.len) {
        bool two = s.len - whole == 2;
        unsigned bits = (unsigned)in[whole] << 16 | (two ? (unsigned)in[whole + 1] << 8 : 0);
        out[0] = alphabet[bits >> 18];
        out[1] = alphabet[bits >> 12 & 63];
        out[2] = two ? alphabet[bits >> 6 & 63] : '=';
        out[3] = '=';
    }
    b->len += size;
    b->base[b->len] = '\0';
}
