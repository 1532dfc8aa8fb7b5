/* Follows a list of objects for as long as it is wanted: reconnects, with growing pauses, and reads
 * everything again where the API server has forgotten where we were. */
#pragma once

#include "webhook/kube/client.h"

enum {
    KUBE_WATCH_SECONDS = 60, /* of one request: how late a dead connection is noticed */
    KUBE_PAUSE_LEAST_MS = 100,
    KUBE_PAUSE_MOST_MS = 10000,
};

/* An object is there, or has changed; `deleted`: it is gone. The JSON lives during the call. An
 * object may come again; of one that went while there was no connection nothing is said. */
typedef void kube_event(void *context, struct slice json, bool deleted);

struct kube_watch;

/* Nothing is asked before kube_watch_step. */
struct kube_watch *kube_watch_new(struct kube_client *client, const char *path, kube_event *event,
                                  void *context);
void kube_watch_free(struct kube_watch *watch); /* NULL is fine */

/* Begins, and begins again, what is due; events come from kube_wait. False, once for each time,
 * where the API server could not be asked: `reterr` says why. */
MUST_CHECK bool kube_watch_step(struct kube_watch *watch, struct error *reterr);

/* Whether objects that were there at the beginning have been given, and it follows. */
bool kube_watch_is_current(const struct kube_watch *watch);

unsigned long kube_watch_restarts(const struct kube_watch *watch);
