/* Facts: what only Harbor knows, as data. Who asks for them and keeps them is not known here. */
#pragma once

#include "base/slice.h"

#include <stdbool.h>

enum truth {
    TRUTH_UNKNOWN,
    TRUTH_NO,
    TRUTH_YES,
};

/* Whether Harbor can serve pulls. */
enum harbor_health {
    HEALTH_UNKNOWN, /* not asked yet */
    HEALTH_UP,
    HEALTH_DOWN,         /* it does not answer, or a part that pulling needs is ill */
    HEALTH_UNAUTHORIZED, /* it answers, but not to our account */
};

/* An artifact as a pull would name it. */
struct artifact_key {
    struct slice project, repository; /* "docker-hub-proxy", "library/nginx" */
    struct slice reference;           /* a tag ("latest" where the image has none), or a digest */
};

/* True where the reference is a digest: a tag cannot hold a ':'. */
static inline bool artifact_is_by_digest(const struct artifact_key *key)
{
    return slice_find(key->reference, ':') < key->reference.len;
}

/* What is known of an artifact. The zero value is: nothing. */
struct artifact_fact {
    enum truth present;   /* in Harbor's database: pulled before */
    enum truth servable;  /* a pull through the proxy project would find it */
    enum truth public_;   /* its project can be pulled from without credentials */
    bool unauthorized;    /* Harbor answered our account 401 or 403 */
    bool outside_filter;  /* the project's proxy filter refuses the repository (Harbor 2.16) */
    bool refused_by_gate; /* Harbor's own pull gate answers 412 */
};

/* How much has to be known. */
enum fact_depth {
    FACT_PRESENT,  /* Harbor's database is enough */
    FACT_SERVABLE, /* and, where it is not there, Harbor has to ask its upstream */
};

struct harbor;

/* Where facts come from: a cache, a file. Functions may be called from any thread and never wait.
 */
struct fact_source {
    enum harbor_health (*health)(const struct fact_source *self, const struct harbor *harbor);
    /* False: nothing is known, or not as deep as asked for. */
    bool (*artifact)(const struct fact_source *self, const struct harbor *harbor,
                     const struct artifact_key *key, enum fact_depth depth,
                     struct artifact_fact *ret);
};
