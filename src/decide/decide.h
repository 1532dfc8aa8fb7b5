/* The decision: one pure function from policies and a Pod to what becomes of each image, and why.
 */
#pragma once

#include "decide/gate.h"
#include "image/reference.h"
#include "kube/review.h"
#include "policy/policy.h"
#include "json/writer.h"

#include <stdbool.h>
#include <stddef.h>

/* Why an image is rewritten or kept, in the order in which reasons win: the first that holds is the
 * one. Names are those of decide_reason_name. */
enum rewrite_reason {
    REASON_POLICY_INVALID,
    REASON_PROTECTED,
    REASON_NO_POLICY,
    REASON_POLICY_DISABLED,
    REASON_MIRROR_POD,
    REASON_OPTED_OUT,
    REASON_OWNED_BY_OPERATOR,
    REASON_PULL_POLICY_NEVER,
    REASON_PLACEHOLDER,
    REASON_IMAGE_ID,
    REASON_UNPARSEABLE,
    REASON_ALREADY_IN_HARBOR,
    REASON_REGISTRY_NOT_PROXIED,
    REASON_EXCLUDED,
    REASON_NOT_IN_ROLLOUT,
    REASON_TOO_LONG,
    REASON_PULL_SECRET_MISSING,
    REASON_NO_PROJECT,
    REASON_HARBOR_DOWN,
    REASON_HARBOR_AUTH,
    REASON_REFUSED_BY_HARBOR,
    REASON_OUTSIDE_PROXY_FILTER,
    REASON_NOT_IN_HARBOR,
    REASON_NOT_KNOWN_IN_TIME,
    REASON_REWRITTEN,
    REASON_COUNT,
};

/* Facts that are asked for on behalf of one request: what an object needs more of is its own
 * trouble, not that of others who wait for Harbor. */
enum { DECIDE_MAX_MISSING = 256 };

/* What a decision is for: which facts are asked for, and what of it is told. */
enum purpose {
    PURPOSE_MUTATE,   /* images are rewritten; nothing is judged */
    PURPOSE_VALIDATE, /* images are judged; the rewrite is told as far as it is known, and Harbor's
                         upstream is left in peace: a pull is for the Pod's creation */
    PURPOSE_PREVIEW,  /* both, for people */
};

/* What is to be decided. */
struct decide_request {
    enum purpose purpose;
    enum mode mode; /* the namespace's: of the path that was called */
    enum review_subject subject;
    struct slice namespace_;
    const struct pod *pod;
    const struct pod *old_pod; /* where something is changed; or NULL */
    bool owned;                /* the object, a Pod or a workload, has a controller */
    bool old_owned;            /* so had the old one */
    struct slice user_name;    /* who asks */
    bool believe_object;       /* in a preview where nobody knows who will ask: what the object says
                                  of its controller and of being a mirror Pod is believed */
    bool dry_run;              /* nothing that changes Harbor or makes it ask its upstream */
    const struct fact_source *facts; /* NULL: decide as if no Policy required any */
    long long now;                   /* Unix seconds */
    bool last_chance;                /* facts that are missing now are missing for good, */
    bool too_many; /* since not all could be asked for: decisions.too_many, before */
};

/* A fact that is missing: what has to be asked before deciding again. */
struct missing_fact {
    const struct harbor *harbor;
    struct artifact_key key; /* lives as long as the request's arena */
    fact_needs needs;
};

struct decision {
    const struct image_field *field;
    struct slice result; /* what the Pod would carry: the image itself when kept */
    bool parsed;         /* the image is a reference; meaningful with a Policy */
    struct reference reference;
    bool at_harbor;         /* the image's own domain is Harbor's host */
    struct mapping mapping; /* where it is looked for in Harbor */
    bool would_move;        /* but for what Harbor knows, or is not known of it */
    enum rewrite_reason reason;
    const struct pattern *pattern; /* for REASON_EXCLUDED: which */
    const char *detail;            /* a sentence for people, or NULL */
    struct verdict verdict;
};

struct decisions {
    enum mode mode; /* the effective one: the weaker of the request's and the Policy's */
    const struct policy *policy; /* NULL where none was looked up or none matched */
    unsigned bucket;             /* of the workload, 0 to 99; meaningful with a policy */
    bool whole;                  /* one reason for the Pod as a whole: it is left alone */
    const struct compared_by
        *operator_;         /* that compares its images, for REASON_OWNED_BY_OPERATOR */
    struct slice workload;  /* "namespace/Kind/name": what the bucket is made of */
    struct decision *items; /* for each image that the request is about */
    size_t count;
    size_t rewrites; /* how many of them have REASON_REWRITTEN */
    bool gated;      /* the gate judges the object's images, */
    bool spared;     /* but a controller made it: it is warned about where it would be refused */
    struct slice doubted; /* who says that a controller made it, and is not known to be one */
    size_t judged, outcomes[GATE_OUTCOMES]; /* how many the gate judged, and how; */
    size_t unasked; /* and how many it could not judge, since there are no facts */
    struct missing_fact
        *missing; /* to be asked; the decisions are provisional while there are any */
    size_t missing_count;
    bool too_many; /* more are missing than are asked for at once */
};

/* Decides. Where facts are missing and it is not the last chance, `missing` says which; the caller
 * asks for them and calls again. `policies` may be NULL: none could be loaded. Everything in the
 * result lives in the arena, in the request or in the policies. Never waits, never fails. */
void decide(const struct policies *policies, const struct decide_request *request,
            struct arena *arena, struct decisions *ret);

/* As harbor-pilot-explain(1) lists them: "rewritten", "already-in-harbor", … */
const char *decide_reason_name(enum rewrite_reason reason);

/* The rename that the decision is due to, or NULL: none applies to the image, or it is kept
 * whatever its name. */
const struct rename *decision_rename(const struct decision *decision);

/* Whether the Policy's pull secret is to be appended: an image of the Pod ends at Harbor's host,
 * the Pod is not left alone, and the secret is not there yet. */
bool decide_adds_pull_secret(const struct decide_request *request,
                             const struct decisions *decisions);

/* Bytes of texts that are written of a decision: longer than any name or image that a node takes.
 */
enum { DECISION_MAX_NAME = 256, DECISION_MAX_IMAGE = 1024 };

/* Writes a decision as the JSON object that the log, audit annotations, plan and explain share.
 * `field` is the JSON Pointer of the image. The object is written member by member into the object
 * that is open, so that a caller may add its own. */
void decision_write_members(struct json_writer *w, const struct decisions *decisions,
                            const struct decision *decision, struct slice field);
