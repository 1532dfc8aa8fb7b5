/* The error value. */
#include "base/error.h"

#include "base/utf8.h"

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
    utf8_make_printable(reterr->text); /* whoever wrote the input cannot break a line */
    return false;
}
