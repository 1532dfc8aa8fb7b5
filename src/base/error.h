/* An error as a value: the caller owns it, nothing is to be released. A function that can fail ends
 * in `struct error *reterr`, returns false and leaves its results untouched. */
#pragma once

#include <stdbool.h>

enum { ERROR_TEXT_SIZE = 512 };

/* Of functions whose result says whether they failed. */
#define MUST_CHECK __attribute__((warn_unused_result))

struct error {
    char text[ERROR_TEXT_SIZE]; /* one line for a person: what is wrong, what was expected */
};

/* Writes the text (control characters become '?') and returns false, so that a failure is one line:
 *     return error_set(reterr, "cannot read `%s`: %s", path, strerror(errno));
 * A NULL `reterr` is fine. */
bool error_set(struct error *reterr, const char *format, ...) __attribute__((format(printf, 2, 3)));
