/* The annotation of originals: of a registry that Harbor does not proxy nothing is explained,
 * whatever stands behind the list of those that it does. */
#include "policy/originals.h"

#include "tests/unit/check.h"

static void test_the_last_registry(void **state)
{
    (void)state;
    struct registry registries[] = {{.domain = SLICE("docker.io"), .project = SLICE("hub")},
                                    {.domain = SLICE("ghcr.io"), .project = SLICE("ghcr")}};
    struct image_field images[] = {
        {.name = SLICE("moved"), .image = SLICE("x")},
        {.name = SLICE("before"), .image = SLICE("harbor.example.com/ghcr/org/x")},
    };
    struct annotation annotation = {
        .name = SLICE(ANNOTATION_ORIGINAL_IMAGES),
        .value_size = sizeof("{\"before\":\"ghcr.io/org/x\"}") - 1};
    struct pod pod = {.annotations = &annotation,
                      .annotation_count = 1,
                      .has_original_images = PRESENCE_HERE,
                      .original_images = SLICE("{\"before\":\"ghcr.io/org/x\"}"),
                      .images = images,
                      .image_count = 2};
    for (size_t count = 1; count <= 2; count++) {
        struct arena arena = {0};
        struct harbor harbor = {
            .host = SLICE("harbor.example.com"), .registries = registries, .registry_count = count};
        struct policy policy = {.harbor = &harbor};
        struct decision items[] = {
            {.field = &images[0], .reason = REASON_REWRITTEN},
            {.field = &images[1], .reason = REASON_ALREADY_IN_HARBOR, .at_harbor = true},
        };
        struct decisions decisions = {.policy = &policy, .items = items, .count = 2, .rewrites = 1};
        struct decide_request request = {.subject = REVIEW_POD_CREATE, .pod = &pod};
        struct slice value = {0};
        bool too_large = true;
        assert_true(originals_value(&request, &decisions, &arena, &value, &too_large));
        assert_false(too_large);
        check_text("originals", "the value", value,
                   count == 1 ? "{\"moved\":\"x\"}"
                              : "{\"moved\":\"x\",\"before\":\"ghcr.io/org/x\"}");
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_last_registry)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
