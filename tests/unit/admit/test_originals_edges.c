/* The annotation of originals: of a registry that Harbor does not proxy nothing is explained,
 * whatever stands behind the list of those that it does. */
#include "admit/originals.h"

#include "tests/unit/check.h"

static void test_the_last_registry(void **state)
{
    (void)state;
    struct registry registries[] = {
        {.upstream.domain = SLICE("docker.io"), .project = SLICE("hub")},
        {.upstream.domain = SLICE("ghcr.io"), .project = SLICE("ghcr")}};
    struct image_field images[] = {
        {.name = SLICE("moved"), .image = SLICE("x")},
        {.name = SLICE("before"), .image = SLICE("harbor.example.com/ghcr/org/x")},
    };
    struct annotation annotation = {.name = SLICE(ANNOTATION_ORIGINAL_IMAGES),
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

/* Entries are kept in whatever order they come; of a key that stands twice the last counts; and
 * what is larger than all annotations may be has none. */
static void test_entries_that_were_there(void **state)
{
    (void)state;
    static const struct {
        const char *entries;
        size_t filler; /* spaces behind them */
        const char *value;
    } cases[] = {
        {"{\"z\":\"z\",\"a\":\"a\",\"m\":\"m\",\"b\":\"b\"}", 0,
         "{\"moved\":\"x\",\"a\":\"a\",\"b\":\"b\",\"m\":\"m\",\"z\":\"z\"}"},
        {"{\"z\":\"other\",\"a\":\"a\",\"m\":\"m\",\"z\":\"z\",\"a\":\"other\"}", 0,
         "{\"moved\":\"x\",\"m\":\"m\",\"z\":\"z\"}"},
        {"{\"a\":\"a\"}", 1000, "{\"moved\":\"x\",\"a\":\"a\"}"},
        {"{\"a\":\"a\"}", ANNOTATIONS_MAX_SIZE, "{\"moved\":\"x\"}"},
        {"", 0, "{\"moved\":\"x\"}"},
        {"{}", 0, "{\"moved\":\"x\"}"},
        {"{\"a\":\"a\",\"b\":1}", 0, "{\"moved\":\"x\"}"}, /* no object of texts */
    };
    struct registry registry = {.upstream.domain = SLICE("docker.io"), .project = SLICE("hub")};
    struct harbor harbor = {
        .host = SLICE("harbor.example.com"), .registries = &registry, .registry_count = 1};
    struct policy policy = {.harbor = &harbor};
    static const char *const names[] = {"moved", "a", "b", "m", "z"};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct image_field images[COUNT(names)];
        struct decision items[COUNT(names)];
        for (size_t j = 0; j < COUNT(names); j++) {
            images[j] = (struct image_field){
                .name = slice_from(names[j]),
                .image = j ? arena_format(&arena, "harbor.example.com/hub/library/%s", names[j])
                           : SLICE("x")};
            items[j] = (struct decision){.field = &images[j],
                                         .reason = j ? REASON_ALREADY_IN_HARBOR : REASON_REWRITTEN};
        }
        size_t len = strlen(cases[i].entries);
        char *text = arena_allocate(&arena, len + cases[i].filler + 1);
        memset(text, ' ', len + cases[i].filler);
        memcpy(text, cases[i].entries, len);
        struct annotation annotation = {.name = SLICE(ANNOTATION_ORIGINAL_IMAGES),
                                        .value_size = len + cases[i].filler};
        struct pod pod = {.annotations = &annotation,
                          .annotation_count = 1,
                          .has_original_images = PRESENCE_HERE,
                          .original_images = slice_of(text, len + cases[i].filler),
                          .images = images,
                          .image_count = COUNT(names)};
        struct decisions decisions = {
            .policy = &policy, .items = items, .count = COUNT(names), .rewrites = 1};
        struct decide_request request = {.subject = REVIEW_POD_CREATE, .pod = &pod};
        struct slice value = {0};
        bool too_large = true;
        assert_true(originals_value(&request, &decisions, &arena, &value, &too_large));
        check_text(cases[i].entries, "the value", value, cases[i].value);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_registry),
        cmocka_unit_test(test_entries_that_were_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
