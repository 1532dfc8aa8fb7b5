/* Time for deadlines. */
#pragma once

/* Milliseconds of the monotonic clock. */
long long clock_monotonic_ms(void);
