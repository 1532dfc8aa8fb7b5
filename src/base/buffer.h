/* A growing run of bytes that its owner writes text into. Past `limit` it stops taking bytes and
 * remembers that it did, so that a writer checks once, at the end. */
#pragma once

#include "base/cleanup.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;

struct buffer {
    char *base;
    size_t len, capacity;
    size_t limit;        /* the most bytes it may hold; 0: no limit of its own */
    struct arena *arena; /* where its memory is, and stays; NULL: memory of its own */
    bool truncated;      /* something did not fit */
};

/* Makes room for `more` bytes and a NUL; false past the limit, which it remembers. */
bool buffer_reserve(struct buffer *b, size_t more);

/* The same; a call only where there is none yet. */
static inline bool buffer_make_room(struct buffer *b, size_t more)
{
    return more < b->capacity - b->len || buffer_reserve(b, more);
}

/* Appends whole or, past the limit, nothing. */
static inline void buffer_append(struct buffer *b, struct slice s)
{
    if (s.len == 0 || !buffer_make_room(b, s.len))
        return;
    memcpy(b->base + b->len, s.base, s.len);
    b->len += s.len;
    b->base[b->len] = '\0';
}

static inline void buffer_append_char(struct buffer *b, char c)
{
    buffer_append(b, slice_of(&c, 1));
}

void buffer_append_text(struct buffer *b, const char *text);
void buffer_append_format(struct buffer *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_append_number(struct buffer *b, unsigned long long n);

/* What is in it, until the next append; a NUL stands after it where it is not empty. */
static inline struct slice buffer_slice(const struct buffer *b)
{
    return slice_of(b->base, b->len);
}

/* What is in it, for as long as its arena lives; the buffer is empty then. */
struct slice buffer_take(struct buffer *b);

/* Empties it and keeps the memory. */
void buffer_clear(struct buffer *b);

/* Frees the memory, where it is its own; limit and arena stay. */
void buffer_done(struct buffer *b);

#define CLEANUP_BUFFER CLEANUP(buffer_done)
