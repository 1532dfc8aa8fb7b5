/* Policy files on disk: reads what --policies names. */
#pragma once

#include "policy/policy.h"
#include "webhook/options.h"

/* Reads every path (a file, or a directory's *.yaml in name order) and loads the set. False with
 * all errors in `diagnostics`. `namespace_` is the one we run in, or NULL. */
bool policy_files_load(const struct text_list *paths, const char *namespace_,
                       struct diagnostics *diagnostics, struct policies **ret);

/* The same, with what Harbors that say `discover: true` were found to proxy. */
bool policy_files_load_discovered(const struct text_list *paths, const char *namespace_,
                                  const struct discovered *discovered, size_t discovered_count,
                                  struct diagnostics *diagnostics, struct policies **ret);

/* 64 hexadecimal digits and a NUL that change when a name or the content of a file does. */
void policy_files_digest(const struct text_list *paths, char ret[static 65]);

/* Prints each finding on stderr, one a line. */
void diagnostics_print(const struct diagnostics *diagnostics);
