/* A borrowed run of bytes, passed by value. It owns nothing and need not end in NUL; whoever makes
 * one says how long the bytes live. The zero value is the empty slice. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *base;
    size_t len;
};

/* The slice of a string literal. */
#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})

/* For printf: "%.*s", SLICE_ARGS(s). */
#define SLICE_ARGS(s) (int)(s).len, (s).len ? (s).base : ""

static inline struct slice slice_of(const char *base, size_t len)
{
    return (struct slice){base, len};
}

/* The slice of a NUL-terminated string; NULL gives the empty slice. */
static inline struct slice slice_from(const char *text)
{
    return text ? (struct slice){text, strlen(text)} : (struct slice){0};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.base, prefix.base, prefix.len) == 0);
}

/* The part of s from byte `from` on; empty past the end. */
static inline struct slice slice_from_index(struct slice s, size_t from)
{
    return from >= s.len ? (struct slice){0} : (struct slice){s.base + from, s.len - from};
}

static inline struct slice slice_head(struct slice s, size_t len)
{
    return (struct slice){s.base, len < s.len ? len : s.len};
}

/* Index of the first `c` in s, or s.len where there is none. */
static inline size_t slice_find(struct slice s, char c)
{
    const char *at = s.len ? memchr(s.base, c, s.len) : NULL;
    return at ? (size_t)(at - s.base) : s.len;
}

/* Index of the last `c` in s, or s.len where there is none. */
static inline size_t slice_find_last(struct slice s, char c)
{
    const char *at = s.len ? memrchr(s.base, c, s.len) : NULL;
    return at ? (size_t)(at - s.base) : s.len;
}

/* Byte order; shorter first where one is the beginning of the other. */
static inline int slice_compare(struct slice a, struct slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.base, b.base, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}
