/* The words that a Policy may be written in, beside what they mean. */
#pragma once

/* In rising order, so that the weaker of two is the smaller. */
enum mode {
    MODE_DISABLED,
    MODE_AUDIT,
    MODE_ENFORCE,
    MODE_COUNT,
};
extern const char *const mode_names[MODE_COUNT];

enum pull_policy {
    PULL_POLICY_KEEP, /* as it was; not written */
    PULL_POLICY_IF_NOT_PRESENT,
    PULL_POLICY_ALWAYS,
    PULL_POLICY_COUNT,
};
extern const char *const pull_policy_names[PULL_POLICY_COUNT];

/* What must be known of an image in Harbor before it is rewritten to it. */
enum require {
    REQUIRE_NEVER,    /* nothing */
    REQUIRE_CACHED,   /* that it is there */
    REQUIRE_SERVABLE, /* that a pull would find it */
    REQUIRE_COUNT,
};
extern const char *const require_names[REQUIRE_COUNT];

/* What the gate does with an image, in rising order. */
enum gate_outcome {
    GATE_ALLOW,
    GATE_WARN,
    GATE_DENY,
    GATE_OUTCOMES,
};
extern const char *const gate_outcome_names[GATE_OUTCOMES];

static inline const char *mode_name(enum mode mode)
{
    return mode_names[mode];
}

static inline const char *gate_outcome_name(enum gate_outcome outcome)
{
    return gate_outcome_names[outcome];
}
