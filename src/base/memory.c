/* Allocation that aborts instead of failing, and the arena. */
#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BLOCK_SIZE = 16 * 1024, ARENA_ALIGNMENT = 16 };

struct arena_block {
    struct arena_block *next;
    size_t used, size; /* of data */
    _Alignas(ARENA_ALIGNMENT) unsigned char data[];
};

static _Noreturn void out_of_memory(size_t size)
{
    fprintf(stderr, "harbor-pilot: out of memory: %zu bytes were refused\n", size);
    abort();
}

void *memory_allocate(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p)
        out_of_memory(size);
    return p;
}

void *memory_allocate_zeroed(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        out_of_memory(size);
    return p;
}

void *memory_resize(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);
    if (!p)
        out_of_memory(size);
    return p;
}

char *memory_copy_slice(struct slice s)
{
    char *copy = memory_allocate(s.len + 1);
    if (s.len)
        memcpy(copy, s.base, s.len);
    copy[s.len] = '\0';
    return copy;
}

char *memory_copy_string(const char *text)
{
    return memory_copy_slice(slice_from(text));
}

static size_t round_up(size_t size)
{
    if (size > SIZE_MAX / 2)
        out_of_memory(size);
    return (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
}

void *arena_allocate(struct arena *arena, size_t size)
{
    size = round_up(size);
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < size) {
        size_t data = !block && arena->first_block ? arena->first_block : ARENA_BLOCK_SIZE;
        if (data < size)
            data = size;
        block = memory_allocate(sizeof(*block) + data);
        *block = (struct arena_block){.next = arena->blocks, .size = data};
        arena->blocks = block;
    }
    void *p = block->data + block->used;
    block->used += size;
    memset(p, 0, size);
    return p;
}

struct slice arena_join(struct arena *arena, const struct slice *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    char *text = arena_allocate(arena, len + 1);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len)
            memcpy(text + at, parts[i].base, parts[i].len);
        at += parts[i].len;
    }
    return slice_of(text, len);
}

struct slice arena_copy(struct arena *arena, struct slice s)
{
    return arena_join(arena, &s, 1);
}

struct slice arena_format(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    size_t size = len > 0 ? (size_t)len : 0;
    char *text = arena_allocate(arena, size + 1);
    vsnprintf(text, size + 1, format, again);
    va_end(again);
    return slice_of(text, size);
}

static void free_blocks(struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void arena_clear(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    size_t usual = arena->first_block ? arena->first_block : ARENA_BLOCK_SIZE;
    while (block && block->next) {
        arena->blocks = block->next;
        free(block);
        block = arena->blocks;
    }
    if (block && block->size > usual) /* do not keep the memory of one huge request */
        arena_done(arena);
    else if (block)
        block->used = 0;
}

void arena_done(struct arena *arena)
{
    free_blocks(arena->blocks);
    arena->blocks = NULL;
}

void *arena_resize(struct arena *arena, void *old, size_t old_size, size_t size)
{
    struct arena_block *block = arena->blocks;
    bool last = old && (unsigned char *)old + round_up(old_size) == block->data + block->used;
    if (last)
        block->used -= round_up(old_size) - (size < old_size ? round_up(size) : 0);
    if (size <= old_size)
        return old;
    if (last && round_up(size) <= block->size - block->used) {
        block->used += round_up(size);
        memset((char *)old + old_size, 0, size - old_size);
        return old;
    }
    void *copy = arena_allocate(arena, size);
    if (old_size)
        memcpy(copy, old, old_size);
    return copy;
}

size_t arena_size(const struct arena *arena)
{
    size_t size = 0;
    for (const struct arena_block *block = arena->blocks; block; block = block->next)
        size += sizeof(*block) + block->size;
    return size;
}

void *arena_grow(struct arena *arena, void *array, size_t count, size_t *capacity,
                 size_t element_size)
{
    if (count < *capacity)
        return array;
    size_t larger = *capacity ? *capacity * 2 : 8;
    *capacity = larger;
    return arena_resize(arena, array, count * element_size, larger * element_size);
}
