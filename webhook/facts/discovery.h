/* Which proxy-cache projects a Harbor has, and for which registries: the map of `discover: true`,
 * and whether Harbor reaches its upstreams. One round is a page of projects after the other, and
 * then each proxy project's summary. Functions are called with the lock of struct facts held. */
#pragma once

#include "harbor/api.h"

enum { DISCOVERY_MAX_PROJECTS = 1000 };

struct request;
struct session;

struct upstream {
    struct slice project, domain;
    enum truth healthy;
};

struct discovery {
    struct arena round;     /* of the round under way */
    struct slice *projects; /* of it, in the arena */
    size_t project_count, project_capacity, project_at;
    struct upstream *found;
    size_t found_count, found_capacity;
    unsigned page;

    struct arena arena; /* of the last round that ended */
    struct upstream *upstreams;
    size_t count;
    bool known, tried;
    unsigned generation; /* counts the changes of the map */
    unsigned taken;      /* the one that the policies in use were made with */
};

/* Starts a round. */
void discovery_begin(struct session *session);

/* Takes the answer to a step; returns false when the round has ended, well or not. */
bool discovery_take(struct request *request, const struct harbor_reply *reply,
                    enum harbor_answer *ret);

/* The map: of projects for one domain the first by name counts. In the arena. */
struct registry *discovery_registries(const struct discovery *discovery, struct arena *arena,
                                      size_t *ret_count);

void discovery_done(struct discovery *discovery);
