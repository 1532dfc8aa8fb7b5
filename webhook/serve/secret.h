/* A secret that callers have to show: read from a file, which may change. Thread-safe. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

enum { SECRET_MAX = 1024 };

struct secret;

/* Reads it; white space at its end does not count. NULL where it cannot be read or is empty. */
MUST_CHECK struct secret *secret_new(const char *file, struct error *reterr);
void secret_free(struct secret *secret);

/* Whether `given` is the secret, in a time that does not tell how much of it is right. The file is
 * read again where it changed, and where it cannot be the last secret stays.
 * `given` may be NULL. */
bool secret_is(struct secret *secret, const char *given);

/* How often it was not. */
unsigned long long secret_wrong(struct secret *secret);
