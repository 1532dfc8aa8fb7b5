/* The growing byte buffer. */
#include "base/buffer.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUFFER_FIRST_SIZE = 1024 };

bool buffer_reserve(struct buffer *b, size_t more)
{
    if (b->limit && (more > b->limit || b->len > b->limit - more)) {
        b->truncated = true;
        return false;
    }
    size_t need = b->len + more + 1;
    if (need <= b->capacity)
        return true;
    size_t capacity = b->capacity ? b->capacity : BUFFER_FIRST_SIZE;
    while (capacity < need)
        capacity *= 2;
    if (b->limit && capacity > b->limit + 1)
        capacity = b->limit + 1;
    b->base = b->arena ? arena_resize(b->arena, b->base, b->capacity, capacity)
                       : memory_resize(b->base, capacity);
    b->capacity = capacity;
    return true;
}

void buffer_append_text(struct buffer *b, const char *text)
{
    buffer_append(b, slice_from(text));
}

void buffer_append_format(struct buffer *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len > 0 && buffer_reserve(b, (size_t)len)) {
        vsnprintf(b->base + b->len, (size_t)len + 1, format, again);
        b->len += (size_t)len;
    }
    va_end(again);
}

void buffer_append_number(struct buffer *b, unsigned long long n)
{
    char digits[24];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    buffer_append(b, slice_of(digits + at, sizeof(digits) - at));
}

void buffer_clear(struct buffer *b)
{
    b->len = 0;
    b->truncated = false;
}

struct slice buffer_take(struct buffer *b)
{
    struct slice all = buffer_slice(b);
    if (all.len)
        arena_resize(b->arena, b->base, b->capacity, all.len + 1);
    buffer_done(b);
    return all;
}

void buffer_done(struct buffer *b)
{
    if (!b->arena)
        free(b->base);
    *b = (struct buffer){.limit = b->limit, .arena = b->arena};
}
