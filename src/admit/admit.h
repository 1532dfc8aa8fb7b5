/* The story of one request: bytes → AdmissionReview → images → decisions → patch → bytes. It knows
 * neither HTTP nor YAML nor Harbor's API; it keeps nothing between requests. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "decide/decide.h"

#include <stdbool.h>

enum admit_webhook {
    ADMIT_MUTATE,
    ADMIT_VALIDATE,
};

enum admit_result {
    ADMIT_PATCHED,
    ADMIT_UNCHANGED,
    ADMIT_DENIED,
    ADMIT_INVALID, /* no AdmissionReview */
    ADMIT_RESULT_COUNT,
};

/* All memory that admit() takes, its answer's included, is at most ADMIT_MEMORY_TIMES its body and
 * ADMIT_MEMORY_FIXED besides: every list has its bound. */
enum { ADMIT_MEMORY_TIMES = 2, ADMIT_MEMORY_FIXED = 16 * 1024 * 1024 };

/* What is asked of admit(). */
struct admit_request {
    const struct policies *policies; /* NULL: none could be loaded */
    enum admit_webhook webhook;
    enum mode mode; /* of the path */
    struct slice body;
    const struct fact_source *facts; /* as in struct decide_request */
    long long now;                   /* Unix seconds */
    bool last_chance, too_many;      /* as in struct decide_request */
    bool stranger; /* nobody has verified who asks: the answer hides what private projects hold */
};

/* What happened, for the log and the metrics. All of it lives in the arena, the body and the
 * policies that were given to admit(). */
struct admission {
    enum admit_webhook webhook;
    enum admit_result result;
    struct review review;
    struct pod template, old_template; /* of a workload: what was decided about, */
    struct slice pointer;              /* and where the template stands */
    struct decisions decisions;
    bool decided; /* the review was about images of a Pod or a workload */
    bool applied; /* what was decided is in the answer: false in audit mode */
    bool denied;
    size_t patch_size;        /* bytes of the JSON Patch */
    bool adds_pull_secret;    /* the Policy's secret is appended, or in audit would be */
    bool originals_too_large; /* the annotation had to be left out */
    bool too_many_images;     /* more than POD_MAX_IMAGES: the Pod was left alone */
    bool waiting;             /* facts are missing (decisions.missing): nothing was written yet */
};

/* Answers one admission call: appends the answer to `out`, or says that facts have to be asked for
 * first, and returns true. False, with a text for the caller, for a body that is no
 * AdmissionReview. `ret` is filled in both cases. */
MUST_CHECK bool admit(const struct admit_request *request, struct arena *arena, struct buffer *out,
                      struct admission *ret, struct error *reterr);

/* The JSON Patch (RFC 6902) that carries out what was decided, in the arena; empty where nothing
 * changes. `ret_originals_too_large` may be NULL. */
struct slice admit_patch(const struct decide_request *request, const struct decisions *decisions,
                         struct arena *arena, bool *ret_originals_too_large);

/* The JSON Pointer of an image in the review's object, as logs and audit annotations give it. */
struct slice admission_field(const struct admission *admission, const struct decision *decision,
                             struct arena *arena);

const char *admit_webhook_name(enum admit_webhook webhook);
const char *admit_result_name(enum admit_result result);
