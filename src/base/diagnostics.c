/* Findings with their places. */
#include "base/diagnostics.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE_SIZE = 1024 };

__attribute__((format(printf, 4, 0))) static void
add(struct diagnostics *d, struct position at, bool warning, const char *format, va_list args)
{
    char text[MESSAGE_SIZE];
    if (warning)
        d->warnings++;
    else
        d->errors++;
    if (d->count >= (warning ? DIAGNOSTICS_MAX_WARNINGS : DIAGNOSTICS_MAX))
        return;
    vsnprintf(text, sizeof(text), format, args);
    utf8_make_printable(text);
    d->items = arena_grow(&d->arena, d->items, d->count, &d->capacity, sizeof(*d->items));
    at.file = arena_copy(&d->arena, at.file);
    d->items[d->count++] = (struct diagnostic){
        .at = at, .message = arena_copy(&d->arena, slice_from(text)), .warning = warning};
}

void diagnostics_error(struct diagnostics *d, struct position at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(d, at, false, format, args);
    va_end(args);
}

void diagnostics_warning(struct diagnostics *d, struct position at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(d, at, true, format, args);
    va_end(args);
}

static int compare(const void *x, const void *y)
{
    const struct diagnostic *a = x, *b = y;
    int order = slice_compare(a->at.file, b->at.file);
    if (order == 0)
        order = (a->at.line > b->at.line) - (a->at.line < b->at.line);
    if (order == 0)
        order = (a->at.column > b->at.column) - (a->at.column < b->at.column);
    return order ? order : slice_compare(a->message, b->message);
}

void diagnostics_sort(struct diagnostics *d)
{
    if (d->count)
        qsort(d->items, d->count, sizeof(*d->items), compare);
}

struct slice diagnostic_format(const struct diagnostic *diagnostic, struct arena *arena)
{
    const struct position *at = &diagnostic->at;
    const char *level = diagnostic->warning ? "warning: " : "";
    if (at->line == 0)
        return arena_format(arena, "%.*s: %s%.*s", SLICE_ARGS(at->file), level,
                            SLICE_ARGS(diagnostic->message));
    return arena_format(arena, "%.*s:%d:%d: %s%.*s", SLICE_ARGS(at->file), at->line, at->column,
                        level, SLICE_ARGS(diagnostic->message));
}

void diagnostics_done(struct diagnostics *d)
{
    arena_done(&d->arena);
    *d = (struct diagnostics){0};
}
