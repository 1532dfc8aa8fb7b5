/* Fuzzes admit() with bodies: the answer is what an API server takes, its patch holds nothing but
 * allowed operations, applies to the object, and leaves nothing to do for a second pass. */
#include "tests/fuzz/check.h"

#define KIND(kind, name)                                                                           \
    "apiVersion: harbor-pilot.io/v1alpha1\n"                                                       \
    "kind: " kind "\n"                                                                             \
    "metadata: {name: " name "}\n"

static const char set_text[] = KIND(
    "Harbor",
    "h") "spec: {host: h.io, registries: {docker.io: hub, quay.io: quay, "
         "'localhost:5000': l}}\n"
         "---\n" KIND(
             "Policy",
             "everything") "spec: {namespaces: ['*'], priority: -1, pullSecret: pull, "
                           "pullPolicy: IfNotPresent, owners: {include: [a.b/C]}}\n"
                           "---\n" KIND(
                               "Policy",
                               "some") "spec: {namespaces: [apps], registries: [docker.io], "
                                       "exclude: "
                                       "['*/x', '*:1']}\n"
                                       "---\n" KIND(
                                           "Policy",
                                           "half") "spec: {namespaces: [monitoring], rollout: 50, "
                                                   "pullSecret: pull}\n"
                                                   "---\n" KIND(
                                                       "Policy",
                                                       "off") "spec: {namespaces: [off], mode: "
                                                              "disabled}\n"
                                                              "---\n" KIND(
                                                                  "Policy",
                                                                  "audit") "spec: {namespaces: "
                                                                           "[audit], mode: "
                                                                           "audit}\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct policies *policies;
    if (!policies) {
        struct diagnostics diagnostics = {0};
        struct policy_source source = {SLICE("p"), SLICE("p"),
                                       slice_of(set_text, sizeof(set_text) - 1)};
        CHECK(policies_load(&source, 1, SLICE("ours"), &diagnostics, &policies));
        diagnostics_done(&diagnostics);
    }
    struct slice body = slice_of((const char *)data, size);
    check_round(policies, body);
    check_round(NULL, body);
    return 0;
}
