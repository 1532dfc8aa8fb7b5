/* `explain`: one image, which Policy decides about it, what, and how to get the other decision. */
#include "admit/refusal.h"
#include "decide/operators.h"
#include "image/glob.h"
#include "webhook/cli/facts_option.h"
#include "webhook/cli/live_facts.h"
#include "webhook/cli/single_image.h"
#include "webhook/commands.h"
#include "webhook/common/policy_files.h"
#include "json/writer.h"

#include <stdio.h>
#include <stdlib.h>

struct explain {
    struct text_list policies, images, labels;
    const char *namespace_, *owner, *template_hash, *pull_policy;
    const char *facts_file;
    struct facts_option facts;
    struct live_facts asking;
    bool live, require_gate;
    int mode, output;
    struct arena arena;
    struct policies *set;
    struct single_image_pod pod;
    struct decisions decisions;
};

/* --- the Policies considered --- */

struct considered {
    const struct policy *policy;
    bool matched;
    struct slice reason;
};

/* The pattern by which the Policy claims the namespace, the exact one first, or NULL. */
static const struct pattern *claim_of(const struct policy *policy, struct slice namespace_)
{
    const struct pattern *found = NULL;
    for (size_t i = 0; i < policy->namespaces.count; i++) {
        const struct pattern *pattern = &policy->namespaces.items[i];
        if (!policy_pattern_can_match(pattern) || !glob_match(pattern->text, namespace_))
            continue;
        if (!pattern->wildcard)
            return pattern;
        if (!found)
            found = pattern;
    }
    return found;
}

static struct slice reason_for(struct explain *e, const struct policy *policy,
                               const struct pattern *claim)
{
    const struct policy *winner = e->decisions.policy;
    if (!claim)
        return arena_format(&e->arena, "none of its namespaces is `%s`", e->namespace_);
    const char *how = claim->wildcard ? "by the glob" : "by name:";
    if (policy == winner)
        return arena_format(&e->arena, "claims the namespace %s `%.*s`", how,
                            SLICE_ARGS(claim->text));
    if (!selector_matches(&policy->selector, e->pod.pod.labels, e->pod.pod.label_count))
        return arena_format(&e->arena,
                            "claims the namespace %s `%.*s`, but not Pods with these labels "
                            "(podSelector)",
                            how, SLICE_ARGS(claim->text));
    if (!winner)
        return arena_format(&e->arena, "claims the namespace %s `%.*s`", how,
                            SLICE_ARGS(claim->text));
    if (policy->priority < winner->priority)
        return arena_format(&e->arena,
                            "claims the namespace %s `%.*s`, but its priority %ld is lower", how,
                            SLICE_ARGS(claim->text), policy->priority);
    const struct pattern *winning = claim_of(winner, slice_from(e->namespace_));
    return arena_format(&e->arena, "claims the namespace %s `%.*s`, but %s comes first", how,
                        SLICE_ARGS(claim->text),
                        claim->wildcard && !winning->wildcard ? "an exact name"
                                                              : "one with a podSelector");
}

/* Rank within one priority: exact names, then globs, then those that do not claim the namespace. */
static int rank(const struct pattern *claim)
{
    return !claim ? 2 : claim->wildcard ? 1 : 0;
}

/* All Policies in the order in which the choice is made; none where it is not made at all. */
static size_t consider(struct explain *e, struct considered **ret)
{
    size_t count = policies_count(e->set), filled = 0;
    struct considered *list = arena_allocate(&e->arena, count * sizeof(*list));
    struct slice namespace_ = slice_from(e->namespace_);
    *ret = list;
    if (e->decisions.items[0].reason == REASON_PROTECTED)
        return 0;
    for (size_t i = 0; i < count;) {
        size_t end = i;
        long priority = policies_at(e->set, i)->priority;
        while (end < count && policies_at(e->set, end)->priority == priority)
            end++;
        for (int wanted = 0; wanted <= 2; wanted++)
            for (size_t j = i; j < end; j++) {
                const struct policy *policy = policies_at(e->set, j);
                const struct pattern *claim = claim_of(policy, namespace_);
                if (rank(claim) == wanted)
                    list[filled++] = (struct considered){policy, policy == e->decisions.policy,
                                                         reason_for(e, policy, claim)};
            }
        i = end;
    }
    return filled;
}

/* --- advice --- */

/* What the reason means and what to change for the other decision; for people. */
static struct slice advise(struct explain *e)
{
    const struct decision *d = &e->decisions.items[0];
    const struct policy *policy = e->decisions.policy;
    struct arena *arena = &e->arena;
    switch (d->reason) {
    case REASON_REWRITTEN:
        return e->decisions.mode == MODE_ENFORCE
                   ? arena_format(arena,
                                  "To keep it: add it to `exclude` of Policy `%.*s`, or annotate "
                                  "the Pod with " ANNOTATION_MODE ": disabled.",
                                  SLICE_ARGS(policy->name))
                   : arena_format(arena,
                                  "Nothing changes yet: the mode is %s. To move it: set `mode: "
                                  "enforce` in the Policy and label the namespace " ANNOTATION_MODE
                                  "=enforce.",
                                  mode_name(e->decisions.mode));
    case REASON_POLICY_INVALID:
        return SLICE("No policies could be loaded; `harbor-pilot check` says why.");
    case REASON_PROTECTED:
        return SLICE(
            "Harbor needs this namespace, so it is never touched. If that is wrong, remove it "
            "from `protected` in the Harbor document.");
    case REASON_NO_POLICY:
        return policies_claim(e->set, slice_from(e->namespace_))
                   ? SLICE("Only Pods with other labels are claimed here; give the Pod's with "
                           "--label. To move it: a Policy without `podSelector`, or one that "
                           "matches.")
                   : SLICE("To move it: name the namespace in `namespaces` of a Policy.");
    case REASON_POLICY_DISABLED:
        return SLICE("To move it: set `mode: audit` or `enforce` in the Policy.");
    case REASON_MIRROR_POD:
        return SLICE(
            "A static Pod pulls what its manifest on the node says; use a registry mirror on "
            "the node.");
    case REASON_OPTED_OUT:
        return SLICE("To move it: remove the annotation " ANNOTATION_MODE
                     ": disabled from the Pod.");
    case REASON_OWNED_BY_OPERATOR:
        if (e->decisions.operator_)
            return arena_format(arena,
                                "If your version is known not to, add `%.*s/%.*s` to "
                                "`owners.include` of Policy `%.*s`; see docs/operators.md.",
                                SLICE_ARGS(e->decisions.operator_->kind.group),
                                SLICE_ARGS(e->decisions.operator_->kind.kind),
                                SLICE_ARGS(policy->name));
        return arena_format(
            arena,
            "This controller may compare its Pods with what it asked for, and delete a changed "
            "one again and again. If it is known not to, add `%.*s/%.*s` to "
            "`owners.include` of Policy `%.*s`; see docs/operators.md.",
            SLICE_ARGS(e->pod.pod.controller.group.len ? e->pod.pod.controller.group
                                                       : SLICE("core")),
            SLICE_ARGS(e->pod.pod.controller.kind), SLICE_ARGS(policy->name));
    case REASON_PULL_POLICY_NEVER:
        return SLICE(
            "imagePullPolicy is Never: the node must already have the image under exactly this "
            "name.");
    case REASON_PLACEHOLDER:
        return SLICE("`auto` is a placeholder that Istio fills in later.");
    case REASON_IMAGE_ID:
        return SLICE(
            "It names an image that the node already has, by its ID: no registry is asked. "
            "To move it, write a repository and a tag or digest.");
    case REASON_UNPARSEABLE:
        return SLICE(
            "Nodes refuse such a reference, or (names longer than 255 characters) some do: the Pod "
            "will not start on them under any name.");
    case REASON_ALREADY_IN_HARBOR:
        return SLICE("There is nothing to do.");
    case REASON_REGISTRY_NOT_PROXIED:
        if (d->mapping.registry)
            return arena_format(arena, "To move it: add `%.*s` to `registries` of Policy `%.*s`.",
                                SLICE_ARGS(d->mapping.registry->upstream.text),
                                SLICE_ARGS(policy->name));
        return arena_format(arena,
                            "To move it: make a proxy-cache project for its registry in Harbor "
                            "and add both to `registries` of Harbor `%.*s`.",
                            SLICE_ARGS(policy->harbor->name));
    case REASON_EXCLUDED:
        return arena_format(
            arena, "To move it: take the pattern `%.*s` out of `exclude` (%.*s:%d).",
            SLICE_ARGS(d->pattern->text), SLICE_ARGS(d->pattern->at.file), d->pattern->at.line);
    case REASON_NOT_IN_ROLLOUT:
        return arena_format(arena,
                            "To move it: raise `rollout` of Policy `%.*s` from %u to %u or more; "
                            "the bucket of %.*s is %u.",
                            SLICE_ARGS(policy->name), policy->rollout, e->decisions.bucket + 1,
                            SLICE_ARGS(e->decisions.workload), e->decisions.bucket);
    case REASON_TOO_LONG:
        return SLICE(
            "With Harbor's host and project the name would have more than 255 characters, which "
            "nodes "
            "refuse; a shorter project name may help.");
    case REASON_PULL_SECRET_MISSING:
        return SLICE("The Pod lacks the Policy's pull secret, and it cannot be added here.");
    case REASON_HARBOR_DOWN:
        if (policy->harbor->undiscovered)
            return SLICE("Its registries come from Harbor (`discover`): ask it with --live, or use "
                         "--facts that `plan --live --record` wrote.");
        return SLICE(
            "Harbor is down, so the image comes from its original registry. To rewrite anyway, "
            "set `onHarborUnavailable: rewrite` in the Policy.");
    case REASON_HARBOR_AUTH:
        return SLICE(
            "Harbor refuses the account in `api.credentialsDirectory`; renew its secret or give "
            "it rights on the project.");
    case REASON_NO_PROJECT:
        return arena_format(arena,
                            "Harbor has no project `%.*s`; make it there, or mend the name in "
                            "`registries` of Harbor `%.*s`.",
                            SLICE_ARGS(e->decisions.items[0].mapping.registry->project),
                            SLICE_ARGS(policy->harbor->name));
    case REASON_REFUSED_BY_HARBOR:
        return SLICE(
            "Harbor's own gate (prevent_vul) would answer the pull with 412. Allow the findings "
            "in the project's CVE allowlist, or take an image without them.");
    case REASON_OUTSIDE_PROXY_FILTER:
        return SLICE(
            "The project's proxy filter in Harbor refuses this repository; widen it there.");
    case REASON_NOT_IN_HARBOR:
        return SLICE("Neither Harbor nor its upstream has the image. Pull it through "
                     "Harbor once, or set `requireInHarbor: never` in the Policy.");
    case REASON_NOT_KNOWN_IN_TIME:
        return SLICE(
            "Harbor did not say in time whether it has the image; the next Pod may be moved.");
    case REASON_COUNT:
        break;
    }
    return (struct slice){0};
}

/* --- output --- */

static void write_reference(struct json_writer *w, const struct reference *reference)
{
    json_key(w, "reference");
    json_begin_object(w);
    json_member(w, "domain", reference->domain);
    json_member(w, "path", reference->path);
    if (reference->tag.len)
        json_member(w, "tag", reference->tag);
    if (reference->digest.len)
        json_member(w, "digest", reference->digest);
    json_end_object(w);
}

/* Also without a Policy, where decide() reads none. */
static bool read_reference(struct explain *e, struct reference *ret)
{
    struct slice image = slice_from(e->images.items[0]);
    return !reference_is_image_id(image) && reference_parse(image, &e->arena, ret);
}

static void print_json(struct explain *e)
{
    struct buffer out = {0};
    struct json_writer w = {.out = &out};
    struct reference reference;
    struct considered *considered;
    size_t count = consider(e, &considered);
    json_begin_object(&w);
    decision_write_members(&w, &e->decisions, &e->decisions.items[0],
                           SLICE("/spec/containers/0/image"));
    json_member_text(&w, "mode", mode_name(e->decisions.mode));
    if (read_reference(e, &reference))
        write_reference(&w, &reference);
    json_key(&w, "considered");
    json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        const struct position *at = &considered[i].policy->at;
        json_begin_object(&w);
        json_member(&w, "policy", considered[i].policy->name);
        json_member(&w, "source",
                    arena_format(&e->arena, "%.*s:%d", SLICE_ARGS(at->file), at->line));
        json_member_bool(&w, "matched", considered[i].matched);
        json_member(&w, "reason", considered[i].reason);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_member(&w, "advice", advise(e));
    json_end_object(&w);
    printf("%.*s\n", SLICE_ARGS(buffer_slice(&out)));
    buffer_done(&out);
}

static void print_gate(struct explain *e)
{
    const struct decision *d = &e->decisions.items[0];
    const struct verdict *verdict = &d->verdict;
    if (verdict->unasked) {
        puts("gate       " GATE_NOT_JUDGED);
        return;
    }
    printf("gate       %s: %s\n", gate_outcome_name(verdict->outcome),
           gate_reason_name(verdict->reason));
    if (verdict->key.project.len)
        printf("           judged as %.*s/%.*s%s%.*s%s%.*s\n", SLICE_ARGS(verdict->key.project),
               SLICE_ARGS(verdict->key.repository),
               artifact_is_by_digest(&verdict->key) ? "@" : ":", SLICE_ARGS(verdict->key.reference),
               verdict->digest.len ? ", " : "", SLICE_ARGS(verdict->digest));
    if (verdict->outcome == GATE_ALLOW && verdict->detail)
        printf("           %s\n", verdict->detail);
    else if (verdict->outcome != GATE_ALLOW)
        printf("           %.*s\n",
               SLICE_ARGS(refusal_reason(&e->decisions, d, GATE_MAX_CVES, &e->arena)));
    if (verdict->outcome == GATE_DENY)
        printf("           to get it in: %.*s\n", SLICE_ARGS(refusal_advice(verdict, &e->arena)));
    if (verdict->outcome == GATE_DENY && !e->decisions.policy->gate.pods)
        printf("           (a controller's Pods would only be warned about: enforceOn is "
               "workloads)\n");
}

static void print_text(struct explain *e)
{
    const struct decision *d = &e->decisions.items[0];
    const struct policy *policy = e->decisions.policy;
    struct reference reference;
    struct considered *considered;
    size_t count = consider(e, &considered);
    printf("image      %s\n", e->images.items[0]);
    if (read_reference(e, &reference))
        printf("read as    %.*s\n", SLICE_ARGS(reference_format(&reference, &e->arena)));
    const struct rename *rename = decision_rename(d);
    if (rename)
        printf("renamed    %.*s (%.*s:%d)\n",
               SLICE_ARGS(reference_format(&d->mapping.reference, &e->arena)),
               SLICE_ARGS(rename->at.file), rename->at.line);
    printf("namespace  %s (mode %s)\n", e->namespace_, mode_name(e->decisions.mode));
    if (d->reason == REASON_REWRITTEN)
        printf("decision   rewrite to %.*s\n", SLICE_ARGS(d->result));
    else
        printf("decision   keep: %s\n", decide_reason_name(d->reason));
    if (policy)
        printf("policy     %.*s (%.*s:%d), bucket %u of %.*s, rollout %u\n",
               SLICE_ARGS(policy->name), SLICE_ARGS(policy->at.file), policy->at.line,
               e->decisions.bucket, SLICE_ARGS(e->decisions.workload), policy->rollout);
    if (policy && policy->rollout > 0 && policy->rollout < 100 && !e->owner)
        printf(
            "           (the bucket is that of a Pod without controller and name; for a workload "
            "give --owner and, for a Deployment, --pod-template-hash)\n");
    if (d->detail)
        printf("           %s\n", d->detail);
    if (d->verdict.judged || d->verdict.unasked)
        print_gate(e);
    bool denied = d->verdict.judged && d->verdict.outcome == GATE_DENY;
    printf("\n%s%.*s\n", denied ? "About the rewrite, not the refusal: " : "",
           SLICE_ARGS(advise(e)));
    if (count)
        printf("\nPolicies considered, in order:\n");
    for (size_t i = 0; i < count; i++)
        printf("  %s %.*s (%.*s:%d): %.*s\n", considered[i].matched ? "*" : "-",
               SLICE_ARGS(considered[i].policy->name), SLICE_ARGS(considered[i].policy->at.file),
               considered[i].policy->at.line, SLICE_ARGS(considered[i].reason));
}

static int run(struct explain *e)
{
    struct error error;
    struct diagnostics diagnostics = {0};
    struct single_image single = {
        .namespace_ = slice_from(e->namespace_),
        .owner = slice_from(e->owner),
        .template_hash = slice_from(e->template_hash),
        .pull_policy = slice_from(e->pull_policy),
        .mode = e->mode == 0 ? MODE_AUDIT : MODE_ENFORCE,
    };
    if (e->live && e->facts_file)
        return usage_error("--live and --facts are both given, expected one of them");
    if (e->facts_file && !facts_option_read(&e->facts, e->facts_file, &error))
        return usage_error("%s", error.text);
    single.facts = facts_option_source(&e->facts);
    single.now = facts_option_now(&e->facts);
    single.last_chance = !e->live;
    if (e->images.count != 1)
        return usage_error(
            "there are %zu images, expected one: harbor-pilot explain IMAGE -n NAMESPACE",
            e->images.count);
    single.image = slice_from(e->images.items[0]);
    single.labels = arena_allocate(&e->arena, e->labels.count * sizeof(*single.labels));
    for (; single.label_count < e->labels.count; single.label_count++)
        if (!single_image_read_label(slice_from(e->labels.items[single.label_count]),
                                     &single.labels[single.label_count], &error))
            return usage_error("%s", error.text);
    if (single.image.len == 0)
        return usage_error("the image is empty, expected a reference such as `postgres:16`");
    bool loaded =
        policy_files_load(&e->policies, policy_files_own_namespace(), &diagnostics, &e->set);
    diagnostics_print(&diagnostics);
    diagnostics_done(&diagnostics);
    if (!loaded || !facts_option_discover(&e->facts, &e->policies, &e->set))
        return EXIT_USAGE;
    if (e->live) {
        if (!live_facts_start(&e->asking, e->set, &error))
            return usage_error("%s", error.text);
        if (!live_facts_discover(&e->asking, &e->policies, &e->set))
            return EXIT_USAGE;
        single.facts = facts_source(e->asking.facts);
    }
    if (!single_image_decide(e->set, &single, &e->arena, &e->pod, &e->decisions, &error))
        return usage_error("%s", error.text);
    if (e->decisions.missing_count) {
        live_facts_add(&e->asking, &e->decisions);
        live_facts_ask(&e->asking);
        single.last_chance = true;
        if (!single_image_decide(e->set, &single, &e->arena, &e->pod, &e->decisions, &error))
            return usage_error("%s", error.text);
    }
    if (e->output == 1)
        print_json(e);
    else
        print_text(e);
    const struct decision *d = &e->decisions.items[0];
    bool unavailable = d->verdict.judged && d->verdict.reason == GATE_UNAVAILABLE;
    bool unknown = d->reason == REASON_NOT_KNOWN_IN_TIME || (single.facts && unavailable) ||
                   (e->require_gate && (unavailable || d->verdict.unasked));
    bool denied = d->verdict.judged && d->verdict.outcome == GATE_DENY;
    return unknown ? EXIT_UNKNOWN : denied ? EXIT_BAD_ANSWER : EXIT_FINE;
}

int command_explain(int argc, char **argv)
{
    static const char *const outputs[] = {"text", "json", NULL};
    static const char *const modes[] = {"audit", "enforce", NULL};
    struct explain e = {.mode = 1};
    const struct option_spec options[] = {
        OPTION_POLICIES(&e.policies),
        {.name = "namespace",
         .short_name = 'n',
         .kind = OPTION_TEXT,
         .target = &e.namespace_,
         .value = "NAMESPACE",
         .required = true,
         .help = "The Pod's namespace."},
        {.name = "owner",
         .kind = OPTION_TEXT,
         .target = &e.owner,
         .value = "GROUP/KIND/NAME",
         .preset = "none",
         .help = "The Pod's direct controller, `core` for the empty group."},
        {.name = "pod-template-hash",
         .kind = OPTION_TEXT,
         .target = &e.template_hash,
         .value = "H",
         .help = "That label of the Pod: it names the Deployment behind a ReplicaSet."},
        {.name = "label",
         .kind = OPTION_TEXTS,
         .target = &e.labels,
         .value = "NAME=VALUE",
         .help = "A label of the Pod, for a Policy's podSelector."},
        {.name = "pull-policy",
         .kind = OPTION_TEXT,
         .target = &e.pull_policy,
         .value = "P",
         .help = "The container's imagePullPolicy."},
        {.name = "mode",
         .kind = OPTION_WORD,
         .target = &e.mode,
         .value = "audit|enforce",
         .words = modes,
         .preset = modes[1],
         .help = "The namespace's label."},
        OPTION_FACTS(&e.facts_file),
        OPTION_LIVE(&e.live),
        OPTION_REQUIRE_GATE(&e.require_gate),
        OPTION_OUTPUT(&e.output, "text|json", outputs, "How the answer is written."),
    };
    const struct command_spec command = {
        .name = "explain",
        .summary = "what happens to one image, and why",
        .arguments = "IMAGE",
        .example =
            "  harbor-pilot explain grafana/grafana:11.1.0 -n monitoring --policies policies",
        .options = options,
        .option_count = sizeof(options) / sizeof(*options),
    };
    enum options_result result = options_parse(&command, argc, argv, &e.images);
    int status = result == OPTIONS_GO ? run(&e) : result == OPTIONS_USAGE ? EXIT_USAGE : EXIT_FINE;
    live_facts_done(&e.asking);
    policies_unref(e.set);
    facts_option_done(&e.facts);
    arena_done(&e.arena);
    free(e.policies.items);
    free(e.images.items);
    free(e.labels.items);
    return status;
}
