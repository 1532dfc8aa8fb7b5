/* Rescues one Pod: what `rescue` does once and with --watch. */
#pragma once

#include "admit/rescue.h"
#include "webhook/facts/facts.h"
#include "webhook/kube/client.h"

enum rescue_result {
    RESCUE_RESTORED, /* the original image is put back */
    RESCUE_DELETED,  /* the Pod is deleted, and its controller makes another */
    RESCUE_LEFT,
    RESCUE_RESULTS,
};
extern const char *const rescue_results[RESCUE_RESULTS];

/* What was done with one container, or would be. Texts live during the call that tells it. */
struct rescue_outcome {
    enum rescue_result result;
    struct slice namespace_, name, container, image, original; /* original: empty where not known */
    const char *reason;                                        /* a word; see the man page */
    struct slice detail;                                       /* a sentence */
};

typedef void rescue_tell(void *context, const struct rescue_outcome *outcome);

struct rescuer {
    const struct policies *set;
    struct facts *facts;
    struct kube_client *kube;
    bool dry_run, even_if_healthy;
    long hung_after_ms;
    rescue_tell *tell;
    void *context;
    bool events_refused; /* said once */
};

/* In rising order: of several containers the last counts. */
enum rescue_end {
    RESCUE_NOTHING, /* nothing in the Pod waits for Harbor, or it is gone */
    RESCUE_BEGINS,  /* a pull has begun, and is none that anybody need hear of yet */
    RESCUE_DONE,    /* all that did is rescued */
    RESCUE_WAITS,   /* something still does */
    RESCUE_UNKNOWN, /* the API server could not be asked */
};

/* Reads the Pod anew and does what is to be done, guarded so that nothing happens to a Pod that has
 * changed meanwhile. */
enum rescue_end rescue_pod(struct rescuer *rescuer, struct slice namespace_, struct slice name,
                           struct error *reterr);

/* The same, told and not done, of a Pod as it was read. */
enum rescue_end rescue_preview(struct rescuer *rescuer, struct slice json);
