/* decide(): which images of a Pod are rewritten, and why the others are not. */
#include "policy/decide.h"

#include "base/digest.h"

struct decider {
    const struct policies *policies;
    const struct decide_request *request;
    struct arena *arena;
    struct decisions *ret;
};

const char *decide_reason_name(enum rewrite_reason reason)
{
    static const char *const names[REASON_COUNT] = {
        [REASON_POLICY_INVALID] = "policy-invalid",
        [REASON_PROTECTED] = "protected",
        [REASON_NO_POLICY] = "no-policy",
        [REASON_POLICY_DISABLED] = "policy-disabled",
        [REASON_MIRROR_POD] = "mirror-pod",
        [REASON_OPTED_OUT] = "opted-out",
        [REASON_OWNED_BY_OPERATOR] = "owned-by-operator",
        [REASON_PULL_POLICY_NEVER] = "pull-policy-never",
        [REASON_PLACEHOLDER] = "placeholder",
        [REASON_UNPARSEABLE] = "unparseable",
        [REASON_ALREADY_IN_HARBOR] = "already-in-harbor",
        [REASON_REGISTRY_NOT_PROXIED] = "registry-not-proxied",
        [REASON_EXCLUDED] = "excluded",
        [REASON_NOT_IN_ROLLOUT] = "not-in-rollout",
        [REASON_TOO_LONG] = "too-long",
        [REASON_PULL_SECRET_MISSING] = "pull-secret-missing",
        [REASON_REWRITTEN] = "rewritten",
    };
    return names[reason];
}

/* --- the workload and its bucket --- */

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

/* "namespace/Kind/name" of what a person would call the workload. */
static struct slice name_workload(const struct decider *d)
{
    const struct pod *pod = d->request->pod;
    struct slice kind = SLICE("Pod"), name = pod->name.len ? pod->name : pod->generate_name;
    if (pod->has_controller) {
        const struct owner *owner = &pod->controller;
        kind = owner->kind;
        name = owner->name;
        if (is_owner(owner, SLICE("apps"), SLICE("ReplicaSet")) &&
            without_hash(owner->name, pod->template_hash, &name))
            kind = SLICE("Deployment");
        else if (is_owner(owner, SLICE("batch"), SLICE("Job")) &&
                 without_schedule(owner->name, &name))
            kind = SLICE("CronJob");
    }
    return arena_join(
        d->arena,
        (struct slice[]){d->request->namespace_, SLICE("/"), kind, SLICE("/"), name}, 5);
}

/* 0 to 99, the same for a workload for ever: raising `rollout` only adds. */
static unsigned bucket_of(struct slice workload)
{
    unsigned char digest[DIGEST_SHA256_SIZE];
    digest_sha256(workload, digest);
    unsigned long first = (unsigned long)digest[0] << 24 | (unsigned long)digest[1] << 16 |
                          (unsigned long)digest[2] << 8 | digest[3];
    return (unsigned)(first % 100);
}

/* --- the Pod as a whole --- */

bool decide_may_rewrite_owner(const struct policy *policy, const struct owner *owner)
{
    static const struct owner built_in[] = {
        {{"apps", 4}, {"ReplicaSet", 10}, {0}},  {{"apps", 4}, {"StatefulSet", 11}, {0}},
        {{"apps", 4}, {"DaemonSet", 9}, {0}},    {{"batch", 5}, {"Job", 3}, {0}},
        {{0}, {"ReplicationController", 21}, {0}},
    };
    for (size_t i = 0; i < sizeof(built_in) / sizeof(*built_in); i++)
        if (is_owner(owner, built_in[i].group, built_in[i].kind))
            return true;
    for (size_t i = 0; i < policy->owner_count; i++)
        if (is_owner(owner, policy->owners[i].group, policy->owners[i].kind))
            return true;
    return false;
}

/* The reason to leave the Pod alone as a whole, or REASON_REWRITTEN. Finds the Policy on its way. */
static enum rewrite_reason whole_reason(const struct decider *d)
{
    const struct decide_request *request = d->request;
    struct decisions *ret = d->ret;
    if (!d->policies)
        return REASON_POLICY_INVALID;
    if (policies_protects(d->policies, request->namespace_))
        return REASON_PROTECTED;
    ret->policy = policies_find(d->policies, request->namespace_);
    if (!ret->policy)
        return REASON_NO_POLICY;
    if (ret->policy->mode < ret->mode)
        ret->mode = ret->policy->mode;
    ret->workload = name_workload(d);
    ret->bucket = bucket_of(ret->workload);
    if (ret->policy->mode == MODE_DISABLED)
        return REASON_POLICY_DISABLED;
    if (request->pod->mirror)
        return REASON_MIRROR_POD;
    if (request->pod->opted_out)
        return REASON_OPTED_OUT;
    if (request->pod->has_controller &&
        !decide_may_rewrite_owner(ret->policy, &request->pod->controller))
        return REASON_OWNED_BY_OPERATOR;
    return REASON_REWRITTEN;
}

/* --- one image --- */

static bool has_pull_secret(const struct pod *pod, struct slice name)
{
    for (size_t i = 0; i < pod->pull_secret_count; i++)
        if (slice_equal(pod->pull_secrets[i], name))
            return true;
    return false;
}

static const struct pattern *find_exclusion(const struct decider *d, const struct reference *r)
{
    const struct pattern_list *exclude = &d->ret->policy->exclude;
    struct slice name = {0}, whole = {0};
    for (size_t i = 0; i < exclude->count; i++) {
        const struct pattern *pattern = &exclude->items[i];
        if (name.len == 0) {
            whole = reference_format(r, d->arena);
            name = slice_head(whole, whole.len - r->suffix.len);
        }
        struct pattern_list one = {(struct pattern *)pattern, 1};
        if (pattern_list_match(&one, pattern->whole ? whole : name))
            return pattern;
    }
    return NULL;
}

/* A Policy's pull secret that the Pod lacks and that this request cannot add. */
static bool lacks_pull_secret(const struct decider *d)
{
    struct slice secret = d->ret->policy->pull_secret;
    return d->request->subject == REVIEW_EPHEMERAL_CONTAINERS && secret.len &&
           !has_pull_secret(d->request->pod, secret);
}

static enum rewrite_reason image_reason(const struct decider *d, struct decision *decision)
{
    const struct image_field *field = decision->field;
    const struct policy *policy = d->ret->policy;
    const struct harbor *harbor = policy->harbor;
    struct reference reference;
    bool parsed = reference_parse(field->image, d->arena, &reference);
    decision->at_harbor = parsed && slice_equal(reference.domain, harbor->host);
    if (field->has_pull_policy == PRESENCE_HERE && slice_equal(field->pull_policy, SLICE("Never")))
        return REASON_PULL_POLICY_NEVER;
    if (slice_equal(field->image, SLICE("auto"))) /* Istio fills it in later */
        return REASON_PLACEHOLDER;
    if (!parsed)
        return REASON_UNPARSEABLE;
    if (decision->at_harbor)
        return REASON_ALREADY_IN_HARBOR;
    size_t index = harbor_find_registry(harbor, reference.domain);
    if (index == harbor->registry_count)
        return REASON_REGISTRY_NOT_PROXIED;
    decision->registry = &harbor->registries[index];
    if (!policy->moves[index])
        return REASON_REGISTRY_NOT_PROXIED;
    decision->pattern = find_exclusion(d, &reference);
    if (decision->pattern)
        return REASON_EXCLUDED;
    if (d->ret->bucket >= policy->rollout)
        return REASON_NOT_IN_ROLLOUT;
    struct slice result = harbor_rewrite(harbor, decision->registry, &reference, d->arena);
    if (result.len - reference.suffix.len > REFERENCE_MAX_NAME)
        return REASON_TOO_LONG;
    if (lacks_pull_secret(d))
        return REASON_PULL_SECRET_MISSING;
    decision->result = result;
    return REASON_REWRITTEN;
}

/* Whether the request is about this image: of ephemeral containers, only those that are new. */
static bool is_asked(const struct decide_request *request, const struct image_field *field)
{
    if (request->subject == REVIEW_POD_CREATE)
        return true;
    if (request->subject != REVIEW_EPHEMERAL_CONTAINERS || field->kind != IMAGE_EPHEMERAL_CONTAINER)
        return false;
    for (size_t i = 0; request->old_pod && i < request->old_pod->image_count; i++) {
        const struct image_field *old = &request->old_pod->images[i];
        if (old->kind == IMAGE_EPHEMERAL_CONTAINER && slice_equal(old->name, field->name))
            return false;
    }
    return true;
}

void decide(const struct policies *policies, const struct decide_request *request,
            struct arena *arena, struct decisions *ret)
{
    const struct pod *pod = request->pod;
    struct decider d = {policies, request, arena, ret};
    *ret = (struct decisions){.mode = request->mode};
    enum rewrite_reason whole = whole_reason(&d);
    ret->whole = whole != REASON_REWRITTEN;
    ret->items = arena_allocate(arena, pod->image_count * sizeof(*ret->items));
    for (size_t i = 0; i < pod->image_count; i++) {
        if (!is_asked(request, &pod->images[i]))
            continue;
        struct decision *decision = &ret->items[ret->count++];
        *decision = (struct decision){.field = &pod->images[i], .result = pod->images[i].image};
        decision->reason = ret->whole ? whole : image_reason(&d, decision);
        ret->rewrites += decision->reason == REASON_REWRITTEN;
    }
}

bool decide_adds_pull_secret(const struct decide_request *request,
                             const struct decisions *decisions)
{
    const struct policy *policy = decisions->policy;
    if (!policy || decisions->whole || policy->pull_secret.len == 0 ||
        decisions->bucket >= policy->rollout || request->subject != REVIEW_POD_CREATE ||
        has_pull_secret(request->pod, policy->pull_secret))
        return false;
    for (size_t i = 0; i < decisions->count; i++)
        if (decisions->items[i].reason == REASON_REWRITTEN || decisions->items[i].at_harbor)
            return true;
    return false;
}

/* --- as JSON --- */

static struct position source_of(const struct decisions *decisions, const struct decision *decision)
{
    return decision->pattern ? decision->pattern->at : decisions->policy->at;
}

void decision_write_members(struct json_writer *w, const struct decisions *decisions,
                            const struct decision *decision, struct slice field)
{
    const struct image_field *image = decision->field;
    json_member(w, "field", field);
    json_member(w, image->kind == IMAGE_VOLUME ? "volume" : "container", image->name);
    json_member(w, "image", image->image);
    json_member(w, "result", decision->result);
    json_key(w, "rewrite");
    json_begin_object(w);
    json_member_text(w, "outcome", decision->reason == REASON_REWRITTEN ? "rewrite" : "keep");
    json_member_text(w, "reason", decide_reason_name(decision->reason));
    json_end_object(w);
    if (!decisions->policy)
        return;
    json_member(w, "policy", decisions->policy->name);
    struct position at = source_of(decisions, decision);
    struct buffer source = {0};
    buffer_append(&source, at.file);
    buffer_append_char(&source, ':');
    buffer_append_number(&source, (unsigned long long)at.line);
    json_member(w, "source", buffer_slice(&source));
    buffer_done(&source);
    json_member_number(w, "bucket", decisions->bucket);
}
