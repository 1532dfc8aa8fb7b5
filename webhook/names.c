/* Reasons and outcomes by their index, in the order in which they win. */
#include "webhook/names.h"

#include "decide/decide.h"
#include "decide/operators.h"
#include "kube/pod_kinds.h"
#include "policy/fields.h"

#include <limits.h>

static const char *reason(int index)
{
    return decide_reason_name((enum rewrite_reason)index);
}

static const char *gate_reason(int index)
{
    return gate_reason_name((enum gate_reason)index);
}

static const char *gate_outcome(int index)
{
    return gate_outcome_name((enum gate_outcome)index);
}

static const char *operator(int index)
{
    return (size_t)index < compared_by_count ? compared_by[index].operator_name : NULL;
}

static const char *pod_kind(int index)
{
    return (size_t)index < pod_kinds_count ? pod_kinds[index].kind : NULL;
}

static const char *pod_kind_group(int index)
{
    return (size_t)index < pod_kinds_count ? pod_kinds[index].group : NULL;
}

static const char *pod_kind_pointer(int index)
{
    return (size_t)index < pod_kinds_count ? pod_kinds[index].pointer : NULL;
}

/* "" stands for the object itself. */
static const char *pod_kind_owner(int index)
{
    if ((size_t)index >= pod_kinds_count)
        return NULL;
    return pod_kinds[index].owner ? pod_kinds[index].owner : "";
}

const struct name_table name_tables[] = {{"reasons", reason, REASON_COUNT},
                                         {"gateReasons", gate_reason, GATE_REASONS},
                                         {"gateOutcomes", gate_outcome, GATE_OUTCOMES},
                                         {
                                             "comparedBy",
                                             operator,
                                             INT_MAX },
                                             {"podKinds", pod_kind, INT_MAX},
                                             {"podKindGroups", pod_kind_group, INT_MAX},
                                             {"podKindPointers", pod_kind_pointer, INT_MAX},
                                             {"podKindOwners", pod_kind_owner, INT_MAX},
                                             {"harborFields", harbor_field_key, INT_MAX},
                                             {"policyFields", policy_field_key, INT_MAX},
};
const int name_table_count = sizeof(name_tables) / sizeof(*name_tables);
