/* Reasons and outcomes by their index, in the order in which they win. */
#include "webhook/names.h"

#include "decide/decide.h"
#include "decide/operators.h"
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

const struct name_table name_tables[] = {
    {"reasons", reason, REASON_COUNT},
    {"gateReasons", gate_reason, GATE_REASONS},
    {"gateOutcomes", gate_outcome, GATE_OUTCOMES},
    {"comparedBy", operator, INT_MAX},
    {"harborFields", harbor_field_key, INT_MAX},
    {"policyFields", policy_field_key, INT_MAX},
};
const int name_table_count = sizeof(name_tables) / sizeof(*name_tables);
