/* Draws the plan: aligned, coloured where it may be, never wider than the terminal where it can. */
#include "webhook/cli/plan_table.h"

#include "admit/refusal.h"

enum {
    IMAGE_COLUMN_MAX = 60,
    SUMMARY_NAME_MAX = 40,
    ARROW_WIDTH = 3,
    BROKEN_INDENT = 6,
    CVES_SHOWN = 3,
};

#define RED    "31"
#define GREEN  "32"
#define YELLOW "33"
#define BOLD   "1"

/* Text that a manifest's author wrote: control characters would move the cursor. */
static void append_plain(const struct plan_table *t, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.base[i];
        buffer_append_char(t->out, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
}

static void append_painted(const struct plan_table *t, const char *colour, struct slice text)
{
    if (t->colour)
        buffer_append_format(t->out, "\033[%sm", colour);
    append_plain(t, text);
    if (t->colour)
        buffer_append_text(t->out, "\033[0m");
}

static void append_spaces(const struct plan_table *t, size_t count)
{
    while (count--)
        buffer_append_char(t->out, ' ');
}

static void append_outcome(const struct plan_table *t, const struct decisions *decisions,
                           const struct decision *d, size_t used, size_t padding)
{
    bool rewrite = d->reason == REASON_REWRITTEN;
    if (rewrite) {
        bool fits = used + ARROW_WIDTH + d->result.len <= t->width;
        if (!fits) {
            buffer_append_char(t->out, '\n');
            append_spaces(t, BROKEN_INDENT);
        } else {
            append_spaces(t, padding);
        }
        buffer_append_text(t->out, t->colour ? "\033[" GREEN "m→\033[0m" : "→");
        buffer_append_text(t->out, "  ");
        append_plain(t, d->result);
    } else {
        append_spaces(t, padding);
        buffer_append_text(t->out, "=  ");
        append_painted(t, YELLOW, slice_from(decide_reason_name(d->reason)));
        if (d->pattern)
            buffer_append_format(t->out, " (%.*s:%d)", SLICE_ARGS(d->pattern->at.file),
                                 d->pattern->at.line);
        else if (d->reason == REASON_NOT_IN_ROLLOUT)
            buffer_append_format(t->out, " (bucket %u, rollout %u)", decisions->bucket,
                                 decisions->policy->rollout);
    }
    buffer_append_char(t->out, '\n');
}

/* The rename that the image's new name comes from, on a line of its own. */
static void append_rename(const struct plan_table *t, const struct decision *d)
{
    const struct rename *rename = decision_rename(d);
    if (!rename)
        return;
    append_spaces(t, BROKEN_INDENT);
    buffer_append_format(t->out, "renamed: %.*s is now %.*s (%.*s:%d)\n",
                         SLICE_ARGS(rename->from.text), SLICE_ARGS(rename->to.text),
                         SLICE_ARGS(rename->at.file), rename->at.line);
}

/* What the gate has against the image, on a line of its own. */
static void append_gate(const struct plan_table *t, const struct decisions *decisions,
                        const struct decision *d)
{
    struct arena arena = {0};
    if (!d->verdict.judged || d->verdict.outcome == GATE_ALLOW)
        return;
    append_spaces(t, BROKEN_INDENT);
    append_painted(t, d->verdict.outcome == GATE_DENY ? RED : YELLOW,
                   slice_from(gate_outcome_name(d->verdict.outcome)));
    buffer_append_format(t->out, " %s: ", gate_reason_name(d->verdict.reason));
    const char *spared = d->verdict.spared ? " (a controller's Pod: not refused)" : "";
    size_t used = BROKEN_INDENT + strlen(gate_outcome_name(d->verdict.outcome)) +
                  strlen(gate_reason_name(d->verdict.reason)) + strlen(" : ") + strlen(spared);
    size_t shown = CVES_SHOWN;
    struct slice reason = refusal_reason(decisions, d, shown, &arena);
    while (shown > 1 && used + reason.len > t->width) /* one is always named */
        reason = refusal_reason(decisions, d, --shown, &arena);
    append_plain(t, reason);
    buffer_append_text(t->out, spared);
    buffer_append_char(t->out, '\n');
    arena_done(&arena);
}

void plan_table_object(const struct plan_table *table, struct slice namespace_, struct slice kind,
                       struct slice name, struct slice document, struct slice circumstances,
                       const struct decisions *decisions)
{
    size_t column = 0;
    for (size_t i = 0; i < decisions->count; i++)
        if (decisions->items[i].field->image.len > column)
            column = decisions->items[i].field->image.len;
    if (column > IMAGE_COLUMN_MAX)
        column = IMAGE_COLUMN_MAX;
    struct buffer title = {0};
    buffer_append_format(&title, "%.*s %.*s/%.*s", SLICE_ARGS(namespace_), SLICE_ARGS(kind),
                         SLICE_ARGS(name));
    struct slice policy = decisions->policy ? decisions->policy->name : (struct slice){0};
    const char *mode = mode_name(decisions->mode);
    size_t used =
        title.len + 2 + strlen(mode) + circumstances.len + (policy.len ? 2 + policy.len : 0);
    append_painted(table, BOLD, buffer_slice(&title));
    buffer_done(&title);
    buffer_append_format(table->out, "  %s%.*s%s%.*s", mode, SLICE_ARGS(circumstances),
                         policy.len ? "  " : "", SLICE_ARGS(policy));
    if (used + 2 + document.len > table->width) {
        buffer_append_char(table->out, '\n');
        append_spaces(table, 4);
    } else {
        append_spaces(table, 2);
    }
    append_plain(table, document);
    buffer_append_char(table->out, '\n');
    for (size_t i = 0; i < decisions->count; i++) {
        struct slice image = decisions->items[i].field->image;
        size_t shown = image.len < column ? column : image.len;
        append_spaces(table, 2);
        append_plain(table, image);
        append_outcome(table, decisions, &decisions->items[i], shown + 4, shown - image.len + 2);
        append_rename(table, &decisions->items[i]);
        append_gate(table, decisions, &decisions->items[i]);
    }
}

void plan_table_summary(const struct plan_table *table, const struct plan_summary_row *rows,
                        size_t count)
{
    size_t namespaces = SLICE("namespace").len, policies = SLICE("policy").len;
    for (size_t i = 0; i < count; i++) {
        if (rows[i].namespace_.len > namespaces)
            namespaces = rows[i].namespace_.len;
        if (rows[i].policy.len > policies)
            policies = rows[i].policy.len;
    }
    namespaces = namespaces < SUMMARY_NAME_MAX ? namespaces : SUMMARY_NAME_MAX;
    policies = policies < SUMMARY_NAME_MAX ? policies : SUMMARY_NAME_MAX;
    buffer_append_format(table->out, "\n%-*s  %-*s  %8s  %8s  %8s\n", (int)namespaces, "namespace",
                         (int)policies, "policy", "images", "rewrite", "keep");
    for (size_t i = 0; i < count; i++) {
        struct slice policy = rows[i].policy.len ? rows[i].policy : SLICE("-");
        size_t shown = rows[i].namespace_.len < namespaces ? rows[i].namespace_.len : namespaces;
        append_plain(table, rows[i].namespace_);
        append_spaces(table, namespaces - shown);
        buffer_append_format(table->out, "  %-*.*s  %8zu  %8zu  %8zu\n", (int)policies,
                             (int)policy.len, policy.base, rows[i].images, rows[i].rewrite,
                             rows[i].keep);
    }
}
