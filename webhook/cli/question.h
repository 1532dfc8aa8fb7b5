/* One image asked about on the command line: what `explain` and the cases of `check` have in
 * common. */
#pragma once

#include "decide/decide.h"

struct question {
    struct slice image, namespace_;
    struct slice owner;         /* GROUP/KIND/NAME of the Pod's controller; empty: it has none */
    struct slice template_hash; /* of a ReplicaSet's Pod */
    struct slice pull_policy;   /* empty: none is given */
    enum mode mode;             /* the namespace's */
    const struct fact_source *facts; /* NULL: as if none were required */
    bool last_chance;                /* as in struct decide_request */
    long long now;                   /* Unix seconds */
};

/* The Pod that a question makes; it lives as long as the arena that was given to question_decide.
 */
struct question_pod {
    struct pod pod;
    struct image_field field;
    struct decide_request request;
};

/* Decides by the same decide() as the server, about a Pod with this one container; its gate is that
 * of the workload which a person applies. False where the
 * owner is not GROUP/KIND/NAME. */
bool question_decide(const struct policies *policies, const struct question *question,
                     struct arena *arena, struct question_pod *pod, struct decisions *ret,
                     struct error *reterr);
