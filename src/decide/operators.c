/* The table of operators, one row each. */
#include "decide/operators.h"

#include "decide/workload.h"

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
#define KIND(group, kind)                                                                          \
    {                                                                                              \
        TEXT(group), TEXT(kind)                                                                    \
    }
#define OWNER(group, kind, name)                                                                   \
    {                                                                                              \
        TEXT(group), TEXT(kind), TEXT(name)                                                        \
    }

const struct compared_by compared_by[] = {
    /* longhorn/longhorn-manager 5ddaa369f upgrade/upgrade.go isOldManagerPod */
    {.operator_name = "Longhorn's manager",
     .kind = KIND("longhorn.io", "Manager"),
     .owner = OWNER("apps", "DaemonSet", "longhorn-manager"),
     .consequence = "it would wait for a Pod with the image that its own argument --manager-image "
                    "names, and give up"},
    /* loft-sh/vcluster 487667546 pkg/controllers/resources/pods/translate/diff.go calcSpecDiff: the
     * label is always there, the Service as an owner only with `setOwner` */
    {.operator_name = "vcluster's syncer",
     .kind = KIND("core", "Service"),
     .labels = {{"vcluster.loft.sh/managed-by", NULL}},
     .consequence = "it would put the image back, and the container would restart"},
    {.operator_name = "vcluster's syncer",
     .kind = KIND("core", "Service"),
     .owner = OWNER("", "Service", ""),
     .consequence = "it would put the image back, and the container would restart"},
    /* zalando/postgres-operator a7aaad0a pkg/cluster/sync.go syncStatefulSet */
    {.operator_name = "Zalando's postgres-operator",
     .kind = KIND("acid.zalan.do", "postgresql"),
     .owner = OWNER("apps", "StatefulSet", ""),
     .labels = {{"application", "spilo"}},
     .consequence = "it would recreate the Pod at every sync"},
    /* aerospike/aerospike-kubernetes-operator 82b77c47 internal/controller/cluster/statefulset.go
     * allContainersAreOnDesiredImages */
    {.operator_name = "Aerospike's operator",
     .kind = KIND("asdb.aerospike.com", "AerospikeCluster"),
     .owner = OWNER("apps", "StatefulSet", ""),
     .labels = {{"app", "aerospike-cluster"}, {"aerospike.com/cr", NULL}},
     .consequence = "it would delete the Pod again and again"},
    /* redpanda-data/redpanda-operator 0ab80199c operator/pkg/resources/statefulset_update.go
     * podEviction: compares the whole Pod; the v1 operator only */
    {.operator_name = "Redpanda's v1 operator",
     .kind = KIND("redpanda.vectorized.io", "Cluster"),
     .owner = OWNER("apps", "StatefulSet", ""),
     .labels = {{"app.kubernetes.io/name", "redpanda"},
                {"app.kubernetes.io/managed-by", "redpanda-operator"}},
     .consequence = "it would delete the Pod again in each round of an update"},
    /* cockroachdb/cockroach-operator f019f0eb pkg/update/update_cockroach_version_common.go
     * makeIsCRDBPodIsRunningNewVersionFunction */
    {.operator_name = "CockroachDB's operator",
     .kind = KIND("crdb.cockroachlabs.com", "CrdbCluster"),
     .owner = OWNER("apps", "StatefulSet", ""),
     .labels = {{"app.kubernetes.io/managed-by", "cockroach-operator"}},
     .consequence = "each of its updates would wait ten minutes for each Pod, and fail"},
};
const size_t compared_by_count = sizeof(compared_by) / sizeof(*compared_by);

static bool says_nothing_else(struct slice wanted, struct slice is)
{
    return wanted.len == 0 || slice_equal(wanted, is);
}

static bool is_owner(const struct owner *wanted, const struct pod *pod)
{
    const struct owner *owner = pod->has_controller ? &pod->controller : &pod->first_owner;
    return wanted->kind.len == 0 ||
           (slice_equal(wanted->group, owner->group) && slice_equal(wanted->kind, owner->kind) &&
            says_nothing_else(wanted->name, owner->name));
}

static bool has_label(const struct pod *pod, const char *const label[2])
{
    const struct slice *value = label[0] ? pod_label(pod, slice_from(label[0])) : NULL;
    return !label[0] || (value && (!label[1] || slice_equal(*value, slice_from(label[1]))));
}

/* Whether the Policy wants its Pods rewritten all the same. */
static bool is_overridden(const struct compared_by *row, const struct policy *policy,
                          const struct pod *pod)
{
    bool core = slice_equal(row->kind.group, SLICE("core"));
    struct slice group = core ? (struct slice){0} : row->kind.group;
    return workload_is_included(policy, group, row->kind.kind) ||
           (pod->has_controller &&
            workload_is_included(policy, pod->controller.group, pod->controller.kind));
}

const struct compared_by *operators_find(const struct policy *policy, const struct pod *pod)
{
    for (size_t i = 0; i < compared_by_count; i++) {
        const struct compared_by *row = &compared_by[i];
        if (is_owner(&row->owner, pod) && has_label(pod, row->labels[0]) &&
            has_label(pod, row->labels[1]))
            return is_overridden(row, policy, pod) ? NULL : row;
    }
    return NULL;
}
