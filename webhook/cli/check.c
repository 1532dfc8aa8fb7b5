/* `check`: validates policies, runs their cases, and names the namespaces that nobody claims. */
#include "base/cleanup.h"
#include "webhook/cli/cases.h"
#include "webhook/commands.h"
#include "webhook/common/files.h"
#include "webhook/common/policy_files.h"
#include "json/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CASES_MAX_SIZE = 16 * 1024 * 1024, NAMESPACES_MAX_SIZE = 16 * 1024 * 1024 };

struct check {
    struct text_list policies, cases;
    const char *namespaces_file;
    int output;
    struct arena arena;
    struct diagnostics diagnostics;
    struct policies *set;
    struct case_results results;
    size_t case_files;
    struct slice *unclaimed;
    size_t unclaimed_count;
    bool has_namespaces;
};

/* --- cases --- */

static void run_file(void *context, const char *file)
{
    struct check *check = context;
    struct buffer text = {0};
    struct error error;
    file = arena_copy(&check->arena, slice_from(file)).base; /* findings name it */
    check->case_files++;
    if (file_read(file, CASES_MAX_SIZE, &text, &error))
        cases_run(check->set, &check->policies, buffer_slice(&text), slice_from(file),
                  &check->diagnostics, &check->results);
    else
        diagnostics_error(&check->diagnostics, (struct position){.file = slice_from(file)}, "%s",
                          error.text);
    buffer_done(&text);
}

/* The *.cases beside the policies: of a directory all, of a file FILE.yaml its FILE.cases. */
static void run_beside(struct check *check, const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISDIR(status.st_mode)) {
        struct slice stem = slice_from(path);
        size_t dot = slice_find_last(stem, '.');
        struct slice ending = slice_from_index(stem, dot);
        if (slice_equal(ending, SLICE(".yaml")) || slice_equal(ending, SLICE(".yml")))
            stem = slice_head(stem, dot);
        struct slice file = arena_format(&check->arena, "%.*s.cases", SLICE_ARGS(stem));
        if (stat(file.base, &status) == 0)
            run_file(check, file.base);
        return;
    }
    static const char *const endings[] = {".cases", NULL};
    directory_each(path, endings, run_file, check);
}

/* --- Harbor's own namespace --- */

static bool is_everything(struct slice pattern)
{
    for (size_t i = 0; i < pattern.len; i++)
        if (pattern.base[i] != '*')
            return false;
    return pattern.len != 0;
}

/* A Harbor that is asked is probably one that runs here, in a namespace that nobody named. */
static void warn_of_own_harbor(struct check *check)
{
    for (size_t i = 0; i < policies_count(check->set); i++) {
        const struct policy *policy = policies_at(check->set, i);
        const struct harbor *harbor = policy->harbor;
        if (!harbor->protected_by_default || harbor->api.url.len == 0 ||
            policy->mode == MODE_DISABLED)
            continue;
        for (size_t j = 0; j < policy->namespaces.count; j++) {
            const struct pattern *pattern = &policy->namespaces.items[j];
            if (is_everything(pattern->text))
                diagnostics_warning(
                    &check->diagnostics, pattern->at,
                    "`%.*s` also claims the namespace in which Harbor runs, and what it stands on: "
                    "`protected` of Harbor `%.*s` (%.*s:%d) is left at its default, expected those "
                    "namespaces in it",
                    SLICE_ARGS(pattern->text), SLICE_ARGS(harbor->name),
                    SLICE_ARGS(harbor->at.file), harbor->at.line);
        }
    }
}

/* --- namespaces --- */

/* Names, separated by white space; `kubectl get namespaces -o name` writes namespace/NAME. */
static void read_namespaces(struct check *check)
{
    CLEANUP(buffer_done) struct buffer text = {0};
    struct error error;
    if (!file_read(check->namespaces_file, NAMESPACES_MAX_SIZE, &text, &error)) {
        diagnostics_error(&check->diagnostics,
                          (struct position){.file = slice_from(check->namespaces_file)}, "%s",
                          error.text);
        return;
    }
    size_t capacity = 0;
    check->has_namespaces = true;
    for (char *next = text.base, *word; (word = strsep(&next, " \t\r\n,"));) {
        if (strncmp(word, "namespace/", 10) == 0)
            word += 10;
        struct slice name = slice_from(word);
        if (name.len == 0 || policies_protects(check->set, name) ||
            policies_claim(check->set, name))
            continue;
        check->unclaimed = arena_grow(&check->arena, check->unclaimed, check->unclaimed_count,
                                      &capacity, sizeof(name));
        check->unclaimed[check->unclaimed_count++] = arena_copy(&check->arena, name);
    }
}

/* --- output --- */

static void print_json(const struct check *check)
{
    struct buffer out = {0};
    struct json_writer w = {.out = &out};
    json_begin_object(&w);
    json_member_number(&w, "policies", check->set ? (long long)policies_count(check->set) : 0);
    diagnostics_write(&check->diagnostics, false, false, &w);
    diagnostics_write(&check->diagnostics, true, false, &w);
    json_key(&w, "cases");
    json_begin_object(&w);
    json_member_number(&w, "passed", (long long)check->results.passed);
    json_key(&w, "failed");
    json_begin_array(&w);
    for (size_t i = 0; i < check->results.failed; i++) {
        const struct case_failure *failure = &check->results.failures[i];
        json_begin_object(&w);
        json_member(&w, "file", failure->at.file);
        json_member_number(&w, "line", failure->at.line);
        json_member(&w, "expected", failure->expected);
        json_member(&w, "got", failure->got);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
    if (check->has_namespaces) {
        json_key(&w, "unclaimed");
        json_begin_array(&w);
        for (size_t i = 0; i < check->unclaimed_count; i++)
            json_slice(&w, check->unclaimed[i]);
        json_end_array(&w);
    }
    json_end_object(&w);
    printf("%.*s\n", SLICE_ARGS(buffer_slice(&out)));
    buffer_done(&out);
}

static void print_text(const struct check *check)
{
    diagnostics_print(&check->diagnostics);
    for (size_t i = 0; i < check->results.failed; i++) {
        const struct case_failure *failure = &check->results.failures[i];
        printf("%.*s:%d: failed\n  expected  %.*s\n  got       %.*s\n",
               SLICE_ARGS(failure->at.file), failure->at.line, SLICE_ARGS(failure->expected),
               SLICE_ARGS(failure->got));
    }
    if (check->unclaimed_count)
        printf("no Policy claims:");
    for (size_t i = 0; i < check->unclaimed_count; i++)
        printf("%s %.*s", i ? "," : "", SLICE_ARGS(check->unclaimed[i]));
    if (check->unclaimed_count)
        putchar('\n');
    printf("%zu policies, %zu errors, %zu warnings, %zu files of cases\n",
           check->set ? policies_count(check->set) : 0, check->diagnostics.errors,
           check->diagnostics.warnings, check->case_files);
    printf("%zu passed, %zu failed\n", check->results.passed, check->results.failed);
}

static int run(struct check *check)
{
    if (policy_files_load(&check->policies, policy_files_own_namespace(), &check->diagnostics,
                          &check->set)) {
        for (size_t i = 0; i < check->policies.count; i++)
            run_beside(check, check->policies.items[i]);
        for (size_t i = 0; i < check->cases.count; i++)
            run_file(check, check->cases.items[i]);
        if (check->namespaces_file)
            read_namespaces(check);
        warn_of_own_harbor(check);
        diagnostics_sort(&check->diagnostics);
    }
    if (check->output == 1)
        print_json(check);
    else
        print_text(check);
    return check->diagnostics.errors ? EXIT_USAGE
           : check->results.failed   ? EXIT_BAD_ANSWER
                                     : EXIT_FINE;
}

int command_check(int argc, char **argv)
{
    static const char *const outputs[] = {"text", "json", NULL};
    struct check check = {0};
    const struct option_spec options[] = {
        OPTION_POLICIES(&check.policies),
        {.name = "cases",
         .kind = OPTION_TEXTS,
         .target = &check.cases,
         .value = "FILE",
         .help = "More cases to run, besides the *.cases beside the policies."},
        {.name = "namespaces",
         .kind = OPTION_TEXT,
         .target = &check.namespaces_file,
         .value = "FILE",
         .help = "Names of namespaces: those that no Policy claims are listed."},
        OPTION_OUTPUT(&check.output, "text|json", outputs, "How the answer is written."),
    };
    const struct command_spec command = {
        .name = "check",
        .summary = "validate policies and run their cases",
        .example = "  harbor-pilot check --policies policies\n"
                   "  kubectl get namespaces -o name >namespaces.txt\n"
                   "  harbor-pilot check --policies policies --namespaces namespaces.txt",
        .options = options,
        .option_count = sizeof(options) / sizeof(*options),
    };
    enum options_result result = options_parse(&command, argc, argv, NULL);
    int status = result == OPTIONS_GO      ? run(&check)
                 : result == OPTIONS_USAGE ? EXIT_USAGE
                                           : EXIT_FINE;
    policies_unref(check.set);
    case_results_done(&check.results);
    diagnostics_done(&check.diagnostics);
    arena_done(&check.arena);
    free(check.policies.items);
    free(check.cases.items);
    return status;
}
