/* A decision as JSON. */
#include "decide/decide.h"

static struct position source_of(const struct decisions *decisions, const struct decision *decision)
{
    return decision->pattern ? decision->pattern->at : decisions->policy->at;
}

static void write_renamed(struct json_writer *w, const struct reference *reference)
{
    CLEANUP_ARENA struct arena arena = {0};
    json_member(w, "renamed", slice_head(reference_format(reference, &arena), DECISION_MAX_IMAGE));
}

void decision_write_members(struct json_writer *w, const struct decisions *decisions,
                            const struct decision *decision, struct slice field)
{
    const struct image_field *image = decision->field;
    json_member(w, "field", field);
    json_member(w, image_kinds[image->kind].noun, slice_head(image->name, DECISION_MAX_NAME));
    json_member(w, "image", slice_head(image->image, DECISION_MAX_IMAGE));
    if (decision_rename(decision))
        write_renamed(w, &decision->mapping.reference);
    json_member(w, "result", slice_head(decision->result, DECISION_MAX_IMAGE));
    json_key(w, "rewrite");
    json_begin_object(w);
    json_member_text(w, "outcome", decision->reason == REASON_REWRITTEN ? "rewrite" : "keep");
    json_member_text(w, "reason", decide_reason_name(decision->reason));
    if (decision->detail)
        json_member_text(w, "detail", decision->detail);
    json_end_object(w);
    if (decision->verdict.judged || decision->verdict.unasked)
        gate_write(w, &decision->verdict);
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
