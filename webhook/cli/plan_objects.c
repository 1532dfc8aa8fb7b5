/* One object of the input: which Pods it makes, what is decided about their images, and how it is
 * counted and shown. */
#include "admit/admit.h"
#include "webhook/cli/plan.h"
#include "kube/pod_kinds.h"
#include "webhook/cli/rivals.h"
#include "json/pointer.h"

#include <stdio.h>
#include <unistd.h>

enum { PROGRESS_EVERY = 256, PROGRESS_AFTER_MS = 1000 };

/* --- the namespaces' modes --- */

static bool is_namespace(const struct object *object)
{
    return object->group.len == 0 && slice_equal(object->kind, SLICE("Namespace"));
}

void plan_survey(void *context, const struct manifest *manifest, struct arena *arena)
{
    struct plan *plan = context;
    const struct object *object = &manifest->object;
    struct slice label;
    (void)arena;
    if (!is_namespace(object) ||
        !json_find(object->json, SLICE("/metadata/labels/harbor-pilot.io~1mode"), &label))
        return;
    enum mode mode = slice_equal(label, SLICE("\"audit\"")) ? MODE_AUDIT
                     : slice_equal(label, SLICE("\"enforce\""))
                         ? MODE_ENFORCE
                         : MODE_DISABLED; /* nobody is called */
    enum mode *kept = arena_allocate(&plan->arena, sizeof(*kept));
    *kept = mode;
    *map_put(&plan->modes, arena_copy(&plan->arena, object->name)) = kept;
}

static enum mode mode_of(const struct plan *plan, struct slice namespace_)
{
    const enum mode *kept = map_get(&plan->modes, namespace_);
    return kept ? *kept : plan->assumed_mode == 0 ? MODE_AUDIT : MODE_ENFORCE;
}

/* --- counting --- */

static void count(struct plan *plan, struct slice namespace_, const struct decisions *decisions)
{
    struct slice policy = decisions->policy ? decisions->policy->name : (struct slice){0};
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
    struct plan_summary_row *row = *slot;
    row->images += decisions->count;
    row->rewrite += decisions->rewrites;
    row->keep += decisions->count - decisions->rewrites;
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

struct planned {
    const struct object *object;
    struct slice namespace_, pointer, document;
    size_t skip; /* of each field's pointer, see struct found_pod */
    struct position at;
    struct decide_request request;
    bool validated; /* a review that only the validating webhook gets */
};

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
    planned->request.mode = mode_of(plan, planned->namespace_);
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
    count(plan, planned->namespace_, &decisions);
    if (plan->output == OUTPUT_PATCH)
        write_patch(plan, planned, &decisions, arena);
    else if (plan->output == OUTPUT_TABLE)
        plan_table_object(&plan->table, planned->namespace_, planned->object->kind,
                          planned->object->name, planned->document, &decisions);
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
        planned.request.pod = &template;
        planned.request.old_pod = &old_template;
        planned.validated = true;
    }
    if (planned.request.subject != REVIEW_OTHER)
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

static void plan_pod(const struct place *place, const struct pod *pod, struct slice pointer,
                     size_t skip, struct arena *arena)
{
    struct planned planned = {
        .object = place->object,
        .namespace_ = place->namespace_,
        .pointer = arena_join(arena, (struct slice[]){place->outer, pointer}, 2),
        .skip = skip,
        .document = place->document,
        .at = place->at,
        .request = {.subject = pointer.len ? REVIEW_WORKLOAD : REVIEW_POD_CREATE,
                    .pod = pod,
                    .owned = place->object->has_controller,
                    .believe_object = true}, /* nobody knows who will apply it */
    };
    decide_and_show(place->plan, &planned, arena);
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
        plan_pod(place, &workload.pod, workload.pointer, 0, arena);
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
        plan_pod(outer, &found->pod, found->pointer, found->skip, arena);
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
        plan_pod(place, &workload.pod, workload.pointer, 0, arena);
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
        .namespace_ = object->namespace_.len ? object->namespace_
                      : plan->namespace_     ? slice_from(plan->namespace_)
                                             : SLICE("default"),
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
