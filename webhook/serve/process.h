/* What the kernel says of this process (/proc/self), under the names that Prometheus' client
 * libraries use for it. */
#pragma once

#include <stdbool.h>

struct process_figures {
    double cpu_seconds, resident_bytes, virtual_bytes, open_descriptors, most_descriptors;
    double start_seconds; /* since 1970 */
};

/* False where /proc cannot be read. */
bool process_read(struct process_figures *ret);
