/* Questions to a loaded policy set. */
#include "policy/set.h"

#include "image/glob.h"

#include <stdlib.h>

struct policies *policies_ref(struct policies *policies)
{
    if (policies)
        atomic_fetch_add_explicit(&policies->references, 1, memory_order_relaxed);
    return policies;
}

void policies_unref(struct policies *policies)
{
    if (!policies || atomic_fetch_sub_explicit(&policies->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < policies->policy_count; i++) {
        glob_set_done(&policies->policies[i].exclude_names);
        glob_set_done(&policies->policies[i].exclude_whole);
    }
    glob_set_done(&policies->glob_index);
    map_done(&policies->exact);
    map_done(&policies->protected_names);
    arena_done(&policies->arena);
    free(policies);
}

struct slice policies_digest(const struct policies *policies)
{
    return policies->digest;
}

size_t policies_count(const struct policies *policies)
{
    return policies->policy_count;
}

const struct policy *policies_at(const struct policies *policies, size_t index)
{
    return &policies->policies[index];
}

size_t policies_harbor_count(const struct policies *policies)
{
    return policies->harbor_count;
}

const struct harbor *policies_harbor_at(const struct policies *policies, size_t index)
{
    return &policies->harbors[index];
}

const struct pattern *policy_find_exclusion(const struct policy *policy, struct slice name,
                                            struct slice whole)
{
    size_t by_name, by_whole;
    bool name_matches = glob_set_match(&policy->exclude_names, name, &by_name);
    bool whole_matches = glob_set_match(&policy->exclude_whole, whole, &by_whole);
    if (!name_matches && !whole_matches)
        return NULL;
    bool first = name_matches && (!whole_matches || by_name < by_whole);
    return &policy->exclude.items[first ? by_name : by_whole];
}

bool policies_protects(const struct policies *policies, struct slice namespace_)
{
    if (map_get(&policies->protected_names, namespace_))
        return true;
    for (size_t i = 0; i < policies->protected_globs.count; i++)
        if (glob_match(policies->protected_globs.items[i].text, namespace_))
            return true;
    return false;
}

struct question {
    const struct policies *policies;
    const struct label *labels;
    size_t label_count;
};

static bool takes(const struct question *q, const struct claim *claim)
{
    return selector_matches(&claim->policy->selector, q->labels, q->label_count);
}

static bool glob_takes(const void *question, size_t index)
{
    const struct question *q = question;
    return takes(q, &q->policies->globs[index]);
}

const struct policy *policies_find(const struct policies *policies, struct slice namespace_,
                                   const struct label *labels, size_t label_count)
{
    const struct question question = {policies, labels, label_count};
    const struct claim *exact = map_get(&policies->exact, namespace_);
    const struct claim *glob = NULL;
    size_t index;
    while (exact && !takes(&question, exact))
        exact = exact->next;
    if (glob_set_find(&policies->glob_index, namespace_, glob_takes, &question, &index))
        glob = &policies->globs[index];
    if (exact && (!glob || exact->policy->priority >= glob->policy->priority))
        return exact->policy;
    return glob ? glob->policy : NULL;
}

bool policies_claim(const struct policies *policies, struct slice namespace_)
{
    size_t index;
    return map_get(&policies->exact, namespace_) ||
           glob_set_match(&policies->glob_index, namespace_, &index);
}
