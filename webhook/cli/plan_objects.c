/* One object of the input: which Pods it makes, what is decided about their images, and how it is
 * counted and shown. */
#include "admit/admit.h"
#include "decide/workload.h"
#include "kube/pod_kinds.h"
#include "webhook/cli/plan.h"
#include "webhook/cli/plan_warnings.h"
#include "webhook/cli/rivals.h"
#include "json/pointer.h"

#include <stdio.h>
#include <unistd.h>

enum { PROGRESS_EVERY = 256, PROGRESS_AFTER_MS = 1000 };

/* --- the namespaces --- */

static bool is_namespace(const struct object *object)
{
    return object->group.len == 0 && slice_equal(object->kind, SLICE("Namespace"));
}

static struct slice namespace_of(const struct plan *plan, const struct object *object)
{
    return object->namespace_.len ? object->namespace_
           : plan->namespace_     ? slice_from(plan->namespace_)
                                  : SLICE("default");
}

void plan_survey(void *context, const struct manifest *manifest, struct arena *arena)
{
    struct plan *plan = context;
    const struct object *object = &manifest->object;
    surroundings_note(&plan->around, object, namespace_of(plan, object), arena);
}

static enum mode assumed_mode(const struct plan *plan)
{
    return plan->assumed_mode == 0 ? MODE_AUDIT : MODE_ENFORCE;
}

static enum mode mode_of(const struct plan *plan, const struct known_namespace *space)
{
    switch (space->label) {
    case LABEL_AUDIT:
        return MODE_AUDIT;
    case LABEL_ENFORCE:
        return MODE_ENFORCE;
    case LABEL_MISSPELLED:
        return MODE_DISABLED;
    case LABEL_UNKNOWN:
    case LABEL_MISSING:
        break;
    }
    return assumed_mode(plan);
}

/* --- counting --- */

static struct plan_summary_row *find_row(struct plan *plan, struct slice namespace_,
                                         struct slice policy)
{
    struct slice key =
        arena_join(&plan->arena, (struct slice[]){namespace_, slice_of("", 1), policy}, 3);
    void **slot = map_put(&plan->rows, key);
    if (!*slot) {
        struct plan_summary_row *row = arena_allocate(&plan->arena, sizeof(*row));
        row->namespace_ = slice_head(key, namespace_.len);
        row->policy = policy;
        *slot = row;
        plan->row_list = arena_grow(&plan->arena, plan->row_list, plan->row_count,
                                    &plan->row_capacity, sizeof(row));
        plan->row_list[plan->row_count++] = row;
    }
    return *slot;
}

/* What a namespace without the label, or with another value, would see with it. */
static void count_for_label(struct plan *plan, const struct planned *planned,
                            const struct decisions *decisions, struct arena *arena)
{
    struct decide_request request = planned->request;
    struct decisions with_label = *decisions;
    if (planned->space->label == LABEL_UNKNOWN || !decisions->policy ||
        decisions->policy->mode == MODE_DISABLED)
        return;
    request.mode = assumed_mode(plan);
    if (planned->space->label == LABEL_MISSPELLED)
        decide(plan->set, &request, arena, &with_label);
    planned->space->images += with_label.count;
    planned->space->rewrite += with_label.rewrites;
    if (planned->space->label == LABEL_MISSING)
        plan->unlabelled += with_label.rewrites;
}

/* All images, by reason and by what the gate says; those of workloads once, by namespace. */
static void count(struct plan *plan, const struct planned *planned,
                  const struct decisions *decisions, struct arena *arena)
{
    struct slice policy = decisions->policy ? decisions->policy->name : (struct slice){0};
    if (planned->counted_with.len) {
        plan->counted_with += decisions->count;
        plan->counted_with_rewrite += decisions->rewrites;
    } else {
        struct plan_summary_row *row = find_row(plan, planned->namespace_, policy);
        row->images += decisions->count;
        row->rewrite += decisions->rewrites;
        row->keep += decisions->count - decisions->rewrites;
        count_for_label(plan, planned, decisions, arena);
    }
    if (planned->created.len)
        plan->running += decisions->rewrites;
    plan->missed += plan_is_missed(planned);
    plan->images += decisions->count;
    plan->judged += decisions->judged;
    plan->unasked += decisions->unasked;
    for (int i = 0; i < GATE_OUTCOMES; i++)
        plan->outcomes[i] += decisions->outcomes[i];
    for (size_t i = 0; i < decisions->count; i++) {
        const struct verdict *verdict = &decisions->items[i].verdict;
        plan->reasons[decisions->items[i].reason]++;
        plan->unavailable += verdict->judged && verdict->reason == GATE_UNAVAILABLE;
    }
}

/* --- one object --- */

bool plan_is_missed(const struct planned *planned)
{
    return planned->created.len && planned->space->label == LABEL_ENFORCE &&
           planned->space->labelled.len &&
           slice_compare(planned->created, planned->space->labelled) > 0;
}

/* Members of ours, before the decision's: nothing of them for a plain manifest. */
static void write_circumstances(struct json_writer *w, const struct planned *planned)
{
    static const char *const labels[] = {
        [LABEL_MISSING] = "missing", [LABEL_MISSPELLED] = "misspelled", [LABEL_ENFORCE] = NULL};
    const char *label = labels[planned->space->label];
    if (label)
        json_member_text(w, "label", label);
    if (planned->counted_with.len)
        json_member(w, "countedWith", planned->counted_with);
    if (planned->created.len == 0)
        return;
    json_key(w, "live");
    json_begin_object(w);
    json_member(w, "created", planned->created);
    if (planned->space->labelled.len) {
        json_member(w, "labelled", planned->space->labelled);
        json_member_bool(w, "missed", plan_is_missed(planned));
    }
    json_end_object(w);
}

static void write_decision(struct plan *plan, const struct planned *planned,
                           const struct decisions *decisions, const struct decision *decision,
                           struct arena *arena)
{
    struct json_writer *w = &plan->w;
    struct slice field = slice_from_index(pod_field_pointer(decision->field, arena), planned->skip);
    json_begin_object(w);
    json_member(w, "document", planned->document);
    json_member(w, "kind", planned->object->kind);
    json_member(w, "namespace", planned->namespace_);
    json_member(w, "name", planned->object->name);
    json_member_text(w, "mode", mode_name(decisions->mode));
    write_circumstances(w, planned);
    decision_write_members(w, decisions, decision,
                           arena_join(arena, (struct slice[]){planned->pointer, field}, 2));
    json_end_object(w);
}

/* One line: the object, and the patch that its Pods would get. */
static void write_patch(struct plan *plan, const struct planned *planned,
                        const struct decisions *decisions, struct arena *arena)
{
    struct slice patch = (struct slice){0};
    if (decisions->mode == MODE_ENFORCE && !planned->validated)
        patch = admit_patch(&planned->request, decisions, arena, NULL);
    if (patch.len == 0)
        return;
    struct json_writer w = {.out = &plan->out};
    json_begin_object(&w);
    json_member(&w, "document", planned->document);
    json_member(&w, "kind", planned->object->kind);
    json_member(&w, "namespace", planned->namespace_);
    json_member(&w, "name", planned->object->name);
    json_key(&w, "patch");
    json_raw(&w, patch);
    json_end_object(&w);
    buffer_append_char(&plan->out, '\n');
}

/* Whether it is a Pod that runs, and whether its workload is in the input and counted by itself. */
static void find_circumstances(const struct plan *plan, struct planned *planned,
                               const struct decisions *decisions, struct arena *arena)
{
    const struct object *object = planned->object;
    struct slice metadata;
    if (!planned->request.believe_object) /* a review */
        return;
    if (object->has_controller) {
        struct slice named = workload_name(planned->request.pod, planned->namespace_, arena);
        struct slice parts[] = {planned->namespace_, SLICE("/"), object->kind, SLICE("/"),
                                object->name};
        if (!slice_equal(named, arena_join(arena, parts, 5)) &&
            surroundings_have_workload(&plan->around, named))
            planned->counted_with = slice_from_index(named, planned->namespace_.len + 1);
    }
    bool pod = planned->request.subject == REVIEW_POD_CREATE;
    if (pod && decisions->rewrites && decisions->mode == MODE_ENFORCE &&
        json_find(object->json, SLICE("/metadata"), &metadata) &&
        json_find_text(metadata, "/uid", arena).len)
        planned->created = json_find_text(metadata, "/creationTimestamp", arena);
}

/* The same for people, behind the mode. */
static struct slice circumstances_text(const struct planned *planned, struct arena *arena)
{
    const char *label = planned->space->label == LABEL_MISSING      ? " (label missing)"
                        : planned->space->label == LABEL_MISSPELLED ? " (label misspelled)"
                                                                    : "";
    const char *live = planned->created.len == 0 ? ""
                       : plan_is_missed(planned)
                           ? " (runs, and was not moved though it is younger than the label)"
                           : " (runs: would move when created again)";
    return arena_format(arena, "%s%s", label, live);
}

static void decide_and_show(struct plan *plan, struct planned *planned, struct arena *arena)
{
    struct decisions decisions;
    if (planned->request.pod->too_many_images && plan->collecting)
        return;
    if (planned->request.pod->too_many_images) {
        diagnostics_warning(
            &plan->diagnostics, planned->at,
            "%.*s `%.*s` has more than %d images: they stay as they are, and a Policy "
            "that may refuse findings refuses it",
            SLICE_ARGS(planned->object->kind), SLICE_ARGS(planned->object->name), POD_MAX_IMAGES);
        return;
    }
    planned->request.namespace_ = planned->namespace_;
    planned->space = surroundings_namespace(&plan->around, planned->namespace_);
    planned->request.mode = mode_of(plan, planned->space);
    planned->request.facts =
        plan->live ? facts_source(plan->asking.facts) : facts_option_source(&plan->facts);
    planned->request.now = facts_option_now(&plan->facts);
    /* nobody makes Pods of a PodTemplate by itself: there is nothing to judge */
    bool template =
        planned->object->group.len == 0 && slice_equal(planned->object->kind, SLICE("PodTemplate"));
    planned->request.purpose = template ? PURPOSE_MUTATE : PURPOSE_PREVIEW;
    planned->request.last_chance = !plan->collecting;
    decide(plan->set, &planned->request, arena, &decisions);
    if (plan->collecting)
        live_facts_add(&plan->asking, &decisions);
    if (plan->collecting || decisions.count == 0)
        return;
    find_circumstances(plan, planned, &decisions, arena);
    count(plan, planned, &decisions, arena);
    plan_warn(plan, planned, &decisions, arena);
    if (plan->output == OUTPUT_PATCH)
        write_patch(plan, planned, &decisions, arena);
    else if (plan->output == OUTPUT_TABLE)
        plan_table_object(&plan->table, planned->namespace_, planned->object->kind,
                          planned->object->name, planned->document,
                          circumstances_text(planned, arena), &decisions);
    for (size_t i = 0; plan->output == OUTPUT_JSON && i < decisions.count; i++)
        write_decision(plan, planned, &decisions, &decisions.items[i], arena);
}

static void plan_review(struct plan *plan, const struct manifest *manifest, struct slice document,
                        struct arena *arena)
{
    struct review review;
    struct error error;
    if (!review_parse(manifest->object.json, arena, &review, &error)) {
        if (!plan->collecting)
            diagnostics_error(&plan->diagnostics, manifest->at, "%s", error.text);
        return;
    }
    struct object object = {.kind = review.kind, .name = review.pod.name};
    if (object.name.len == 0)
        object.name = review.pod.generate_name;
    struct planned planned = {
        .object = &object,
        .namespace_ = review.namespace_,
        .document = document,
        .json = manifest->object.json,
        .template_pointer = SLICE("/request/object"),
        .at = manifest->at,
        .request = {.subject = review_subject(&review),
                    .pod = &review.pod,
                    .old_pod = &review.old_pod,
                    .owned = review.pod.has_controller,
                    .old_owned = review.old_pod.has_controller,
                    .user_name = review.user_name},
    };
    struct pod template, old_template;
    if (planned.request.subject == REVIEW_WORKLOAD) {
        review_templates(&review, arena, &template, &old_template, &planned.pointer);
        planned.template_pointer =
            arena_join(arena, (struct slice[]){planned.template_pointer, planned.pointer}, 2);
        planned.request.pod = &template;
        planned.request.old_pod = &old_template;
        planned.validated = true;
    }
    /* what is changed in a running Pod is not rewritten */
    if (planned.request.subject != REVIEW_OTHER && planned.request.subject != REVIEW_POD_UPDATE)
        decide_and_show(plan, &planned, arena);
}

/* An object of the input, on its own or inside another. */
struct place {
    struct plan *plan;
    const struct object *object;
    struct slice outer; /* pointer to the object in its document; empty: it is the document */
    struct slice document, namespace_;
    struct position at;
};

static void plan_pod(const struct place *place, const struct found_pod *found, struct arena *arena)
{
    struct slice pointer = found->pointer;
    struct planned planned = {
        .object = place->object,
        .namespace_ = place->namespace_,
        .pointer = arena_join(arena, (struct slice[]){place->outer, pointer}, 2),
        .skip = found->skip,
        .json = found->json,
        .template_pointer = found->template_pointer,
        .document = place->document,
        .at = place->at,
        .request = {.subject = pointer.len ? REVIEW_WORKLOAD : REVIEW_POD_CREATE,
                    .pod = &found->pod,
                    .owned = place->object->has_controller,
                    .believe_object = true}, /* nobody knows who will apply it */
    };
    decide_and_show(place->plan, &planned, arena);
}

static void plan_workload(const struct place *place, const struct workload *workload,
                          struct arena *arena)
{
    struct found_pod found = {
        .pod = workload->pod,
        .pointer = workload->pointer,
        .json = place->object->json,
        .template_pointer = workload->pointer,
    };
    plan_pod(place, &found, arena);
}

static void warn_of_missing(const struct place *place)
{
    if (!place->plan->collecting)
        diagnostics_warning(&place->plan->diagnostics, place->at,
                            "%.*s `%.*s` has no Pod template where one was expected",
                            SLICE_ARGS(place->object->kind), SLICE_ARGS(place->object->name));
}

/* The templates that --template says; whether there is one for this kind. */
static bool plan_as_told(const struct place *place, struct arena *arena)
{
    struct plan *plan = place->plan;
    size_t told = 0, found = 0;
    for (size_t i = 0; i < plan->templates.count; i++) {
        struct plan_template *t = &plan->paths[i];
        struct workload workload;
        bool missing = false;
        if (!slice_equal(t->path.group, place->object->group) ||
            !slice_equal(t->path.kind, place->object->kind))
            continue;
        told++;
        t->objects++;
        if (!workload_read(place->object, &t->path, 1, arena, &workload, &missing))
            continue;
        found++;
        t->found++;
        pod_kinds_set_owner(place->object, &workload.pod);
        plan_workload(place, &workload, arena);
    }
    if (told && !found)
        warn_of_missing(place);
    return told != 0;
}

static void plan_place(const struct place *place, struct arena *arena);

/* What the table of kinds found in an object. */
static void plan_found(void *context, const struct found_pod *found, struct arena *arena)
{
    const struct place *outer = context;
    struct object object;
    static const struct object none;
    if (!found->is_object) {
        plan_pod(outer, found, arena);
    } else if (outer->outer.len == 0 && object_read(found->json, &none, arena, &object)) {
        struct place inner = *outer;
        inner.object = &object;
        inner.outer = found->pointer;
        if (object.namespace_.len)
            inner.namespace_ = object.namespace_;
        plan_place(&inner, arena);
    }
}

static void plan_place(const struct place *place, struct arena *arena)
{
    struct workload workload;
    bool missing = false;
    if (workload_read(place->object, NULL, 0, arena, &workload, &missing))
        plan_workload(place, &workload, arena);
    else if (missing)
        warn_of_missing(place);
    else if (!plan_as_told(place, arena) &&
             pod_kinds_each(place->object, arena, plan_found, (void *)place) == 0 &&
             !place->plan->collecting && !is_namespace(place->object))
        passed_over_add(&place->plan->passed, place->object, arena);
}

static void plan_object(struct plan *plan, const struct manifest *manifest, struct slice document,
                        struct arena *arena)
{
    const struct object *object = &manifest->object;
    struct place place = {
        .plan = plan,
        .object = object,
        .document = document,
        .namespace_ = namespace_of(plan, object),
        .at = manifest->at,
    };
    plan_place(&place, arena);
}

static void show_progress(struct plan *plan)
{
    struct timespec now;
    if (plan->objects % PROGRESS_EVERY || !isatty(STDERR_FILENO))
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((now.tv_sec - plan->began.tv_sec) * 1000 + (now.tv_nsec - plan->began.tv_nsec) / 1000000 >
        PROGRESS_AFTER_MS)
        fprintf(stderr, "\rplan: %zu objects, %zu images", plan->objects, plan->images);
}

void plan_manifest(void *context, const struct manifest *manifest, struct arena *arena)
{
    struct plan *plan = context;
    struct slice document =
        arena_format(arena, "%.*s:%d", SLICE_ARGS(manifest->at.file), manifest->at.line);
    plan->objects++;
    show_progress(plan);
    if (slice_equal(manifest->object.group, SLICE("admission.k8s.io")))
        plan_review(plan, manifest, document, arena);
    else
        plan_object(plan, manifest, document, arena);
    if (!plan->collecting)
        rivals_check(&manifest->object, plan->set, manifest->at, &plan->diagnostics);
}
