/* Tables of cases beside the policies: `NAMESPACE IMAGE EXPECTED [key=value]…`, one a line. */
#pragma once

#include "base/diagnostics.h"
#include "policy/policy.h"
#include "webhook/options.h"

struct case_failure {
    struct position at;
    struct slice expected, got;
};

struct case_results {
    struct arena arena;
    size_t passed;
    struct case_failure *failures;
    size_t failed, capacity;
};

/* Runs every line of `text`. Lines that are no case are errors in `diagnostics`. `paths` is where
 * the policies were read from: a case's facts may say what a Harbor of theirs was discovered to
 * proxy. */
void cases_run(struct policies *policies, const struct text_list *paths, struct slice text,
               struct slice file, struct diagnostics *diagnostics, struct case_results *results);

void case_results_done(struct case_results *results);
