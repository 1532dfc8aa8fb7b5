/* Rings in rings: callers, their namespaces, and the reviews of each. */
#include "webhook/facts/turns.h"

#include "base/memory.h"

#include <stdlib.h>

/* A caller, with the namespaces that it asks for; or one of these, with its reviews. */
struct turn_group {
    struct turn_group *next, *previous; /* a ring */
    struct turn_group *parent;          /* NULL: a caller */
    struct turn_group *namespaces;      /* of a caller: the one whose turn it is */
    struct turn_review *reviews;        /* of a namespace: the same */
    struct slice name;                  /* a copy */
};

/* The group of that name; made, before the one whose turn it is, where there is none. */
static struct turn_group *find_group(struct turn_group **ring, struct turn_group *parent,
                                     struct slice name)
{
    struct turn_group *first = *ring, *group = first;
    if (group)
        do
            if (slice_equal(group->name, name))
                return group;
        while ((group = group->next) != first);
    group = memory_allocate_zeroed(1, sizeof(*group));
    group->parent = parent;
    group->name = slice_of(memory_copy_slice(name), name.len);
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

static void end_group(struct turn_group **ring, struct turn_group *group)
{
    group->previous->next = group->next;
    group->next->previous = group->previous;
    if (*ring == group)
        *ring = group->next == group ? NULL : group->next;
    free((char *)group->name.base);
    free(group);
}

/* The review has nothing left that waits; its groups may end with it. */
static void leave(struct turn_group **ring, struct turn_review *review)
{
    struct turn_group *group = review->group, *caller = group->parent;
    review->group = NULL;
    review->previous->next = review->next;
    review->next->previous = review->previous;
    if (group->reviews == review)
        group->reviews = review->next;
    if (group->reviews != review)
        return;
    end_group(&caller->namespaces, group);
    if (!caller->namespaces)
        end_group(ring, caller);
}

void turns_add(struct turns *turns, struct turn_review *review, struct turn *turn)
{
    turn->review = review;
    turn->next = NULL;
    turn->previous = review->last;
    *(review->last ? &review->last->next : &review->first) = turn;
    review->last = turn;
    if (review->group)
        return;
    struct turn_group *caller =
        find_group(&turns->rings[review->last_of_all], NULL, review->caller);
    join(find_group(&caller->namespaces, caller, review->namespace_), review);
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
        leave(&turns->rings[review->last_of_all], review);
}

struct turn *turns_take(struct turns *turns)
{
    for (int i = 0; i < TURN_CLASSES; i++) {
        struct turn_group *caller = turns->rings[i];
        if (!caller)
            continue;
        struct turn_group *group = caller->namespaces;
        struct turn *turn = group->reviews->first;
        group->reviews = group->reviews->next;
        caller->namespaces = group->next;
        turns->rings[i] = caller->next;
        turns_remove(turns, turn); /* which may end all three */
        return turn;
    }
    return NULL;
}
