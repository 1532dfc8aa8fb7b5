/* What one process holds at most, as it is started without options: the memory limit in deploy/
 * follows from the sum (docs/threat-model.md). */
#pragma once

enum {
    LIMITS_THREADS = 4, /* at most: a review takes microseconds, and each thread may hold memory */
    LIMITS_CONNECTIONS = 1024,
};
