/* `plan`: what would happen to every image in manifests, and why. */
#include "webhook/cli/plan.h"
#include "webhook/cli/inputs.h"
#include "webhook/commands.h"
#include "webhook/common/files.h"
#include "webhook/common/policy_files.h"
#include "json/pointer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_templates(struct plan *plan)
{
    plan->paths = arena_allocate(&plan->arena, plan->templates.count * sizeof(*plan->paths));
    for (size_t i = 0; i < plan->templates.count; i++) {
        struct slice text = slice_from(plan->templates.items[i]);
        size_t equals = slice_find(text, '=');
        struct slice name = slice_head(text, equals), pointer = slice_from_index(text, equals + 1);
        size_t dot = slice_find(name, '.');
        plan->paths[i] = (struct plan_template){
            .path = {slice_from_index(name, dot + 1), slice_head(name, dot), pointer},
            .text = plan->templates.items[i],
        };
        for (size_t j = 0; j < i; j++)
            if (slice_equal(plan->paths[j].path.group, plan->paths[i].path.group) &&
                slice_equal(plan->paths[j].path.kind, plan->paths[i].path.kind))
                plan->paths[i].alternatives = plan->paths[j].alternatives = true;
        if (dot == 0 || dot + 1 >= name.len || pointer.len == 0 || !json_is_pointer(pointer)) {
            usage_error("--template is `%s`, expected KIND.GROUP=/json/pointer such as "
                        "`Rollout.argoproj.io=/spec/template`",
                        plan->templates.items[i]);
            return false;
        }
    }
    return true;
}

/* A --template that led to nothing: a typo, or the kind is not in the input. Objects that have none
 * of those for their kind were named one by one. */
static void warn_of_templates(struct plan *plan)
{
    for (size_t i = 0; i < plan->templates.count; i++) {
        const struct plan_template *t = &plan->paths[i];
        if (t->objects == 0 || (t->found == 0 && t->alternatives))
            diagnostics_warning(&plan->diagnostics, (struct position){.file = SLICE("--template")},
                                "`%s` led to no Pod template: %s", t->text,
                                t->objects ? "no object of this kind has it"
                                           : "no object of this kind is in the input");
    }
}

/* --live: one pass over the input for what has to be asked, then all of it at once. */
static int ask_harbor(struct plan *plan, const struct inputs *inputs)
{
    CLEANUP_DIAGNOSTICS struct diagnostics unseen = {0};
    struct manifests_seen seen;
    struct error error;
    if (!live_facts_start(&plan->asking, plan->set, &error))
        return usage_error("%s", error.text);
    if (!live_facts_discover(&plan->asking, &plan->policies, &plan->set))
        return EXIT_USAGE;
    plan->collecting = true;
    inputs_each(inputs, &unseen, plan_manifest, plan, &seen);
    plan->collecting = false;
    plan->objects = 0;
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
    plan_report_end(plan);
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr); /* the progress line */
    if (plan->out.len)
        fwrite(plan->out.base, 1, plan->out.len, stdout); /* main() sees whether that failed */
    if (plan->output != OUTPUT_JSON)
        diagnostics_print(&plan->diagnostics);
    if (plan->diagnostics.errors)
        return EXIT_USAGE;
    bool asked = plan->live || plan->facts_file;
    if (plan->reasons[REASON_NOT_KNOWN_IN_TIME] || (asked && plan->unavailable) ||
        (plan->require_gate && (plan->unasked || plan->unavailable)))
        return EXIT_UNKNOWN;
    if (plan->outcomes[GATE_DENY])
        return EXIT_BAD_ANSWER;
    if (plan->expect_all_moved && plan->images == 0)
        return EXIT_UNKNOWN; /* nothing was seen: a pipeline that renders nothing must not pass */
    return plan->expect_all_moved && moved < plan->images ? EXIT_BAD_ANSWER : EXIT_FINE;
}

/* Three passes over the input: what its objects need to know of each other, what has to be asked,
 * and the plan. */
static int go_through(struct plan *plan)
{
    CLEANUP(inputs_done) struct inputs inputs = {0};
    CLEANUP_DIAGNOSTICS struct diagnostics unseen = {0}; /* the last pass reports the same */
    struct manifests_seen seen;
    inputs_read(&inputs, &plan->files, &plan->diagnostics);
    inputs_each(&inputs, &unseen, plan_survey, plan, &seen);
    int status = plan->live ? ask_harbor(plan, &inputs) : EXIT_FINE;
    if (status != EXIT_FINE)
        return status;
    plan_report_begin(plan);
    inputs_each(&inputs, &plan->diagnostics, plan_manifest, plan, &seen);
    passed_over_add_nameless(&plan->passed, seen.maps + seen.texts, &plan->arena);
    warn_of_templates(plan);
    return finish(plan);
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
    bool loaded =
        policy_files_load(&plan->policies, policy_files_own_namespace(), &diagnostics, &plan->set);
    diagnostics_print(&diagnostics);
    diagnostics_done(&diagnostics);
    if (!loaded || !facts_option_discover(&plan->facts, &plan->policies, &plan->set))
        return EXIT_USAGE;
    if (plan->files.count == 0)
        text_list_add(&plan->files, "-");
    clock_gettime(CLOCK_MONOTONIC, &plan->began);
    return go_through(plan);
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
         .help = "Manifests, YAML or JSON, or a directory of them; - or none: standard input."},
        {.name = "namespace",
         .short_name = 'n',
         .kind = OPTION_TEXT,
         .target = &plan.namespace_,
         .value = "NAMESPACE",
         .preset = "default",
         .help = "The namespace of documents without one, as of helm template -n."},
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
        OPTION_REQUIRE_GATE(&plan.require_gate),
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
        .arguments = "[FILE]...",
        .example = "  kubectl get pods,deployments,namespaces -A -o json |\n"
                   "      harbor-pilot plan --policies policies\n"
                   "  kustomize build apps | harbor-pilot plan --policies policies -o json\n"
                   "  harbor-pilot plan apps.yaml --policies policies",
        .options = options,
        .option_count = sizeof(options) / sizeof(*options),
    };
    enum options_result result = options_parse(&command, argc, argv, &plan.files);
    int status = result == OPTIONS_GO      ? run(&plan)
                 : result == OPTIONS_USAGE ? EXIT_USAGE
                                           : EXIT_FINE;
    live_facts_done(&plan.asking);
    policies_unref(plan.set);
    facts_option_done(&plan.facts);
    passed_over_done(&plan.passed);
    surroundings_done(&plan.around);
    map_done(&plan.rows);
    diagnostics_done(&plan.diagnostics);
    buffer_done(&plan.out);
    arena_done(&plan.arena);
    free(plan.policies.items);
    free(plan.files.items);
    free(plan.templates.items);
    return status;
}
