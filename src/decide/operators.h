/* Operators above a built-in controller that compare the images of the Pods that run with the ones
 * they asked for: such a Pod breaks when it is rewritten, and its controller does not tell. What is
 * said of them here docs/operators.md lists, with sources. */
#pragma once

#include "kube/pod.h"
#include "policy/policy.h"

/* How the Pods of an operator are recognised; what is NULL or empty says nothing. */
struct compared_by {
    const char *operator_name;
    struct group_kind kind;   /* what `owners.include` names to rewrite its Pods all the same */
    struct owner owner;       /* of the Pod: its controller, or else the first that it names */
    const char *labels[2][2]; /* keys, and values or NULL: any */
    const char *consequence;  /* of a rewrite: a sentence for people */
};

extern const struct compared_by compared_by[];
extern const size_t compared_by_count;

/* The operator whose Pod it is, or NULL: also where the Policy's `owners.include` names the row's
 * kind or the Pod's controller. */
const struct compared_by *operators_find(const struct policy *policy, const struct pod *pod);
