/* Image references after distribution/reference v0.6.0: regexp.go (grammar), normalize.go (which
 * part is the domain), reference.go (Parse) and opencontainers/go-digest. */
#include "image/reference.h"

#include <stdlib.h>

enum { TAG_MAX = 128, IDENTIFIER_LENGTH = 64 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower_alphanumeric(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z');
}

static bool is_alphanumeric(char c)
{
    return is_lower_alphanumeric(c) || (c >= 'A' && c <= 'Z');
}

static bool is_lower_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool is_hex(char c)
{
    return is_lower_hex(c) || (c >= 'A' && c <= 'F');
}

static bool all(struct slice s, bool (*test)(char))
{
    for (size_t i = 0; i < s.len; i++)
        if (!test(s.base[i]))
            return false;
    return true;
}

/* One or more parts of letters, digits and inner hyphens, separated by dots. */
static bool is_domain_name(struct slice s)
{
    for (;;) {
        struct slice part = slice_head(s, slice_find(s, '.'));
        if (part.len == 0 || !is_alphanumeric(part.base[0]) ||
            !is_alphanumeric(part.base[part.len - 1]))
            return false;
        for (size_t i = 0; i < part.len; i++)
            if (!is_alphanumeric(part.base[i]) && part.base[i] != '-')
                return false;
        if (part.len == s.len)
            return true;
        s = slice_from_index(s, part.len + 1);
        if (s.len == 0)
            return false;
    }
}

static bool is_ipv6_char(char c)
{
    return is_hex(c) || c == ':';
}

/* regexp.go DomainRegexp: host, then an optional port. */
static bool matches_domain(struct slice s)
{
    struct slice host = s, port = {0};
    bool has_port = false;
    if (s.len && s.base[0] == '[') {
        size_t close = slice_find(s, ']');
        if (close < 2 || close == s.len || !all(slice_of(s.base + 1, close - 1), is_ipv6_char))
            return false;
        port = slice_from_index(s, close + 1);
        if (port.len == 0)
            return true;
        if (port.base[0] != ':')
            return false;
        port = slice_from_index(port, 1);
        return port.len > 0 && all(port, is_digit);
    }
    size_t colon = slice_find(s, ':');
    if (colon < s.len) {
        has_port = true;
        host = slice_head(s, colon);
        port = slice_from_index(s, colon + 1);
    }
    return is_domain_name(host) && (!has_port || (port.len > 0 && all(port, is_digit)));
}

/* regexp.go: alphanumerics joined by one '.', one or two '_', or any number of '-'. */
static bool is_path_component(struct slice s)
{
    size_t i = 0;
    while (i < s.len) {
        size_t begin = i;
        while (i < s.len && is_lower_alphanumeric(s.base[i]))
            i++;
        if (i == begin)
            return false;
        if (i == s.len)
            return true;
        char separator = s.base[i];
        size_t run = i;
        while (i < s.len && s.base[i] == separator)
            i++;
        run = i - run;
        if (!(separator == '-' || (separator == '.' && run == 1) || (separator == '_' && run <= 2)))
            return false;
    }
    return false; /* empty, or it ends in a separator */
}

bool reference_is_path(struct slice text)
{
    for (;;) {
        struct slice component = slice_head(text, slice_find(text, '/'));
        if (!is_path_component(component))
            return false;
        if (component.len == text.len)
            return true;
        text = slice_from_index(text, component.len + 1);
    }
}

static bool is_word(char c)
{
    return is_alphanumeric(c) || c == '_';
}

static bool is_tag(struct slice s)
{
    if (s.len == 0 || s.len > TAG_MAX || !is_word(s.base[0]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_word(s.base[i]) && s.base[i] != '.' && s.base[i] != '-')
            return false;
    return true;
}

/* go-digest Validate: an algorithm it knows, and exactly its length of lower-case digits. */
static bool is_digest(struct slice s)
{
    static const struct {
        struct slice prefix;
        size_t digits;
    } algorithms[] = {
        {{"sha256:", 7}, 64},
        {{"sha384:", 7}, 96},
        {{"sha512:", 7}, 128},
    };
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++) {
        struct slice prefix = algorithms[i].prefix;
        if (slice_starts_with(s, prefix))
            return s.len == prefix.len + algorithms[i].digits &&
                   all(slice_from_index(s, prefix.len), is_lower_hex);
    }
    return false;
}

/* normalize.go splitDockerDomain: whether the first of several components names a registry. */
static bool names_registry(struct slice first)
{
    if (slice_equal(first, SLICE("localhost")))
        return true;
    for (size_t i = 0; i < first.len; i++) {
        char c = first.base[i];
        if (c == '.' || c == ':' || (c >= 'A' && c <= 'Z'))
            return true;
    }
    return false;
}

bool reference_is_domain(struct slice text)
{
    return names_registry(text) && matches_domain(text) &&
           !slice_equal(text, SLICE("index.docker.io"));
}

bool reference_prefix_parse(struct slice text, struct reference_prefix *ret)
{
    size_t slash = slice_find(text, '/');
    struct reference_prefix prefix = {text, slice_head(text, slash),
                                      slice_from_index(text, slash + 1)};
    if (!reference_is_domain(prefix.domain) ||
        (slash < text.len && !reference_is_path(prefix.path)))
        return false;
    *ret = prefix;
    return true;
}

int reference_prefix_compare(const void *a, const void *b)
{
    const struct reference_prefix *x = a, *y = b;
    int order = slice_compare(x->domain, y->domain);
    return order ? order : slice_compare(x->path, y->path);
}

bool reference_prefix_covers(const struct reference_prefix *outer,
                             const struct reference_prefix *inner)
{
    size_t end = outer->text.len;
    return slice_starts_with(inner->text, outer->text) &&
           (inner->text.len == end || inner->text.base[end] == '/');
}

const void *reference_find_prefix(const struct reference *reference, const void *items,
                                  size_t count, size_t size, size_t longest)
{
    struct reference_prefix wanted = {.domain = reference->domain, .path = reference->path};
    while (count) {
        const void *found = wanted.path.len <= longest
                                ? bsearch(&wanted, items, count, size, reference_prefix_compare)
                                : NULL;
        if (found || wanted.path.len == 0)
            return found;
        size_t slash = slice_find_last(wanted.path, '/');
        wanted.path = slash < wanted.path.len ? slice_head(wanted.path, slash) : (struct slice){0};
    }
    return NULL;
}

/* Cuts off ":tag" and "@digest"; false where either is malformed. */
static bool split_suffix(struct slice text, struct reference *r, struct slice *ret_name)
{
    struct slice name = slice_head(text, slice_find(text, '@'));
    struct slice digest = slice_from_index(text, name.len + 1), tag = {0};
    if (name.len < text.len && !is_digest(digest))
        return false;
    size_t slash = slice_find_last(name, '/');
    size_t last = slash == name.len ? 0 : slash + 1;
    size_t colon = slice_find(slice_from_index(name, last), ':');
    if (last + colon < name.len) {
        tag = slice_from_index(name, last + colon + 1);
        name = slice_head(name, last + colon);
        if (!is_tag(tag))
            return false;
    }
    r->tag = tag;
    r->digest = digest;
    r->suffix = slice_from_index(text, name.len);
    *ret_name = name;
    return true;
}

bool reference_is_image_id(struct slice text)
{
    struct slice prefix = SLICE("sha256:");
    if (slice_starts_with(text, prefix))
        text = slice_from_index(text, prefix.len);
    return text.len == IDENTIFIER_LENGTH && all(text, is_lower_hex);
}

bool reference_parse(struct slice text, struct arena *arena, struct reference *ret)
{
    struct reference r = {0};
    struct slice name;
    if (text.len == IDENTIFIER_LENGTH && all(text, is_lower_hex))
        return false; /* an image ID, not a name */
    if (!split_suffix(text, &r, &name))
        return false;

    size_t slash = slice_find(name, '/');
    struct slice first = slice_head(name, slash);
    r.domain = SLICE("docker.io");
    r.path = name;
    if (slash < name.len && names_registry(first)) {
        r.path = slice_from_index(name, slash + 1);
        if (!slice_equal(first, SLICE("index.docker.io")))
            r.domain = first;
    }
    bool hub = slice_equal(r.domain, SLICE("docker.io"));
    if (!reference_is_path(r.path))
        return false;
    if (!matches_domain(r.domain)) {
        /* Parse tries again without a domain: all of the text may be a path */
        if (!reference_is_path(name))
            return false;
        r.domain = (struct slice){0};
        r.path = name;
    }
    bool short_form = hub && slice_find(r.path, '/') == r.path.len;
    size_t path_length = r.path.len + (short_form ? SLICE("library/").len : 0);
    if (r.domain.len + (r.domain.len ? 1 : 0) + path_length > REFERENCE_MAX_NAME)
        return false;
    if (short_form)
        r.path = arena_join(arena, (struct slice[]){SLICE("library/"), r.path}, 2);
    *ret = r;
    return true;
}

struct slice reference_format(const struct reference *reference, struct arena *arena)
{
    struct slice separator = reference->domain.len ? SLICE("/") : (struct slice){0};
    return arena_join(
        arena, (struct slice[]){reference->domain, separator, reference->path, reference->suffix},
        4);
}
