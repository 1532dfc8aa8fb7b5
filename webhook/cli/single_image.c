/* Builds a Pod of one image, and decides about it. */
#include "webhook/cli/single_image.h"

static MUST_CHECK bool parse_owner(struct slice text, struct owner *ret, struct error *reterr)
{
    size_t first = slice_find(text, '/');
    struct slice rest = slice_from_index(text, first + 1);
    size_t second = slice_find(rest, '/');
    struct owner owner = {slice_head(text, first), slice_head(rest, second),
                          slice_from_index(rest, second + 1)};
    if (owner.group.len == 0 || owner.kind.len == 0 || owner.name.len == 0)
        return error_set(reterr,
                         "the owner is `%.*s`, expected GROUP/KIND/NAME such as "
                         "`apps/ReplicaSet/web-5d4f` (`core` for the core group)",
                         SLICE_ARGS(slice_head(text, 100)));
    if (slice_equal(owner.group, SLICE("core")))
        owner.group = (struct slice){0};
    *ret = owner;
    return true;
}

bool single_image_read_label(struct slice text, struct label *ret, struct error *reterr)
{
    size_t equals = slice_find(text, '=');
    struct label label = {slice_head(text, equals), slice_from_index(text, equals + 1)};
    if (equals == text.len || !label_is_name(label.name) || !label_is_value(label.value))
        return error_set(reterr, "the label is `%.*s`, expected NAME=VALUE such as `tier=web`",
                         SLICE_ARGS(slice_head(text, 200)));
    *ret = label;
    return true;
}

bool single_image_decide(const struct policies *policies, const struct single_image *single,
                         struct arena *arena, struct single_image_pod *pod, struct decisions *ret,
                         struct error *reterr)
{
    *pod = (struct single_image_pod){0};
    if (single->owner.len) {
        if (!parse_owner(single->owner, &pod->pod.controller, reterr))
            return false;
        pod->pod.has_controller = true;
    }
    pod->field = (struct image_field){
        .kind = IMAGE_CONTAINER,
        .name = SLICE("image"),
        .image = single->image,
        .has_pull_policy = single->pull_policy.len ? PRESENCE_HERE : PRESENCE_ABSENT,
        .pull_policy = single->pull_policy,
    };
    pod->pod.template_hash = single->template_hash;
    pod->pod.labels = single->labels;
    pod->pod.label_count = single->label_count;
    pod->pod.images = &pod->field;
    pod->pod.image_count = 1;
    pod->request = (struct decide_request){
        .purpose = PURPOSE_PREVIEW,
        .mode = single->mode,
        .subject = REVIEW_POD_CREATE,
        .namespace_ = single->namespace_,
        .pod = &pod->pod,
        .facts = single->facts,
        .now = single->now,
        .last_chance = single->last_chance,
    };
    decide(policies, &pod->request, arena, ret);
    return true;
}
