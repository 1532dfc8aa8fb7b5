/* Tables of cases beside the policies: `NAMESPACE IMAGE EXPECTED [key=value]…`, one a line. */
#pragma once

#include "base/diagnostics.h"
#include "policy/policy.h"

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

/* Runs every line of `text`. Lines that are no case are errors in `diagnostics`. */
void cases_run(const struct policies *policies, struct slice text, struct slice file,
               struct diagnostics *diagnostics, struct case_results *results);

void case_results_done(struct case_results *results);
