/* What the gate says to people: the text of a refusal, and warnings. */
#pragma once

#include "decide/decide.h"

/* Images that a refusal lists, and warnings of one answer (the API server lets 4,096 characters of
 * warnings through for all webhooks together, docs/contracts.md#warnings). */
enum { REFUSAL_MAX_IMAGES = 20, WARNING_MAX_COUNT = 8, WARNING_MAX_LENGTH = 240 };

/* What the gate has against an image, in one line: "2 Critical, 1 High: CVE-…"; at most `most_cves`
 * of them. For an outcome that is not GATE_ALLOW. */
struct slice refusal_reason(const struct decisions *decisions, const struct decision *decision,
                            size_t most_cves, struct arena *arena);

/* What can be done about it, in one sentence; empty where nothing is wrong. */
struct slice refusal_advice(const struct verdict *verdict, struct arena *arena);

/* For decisions of which at least one is GATE_DENY: every image that is refused and why, where
 * Harbor shows it, and what can be done. Several lines, without other control characters. */
struct slice refusal_message(const struct decisions *decisions, struct arena *arena);

/* A line for each image that is GATE_WARN; their number. */
size_t refusal_warnings(const struct decisions *decisions, struct arena *arena, struct slice **ret);
