/* --live: facts asked of Harbor from the command line, by the same code as the server's. */
#pragma once

#include "webhook/facts/facts.h"
#include "webhook/options.h"

#include <stdbool.h>

enum { LIVE_WARM_MS = 5000, LIVE_QUESTION_MS = 60000 };

struct live_facts {
    struct facts *facts;
    struct missing_fact *missing; /* what is still to be asked; texts in the arena */
    size_t count, capacity, asked;
    struct arena arena;
};

/* Starts, and learns health and projects. */
MUST_CHECK bool live_facts_start(struct live_facts *live, const struct policies *policies,
                                 struct error *reterr);

/* Loads the policies again where a Harbor of theirs discovers its projects. False, and said on
 * stderr, where they are no policies any more. */
bool live_facts_discover(struct live_facts *live, const struct text_list *paths,
                         struct policies **set);

/* Keeps the facts that decisions miss; asked once each. */
void live_facts_add(struct live_facts *live, const struct decisions *decisions);

/* Asks all that was kept and waits for the answers, at most LIVE_QUESTION_MS; shows progress on a
 * terminal. */
void live_facts_ask(struct live_facts *live);

/* Appends what is known now of all that was asked, as a facts file. */
void live_facts_record(struct live_facts *live, const struct policies *policies,
                       struct buffer *out);

void live_facts_done(struct live_facts *live);
