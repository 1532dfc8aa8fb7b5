/* Allocation that cannot fail, and an arena. Out of memory aborts with a line on stderr: every
 * input is bounded (body, depth, rules, connections), so it means a broken machine, not a large
 * request. */
#pragma once

#include "base/cleanup.h"
#include "base/slice.h"

#include <stddef.h>

/* As malloc, calloc, realloc, strdup and strndup, but never NULL. Free with free(). */
void *memory_allocate(size_t size);
void *memory_allocate_zeroed(size_t count, size_t size);
void *memory_resize(void *old, size_t size);
char *memory_copy_string(const char *text);
char *memory_copy_slice(struct slice s); /* NUL-terminated */

/* An arena: many small allocations that end together. Zero-initialised is empty and usable.
 * Not thread-safe; one request or one loaded policy set owns one. */
struct arena_block;
struct arena {
    struct arena_block *blocks; /* newest first */
    size_t
        first_block; /* bytes of the first block; 0: as the others, which are for whole requests */
};

/* `size` zeroed bytes, aligned for any type, until arena_clear or arena_done. */
void *arena_allocate(struct arena *arena, size_t size);

/* A copy of s that lives as long as the arena, NUL-terminated past its end. */
struct slice arena_copy(struct arena *arena, struct slice s);

/* The concatenation of `count` parts, NUL-terminated past its end. */
struct slice arena_join(struct arena *arena, const struct slice *parts, size_t count);

/* printf into the arena. */
struct slice arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Frees all but the first block, and that one, too, where one request made it larger than others
 * need; makes the arena empty: for the next request. */
void arena_clear(struct arena *arena);

/* Frees everything; the arena is the zero value again. */
void arena_done(struct arena *arena);

/* The memory that the arena takes. */
size_t arena_size(const struct arena *arena);

/* Makes an allocation of the arena larger, zeroed, or smaller: in its place where it is the last
 * one; else a larger one is a copy, and the old one is left to the arena. */
void *arena_resize(struct arena *arena, void *old, size_t old_size, size_t size);

/* Doubles an array that lives in an arena when `count` reached `*capacity`; returns the array to
 * use. The old one is left to the arena. */
void *arena_grow(struct arena *arena, void *array, size_t count, size_t *capacity,
                 size_t element_size);

#define CLEANUP_ARENA CLEANUP(arena_done)
