/* The workload that a Pod belongs to: its name, its share of a rollout, and whether its controller
 * leaves a rewritten Pod alone. */
#pragma once

#include "kube/pod.h"
#include "policy/policy.h"

#include <stdbool.h>

/* "namespace/Kind/name" of what a person would call the workload, in the arena: a ReplicaSet's Pod
 * is its Deployment's, a CronJob's Job the CronJob's, a Pod without a controller its own. */
struct slice workload_name(const struct pod *pod, struct slice namespace_, struct arena *arena);

/* 0 to 99, the same for a workload for ever: raising `rollout` only adds. The first four bytes of
 * the name's SHA-256, big endian, modulo 100. */
unsigned workload_bucket(struct slice workload);

/* Whether the Policy's `owners.include` names the kind; the group is empty for the core group. */
bool workload_is_included(const struct policy *policy, struct slice group, struct slice kind);

/* Whether the built-in controller (group, kind) compares only templates, so that its Pods may be
 * rewritten, or the Policy names it in `owners`. */
bool workload_may_rewrite_owner(const struct policy *policy, const struct owner *owner);
