/* rescue: puts Pods that cannot pull from Harbor back on their original image. */
#include "webhook/cli/rescue.h"

#include "base/map.h"
#include "webhook/cli/interrupt.h"
#include "webhook/commands.h"
#include "webhook/common/log.h"
#include "webhook/common/policy_files.h"
#include "webhook/kube/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_NAMESPACE = 253 };

/* Pods that are over wait for nothing. */
#define NOT_OVER "fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed"

/* A Pod in which something waits for Harbor. */
struct waiting_pod {
    struct slice namespace_, name;
};

struct rescue {
    struct text_list policies, namespaces;
    struct kube_options kube;
    bool dry_run, yes, even_if_healthy, watch;
    long hung_after_ms;
    int output;
    const char *address;
    struct policies *set;
    struct live_facts live;
    struct rescuer rescuer;
    struct arena arena; /* of what is kept until the end */
    struct map seen;    /* "namespace/name" of the Pods in `pods` */
    struct waiting_pod *pods;
    size_t pod_count, pod_capacity;
    FILE *out; /* of lines; NULL: outcomes are kept for JSON */
    struct rescue_outcome *outcomes;
    size_t outcome_count, outcome_capacity;
    size_t counts[RESCUE_RESULTS];
    size_t actions; /* in the preview: what there is to do */
    bool unknown;   /* something could not be asked */
};

void rescue_pods_path(const char *namespace_, char ret[static RESCUE_PATH_SIZE])
{
    if (namespace_)
        snprintf(ret, RESCUE_PATH_SIZE, "/api/v1/namespaces/%s/pods", namespace_);
    else
        snprintf(ret, RESCUE_PATH_SIZE, "/api/v1/pods");
}

/* --- what is told --- */

static void print_outcome(const struct rescue_outcome *o, FILE *out)
{
    fprintf(out, "%-9s %.*s/%.*s  %.*s: %.*s", rescue_results[o->result], SLICE_ARGS(o->namespace_),
            SLICE_ARGS(o->name), SLICE_ARGS(o->container), SLICE_ARGS(o->image));
    if (o->result == RESCUE_RESTORED)
        fprintf(out, " -> %.*s", SLICE_ARGS(o->original));
    fprintf(out, "\n          %s: %.*s\n", o->reason, SLICE_ARGS(o->detail));
}

static void keep_outcome(struct rescue *r, const struct rescue_outcome *o)
{
    r->outcomes = arena_grow(&r->arena, r->outcomes, r->outcome_count, &r->outcome_capacity,
                             sizeof(*r->outcomes));
    r->outcomes[r->outcome_count++] = (struct rescue_outcome){
        .result = o->result,
        .namespace_ = arena_copy(&r->arena, o->namespace_),
        .name = arena_copy(&r->arena, o->name),
        .container = arena_copy(&r->arena, o->container),
        .image = arena_copy(&r->arena, o->image),
        .original = arena_copy(&r->arena, o->original),
        .reason = o->reason,
        .detail = arena_copy(&r->arena, o->detail),
    };
}

static void tell(void *context, const struct rescue_outcome *outcome)
{
    struct rescue *r = context;
    r->counts[outcome->result]++;
    if (r->out)
        print_outcome(outcome, r->out);
    else
        keep_outcome(r, outcome);
}

/* Before it is done: shown to whoever is asked. */
static void tell_preview(void *context, const struct rescue_outcome *outcome)
{
    struct rescue *r = context;
    if (outcome->result == RESCUE_LEFT)
        return;
    r->actions++;
    if (!r->yes && can_confirm())
        print_outcome(outcome, stderr);
}

static void write_outcome(const struct rescue_outcome *o, struct json_writer *w)
{
    json_begin_object(w);
    json_member(w, "namespace", o->namespace_);
    json_member_text(w, "kind", "Pod");
    json_member(w, "name", o->name);
    json_member(w, "container", o->container);
    json_member_text(w, "result", rescue_results[o->result]);
    json_member_text(w, "reason", o->reason);
    json_member(w, "image", o->image);
    if (o->original.len)
        json_member(w, "original", o->original);
    json_member(w, "detail", o->detail);
    json_end_object(w);
}

static void print_json(const struct rescue *r)
{
    CLEANUP_BUFFER struct buffer out = {0};
    struct json_writer w = {.out = &out};
    json_begin_object(&w);
    json_member_text(&w, "apiVersion", "harbor-pilot.io/v1alpha1");
    json_member_text(&w, "kind", "Rescue");
    json_member_bool(&w, "dryRun", r->dry_run);
    json_key(&w, "items");
    json_begin_array(&w);
    for (size_t i = 0; i < r->outcome_count; i++)
        write_outcome(&r->outcomes[i], &w);
    json_end_array(&w);
    json_key(&w, "summary");
    json_begin_object(&w);
    for (int i = 0; i < RESCUE_RESULTS; i++)
        json_member_number(&w, rescue_results[i], (long long)r->counts[i]);
    json_end_object(&w);
    json_end_object(&w);
    printf("%.*s\n", SLICE_ARGS(buffer_slice(&out)));
}

/* --- once --- */

static void preview(void *context, struct slice json)
{
    struct rescue *r = context;
    CLEANUP_ARENA struct arena arena = {0};
    struct rescue_pod rescue;
    rescue_read(r->rescuer.set, json, &arena, &rescue);
    if (rescue.count == 0) /* as nearly all */
        return;
    const struct pod *pod = &rescue.pod;
    struct slice key =
        arena_join(&arena, (struct slice[]){pod->namespace_, SLICE("/"), pod->name}, 3);
    if (map_get(&r->seen, key)) /* the list began again */
        return;
    if (rescue_preview(&r->rescuer, json) < RESCUE_DONE)
        return;
    r->pods = arena_grow(&r->arena, r->pods, r->pod_count, &r->pod_capacity, sizeof(*r->pods));
    r->pods[r->pod_count++] = (struct waiting_pod){arena_copy(&r->arena, pod->namespace_),
                                                   arena_copy(&r->arena, pod->name)};
    *map_put(&r->seen, arena_copy(&r->arena, key)) = r;
}

static MUST_CHECK bool find_pods(struct rescue *r, struct error *reterr)
{
    char path[RESCUE_PATH_SIZE];
    r->rescuer.tell = r->dry_run ? tell : tell_preview;
    for (size_t i = 0; i < (r->namespaces.count ? r->namespaces.count : 1); i++) {
        rescue_pods_path(r->namespaces.count ? r->namespaces.items[i] : NULL, path);
        if (!kube_list(r->rescuer.kube, path, NOT_OVER, preview, r, NULL, reterr))
            return false;
    }
    return true;
}

static void do_pods(struct rescue *r)
{
    struct error error;
    r->rescuer.tell = tell;
    for (size_t i = 0; i < r->pod_count; i++) {
        const struct waiting_pod *pod = &r->pods[i];
        if (rescue_pod(&r->rescuer, pod->namespace_, pod->name, &error) != RESCUE_UNKNOWN)
            continue;
        fprintf(stderr, "harbor-pilot: %.*s/%.*s: %s\n", SLICE_ARGS(pod->namespace_),
                SLICE_ARGS(pod->name), error.text);
        r->unknown = true;
        if (interrupted)
            return;
    }
}

static int report(const struct rescue *r)
{
    if (r->output == 1)
        print_json(r);
    else if (r->counts[RESCUE_RESTORED] + r->counts[RESCUE_DELETED] + r->counts[RESCUE_LEFT])
        printf("%s%zu restored, %zu deleted, %zu left\n", r->dry_run ? "would be: " : "",
               r->counts[RESCUE_RESTORED], r->counts[RESCUE_DELETED], r->counts[RESCUE_LEFT]);
    else
        puts("no Pod waits for an image at Harbor");
    if (r->unknown)
        return EXIT_UNKNOWN;
    return r->counts[RESCUE_LEFT] ? EXIT_BAD_ANSWER : EXIT_FINE;
}

static int run_once(struct rescue *r)
{
    struct error error;
    r->out = r->output == 1 ? NULL : stdout;
    if (!find_pods(r, &error)) {
        usage_error("%s", error.text);
        return EXIT_UNKNOWN;
    }
    if (!r->dry_run) {
        if (r->actions && !r->yes && !can_confirm())
            return usage_error("there are %zu containers to rescue, and no terminal to ask on: "
                               "expected --yes, or --dry-run",
                               r->actions);
        if (r->actions && !r->yes && !confirm("Continue?"))
            return usage_error("nothing is done");
        do_pods(r);
    }
    return report(r);
}

/* --- the command --- */

/* Names become parts of paths. */
static bool are_names(const struct text_list *namespaces)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
    for (size_t i = 0; i < namespaces->count; i++) {
        const char *name = namespaces->items[i];
        if (strlen(name) > LONGEST_NAMESPACE || name[strspn(name, allowed)]) {
            usage_error("--namespace is `%.100s`, expected the name of one", name);
            return false;
        }
    }
    return true;
}

static int check_usage(const struct rescue *r)
{
    if (r->watch && r->output == 1)
        return usage_error("--watch and --output json are both given: with --watch the log says "
                           "what is done, expected one of them");
    if (r->address && !r->watch)
        return usage_error("--admin-bind-address is given without --watch");
    if (r->watch && !r->yes && !r->dry_run && !can_confirm())
        return usage_error("--watch changes Pods without asking for each: expected --yes, or "
                           "--dry-run, where there is no terminal");
    return are_names(&r->namespaces) ? EXIT_FINE : EXIT_USAGE;
}

static MUST_CHECK bool load(struct rescue *r, struct error *reterr)
{
    CLEANUP_DIAGNOSTICS struct diagnostics diagnostics = {0};
    bool loaded =
        policy_files_load(&r->policies, getenv("HARBOR_PILOT_NAMESPACE"), &diagnostics, &r->set);
    if (r->watch && loaded)
        diagnostics_log(&diagnostics);
    else
        diagnostics_print(&diagnostics);
    if (!loaded)
        return error_set(reterr, "the policies cannot be used");
    return live_facts_start(&r->live, r->set, reterr) &&
           (live_facts_discover(&r->live, &r->policies, &r->set) ||
            error_set(reterr, "the policies cannot be used with what Harbor has"));
}

static int run_watch(struct rescue *r)
{
    if (!r->yes && !r->dry_run &&
        !confirm("Put back every Pod that cannot pull from Harbor, until Ctrl-C?"))
        return usage_error("nothing is done");
    const struct rescue_watching watching = {
        .rescuer = &r->rescuer,
        .live = &r->live,
        .policies = &r->policies,
        .set = &r->set,
        .namespaces = &r->namespaces,
        .address = r->address,
    };
    return rescue_watch(&watching);
}

static int run(struct rescue *r)
{
    struct error error;
    int status = check_usage(r);
    if (status)
        return status;
    interrupt_catch();
    r->kube.interrupted = &interrupted;
    if (!load(r, &error))
        return usage_error("%s", error.text);
    r->rescuer = (struct rescuer){
        .set = r->set,
        .facts = r->live.facts,
        .dry_run = r->dry_run,
        .even_if_healthy = r->even_if_healthy,
        .hung_after_ms = r->hung_after_ms,
        .context = r,
    };
    if (!kube_open(&r->kube, &r->rescuer.kube, &error)) {
        usage_error("%s", error.text);
        return EXIT_UNKNOWN;
    }
    return r->watch ? run_watch(r) : run_once(r);
}

int command_rescue(int argc, char **argv)
{
    static const char *const outputs[] = {"text", "json", NULL};
    enum { HUNG_AFTER_MS = 90000, HUNG_LEAST_MS = 1000 };
    struct rescue r = {.hung_after_ms = HUNG_AFTER_MS};
    const struct option_spec options[] = {
        OPTION_POLICIES(&r.policies),
        OPTION_NAMESPACES(&r.namespaces),
        {.name = "watch",
         .kind = OPTION_FLAG,
         .target = &r.watch,
         .help = "Go on, and rescue as soon as Harbor is known to be down; writes a log."},
        {.name = "even-if-healthy",
         .kind = OPTION_FLAG,
         .target = &r.even_if_healthy,
         .help = "Put back also what Harbor, which is well, says that it can serve."},
        {.name = "hung-after",
         .kind = OPTION_DURATION,
         .target = &r.hung_after_ms,
         .value = "DURATION",
         .preset = "90s",
         .least = HUNG_LEAST_MS,
         .help = "How long a pull from a Harbor that is down may bring nothing."},
        {.name = "admin-bind-address",
         .kind = OPTION_TEXT,
         .target = &r.address,
         .value = "ADDR:PORT",
         .help = "With --watch: probes and metrics, plain HTTP."},
        OPTION_KUBECONFIG(&r.kube.kubeconfig),
        OPTION_CONTEXT(&r.kube.context),
        OPTION_AS(&r.kube.as),
        OPTION_DRY_RUN(&r.dry_run),
        OPTION_YES(&r.yes),
        OPTION_OUTPUT(&r.output, "text|json", outputs, "How the result is written."),
    };
    const struct command_spec command = {
        .name = "rescue",
        .summary = "put Pods that cannot pull from Harbor back on their own image",
        .example = "  harbor-pilot rescue --policies policies --dry-run",
        .options = options,
        .option_count = sizeof(options) / sizeof(*options),
    };
    enum options_result result = options_parse(&command, argc, argv, NULL);
    int status = result == OPTIONS_GO ? run(&r) : result == OPTIONS_USAGE ? EXIT_USAGE : EXIT_FINE;
    kube_close(r.rescuer.kube);
    live_facts_done(&r.live);
    policies_unref(r.set);
    map_done(&r.seen);
    arena_done(&r.arena);
    free(r.policies.items);
    free(r.namespaces.items);
    return status;
}
