/* Patterns: `*` is any run of characters, '/' included, `?` is exactly one; all else is itself. */
#pragma once

#include "base/memory.h"
#include "base/slice.h"

#include <stdbool.h>

/* True where the pattern has a `*` or `?`. */
bool glob_has_wildcard(struct slice pattern);

/* True where the whole text matches. Time is at most pattern × text. */
bool glob_match(struct slice pattern, struct slice text);

/* True where some text matches both; `*ret_example` is a shortest-first such text in the arena (a
 * character that both leave open is 'a'). */
bool glob_overlap(struct slice a, struct slice b, struct arena *arena, struct slice *ret_example);

/* True only where every text that `inner` matches is matched by `outer` as well. (It may say false
 * of a pair for which that holds by a detour; it never says true wrongly.) */
bool glob_covers(struct slice outer, struct slice inner);
