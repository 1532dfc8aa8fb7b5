/* One admission call from its bytes to the answer's. */
#include "admit/admit.h"

#include "admit/originals.h"
#include "admit/refusal.h"
#include "base/digest.h"
#include "kube/patch.h"
#include "kube/response.h"

const char *admit_webhook_name(enum admit_webhook webhook)
{
    return webhook == ADMIT_MUTATE ? "mutate" : "validate";
}

const char *admit_result_name(enum admit_result result)
{
    static const char *const names[ADMIT_RESULT_COUNT] = {
        [ADMIT_PATCHED] = "patched",
        [ADMIT_UNCHANGED] = "unchanged",
        [ADMIT_DENIED] = "denied",
        [ADMIT_INVALID] = "invalid",
    };
    return names[result];
}

struct slice admission_field(const struct admission *admission, const struct decision *decision,
                             struct arena *arena)
{
    struct slice field = pod_field_pointer(decision->field, arena);
    return admission->pointer.len
               ? arena_join(arena, (struct slice[]){admission->pointer, field}, 2)
               : field;
}

/* --- the patch --- */

struct slice admit_patch(const struct decide_request *request, const struct decisions *decisions,
                         struct arena *arena, bool *ret_originals_too_large)
{
    bool too_large;
    struct pod_changes changes = {.pod = request->pod};
    struct slice pull_policy = {0};
    if (decisions->policy)
        pull_policy = slice_from(pull_policy_names[decisions->policy->pull_policy]);
    changes.images = arena_allocate(arena, decisions->rewrites * sizeof(*changes.images));
    for (size_t i = 0; i < decisions->count; i++) {
        const struct decision *decision = &decisions->items[i];
        if (decision->reason == REASON_REWRITTEN)
            changes.images[changes.image_count++] =
                (struct pod_image_change){decision->field, decision->result, pull_policy};
    }
    if (decide_adds_pull_secret(request, decisions))
        changes.pull_secret = decisions->policy->pull_secret;
    changes.set_original_images =
        originals_value(request, decisions, arena, &changes.original_images, &too_large);
    if (ret_originals_too_large)
        *ret_originals_too_large = too_large;

    struct buffer out = {.arena = arena};
    patch_write(&changes, arena, &out);
    return buffer_take(&out);
}

/* --- audit annotations --- */

/* Whether the name can stand in an annotation's key; of a Pod with any other name nothing will
 * come: the API server refuses it after admission. */
static bool is_label(struct slice name)
{
    enum { LABEL_MAX = 63 };
    for (size_t i = 0; i < name.len; i++) {
        char c = name.base[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!alphanumeric && (c != '-' || i == 0 || i + 1 == name.len))
            return false;
    }
    return name.len > 0 && name.len <= LABEL_MAX;
}

/* "image-NAME" or "volume-NAME"; a long NAME is cut and told apart by its digest. */
static struct slice annotation_key(const struct image_field *field, struct arena *arena)
{
    enum { NAME_MAX_LENGTH = 48, KEPT = 39, HEX = 8 };
    const char *prefix = image_kinds[field->kind].annotation_prefix;
    if (field->name.len <= NAME_MAX_LENGTH)
        return arena_join(arena, (struct slice[]){slice_from(prefix), field->name}, 2);
    char hex[DIGEST_SHA256_HEX_SIZE];
    digest_sha256_hex(field->name, hex);
    return arena_format(arena, "%s%.*s-%.*s", prefix, KEPT, field->name.base, HEX, hex);
}

static struct slice annotation_value(const struct admission *admission,
                                     const struct decisions *told, const struct decision *whole,
                                     size_t image_most, struct arena *arena)
{
    struct image_field field = *whole->field;
    struct decision cut = *whole, *decision = &cut;
    field.image = slice_head(field.image, image_most);
    decision->field = &field;
    decision->result = slice_head(decision->result, image_most);
    struct slice pointer = admission_field(admission, decision, arena);
    struct buffer out = {.arena = arena};
    struct json_writer w = {.out = &out};
    json_begin_object(&w);
    decision_write_members(&w, told, decision, pointer);
    json_end_object(&w);
    return buffer_take(&out);
}

/* The mutating webhook tells of what it rewrites, or in audit would: not what round two finds
 * rewritten already, so that the first round's value stays the only one
 * (docs/contracts.md#audit-annotations). The
 * validating one tells of what it warns about or refuses. */
static bool is_noted(enum admit_webhook webhook, const struct decision *decision)
{
    return webhook == ADMIT_MUTATE
               ? decision->reason == REASON_REWRITTEN
               : decision->verdict.judged && decision->verdict.outcome != GATE_ALLOW;
}

/* The Policy, and each image that there is something to tell of; where that is very much, images
 * are cut short, so that the answer stays bounded. */
static size_t annotate(const struct admission *admission, const struct decisions *decisions,
                       struct arena *arena, struct audit_annotation **ret)
{
    enum { WHOLE_MOST = 1024 * 1024, CUT_IMAGE = 64 };
    size_t count = 0, size = 0;
    const enum admit_webhook webhook = admission->webhook;
    struct audit_annotation *annotations =
        arena_allocate(arena, (decisions->count + 1) * sizeof(*annotations));
    if (decisions->policy && (webhook == ADMIT_MUTATE || decisions->judged))
        annotations[count++] = (struct audit_annotation){SLICE("policy"), decisions->policy->name};
    for (size_t i = 0; i < decisions->count; i++) {
        const struct decision *decision = &decisions->items[i];
        if (!is_noted(webhook, decision) || !is_label(decision->field->name))
            continue;
        struct slice value =
            annotation_value(admission, decisions, decision,
                             size < WHOLE_MOST ? DECISION_MAX_IMAGE : CUT_IMAGE, arena);
        annotations[count++] =
            (struct audit_annotation){annotation_key(decision->field, arena), value};
        size += value.len;
    }
    *ret = annotations;
    return count;
}

/* --- the whole --- */

static void answer_mutate(const struct decide_request *request, struct arena *arena,
                          struct admission *ret, struct response *response)
{
    ret->adds_pull_secret = decide_adds_pull_secret(request, &ret->decisions);
    if (ret->applied)
        response->patch = admit_patch(request, &ret->decisions, arena, &ret->originals_too_large);
}

/* The decisions as the answer tells them; the log tells all. */
static struct decisions told_to(bool stranger, const struct decisions *decisions,
                                struct arena *arena)
{
    struct decisions told = *decisions;
    if (!stranger)
        return told;
    told.items = arena_allocate(arena, told.count * sizeof(*told.items));
    for (size_t i = 0; i < told.count; i++) {
        told.items[i] = decisions->items[i];
        gate_hide(&told.items[i].verdict);
    }
    return told;
}

static void answer_validate(const struct decisions *told, struct arena *arena,
                            struct admission *ret, struct response *response)
{
    struct slice *warnings;
    if (!ret->applied)
        return;
    ret->denied = ret->decisions.outcomes[GATE_DENY] > 0;
    response->allowed = !ret->denied;
    if (ret->denied)
        response->message = refusal_message(told, arena);
    response->warning_count = refusal_warnings(told, arena, &warnings);
    response->warnings = warnings;
}

/* A workload's images are those of Pods to come; a running Pod's would be restarted. */
static bool is_only_judged(enum review_subject subject)
{
    return subject == REVIEW_WORKLOAD || subject == REVIEW_POD_UPDATE;
}

/* More images than are looked at. It is left alone; but to be too large is no way round the gate.
 */
static void answer_too_many(const struct admit_request *call, const struct decide_request *request,
                            struct arena *arena, struct admission *ret, struct response *response)
{
    if (call->webhook != ADMIT_VALIDATE)
        return;
    decide(call->policies, request, arena, &ret->decisions);
    const struct decisions *decisions = &ret->decisions;
    ret->applied = decisions->mode == MODE_ENFORCE;
    bool had_them = is_only_judged(request->subject) && request->old_pod->too_many_images;
    ret->denied = ret->applied && decisions->gated && !decisions->spared && !had_them &&
                  gate_may_deny(&decisions->policy->gate);
    response->allowed = !ret->denied;
    if (ret->denied)
        response->message =
            arena_format(arena,
                         "there are more than %d images, which Policy `%.*s` (%.*s:%d) cannot "
                         "judge; expected fewer",
                         POD_MAX_IMAGES, SLICE_ARGS(decisions->policy->name),
                         SLICE_ARGS(decisions->policy->at.file), decisions->policy->at.line);
}

/* Decides about the Pod, or the Pods of the workload, that the review brings. */
static void answer(const struct admit_request *call, struct arena *arena, struct admission *ret,
                   struct response *response)
{
    struct review *review = &ret->review;
    struct audit_annotation *annotations;
    bool validate = call->webhook == ADMIT_VALIDATE;
    struct decide_request request = {
        .purpose = validate ? PURPOSE_VALIDATE : PURPOSE_MUTATE,
        .mode = call->mode,
        .subject = review_subject(review),
        .namespace_ = review->namespace_,
        .pod = &review->pod,
        .old_pod = &review->old_pod,
        .facts = call->facts,
        .now = call->now,
        .dry_run = review->dry_run,
        .owned = review->pod.has_controller,
        .old_owned = review->old_pod.has_controller,
        .user_name = review->user_name,
        .last_chance = call->last_chance,
        .too_many = call->too_many,
    };
    if (request.subject == REVIEW_OTHER || (is_only_judged(request.subject) && !validate))
        return;
    if (request.subject == REVIEW_WORKLOAD) {
        review_templates(review, arena, &ret->template, &ret->old_template, &ret->pointer);
        request.pod = &ret->template;
        request.old_pod = &ret->old_template;
    }
    ret->too_many_images = request.pod->too_many_images;
    if (ret->too_many_images) {
        answer_too_many(call, &request, arena, ret, response);
        return;
    }
    decide(call->policies, &request, arena, &ret->decisions);
    ret->waiting = ret->decisions.missing_count > 0;
    if (ret->waiting)
        return;
    ret->decided = true;
    ret->applied = ret->decisions.mode == MODE_ENFORCE;
    struct decisions told = told_to(call->stranger, &ret->decisions, arena);
    if (validate)
        answer_validate(&told, arena, ret, response);
    else
        answer_mutate(&request, arena, ret, response);
    response->annotation_count = annotate(ret, &told, arena, &annotations);
    response->annotations = annotations;
}

bool admit(const struct admit_request *request, struct arena *arena, struct buffer *out,
           struct admission *ret, struct error *reterr)
{
    struct response response = {.allowed = true};
    *ret = (struct admission){.webhook = request->webhook, .result = ADMIT_INVALID};
    ret->decisions.mode = request->mode;
    if (!review_parse(request->body, arena, &ret->review, reterr))
        return false;
    answer(request, arena, ret, &response);
    if (ret->waiting)
        return true;
    ret->patch_size = response.patch.len;
    ret->result = ret->denied ? ADMIT_DENIED : response.patch.len ? ADMIT_PATCHED : ADMIT_UNCHANGED;
    response_write(&ret->review, &response, out);
    return true;
}
