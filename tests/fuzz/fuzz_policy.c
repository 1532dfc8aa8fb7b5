/* Fuzzes policy files: no text stops the loader, what it refuses it explains, and what it takes
 * answers questions and rewrites a Pod so that a second pass changes nothing. */
#include "image/glob.h"
#include "tests/fuzz/check.h"

/* A Pod with an image of each kind, in the namespace that is put into the middle. */
static const char before[] =
    "{\"apiVersion\":\"admission.k8s.io/"
    "v1\",\"kind\":\"AdmissionReview\",\"request\":{\"uid\":\"u\","
    "\"kind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"},\"operation\":\"CREATE\","
    "\"namespace\":\"";
static const char after[] =
    "\",\"object\":{\"metadata\":{\"name\":\"n\",\"annotations\":{\"harbor-pilot.io/"
    "original-images\":"
    "\"{\\\"d\\\":\\\"x\\\"}\"}},\"spec\":{\"volumes\":[{\"name\":\"v\",\"image\":{\"reference\":"
    "\"quay.io/m:1\"}}],\"initContainers\":[{\"name\":\"i\",\"image\":\"ghcr.io/a/b:2\"}],"
    "\"containers\":[{\"name\":\"a\",\"image\":\"postgres:16\",\"imagePullPolicy\":\"Always\"},"
    "{\"name\":\"b\",\"image\":\"docker.io/library/busybox\"},{\"name\":\"c\",\"image\":"
    "\"registry.k8s.io/pause:3.9\"},{\"name\":\"d\",\"image\":\"h.io/hub/library/"
    "x\"},{\"name\":\"e\","
    "\"image\":\"localhost:5000/x\"}],\"imagePullSecrets\":null}}}}";

/* Slow and plain: what policies_find answers by its indexes, of a Pod without labels. */
static bool claims(const struct policy *policy, struct slice namespace_)
{
    if (!selector_matches(&policy->selector, NULL, 0))
        return false;
    for (size_t i = 0; i < policy->namespaces.count; i++) {
        const struct pattern *pattern = &policy->namespaces.items[i];
        if (policy_pattern_can_match(pattern) && glob_match(pattern->text, namespace_))
            return true;
    }
    return false;
}

static void check_namespace(const struct policies *policies, struct slice namespace_)
{
    for (size_t i = 0; i < namespace_.len; i++)
        if ((unsigned char)namespace_.base[i] < 0x20 || namespace_.base[i] == '"' ||
            namespace_.base[i] == '\\')
            return; /* would have to be escaped, and is no namespace */
    const struct policy *found = policies_find(policies, namespace_, NULL, 0);
    for (size_t i = 0; found && i < policies_count(policies); i++) {
        const struct policy *other = policies_at(policies, i);
        CHECK(other->priority <= found->priority || !claims(other, namespace_));
    }
    CHECK(!found || claims(found, namespace_));
    struct arena arena = {0};
    check_round(policies,
                arena_join(&arena,
                           (struct slice[]){slice_of(before, sizeof(before) - 1), namespace_,
                                            slice_of(after, sizeof(after) - 1)},
                           3));
    arena_done(&arena);
}

static void check_set(const struct policies *policies)
{
    CHECK(policies_digest(policies).len == 7 + 64);
    check_namespace(policies, SLICE("apps"));
    CHECK(policies_protects(policies, SLICE("ours")));
    for (size_t i = 0; i < policies_count(policies); i++) {
        const struct policy *policy = policies_at(policies, i);
        CHECK(policy->harbor && policy->rollout <= 100 && policy->name.len > 0);
        CHECK(i == 0 || policies_at(policies, i - 1)->priority >= policy->priority);
        for (size_t j = 0; j < policy->namespaces.count && j < 4; j++)
            check_namespace(policies, policy->namespaces.items[j].text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct diagnostics diagnostics = {0};
    struct policies *policies = NULL;
    struct arena arena = {0};
    struct policy_source source = {SLICE("p"), SLICE("p.yaml"), {(const char *)data, size}};
    bool ok = policies_load(&source, 1, SLICE("ours"), &diagnostics, &policies);
    CHECK(ok == (diagnostics.errors == 0) && ok == (policies != NULL));
    for (size_t i = 0; i < diagnostics.count; i++) {
        struct slice line = diagnostic_format(&diagnostics.items[i], &arena);
        CHECK(line.len > 0 && diagnostics.items[i].message.len > 0);
        for (size_t j = 0; j < line.len; j++)
            CHECK((unsigned char)line.base[j] >= 0x20); /* one finding is one line */
    }
    if (ok)
        check_set(policies);
    policies_unref(policies);
    diagnostics_done(&diagnostics);
    arena_done(&arena);
    return 0;
}
