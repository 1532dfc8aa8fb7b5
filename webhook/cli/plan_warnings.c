/* Warnings about one object. */
#include "webhook/cli/plan_warnings.h"

#include "image/glob.h"
#include "json/pointer.h"

/* --- a Pod that is told its own image --- */

struct own_image {
    struct slice image; /* empty: none */
    struct slice where; /* "the argument `--manager-image=…`" */
};

static bool is_moved(const struct decisions *decisions, struct slice text)
{
    for (size_t i = 0; i < decisions->count; i++)
        if (decisions->items[i].reason == REASON_REWRITTEN &&
            slice_equal(decisions->items[i].field->image, text))
            return true;
    return false;
}

/* An argument that is one of the images, or `--flag=` and one. */
static void look_at_arguments(struct slice list, const struct decisions *decisions,
                              struct arena *arena, struct own_image *ret)
{
    struct json_scanner s;
    struct slice text;
    json_scanner_init(&s, list);
    if (json_peek(&s) != SCAN_ARRAY || !json_array_begin(&s))
        return;
    while (json_array_next(&s)) {
        if (!json_read_text(&s, arena, &text) || ret->image.len)
            continue;
        size_t equals = slice_starts_with(text, SLICE("-")) ? slice_find(text, '=') : text.len;
        struct slice value = equals < text.len ? slice_from_index(text, equals + 1) : text;
        if (is_moved(decisions, value))
            *ret = (struct own_image){value,
                                      arena_format(arena, "the argument `%.*s`", SLICE_ARGS(text))};
    }
}

static void look_at_variables(struct slice list, const struct decisions *decisions,
                              struct arena *arena, struct own_image *ret)
{
    struct json_scanner s;
    struct slice variable;
    json_scanner_init(&s, list);
    if (json_peek(&s) != SCAN_ARRAY || !json_array_begin(&s))
        return;
    while (json_array_next(&s) && json_skip_slice(&s, &variable)) {
        struct slice value = json_find_text(variable, "/value", arena);
        struct slice name = json_find_text(variable, "/name", arena);
        if (ret->image.len == 0 && is_moved(decisions, value))
            *ret = (struct own_image){
                value, arena_format(arena, "the environment variable `%.*s`", SLICE_ARGS(name))};
    }
}

static void look_at_containers(struct slice list, const struct decisions *decisions,
                               struct arena *arena, struct own_image *ret)
{
    struct json_scanner s;
    struct slice container, found;
    json_scanner_init(&s, list);
    if (json_peek(&s) != SCAN_ARRAY || !json_array_begin(&s))
        return;
    while (json_array_next(&s) && json_skip_slice(&s, &container)) {
        if (json_find(container, SLICE("/command"), &found))
            look_at_arguments(found, decisions, arena, ret);
        if (json_find(container, SLICE("/args"), &found))
            look_at_arguments(found, decisions, arena, ret);
        if (json_find(container, SLICE("/env"), &found))
            look_at_variables(found, decisions, arena, ret);
    }
}

/* Whether an image stands in the text more often than as an image: most Pods need no second look.
 */
static bool is_worth_a_look(struct slice text, const struct decisions *decisions)
{
    for (size_t i = 0; i < decisions->count; i++) {
        struct slice image = decisions->items[i].field->image, rest = text;
        size_t seen = 0, fields = 0;
        for (size_t j = 0; j < decisions->count; j++)
            fields += slice_equal(decisions->items[j].field->image, image);
        for (const char *at; rest.len && (at = memmem(rest.base, rest.len, image.base, image.len));
             seen++)
            rest = slice_from_index(rest, (size_t)(at - rest.base) + image.len);
        if (seen > fields)
            return true;
    }
    return false;
}

static void warn_of_own_image(struct plan *plan, const struct planned *planned,
                              const struct decisions *decisions, struct arena *arena)
{
    struct own_image own = {0};
    struct slice spec, list;
    if (decisions->rewrites == 0 || !is_worth_a_look(planned->json, decisions) ||
        !json_find(planned->json, planned->template_pointer, &spec))
        return;
    for (int kind = 0; kind < IMAGE_KINDS; kind++) {
        struct slice pointer =
            arena_format(arena, "/spec/%.*s", SLICE_ARGS(image_kinds[kind].list));
        if (kind != IMAGE_VOLUME && json_find(spec, pointer, &list))
            look_at_containers(list, decisions, arena, &own);
    }
    if (own.image.len)
        diagnostics_warning(
            &plan->diagnostics, planned->at,
            "%.*s `%.*s`: %.*s is its own image `%.*s`, and stays as it is while the image is "
            "rewritten: a program that compares the two finds them different; if this one does, "
            "exclude the image",
            SLICE_ARGS(planned->object->kind), SLICE_ARGS(planned->object->name),
            SLICE_ARGS(own.where), SLICE_ARGS(own.image));
}

/* --- Harbor's own workloads --- */

static bool is_harbors_own(struct slice image)
{
    static const char *const names[] = {
        "harbor-core",          "harbor-registryctl",  "registry-photon",
        "harbor-jobservice",    "harbor-portal",       "harbor-db",
        "harbor-exporter",      "redis-photon",        "nginx-photon",
        "trivy-adapter-photon", "harbor-adapter-trivy"};
    struct slice name = slice_from_index(image, slice_find_last(image, '/') + 1);
    name = slice_head(slice_head(name, slice_find(name, '@')), slice_find(name, ':'));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (slice_equal(name, slice_from(names[i])))
            return slice_find(image, '/') < image.len;
    return false;
}

/* The glob by which the Policy claims the namespace; NULL where it names it. */
static const struct pattern *claiming_glob(const struct policy *policy, struct slice namespace_)
{
    const struct pattern *glob = NULL;
    for (size_t i = 0; i < policy->namespaces.count; i++) {
        const struct pattern *pattern = &policy->namespaces.items[i];
        if (!glob_match(pattern->text, namespace_))
            continue;
        if (!pattern->wildcard)
            return NULL;
        glob = glob ? glob : pattern;
    }
    return glob;
}

static void warn_of_harbor(struct plan *plan, const struct planned *planned,
                           const struct decisions *decisions, struct known_namespace *known)
{
    const struct policy *policy = decisions->policy;
    const struct pattern *glob;
    if (known->told_of_harbor || !policy || policy->mode == MODE_DISABLED)
        return;
    for (size_t i = 0; i < decisions->count; i++) {
        struct slice image = decisions->items[i].field->image;
        if (!is_harbors_own(image) || !(glob = claiming_glob(policy, planned->namespace_)))
            continue;
        known->told_of_harbor = true;
        diagnostics_warning(
            &plan->diagnostics, planned->at,
            "Harbor itself seems to run in namespace `%.*s` (image `%.*s`), which `%.*s` of Policy "
            "`%.*s` claims: if it does, add the namespace to `protected` of the Harbor document, "
            "or Harbor will be pulled from Harbor",
            SLICE_ARGS(planned->namespace_), SLICE_ARGS(image), SLICE_ARGS(glob->text),
            SLICE_ARGS(policy->name));
        return;
    }
}

/* --- the pull secret --- */

static void warn_of_secret(struct plan *plan, const struct planned *planned,
                           const struct decisions *decisions, struct known_namespace *known)
{
    const struct policy *policy = decisions->policy;
    if (known->told_of_secret || plan->around.secrets.count == 0 || decisions->rewrites == 0 ||
        policy->pull_secret.len == 0 ||
        surroundings_have_secret(&plan->around, planned->namespace_, policy->pull_secret))
        return;
    known->told_of_secret = true;
    diagnostics_warning(&plan->diagnostics, planned->at,
                        "namespace `%.*s` has no Secret `%.*s`, which Policy `%.*s` gives its Pods "
                        "to pull with (`pullSecret`): make it there first",
                        SLICE_ARGS(planned->namespace_), SLICE_ARGS(policy->pull_secret),
                        SLICE_ARGS(policy->name));
}

void plan_warn(struct plan *plan, const struct planned *planned, const struct decisions *decisions,
               struct arena *arena)
{
    struct known_namespace *known = surroundings_namespace(&plan->around, planned->namespace_);
    warn_of_own_image(plan, planned, decisions, arena);
    warn_of_harbor(plan, planned, decisions, known);
    warn_of_secret(plan, planned, decisions, known);
}
