/* Durations as Go writes them: `90s`, `1h30m`, `250ms`. */
#pragma once

#include <stdbool.h>

enum { DURATION_MAX_HOURS = 100 * 366 * 24 };

/* A sum of numbers, which may have a fraction, each with a unit of `ms`, `s`, `m` or `h` (Go's
 * time.ParseDuration without signs and the smaller units). False for anything else, and for more
 * than DURATION_MAX_HOURS. */
bool duration_parse(const char *text, long long *ret_milliseconds);
