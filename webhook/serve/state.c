/* The shared state of a serving process. */
#include "webhook/serve/state.h"

#include <stdio.h>

bool state_init(struct state *state, struct error *reterr)
{
    *state = (struct state){.metrics = metrics_new(), .facts = facts_start(reterr)};
    pthread_mutex_init(&state->lock, NULL);
    return state->facts != NULL;
}

void state_done(struct state *state)
{
    facts_stop(state->facts);
    clients_free(state->clients);
    secret_free(state->events);
    secret_free(state->metrics_token);
    policies_unref(state->policies);
    metrics_free(state->metrics);
    pthread_mutex_destroy(&state->lock);
}

struct policies *state_policies(struct state *state)
{
    pthread_mutex_lock(&state->lock);
    struct policies *policies = policies_ref(state->policies);
    pthread_mutex_unlock(&state->lock);
    return policies;
}

void state_set_policies(struct state *state, struct policies *policies)
{
    pthread_mutex_lock(&state->lock);
    struct policies *old = state->policies;
    state->policies = policies;
    pthread_mutex_unlock(&state->lock);
    policies_unref(old);
}

void state_set_not_ready(struct state *state, const char *reason)
{
    pthread_mutex_lock(&state->lock);
    snprintf(state->not_ready, sizeof(state->not_ready), "%s", reason);
    pthread_mutex_unlock(&state->lock);
}

void state_not_ready(struct state *state, char *ret, size_t size)
{
    pthread_mutex_lock(&state->lock);
    snprintf(ret, size, "%s", state->not_ready);
    pthread_mutex_unlock(&state->lock);
}
