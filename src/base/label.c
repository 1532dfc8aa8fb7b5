/* Labels: finding one, and what may be one. */
#include "base/label.h"

enum { SUBDOMAIN_MAX = 253, LABEL_MAX = 63 };

const struct slice *label_find(const struct label *labels, size_t count, struct slice name)
{
    while (count-- > 0)
        if (slice_equal(labels[count].name, name))
            return &labels[count].value;
    return NULL;
}

static bool is_lower_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alphanumeric(char c)
{
    return is_lower_alphanumeric(c) || (c >= 'A' && c <= 'Z');
}

bool label_is_subdomain(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.base[i];
        bool edge =
            i == 0 || i + 1 == text.len || text.base[i - 1] == '.' || text.base[i + 1] == '.';
        if (!is_lower_alphanumeric(c) && (edge || (c != '-' && c != '.')))
            return false;
    }
    return text.len > 0 && text.len <= SUBDOMAIN_MAX;
}

bool label_is_value(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.base[i];
        bool edge = i == 0 || i + 1 == text.len;
        if (!is_alphanumeric(c) && (edge || (c != '-' && c != '_' && c != '.')))
            return false;
    }
    return text.len <= LABEL_MAX;
}

bool label_is_name(struct slice text)
{
    size_t slash = slice_find(text, '/');
    struct slice name = slash < text.len ? slice_from_index(text, slash + 1) : text;
    return (slash == text.len || label_is_subdomain(slice_head(text, slash))) && name.len > 0 &&
           label_is_value(name);
}
