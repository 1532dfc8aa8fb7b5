/* What `rescue` does with --watch. */
#pragma once

#include "webhook/cli/live_facts.h"
#include "webhook/cli/rescue_pod.h"

struct rescue_watching {
    struct rescuer *rescuer;
    struct live_facts *live;
    const struct text_list *policies; /* the paths, read again when they change */
    struct policies **set;            /* put in place of this one */
    const struct text_list *namespaces;
    const char *address; /* of probes and metrics; NULL: none */
};

/* Goes on until it is interrupted; returns an exit status. */
int rescue_watch(const struct rescue_watching *watching);

/* The path of the Pods of a namespace, or of all where it is NULL, in `ret`. */
enum { RESCUE_PATH_SIZE = 400 };
void rescue_pods_path(const char *namespace_, char ret[static RESCUE_PATH_SIZE]);
