/* What `plan` knows while it works; its parts are plan.c (the command), plan_objects.c (one object
 * of the input) and plan_report.c (what is printed). */
#pragma once

#include "webhook/cli/facts_option.h"
#include "webhook/cli/live_facts.h"
#include "webhook/cli/manifests.h"
#include "webhook/cli/passed_over.h"
#include "webhook/cli/plan_table.h"
#include "webhook/cli/surroundings.h"
#include "json/writer.h"

#include <time.h>

enum plan_output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_PATCH };

/* A --template, and how often it led to one. */
struct plan_template {
    struct template_path path;
    const char *text;      /* as it was given */
    size_t objects, found; /* of its kind, and those that have it */
    bool alternatives;     /* there is another --template for its kind */
};

struct plan {
    struct text_list policies, files, templates;
    const char *facts_file, *record;
    bool live, expect_all_moved, require_gate;
    int assumed_mode, output;

    struct facts_option facts;
    struct live_facts asking;
    bool collecting;    /* this pass only finds out what has to be asked */
    struct arena arena; /* lives as long as the command */
    struct policies *set;
    struct plan_template *paths; /* of `templates` */
    const char *namespace_;      /* of documents without one; or NULL */
    struct passed_over passed;
    struct surroundings around;
    struct diagnostics diagnostics;
    struct buffer out;
    struct json_writer w;
    struct plan_table table;
    struct map rows; /* "namespace\0policy" → struct plan_summary_row * */
    struct plan_summary_row **row_list;
    size_t row_count, row_capacity;
    size_t images, reasons[REASON_COUNT];
    size_t judged, unasked, outcomes[GATE_OUTCOMES], unavailable;
    size_t counted_with, counted_with_rewrite; /* images of Pods whose workload is counted, too */
    size_t running, missed; /* rewritten images of running Pods; of Pods younger than their label */
    size_t unlabelled;      /* rewritten images in namespaces without the label */
    size_t objects;
    struct timespec began;
};

/* A Pod or a Pod template that is decided about. */
struct planned {
    const struct object *object;
    struct slice namespace_, pointer, document;
    size_t skip;                         /* of each field's pointer, see struct found_pod */
    struct slice json, template_pointer; /* a text, and where in it the object with `spec` is */
    struct position at;
    struct decide_request request;
    bool validated; /* a review that only the validating webhook gets */
    struct known_namespace *space;
    struct slice counted_with; /* "Deployment/web", whose Pod this is; empty: it counts itself */
    struct slice created; /* of a Pod that runs (RFC 3339); empty: it is a plan, or not known */
};

/* Whether the Pod was created with the label there and was not moved: the webhook was not asked, or
 * failed open. */
bool plan_is_missed(const struct planned *planned);

/* The first pass: keeps what other objects need to know of this one. */
void plan_survey(void *context, const struct manifest *manifest, struct arena *arena);

/* The second: decides about the object's images, and writes what comes of it. */
void plan_manifest(void *context, const struct manifest *manifest, struct arena *arena);

/* Before and after all objects: the frame of the output. */
void plan_report_begin(struct plan *plan);
void plan_report_end(struct plan *plan);
