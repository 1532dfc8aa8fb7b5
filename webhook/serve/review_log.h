/* The log line of a review. */
#pragma once

#include "admit/admit.h"
#include "base/error.h"

/* Logs a review in which an image was rewritten or (in audit) would have been, or of which
 * something had to be left out. A workload that repeats itself is logged once and then counted: its
 * next line comes a minute later at the earliest and says how many there were in between.
 * Thread-safe. */
void review_log(const struct admission *admission, double seconds, struct arena *arena);

/* Logs a body that was no AdmissionReview; a few a second at most, the others are counted. */
void review_log_invalid(const struct admission *admission, const struct error *error);
