/* operators_find(): Pods above a built-in controller whose operator compares their images, and what
 * looks like them. That their images are kept, and the detail, through decide(). */
#include "decide/decide.h"
#include "decide/operators.h"

#include "tests/unit/check.h"

#define SET(name, include)                                                                         \
    "---\n"                                                                                        \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: Policy\n"                                                                               \
    "metadata: {name: " name "}\n"                                                                 \
    "spec: {namespaces: [" name "], owners: {include: [" include "]}}\n"
#define POLICIES                                                                                   \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: Harbor\n"                                                                               \
    "metadata: {name: h}\n"                                                                        \
    "spec: {host: harbor.example.com, registries: {docker.io: hub}}\n" SET("plain", "")            \
        SET("rows", "longhorn.io/Manager, core/Service, acid.zalan.do/postgresql, "                \
                    "asdb.aerospike.com/AerospikeCluster, redpanda.vectorized.io/Cluster, "        \
                    "crdb.cockroachlabs.com/CrdbCluster")                                          \
            SET("controllers", "apps/StatefulSet, apps/DaemonSet")

#define REFERENCE(version, kind, name, controller)                                                 \
    "{\"apiVersion\":\"" version "\",\"kind\":\"" kind "\",\"name\":\"" name                       \
    "\",\"controller\":" controller "}"
#define SET_OF(name)   REFERENCE("apps/v1", "StatefulSet", name, "true")
#define NODES_OF(name) REFERENCE("apps/v1", "DaemonSet", name, "true")

static const struct {
    const char *name, *labels, *owners;
    const char *operator_name; /* NULL: none */
    bool by_controller;        /* its controller can be named in place of the row */
} cases[] = {
    {"longhorn's manager", "", NODES_OF("longhorn-manager"), "Longhorn's manager", true},
    {"another DaemonSet of longhorn's", "", NODES_OF("longhorn-csi-plugin"), NULL, false},
    {"a StatefulSet of that name", "", SET_OF("longhorn-manager"), NULL, false},
    {"a DaemonSet of another group", "",
     REFERENCE("x.io/v1", "DaemonSet", "longhorn-manager", "false"), NULL, false},
    {"the name longer", "", NODES_OF("longhorn-manager-2"), NULL, false},
    {"vcluster by its label", "\"vcluster.loft.sh/managed-by\":\"vc\"", "", "vcluster's syncer",
     false},
    {"vcluster, the label empty", "\"vcluster.loft.sh/managed-by\":\"\"", "", "vcluster's syncer",
     false},
    {"vcluster by its Service", "", REFERENCE("v1", "Service", "vc", "false"), "vcluster's syncer",
     false},
    {"a Service of another group", "",
     REFERENCE("serving.knative.dev/v1", "Service", "vc", "false"), NULL, false},
    {"a Service that is not the first", "",
     REFERENCE("v1", "ConfigMap", "c", "false") "," REFERENCE("v1", "Service", "vc", "false"), NULL,
     false},
    {"a Service beside a controller", "", REFERENCE("v1", "Service", "vc", "false") "," SET_OF("s"),
     NULL, false},
    {"zalando", "\"application\":\"spilo\"", SET_OF("db"), "Zalando's postgres-operator", true},
    {"another application", "\"application\":\"spilo2\"", SET_OF("db"), NULL, false},
    {"the last of two labels counts", "\"application\":\"spilo\",\"application\":\"x\"",
     SET_OF("db"), NULL, false},
    {"spilo without a StatefulSet", "\"application\":\"spilo\"", "", NULL, false},
    {"aerospike", "\"aerospike.com/cr\":\"a\",\"app\":\"aerospike-cluster\"", SET_OF("a"),
     "Aerospike's operator", true},
    {"one of its two labels", "\"app\":\"aerospike-cluster\"", SET_OF("a"), NULL, false},
    {"the other", "\"aerospike.com/cr\":\"a\"", SET_OF("a"), NULL, false},
    {"redpanda v1",
     "\"app.kubernetes.io/managed-by\":\"redpanda-operator\",\"app.kubernetes.io/name\":\"redpanda\"",
     SET_OF("r"), "Redpanda's v1 operator", true},
    {"redpanda v2, by Helm",
     "\"app.kubernetes.io/managed-by\":\"Helm\",\"app.kubernetes.io/name\":\"redpanda\"",
     SET_OF("r"), NULL, false},
    {"cockroach", "\"app.kubernetes.io/managed-by\":\"cockroach-operator\"", SET_OF("c"),
     "CockroachDB's operator", true},
    {"a label that is no text", "\"app.kubernetes.io/managed-by\":[\"cockroach-operator\"]",
     SET_OF("c"), NULL, false},
    {"nobody", "", "", NULL, false},
};

static const struct pod *pod_of(size_t i, struct arena *arena)
{
    struct pod *pod = arena_allocate(arena, sizeof(*pod));
    struct json_scanner s;
    json_scanner_init(&s, arena_format(arena,
                                       "{\"metadata\":{\"name\":\"n\",\"labels\":{%s},"
                                       "\"ownerReferences\":[%s]},\"spec\":{\"containers\":["
                                       "{\"name\":\"c\",\"image\":\"x\"}]}}",
                                       cases[i].labels, cases[i].owners));
    pod_read(&s, arena, pod);
    if (!json_finish(&s))
        CHECK_FAIL("%s: the test's Pod is not JSON", cases[i].name);
    return pod;
}

static void check(const struct policies *policies, size_t i, const char *namespace_, bool kept)
{
    struct arena arena = {0};
    struct decisions decisions;
    const struct decide_request request = {.mode = MODE_ENFORCE,
                                           .subject = REVIEW_POD_CREATE,
                                           .namespace_ = slice_from(namespace_),
                                           .pod = pod_of(i, &arena)};
    decide(policies, &request, &arena, &decisions);
    assert_int_equal(decisions.count, 1);
    const struct decision *d = &decisions.items[0];
    check_text(cases[i].name, namespace_, slice_from(decide_reason_name(d->reason)),
               kept ? "owned-by-operator" : "rewritten");
    if (kept)
        check_number(cases[i].name, "the detail names it",
                     d->detail && strncmp(d->detail, cases[i].operator_name,
                                          strlen(cases[i].operator_name)) == 0,
                     true);
    else
        assert_null(d->detail);
    arena_done(&arena);
}

static void test_pods(void **state)
{
    (void)state;
    struct policies *policies = load_right(POLICIES);
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool known = cases[i].operator_name != NULL;
        check(policies, i, "plain", known);
        check(policies, i, "rows", false);
        check(policies, i, "controllers", known && !cases[i].by_controller);
    }
    policies_unref(policies);
}

/* What a row promises: a name, a kind that owners.include can name, and something to know it by. */
static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < compared_by_count; i++) {
        const struct compared_by *row = &compared_by[i];
        assert_non_null(row->operator_name);
        assert_non_null(row->consequence);
        assert_true(row->kind.group.len && row->kind.kind.len);
        assert_true(row->owner.kind.len || row->labels[0][0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pods),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
