/* decide(): which images of a Pod are rewritten, and why the others are not. */
#include "decide/decide.h"

#include "decide/operators.h"
#include "decide/workload.h"

#include <stdlib.h>

static const char more_than_asked[] =
    "the object has more images than Harbor is asked about at once";

struct decider {
    const struct policies *policies;
    const struct decide_request *request;
    struct arena *arena;
    struct decisions *ret;
    bool lacks_pull_secret; /* the Policy's, and this request cannot add it */
    bool is_controlled;     /* a controller made the object, or is believed to have */
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
        [REASON_IMAGE_ID] = "image-id",
        [REASON_UNPARSEABLE] = "unparseable",
        [REASON_ALREADY_IN_HARBOR] = "already-in-harbor",
        [REASON_REGISTRY_NOT_PROXIED] = "registry-not-proxied",
        [REASON_EXCLUDED] = "excluded",
        [REASON_NOT_IN_ROLLOUT] = "not-in-rollout",
        [REASON_TOO_LONG] = "too-long",
        [REASON_NO_PROJECT] = "no-project",
        [REASON_PULL_SECRET_MISSING] = "pull-secret-missing",
        [REASON_HARBOR_DOWN] = "harbor-down",
        [REASON_HARBOR_AUTH] = "harbor-auth",
        [REASON_REFUSED_BY_HARBOR] = "refused-by-harbor",
        [REASON_OUTSIDE_PROXY_FILTER] = "outside-proxy-filter",
        [REASON_NOT_IN_HARBOR] = "not-in-harbor",
        [REASON_NOT_KNOWN_IN_TIME] = "not-known-in-time",
        [REASON_REWRITTEN] = "rewritten",
    };
    return names[reason];
}

/* --- the Pod as a whole --- */

/* A static Pod's copy in the API, which nobody can change any more. Anybody can write the
 * annotation into a Pod or a template; only a node makes mirror Pods (NodeRestriction in the API
 * server). */
static bool is_mirror_pod(const struct decide_request *request)
{
    return request->pod->mirror && request->subject != REVIEW_WORKLOAD &&
           (request->believe_object ||
            slice_starts_with(request->user_name, SLICE("system:node:")));
}

/* The reason to leave the Pod alone as a whole, or REASON_REWRITTEN. Finds the Policy on its way.
 */
static enum rewrite_reason whole_reason(const struct decider *d)
{
    const struct decide_request *request = d->request;
    struct decisions *ret = d->ret;
    if (!d->policies)
        return REASON_POLICY_INVALID;
    if (policies_protects(d->policies, request->namespace_))
        return REASON_PROTECTED;
    ret->policy = policies_find(d->policies, request->namespace_, request->pod->labels,
                                request->pod->label_count);
    if (!ret->policy)
        return REASON_NO_POLICY;
    if (ret->policy->mode < ret->mode)
        ret->mode = ret->policy->mode;
    ret->workload = workload_name(request->pod, request->namespace_, d->arena);
    ret->bucket = workload_bucket(ret->workload);
    if (ret->mode == MODE_DISABLED) /* the Policy, or (in `plan`) the namespace's label */
        return REASON_POLICY_DISABLED;
    if (is_mirror_pod(request))
        return REASON_MIRROR_POD;
    if (request->pod->opted_out)
        return REASON_OPTED_OUT;
    if (request->pod->has_controller &&
        !workload_may_rewrite_owner(ret->policy, &request->pod->controller))
        return REASON_OWNED_BY_OPERATOR;
    ret->operator_ = operators_find(ret->policy, request->pod);
    return ret->operator_ ? REASON_OWNED_BY_OPERATOR : REASON_REWRITTEN;
}

static const char *operator_detail(const struct decider *d)
{
    const struct compared_by *row = d->ret->operator_;
    if (!row)
        return NULL;
    return arena_format(d->arena, "%s compares the images of its Pods with what it asked for: %s",
                        row->operator_name, row->consequence)
        .base;
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
    const struct policy *policy = d->ret->policy;
    if (policy->exclude.count == 0)
        return NULL;
    struct slice whole = reference_format(r, d->arena);
    return policy_find_exclusion(policy, slice_head(whole, whole.len - r->suffix.len), whole);
}

/* A Policy's pull secret that the Pod lacks and that this request cannot add. */
static bool lacks_pull_secret(const struct decide_request *request, const struct policy *policy)
{
    return policy && request->subject == REVIEW_EPHEMERAL_CONTAINERS && policy->pull_secret.len &&
           !has_pull_secret(request->pod, policy->pull_secret);
}

/* Nodes without credentials, and no secret at all: from a private project the pull would be
 * refused. */
static bool needs_public_project(const struct decider *d)
{
    const struct policy *policy = d->ret->policy;
    bool added = policy->pull_secret.len && d->request->subject != REVIEW_EPHEMERAL_CONTAINERS;
    return !policy->harbor->nodes_have_credentials && !added &&
           d->request->pod->pull_secret_count == 0;
}

/* Where the artifact would be in Harbor. */
static struct artifact_key artifact_key(const struct mapping *mapping)
{
    const struct reference *r = &mapping->reference;
    struct slice tag = r->tag.len ? r->tag : SLICE("latest");
    return (struct artifact_key){mapping->registry->project, r->path,
                                 r->digest.len ? r->digest : tag};
}

/* The fact, where all that is needed is known; else it is to be asked for, if `asks`. */
static bool find_fact(const struct decider *d, const struct artifact_key *key, fact_needs needs,
                      bool asks, struct artifact_fact *ret)
{
    const struct decide_request *request = d->request;
    const struct harbor *harbor = d->ret->policy->harbor;
    if (request->facts->artifact(request->facts, harbor, key, needs, request->now, d->arena, ret))
        return true;
    if (!asks || request->last_chance)
        return false;
    if (!d->ret->missing) /* of each image: for the rewrite, and for the gate */
        d->ret->missing = arena_allocate(d->arena, DECIDE_MAX_MISSING * sizeof(*d->ret->missing));
    if (d->ret->missing_count < DECIDE_MAX_MISSING)
        d->ret->missing[d->ret->missing_count++] = (struct missing_fact){harbor, *key, needs};
    else
        d->ret->too_many = true;
    return false;
}

/* Whether the database has it where its upstream has not said in time: Harbor falls back on its
 * copy. */
static bool has_copy(const struct decider *d, const struct artifact_key *key,
                     struct artifact_fact *ret)
{
    return d->request->last_chance && find_fact(d, key, FACT_PRESENT, false, ret) &&
           ret->present == TRUTH_YES;
}

/* What a known fact says of an image that would move. */
static enum rewrite_reason known_reason(const struct decider *d, const struct artifact_fact *fact,
                                        struct decision *decision)
{
    bool deep = d->ret->policy->require == REQUIRE_SERVABLE;
    if (fact->no_project)
        return REASON_NO_PROJECT;
    if (fact->public_ != TRUTH_YES && needs_public_project(d)) {
        if (fact->public_ == TRUTH_NO)
            return REASON_PULL_SECRET_MISSING;
        decision->detail = "it is not known whether its project is public (does the account have "
                           "project:read?)";
        return REASON_NOT_KNOWN_IN_TIME;
    }
    if (fact->unauthorized)
        return REASON_HARBOR_AUTH;
    if (fact->refused_by_pull_gate)
        return REASON_REFUSED_BY_HARBOR;
    if (fact->outside_filter)
        return REASON_OUTSIDE_PROXY_FILTER;
    if (deep && fact->present == TRUTH_YES && fact->servable == TRUTH_NO) {
        decision->detail = "Harbor has a copy, but its upstream no longer has the tag, and then "
                           "Harbor answers a pull 404";
        return REASON_NOT_IN_HARBOR;
    }
    if (fact->present == TRUTH_YES || (deep && fact->servable == TRUTH_YES))
        return REASON_REWRITTEN;
    if (deep && fact->servable == TRUTH_UNKNOWN) {
        decision->detail = d->request->purpose == PURPOSE_VALIDATE
                               ? "not in Harbor yet; its upstream is not asked here"
                               : "not in Harbor yet; enforce would ask whether its upstream has it";
        return REASON_REWRITTEN;
    }
    return REASON_NOT_IN_HARBOR;
}

/* The reason that facts give, or REASON_REWRITTEN. */
static enum rewrite_reason fact_reason(const struct decider *d, struct decision *decision)
{
    const struct policy *policy = d->ret->policy;
    const struct fact_source *facts = d->request->facts;
    struct artifact_fact fact = {0};
    if (!facts || policy->harbor->api.url.len == 0)
        return REASON_REWRITTEN;
    enum harbor_health health = facts->health(facts, policy->harbor);
    if (health == HEALTH_DOWN || health == HEALTH_UNKNOWN) {
        if (!policy->rewrite_when_down)
            return REASON_HARBOR_DOWN;
        decision->detail = "Harbor is down, and the Policy rewrites all the same";
        return REASON_REWRITTEN;
    }
    if (policy->require == REQUIRE_NEVER)
        return REASON_REWRITTEN;
    if (health == HEALTH_UNAUTHORIZED)
        return REASON_HARBOR_AUTH;
    bool validating = d->request->purpose == PURPOSE_VALIDATE;
    /* audit mode and dry runs make Harbor ask nobody */
    bool may_ask_upstream = d->ret->mode == MODE_ENFORCE && !d->request->dry_run && !validating;
    bool deep = policy->require == REQUIRE_SERVABLE;
    fact_needs needs = FACT_PRESENT | (deep && may_ask_upstream ? FACT_SERVABLE : 0);
    struct artifact_key key = artifact_key(&decision->mapping);
    if (!find_fact(d, &key, needs, !validating, &fact) && !has_copy(d, &key, &fact)) {
        if (d->request->too_many)
            decision->detail = more_than_asked;
        return REASON_NOT_KNOWN_IN_TIME;
    }
    return known_reason(d, &fact, decision);
}

/* Reads the image and finds where it is in Harbor. */
static void find_mapping(const struct decider *d, struct decision *decision)
{
    const struct harbor *harbor = d->ret->policy->harbor;
    struct slice image = decision->field->image;
    decision->parsed =
        !reference_is_image_id(image) && reference_parse(image, d->arena, &decision->reference);
    if (!decision->parsed)
        return;
    decision->mapping = harbor_map(harbor, &decision->reference, d->arena);
    decision->at_harbor = slice_equal(decision->reference.domain, harbor->host);
}

/* Somebody fills it in later: Istio `auto`, OpenShift's image triggers a blank. */
static bool is_placeholder(const struct image_field *field)
{
    struct slice blank = field->image;
    while (blank.len && blank.base[0] == ' ')
        blank = slice_from_index(blank, 1);
    return blank.len == 0 || slice_equal(field->image, SLICE("auto"));
}

static enum rewrite_reason image_reason(const struct decider *d, struct decision *decision)
{
    const struct image_field *field = decision->field;
    const struct policy *policy = d->ret->policy;
    const struct harbor *harbor = policy->harbor;
    if (field->has_pull_policy == PRESENCE_HERE && slice_equal(field->pull_policy, SLICE("Never")))
        return REASON_PULL_POLICY_NEVER;
    if (is_placeholder(field))
        return REASON_PLACEHOLDER;
    if (reference_is_image_id(field->image))
        return REASON_IMAGE_ID;
    if (!decision->parsed)
        return REASON_UNPARSEABLE;
    if (decision->at_harbor)
        return REASON_ALREADY_IN_HARBOR;
    if (harbor->undiscovered) {
        decision->detail = "which registries Harbor proxies is not known yet";
        return REASON_HARBOR_DOWN;
    }
    const struct mapping *mapping = &decision->mapping;
    if (!mapping->registry || !policy->moves[mapping->registry - harbor->registries])
        return REASON_REGISTRY_NOT_PROXIED;
    decision->pattern = find_exclusion(d, &decision->reference);
    if (decision->pattern)
        return REASON_EXCLUDED;
    if (d->ret->bucket >= policy->rollout)
        return REASON_NOT_IN_ROLLOUT;
    struct slice result = harbor_rewrite(harbor, mapping->registry, &mapping->reference, d->arena);
    if (result.len - mapping->reference.suffix.len > REFERENCE_MAX_NAME)
        return REASON_TOO_LONG;
    if (d->lacks_pull_secret)
        return REASON_PULL_SECRET_MISSING;
    decision->would_move = true;
    enum rewrite_reason reason = fact_reason(d, decision);
    if (reason == REASON_REWRITTEN)
        decision->result = result;
    return reason;
}

/* --- the gate --- */

/* Who is believed when an object says that a controller made it (docs/policies.md#what-is-judged):
 * anybody can
 * write an ownerReference. */
static bool is_controller_user(const struct harbor *harbor, struct slice user)
{
    static const char *const built_in[] = {
        "system:kube-controller-manager",
        "system:serviceaccount:kube-system:replicaset-controller",
        "system:serviceaccount:kube-system:deployment-controller",
        "system:serviceaccount:kube-system:statefulset-controller",
        "system:serviceaccount:kube-system:daemon-set-controller",
        "system:serviceaccount:kube-system:job-controller",
        "system:serviceaccount:kube-system:cronjob-controller",
        "system:serviceaccount:kube-system:replication-controller",
    };
    for (size_t i = 0; i < sizeof(built_in) / sizeof(*built_in); i++)
        if (slice_equal(user, slice_from(built_in[i])))
            return true;
    for (size_t i = 0; i < harbor->trusted_controllers.count; i++)
        if (slice_equal(user, harbor->trusted_controllers.items[i]))
            return true;
    return false;
}

/* Whether the request is believed when its object says that a controller made it. */
static bool is_believed(const struct decider *d)
{
    const struct decide_request *request = d->request;
    return d->ret->policy && (request->believe_object ||
                              is_controller_user(d->ret->policy->harbor, request->user_name));
}

/* What of the Pod or workload is judged at all. */
static bool has_gate(const struct decider *d, enum rewrite_reason whole)
{
    const struct decide_request *request = d->request;
    if (request->purpose == PURPOSE_MUTATE || !d->ret->policy || !d->ret->policy->gate.on ||
        d->ret->mode == MODE_DISABLED || whole == REASON_PROTECTED || whole == REASON_MIRROR_POD)
        return false;
    return request->subject != REVIEW_WORKLOAD || !d->is_controlled;
}

/* A host as clients dial it: without case and the default port; Docker Hub's names are one. */
static struct slice dialled(struct slice domain, struct arena *arena)
{
    static const char *const docker_hub[] = {"index.docker.io", "registry-1.docker.io"};
    struct slice port = SLICE(":443");
    char *text = (char *)arena_copy(arena, domain).base;
    for (size_t i = 0; i < domain.len; i++)
        if (text[i] >= 'A' && text[i] <= 'Z')
            text[i] = (char)(text[i] - 'A' + 'a');
    struct slice host = slice_of(text, domain.len);
    if (host.len > port.len && slice_equal(slice_from_index(host, host.len - port.len), port))
        host.len -= port.len;
    for (size_t i = 0; i < sizeof(docker_hub) / sizeof(*docker_hub); i++)
        if (slice_equal(host, slice_from(docker_hub[i])))
            return SLICE("docker.io");
    return host;
}

/* The artifact that would be pulled, by whatever name; false where Harbor serves none. What is
 * rewritten is read as nodes read it; what is judged must not get by under another spelling. */
static bool judged_key(const struct decider *d, struct slice image, bool moves,
                       struct artifact_key *ret)
{
    const struct harbor *harbor = d->ret->policy->harbor;
    struct reference r;
    if (reference_is_image_id(image) || !reference_parse(image, d->arena, &r))
        return false;
    r.domain = dialled(r.domain, d->arena);
    if (slice_equal(r.domain, dialled(harbor->host, d->arena))) {
        size_t slash = slice_find(r.path, '/');
        struct registry own = {.project = slice_head(r.path, slash)};
        r.path = slice_from_index(r.path, slash + 1);
        *ret = artifact_key(&(struct mapping){NULL, r, &own});
        return r.path.len > 0;
    }
    if (slice_equal(r.domain, SLICE("docker.io")) && slice_find(r.path, '/') == r.path.len)
        r.path = arena_join(d->arena, (struct slice[]){SLICE("library/"), r.path}, 2);
    struct mapping mapping = {NULL, r, NULL};
    if (moves)
        mapping = harbor_map(harbor, &r, d->arena);
    else /* what stays, stays under its old name */
        mapping.registry = harbor_find_registry(harbor, &r);
    if (mapping.registry)
        *ret = artifact_key(&mapping);
    return mapping.registry;
}

static void judge(const struct decider *d, struct decision *decision)
{
    const struct policy *policy = d->ret->policy;
    const struct fact_source *facts = d->request->facts;
    struct verdict *verdict = &decision->verdict;
    if (is_placeholder(decision->field))
        return;
    if (!judged_key(d, decision->field->image, decision->would_move, &verdict->key)) {
        bool undiscovered =
            policy->harbor->undiscovered && decision->parsed && !decision->at_harbor;
        gate_set(&policy->gate, undiscovered ? GATE_UNAVAILABLE : GATE_UNPROXIED,
                 undiscovered ? "which registries Harbor proxies is not known yet" : NULL, verdict);
    } else if (!facts) {
        verdict->unasked = true;
    } else {
        enum harbor_health health = facts->health(facts, policy->harbor);
        struct artifact_fact *fact = arena_allocate(d->arena, sizeof(*fact));
        if (health == HEALTH_DOWN || health == HEALTH_UNAUTHORIZED)
            gate_set(&policy->gate, GATE_UNAVAILABLE,
                     health == HEALTH_DOWN ? "Harbor is down" : "Harbor refuses our account",
                     verdict);
        else if (find_fact(d, &verdict->key, FACT_PRESENT | FACT_SCAN, true, fact))
            gate_judge(&policy->gate, fact, d->request->now, d->arena, verdict);
        else if (d->request->too_many)
            gate_set(&policy->gate, GATE_TOO_MANY, more_than_asked, verdict);
        else
            gate_set(&policy->gate, GATE_UNAVAILABLE, "Harbor did not say in time", verdict);
    }
    /* a CVE published overnight must not keep a drained node's Pods from coming back */
    if (verdict->outcome == GATE_DENY && d->ret->spared) {
        verdict->outcome = GATE_WARN;
        verdict->spared = true;
    }
}

/* --- which images --- */

/* What tells an image of the old object from others: of ephemeral containers the name, since nobody
 * can change one; else the artifact, wherever it stands and by whatever name, or the text of what
 * Harbor does not serve (which no artifact's name equals: none begins with a slash). */
static struct slice identity(const struct decider *d, const struct image_field *field)
{
    struct artifact_key key;
    char text[ARTIFACT_KEY_MAX];
    if (d->request->subject == REVIEW_EPHEMERAL_CONTAINERS)
        return field->name;
    struct slice name = {0};
    if (d->ret->policy && judged_key(d, field->image, false, &key))
        name = artifact_key_text(&key, text);
    return name.len ? arena_copy(d->arena, name)
                    : arena_join(d->arena, (struct slice[]){SLICE("/"), field->image}, 2);
}

struct known_images {
    struct slice
        *names; /* sorted, since whoever writes them may choose what a hash makes of them */
    size_t count;
};

static int compare_names(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* The images that are known already. Those of an old object that the gate would not judge today are
 * not: nobody has ever judged them. */
static struct known_images find_known_images(const struct decider *d)
{
    const struct decide_request *request = d->request;
    const struct pod *old = request->old_pod;
    struct known_images known = {0};
    bool ephemeral = request->subject == REVIEW_EPHEMERAL_CONTAINERS;
    bool judged = request->subject == REVIEW_POD_UPDATE ||
                  (request->subject == REVIEW_WORKLOAD && !(request->old_owned && is_believed(d)));
    if (judged && old && d->ret->policy) /* labels may have been others */
        judged = policies_find(d->policies, request->namespace_, old->labels, old->label_count) ==
                 d->ret->policy;
    if (!old || (!ephemeral && !judged))
        return known;
    known.names = arena_allocate(d->arena, old->image_count * sizeof(*known.names));
    for (size_t i = 0; i < old->image_count; i++)
        if (!ephemeral || old->images[i].kind == IMAGE_EPHEMERAL_CONTAINER)
            known.names[known.count++] = identity(d, &old->images[i]);
    if (known.count)
        qsort(known.names, known.count, sizeof(*known.names), compare_names);
    return known;
}

/* Whether the request is about this image: of ephemeral containers only those that are new, of a
 * changed object only images that the old one has nowhere. */
static bool is_new(const struct decider *d, const struct known_images *known,
                   const struct image_field *field)
{
    const struct decide_request *request = d->request;
    if (request->subject == REVIEW_OTHER)
        return false;
    if (request->subject == REVIEW_EPHEMERAL_CONTAINERS && field->kind != IMAGE_EPHEMERAL_CONTAINER)
        return false;
    if (known->count == 0)
        return true;
    struct slice name = identity(d, field);
    return !bsearch(&name, known->names, known->count, sizeof(name), compare_names);
}

void decide(const struct policies *policies, const struct decide_request *request,
            struct arena *arena, struct decisions *ret)
{
    const struct pod *pod = request->pod;
    struct decider d = {policies, request, arena, ret, false, false};
    *ret = (struct decisions){.mode = request->mode};
    enum rewrite_reason whole = whole_reason(&d);
    ret->whole = whole != REASON_REWRITTEN;
    d.lacks_pull_secret = lacks_pull_secret(request, ret->policy);
    d.is_controlled = request->owned && is_believed(&d);
    bool gate = has_gate(&d, whole);
    ret->gated = gate;
    if (request->owned && !d.is_controlled)
        ret->doubted = request->user_name;
    ret->spared = d.is_controlled && ret->policy && !ret->policy->gate.pods;
    ret->items = arena_allocate(arena, pod->image_count * sizeof(*ret->items));
    const char *detail = operator_detail(&d); /* one for all its images */
    struct known_images known = find_known_images(&d);
    for (size_t i = 0; i < pod->image_count; i++) {
        if (!is_new(&d, &known, &pod->images[i]))
            continue;
        struct decision *decision = &ret->items[ret->count++];
        *decision = (struct decision){.field = &pod->images[i], .result = pod->images[i].image};
        if (ret->policy)
            find_mapping(&d, decision);
        decision->reason = ret->whole ? whole : image_reason(&d, decision);
        if (detail)
            decision->detail = detail;
        ret->rewrites += decision->reason == REASON_REWRITTEN;
        if (gate)
            judge(&d, decision);
        ret->judged += decision->verdict.judged;
        ret->unasked += decision->verdict.unasked;
        ret->outcomes[decision->verdict.outcome] += decision->verdict.judged;
    }
}

const struct rename *decision_rename(const struct decision *decision)
{
    bool looked_for = decision->would_move || decision->reason == REASON_REGISTRY_NOT_PROXIED ||
                      decision->reason == REASON_TOO_LONG;
    return looked_for ? decision->mapping.rename : NULL;
}

bool decide_adds_pull_secret(const struct decide_request *request,
                             const struct decisions *decisions)
{
    const struct policy *policy = decisions->policy;
    if (!policy || decisions->whole || policy->pull_secret.len == 0 ||
        decisions->bucket >= policy->rollout || request->subject == REVIEW_EPHEMERAL_CONTAINERS ||
        has_pull_secret(request->pod, policy->pull_secret))
        return false;
    for (size_t i = 0; i < decisions->count; i++)
        if (decisions->items[i].reason == REASON_REWRITTEN || decisions->items[i].at_harbor)
            return true;
    return false;
}
