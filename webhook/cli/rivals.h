/* Other admission policies that would refuse the new names. */
#pragma once

#include "base/diagnostics.h"
#include "kube/workload.h"
#include "policy/policy.h"

/* Where the object is a policy of Kyverno, Gatekeeper, Sigstore, Portieris, Kubewarden or
 * Connaisseur, or a ValidatingAdmissionPolicy, that names a registry which a Policy moves away
 * from, and neither names Harbor's host nor has a pattern that takes the new names as well: a
 * warning. */
void rivals_check(const struct object *object, const struct policies *policies, struct position at,
                  struct diagnostics *diagnostics);
