/* Policies after loading: what the documents say, checked, joined and indexed. Immutable; shared by
 * all requests of a generation. */
#pragma once

#include "base/diagnostics.h"
#include "base/memory.h"
#include "base/slice.h"
#include "harbor/fact.h"
#include "image/glob_set.h"
#include "kube/pod.h"

#include <stdbool.h>
#include <stddef.h>

/* In rising order, so that the weaker of two is the smaller. */
enum mode {
    MODE_DISABLED,
    MODE_AUDIT,
    MODE_ENFORCE,
};

enum pull_policy {
    PULL_POLICY_KEEP, /* as it was */
    PULL_POLICY_IF_NOT_PRESENT,
    PULL_POLICY_ALWAYS,
};

/* What must be known of an image in Harbor before it is rewritten to it. */
enum require {
    REQUIRE_NEVER,    /* nothing */
    REQUIRE_CACHED,   /* that it is there */
    REQUIRE_SERVABLE, /* that a pull would find it */
};

/* What the gate does with an image, in rising order. */
enum gate_outcome {
    GATE_ALLOW,
    GATE_WARN,
    GATE_DENY,
    GATE_OUTCOMES,
};

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

/* Where Harbor's API is and who we are there. */
struct harbor_api {
    struct slice url; /* https://host[:port], without a path; empty: there is none */
    struct slice credentials_directory, ca_file; /* paths; empty: none */
};

struct pattern {
    struct slice text;
    struct position at;
    bool wildcard;
    bool whole; /* exclude: matched against the whole reference, not domain/path */
};

struct pattern_list {
    struct pattern *items;
    size_t count;
};

struct name_list {
    struct slice *items;
    size_t count;
};

/* An upstream domain and the proxy-cache project that stands for it. */
struct registry {
    struct slice domain, project;
    struct position at;
};

struct harbor {
    struct slice name;
    struct position at;
    struct slice host;           /* with a port where it has one */
    struct registry *registries; /* in the order of their domains */
    size_t registry_count;
    struct pattern_list
        protected_; /* as written, or the default; policies_protects knows our own too */
    bool nodes_have_credentials;
    struct name_list trusted_controllers;
    struct harbor_api api;
    bool discover;     /* registries are Harbor's own proxy projects, */
    bool undiscovered; /* which are not known yet */
};

struct policy {
    struct slice name;
    struct position at; /* where its document begins */
    size_t order;       /* among all Policies, as loaded */
    const struct harbor *harbor;
    struct pattern_list namespaces;
    long priority;
    enum mode mode;
    unsigned rollout; /* percent */
    bool *moves;      /* for each of the Harbor's registries: whether this Policy moves it */
    struct pattern_list exclude;
    struct glob_set exclude_names, exclude_whole; /* the same, by what they are compared with */
    struct owner *owners; /* controllers to rewrite besides the built-in ones; without names */
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

/* All Policies, first those that are looked at first: higher priority, then (for equal names of one
 * priority, exact before glob is decided per namespace) as loaded. */
size_t policies_count(const struct policies *policies);
const struct policy *policies_at(const struct policies *policies, size_t index);
size_t policies_harbor_count(const struct policies *policies);
const struct harbor *policies_harbor_at(const struct policies *policies, size_t index);

/* Whether the namespace is one that Harbor stands on, or our own. */
bool policies_protects(const struct policies *policies, struct slice namespace_);

/* The Policy that claims the namespace, or NULL: of the highest priority, then the one that names
 * it exactly. Costs the same with ten Policies as with ten thousand, as long as their globs do not
 * begin alike. */
const struct policy *policies_find(const struct policies *policies, struct slice namespace_);

/* The first `exclude` pattern that matches an image, given as `domain/path` and as a whole, or
 * NULL. */
const struct pattern *policy_find_exclusion(const struct policy *policy, struct slice name,
                                            struct slice whole);

/* The index in harbor->registries of a domain, or harbor->registry_count. */
size_t harbor_find_registry(const struct harbor *harbor, struct slice domain);

/* HOST/PROJECT/PATH and the suffix: what an image of that registry becomes. `reference` is only
 * read; nothing is checked, not even the length. */
struct reference;
struct slice harbor_rewrite(const struct harbor *harbor, const struct registry *registry,
                            const struct reference *reference, struct arena *arena);

/* Whether a namespace can have a name that the pattern of `namespaces` matches (an RFC 1123 label).
 * One that cannot claims nothing. */
bool policy_pattern_can_match(const struct pattern *pattern);

const char *mode_name(enum mode mode);
const char *gate_outcome_name(enum gate_outcome outcome);
