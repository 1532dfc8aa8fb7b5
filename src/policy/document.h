/* The documents as written, before they are joined: between parse.c, which reads YAML, and
 * compile.c, which checks and indexes. Not for others. */
#pragma once

#include "policy/limits.h"
#include "policy/policy.h"

/* A Policy document with the names that are resolved later. */
struct policy_document {
    struct policy policy;
    struct slice harbor; /* empty: the only one */
    struct position harbor_at;
    bool wrong; /* it has errors: what would follow from the rest may not be so */
    bool has_registries;
    struct pattern_list registries; /* `registries`, as names */
    bool has_require, has_unavailable;
    struct position require_at, unavailable_at, findings_at, gate_unavailable_at;
};

struct documents {
    struct arena *arena;
    struct diagnostics *diagnostics;
    struct harbor *harbors;
    size_t harbor_count, harbor_capacity;
    struct policy_document *policies;
    size_t policy_count, policy_capacity;
    size_t count; /* of all documents, also of those with errors */
    bool unread;  /* a Harbor may be in what could not be read: no YAML, or an unknown kind */
};

/* Reads one file into `documents`; findings go to its diagnostics. */
void documents_read(struct documents *documents, const struct policy_source *source);
