/* Base64, standard alphabet, padded. */
#include "base/base64.h"

void base64_append(struct buffer *b, struct slice s)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = (const unsigned char *)s.base;
    for (size_t i = 0; i < s.len; i += 3) {
        size_t left = s.len - i;
        unsigned bits = (unsigned)in[i] << 16 | (left > 1 ? (unsigned)in[i + 1] << 8 : 0) |
                        (left > 2 ? (unsigned)in[i + 2] : 0);
        char out[4] = {alphabet[bits >> 18], alphabet[bits >> 12 & 63],
                       left > 1 ? alphabet[bits >> 6 & 63] : '=',
                       left > 2 ? alphabet[bits & 63] : '='};
        buffer_append(b, slice_of(out, 4));
    }
}
