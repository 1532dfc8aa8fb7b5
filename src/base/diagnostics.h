/* Findings about text that a person wrote, each with its place: collected, all shown at once. */
#pragma once

#include "base/memory.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

/* Where something stands. Line and column count from 1; 0: the file as a whole. */
struct position {
    struct slice file;
    int line, column;
};

struct diagnostic {
    struct position at;
    struct slice message; /* one line: what is wrong, what was expected */
    bool warning;         /* else an error */
};

/* What comes after is counted, not kept. Warnings leave room for errors. */
enum { DIAGNOSTICS_MAX = 1000, DIAGNOSTICS_MAX_WARNINGS = 500 };

struct diagnostics {
    struct arena arena;
    struct diagnostic *items;
    size_t count, capacity;
    size_t errors, warnings; /* also of those not kept */
};

/* Add one. Control characters in the text become '?', so that a line stays a line. */
void diagnostics_error(struct diagnostics *d, struct position at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void diagnostics_warning(struct diagnostics *d, struct position at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Orders them by file, line and column. */
void diagnostics_sort(struct diagnostics *d);

/* "file:line:column: message", in the arena; a place that is a whole file has no numbers. */
struct slice diagnostic_format(const struct diagnostic *diagnostic, struct arena *arena);

/* Frees what was found; it is empty and usable again. */
void diagnostics_done(struct diagnostics *d);

#define CLEANUP_DIAGNOSTICS CLEANUP(diagnostics_done)
