/* The gate: whether what Harbor's scanner found in an image lets it in, by the rules of a Policy.
 * Pure; who is asked, and about which objects, is decided in decide.c. */
#pragma once

#include "base/memory.h"
#include "harbor/fact.h"
#include "policy/policy.h"
#include "json/writer.h"

#include <stdbool.h>
#include <stddef.h>

/* Names are those of gate_reason_name. */
enum gate_reason {
    GATE_TOO_MANY, /* the object has more images than Harbor is asked about at once */
    GATE_CLEAN,
    GATE_BELOW_THRESHOLD,
    GATE_ALLOWLISTED,
    GATE_FINDINGS,
    GATE_UNSCANNED,
    GATE_SCANNING,
    GATE_SCAN_FAILED,
    GATE_NOT_SCANNABLE,
    GATE_TOO_OLD,
    GATE_UNPROXIED,
    GATE_UNAVAILABLE,
    GATE_REFUSED_BY_HARBOR,
    GATE_REASONS,
};

/* What the gate says of one image. */
struct verdict {
    bool judged;  /* else the gate has nothing to say of it, */
    bool unasked; /* or it would have, and nobody could ask Harbor: no facts were given */
    enum gate_outcome outcome;
    enum gate_reason reason;
    bool spared;                /* it would be refused, but for `enforceOn: workloads` */
    const char *detail;         /* a sentence for people, or NULL */
    bool public_;               /* its project is, as far as is known */
    bool hidden;                /* what was found is told in the log only: see gate_hide */
    struct artifact_key key;    /* what was judged; the project is empty where there is nothing */
    struct slice digest;        /* of what was judged; empty: not known */
    long long project_id;       /* in Harbor; 0: not known */
    const struct scan *scan;    /* NULL: none is known */
    const struct finding **bad; /* what counts against it, worst first */
    size_t bad_count;           /* 0 also where only counts are known */
};

/* Judges by a fact. `fact` is NULL where Harbor cannot be asked: `ret` is `unavailable` then. What
 * lives in `ret` lives in the fact or the arena; `judged` is true, the key is not touched. */
void gate_judge(const struct gate_rules *rules, const struct artifact_fact *fact, long long now,
                struct arena *arena, struct verdict *ret);

/* Gives the gate a reason that no scan is needed for: GATE_UNPROXIED, GATE_UNAVAILABLE,
 * GATE_TOO_MANY. */
void gate_set(const struct gate_rules *rules, enum gate_reason reason, const char *detail,
              struct verdict *ret);

/* Before somebody is told whom nobody has verified: takes out what a private project's artifact is
 * and what was found in it. What is not known to be public is private. */
void gate_hide(struct verdict *verdict);
#define GATE_HIDDEN "what was found is in harbor-pilot's log only: the project is private"

/* Whether the image is let in, and nobody could say what is in it: Harbor did not, or was not
 * asked.
 */
bool gate_is_unjudged(const struct verdict *verdict);

/* Whether the rules can refuse anything: then more images than can be judged are refused, too. */
bool gate_may_deny(const struct gate_rules *rules);

/* As docs/policies.md lists them: "clean", "below-threshold", … */
const char *gate_reason_name(enum gate_reason reason);

/* CVEs that are written of one image. */
enum { GATE_MAX_CVES = 10 };

/* Writes the gate, judged or unasked, as the JSON object that the log, audit annotations, plan and
 * explain share. */
void gate_write(struct json_writer *w, const struct verdict *verdict);
