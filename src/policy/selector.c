/* Label selectors: matching, common matches, and one inside another. What a selector asks of one
 * label has nothing to do with the others, so each is looked at by itself. */
#include "policy/selector.h"

#include <stdlib.h>

const char *const selector_operator_names[SELECTOR_OPERATORS] = {
    [SELECTOR_IN] = "In",
    [SELECTOR_NOT_IN] = "NotIn",
    [SELECTOR_EXISTS] = "Exists",
    [SELECTOR_DOES_NOT_EXIST] = "DoesNotExist",
};

static int compare_values(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static int compare_requirements(const void *a, const void *b)
{
    return slice_compare(((const struct requirement *)a)->key,
                         ((const struct requirement *)b)->key);
}

void selector_finish(struct selector *selector)
{
    for (size_t i = 0; i < selector->count; i++)
        if (selector->items[i].value_count)
            qsort(selector->items[i].values, selector->items[i].value_count, sizeof(struct slice),
                  compare_values);
    if (selector->count)
        qsort(selector->items, selector->count, sizeof(*selector->items), compare_requirements);
}

static bool has_value(const struct requirement *r, struct slice value)
{
    return r->value_count &&
           bsearch(&value, r->values, r->value_count, sizeof(value), compare_values);
}

/* `value` is NULL where the label is not there. */
static bool holds(const struct requirement *r, const struct slice *value)
{
    switch (r->operator_) {
    case SELECTOR_IN:
        return value && has_value(r, *value);
    case SELECTOR_NOT_IN:
        return !value || !has_value(r, *value);
    case SELECTOR_EXISTS:
        return value;
    case SELECTOR_DOES_NOT_EXIST:
    case SELECTOR_OPERATORS:
        break;
    }
    return !value;
}

bool selector_matches(const struct selector *selector, const struct label *labels, size_t count)
{
    for (size_t i = 0; i < selector->count; i++)
        if (!holds(&selector->items[i], label_find(labels, count, selector->items[i].key)))
            return false;
    return true;
}

/* --- two selectors --- */

/* What is asked of one label by both. */
struct demands {
    const struct requirement *items[2];
    size_t counts[2];
};

static bool all_hold(const struct demands *d, const struct slice *value)
{
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < d->counts[i]; j++)
            if (!holds(&d->items[i][j], value))
                return false;
    return true;
}

/* A value with which all hold. Of those that some `In` allows, else of any: `NotIn` forbids only
 * some of them. */
static bool find_value(const struct demands *d, struct arena *arena, struct slice *ret)
{
    size_t forbidden = 0;
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < d->counts[i]; j++) {
            const struct requirement *r = &d->items[i][j];
            forbidden += r->value_count;
            for (size_t k = 0; r->operator_ == SELECTOR_IN && k < r->value_count; k++)
                if (all_hold(d, &r->values[k])) {
                    *ret = r->values[k];
                    return true;
                }
        }
    for (size_t n = 1; n <= forbidden + 1; n++) {
        *ret = arena_format(arena, "x%zu", n);
        if (all_hold(d, ret))
            return true;
    }
    return false;
}

/* How many requirements from `items` on are about the key. */
static size_t count_of(const struct requirement *items, size_t count, struct slice key)
{
    size_t same = 0;
    while (same < count && slice_equal(items[same].key, key))
        same++;
    return same;
}

bool selector_overlap(const struct selector *a, const struct selector *b, struct arena *arena,
                      struct slice *ret_example)
{
    struct slice example = {0}, value;
    for (size_t i = 0, j = 0; i < a->count || j < b->count;) {
        bool from_a =
            j == b->count || (i < a->count && slice_compare(a->items[i].key, b->items[j].key) <= 0);
        struct slice key = from_a ? a->items[i].key : b->items[j].key;
        const struct requirement *of_a = i < a->count ? &a->items[i] : NULL;
        const struct requirement *of_b = j < b->count ? &b->items[j] : NULL;
        struct demands d = {{of_a, of_b},
                            {count_of(of_a, a->count - i, key), count_of(of_b, b->count - j, key)}};
        i += d.counts[0];
        j += d.counts[1];
        if (all_hold(&d, NULL))
            continue;
        if (!find_value(&d, arena, &value))
            return false;
        struct slice comma = example.len ? SLICE(",") : (struct slice){0};
        example = arena_join(arena, (struct slice[]){example, comma, key, SLICE("="), value}, 5);
    }
    *ret_example = example;
    return true;
}

bool selector_covers(const struct selector *outer, const struct selector *inner)
{
    static const enum selector_operator opposite[SELECTOR_OPERATORS] = {
        [SELECTOR_IN] = SELECTOR_NOT_IN,
        [SELECTOR_NOT_IN] = SELECTOR_IN,
        [SELECTOR_EXISTS] = SELECTOR_DOES_NOT_EXIST,
        [SELECTOR_DOES_NOT_EXIST] = SELECTOR_EXISTS,
    };
    CLEANUP_ARENA struct arena scratch = {0};
    struct slice example;
    for (size_t i = 0; i < outer->count; i++) {
        struct requirement not = outer->items[i];
        not .operator_ = opposite[not .operator_];
        const struct selector others = {.items = &not, .count = 1};
        if (selector_overlap(&others, inner, &scratch, &example))
            return false;
    }
    return true;
}
