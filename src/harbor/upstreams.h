/* One round of asking which proxy-cache projects there are and what each stands for: a page of
 * projects after the other, then each proxy project's summary. Pure: (round, reply) -> the next
 * request, or the end. */
#pragma once

#include "harbor/api.h"
#include "harbor/inquiry.h"

enum { UPSTREAMS_MAX_PROJECTS = 1000 };

struct upstream {
    struct slice project, domain;
    enum truth healthy;
};

/* The zero value, or one that upstreams_done has ended, begins. */
struct upstreams {
    struct arena arena; /* of all below */
    struct slice *projects;
    size_t project_count, project_capacity, project_at;
    struct upstream *found;
    size_t found_count, found_capacity;
    unsigned page;
};

enum upstreams_end {
    UPSTREAMS_GO_ON, /* with a request */
    UPSTREAMS_FOUND, /* `found` is all there is, in the order of domains and then of projects */
    UPSTREAMS_FAILED,
};

struct upstreams_step {
    enum upstreams_end end;
    enum harbor_answer answer; /* what the reply meant, for the metrics */
    enum request_kind kind;    /* of the request, and its path, the caller's */
    struct buffer path;
};

struct upstreams_step upstreams_begin(struct upstreams *round);

/* Takes the reply to a request of this kind. */
struct upstreams_step upstreams_take(struct upstreams *round, enum request_kind kind,
                                     const struct harbor_reply *reply);

void upstreams_done(struct upstreams *round);
