/* Which proxy-cache projects a Harbor has, and for which registries, as the last round of asking
 * found (harbor/upstreams.h): the map of `discover: true`, and whether Harbor reaches its
 * upstreams. Functions are called with the lock of struct facts held. */
#pragma once

#include "harbor/upstreams.h"

struct request;
struct session;

struct discovery {
    struct upstreams round; /* under way */

    struct upstreams map; /* the last round that ended well */
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
