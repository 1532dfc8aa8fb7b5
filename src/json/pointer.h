/* JSON Pointers (RFC 6901). */
#pragma once

#include "base/memory.h"
#include "base/slice.h"

#include <stdbool.h>

/* The text of the value that `pointer` names in the JSON text; the empty pointer names all of it.
 * False where there is none or the text is no JSON up to there. Of a key that stands twice the last
 * counts. `~0` and `~1` are read as `~` and `/`. */
bool json_find(struct slice json, struct slice pointer, struct slice *ret);

/* The decoded text of a string that `pointer` names, in the arena or in `json`; empty where there
 * is none. */
struct slice json_find_text(struct slice json, const char *pointer, struct arena *arena);

/* True for the empty text and for what begins with '/' and has only ~0 and ~1 for tildes. */
bool json_is_pointer(struct slice pointer);
