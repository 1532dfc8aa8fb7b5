/* The inside of a policy set: between compile.c, which makes it, and set.c, which answers. */
#pragma once

#include "base/map.h"
#include "policy/policy.h"

#include <stdatomic.h>

/* One pattern of one Policy: a claim on namespaces. */
struct claim {
    const struct policy *policy;
    const struct pattern *pattern;
    const struct claim *next; /* of the same exact name: for the Pods that its selector leaves */
};

struct policies {
    struct arena arena; /* all below lives in it, but the tables of the maps */
    atomic_uint references;
    struct slice digest;
    struct harbor *harbors;
    size_t harbor_count;
    struct policy *policies; /* in the order in which they are looked at */
    size_t policy_count;
    struct map exact;    /* namespace → the first struct claim that names it */
    struct claim *globs; /* in the order in which they are looked at */
    size_t glob_count;
    struct glob_set glob_index; /* order: the index in globs */
    struct map protected_names;
    struct pattern_list protected_globs;
};
