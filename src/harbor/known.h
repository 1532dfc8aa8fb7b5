/* Facts of a file as a source for decide(). */
#pragma once

#include "harbor/facts_file.h"
#include "harbor/harbor.h"

struct known_facts {
    struct fact_source source; /* give its address to decide() */
    const struct facts_file *file;
};

/* The file must outlive the source. */
void known_facts_init(struct known_facts *known, const struct facts_file *file);
