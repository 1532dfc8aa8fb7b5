/* Lists of objects, page by page, one object at a time: a cluster of 100,000 Pods is never in
 * memory. */
#pragma once

#include "webhook/kube/client.h"

enum { KUBE_PAGE = 500, KUBE_RESTARTS = 5 };

/* Gives each object as JSON, which lives during the call. */
typedef void kube_item(void *context, struct slice json);

/* Lists what is at a path: `query` is such as "fieldSelector=…", or empty. Where the API server has
 * forgotten the list in the middle (410), it begins again, and objects come again. On success
 * `ret_version` (may be NULL) has the list's resourceVersion, to be freed. */
MUST_CHECK bool kube_list(struct kube_client *client, const char *path, const char *query,
                          kube_item *take, void *context, char **ret_version, struct error *reterr);
