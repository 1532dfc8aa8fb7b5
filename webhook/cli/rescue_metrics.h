/* Probes and metrics of `rescue --watch`. Figures are set by the thread that watches. */
#pragma once

#include "webhook/cli/rescue_pod.h"

struct rescue_metrics;

/* `address` is ADDR:PORT. NULL on failure; `ret_name` is the address in use. */
enum { RESCUE_ADDRESS_SIZE = 80 };
MUST_CHECK struct rescue_metrics *rescue_metrics_start(const char *address, struct facts *facts,
                                                       char ret_name[static RESCUE_ADDRESS_SIZE],
                                                       struct error *reterr);
void rescue_metrics_stop(struct rescue_metrics *metrics);

/* All take NULL, for which they do nothing. */
void rescue_metrics_count(struct rescue_metrics *metrics, enum rescue_result result,
                          const char *reason);

/* How many Pods are known to wait, whether all watches follow, and how often they began again. Also
 * says that the thread is alive. */
void rescue_metrics_set(struct rescue_metrics *metrics, size_t waiting, bool watching,
                        unsigned long restarts);
