/* Takes Harbor's notifications. */
#include "webhook/serve/events.h"

#include "harbor/api.h"

bool events_take(struct facts *facts, struct slice body, struct error *reterr)
{
    struct arena arena = {0};
    struct slice repository;
    bool read = harbor_read_event(body, &arena, &repository);
    if (read)
        facts_forget(facts, repository);
    else
        error_set(reterr, "the body is not a notification of Harbor's: expected JSON with "
                          "event_data.repository.repo_full_name");
    arena_done(&arena);
    return read;
}
