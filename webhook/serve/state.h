/* What the threads of a serving process share. */
#pragma once

#include "policy/policy.h"
#include "webhook/facts/facts.h"
#include "webhook/serve/clients.h"
#include "webhook/serve/events.h"
#include "webhook/serve/metrics.h"
#include "webhook/serve/secret.h"

#include <pthread.h>
#include <stdatomic.h>

struct state {
    struct metrics *metrics;
    struct facts *facts;
    struct clients *clients;      /* NULL: anybody may call */
    struct secret *events;        /* NULL: notifications are not taken */
    struct secret *metrics_token; /* NULL: anybody may read metrics */
    atomic_bool draining;         /* every answer says `Connection: close` */
    pthread_mutex_t lock;         /* of all below */
    struct policies *policies;    /* NULL: none could be loaded */
    char not_ready[200];          /* why /readyz is 503; empty: it is not */
};

/* False where the threads that ask Harbor cannot be started. */
MUST_CHECK bool state_init(struct state *state, struct error *reterr);
void state_done(struct state *state);

/* The policies of this moment, with a reference that the caller gives back; may be NULL. */
struct policies *state_policies(struct state *state);

/* Puts others in their place; takes over the caller's reference. */
void state_set_policies(struct state *state, struct policies *policies);

/* Why the server is not ready, or "" for ready. */
void state_set_not_ready(struct state *state, const char *reason);
void state_not_ready(struct state *state, char *ret, size_t size);
