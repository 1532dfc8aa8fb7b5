/* `plan`: what would happen to every image in manifests, and why. */
#include "admit/admit.h"
#include "base/map.h"
#include "webhook/cli/facts_option.h"
#include "webhook/cli/live_facts.h"
#include "webhook/cli/manifests.h"
#include "webhook/cli/plan_table.h"
#include "webhook/cli/rivals.h"
#include "webhook/commands.h"
#include "webhook/common/files.h"
#include "webhook/common/policy_files.h"
#include "json/pointer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { DEFAULT_WIDTH = 100, PROGRESS_EVERY = 256, PROGRESS_AFTER_MS = 1000 };

enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_PATCH };

struct plan {
    struct text_list policies, files, templates;
    const char *facts_file, *record;
    bool live, expect_all_moved;
    int assumed_mode, output;

    struct facts_option facts;
    struct live_facts asking;
    bool collecting;    /* this pass only finds out what has to be asked */
    struct arena arena; /* lives as long as the command */
    struct policies *set;
    struct template_path *paths;
    struct map modes; /* namespace → enum mode *, from labels of Namespace objects */
    struct diagnostics diagnostics;
    struct buffer out;
    struct json_writer w;
    struct plan_table table;
    struct map rows; /* "namespace\0policy" → struct plan_summary_row * */
    struct plan_summary_row **row_list;
    size_t row_count, row_capacity;
    size_t images, reasons[REASON_COUNT];
    size_t judged, outcomes[GATE_OUTCOMES], unavailable;
    size_t objects;
    struct timespec began;
};

/* --- the namespaces' modes --- */

static void keep_mode(void *context, const struct manifest *manifest, struct arena *arena)
{
    struct plan *plan = context;
    const struct object *object = &manifest->object;
    struct slice label;
    (void)arena;
    if (object->group.len || !slice_equal(object->kind, SLICE("Namespace")) ||
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
    struct position at;
    struct decide_request request;
    bool validated; /* a review that only the validating webhook gets */
};

static void write_decision(struct plan *plan, const struct planned *planned,
                           const struct decisions *decisions, const struct decision *decision,
                           struct arena *arena)
{
    struct json_writer *w = &plan->w;
    struct slice field = pod_field_pointer(decision->field, arena);
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
    /* what is changed in a running Pod is not rewritten */
    if (planned.request.subject != REVIEW_OTHER && planned.request.subject != REVIEW_POD_UPDATE)
        decide_and_show(plan, &planned, arena);
}

static void plan_object(struct plan *plan, const struct manifest *manifest, struct slice document,
                        struct arena *arena)
{
    struct workload workload;
    bool missing = false;
    if (!workload_read(&manifest->object, plan->paths, plan->templates.count, arena, &workload,
                       &missing)) {
        if (missing && !plan->collecting)
            diagnostics_warning(&plan->diagnostics, manifest->at,
                                "%.*s `%.*s` has no Pod template where one was expected",
                                SLICE_ARGS(manifest->object.kind),
                                SLICE_ARGS(manifest->object.name));
        return;
    }
    struct slice namespace_ = manifest->object.namespace_;
    struct planned planned = {
        .object = &manifest->object,
        .namespace_ = namespace_.len ? namespace_ : SLICE("default"),
        .pointer = workload.pointer,
        .document = document,
        .at = manifest->at,
        .request = {.subject = workload.pointer.len ? REVIEW_WORKLOAD : REVIEW_POD_CREATE,
                    .pod = &workload.pod,
                    .owned = manifest->object.has_controller,
                    .believe_object = true}, /* nobody knows who will apply it */
    };
    decide_and_show(plan, &planned, arena);
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

static void handle(void *context, const struct manifest *manifest, struct arena *arena)
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

/* --- the whole --- */

static bool read_templates(struct plan *plan)
{
    plan->paths = arena_allocate(&plan->arena, plan->templates.count * sizeof(*plan->paths));
    for (size_t i = 0; i < plan->templates.count; i++) {
        struct slice text = slice_from(plan->templates.items[i]);
        size_t equals = slice_find(text, '=');
        struct slice name = slice_head(text, equals), pointer = slice_from_index(text, equals + 1);
        size_t dot = slice_find(name, '.');
        plan->paths[i] =
            (struct template_path){slice_from_index(name, dot + 1), slice_head(name, dot), pointer};
        if (dot == 0 || dot + 1 >= name.len || pointer.len == 0 || !json_is_pointer(pointer)) {
            usage_error("--template is `%s`, expected KIND.GROUP=/json/pointer such as "
                        "`Rollout.argoproj.io=/spec/template`",
                        plan->templates.items[i]);
            return false;
        }
    }
    return true;
}

/* no-color.org: NO_COLOR counts when it is not empty. */
static bool is_colour_wanted(void)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no_colour && *no_colour) &&
           !(terminal && strcmp(terminal, "dumb") == 0);
}

static void begin_output(struct plan *plan)
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

static void end_json(struct plan *plan)
{
    struct json_writer *w = &plan->w;
    json_end_array(w);
    diagnostics_write(&plan->diagnostics, false, true, w);
    diagnostics_write(&plan->diagnostics, true, true, w);
    json_key(w, "summary");
    json_begin_object(w);
    json_member_number(w, "images", (long long)plan->images);
    json_member_number(w, "rewrite", (long long)plan->reasons[REASON_REWRITTEN]);
    json_member_number(w, "keep", (long long)(plan->images - plan->reasons[REASON_REWRITTEN]));
    json_member_number(w, "deny", (long long)plan->outcomes[GATE_DENY]);
    json_member_number(w, "warn", (long long)plan->outcomes[GATE_WARN]);
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

static void end_table(struct plan *plan)
{
    struct plan_summary_row *rows = arena_allocate(&plan->arena, plan->row_count * sizeof(*rows));
    for (size_t i = 0; i < plan->row_count; i++)
        rows[i] = *plan->row_list[i];
    if (plan->row_count)
        qsort(rows, plan->row_count, sizeof(*rows), compare_rows);
    plan_table_summary(&plan->table, rows, plan->row_count);
    buffer_append_format(&plan->out, "\n%zu images: %zu rewritten, %zu kept", plan->images,
                         plan->reasons[REASON_REWRITTEN],
                         plan->images - plan->reasons[REASON_REWRITTEN]);
    if (plan->judged)
        buffer_append_format(&plan->out, "; the gate refuses %zu and warns about %zu",
                             plan->outcomes[GATE_DENY], plan->outcomes[GATE_WARN]);
    buffer_append_char(&plan->out, '\n');
}

/* Both passes over one input: first the Namespaces' labels of all inputs, then the decisions. */
struct input {
    const char *name;
    struct buffer text;
};

static void read_inputs(struct plan *plan, struct input *inputs, size_t input_count)
{
    struct error error;
    for (size_t i = 0; i < input_count; i++) {
        bool standard = strcmp(inputs[i].name, "-") == 0;
        if (standard ? file_read_stdin(MANIFESTS_MAX_SIZE, &inputs[i].text, &error)
                     : file_read(inputs[i].name, MANIFESTS_MAX_SIZE, &inputs[i].text, &error))
            continue;
        diagnostics_error(&plan->diagnostics, (struct position){.file = slice_from(inputs[i].name)},
                          "%s", error.text);
    }
    struct diagnostics unseen = {0}; /* the second pass reports the same */
    for (size_t i = 0; i < input_count; i++)
        manifests_read(buffer_slice(&inputs[i].text), slice_from(inputs[i].name), &unseen,
                       keep_mode, plan);
    diagnostics_done(&unseen);
}

/* --live: one pass over the input for what has to be asked, then all of it at once. */
static int ask_harbor(struct plan *plan, struct input *inputs, size_t input_count)
{
    struct diagnostics unseen = {0};
    struct error error;
    if (!live_facts_start(&plan->asking, plan->set, &error))
        return usage_error("%s", error.text);
    if (!live_facts_discover(&plan->asking, &plan->policies, &plan->set))
        return EXIT_USAGE;
    plan->collecting = true;
    for (size_t i = 0; i < input_count; i++)
        manifests_read(buffer_slice(&inputs[i].text), slice_from(inputs[i].name), &unseen, handle,
                       plan);
    plan->collecting = false;
    plan->objects = 0;
    diagnostics_done(&unseen);
    live_facts_ask(&plan->asking);
    if (!plan->record)
        return EXIT_FINE;
    struct buffer out = {0};
    live_facts_record(&plan->asking, plan->set, &out);
    bool written = file_write(plan->record, buffer_slice(&out), &error);
    buffer_done(&out);
    return written ? EXIT_FINE : usage_error("%s: %s", plan->record, error.text);
}

static int finish(struct plan *plan)
{
    size_t in_harbor = plan->reasons[REASON_ALREADY_IN_HARBOR];
    size_t moved = plan->reasons[REASON_REWRITTEN] + in_harbor;
    if (plan->output == OUTPUT_JSON)
        end_json(plan);
    else if (plan->output == OUTPUT_TABLE)
        end_table(plan);
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr); /* the progress line */
    if (plan->out.len)
        fwrite(plan->out.base, 1, plan->out.len, stdout); /* main() sees whether that failed */
    if (plan->output != OUTPUT_JSON)
        diagnostics_print(&plan->diagnostics);
    if (plan->diagnostics.errors)
        return EXIT_USAGE;
    bool asked = plan->live || plan->facts_file;
    if (plan->reasons[REASON_NOT_KNOWN_IN_TIME] || (asked && plan->unavailable))
        return EXIT_UNKNOWN;
    if (plan->outcomes[GATE_DENY])
        return EXIT_BAD_ANSWER;
    if (plan->expect_all_moved && plan->images == 0)
        return EXIT_UNKNOWN; /* nothing was seen: a pipeline that renders nothing must not pass */
    return plan->expect_all_moved && moved < plan->images ? EXIT_BAD_ANSWER : EXIT_FINE;
}

static int run(struct plan *plan)
{
    struct error error;
    struct diagnostics diagnostics = {0};
    if (plan->live && plan->facts_file)
        return usage_error("--live and --facts are both given, expected one of them");
    if (plan->record && !plan->live)
        return usage_error("--record is given without --live, expected both");
    if (plan->facts_file && !facts_option_read(&plan->facts, plan->facts_file, &error))
        return usage_error("%s", error.text);
    if (!read_templates(plan))
        return EXIT_USAGE;
    bool loaded = policy_files_load(&plan->policies, getenv("HARBOR_PILOT_NAMESPACE"), &diagnostics,
                                    &plan->set);
    diagnostics_print(&diagnostics);
    diagnostics_done(&diagnostics);
    if (!loaded || !facts_option_discover(&plan->facts, &plan->policies, &plan->set))
        return EXIT_USAGE;
    if (plan->files.count == 0)
        text_list_add(&plan->files, "-");
    size_t input_count = plan->files.count;
    struct input *inputs = memory_allocate_zeroed(input_count, sizeof(*inputs));
    for (size_t i = 0; i < input_count; i++)
        inputs[i].name = plan->files.items[i];
    clock_gettime(CLOCK_MONOTONIC, &plan->began);
    read_inputs(plan, inputs, input_count);
    int status = plan->live ? ask_harbor(plan, inputs, input_count) : EXIT_FINE;
    if (status == EXIT_FINE) {
        begin_output(plan);
        for (size_t i = 0; i < input_count; i++)
            manifests_read(buffer_slice(&inputs[i].text), slice_from(inputs[i].name),
                           &plan->diagnostics, handle, plan);
        status = finish(plan);
    }
    for (size_t i = 0; i < input_count; i++)
        buffer_done(&inputs[i].text);
    free(inputs);
    return status;
}

int command_plan(int argc, char **argv)
{
    static const char *const outputs[] = {"table", "json", "patch", NULL};
    static const char *const modes[] = {"audit", "enforce", NULL};
    struct plan plan = {.assumed_mode = 1};
    const struct option_spec options[] = {
        OPTION_POLICIES(&plan.policies),
        {.name = "filename",
         .short_name = 'f',
         .kind = OPTION_TEXTS,
         .target = &plan.files,
         .value = "FILE",
         .help = "Manifests, YAML or JSON; - or none: standard input."},
        {.name = "assume-mode",
         .kind = OPTION_WORD,
         .target = &plan.assumed_mode,
         .value = "audit|enforce",
         .words = modes,
         .preset = modes[1],
         .help = "For namespaces whose label is not in the input."},
        {.name = "template",
         .kind = OPTION_TEXTS,
         .target = &plan.templates,
         .value = "KIND=/json/pointer",
         .help = "Where a custom kind keeps its Pod template: Rollout.argoproj.io=/spec/template"},
        OPTION_FACTS(&plan.facts_file),
        OPTION_LIVE(&plan.live),
        {.name = "record",
         .kind = OPTION_TEXT,
         .target = &plan.record,
         .value = "FILE",
         .help = "With --live: write what Harbor answered, for --facts."},
        {.name = "expect-all-moved",
         .kind = OPTION_FLAG,
         .target = &plan.expect_all_moved,
         .help = "Exit with 1 when an image is kept that is not in Harbor already."},
        OPTION_OUTPUT(
            &plan.output, "table|json|patch", outputs,
            "How it is written; patch: the JSON Patch of each object's Pods, a line each."),
    };
    const struct command_spec command = {
        .name = "plan",
        .summary = "what would happen to every image, and why",
        .example = "  kubectl get pods,deployments,namespaces -A -o json |\n"
                   "      harbor-pilot plan --policies policies\n"
                   "  kustomize build apps | harbor-pilot plan --policies policies -o json",
        .options = options,
        .option_count = sizeof(options) / sizeof(*options),
    };
    enum options_result result = options_parse(&command, argc, argv, NULL);
    int status = result == OPTIONS_GO      ? run(&plan)
                 : result == OPTIONS_USAGE ? EXIT_USAGE
                                           : EXIT_FINE;
    live_facts_done(&plan.asking);
    policies_unref(plan.set);
    facts_option_done(&plan.facts);
    map_done(&plan.modes);
    map_done(&plan.rows);
    diagnostics_done(&plan.diagnostics);
    buffer_done(&plan.out);
    arena_done(&plan.arena);
    free(plan.policies.items);
    free(plan.files.items);
    free(plan.templates.items);
    return status;
}
