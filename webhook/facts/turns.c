/* Rings in rings: namespaces, and the reviews of each. */
#include "webhook/facts/turns.h"

#include "base/memory.h"

#include <stdlib.h>

struct turn_group {
    struct turn_group *next, *previous; /* a ring */
    struct turn_review *reviews;        /* the one whose turn it is */
    struct slice namespace_;            /* a copy */
};

static struct turn_group **ring_of(struct turns *turns, const struct turn_review *review)
{
    return &turns->rings[review->last_of_all];
}

/* The namespace's group; made, before the one whose turn it is, where there is none. */
static struct turn_group *find_group(struct turn_group **ring, struct slice namespace_)
{
    struct turn_group *first = *ring, *group = first;
    if (group)
        do
            if (slice_equal(group->namespace_, namespace_))
                return group;
        while ((group = group->next) != first);
    group = memory_allocate_zeroed(1, sizeof(*group));
    group->namespace_ = slice_of(memory_copy_slice(namespace_), namespace_.len);
    if (!first) {
        *ring = group->next = group->previous = group;
        return group;
    }
    group->next = first;
    group->previous = first->previous;
    first->previous->next = group;
    first->previous = group;
    return group;
}

static void join(struct turn_group *group, struct turn_review *review)
{
    struct turn_review *first = group->reviews;
    review->group = group;
    if (!first) {
        group->reviews = review->next = review->previous = review;
        return;
    }
    review->next = first;
    review->previous = first->previous;
    first->previous->next = review;
    first->previous = review;
}

/* The review has nothing left that waits; its group may end with it. */
static void leave(struct turn_group **ring, struct turn_review *review)
{
    struct turn_group *group = review->group;
    review->group = NULL;
    review->previous->next = review->next;
    review->next->previous = review->previous;
    if (group->reviews == review)
        group->reviews = review->next;
    if (group->reviews != review)
        return;
    group->previous->next = group->next;
    group->next->previous = group->previous;
    if (*ring == group)
        *ring = group->next == group ? NULL : group->next;
    free((char *)group->namespace_.base);
    free(group);
}

void turns_add(struct turns *turns, struct turn_review *review, struct turn *turn)
{
    turn->review = review;
    turn->next = NULL;
    turn->previous = review->last;
    *(review->last ? &review->last->next : &review->first) = turn;
    review->last = turn;
    if (!review->group)
        join(find_group(ring_of(turns, review), review->namespace_), review);
}

void turns_remove(struct turns *turns, struct turn *turn)
{
    struct turn_review *review = turn->review;
    if (!review)
        return;
    *(turn->previous ? &turn->previous->next : &review->first) = turn->next;
    *(turn->next ? &turn->next->previous : &review->last) = turn->previous;
    *turn = (struct turn){0};
    if (!review->first)
        leave(ring_of(turns, review), review);
}

struct turn *turns_take(struct turns *turns)
{
    for (int i = 0; i < TURN_CLASSES; i++) {
        struct turn_group *group = turns->rings[i];
        if (!group)
            continue;
        struct turn *turn = group->reviews->first;
        group->reviews = group->reviews->next;
        turns->rings[i] = group->next;
        turns_remove(turns, turn); /* which may end both */
        return turn;
    }
    return NULL;
}
