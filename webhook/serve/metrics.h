/* Counters and gauges, and their text form for Prometheus. Thread-safe. No label holds an image or
 * a namespace; the series are bounded by the policies. */
#pragma once

#include "admit/admit.h"
#include "base/buffer.h"
#include "webhook/facts/facts.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Every family that is shown, up to one without a name. `labels` ends with NULL. */
struct metric {
    const char *name, *type, *help, *labels[6];
};
extern const struct metric metric_table[];

struct metrics;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* Counts one review and its images; `seconds` is what it took. */
void metrics_count(struct metrics *metrics, const struct admission *admission, double seconds);

/* After a load of policies: whether it succeeded; a success makes a new generation. */
void metrics_set_reload(struct metrics *metrics, bool successful, time_t now);

/* NotAfter of the serving certificate, seconds since 1970. */
void metrics_set_certificate_expiry(struct metrics *metrics, time_t not_after);

/* Appends all families in the Prometheus text format 0.0.4, or in OpenMetrics 1.0 without the EOF.
 * `connections` is what the admission port has open now. */
void metrics_write(struct metrics *metrics, unsigned connections, const struct facts_figures *facts,
                   bool open_metrics, struct buffer *out);

/* Callers that did not show what a file holds, by `option`; only where there is the file. */
struct secret_figures {
    const char *option;
    bool there;
    unsigned long long wrong;
};
void metrics_write_secrets(const struct secret_figures *figures, size_t count, bool open_metrics,
                           struct buffer *out);

/* Connections that we closed: `port` and `reason` are labels. */
struct closed_figures {
    const char *port, *reason;
    unsigned long long count;
};
void metrics_write_closed(const struct closed_figures *figures, size_t count, bool open_metrics,
                          struct buffer *out);
