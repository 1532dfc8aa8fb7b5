/* The tables of words. */
#include "policy/words.h"

const char *const mode_names[MODE_COUNT] = {
    [MODE_DISABLED] = "disabled",
    [MODE_AUDIT] = "audit",
    [MODE_ENFORCE] = "enforce",
};

const char *const pull_policy_names[PULL_POLICY_COUNT] = {
    [PULL_POLICY_KEEP] = "",
    [PULL_POLICY_IF_NOT_PRESENT] = "IfNotPresent",
    [PULL_POLICY_ALWAYS] = "Always",
};

const char *const require_names[REQUIRE_COUNT] = {
    [REQUIRE_NEVER] = "never",
    [REQUIRE_CACHED] = "cached",
    [REQUIRE_SERVABLE] = "servable",
};

const char *const gate_outcome_names[GATE_OUTCOMES] = {
    [GATE_ALLOW] = "allow",
    [GATE_WARN] = "warn",
    [GATE_DENY] = "deny",
};
