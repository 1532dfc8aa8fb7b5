/* Whose turn it is to have Harbor asked: between callers, by their address, since anybody who
 * reaches the port can say that a review is of one namespace or of a thousand; then between the
 * namespaces of one, then between the reviews of one, then in the order of a review's images; what
 * is only tried (a dry run) comes after all else. So a Pod with thousands of images makes nobody
 * wait but itself. Not thread-safe; its owner has the lock.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>

struct turn_group;  /* a caller, or the reviews of one namespace that wait */
struct turn_review; /* one of them */

/* One image of a review. Members of its owner's struct; zero: it does not wait for its turn. */
struct turn {
    struct turn *next, *previous;
    struct turn_review *review; /* NULL: it does not wait */
};

struct turn_review {
    struct turn_review *next, *previous; /* a ring: of the namespace's reviews that wait */
    struct turn_group *group;            /* NULL: nothing of it waits */
    struct turn *first, *last;
    struct slice caller, namespace_; /* must live as long as something of it waits */
    bool last_of_all;                /* a dry run */
};

enum { TURN_CLASSES = 2 }; /* ordinary reviews, and those that come last */

struct turns {
    struct turn_group
        *rings[TURN_CLASSES]; /* of callers; NULL: nobody waits. The next one's turn */
};

/* Puts a turn, which does not wait yet, at the end of its review's. */
void turns_add(struct turns *turns, struct turn_review *review, struct turn *turn);

/* Takes one out that waits; nothing where it does not. */
void turns_remove(struct turns *turns, struct turn *turn);

/* Takes out the one whose turn it is; NULL: nobody waits. */
struct turn *turns_take(struct turns *turns);
