/* Labels of Kubernetes objects. */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct label {
    struct slice name, value;
};

/* The value of a label, or NULL. Of a name that stands twice the last counts. */
const struct slice *label_find(const struct label *labels, size_t count, struct slice name);

/* RFC 1123 labels joined by dots, at most 253 characters: object names, prefixes of labels
 * (apimachinery IsDNS1123Subdomain). */
bool label_is_subdomain(struct slice text);

/* [PREFIX/]NAME, as Kubernetes wants names of labels (apimachinery IsQualifiedName), and their
 * values, which may be empty (IsValidLabelValue). */
bool label_is_name(struct slice text);
bool label_is_value(struct slice text);
