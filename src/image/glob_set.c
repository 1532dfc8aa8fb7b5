/* Patterns by what they begin with: a text is looked up by each prefix of a length that occurs, and
 * only patterns with that very prefix are tried. */
#include "image/glob_set.h"

struct glob_set_entry {
    struct glob_set_entry *next; /* of the same prefix, by rising order */
    struct slice pattern;
    size_t order;
};

static size_t prefix_length(struct slice pattern)
{
    size_t star = slice_find(pattern, '*'), question = slice_find(pattern, '?');
    return star < question ? star : question;
}

static void add_length(struct glob_set *set, size_t length, struct arena *arena)
{
    size_t at = set->length_count;
    for (size_t i = 0; i < set->length_count; i++)
        if (set->lengths[i] == length)
            return;
    set->lengths = arena_grow(arena, set->lengths, set->length_count, &set->length_capacity,
                              sizeof(*set->lengths));
    set->length_count++;
    for (; at > 0 && set->lengths[at - 1] > length; at--)
        set->lengths[at] = set->lengths[at - 1];
    set->lengths[at] = length;
}

void glob_set_add(struct glob_set *set, struct slice pattern, size_t order, struct arena *arena)
{
    struct slice prefix = slice_head(pattern, prefix_length(pattern));
    struct glob_set_entry *entry = arena_allocate(arena, sizeof(*entry));
    *entry = (struct glob_set_entry){NULL, pattern, order};
    add_length(set, prefix.len, arena);
    void **slot = map_put(&set->by_prefix, prefix);
    struct glob_set_entry *at = *slot;
    if (!at || at->order > order) {
        entry->next = at;
        *slot = entry;
        return;
    }
    while (at->next && at->next->order <= order)
        at = at->next;
    entry->next = at->next;
    at->next = entry;
}

bool glob_set_match(const struct glob_set *set, struct slice text, size_t *ret_order)
{
    return glob_set_find(set, text, NULL, NULL, ret_order);
}

bool glob_set_find(const struct glob_set *set, struct slice text, glob_filter *filter,
                   const void *context, size_t *ret_order)
{
    bool found = false;
    for (size_t i = 0; i < set->length_count && set->lengths[i] <= text.len; i++) {
        const struct glob_set_entry *entry =
            map_get(&set->by_prefix, slice_head(text, set->lengths[i]));
        for (; entry && !(found && entry->order >= *ret_order); entry = entry->next)
            if (glob_match(entry->pattern, text) && (!filter || filter(context, entry->order))) {
                *ret_order = entry->order;
                found = true;
                break;
            }
    }
    return found;
}

void glob_set_done(struct glob_set *set)
{
    map_done(&set->by_prefix);
    *set = (struct glob_set){0};
}
