/* Globs of `*` and `?`: matching, common matches, and one inside another. */
#include "image/glob.h"

bool glob_has_wildcard(struct slice pattern)
{
    return slice_find(pattern, '*') < pattern.len || slice_find(pattern, '?') < pattern.len;
}

bool glob_match(struct slice pattern, struct slice text)
{
    size_t p = 0, t = 0, star = pattern.len, resume = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.base[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.len && (pattern.base[p] == '?' || pattern.base[p] == text.base[t])) {
            p++;
            t++;
        } else if (star < pattern.len) {
            p = star + 1; /* let the last star take one character more */
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.base[p] == '*')
        p++;
    return p == pattern.len;
}

/* A breadth-first walk over pairs of positions (i in a, j in b); each step adds at most one
 * character to the example. `from` holds for each pair the pair it was reached from, plus one. */
struct overlap {
    struct slice a, b;
    size_t columns, *from, *queue, queued;
};

static void visit(struct overlap *o, size_t i, size_t j, size_t from)
{
    size_t to = i * o->columns + j;
    if (o->from[to])
        return;
    o->from[to] = from + 1;
    o->queue[o->queued++] = to;
}

static void visit_next(struct overlap *o, size_t at)
{
    size_t i = at / o->columns, j = at % o->columns;
    bool a_left = i < o->a.len, b_left = j < o->b.len;
    char x = a_left ? o->a.base[i] : '\0', y = b_left ? o->b.base[j] : '\0';
    if (a_left && x == '*')
        visit(o, i + 1, j, at);
    if (b_left && y == '*')
        visit(o, i, j + 1, at);
    if (!a_left || !b_left)
        return;
    if (x == '*' && y != '*')
        visit(o, i, j + 1, at);
    else if (y == '*' && x != '*')
        visit(o, i + 1, j, at);
    else if (x != '*' && (x == y || x == '?' || y == '?'))
        visit(o, i + 1, j + 1, at);
}

/* The character that the step from one pair to the next stands for, or NUL for none. */
static char step_character(const struct overlap *o, size_t from, size_t to)
{
    size_t i = from / o->columns, j = from % o->columns;
    size_t next_i = to / o->columns, next_j = to % o->columns;
    char x = i < o->a.len ? o->a.base[i] : '*', y = j < o->b.len ? o->b.base[j] : '*';
    if ((next_i > i && next_j == j && x == '*') || (next_j > j && next_i == i && y == '*'))
        return '\0'; /* a star took nothing more */
    char c = x == '*' || x == '?' ? y : x;
    return c == '*' || c == '?' ? 'a' : c;
}

bool glob_overlap(struct slice a, struct slice b, struct arena *arena, struct slice *ret_example)
{
    struct overlap o = {.a = a, .b = b, .columns = b.len + 1};
    size_t pairs = (a.len + 1) * o.columns, last = pairs - 1;
    o.from = arena_allocate(arena, pairs * sizeof(*o.from));
    o.queue = arena_allocate(arena, pairs * sizeof(*o.queue));
    visit(&o, 0, 0, 0);
    for (size_t next = 0; next < o.queued && !o.from[last]; next++)
        visit_next(&o, o.queue[next]);
    if (!o.from[last])
        return false;

    char *text = arena_allocate(arena, a.len + b.len + 1), *at = text + a.len + b.len;
    size_t len = 0;
    for (size_t to = last; to != 0; to = o.from[to] - 1) {
        char c = step_character(&o, o.from[to] - 1, to);
        if (c) {
            *--at = c;
            len++;
        }
    }
    *ret_example = slice_of(at, len);
    return true;
}

/* Matches `inner` as if its wildcards were characters of their own: a star only by a star, a '?' by
 * either wildcard. */
bool glob_covers(struct slice outer, struct slice inner)
{
    size_t p = 0, t = 0, star = outer.len, resume = 0;
    while (t < inner.len) {
        char c = inner.base[t];
        if (p < outer.len && outer.base[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < outer.len && c != '*' && (outer.base[p] == '?' || outer.base[p] == c)) {
            p++;
            t++;
        } else if (star < outer.len) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < outer.len && outer.base[p] == '*')
        p++;
    return p == outer.len;
}
