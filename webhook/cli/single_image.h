/* One image asked about on the command line: what `explain` and the cases of `check` have in
 * common. */
#pragma once

#include "decide/decide.h"

struct single_image {
    struct slice image, namespace_;
    struct slice owner;         /* GROUP/KIND/NAME of the Pod's controller; empty: it has none */
    struct slice template_hash; /* of a ReplicaSet's Pod */
    struct slice pull_policy;   /* empty: none is given */
    struct label *labels;       /* of the Pod */
    size_t label_count;
    enum mode mode;                  /* the namespace's */
    const struct fact_source *facts; /* NULL: as if none were required */
    bool last_chance;                /* as in struct decide_request */
    long long now;                   /* Unix seconds */
};

/* The Pod that is made of it; it lives as long as the arena that was given to single_image_decide.
 */
struct single_image_pod {
    struct pod pod;
    struct image_field field;
    struct decide_request request;
};

/* Reads NAME=VALUE, as Kubernetes wants both. */
MUST_CHECK bool single_image_read_label(struct slice text, struct label *ret, struct error *reterr);

/* Decides by the same decide() as the server, about a Pod with this one container; its gate is that
 * of the workload which a person applies. False where the
 * owner is not GROUP/KIND/NAME. */
MUST_CHECK bool single_image_decide(const struct policies *policies,
                                    const struct single_image *single, struct arena *arena,
                                    struct single_image_pod *pod, struct decisions *ret,
                                    struct error *reterr);
