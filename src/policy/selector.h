/* Label selectors: which Pods of its namespaces a Policy is for, as Kubernetes has them
 * (apimachinery pkg/labels/selector.go). */
#pragma once

#include "base/diagnostics.h"
#include "base/label.h"
#include "base/memory.h"

enum selector_operator {
    SELECTOR_IN,
    SELECTOR_NOT_IN, /* also where the label is not there at all */
    SELECTOR_EXISTS,
    SELECTOR_DOES_NOT_EXIST,
    SELECTOR_OPERATORS,
};
extern const char *const selector_operator_names[SELECTOR_OPERATORS];

struct requirement {
    struct slice key;
    enum selector_operator operator_;
    struct slice *values; /* of SELECTOR_IN and SELECTOR_NOT_IN, sorted */
    size_t value_count;
};

/* All requirements have to hold; none: every Pod. */
struct selector {
    struct requirement *items; /* in the order of their keys */
    size_t count;
    struct position at;
};

/* Sorts what was read. */
void selector_finish(struct selector *selector);

bool selector_matches(const struct selector *selector, const struct label *labels, size_t count);

/* Whether a Pod can match both. Exact; `ret_example` has the labels that it needs for that, as
 * `a=b,c=d` in the order of their names, empty where it needs none; in the arena. */
bool selector_overlap(const struct selector *a, const struct selector *b, struct arena *arena,
                      struct slice *ret_example);

/* Whether every Pod that `inner` matches is matched by `outer` as well. Exact. */
bool selector_covers(const struct selector *outer, const struct selector *inner);
