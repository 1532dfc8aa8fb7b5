/* The error value. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

bool error_set(struct error *reterr, const char *format, ...)
{
    if (!reterr)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(reterr->text, sizeof(reterr->text), format, args);
    va_end(args);
    for (char *c = reterr->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) /* whoever wrote the input cannot break a line */
            *c = '?';
    return false;
}
