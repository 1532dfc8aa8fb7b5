/* Workloads: names, buckets, and whose Pods are rewritten. */
#include "decide/workload.h"

#include "base/digest.h"

static bool is_owner(const struct owner *owner, struct slice group, struct slice kind)
{
    return slice_equal(owner->group, group) && slice_equal(owner->kind, kind);
}

/* Cuts "-<hash>" off a ReplicaSet's name; false where it does not end so. */
static bool without_hash(struct slice name, struct slice hash, struct slice *ret)
{
    if (hash.len == 0 || name.len <= hash.len + 1)
        return false;
    size_t len = name.len - hash.len - 1;
    if (name.base[len] != '-' || !slice_equal(slice_from_index(name, len + 1), hash))
        return false;
    *ret = slice_head(name, len);
    return true;
}

/* Cuts "-<digits>", eight or more, off the name of a CronJob's Job. */
static bool without_schedule(struct slice name, struct slice *ret)
{
    enum { FEWEST_DIGITS = 8 };
    size_t len = name.len;
    while (len > 0 && name.base[len - 1] >= '0' && name.base[len - 1] <= '9')
        len--;
    if (name.len - len < FEWEST_DIGITS || len < 2 || name.base[len - 1] != '-')
        return false;
    *ret = slice_head(name, len - 1);
    return true;
}

struct slice workload_name(const struct pod *pod, struct slice namespace_, struct arena *arena)
{
    struct slice kind = SLICE("Pod"), name = pod->name.len ? pod->name : pod->generate_name;
    if (pod->has_controller) {
        const struct owner *owner = &pod->controller;
        kind = owner->kind;
        name = owner->name;
        if (is_owner(owner, SLICE("apps"), SLICE("ReplicaSet")) &&
            without_hash(owner->name, pod->template_hash, &name))
            kind = SLICE("Deployment");
        else if (is_owner(owner, SLICE("apps"), SLICE("ReplicaSet")) &&
                 without_hash(owner->name, pod->rollout_hash, &name))
            kind = SLICE("Rollout");
        else if (is_owner(owner, SLICE("batch"), SLICE("Job")) &&
                 without_schedule(owner->name, &name))
            kind = SLICE("CronJob");
    }
    return arena_join(arena, (struct slice[]){namespace_, SLICE("/"), kind, SLICE("/"), name}, 5);
}

unsigned workload_bucket(struct slice workload)
{
    unsigned char digest[DIGEST_SHA256_SIZE];
    digest_sha256(workload, digest);
    unsigned long first = (unsigned long)digest[0] << 24 | (unsigned long)digest[1] << 16 |
                          (unsigned long)digest[2] << 8 | digest[3];
    return (unsigned)(first % 100);
}

bool workload_is_included(const struct policy *policy, struct slice group, struct slice kind)
{
    for (size_t i = 0; i < policy->owner_count; i++)
        if (slice_equal(policy->owners[i].group, group) &&
            slice_equal(policy->owners[i].kind, kind))
            return true;
    return false;
}

bool workload_may_rewrite_owner(const struct policy *policy, const struct owner *owner)
{
    static const struct group_kind built_in[] = {
        {{"apps", 4}, {"ReplicaSet", 10}},    {{"apps", 4}, {"StatefulSet", 11}},
        {{"apps", 4}, {"DaemonSet", 9}},      {{"batch", 5}, {"Job", 3}},
        {{0}, {"ReplicationController", 21}},
    };
    for (size_t i = 0; i < sizeof(built_in) / sizeof(*built_in); i++)
        if (is_owner(owner, built_in[i].group, built_in[i].kind))
            return true;
    return workload_is_included(policy, owner->group, owner->kind);
}
