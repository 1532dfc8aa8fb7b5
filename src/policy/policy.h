/* Policies after loading: what the documents say, checked, joined and indexed. Immutable; shared by
 * all requests of a generation. */
#pragma once

#include "base/diagnostics.h"
#include "base/label.h"
#include "base/memory.h"
#include "base/slice.h"
#include "harbor/fact.h"
#include "harbor/harbor.h"
#include "image/glob_set.h"
#include "policy/selector.h"
#include "policy/words.h"

#include <stdbool.h>
#include <stddef.h>

/* A finding that a Policy lives with, for a time. */
struct cve_exception {
    struct slice id, reason;
    struct position at;
    long long ends; /* Unix seconds from which on it does not count; 0: never */
};

/* `findings` of a Policy. */
struct gate_rules {
    bool on;
    enum severity severity; /* this and above count */
    enum gate_outcome action, unscanned, unproxied, unavailable;
    bool pods;                   /* enforceOn: pods; also a controller's Pods are refused */
    bool fixable_only;           /* what nobody can repair does not count */
    long long max_age;           /* seconds; an older scan counts as none */
    struct cve_exception *allow; /* in the order of their ids */
    size_t allow_count;
};

/* A kind of Kubernetes object, without its version; the core group is empty. */
struct group_kind {
    struct slice group, kind;
};

struct policy {
    struct slice name;
    struct position at; /* where its document begins */
    size_t order;       /* among all Policies, as loaded */
    const struct harbor *harbor;
    struct pattern_list namespaces;
    struct selector selector; /* `podSelector` */
    long priority;
    enum mode mode;
    unsigned rollout; /* percent */
    bool *moves;      /* for each of the Harbor's registries: whether this Policy moves it */
    struct pattern_list exclude;
    struct glob_set exclude_names, exclude_whole; /* the same, by what they are compared with */
    struct group_kind *owners; /* controllers to rewrite besides the built-in ones */
    size_t owner_count;
    struct slice pull_secret; /* empty: none */
    enum pull_policy pull_policy;
    enum require require;
    bool rewrite_when_down; /* onHarborUnavailable: rewrite */
    struct gate_rules gate;
};

struct policies;

/* One policy file in memory. */
struct policy_source {
    struct slice path; /* as the user named it: this file, or the directory that it is in */
    struct slice file; /* for messages */
    struct slice text;
};

/* Reads and joins all files; those of one path follow each other, and a path without a document is
 * an error. `own_namespace` (may be empty) is always protected. On success `ret` is a set with one
 * reference; warnings may be in `diagnostics` all the same. False where there is any error; all of
 * them are in `diagnostics`, sorted. Nothing of the sources is needed afterwards. */
bool policies_load(const struct policy_source *sources, size_t count, struct slice own_namespace,
                   struct diagnostics *diagnostics, struct policies **ret);

/* The proxy-cache projects that a Harbor was found to have, by upstream domain. */
struct discovered {
    struct slice harbor; /* the name of its document */
    struct registry *registries;
    size_t count;
};

/* The same, with what is known of the Harbors that say `discover: true`; one that nothing is known
 * of has no registries yet. */
bool policies_load_discovered(const struct policy_source *sources, size_t count,
                              struct slice own_namespace, const struct discovered *discovered,
                              size_t discovered_count, struct diagnostics *diagnostics,
                              struct policies **ret);

/* Shares the set, and gives a share back; the last one frees it. NULL is fine. Thread-safe. */
struct policies *policies_ref(struct policies *policies);
void policies_unref(struct policies *policies);

/* SHA-256 of all sources, as "sha256:" and 64 hexadecimal digits. */
struct slice policies_digest(const struct policies *policies);

/* All Policies, first those that are looked at first: higher priority, then (exact before glob is
 * decided per namespace) those with a `podSelector`, then as loaded. */
size_t policies_count(const struct policies *policies);
const struct policy *policies_at(const struct policies *policies, size_t index);
size_t policies_harbor_count(const struct policies *policies);
const struct harbor *policies_harbor_at(const struct policies *policies, size_t index);

/* Whether the namespace is one that Harbor stands on, or our own. */
bool policies_protects(const struct policies *policies, struct slice namespace_);

/* The Policy that claims a Pod with these labels in the namespace, or NULL: of the highest
 * priority, then one that names the namespace exactly, then one with a `podSelector`. Costs the
 * same with ten Policies as with ten thousand, as long as their globs do not begin alike. */
const struct policy *policies_find(const struct policies *policies, struct slice namespace_,
                                   const struct label *labels, size_t label_count);

/* Whether a Policy claims the namespace, for some of its Pods at least. */
bool policies_claim(const struct policies *policies, struct slice namespace_);

/* The first `exclude` pattern that matches an image, given as `domain/path` and as a whole, or
 * NULL. */
const struct pattern *policy_find_exclusion(const struct policy *policy, struct slice name,
                                            struct slice whole);

/* Whether a namespace can have a name that the pattern of `namespaces` matches (an RFC 1123 label).
 * One that cannot claims nothing. */
bool policy_pattern_can_match(const struct pattern *pattern);
