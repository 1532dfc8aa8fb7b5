/* What a plan warns about besides its decisions: things that are seen only where an object and what
 * is decided about it lie side by side. */
#pragma once

#include "webhook/cli/plan.h"

/* Looks at one object and its decisions: a program that is told its own image, Harbor's own
 * workloads in a namespace that a glob claims, a pull secret that is not there. */
void plan_warn(struct plan *plan, const struct planned *planned, const struct decisions *decisions,
               struct arena *arena);
