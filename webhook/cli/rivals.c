/* Looks for registries in other policies' text. They may be written in CEL, Rego or patterns, so it
 * is a search for the name, not a reading: it says where to look. */
#include "webhook/cli/rivals.h"

static bool is_rival(const struct object *object)
{
    struct slice group = object->group;
    if (slice_equal(group, SLICE("admissionregistration.k8s.io")))
        return slice_equal(object->kind, SLICE("ValidatingAdmissionPolicy"));
    return slice_equal(group, SLICE("kyverno.io")) ||
           slice_equal(group, SLICE("policies.kyverno.io")) ||
           slice_equal(group, SLICE("templates.gatekeeper.sh")) ||
           slice_equal(group, SLICE("constraints.gatekeeper.sh"));
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/* Whether the domain stands in the text by itself, not as a part of a longer name. */
static bool names(struct slice text, struct slice domain)
{
    size_t from = 0;
    while (from + domain.len <= text.len) {
        const char *at = memmem(text.base + from, text.len - from, domain.base, domain.len);
        if (!at)
            return false;
        size_t begin = (size_t)(at - text.base), end = begin + domain.len;
        bool before =
            begin == 0 || (!is_name_character(text.base[begin - 1]) && text.base[begin - 1] != '.');
        bool after = end == text.len || !is_name_character(text.base[end]);
        if (end + 1 < text.len && text.base[end] == '.' && is_name_character(text.base[end + 1]))
            after = false; /* ghcr.io.example.com */
        if (before && after)
            return true;
        from = begin + 1;
    }
    return false;
}

static bool moves(const struct policies *policies, const struct harbor *harbor, size_t registry)
{
    for (size_t i = 0; i < policies_count(policies); i++) {
        const struct policy *policy = policies_at(policies, i);
        if (policy->harbor == harbor && policy->mode != MODE_DISABLED && policy->moves[registry])
            return true;
    }
    return false;
}

void rivals_check(const struct object *object, const struct policies *policies, struct position at,
                  struct diagnostics *diagnostics)
{
    if (!is_rival(object))
        return;
    for (size_t i = 0; i < policies_harbor_count(policies); i++) {
        const struct harbor *harbor = policies_harbor_at(policies, i);
        if (names(object->json, harbor->host))
            continue;
        for (size_t j = 0; j < harbor->registry_count; j++) {
            struct slice domain = harbor->registries[j].upstream.domain;
            bool again = j > 0 && moves(policies, harbor, j - 1) && /* parts of one */
                         slice_equal(domain, harbor->registries[j - 1].upstream.domain);
            if (!again && moves(policies, harbor, j) && names(object->json, domain))
                diagnostics_warning(diagnostics, at,
                                    "%.*s `%.*s` names `%.*s`, whose images move to `%.*s`: it may "
                                    "refuse the new names; allow `%.*s` there first",
                                    SLICE_ARGS(object->kind), SLICE_ARGS(object->name),
                                    SLICE_ARGS(domain), SLICE_ARGS(harbor->host),
                                    SLICE_ARGS(harbor->host));
        }
    }
}
