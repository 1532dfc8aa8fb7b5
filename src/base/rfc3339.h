/* Times as Unix seconds, to and from text (RFC 3339). Pure: no time zone of the machine, no locale,
 * no clock. */
#pragma once

#include "base/slice.h"

#include <stdbool.h>

enum { RFC3339_SIZE = sizeof("2026-11-20T02:11:09Z"), SECONDS_PER_DAY = 24 * 60 * 60 };

/* 0001-01-01T00:00:00Z: Go's zero time, with which Harbor says "not yet"; also the first second
 * that rfc3339_format knows. */
#define RFC3339_GO_ZERO (-62135596800LL)
/* 9999-12-31T23:59:59Z, the last one. */
#define RFC3339_LAST 253402300799LL

/* Reads `2026-11-20T02:11:09Z`, also with a fraction, which is passed over, or with an offset,
 * +01:00. Strict, as Go's time.RFC3339 reads it: capital T and Z, years 0001 to 9999, days that
 * exist, no leap second, offsets to 23:59. */
bool rfc3339_parse(struct slice text, long long *ret_seconds);

/* Writes `2026-11-20T02:11:09Z` and NUL. What is out of the years 0001 to 9999 becomes the nearest
 * time that is not. */
void rfc3339_format(long long seconds, char ret[static RFC3339_SIZE]);

/* Reads a date alone, `2027-01-31`: its first second, in UTC. It ends SECONDS_PER_DAY later. */
bool date_parse(struct slice text, long long *ret_begin_of_day);
