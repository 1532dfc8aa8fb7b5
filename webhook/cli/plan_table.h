/* The plan as a table for people. */
#pragma once

#include "decide/decide.h"

struct plan_table {
    struct buffer *out;
    size_t width; /* columns; lines that would be wider are broken before the arrow */
    bool colour;
};

/* One object: a line that names it (`circumstances` stands behind its mode), then a line or two for
 * each image. */
void plan_table_object(const struct plan_table *table, struct slice namespace_, struct slice kind,
                       struct slice name, struct slice document, struct slice circumstances,
                       const struct decisions *decisions);

/* A row of the summary. */
struct plan_summary_row {
    struct slice namespace_, policy; /* policy is empty where none claims the namespace */
    size_t images, rewrite, keep;
};

void plan_table_summary(const struct plan_table *table, const struct plan_summary_row *rows,
                        size_t count);
