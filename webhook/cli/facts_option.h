/* --facts FILE: what several commands have in common. */
#pragma once

#include "harbor/facts_file.h"
#include "policy/policy.h"
#include "webhook/options.h"

/* What stands for the verdict where neither was given. */
#define GATE_NOT_JUDGED "not judged: Harbor was not asked (--live, or --facts FILE)"

enum { FACTS_MAX_SIZE = 256 * 1024 * 1024 };

struct facts_option {
    struct facts_file *file;
};

/* Reads the file. The error names it. */
bool facts_option_read(struct facts_option *option, const char *path,
                       struct error *reterr) MUST_CHECK;

/* What decide() takes: NULL where no file was read. */
static inline const struct fact_source *facts_option_source(const struct facts_option *option)
{
    return option->file ? facts_file_source(option->file) : NULL;
}

/* Loads the policies again where a Harbor of theirs discovers its projects and the file says which.
 * False, and said on stderr, where they are no policies any more. */
bool facts_option_discover(const struct facts_option *option, const struct text_list *paths,
                           struct policies **set);

/* The time by which scans are old: when the facts were recorded, or now. Unix seconds. */
long long facts_option_now(const struct facts_option *option);

void facts_option_done(struct facts_option *option);
