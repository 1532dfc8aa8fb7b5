/* Patterns and names as somebody wrote them, with their places: what a glob is made of. */
#pragma once

#include "base/diagnostics.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct pattern {
    struct slice text;
    struct position at;
    bool wildcard;
    bool whole; /* exclude: matched against the whole reference, not domain/path */
};

struct pattern_list {
    struct pattern *items;
    size_t count;
};

struct name_list {
    struct slice *items;
    size_t count;
};
