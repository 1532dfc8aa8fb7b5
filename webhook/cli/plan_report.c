/* The frame of the plan's output: what stands before and after its objects. */
#include "webhook/cli/plan.h"
#include "webhook/common/policy_files.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { DEFAULT_WIDTH = 100 };

/* no-color.org: NO_COLOR counts when it is not empty. */
static bool is_colour_wanted(void)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no_colour && *no_colour) &&
           !(terminal && strcmp(terminal, "dumb") == 0);
}

void plan_report_begin(struct plan *plan)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    plan->table.out = &plan->out;
    plan->table.width = DEFAULT_WIDTH;
    if (columns && strtoul(columns, NULL, 10) > 0)
        plan->table.width = strtoul(columns, NULL, 10);
    else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        plan->table.width = size.ws_col;
    plan->table.colour = is_colour_wanted();
    plan->w.out = &plan->out;
    if (plan->output != OUTPUT_JSON)
        return;
    json_begin_object(&plan->w);
    json_member_text(&plan->w, "apiVersion", "harbor-pilot.io/v1alpha1");
    json_member_text(&plan->w, "kind", "Plan");
    json_member(&plan->w, "policies", policies_digest(plan->set));
    json_key(&plan->w, "images");
    json_begin_array(&plan->w);
}

/* The Namespaces of the input in which a Policy claims images. */
static void write_namespaces(struct plan *plan)
{
    static const char *const labels[] = {[LABEL_UNKNOWN] = "unknown",
                                         [LABEL_MISSING] = "missing",
                                         [LABEL_MISSPELLED] = "misspelled",
                                         [LABEL_AUDIT] = "audit",
                                         [LABEL_ENFORCE] = "enforce"};
    struct json_writer *w = &plan->w;
    json_key(w, "namespaces");
    json_begin_array(w);
    for (size_t i = 0; i < plan->around.count; i++) {
        const struct known_namespace *known = plan->around.list[i];
        if (known->images == 0)
            continue;
        json_begin_object(w);
        json_member(w, "namespace", known->name);
        json_member_text(w, "label", labels[known->label]);
        if (known->written.len)
            json_member(w, "written", known->written);
        json_member_number(w, "images", (long long)known->images);
        json_member_number(w, "rewrite", (long long)known->rewrite);
        json_end_object(w);
    }
    json_end_array(w);
}

static void end_json(struct plan *plan)
{
    struct json_writer *w = &plan->w;
    json_end_array(w);
    diagnostics_write(&plan->diagnostics, false, true, w);
    diagnostics_write(&plan->diagnostics, true, true, w);
    passed_over_write(&plan->passed, w);
    write_namespaces(plan);
    json_key(w, "summary");
    json_begin_object(w);
    json_member_number(w, "images", (long long)plan->images);
    json_member_number(w, "rewrite", (long long)plan->reasons[REASON_REWRITTEN]);
    json_member_number(w, "keep", (long long)(plan->images - plan->reasons[REASON_REWRITTEN]));
    json_member_number(w, "deny", (long long)plan->outcomes[GATE_DENY]);
    json_member_number(w, "warn", (long long)plan->outcomes[GATE_WARN]);
    if (plan->unasked)
        json_member_number(w, "unknown", (long long)plan->unasked);
    if (plan->counted_with) {
        json_key(w, "countedWith");
        json_begin_object(w);
        json_member_number(w, "images", (long long)plan->counted_with);
        json_member_number(w, "rewrite", (long long)plan->counted_with_rewrite);
        json_end_object(w);
    }
    json_key(w, "reasons");
    json_begin_object(w);
    for (int i = 0; i < REASON_COUNT; i++)
        if (plan->reasons[i])
            json_member_number(w, decide_reason_name((enum rewrite_reason)i),
                               (long long)plan->reasons[i]);
    json_end_object(w);
    json_end_object(w);
    json_end_object(w);
    buffer_append_char(&plan->out, '\n');
}

static int compare_rows(const void *a, const void *b)
{
    const struct plan_summary_row *x = a, *y = b;
    int order = slice_compare(x->namespace_, y->namespace_);
    return order ? order : slice_compare(x->policy, y->policy);
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

/* Images of workloads, each once. */
static void print_totals(struct plan *plan)
{
    size_t images = plan->images - plan->counted_with;
    size_t rewrite = plan->reasons[REASON_REWRITTEN] - plan->counted_with_rewrite;
    buffer_append_format(&plan->out, "\n%zu image%s: %zu rewritten", images, plural(images),
                         rewrite);
    if (plan->unlabelled)
        buffer_append_format(&plan->out, " (%zu of them once the namespace has its label)",
                             plan->unlabelled);
    buffer_append_format(&plan->out, ", %zu kept", images - rewrite);
    if (plan->counted_with)
        buffer_append_format(&plan->out, "; and %zu of their Pods, not counted again",
                             plan->counted_with);
}

/* Namespaces where nothing happens since the label is not there, or is another. */
static void print_labels(struct plan *plan)
{
    for (size_t i = 0; i < plan->around.count; i++) {
        const struct known_namespace *known = plan->around.list[i];
        bool missing = known->label == LABEL_MISSING;
        if ((!missing && known->label != LABEL_MISSPELLED) || known->images == 0)
            continue;
        buffer_append_format(&plan->out, "label %s: namespace %.*s",
                             missing ? "missing" : "misspelled", SLICE_ARGS(known->name));
        if (known->written.len)
            buffer_append_format(&plan->out, " (it has `%.*s`)", SLICE_ARGS(known->written));
        buffer_append_format(&plan->out,
                             ": nothing happens there; with " ANNOTATION_MODE "=%s %zu of %zu "
                             "image%s would be rewritten\n",
                             plan->assumed_mode == 0 ? "audit" : "enforce", known->rewrite,
                             known->images, plural(known->images));
    }
}

static void print_live(struct plan *plan)
{
    if (plan->running)
        buffer_append_format(
            &plan->out, "running Pods: %zu image%s would move when the Pods are created again\n",
            plan->running, plural(plan->running));
    if (plan->missed)
        buffer_append_format(
            &plan->out,
            "%zu running Pod%s younger than the namespace's label and not moved: the "
            "webhook was not asked, or could not be reached\n",
            plan->missed, plan->missed == 1 ? " is" : "s are");
}

static void end_table(struct plan *plan)
{
    struct plan_summary_row *rows = arena_allocate(&plan->arena, plan->row_count * sizeof(*rows));
    for (size_t i = 0; i < plan->row_count; i++)
        rows[i] = *plan->row_list[i];
    if (plan->row_count)
        qsort(rows, plan->row_count, sizeof(*rows), compare_rows);
    plan_table_summary(&plan->table, rows, plan->row_count);
    print_totals(plan);
    if (plan->judged)
        buffer_append_format(&plan->out, "; the gate refuses %zu and warns about %zu",
                             plan->outcomes[GATE_DENY], plan->outcomes[GATE_WARN]);
    buffer_append_char(&plan->out, '\n');
    if (plan->unasked)
        buffer_append_text(&plan->out, "gate  " GATE_NOT_JUDGED "\n");
    print_labels(plan);
    print_live(plan);
    passed_over_print(&plan->passed, plan->table.width, &plan->out);
}

void plan_report_end(struct plan *plan)
{
    if (plan->output == OUTPUT_JSON)
        end_json(plan);
    else if (plan->output == OUTPUT_TABLE)
        end_table(plan);
}
