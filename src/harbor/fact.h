/* Facts: what only Harbor knows, as data. Who asks for them and keeps them is not known here. */
#pragma once

#include "harbor/scan.h"

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

enum { ARTIFACT_KEY_MAX = 1024 };

/* "PROJECT/REPOSITORY:TAG" or "PROJECT/REPOSITORY@DIGEST", in `text`, which has room for
 * ARTIFACT_KEY_MAX bytes; empty where it is longer than any image is. */
struct slice artifact_key_text(const struct artifact_key *key, char *text);

/* What is known of an artifact. The zero value is: nothing. */
struct artifact_fact {
    enum truth present;        /* in Harbor's database: pulled before */
    enum truth servable;       /* a pull through the proxy project would find it */
    enum truth public_;        /* its project can be pulled from without credentials */
    bool no_project;           /* Harbor has no such project; nothing else is known then */
    bool unauthorized;         /* Harbor answered our account 401 or 403 */
    bool outside_filter;       /* the project's proxy filter refuses the repository (Harbor 2.16) */
    bool refused_by_pull_gate; /* Harbor's own pull gate answers 412 */
    enum truth has_allowlist;  /* a CVE allowlist of Harbor's with entries applies to it */
    struct slice digest;       /* of what is in the database; empty: not known */
    long long project_id;      /* Harbor's number of its project; 0: not known */
    struct scan scan;          /* its findings say whether Harbor's allowlists hold them */
};

/* What has to be known, as bits. */
enum {
    FACT_PRESENT = 1 << 0,  /* whether it is in Harbor's database */
    FACT_SERVABLE = 1 << 1, /* and, where it is not, whether Harbor's upstream has it */
    FACT_SCAN = 1 << 2,     /* and what its scan says */
    FACT_ALL = FACT_PRESENT | FACT_SERVABLE | FACT_SCAN,
};
typedef unsigned fact_needs;

struct harbor;

/* Where facts come from: a cache, a file. Functions may be called from any thread and never wait.
 */
struct fact_source {
    enum harbor_health (*health)(const struct fact_source *self, const struct harbor *harbor);
    /* False: nothing is known, or not all that is needed. Texts and findings are in the arena or
     * live as long as the source; `now` (Unix seconds) is for allowlists that expire. */
    bool (*artifact)(const struct fact_source *self, const struct harbor *harbor,
                     const struct artifact_key *key, fact_needs needs, long long now,
                     struct arena *arena, struct artifact_fact *ret);
};
