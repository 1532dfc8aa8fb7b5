/* UTF-8 (RFC 3629), and which characters must not reach a terminal or a log as they are. */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

/* Length of the sequence that begins at `at`, of which `left` bytes are there, or 0 where there is
 * none. Rejects overlong forms, surrogates and what is past U+10FFFF. */
size_t utf8_length(const unsigned char *at, size_t left);

/* The code point of a sequence of that length. */
unsigned utf8_decode(const unsigned char *at, size_t length);

/* Control characters (C0, DEL, C1), U+2028 and U+2029, which end lines for some readers, and the
 * marks that change the direction of text: what could forge a line or move a cursor. */
bool utf8_is_control(unsigned code_point);

/* Replaces control characters and what is no UTF-8 by '?', in place. `text` ends in NUL. */
void utf8_make_printable(char *text);
