/* Policy files on disk: reads what --policies names. */
#pragma once

#include "policy/policy.h"
#include "webhook/options.h"
#include "json/writer.h"

/* The namespace that commands take for the one harbor-pilot runs in: HARBOR_PILOT_NAMESPACE, or as
 * it is installed. */
const char *policy_files_own_namespace(void);

/* Reads every path (a file, or a directory's *.yaml and *.yml in name order) and loads the set.
 * False with all errors in `diagnostics`. `namespace_` is the one we run in, or NULL. */
bool policy_files_load(const struct text_list *paths, const char *namespace_,
                       struct diagnostics *diagnostics, struct policies **ret);

/* The same, with what Harbors that say `discover: true` were found to proxy. */
bool policy_files_load_discovered(const struct text_list *paths, const char *namespace_,
                                  const struct discovered *discovered, size_t discovered_count,
                                  struct diagnostics *diagnostics, struct policies **ret);

/* Puts the set loaded with `discovered` in the place of `*set`. False, with `*set` untouched and
 * the errors printed on stderr, where these are no policies with it. */
bool policy_files_discover(const struct text_list *paths, const struct discovered *discovered,
                           size_t discovered_count, struct policies **set);

/* 64 hexadecimal digits and a NUL that change when a name or the content of a file does. */
void policy_files_digest(const struct text_list *paths, char ret[static 65]);

/* Prints each finding on stderr, one a line. */
void diagnostics_print(const struct diagnostics *diagnostics);

/* Writes each as a line of the log. */
void diagnostics_log(const struct diagnostics *diagnostics);

/* The members `errors` and `warnings` of a command's JSON, one a call. `with_document`: also
 * FILE:LINE, which is how a plan names the documents of its images. */
void diagnostics_write(const struct diagnostics *diagnostics, bool warnings, bool with_document,
                       struct json_writer *w);
