/* UTF-8 sequences and control characters. */
#include "base/utf8.h"

size_t utf8_length(const unsigned char *at, size_t left)
{
    unsigned char c = at[0];
    if (c < 0x80)
        return 1;
    size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || left < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (c == 0xe0 && at[1] < 0xa0) || (c == 0xf0 && at[1] < 0x90);
    bool surrogate = c == 0xed && at[1] > 0x9f;
    bool too_high = c == 0xf4 && at[1] > 0x8f;
    return overlong || surrogate || too_high ? 0 : len;
}

unsigned utf8_decode(const unsigned char *at, size_t length)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned code_point = at[0] & masks[length];
    for (size_t i = 1; i < length; i++)
        code_point = code_point << 6 | (at[i] & 0x3fu);
    return code_point;
}

bool utf8_is_control(unsigned c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void utf8_make_printable(char *text)
{
    unsigned char *from = (unsigned char *)text, *to = from;
    size_t left = strlen(text);
    while (left) {
        size_t len = utf8_length(from, left);
        bool bad = len == 0 || utf8_is_control(utf8_decode(from, len));
        len = len ? len : 1;
        if (bad)
            *to++ = '?';
        else
            for (size_t i = 0; i < len; i++)
                *to++ = from[i];
        from += len;
        left -= len;
    }
    *to = '\0';
}
